// Finding and ending the processes of one embedded PostgreSQL, those included that outlived the proxy that started them.
//
// Every server carries its cluster directory's device and inode as `cluster_name`, which PostgreSQL shows in the title of
// the postmaster and of each of its children. So a process is known by its title and its user, never by a pid in a file:
// a stale postmaster.pid can not make us end a stranger. Leaves out: Windows, where PostgreSQL's own interlock must do.

import { execFile } from "node:child_process";
import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { systemCode } from "./file.ts";
import { processStat } from "./lock.ts";

const POLL_MS = 20;
const FAST_SHUTDOWN_MS = 3000;
const IMMEDIATE_SHUTDOWN_MS = 2000;

/** A kind of server to look for: its `cluster_name` and the user id it runs under (any, where there are no user ids). */
export interface ServerMark {
  readonly name: string;
  readonly uid: number | undefined;
}

/** The mark of the server of a cluster directory. A copy of the directory has another, and so is never ended in its place. */
export async function serverMark(clusterDir: string, uid: number | undefined): Promise<ServerMark> {
  const { dev, ino } = await stat(clusterDir, { bigint: true });
  return { name: `scimseal-${dev.toString(16)}-${ino.toString(16)}`, uid };
}

/** The pids of all living processes of the marked server, postmaster and children alike. */
export async function serverProcesses(mark: ServerMark): Promise<number[]> {
  if (process.platform === "win32") return [];
  return process.platform === "linux" ? fromProc(mark) : fromPs(mark);
}

/**
 * Ends whatever runs of the marked server and resolves when all of it is gone. A frozen server is woken first. If its
 * postmaster lives it is asked for a fast shutdown (SIGINT); after 3 s, or if only children are left, SIGQUIT; at last SIGKILL,
 * from which PostgreSQL recovers. Returns the pids it found. Throws only if something survives SIGKILL.
 */
export async function endServer(mark: ServerMark, clusterDir: string): Promise<number[]> {
  const found = await serverProcesses(mark);
  if (found.length === 0) return found;
  signalAll(found, "SIGCONT");
  const postmaster = await postmasterPid(clusterDir);
  if (postmaster !== undefined && found.includes(postmaster)) {
    signalAll([postmaster], "SIGINT");
    if (await allGone(mark, FAST_SHUTDOWN_MS)) return found;
  }
  signalAll(await serverProcesses(mark), "SIGQUIT");
  if (await allGone(mark, IMMEDIATE_SHUTDOWN_MS)) return found;
  await killServer(mark);
  return found;
}

/** SIGKILL to every process of the marked server; resolves when they are gone. PostgreSQL recovers from this at its next start. */
export async function killServer(mark: ServerMark): Promise<void> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const left = await serverProcesses(mark);
    if (left.length === 0) return;
    signalAll(left, "SIGKILL"); // again each round: a dying postmaster may have started one child more
    await allGone(mark, 200);
  }
  throw new Error(
    `PostgreSQL processes ${(await serverProcesses(mark)).join(", ")} survive SIGKILL; the machine's storage may be stuck`,
  );
}

/**
 * Refuses to go on beside a PostgreSQL that somebody started by hand in the cluster directory (it bears no mark, so
 * endServer leaves it alone). Linux only; elsewhere, and where we may not look, PostgreSQL's interlock refuses the start.
 */
export async function refuseStrangeServer(clusterDir: string): Promise<void> {
  const pid = await postmasterPid(clusterDir);
  if (pid === undefined || process.platform !== "linux") return;
  const here = await stat(clusterDir);
  const itsDirectory = await stat(`/proc/${pid}/cwd`).catch(() => undefined); // no such process, or not ours to ask
  if (itsDirectory?.ino === here.ino && itsDirectory.dev === here.dev) {
    throw new Error(
      `a PostgreSQL that scimseal did not start (process ${pid}) runs in ${clusterDir}; stop it first`,
    );
  }
}

/** The pid in the cluster's postmaster.pid, whoever that is now; undefined without such a file. */
export async function postmasterPid(clusterDir: string): Promise<number | undefined> {
  return (await readPostmasterFile(clusterDir))?.pid;
}

/** The postmaster's pid and whether it says that it accepts connections (line 8 of postmaster.pid). */
export async function readPostmasterFile(
  clusterDir: string,
): Promise<{ pid: number; ready: boolean } | undefined> {
  let lines: string[];
  try {
    lines = (await readFile(join(clusterDir, "postmaster.pid"), "latin1")).split("\n");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
  const pid = Number(lines[0]);
  return Number.isSafeInteger(pid) && pid > 0 ? { pid, ready: lines[7]?.trim() === "ready" } : undefined;
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if (systemCode(error) !== "ESRCH") throw error; // gone by itself: as wished
    }
  }
}

async function allGone(mark: ServerMark, withinMs: number): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  while ((await serverProcesses(mark)).length > 0) {
    if (performance.now() > deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}

// Only what every user may read of any process (title, user, state): /proc/<pid>/cwd would be surer, but root in a
// container without CAP_SYS_PTRACE may not read it for another user's process.
function fromProc(mark: ServerMark): number[] {
  const pids: number[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const pid = Number(name);
    try {
      if (mark.uid !== undefined && lstatSync(`/proc/${name}`).uid !== mark.uid) continue;
      if (!bearsMark(readFileSync(`/proc/${name}/cmdline`, "latin1").replaceAll("\0", " "), mark)) continue;
    } catch (error) {
      if (["ENOENT", "ESRCH", "EACCES", "EPERM"].includes(systemCode(error) ?? "")) continue; // ended, or hidden from us and so not ours
      throw error;
    }
    if (!"ZX".includes(processStat(pid)?.state ?? "X")) pids.push(pid);
  }
  return pids;
}

async function fromPs(mark: ServerMark): Promise<number[]> {
  const { stdout } = await promisify(execFile)("ps", ["-axww", "-o", "pid=,uid=,stat=,command="]);
  const pids: number[] = [];
  for (const line of stdout.split("\n")) {
    const [, pid, uid, state, title] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    if (title === undefined || state?.startsWith("Z") || !bearsMark(title, mark)) continue;
    if (mark.uid === undefined || Number(uid) === mark.uid) pids.push(Number(pid));
  }
  return pids;
}

// The postmaster shows its arguments; its children show the title that PostgreSQL made of them.
function bearsMark(title: string, mark: ServerMark): boolean {
  if (title.startsWith(`postgres: ${mark.name}: `)) return true;
  return /^(.*\/)?postgres /.test(title) && title.includes(` cluster_name=${mark.name} `);
}
