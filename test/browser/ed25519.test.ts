// Ed25519 on the edges where verifiers differ, in a real Chromium: every published case and every one of our own, one by
// one, on its WebCrypto and on the portable code as the verifier's page bundles them. Its strictness must not be what a
// verdict hangs on, nor Node's what this project was only ever tested with.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Browser, Page } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import edges from "../vectors/ed25519Edges.json" with { type: "json" };
import published from "../vectors/ed25519Public.json" with { type: "json" };
import { startChromium } from "./chromium.ts";

interface Case {
  name: string;
  key: string;
  message: string;
  signature: string;
  valid: boolean;
}

const PUBLISHED: Case[] = published.groups.flatMap(({ name, cases }) =>
  cases.map(({ id, key, message, signature, valid }) => ({
    name: `${name} ${id}`,
    key,
    message,
    signature,
    valid,
  })),
);
const OWN: Case[] = edges.cases.map(({ desc, ...rest }) => ({ name: desc, ...rest }));
const GOOD = OWN.find(({ valid }) => valid)?.signature ?? "";
const KEYS: Case[] = edges.keys
  .filter(({ strict }) => !strict)
  .map(({ desc, key }) => ({ name: `key: ${desc}`, key, message: "01", signature: GOOD, valid: false }));

const sourceOf = (path: string) => fileURLToPath(new URL(`../../src/${path}`, import.meta.url));
let browser: Browser;
let page: Page;
let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "scimseal-ed25519-"));
  const entry = join(dir, "entry.ts");
  await writeFile(
    entry,
    `import { verifySignature } from ${JSON.stringify(sourceOf("ledger/ed25519.ts"))};
import { createWebVerify } from ${JSON.stringify(sourceOf("ledger/webVerify.ts"))};
import { chooseVerifier } from ${JSON.stringify(sourceOf("verifier/signatures.ts"))};
const bytes = (hex: string) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
const web = createWebVerify(crypto.subtle);
globalThis.verdicts = async ({ key, message, signature }) => {
  const all = [bytes(key), bytes(message), bytes(signature)];
  return { portable: verifySignature(...all), web: await web(...all) };
};
globalThis.chosen = async () => (await chooseVerifier(crypto.subtle)).name;
`,
  );
  const built = await build({
    configFile: false,
    logLevel: "error",
    publicDir: false,
    build: {
      write: false,
      target: "es2023",
      minify: true,
      modulePreload: false,
      rolldownOptions: { input: entry, output: { format: "iife" } },
    },
  });
  const [result] = Array.isArray(built) ? built : [built];
  const chunk = result && "output" in result ? result.output.find(({ type }) => type === "chunk") : undefined;
  if (chunk?.type !== "chunk") throw new Error("the bundler gave no script");
  const html = join(dir, "page.html");
  await writeFile(html, "<!doctype html><title>Ed25519</title>");
  browser = await startChromium();
  page = await browser.newPage();
  await page.goto(pathToFileURL(html).href);
  await page.addScriptTag({ content: chunk.code });
});
afterAll(async () => {
  await browser?.close();
  await rm(dir, { recursive: true, force: true });
});

test("the browser has Ed25519 of its own, so that WebCrypto is what is tested", async () => {
  expect(await page.evaluate("chosen()")).toBe("WebCrypto");
  expect([PUBLISHED.length, OWN.length > 10, KEYS.length > 8]).toEqual([163, true, true]);
});

describe.each([
  ["published", PUBLISHED],
  ["our own", OWN],
  ["keys", KEYS],
] as const)("%s", (_, cases) => {
  test.each(cases)("$name", async ({ valid, ...one }) => {
    expect(await page.evaluate(`verdicts(${JSON.stringify(one)})`)).toEqual({ portable: valid, web: valid });
  });
});
