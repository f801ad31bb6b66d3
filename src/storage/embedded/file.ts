// Small files that must survive a crash: the embedded database's identity and its lock.
//
// Promise: after writeDurably resolves, a power cut leaves the new content; before that, the old content or the new,
// never half of it. Leaves out: locking between writers (lock.ts).

import { open, rename } from "node:fs/promises";
import { dirname } from "node:path";

/** Replaces the file at `path` by `text`, readable by its owner alone: temporary file, fsync, rename, fsync of the directory. */
export async function writeDurably(path: string, text: string): Promise<void> {
  const temporary = `${path}.tmp`;
  await writeSynced(temporary, text, "w");
  await rename(temporary, path);
  await syncDirectory(dirname(path));
}

/** Writes `text` to `path` (mode 0600) and flushes it to the disk. `wx` refuses a path that exists, symbolic links too. */
export async function writeSynced(path: string, text: string, flag: "w" | "wx"): Promise<void> {
  const file = await open(path, flag, 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes renames and new names in a directory durable. Windows has no such call, and its file systems journal names. */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** The system's code of an error of node:fs or node:child_process ("ENOENT" and so on), if it has one. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
