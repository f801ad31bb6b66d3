// A dashboard for the browser tests: a whole running system with a day of traffic in it, a real Chromium, and people who
// came in by sign-in links. A page that says an error, asks another host, or runs what a value brought fails its test.

import { readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { expect, onTestFinished } from "vitest";
import { addSignInLink } from "../../src/auth/session/signInLink.ts";
import { buildDashboard } from "../../src/dashboard/build.ts";
import { playDay } from "../../src/demo/day.ts";
import { loadPinned } from "../../src/keys/keyring.ts";
import { formatVerifierKey, makeLogKey } from "../../src/ledger/note/verifierKey.ts";
import { startChromium } from "../browser/chromium.ts";
import { ORIGIN, type System, startSystem } from "../support/system.ts";

type StorageState = Exclude<BrowserContextOptions["storageState"], string | undefined>;
type Role = "operator" | "auditor" | "admin";
/** What of a system the tests of the dashboard use. */
export type DeskSystem = Pick<
  System,
  | "app"
  | "dataDir"
  | "baseUrl"
  | "token"
  | "otherToken"
  | "auditorToken"
  | "superuserUrl"
  | "request"
  | "stop"
>;

/** Where screenshots are left; not in the repository. */
export const OUTPUT = fileURLToPath(new URL("../../test-output/dashboard/", import.meta.url));

/** What a value of the hostile fixture sets if it ever runs. */
export const HOSTILE = [
  '<img src=x onerror="window.owned=1">',
  "javascript:window.owned=1",
  "\u202egnp.evil\u200b<script>window.owned=1</script>",
  `"><svg/onload=window.owned=1>${"x".repeat(300)}`,
] as const;

export class TestDesk {
  readonly system: DeskSystem;
  readonly #browser: Browser;
  readonly #states = new Map<Role, StorageState>();

  private constructor(system: DeskSystem, browser: Browser) {
    this.system = system;
    this.#browser = browser;
  }

  /** Builds the dashboard, starts everything and plays the day. */
  static async start(): Promise<TestDesk> {
    const desk = await TestDesk.over(startSystem);
    const { system } = desk;
    const day = playDay({
      baseUrl: system.baseUrl,
      entraBaseUrl: system.baseUrl.replace("/okta/", "/entra/"),
      token: system.token,
      entraToken: system.otherToken,
      seed: 7,
    });
    for await (const { expected, what } of day) if (!expected) throw new Error(`not as expected: ${what}`);
    await desk.settled();
    return desk;
  }

  /** Over a system of one's own, as it is. */
  static async over(open: () => Promise<DeskSystem>): Promise<TestDesk> {
    await Promise.all([buildDashboard(), mkdir(OUTPUT, { recursive: true })]);
    const [system, browser] = await Promise.all([open(), startChromium()]);
    return new TestDesk(system, browser);
  }

  async stop(): Promise<void> {
    await this.#browser.close();
    await this.system.stop();
  }

  /** Asks the API as a program. */
  async ask<Answer>(path: string): Promise<Answer> {
    const answer = await this.askIfAny<Answer>(path);
    if (answer === undefined) throw new Error(`${path}: there is none`);
    return answer;
  }

  /** The same for what may not be there yet. */
  async askIfAny<Answer>(path: string): Promise<Answer | undefined> {
    const headers = { authorization: `Bearer ${this.system.auditorToken}` };
    const response = await fetch(this.system.app.adminUrl + path, { headers });
    if (response.status === 404) return undefined;
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as Answer;
  }

  /** Waits until index and newest checkpoint of every ledger hold all that was written up to now. */
  async settled(): Promise<void> {
    const { ledgers } = await this.ask<{ ledgers: { name: string; size: number }[] }>("/audit/v1/status");
    for (const { name, size } of ledgers) {
      await until(async () => {
        const { covers } = await this.ask<{ covers: { to: number } }>(
          `/audit/v1/transactions?limit=1&ledger=${name}`,
        );
        // A fresh ledger's first checkpoint comes up to a second after its first entry.
        const latest = await this.askIfAny<{ checkpoint: { size: number } }>(
          `/audit/v1/ledgers/${name}/checkpoints/latest`,
        );
        return covers.to >= size && (latest?.checkpoint.size ?? 0) >= size;
      });
    }
  }

  /** Creates a user through the proxy. */
  async create(userName: string, more: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const schemas = ["urn:ietf:params:scim:schemas:core:2.0:User"];
    const body = JSON.stringify({ schemas, userName, active: true, ...more });
    const response = await this.system.request("POST", "/Users", { body });
    const answer = (await response.json()) as { id?: string };
    if (response.status !== 201) throw new Error(`not created: ${response.status}`);
    return answer.id ?? "";
  }

  get vkey(): string {
    const [key] = loadPinned([`${this.system.dataDir}/keys/main.genesis.pub.jwk`]);
    if (!key) throw new Error("no key is pinned");
    return formatVerifierKey(makeLogKey(ORIGIN, key.bytes));
  }

  /** A fresh sign-in link; for some connectors only, if they are named. */
  async link(role: Role, connectors?: string[]): Promise<string> {
    const reach = {
      role,
      ledgers: "*" as const,
      name: `${role}-test`,
      ...(connectors && { connectors }),
    };
    const { secret } = await addSignInLink(this.system.dataDir, reach, new Date());
    return `${this.system.app.adminUrl}/#signin=${secret}`;
  }

  /**
   * A browser of its own with an empty page. `expectedErrors`: console lines that the test provokes; `isPosix`: its
   * language is that of the machine's POSIX locale.
   */
  async browser(options: BrowserContextOptions = {}, expectedErrors = /^$/, isPosix = false): Promise<Page> {
    const context = await this.#browser.newContext({
      ...(isPosix ? {} : { locale: "en-US" }),
      timezoneId: "Europe/Berlin",
      viewport: { width: 1440, height: 900 },
      reducedMotion: "reduce",
      ...options,
    });
    onTestFinished(() => context.close());
    // Less than a test has, so that what is waited for in vain is named.
    context.setDefaultTimeout(20_000);
    const page = await context.newPage();
    const problems: string[] = [];
    page.on("console", (message) => {
      if (message.type() === "error" && !expectedErrors.test(message.text())) problems.push(message.text());
    });
    page.on("pageerror", (error) => problems.push(String(error)));
    page.on("dialog", (dialog) => {
      problems.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on("request", (request) => {
      if (!request.url().startsWith(this.system.app.adminUrl)) problems.push(`asked ${request.url()}`);
    });
    onTestFinished(() => expect(problems).toEqual([]));
    return page;
  }

  /** Somebody who has just signed in, on the overview. */
  async signedIn(
    role: Role = "admin",
    options: BrowserContextOptions = {},
    expectedErrors = /^$/,
  ): Promise<Page> {
    const page = await this.browser(options, expectedErrors);
    await page.goto(await this.link(role));
    await useLink(page);
    return page;
  }

  /** The cookies of somebody who has signed in, for tests that are not about that. */
  async stateOf(role: Role): Promise<StorageState> {
    const known = this.#states.get(role);
    if (known) return known;
    const context = await this.#browser.newContext();
    const page = await context.newPage();
    await page.goto(await this.link(role));
    await useLink(page);
    const state = await context.storageState();
    await context.close();
    this.#states.set(role, state);
    return state;
  }

  /** An auditor's browser, signed in before. */
  async visitor(expectedErrors = /^$/): Promise<Page> {
    return this.browser({ storageState: await this.stateOf("auditor") }, expectedErrors);
  }

  /** Goes to a page of the dashboard and waits until it shows what it is about. */
  async open(page: Page, path: string, until: string): Promise<void> {
    await page.goto(this.system.app.adminUrl + path);
    await page.locator(until).first().waitFor();
  }
}

/** Says yes to a sign-in link that was opened. */
export async function useLink(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
}

const AXE = readFileSync(new URL("../../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");

/** What axe finds on a page by WCAG 2.2 A and AA and its best practices, as lines. */
export async function findingsOf(page: Page): Promise<string[]> {
  if (!(await page.evaluate("Boolean(window.axe)"))) await page.evaluate(AXE);
  const rules = "['wcag2a','wcag2aa','wcag21a','wcag21aa','wcag22aa','best-practice']";
  return page.evaluate(
    `axe.run(document, {runOnly: ${rules}, resultTypes: ['violations']}).then(({violations}) => violations.map((one) => one.id + ": " + one.nodes.map((node) => node.html.slice(0, 120)).join(" | ")))`,
  );
}

export async function until(holds: () => Promise<boolean>, withinMs = 20_000): Promise<void> {
  const end = Date.now() + withinMs;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error("it did not come about in time");
    await sleep(50);
  }
}
