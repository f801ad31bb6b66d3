// Bare proxy against scimseal, interleaved round by round on the same machine in the same run, so that whatever else
// the machine does hits both; and beside them scimseal with nothing but its record: durable, signed entries. Reported are
// medians over the rounds; only the ratios mean anything elsewhere.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { indexCaughtUp } from "./auditApi.ts";
import { median } from "./figures.ts";
import { type LoadResult, runLoad } from "./load.ts";
import { undisturbed } from "./machine.ts";
import { openStage, type Stage } from "./stage.ts";

const CONCURRENCY = [1, 16, 64] as const;
const WARM_UP_REQUESTS = 20_000;

export interface ThroughputOptions {
  rounds: number;
  seconds: number;
}

interface Cell {
  requestsPerSecond: number;
  p50Ms: number;
  p99Ms: number;
  errors: number;
}

const KINDS = ["bare", "audited", "record"] as const;
type Kind = (typeof KINDS)[number];

export interface ThroughputReport {
  /** Of the bare proxy's writes a second: scimseal whole, and with nothing but its record. */
  ratio: Record<string, number>;
  recordRatio: Record<string, number>;
  bare: Record<string, Cell>;
  audited: Record<string, Cell>;
  record: Record<string, Cell>;
  /** One single-row autocommit INSERT on the same database, median. */
  singleRowCommitMs: number;
  /** c1: audited p50 must not be above this. */
  latencyBoundMs: number;
  withinLatencyBound: boolean;
}

export async function measureThroughput(
  options: ThroughputOptions,
  say: (line: string) => void,
): Promise<ThroughputReport> {
  const stages: Stage[] = [];
  try {
    const whole = await openStage();
    stages.push(whole);
    const alone = await openStage({
      nodeOptions: ["--import", new URL("./cost/aloneHooks.ts", import.meta.url).href],
    });
    stages.push(alone);
    const places: Record<Kind, [url: string, token: string]> = {
      bare: [whole.bareUrl, whole.token],
      audited: [whole.auditedUrl, whole.token],
      record: [alone.auditedUrl, alone.token],
    };
    const runs: Record<Kind, Map<number, LoadResult[]>> = {
      bare: new Map(),
      audited: new Map(),
      record: new Map(),
    };
    const commits: number[] = [];
    const once = async (kind: Kind, connections: number) => {
      // What the last load left to be indexed is not this one's.
      await indexCaughtUp(whole, say);
      return await undisturbed(() => runLoad(...places[kind], connections, { ms: options.seconds * 1000 }));
    };
    // All are measured as they run for days: after the compiler has seen their code often enough.
    say("warming up");
    for (const kind of KINDS) await runLoad(...places[kind], 64, { requests: WARM_UP_REQUESTS });
    for (let round = 0; round < options.rounds; round++) {
      commits.push(await measureCommit(whole.dataDir));
      for (const connections of CONCURRENCY) {
        for (const kind of round % 2 === 0 ? KINDS : KINDS.toReversed()) {
          const result = await once(kind, connections);
          runs[kind].set(connections, [...(runs[kind].get(connections) ?? []), result]);
          say(
            `round ${round + 1} c${connections} ${kind}: ${result.requestsPerSecond.toFixed(0)}/s p50 ${result.p50Ms.toFixed(2)} ms p99 ${result.p99Ms.toFixed(2)} ms${result.errors ? ` ERRORS ${result.errors}` : ""}`,
          );
        }
      }
    }
    const cells = (kind: Kind) =>
      Object.fromEntries(CONCURRENCY.map((c) => [`c${c}`, summarise(runs[kind].get(c) ?? [])]));
    const [bare, audited, record] = [cells("bare"), cells("audited"), cells("record")];
    const ratioOf = (part: Record<string, Cell>) =>
      Object.fromEntries(
        CONCURRENCY.map((c) => [
          `c${c}`,
          round3((part[`c${c}`]?.requestsPerSecond ?? 0) / (bare[`c${c}`]?.requestsPerSecond ?? 1)),
        ]),
      );
    const singleRowCommitMs = round3(median(commits));
    const latencyBoundMs = round3((bare.c1?.p50Ms ?? 0) + 2 * singleRowCommitMs + 0.5);
    return {
      ratio: ratioOf(audited),
      recordRatio: ratioOf(record),
      bare,
      audited,
      record,
      singleRowCommitMs,
      latencyBoundMs,
      withinLatencyBound: (audited.c1?.p50Ms ?? Number.POSITIVE_INFINITY) <= latencyBoundMs,
    };
  } finally {
    for (const stage of stages) await stage.close();
  }
}

/** What one durable row costs on this disk, now. */
async function measureCommit(dataDir: string): Promise<number> {
  const { port, passwords } = JSON.parse(await readFile(join(dataDir, "postgres.json"), "utf8")) as {
    port: number;
    passwords: Record<string, string>;
  };
  const client = new pg.Client({
    host: "127.0.0.1",
    port,
    database: "scimseal",
    user: "postgres",
    password: passwords.superuser ?? "",
  });
  await client.connect();
  try {
    await client.query("CREATE TABLE IF NOT EXISTS bench_commit (id bigint, body text)");
    const times: number[] = [];
    for (let i = 0; i < 300; i++) {
      const at = performance.now();
      await client.query({
        name: "one",
        text: "INSERT INTO bench_commit VALUES ($1, $2)",
        values: [i, "x".repeat(300)],
      });
      times.push(performance.now() - at);
    }
    return median(times);
  } finally {
    await client.end();
  }
}

function summarise(results: readonly LoadResult[]): Cell {
  return {
    requestsPerSecond: Math.round(median(results.map((result) => result.requestsPerSecond))),
    p50Ms: round3(median(results.map((result) => result.p50Ms))),
    p99Ms: round3(median(results.map((result) => result.p99Ms))),
    errors: results.reduce((sum, result) => sum + result.errors, 0),
  };
}

function round3(value: number): number {
  return Math.round(value * 1000) / 1000;
}
