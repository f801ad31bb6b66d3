// Searching a long history over the API of a running instance: latencies by kind of question, a long timeline, a state in
// the past, an export, the dashboard's first page, and what searching costs the writes.

import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { addSignInLink } from "../src/auth/session/signInLink.ts";
import { startChromium } from "../test/browser/chromium.ts";
import { fetchFrom, indexCaughtUp } from "./auditApi.ts";
import { median, quantile, residentMiB } from "./figures.ts";
import { runLoad } from "./load.ts";
import { BUSY_USER } from "./seed/history.ts";
import { type Seeded, seedHistory } from "./seed/record.ts";
import { openStage, type Stage } from "./stage.ts";

export interface SearchReport {
  transactions: number;
  /** Absent: it was there already. */
  seeded?: Seeded;
  /** Milliseconds at the API, by question; and over all of them. */
  questions: Record<string, Latency>;
  all: Latency;
  timelineMs: number;
  stateAtMs: number;
  csv: { rows: number; rowsPerSecond: number; residentGrowthMiB: number };
  /** From navigation until the first page takes input, headless Chromium. */
  dashboardMs: number;
  /** Audited writes a second without and with searches beside them; medians of interleaved rounds. */
  writes: { alone: number; withSearch: number; share: number };
}

interface Latency {
  p50Ms: number;
  p99Ms: number;
}

const ROUNDS = 40;
const LOAD_ROUNDS = 5;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** Queries as people ask them: rare and common values, both orders, names in every way. */
const QUESTIONS: Readonly<Record<string, string>> = {
  newest: "",
  oldest: "order=oldest",
  "one account by userName": `filter=${encodeURIComponent(`userName eq "${BUSY_USER}"`)}`,
  "nobody of that name": `filter=${encodeURIComponent('userName eq "nobody@example.com"')}`,
  "name begins with": `filter=${encodeURIComponent('displayName sw "Brenna"')}`,
  "text of a name": "text=Stel%20Gra",
  "failures of a week": `filter=${encodeURIComponent(`status ge 400 and time gt "${daysAgo(7)}"`)}`,
  "deactivations by one connector": `filter=${encodeURIComponent('effect eq "deactivate" and connector eq "okta"')}`,
  "unknown outcomes, oldest first": `order=oldest&filter=${encodeURIComponent('outcome eq "unknown"')}`,
  "deletions a year ago": `filter=${encodeURIComponent(`action eq "delete" and time lt "${daysAgo(365)}"`)}`,
  "slow ones": `filter=${encodeURIComponent("duration gt 2000")}`,
  "not okta, not users": `filter=${encodeURIComponent('not (connector eq "okta") and resourceType eq "Group"')}`,
};

/** On a history of so many transactions, or on the one that `npm run seed` made in `dir`. */
export async function measureSearch(
  { transactions, dir }: { transactions: number; dir: string | undefined },
  say: (line: string) => void,
): Promise<SearchReport> {
  let seeded: Seeded | undefined;
  const fill = async (configFile: string) => {
    seeded = await seedHistory({ configFile, transactions, seed: 1, days: 400 }, quiet, say);
  };
  const stage = await openStage(dir === undefined ? { fill } : { dataDir: resolve(dir) });
  try {
    await indexCaughtUp(stage, say);
    const questions = await ask(stage, say);
    const account = await busyAccount(stage);
    const timelineMs = await medianOf(() => get(stage, account));
    const stateAtMs = await medianOf(() => get(stage, `${account}&at=${encodeURIComponent(daysAgo(100))}`));
    say("an export of everything");
    const csv = await exportAll(stage);
    say("the first page in Chromium");
    const dashboardMs = await openDashboard(stage);
    say("writes with and without searches");
    const writes = await writesBeside(stage);
    const times = Object.values(questions).flat();
    return {
      transactions: csv.rows,
      ...(seeded && { seeded }),
      questions: Object.fromEntries(Object.entries(questions).map(([name, list]) => [name, latency(list)])),
      all: latency(times),
      timelineMs,
      stateAtMs,
      csv,
      dashboardMs,
      writes,
    };
  } finally {
    await stage.close();
  }
}

async function ask(stage: Stage, say: (line: string) => void): Promise<Record<string, number[]>> {
  const times: Record<string, number[]> = {};
  // Interleaved, so that no question has the caches to itself.
  for (let round = -2; round < ROUNDS; round++) {
    for (const [name, query] of Object.entries(QUESTIONS)) {
      const at = performance.now();
      await (await get(stage, `transactions?${query}`)).arrayBuffer();
      times[name] ??= [];
      if (round >= 0) times[name].push(performance.now() - at);
    }
  }
  for (const [name, list] of Object.entries(times)) say(`${name}: ${JSON.stringify(latency(list))}`);
  return times;
}

async function busyAccount(stage: Stage): Promise<string> {
  const query = `accounts?filter=${encodeURIComponent(`userName eq "${BUSY_USER}"`)}`;
  const { accounts } = (await (await get(stage, query)).json()) as {
    accounts: { type: string; id: string; connector: string }[];
  };
  const [account] = accounts;
  if (!account) throw new Error("the account with the long timeline is not found");
  return `accounts/${account.type}/${account.id}?connector=${account.connector}`;
}

async function exportAll(stage: Stage): Promise<SearchReport["csv"]> {
  const before = residentMiB(stage.proxyPid);
  let peak = before;
  const watch = setInterval(() => {
    peak = Math.max(peak, residentMiB(stage.proxyPid));
  }, 200);
  const at = performance.now();
  let rows = -1;
  const response = await get(stage, "transactions.csv");
  for await (const chunk of response.body ?? []) for (const byte of chunk) if (byte === 10) rows++;
  const seconds = (performance.now() - at) / 1000;
  clearInterval(watch);
  return { rows, rowsPerSecond: Math.round(rows / seconds), residentGrowthMiB: Math.round(peak - before) };
}

/** From the address to a page that shows this ledger's data and takes input, each time in a browser that knows nothing. */
async function openDashboard({ adminUrl, dataDir }: Stage): Promise<number> {
  const reach = { role: "auditor", ledgers: "*", name: "bench" } as const;
  const { secret } = await addSignInLink(dataDir, reach, new Date());
  const signedIn = await fetch(`${adminUrl}/session`, {
    method: "POST",
    headers: { origin: adminUrl, "content-type": "application/json" },
    body: JSON.stringify({ link: secret }),
  });
  const [cookie = ""] = signedIn.headers.getSetCookie();
  const [name = "", value = ""] = (cookie.split(";")[0] ?? "").split("=");
  const browser = await startChromium();
  try {
    const times: number[] = [];
    for (let i = 0; i < 5; i++) {
      const context = await browser.newContext({ locale: "en-US" });
      await context.addCookies([{ name, value, url: adminUrl }]);
      const page = await context.newPage();
      const at = performance.now();
      await page.goto(adminUrl);
      await page.getByRole("heading", { name: "Recent refusals" }).waitFor();
      await page.getByRole("link", { name: "Activity" }).click({ trial: true });
      times.push(performance.now() - at);
      await context.close();
    }
    return Math.round(median(times));
  } finally {
    await browser.close();
  }
}

async function writesBeside(stage: Stage): Promise<SearchReport["writes"]> {
  const rate = async () =>
    (await runLoad(stage.auditedUrl, stage.token, 64, { ms: 3_000 })).requestsPerSecond;
  await rate();
  const alone: number[] = [];
  const withSearch: number[] = [];
  const queries = Object.values(QUESTIONS);
  for (let round = 0; round < LOAD_ROUNDS; round++) {
    alone.push(await rate());
    let running = true;
    // One person who never stops asking.
    const person = (async () => {
      for (let i = 0; running; i++) {
        await (await get(stage, `transactions?${queries[i % queries.length]}`)).arrayBuffer();
        await sleep(100);
      }
    })();
    withSearch.push(await rate());
    running = false;
    await person;
  }
  const [a, b] = [median(alone), median(withSearch)];
  return { alone: Math.round(a), withSearch: Math.round(b), share: Math.round((b / a) * 1000) / 1000 };
}

async function get(stage: Stage, path: string): Promise<Response> {
  const response = await fetchFrom(stage, path);
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response;
}

async function medianOf(ask: () => Promise<Response>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const at = performance.now();
    await (await ask()).arrayBuffer();
    times.push(performance.now() - at);
  }
  return Math.round(median(times) * 10) / 10;
}

function daysAgo(days: number): string {
  return new Date(Date.now() - days * 86_400_000).toISOString();
}

function latency(list: readonly number[]): Latency {
  const round = (ms: number) => Math.round(ms * 10) / 10;
  return { p50Ms: round(quantile(list, 0.5)), p99Ms: round(quantile(list, 0.99)) };
}
