/**
 * The file `<dataDir>/credentials.json`: mode 0600, replaced as a whole, never edited in place.
 *
 * The temporary file is also the lock: whoever creates it may read, change and rename; a second writer waits. If we
 * crash before the rename the old file stands whole and the temporary file is taken over once it is stale; after the
 * rename the change is made. Why a file and not a table: docs/decisions/0002-credentials-in-a-file.md.
 */
import { type FileHandle, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { errorCode, privateFileProblem } from "../config/privateFile.ts";
import {
  type Credential,
  type CredentialRequest,
  formatCredentials,
  mintCredential,
  parseCredentials,
} from "./credential.ts";

const STALE_LOCK_MS = 10_000;
const WAIT_MS = 15_000;

/** The credential file cannot be read or written, or the change makes no sense. The message is for people. */
export class CredentialFileError extends Error {
  override readonly name = "CredentialFileError";
}

/** Path of the credential file in a data directory. */
export function credentialPath(dataDir: string): string {
  return path.join(dataDir, "credentials.json");
}

/** Path of the file that tells when credentials were last used. */
export function credentialUsePath(dataDir: string): string {
  return path.join(dataDir, "credential-use.json");
}

/** Every credential of a data directory; none if the file does not exist. @throws {CredentialFileError} */
export async function listCredentials(dataDir: string): Promise<Credential[]> {
  const file = credentialPath(dataDir);
  try {
    await stat(file);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
  }
  const problem = privateFileProblem(file);
  if (problem !== undefined) throw new CredentialFileError(problem);
  try {
    return parseCredentials(await readFile(file, "utf8"));
  } catch (cause) {
    throw new CredentialFileError(`${file} ${cause instanceof Error ? cause.message : "cannot be read"}`, {
      cause,
    });
  }
}

/** Mints a credential and keeps its hash. The token is in the result and nowhere else. @throws {CredentialFileError} */
export async function addCredential(
  dataDir: string,
  request: CredentialRequest,
  now: Date,
): Promise<{ token: string; credential: Credential }> {
  const made = mintCredential(request, now);
  await updateCredentials(dataDir, (credentials) => {
    if (credentials.some(({ name, revoked }) => name === made.credential.name && revoked === undefined)) {
      throw new CredentialFileError(
        `a credential called ${made.credential.name} exists already: choose another --name`,
      );
    }
    return [...credentials, made.credential];
  });
  return made;
}

/**
 * Revokes the one credential with this id or shown prefix. A second revocation changes nothing.
 * @throws {CredentialFileError} if there is none, or more than one.
 */
export async function revokeCredential(dataDir: string, idOrPrefix: string, now: Date): Promise<Credential> {
  let revoked: Credential | undefined;
  await updateCredentials(dataDir, (credentials) => {
    const found = credentials.filter(({ id, prefix }) => id === idOrPrefix || prefix === idOrPrefix);
    const [credential] = found;
    if (credential === undefined) {
      throw new CredentialFileError("no credential has this id or prefix: scimseal token list shows them");
    }
    if (found.length > 1)
      throw new CredentialFileError("more than one credential has this prefix: say the id");
    const changed: Credential = { ...credential, revoked: credential.revoked ?? now.toISOString() };
    revoked = changed;
    return credentials.map((other) => (other === credential ? changed : other));
  });
  if (revoked === undefined) throw new Error("an update ran without its change");
  return revoked;
}

async function updateCredentials(
  dataDir: string,
  change: (credentials: Credential[]) => Credential[],
): Promise<void> {
  const file = credentialPath(dataDir);
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const lock = await takeLock(`${file}.tmp`);
  try {
    const text = formatCredentials(change(await listCredentials(dataDir)));
    await lock.writeFile(text);
    await lock.sync();
    await lock.close();
    await rename(`${file}.tmp`, file);
  } catch (error) {
    await lock.close();
    await rm(`${file}.tmp`, { force: true });
    throw error;
  }
  if (process.platform === "win32") return; // It has no flush for directories.
  const directory = await open(dataDir, "r");
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
