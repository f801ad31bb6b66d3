// The account the embedded PostgreSQL runs under. PostgreSQL refuses to run as root, so a proxy started as root
// hands the server to `postgres`, or to `nobody`, and gives that account the cluster directory and nothing else.
//
// Promise: the account is read from /etc/passwd, with no external program; an existing cluster keeps its owner.
// Leaves out: how that account reaches programs and data below directories closed to it (programs.ts, dataArgument).

import { chmod, lchown, lstat, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { systemCode } from "./file.ts";

/** User and group ids of a process to start. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

const CONVENTIONAL_NOBODY: Account = { uid: 65534, gid: 65534 };

/**
 * The account for the server of `clusterDir` (which may not exist yet), or undefined to run it as this process's own user.
 * Hands a cluster that root owns (restored from a copy, say) to the account. Throws where the cluster belongs to
 * somebody whom this process cannot become.
 */
export async function chooseAccount(clusterDir: string): Promise<Account | undefined> {
  const self = process.geteuid?.();
  if (self === undefined) return undefined; // Windows: PostgreSQL drops its own privileges there
  const owner = await ownerOf(clusterDir);
  if (self !== 0) {
    if (owner === undefined || owner.uid === self) return undefined;
    throw new Error(
      `${clusterDir} belongs to user id ${owner.uid}, and this process runs as user id ${self}; ` +
        "start it as the user who started it first (root, if the directory was made by root)",
    );
  }
  if (owner !== undefined && owner.uid !== 0) return owner;
  const account = await unprivilegedAccount();
  if (owner !== undefined) {
    await chmod(clusterDir, 0o700); // PostgreSQL demands it, and not every way of copying keeps it
    await giveTree(clusterDir, account);
  }
  return account;
}

/** The spawn options that make a child run as `account`; none for this process's own user. */
export function asAccount(account: Account | undefined): { uid?: number; gid?: number } {
  return account === undefined ? {} : { uid: account.uid, gid: account.gid };
}

/**
 * How the server is told its data directory when it is started *in* that directory. Node's spawn changes directory
 * before it gives up root, and Linux follows /proc/self/cwd without walking the parents, so the data may lie below
 * directories that the account cannot enter (0700 /root, `mktemp -d`). Elsewhere the plain path must be reachable.
 */
export function dataArgument(directory: string, account: Account | undefined): string {
  return account !== undefined && process.platform === "linux" ? "/proc/self/cwd" : directory;
}

async function ownerOf(path: string): Promise<Account | undefined> {
  try {
    const { uid, gid } = await lstat(path);
    return { uid, gid };
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function unprivilegedAccount(): Promise<Account> {
  const users = parsePasswd(await readFile("/etc/passwd", "utf8").catch(() => "")); // minimal images may have none
  return users.get("postgres") ?? users.get("nobody") ?? CONVENTIONAL_NOBODY;
}

/** Reads passwd(5) text into name → ids. Lines that are not entries, and accounts with root's ids, are left out. */
export function parsePasswd(text: string): Map<string, Account> {
  const users = new Map<string, Account>();
  for (const line of text.split("\n")) {
    const [name, , uid, gid] = line.split(":");
    if (name === undefined || !/^[1-9]\d*$/.test(uid ?? "") || !/^\d+$/.test(gid ?? "")) continue;
    users.set(name, { uid: Number(uid), gid: Number(gid) });
  }
  return users;
}

// Contents first and the directory itself last: if we crash here, the directory is still root's and the next start
// does it again. While it is root's and 0700 nobody else can plant a link in it.
async function giveTree(directory: string, account: Account): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await giveTree(path, account);
    else await lchown(path, account.uid, account.gid);
  }
  await lchown(directory, account.uid, account.gid);
}
