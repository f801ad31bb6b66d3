/**
 * The server's living view of the credential file: token → credential, in one Map.
 *
 * The file's identity (inode, size, times) is looked at once a second at most, when a token is asked for; if it has
 * changed, it is read again. A file that has become unreadable or broken leaves the last good one in force and is
 * logged: an operator's slip of the editor must not lock every identity provider out. At start there is no last good
 * one, so a broken file stops the start. Last use is kept in memory and written once a minute.
 */
import { timingSafeEqual } from "node:crypto";
import { readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { errorCode, privateFileProblem } from "../config/privateFile.ts";
import {
  type Credential,
  type CredentialKind,
  digestToken,
  isToken,
  isUsable,
  parseCredentials,
} from "./credential.ts";
import { CredentialFileError, credentialPath, credentialUsePath } from "./credentialFile.ts";

/** The part of a pino logger that this room uses. */
export interface AuthLog {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** What the store needs from outside. */
export interface StoreOptions {
  log: AuthLog;
  /** Wall clock, epoch milliseconds: for validity. */
  now?: () => number;
  /** A clock that never jumps, milliseconds: for intervals. */
  monotonic?: () => number;
}

const CHECK_INTERVAL_MS = 1000;
const FLUSH_INTERVAL_MS = 60_000;

/** Tokens of one data directory. Share one between all authenticators of a process, and close it. */
export class CredentialStore {
  readonly #dataDir: string;
  readonly #log: AuthLog;
  readonly #now: () => number;
  readonly #monotonic: () => number;
  #byDigest: ReadonlyMap<string, { credential: Credential; digest: Buffer }> = new Map();
  #fingerprint = "";
  #checkedAt: number;
  readonly #used = new Map<string, number>();
  #flushTimer: NodeJS.Timeout | undefined;

  /** Opens the file of a data directory; none there means no tokens yet. @throws {CredentialFileError} if it is unusable. */
  constructor(dataDir: string, options: StoreOptions) {
    this.#dataDir = dataDir;
    this.#log = options.log;
    this.#now = options.now ?? Date.now;
    this.#monotonic = options.monotonic ?? (() => performance.now());
    this.#checkedAt = this.#monotonic();
    this.#fingerprint = fingerprint(credentialPath(dataDir));
    this.#byDigest = readIndex(credentialPath(dataDir), this.#fingerprint);
  }

  /** The usable credential of this kind that a token belongs to, else undefined. Notes the use. */
  find(kind: CredentialKind, token: string): Credential | undefined {
    if (!isToken(token)) return undefined;
    this.#refresh();
    const digest = digestToken(token);
    const found = this.#byDigest.get(digest);
    // The Map compares hashes of 256 random bits, which tells an attacker nothing; the constant-time comparison
    // keeps that true whatever the Map does inside.
    if (found === undefined || !timingSafeEqual(found.digest, Buffer.from(digest, "hex"))) return undefined;
    const nowMs = this.#now();
    if (found.credential.kind !== kind || !isUsable(found.credential, nowMs)) return undefined;
    this.#noteUse(found.credential.id, nowMs);
    return found.credential;
  }

  /** Every credential, with the time of its last use as far as it is known. */
  list(): (Credential & { lastUse?: string })[] {
    this.#refresh();
    const written = readLastUse(this.#dataDir);
    return [...this.#byDigest.values()].map(({ credential }) => {
      const usedMs = this.#used.get(credential.id);
      const lastUse = usedMs === undefined ? written[credential.id] : new Date(usedMs).toISOString();
      return { ...credential, ...(lastUse !== undefined && { lastUse }) };
    });
  }

  /** Writes what is known of last uses, and stops. The store may still be asked, but notes no more. */
  close(): void {
    clearTimeout(this.#flushTimer);
    this.#flushTimer = undefined;
    this.#flush();
  }

  #refresh(): void {
    const nowMs = this.#monotonic();
    if (nowMs - this.#checkedAt < CHECK_INTERVAL_MS) return;
    this.#checkedAt = nowMs;
    const file = credentialPath(this.#dataDir);
    const current = fingerprint(file);
    if (current === this.#fingerprint) return;
    this.#fingerprint = current; // Also when it is broken: one line in the log for each change, not for each second.
    try {
      if (current === "") throw new CredentialFileError(`${file} is gone`);
      this.#byDigest = readIndex(file, current);
    } catch (error) {
      this.#log.error({ err: error, file }, "credential file unusable; the last good one stays in force");
    }
  }

  #noteUse(id: string, nowMs: number): void {
    this.#used.set(id, nowMs);
    if (this.#flushTimer !== undefined) return;
    this.#flushTimer = setTimeout(() => {
      this.#flushTimer = undefined;
      this.#flush();
    }, FLUSH_INTERVAL_MS);
    this.#flushTimer.unref();
  }

  /** If we crash here the last minute's uses are forgotten, which misleads nobody but a listing. */
  #flush(): void {
    if (this.#used.size === 0) return;
    const file = credentialUsePath(this.#dataDir);
    try {
      const lastUse = readLastUse(this.#dataDir);
      for (const [id, ms] of this.#used) lastUse[id] = new Date(ms).toISOString();
      writeFileSync(`${file}.tmp`, `${JSON.stringify(lastUse, null, 2)}\n`, { mode: 0o600 });
      renameSync(`${file}.tmp`, file);
      this.#used.clear();
    } catch (error) {
      this.#log.warn({ err: error, file }, "last use of credentials could not be written");
    }
  }
}

/** When each credential was last used, by id. What cannot be read counts as unknown: it is a convenience, not evidence. */
export function readLastUse(dataDir: string): Record<string, string> {
  const known: Record<string, string> = {};
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(credentialUsePath(dataDir), "utf8"));
  } catch (error) {
    if (errorCode(error) === "ENOENT" || error instanceof SyntaxError) return known;
    throw error;
  }
  for (const [id, time] of Object.entries(typeof value === "object" && value !== null ? value : {})) {
    if (/^[0-9a-f]{12}$/.test(id) && typeof time === "string" && !Number.isNaN(Date.parse(time)))
      known[id] = time;
  }
  return known;
}

/** What changes when a file is replaced or edited; empty if there is none. */
export function fingerprint(file: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(file, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(":");
  } catch (error) {
    return errorCode(error) === "ENOENT" ? "" : errorCode(error);
  }
}

function readIndex(file: string, current: string): Map<string, { credential: Credential; digest: Buffer }> {
  if (current === "") return new Map();
  const problem = privateFileProblem(file);
  if (problem !== undefined) throw new CredentialFileError(problem);
  try {
    const credentials = parseCredentials(readFileSync(file, "utf8"));
    return new Map(
      credentials.map((credential) => [
        credential.sha256,
        { credential, digest: Buffer.from(credential.sha256, "hex") },
      ]),
    );
  } catch (cause) {
    throw new CredentialFileError(`${file} ${cause instanceof Error ? cause.message : "cannot be read"}`, {
      cause,
    });
  }
}
