/**
 * A private file of the data directory (mode 0600), replaced as a whole, never edited in place.
 *
 * The temporary file is also the lock: whoever creates it may read, change and rename; a second writer waits. If we
 * crash before the rename the old file stands whole and the temporary file is taken over once it is stale; after the
 * rename the change is made. Why files and not a table: docs/decisions/0002-credentials-in-a-file.md.
 */
import { type FileHandle, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { errorCode, privateFileProblem } from "../config/privateFile.ts";

const STALE_LOCK_MS = 10_000;
const WAIT_MS = 15_000;

/** The file cannot be read or written, or the change makes no sense. The message is for people. */
export class CredentialFileError extends Error {
  override readonly name = "CredentialFileError";
}

/** What a file holds; undefined if there is none. `parse` says what is wrong without quoting the file. @throws {CredentialFileError} */
export async function readPrivateFile<Content>(
  file: string,
  parse: (text: string) => Content,
): Promise<Content | undefined> {
  try {
    await stat(file);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
  }
  const problem = privateFileProblem(file);
  if (problem !== undefined) throw new CredentialFileError(problem);
  try {
    return parse(await readFile(file, "utf8"));
  } catch (cause) {
    throw new CredentialFileError(`${file} ${cause instanceof Error ? cause.message : "cannot be read"}`, {
      cause,
    });
  }
}

/**
 * Replaces a file by what `change` makes; it runs under the lock and reads the file itself. Durable when it resolves. If
 * `change` throws, nothing changes.
 */
export async function replacePrivateFile(file: string, change: () => Promise<string>): Promise<void> {
  const directoryPath = path.dirname(file);
  await mkdir(directoryPath, { recursive: true, mode: 0o700 });
  const lock = await takeLock(`${file}.tmp`);
  try {
    await lock.writeFile(await change());
    await lock.sync();
    await lock.close();
    await rename(`${file}.tmp`, file);
  } catch (error) {
    await lock.close();
    await rm(`${file}.tmp`, { force: true });
    throw error;
  }
  if (process.platform === "win32") return; // It has no flush for directories.
  const directory = await open(directoryPath, "r");
  await directory.sync().finally(() => directory.close());
}

async function takeLock(lockPath: string): Promise<FileHandle> {
  const deadline = performance.now() + WAIT_MS;
  for (;;) {
    try {
      return await open(lockPath, "wx", 0o600);
    } catch (cause) {
      if (errorCode(cause) !== "EEXIST") {
        throw new CredentialFileError(`${lockPath} cannot be made (${errorCode(cause)})`, { cause });
      }
      if (performance.now() > deadline) {
        throw new CredentialFileError(`${lockPath} stays: another scimseal token is at work; try again`, {
          cause,
        });
      }
    }
    if (await isStale(lockPath)) await rm(lockPath, { force: true });
    else await sleep(50);
  }
}

async function isStale(lockPath: string): Promise<boolean> {
  try {
    return Date.now() - (await stat(lockPath)).mtimeMs > STALE_LOCK_MS;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return false; // Its owner has just finished.
    throw error;
  }
}
