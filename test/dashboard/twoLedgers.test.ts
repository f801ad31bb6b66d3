// The dashboard over two ledgers, and for an auditor who may see one connector only: of the others nothing is to be seen on
// any page, in no answer that the page was given, not live and in no file.

import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { startApp } from "../../src/app.ts";
import { addCredential } from "../../src/auth/credentialFile.ts";
import { loadConfig } from "../../src/config/load.ts";
import { startTarget } from "../../src/demo/target.ts";
import { saveKey } from "../../src/keys/keyFile.ts";
import { generateSealingKey } from "../../src/keys/sealingKey.ts";
import { formatPinnedJwk, formatPrivateJwk, generateKey } from "../../src/keys/signer.ts";
import { generateTokenKey } from "../../src/keys/tokenKey.ts";
import { prepareDataDir } from "../support/system.ts";
import { type DeskSystem, findingsOf, OUTPUT, TestDesk, until, useLink } from "./desk.ts";

/** Connectors `okta` and `entra` write to ledger `main`, `payroll` to ledger `second`. */
async function startTwoLedgers(): Promise<DeskSystem> {
  const dataDir = await mkdtemp(join(tmpdir(), "scimseal-test-"));
  const targetToken = randomBytes(32).toString("base64url");
  const target = await startTarget({ token: targetToken });
  const { configFile, ...tokens } = await prepareDataDir(dataDir, target.url, targetToken);
  const key = generateKey();
  await saveKey(join(dataDir, "keys/second.jwk"), formatPrivateJwk(key));
  await saveKey(join(dataDir, "keys/second.token.key"), generateTokenKey());
  await saveKey(join(dataDir, "keys/second.sealing.jwks"), generateSealingKey());
  await saveKey(join(dataDir, "keys/second.genesis.pub.jwk"), formatPinnedJwk(key));
  const scope = { kind: "client", connector: "payroll", name: "payroll-test" } as const;
  payrollToken = (await addCredential(dataDir, scope, new Date())).token;
  const config = parse(await readFile(configFile, "utf8"));
  config.ledgers.second = {
    origin: "test.scimseal.example/second",
    signingKey: { file: "keys/second.jwk" },
    pinnedKeys: ["keys/second.genesis.pub.jwk"],
    tokenKey: { file: "keys/second.token.key" },
    sealingKey: { file: "keys/second.sealing.jwks" },
  };
  config.connectors.payroll = { ...config.connectors.entra, ledger: "second" };
  await writeFile(configFile, stringify(config));
  const app = await startApp(await loadConfig(configFile), pino({ level: "silent" }));
  const baseUrl = `${app.publicUrl}/okta/scim/v2`;
  return {
    app,
    dataDir,
    baseUrl,
    ...tokens,
    superuserUrl: app.embeddedUrls?.superuser ?? "",
    request: () => Promise.reject(new Error("say which connector")),
    stop: async () => {
      await app.stop();
      await target.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

let desk: TestDesk;
let payrollToken: string;

type Connector = "okta" | "entra" | "payroll";

async function create(connector: Connector, path: "Users" | "Groups", name: string): Promise<string> {
  const { system } = desk;
  const token = { okta: system.token, entra: system.otherToken, payroll: payrollToken }[connector];
  const body =
    path === "Users"
      ? { userName: name, displayName: `${name} display`, active: true }
      : { displayName: name };
  const response = await fetch(`${system.app.publicUrl}/${connector}/scim/v2/${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/scim+json" },
    body: JSON.stringify({
      schemas: [`urn:ietf:params:scim:schemas:core:2.0:${path === "Users" ? "User" : "Group"}`],
      ...body,
    }),
  });
  const { id } = (await response.json()) as { id?: string };
  if (response.status !== 201 || id === undefined) throw new Error(`not created: ${response.status}`);
  return id;
}

const ids = { seen: "", hidden: "" };
/** A transaction of each connector. */
const txns = new Map<string, string>();

beforeAll(async () => {
  desk = await TestDesk.over(startTwoLedgers);
  ids.seen = await create("okta", "Users", "seen.ada@example.com");
  await create("okta", "Groups", "Seen group");
  ids.hidden = await create("entra", "Users", "hidden.eve@example.com");
  await create("entra", "Users", "hidden.ida@example.com");
  await create("entra", "Groups", "Hidden group");
  await create("payroll", "Users", "hidden.hal@example.com");
  await desk.settled();
  for (const ledger of ["main", "second"]) {
    const { transactions } = await desk.ask<{ transactions: { connector: string; txn: string }[] }>(
      `/audit/v1/transactions?ledger=${ledger}`,
    );
    for (const { connector, txn } of transactions) txns.set(connector, txn);
  }
}, 120_000);
afterAll(() => desk.stop());

describe("an auditor of one connector", () => {
  const HIDDEN = /hidden|"entra|"payroll|entra-test|payroll-test/i;
  const WORDS = /hidden|\bentra\b|payroll/i;

  /** Signed in; and every answer that came, but for what streams. */
  async function scoped(expectedErrors?: RegExp): Promise<{ page: Page; answers: string[] }> {
    const page = await desk.browser({}, expectedErrors);
    const answers: string[] = [];
    page.on("response", (response) => {
      const { pathname } = new URL(response.url());
      const isAnswer = pathname.startsWith("/audit/v1/") || pathname === "/session";
      if (!isAnswer || pathname === "/audit/v1/live") return;
      // A page that was left takes its answers with it.
      response.text().then(
        (text) => answers.push(`${pathname} ${text}`),
        () => {},
      );
    });
    await page.goto(await desk.link("auditor", ["okta"]));
    await useLink(page);
    return { page, answers };
  }

  const words = async (page: Page) => (await page.locator("main").textContent()) ?? "";

  test("sees nothing of another's on any page, nor in any answer behind it", async () => {
    const { page, answers } = await scoped();
    for (const [name, path, shows, has] of [
      ["overview", "/", ".chart canvas", "okta"],
      ["activity", "/activity", ".txns .row-link", "seen.ada@example.com"],
      ["nothing", "/activity?text=hidden", ".notice", ""],
      ["effects", `/activity?filter=${encodeURIComponent('connector ne "okta"')}`, ".notice", ""],
      ["accounts", "/accounts", ".accounts .row-link", "Seen group"],
      ["account", `/accounts/User/${ids.seen}`, ".state", "seen.ada@example.com"],
      ["transaction", `/transactions/main/${txns.get("okta")}`, ".key-form", "okta"],
      ["connectors", "/connectors", ".connector .plain", "okta-test"],
      ["ledger", "/ledger", ".panel", "second"],
    ] as const) {
      await desk.open(page, path, shows);
      await page.waitForLoadState("networkidle").catch(() => {});
      const text = await words(page);
      if (name !== "ledger") expect([name, text]).toEqual([name, expect.stringContaining(has)]);
      // The form of the connectors' page explains Entra to everybody.
      if (name !== "connectors") expect([name, WORDS.exec(text)?.[0]]).toEqual([name, undefined]);
      expect([name, await findingsOf(page)]).toEqual([name, []]);
      await page.screenshot({ path: `${OUTPUT}scoped-${name}.png` });
    }
    expect(answers.length).toBeGreaterThan(15);
    expect(answers.filter((answer) => HIDDEN.test(answer))).toEqual([]);
    // The same questions tell an auditor of everything: the words that are looked for do occur.
    expect(JSON.stringify(await desk.ask("/audit/v1/transactions"))).toMatch(HIDDEN);
  });

  test("finds its facets, its counts and its other ledger empty of others", async () => {
    const { page, answers } = await scoped();
    await desk.open(page, "/activity", ".facet-value");
    const facets = await page.locator(".facet-value").allTextContents();
    expect(facets.some((facet) => facet.startsWith("okta"))).toBe(true);
    expect(facets.filter((facet) => WORDS.test(facet))).toEqual([]);
    expect(await page.locator(".txns .row-link").count()).toBe(2);
    await page.locator(".ledger-choice select").selectOption("second");
    await page.locator(".notice").waitFor();
    expect(await page.locator(".txns .row-link, .facet-value").count()).toBe(0);
    expect(answers.filter((answer) => HIDDEN.test(answer))).toEqual([]);
  });

  test("is given no file with another's, and no page of another's by its address", async () => {
    const { page, answers } = await scoped(/40[34]/);
    await desk.open(page, "/activity", ".txns .row-link");
    for (const format of ["CSV", "NDJSON"]) {
      const text = String(
        await page.evaluate(
          `fetch([...document.links].find((a) => a.textContent.includes('${format}')).href).then((r) => r.text())`,
        ),
      );
      expect(text).toContain("seen.ada@example.com");
      expect(text).not.toMatch(WORDS);
    }
    for (const path of [
      `/accounts/User/${ids.hidden}`,
      `/accounts/User/${ids.hidden}?connector=entra`,
      `/transactions/main/${txns.get("entra")}`,
      `/transactions/second/${txns.get("payroll")}`,
    ]) {
      await desk.open(page, path, ".notice, [role=alert]");
      expect([path, WORDS.exec((await words(page)).replaceAll(path, ""))?.[0]]).toEqual([path, undefined]);
    }
    expect(answers.filter((answer) => HIDDEN.test(answer))).toEqual([]);
    // A pack of an account holds everybody's events: it is not for him, and is not offered.
    await desk.open(page, `/accounts/User/${ids.seen}`, ".state");
    expect(await page.getByRole("link", { name: "Evidence pack" }).count()).toBe(0);
    await desk.open(page, `/transactions/main/${txns.get("okta")}`, ".key-form");
    expect(await page.getByRole("link", { name: "Evidence pack" }).count()).toBe(1);
  });

  test("sees live what is his, and nothing else goes by", async () => {
    const { page } = await scoped();
    await desk.open(page, "/activity", ".txns .row-link");
    await page.getByRole("button", { name: "Live", exact: true }).waitFor();
    // The stream itself, as the page is given it.
    await page.evaluate(
      `(async () => {
      window.streamed = "";
      const { body } = await fetch("/audit/v1/live?ledger=main");
      for await (const piece of body.pipeThrough(new TextDecoderStream())) window.streamed += piece;
    })().catch((error) => { window.streamed += String(error); })`.replace("(async", "void (async"),
    );
    await page.waitForFunction("window.streamed.includes('retry')");
    await create("entra", "Users", "hidden.live@example.com");
    await create("payroll", "Users", "hidden.pay@example.com");
    await create("okta", "Users", "seen.live@example.com");
    await page.getByText("seen.live@example.com").waitFor();
    await page.waitForFunction("window.streamed.includes('seen.live@example.com')");
    expect(await page.evaluate("window.streamed")).not.toMatch(HIDDEN);
    expect(await words(page)).not.toMatch(WORDS);
  });
});

describe("two ledgers", () => {
  test.each([
    ["/activity", ".txns .row-link, .facet-value"],
    ["/accounts", ".accounts .row-link"],
    ["/", ".legend-item, .bars li, .txns .row-link"],
    ["/ledger", ".panel[aria-labelledby=events] td, .panel[aria-labelledby=checkpoints] td, .vkeys li"],
  ])("%s shows nothing of one while the other is asked", async (path, shows) => {
    const page = await desk.browser({ storageState: await desk.stateOf("admin") });
    await desk.open(page, path, shows);
    const held = Promise.withResolvers<void>();
    await page.route(/second/, async (route) => {
      await held.promise;
      await route.continue();
    });
    const asked = page.waitForRequest(/second/);
    await page.locator(".ledger-choice select").selectOption("second");
    await asked;
    await page.locator(".skeleton").first().waitFor();
    expect(await page.locator(shows).count()).toBe(0);
    held.resolve();
    await page.locator(shows).first().waitFor();
    await page.unrouteAll({ behavior: "wait" });
  });

  test("one is looked at, the other is one choice away, and neither shows the other's", async () => {
    const page = await desk.signedIn("admin");
    await desk.open(page, "/activity", ".txns .row-link");
    const text = async () => (await page.locator(".results").textContent()) ?? "";
    expect(await text()).toContain("hidden.eve@example.com");
    expect(await text()).not.toContain("hidden.hal@example.com");
    await page.locator(".ledger-choice select").selectOption("second");
    await page.getByText("hidden.hal@example.com").waitFor();
    await until(async () => !(await text()).includes("hidden.eve@example.com"));
    expect(await page.locator(".facet-value").allTextContents()).not.toContainEqual(
      expect.stringContaining("okta"),
    );
    // Live too: what the other ledger gets does not go by here.
    await page.getByRole("button", { name: "Live", exact: true }).waitFor();
    await create("okta", "Users", "other.live@example.com");
    await create("payroll", "Users", "own.live@example.com");
    await page.getByText("own.live@example.com").waitFor();
    expect(await text()).not.toContain("other.live@example.com");
    // It is kept for the next time, and a link to a transaction is to one ledger.
    await page.reload();
    await page.getByText("hidden.hal@example.com").waitFor();
    await page.locator(".txns .row-link").first().click();
    await page.getByRole("heading", { level: 1, name: "Transaction" }).waitFor();
    expect(new URL(page.url()).pathname).toMatch(/^\/transactions\/second\//);
    await desk.open(page, `/transactions/main/${txns.get("okta")}`, ".key-form");
    expect(await page.locator(".ledger-choice select").inputValue()).toBe("main");
    await desk.open(page, "/", ".chart canvas");
    await page.screenshot({ path: `${OUTPUT}two-ledgers.png` });
    expect(await findingsOf(page)).toEqual([]);
  });
});
