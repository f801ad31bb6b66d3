// One PostgreSQL server process under supervision: start, bring back when it dies, stop.
//
// Promise: while it is not stopped, a server that ends is started again on the same port, for ever, with a pause that
// doubles from 100 ms to 5 s; one that is merely frozen is left alone. After stop() no process and no timer is left.
// Leaves out: who may start it (lock.ts) and what was running before (endServer).

import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { open, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Account, asAccount, dataArgument } from "./account.ts";
import { SERVER_ENVIRONMENT } from "./cluster.ts";
import { systemCode } from "./file.ts";
import { endServer, killServer, readPostmasterFile, type ServerMark } from "./processes.ts";

const READY_POLL_MS = 10;
const SLOW_START_MS = 10_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;
const FAST_STOP_MS = 10_000;
const IMMEDIATE_STOP_MS = 2000;
const LOG_LIMIT_BYTES = 10 * 1024 * 1024;

/** The log of the embedded server's life, in pino's calling convention. No field holds a password or a person's data. */
export interface EmbeddedLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** All that one start of the server needs. */
export interface ServerPlan {
  readonly program: string;
  readonly account: Account | undefined;
  readonly clusterDir: string;
  readonly logFile: string;
  readonly port: number;
  readonly mark: ServerMark;
  readonly settings: Readonly<Record<string, string>>;
  readonly log: EmbeddedLog;
}

/** A server that is being looked after. */
export interface SupervisedServer {
  /** The postmaster's pid; undefined between two lives. */
  pid(): number | undefined;
  /** Fast shutdown, then harder ones; resolves when no process of the server is left. Idempotent. */
  stop(): Promise<void>;
}

/** A server did not come up: `said` is the end of what it wrote to its log. */
export class ServerStartError extends Error {
  readonly said: string;
  constructor(message: string, said: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ServerStartError";
    this.said = said;
  }
}

// Given as arguments, so that neither an edited postgresql.conf nor ALTER SYSTEM makes the ledger less durable behind our
// back. The second half keeps people's data out of the server's log: no statement, no parameter, no DETAIL line.
const SETTINGS: Readonly<Record<string, string>> = {
  fsync: "on",
  full_page_writes: "on",
  synchronous_commit: "on",
  wal_level: "replica",
  wal_compression: "on",
  max_connections: "50",
  shared_buffers: "64MB",
  max_wal_size: "1GB",
  max_worker_processes: "4",
  max_parallel_workers: "0",
  io_method: "sync",
  jit: "off",
  password_encryption: "scram-sha-256",
  timezone: "UTC",
  log_timezone: "UTC",
  log_destination: "stderr",
  logging_collector: "off",
  log_checkpoints: "off",
  log_statement: "none",
  log_min_messages: "warning",
  log_min_error_statement: "panic",
  log_min_duration_statement: "-1",
  log_error_verbosity: "terse",
  log_parameter_max_length: "0",
  log_parameter_max_length_on_error: "0",
};

/** Starts the server and resolves when it accepts connections. Throws ServerStartError if it does not come up. */
export async function superviseServer(plan: ServerPlan): Promise<SupervisedServer> {
  const stopping = new AbortController();
  let child = await launch(plan);
  let living = true;

  async function watch(): Promise<void> {
    for (;;) {
      await exited(child);
      living = false;
      if (stopping.signal.aborted) return;
      plan.log.error(
        { pid: child.pid, exitCode: child.exitCode, signal: child.signalCode },
        "the embedded PostgreSQL ended unasked; starting it again",
      );
      const next = await relaunch();
      if (next === undefined) return;
      child = next;
      living = true;
      plan.log.info({ pid: child.pid, port: plan.port }, "the embedded PostgreSQL is back");
    }
  }

  async function relaunch(): Promise<ChildProcess | undefined> {
    for (
      let pause = FIRST_PAUSE_MS;
      !stopping.signal.aborted;
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS)
    ) {
      try {
        // Children of a killed postmaster keep its shared memory, and no new server starts until they are gone.
        await endServer(plan.mark, plan.clusterDir);
        return await launch(plan, stopping.signal);
      } catch (error) {
        if (stopping.signal.aborted) break;
        plan.log.warn(
          { err: error, retryInMs: pause },
          "the embedded PostgreSQL did not come back; trying again",
        );
      }
      await sleep(pause, undefined, { signal: stopping.signal }).catch(() => {}); // cut short by stop()
    }
    return undefined;
  }

  const watched = watch();
  let stopped: Promise<void> | undefined;
  async function stop(): Promise<void> {
    stopping.abort();
    if (living) await shutDown(child);
    await watched;
    await killServer(plan.mark); // normally finds nothing
  }
  return {
    pid: () => (living ? child.pid : undefined),
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

async function launch(plan: ServerPlan, stopping?: AbortSignal): Promise<ChildProcess> {
  const logStart = await rotatedLogSize(plan.logFile);
  // What is in the file belongs to a server that is gone (endServer), even if its pid is a stranger's by now.
  await rm(join(plan.clusterDir, "postmaster.pid"), { force: true });
  const child = spawnServer(plan);
  const ended = exited(child);
  try {
    if (await acceptsConnections(child, plan, stopping)) {
      child.unref(); // a program that is done may end; the next start takes over what it leaves
      return child;
    }
  } catch (error) {
    await shutDown(child);
    throw error;
  }
  const cause = await ended;
  const said = await readFrom(plan.logFile, logStart);
  const how = cause?.message ?? child.signalCode ?? `exit status ${child.exitCode}`;
  throw new ServerStartError(
    `the embedded PostgreSQL in ${plan.clusterDir} did not start (${how}); it said: ${said.trim() || "nothing"} (more in ${plan.logFile})`,
    said,
    { cause },
  );
}

/** Waits, however long recovery takes, until the server is ready (true) or has ended (false). */
async function acceptsConnections(
  child: ChildProcess,
  plan: ServerPlan,
  stopping: AbortSignal | undefined,
): Promise<boolean> {
  const began = performance.now();
  let nextNoticeMs = SLOW_START_MS;
  while (child.pid !== undefined && !hasExited(child)) {
    const file = await readPostmasterFile(plan.clusterDir);
    if (file?.ready && file.pid === child.pid) return true;
    if (stopping?.aborted) await shutDown(child);
    if (performance.now() - began > nextNoticeMs) {
      const fields = { pid: child.pid, waitedMs: nextNoticeMs };
      plan.log.warn(fields, "the embedded PostgreSQL is still starting (recovering?)");
      nextNoticeMs += SLOW_START_MS;
    }
    await sleep(READY_POLL_MS);
  }
  return false;
}

// Its own process group, so that a terminal's Ctrl-C reaches only us, who still have outcomes to record. Its output goes
// to a file, not to a pipe: if we are killed it must neither block nor die on one.
function spawnServer(plan: ServerPlan): ChildProcess {
  const settings = {
    ...SETTINGS,
    ...plan.settings,
    listen_addresses: "127.0.0.1",
    port: String(plan.port),
    unix_socket_directories: "",
    cluster_name: plan.mark.name,
  };
  const args = ["-D", dataArgument(plan.clusterDir, plan.account)];
  for (const [name, value] of Object.entries(settings)) args.push("-c", `${name}=${value}`);
  args.push("-c", "restart_after_crash=on");
  const logFd = openSync(plan.logFile, "a", 0o600);
  try {
    return spawn(plan.program, args, {
      ...asAccount(plan.account),
      cwd: plan.clusterDir,
      env: SERVER_ENVIRONMENT,
      detached: true,
      stdio: ["ignore", logFd, logFd],
    });
  } finally {
    closeSync(logFd);
  }
}

async function shutDown(child: ChildProcess): Promise<void> {
  child.kill("SIGCONT"); // a frozen server could not hear the rest
  child.kill("SIGINT");
  if (await exitedWithin(child, FAST_STOP_MS)) return;
  child.kill("SIGQUIT");
  if (await exitedWithin(child, IMMEDIATE_STOP_MS)) return;
  child.kill("SIGKILL");
  await exited(child);
}

function hasExited(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** Resolves when the process is gone, with the error if it could not even be started. */
function exited(child: ChildProcess): Promise<Error | undefined> {
  if (hasExited(child)) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    child.once("exit", () => resolve(undefined));
    child.once("error", resolve);
  });
}

async function exitedWithin(child: ChildProcess, withinMs: number): Promise<boolean> {
  const timer = new AbortController();
  const late = sleep(withinMs, false, { signal: timer.signal }).catch(() => true);
  const inTime = await Promise.race([exited(child).then(() => true), late]);
  timer.abort();
  return inTime;
}

/** The log file's size after moving a long one aside. */
async function rotatedLogSize(path: string): Promise<number> {
  try {
    const { size } = await stat(path);
    if (size <= LOG_LIMIT_BYTES) return size;
    await rename(path, `${path}.1`);
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
  }
  return 0;
}

async function readFrom(path: string, start: number): Promise<string> {
  const file = await open(path, "r");
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4096), 0, 4096, start);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await file.close();
  }
}
