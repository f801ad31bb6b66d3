// One living proxy a data directory: <dataDir>/lock.json names the process that owns it.
//
// Promise: a second living process is refused by name; the lock of a dead process, or of one whose pid was given to
// another program since, is taken over. Leaves out: processes on other machines or in other pid namespaces that share
// the directory; PostgreSQL's own interlock stands behind this one.

import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { link, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { systemCode, writeSynced } from "./file.ts";

const GUARD_PAUSE_MS = 5;

/** A held lock. */
export interface DataLock {
  /** Gives the data directory up. Does nothing the second time, or if the lock was taken from us. */
  release(): Promise<void>;
}

const lockSchema = z.object({ pid: z.int().positive(), started: z.string().optional() });
type Owner = z.infer<typeof lockSchema>;

/** Takes the data directory for this process. Throws if another living process holds it, or this one already does. */
export async function lockDataDirectory(dataDir: string): Promise<DataLock> {
  const path = join(dataDir, "lock.json");
  const mine = JSON.stringify({ pid: process.pid, started: processStart(process.pid) });
  const temporary = `${path}.${process.pid}-${randomBytes(4).toString("hex")}`;
  await writeSynced(temporary, mine, "wx");
  try {
    const holder = await take(path, temporary);
    if (holder !== undefined) {
      throw new Error(
        `data directory ${dataDir} is in use by process ${holder}; stop it or choose another --data-dir`,
      );
    }
  } finally {
    await rm(temporary, { force: true });
  }
  return {
    release: async () => {
      if ((await readText(path)) === mine) await rm(path, { force: true });
    },
  };
}

/** The pid of the living process that holds the data directory, or undefined. */
export async function lockOwner(dataDir: string): Promise<number | undefined> {
  const owner = parseOwner(await readText(join(dataDir, "lock.json")));
  return owner !== undefined && isLiving(owner) ? owner.pid : undefined;
}

/**
 * When a process started, as text to compare (Linux: boot id and field 22 of /proc/<pid>/stat), undefined where the
 * system does not tell. The same pid with another start is another process.
 */
export function processStart(pid: number): string | undefined {
  const stat = processStat(pid);
  return stat === undefined ? undefined : `${bootId()}:${stat.startTicks}`;
}

function isLiving(owner: Owner): boolean {
  if (process.platform === "linux") {
    const stat = processStat(owner.pid);
    return stat !== undefined && !"ZX".includes(stat.state) && owner.started === processStart(owner.pid);
  }
  try {
    process.kill(owner.pid, 0);
    return true;
  } catch (error) {
    return systemCode(error) === "EPERM";
  }
}

/**
 * Gives the file `mine` the name `path` as well, if no living process has that name; else resolves to its pid.
 * link() fails if the name exists, so of two that come at once one wins, and nobody reads a half-written lock.
 *
 * What if two find the same stale lock? Only who holds the guard named after exactly that text may replace it, and looks
 * again first. What if we crash while we hold the guard? It is a lock like any other, and goes stale like one.
 */
async function take(path: string, mine: string): Promise<number | undefined> {
  while (!(await linked(mine, path))) {
    const text = await readText(path);
    if (text === undefined) continue;
    const owner = parseOwner(text);
    if (owner !== undefined && isLiving(owner)) return owner.pid;
    const guard = `${path}.after-${createHash("sha256").update(text).digest("hex").slice(0, 16)}`;
    if ((await take(guard, mine)) !== undefined) {
      await sleep(GUARD_PAUSE_MS);
      continue;
    }
    try {
      if ((await readText(path)) === text) {
        await rename(mine, path);
        return undefined;
      }
    } finally {
      await rm(guard, { force: true });
    }
  }
  return undefined;
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (systemCode(error) === "EEXIST") return false;
    throw error;
  }
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

function parseOwner(text: string | undefined): Owner | undefined {
  if (text === undefined) return undefined;
  try {
    return lockSchema.parse(JSON.parse(text));
  } catch {
    return undefined; // not a lock that we wrote, so nobody's: the caller takes it over
  }
}

/** State letter and start (ticks since boot) from /proc/<pid>/stat, undefined if there is no such process or no /proc. */
export function processStat(pid: number): { state: string; startTicks: string } | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined; // gone, or no /proc here: both mean "not known"
  }
  // Field 2, the program's name, is in parentheses and may itself hold spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [state, startTicks] = [fields[0], fields[19]];
  return state === undefined || startTicks === undefined ? undefined : { state, startTicks };
}

function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  } catch {
    return ""; // hidden in some sandboxes; the start time alone then decides
  }
}
