// What the tests of the embedded PostgreSQL share: throw-away data directories, owners in their own process, one-line SQL.
// Promise: every server a test started is gone when the test ends, even if the test failed.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Client } from "pg";
import { afterAll, onTestFinished } from "vitest";
import { z } from "zod";
import { clusterDirectory } from "../../../src/storage/embedded/cluster.ts";
import {
  type EmbeddedPostgres,
  type EmbeddedUrls,
  startEmbedded,
} from "../../../src/storage/embedded/embedded.ts";
import { killServer, serverMark, serverProcesses } from "../../../src/storage/embedded/processes.ts";

/** A log that keeps its messages. */
export function recordingLog() {
  const messages: string[] = [];
  const keep = (_fields: object, message: string) => {
    messages.push(message);
  };
  return { messages, info: keep, warn: keep, error: keep };
}

/** An empty data directory (0700) that goes away with the test, and any server still in it. */
export async function newDataDir(): Promise<string> {
  const dataDir = await makeDataDir();
  onTestFinished(() => removeDataDir(dataDir));
  return dataDir;
}

let shared: Promise<string> | undefined;
afterAll(async () => {
  if (shared !== undefined) await removeDataDir(await shared);
});

/**
 * A data directory whose server is stopped, the same for all tests of a file, since a first start takes most of a test's
 * time. A test that makes tables in it gives them names of their own.
 */
export async function usedDataDir(): Promise<string> {
  shared ??= makeUsedDataDir();
  const dataDir = await shared;
  onTestFinished(async () => killServer(await anyUsersMark(dataDir)));
  return dataDir;
}

async function makeUsedDataDir(): Promise<string> {
  const dataDir = await makeDataDir();
  await (await startEmbedded({ dataDir, log: recordingLog() })).stop();
  return dataDir;
}

async function makeDataDir(): Promise<string> {
  return realpath(await mkdtemp(join(tmpdir(), "scimseal-embedded-")));
}

async function removeDataDir(dataDir: string): Promise<void> {
  if (existsSync(clusterDirectory(dataDir))) await killServer(await anyUsersMark(dataDir));
  await rm(dataDir, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
}

/** The pids of the server of a data directory, whoever started it. */
export async function serverOf(dataDir: string): Promise<number[]> {
  return serverProcesses(await anyUsersMark(dataDir));
}

function anyUsersMark(dataDir: string) {
  return serverMark(clusterDirectory(dataDir), undefined);
}

/** Starts a server in this process and stops it when the test ends. */
export async function start(dataDir: string, log = recordingLog()): Promise<EmbeddedPostgres> {
  const server = await startEmbedded({ dataDir, log });
  onTestFinished(() => server.stop());
  return server;
}

const ownerSchema = z.object({
  urls: z.object({ superuser: z.string(), owner: z.string(), writer: z.string(), reader: z.string() }),
  pid: z.int(),
});

/** A process that owns a server. */
export interface Owner {
  readonly process: ChildProcess;
  readonly urls: EmbeddedUrls;
  /** The postmaster's pid. */
  readonly postmaster: number;
}

/** Starts owner.ts (of another checkout, if named) and waits for its server. Throws with its error if it fails, or is killed first. */
export async function startOwner(
  dataDir: string,
  options: { uid?: number; script?: string; killAfterMs?: number } = {},
): Promise<Owner> {
  const script = options.script ?? fileURLToPath(new URL("owner.ts", import.meta.url));
  const uid = options.uid === undefined ? [] : [String(options.uid)];
  const child = spawn(process.execPath, [script, dataDir, ...uid], { stdio: ["pipe", "pipe", "inherit"] });
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  if (options.killAfterMs !== undefined) setTimeout(() => child.kill("SIGKILL"), options.killAfterMs);
  for await (const line of createInterface({ input: child.stdout })) {
    const said: unknown = JSON.parse(line);
    const owner = ownerSchema.safeParse(said);
    if (!owner.success) throw new Error(line);
    return { process: child, urls: owner.data.urls, postmaster: owner.data.pid };
  }
  throw new Error("the owner said nothing");
}

/** SIGKILL to an owner; resolves when it is gone. Its server lives on. */
export async function killOwner(owner: Owner): Promise<void> {
  const { process } = owner;
  if (process.exitCode !== null || process.signalCode !== null) return;
  process.kill("SIGKILL");
  await once(process, "exit");
}

/** Runs one statement on a connection of its own and returns the first column of the first row. */
export async function sql(url: string, statement: string): Promise<unknown> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 2000 });
  client.on("error", () => {}); // the statement fails too, and that is reported
  await client.connect();
  try {
    const { rows } = await client.query<unknown[]>({ text: statement, rowMode: "array" });
    return rows[0]?.[0];
  } finally {
    await client.end();
  }
}

/** Tries again until `action` succeeds; throws its last error after `withinMs`. */
export async function eventually<T>(action: () => Promise<T>, withinMs: number): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    try {
      return await action();
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await sleep(20);
    }
  }
}
