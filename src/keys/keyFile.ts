/**
 * Files that hold a private key or a key's bytes: made once, never overwritten, readable by their owner alone.
 *
 * Promise: when `saveKey` resolves, the file and its name are on the disk; a crash before that leaves at worst a file
 * that the next `loadSigner` or `loadTokenKey` calls unusable. No key file is ever replaced in place.
 */
import { readFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import { errorCode, privateFileProblem } from "../config/privateFile.ts";

/** A key that cannot be used: missing, reachable by others, damaged, or of the wrong kind. The message holds no key. */
export class KeyError extends Error {
  readonly path: string;

  constructor(path: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "KeyError";
    this.path = path;
  }
}

/** Reads a private file after checking its permissions. @throws {KeyError} */
export function readKeyFile(path: string): string {
  const problem = privateFileProblem(path);
  if (problem !== undefined) throw new KeyError(path, problem);
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new KeyError(path, `${path} cannot be read (${errorCode(cause)})`, { cause });
  }
}

/** Writes a new private file, mode 0600, and flushes it and its name. A path that exists is refused. @throws {KeyError} */
export async function saveKey(path: string, text: string): Promise<void> {
  try {
    const file = await open(path, "wx", 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    if (process.platform === "win32") return; // It has no flush for directories.
    const directory = await open(dirname(path), "r");
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  } catch (cause) {
    const exists = errorCode(cause) === "EEXIST";
    const why = exists
      ? "exists already, and a key is never overwritten"
      : `cannot be written (${errorCode(cause)})`;
    throw new KeyError(path, `${path} ${why}`, { cause });
  }
}
