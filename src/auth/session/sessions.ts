/**
 * Sessions of people in a browser, in this process's memory: token → who it is. A token is 256 random bits, made anew at
 * each sign-in (so nobody can fix one in advance) and kept as SHA-256 only. A session ends when it was idle too long, at
 * its absolute end, by signing out, when its sign-in is revoked, and with the process. Their number is bounded.
 */
import { randomBytes, timingSafeEqual } from "node:crypto";
import type { AuditorIdentity } from "../auditors.ts";
import { digestToken } from "../credential.ts";

/** Without a request for this long a session is over. */
export const SESSION_IDLE_MS = 30 * 60_000;
/** After this long it is over whatever happens. */
export const SESSION_ABSOLUTE_MS = 12 * 3_600_000;
const MAX_SESSIONS = 1000;

/** What a session is about. */
export interface Session {
  readonly auditor: AuditorIdentity;
  /** Id of the sign-in link that opened it. */
  readonly linkId: string;
  /** Which kind of cookie carries it; it counts by no other. */
  readonly isSecure: boolean;
  /** When it ends at the latest, epoch milliseconds. */
  readonly expiresMs: number;
}

interface KeptSession extends Session {
  readonly digest: Buffer;
  seenMs: number;
}

export interface SessionsOptions {
  /** Wall clock, epoch milliseconds. */
  now?: () => number;
  idleMs?: number;
  absoluteMs?: number;
  maxSessions?: number;
}

/** The open sessions of this process. */
export class Sessions {
  readonly #now: () => number;
  readonly #idleMs: number;
  readonly #absoluteMs: number;
  readonly #maxSessions: number;
  /** The one used longest ago first. */
  readonly #byDigest = new Map<string, KeptSession>();

  constructor(options: SessionsOptions = {}) {
    this.#now = options.now ?? Date.now;
    this.#idleMs = options.idleMs ?? SESSION_IDLE_MS;
    this.#absoluteMs = options.absoluteMs ?? SESSION_ABSOLUTE_MS;
    this.#maxSessions = options.maxSessions ?? MAX_SESSIONS;
  }

  /** Opens a session. The token is in the result and nowhere else. */
  open(holder: Pick<Session, "auditor" | "linkId" | "isSecure">): { token: string; session: Session } {
    const nowMs = this.#now();
    for (const [key, session] of this.#byDigest) if (this.#isOver(session, nowMs)) this.#byDigest.delete(key);
    const [idlest] = this.#byDigest.keys();
    if (idlest !== undefined && this.#byDigest.size >= this.#maxSessions) this.#byDigest.delete(idlest);
    const token = randomBytes(32).toString("base64url");
    const key = digestToken(token);
    const digest = Buffer.from(key, "hex");
    const session = { ...holder, digest, seenMs: nowMs, expiresMs: nowMs + this.#absoluteMs };
    this.#byDigest.set(key, session);
    return { token, session };
  }

  /** The session of a token that came by its kind of cookie; undefined if it is over. Counts as use unless told not to. */
  find(token: string, isSecure: boolean, isUse = true): Session | undefined {
    const key = digestToken(token);
    const found = this.#byDigest.get(key);
    // The Map compares hashes of 256 random bits; the constant-time comparison keeps that harmless whatever it does inside.
    if (found === undefined || !timingSafeEqual(found.digest, Buffer.from(key, "hex"))) return undefined;
    const nowMs = this.#now();
    if (this.#isOver(found, nowMs)) {
      this.#byDigest.delete(key);
      return undefined;
    }
    if (found.isSecure !== isSecure) return undefined;
    if (isUse) {
      found.seenMs = nowMs;
      this.#byDigest.delete(key);
      this.#byDigest.set(key, found);
    }
    return found;
  }

  /** Ends the session of a token, if there is one. */
  end(token: string): void {
    this.#byDigest.delete(digestToken(token));
  }

  /** Ends every session whose sign-in does not count any more. */
  endUnless(isValid: (linkId: string) => boolean): void {
    for (const [key, { linkId }] of this.#byDigest) if (!isValid(linkId)) this.#byDigest.delete(key);
  }

  #isOver({ seenMs, expiresMs }: KeptSession, nowMs: number): boolean {
    return nowMs >= expiresMs || nowMs >= seenMs + this.#idleMs;
  }
}
