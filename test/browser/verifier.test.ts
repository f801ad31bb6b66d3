// dist/verifier.html as an auditor uses it: opened from the disk in a real Chromium, with a pack and a key, good and
// tampered; without network; with WebCrypto and without.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { formatPublicJwk } from "../../src/ledger/key.ts";
import { formatVerifierKey, makeLogKey } from "../../src/ledger/note/verifierKey.ts";
import { writeVerifier } from "../../src/verifier/build.ts";
import { newSigner, ORIGIN, publicKeyOf } from "../ledger/chain.ts";
import { changePack, changeText, nameOf, Published } from "../ledger/evidence/packs.ts";
import { startChromium } from "./chromium.ts";

const ledger = Published.of(150);
const vkey = formatVerifierKey(makeLogKey(ORIGIN, ledger.genesis.bytes));
let browser: Browser;
let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "scimseal-page-"));
  await writeVerifier(join(dir, "verifier.html"));
  browser = await startChromium();
});
afterAll(async () => {
  await browser.close();
  await rm(dir, { recursive: true, force: true });
});

/** Opens the page from the disk; fails the test if it asks for anything, or says an error. */
async function open(prepare = ""): Promise<Page> {
  const context = await browser.newContext();
  onTestFinished(() => context.close());
  if (prepare) await context.addInitScript(prepare);
  const page = await context.newPage();
  const problems: string[] = [];
  page.on("request", (request) => {
    if (!request.url().startsWith("file:")) problems.push(request.url());
  });
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  page.on("pageerror", (error) => problems.push(error.message));
  onTestFinished(() => expect(problems).toEqual([]));
  await page.goto(pathToFileURL(join(dir, "verifier.html")).href);
  return page;
}

async function check(page: Page, pack: Uint8Array, key = vkey, earlier = ""): Promise<string> {
  const file = join(dir, "pack.tar");
  await writeFile(file, pack);
  await page.setInputFiles("#pack", file);
  await page.fill("#key", key);
  await page.fill("#earlier", earlier);
  await page.click("#check");
  await page.waitForSelector("#check:not([disabled])");
  return (await page.textContent("#verdict")) ?? "";
}

const factsOf = (page: Page) => page.textContent("#facts");

describe("in Chromium", () => {
  test("a good pack, entry by entry", async () => {
    const page = await open();
    expect(await check(page, await ledger.pack())).toBe("All is well: 301 entries checked.");
    expect(await page.evaluate("document.activeElement.id")).toBe("verdict");
    const facts = await factsOf(page);
    expect(facts).toContain("Complete: no entry is left out");
    expect(facts).toContain("this browser (WebCrypto)");
    expect(facts).toContain("Not compared with an earlier checkpoint");
    expect(await page.locator("#rows tr").count()).toBe(250);
    await page.click("#more");
    expect(await page.locator("#rows tr.good").count()).toBe(301);
    expect(await page.locator("#rows tr").nth(7).textContent()).toContain("PATCH /Users/");
  });

  test("a tampered pack: the entry is named, its neighbours stay good", async () => {
    const bad = await changeText(await ledger.pack(), nameOf("entries", 0), (text) => {
      const lines = text.split("\n");
      return lines
        .with(
          20,
          (lines[20] ?? "").replace(/.$/, (last) => (last === "A" ? "Q" : "A")),
        )
        .join("\n");
    });
    const page = await open();
    expect(await check(page, bad)).toBe("Not in order: 2 findings in 301 entries.");
    expect(await page.textContent("#findings")).toContain("Entry 20: signature_invalid");
    await page.check("#only-bad");
    expect(await page.locator("#rows tr").allTextContents()).toEqual([
      "20proof_invalid, signature_invalidnothing that a trusted key signed",
    ]);
  });

  test("a tampered attachment, a pack cut off, another's key, the key that travels with it", async () => {
    const page = await open();
    const pack = await ledger.pack({ query: { kind: "range", from: 3, to: 8 } });
    const swapped = await changePack(pack, (member) =>
      member.name.endsWith("/body") ? { ...member, bytes: Buffer.from("{}") } : member,
    );
    expect(await check(page, swapped)).toContain("Not in order: 3 findings");
    expect(await check(page, pack.subarray(0, 9_000))).toContain("Not in order");
    expect(await page.textContent("#findings")).toContain("the pack ends too early");
    const other = JSON.stringify(formatPublicJwk(publicKeyOf(newSigner()).bytes));
    expect(await check(page, pack, other)).toContain("Not in order");
    expect(await check(page, pack, JSON.stringify(formatPublicJwk(ledger.genesis.bytes)))).toContain(
      "All is well",
    );
    expect(await check(page, pack, "")).toBe("Give the ledger's public key first.");
  });

  test("an earlier checkpoint is continued, or is not", async () => {
    const page = await open();
    const earlier = ledger.checkpoints[4]?.note ?? "";
    expect(await check(page, await ledger.pack(), vkey, earlier)).toContain("All is well");
    expect(await factsOf(page)).toContain("It continues your checkpoint");
    const cut = await ledger.pack({ query: { kind: "range", from: 200, to: 210 } });
    expect(await check(page, cut, vkey, earlier)).toContain("Not compared with your checkpoint");
    expect(await page.getAttribute("#verdict", "class")).toBe("unsettled");
    expect(await page.textContent("#findings")).toContain("the pack has no proof about that tree");
    const other = new Published(ledger.chain.signer).add(150);
    other.publish();
    expect(await check(page, await other.pack(), vkey, earlier)).toContain("Not in order");
    expect(await page.textContent("#findings")).toContain("earlier_mismatch");
  });

  test("what was given as a checkpoint and is none of this ledger is named, and what to paste; the pack is not blamed", async () => {
    const page = await open();
    const pack = await ledger.pack();
    expect(await check(page, pack, vkey, "garbage")).toMatch(
      /^What you gave as an earlier checkpoint is none: the note has no empty line.*Paste the whole signed note/,
    );
    expect(await page.textContent("#findings")).toBe("");
    const elsewhere = new Published(newSigner(), "elsewhere.example/main").add(3).publish();
    for (const given of [elsewhere, Published.of(3).checkpoints[0]?.note ?? ""]) {
      expect(await check(page, pack, vkey, given)).toContain("In the pack itself nothing is wrong");
      expect(await page.getAttribute("#verdict", "class")).toBe("unsettled");
      expect(await page.textContent("#findings")).toContain("the checkpoint you gave");
      expect(await factsOf(page)).toContain("none that this ledger signed");
    }
  });

  test("without WebCrypto its own code gives the same verdicts", async () => {
    const page = await open("Object.defineProperty(globalThis.crypto, 'subtle', { value: undefined })");
    const pack = await ledger.pack({ query: { kind: "range", from: 0, to: 40 } });
    expect(await check(page, pack)).toBe("All is well: 41 entries checked.");
    expect(await factsOf(page)).toContain("this page's own code");
    const bad = await changeText(pack, nameOf("entries", 0), (text) =>
      text.replace(/.\n/, (end) => (end === "A\n" ? "Q\n" : "A\n")),
    );
    expect(await check(page, bad)).toContain("Not in order: 2 findings");
  });

  test("text of a pack is text, never markup", async () => {
    const page = await open();
    const bad = await changeText(
      await ledger.pack({ query: { kind: "range", from: 0, to: 1 } }),
      "statement.json",
      (text) => text.replace('"leftOut": []', '"leftOut": ["<img src=x onerror=alert(1)>"]'),
    );
    await check(page, bad);
    expect(await factsOf(page)).toContain("<img src=x");
    expect(await page.locator("img").count()).toBe(0);
  });

  test("every field has a name, and the keyboard is enough", async () => {
    const page = await open();
    const unnamed = await page.evaluate(
      "[...document.querySelectorAll('input, textarea, button, progress')].filter((one) => !(one.labels && one.labels.length) && !one.ariaLabel && !one.textContent.trim()).map((one) => one.id)",
    );
    expect(unnamed).toEqual([]);
    await writeFile(
      join(dir, "keyboard.tar"),
      await ledger.pack({ query: { kind: "range", from: 0, to: 1 } }),
    );
    await page.setInputFiles("#pack", join(dir, "keyboard.tar"));
    await page.focus("#key");
    await page.keyboard.type(vkey);
    await page.focus("#check");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#verdict.good");
  });
});

test("ten thousand entries in five seconds", async () => {
  const large = Published.of(0);
  large.add(5_000).publish();
  const pack = await large.pack();
  const page = await open();
  const started = performance.now();
  const key = JSON.stringify(formatPublicJwk(large.genesis.bytes));
  expect(await check(page, pack, key)).toBe("All is well: 10001 entries checked.");
  const tookMs = performance.now() - started;
  console.info(`10,001 entries with 10,000 attachments in ${Math.round(tookMs)} ms`);
  // Five seconds on a machine of its own; this one may be shared by other tests.
  expect(tookMs).toBeLessThan(15_000);
});
