/**
 * An issuer's public keys (RFC 7517), fetched from a configured URL and kept.
 *
 * The adversary sends tokens with made-up key ids, to make us fetch without end, or controls what the URL's name
 * resolves to. So: one fetch at a time, a pause between fetches whatever their result, 3 s, 256 KiB, no redirect,
 * refused addresses checked at dial time. While the issuer is away, keys fetched in the last day stay good.
 */
import http from "node:http";
import https from "node:https";
import { createLocalJWKSet, errors, type FlattenedJWSInput, type JWSHeaderParameters } from "jose";
import { assertAllowedHost, guardedLookup, type Lookup } from "../config/address.ts";
import type { AuthLog } from "./credentialStore.ts";

/** What the key set needs from outside. */
export interface RemoteKeysOptions {
  log: AuthLog;
  /** A clock that never jumps, milliseconds. */
  monotonic?: () => number;
  /** How names are resolved; `guardedLookup` unless a test says otherwise. */
  lookup?: Lookup;
  /** Called after each fetch, for a metric. */
  onFetch?: (result: "ok" | "failed") => void;
}

const FRESH_MS = 10 * 60_000;
const KEEP_MS = 24 * 3_600_000;
const PAUSE_AFTER_SUCCESS_MS = 30_000;
const PAUSE_AFTER_FAILURE_MS = 5000;
const TIMEOUT_MS = 3000;
const MAX_BYTES = 256 * 1024;
const MAX_KEYS = 100;

type LocalKeys = ReturnType<typeof createLocalJWKSet>;
type Key = Awaited<ReturnType<LocalKeys>>;

/** The keys behind one URL. Share one per URL. */
export class RemoteKeys {
  readonly #url: URL;
  readonly #options: RemoteKeysOptions;
  readonly #monotonic: () => number;
  #keys: LocalKeys | undefined;
  #fetchedAt = Number.NEGATIVE_INFINITY;
  #nextFetchAt = Number.NEGATIVE_INFINITY;
  #pending: Promise<void> | undefined;

  constructor(url: string, options: RemoteKeysOptions) {
    this.#url = new URL(url);
    this.#options = options;
    this.#monotonic = options.monotonic ?? (() => performance.now());
  }

  /** The key for a token's header. @throws {Error} if there is none, or none can be had. */
  async find(header: JWSHeaderParameters, token: FlattenedJWSInput): Promise<Key> {
    const age = this.#monotonic() - this.#fetchedAt;
    if (this.#keys === undefined || age > KEEP_MS) await this.#fetch();
    else if (age > FRESH_MS) this.#fetchInBackground();
    try {
      return await this.#current()(header, token);
    } catch (error) {
      // A key id we do not know may be a new key: look again, if the pause is over.
      if (!(error instanceof errors.JWKSNoMatchingKey) || !this.#mayFetch()) throw error;
    }
    await this.#fetch();
    return await this.#current()(header, token);
  }

  #current(): LocalKeys {
    if (this.#keys === undefined) throw new Error("no keys of the issuer are known");
    return this.#keys;
  }

  #mayFetch(): boolean {
    return this.#pending !== undefined || this.#monotonic() >= this.#nextFetchAt;
  }

  #fetchInBackground(): void {
    if (!this.#mayFetch()) return;
    // The failure is logged and counted where it happens; the keys at hand serve meanwhile.
    this.#fetch().catch(() => undefined);
  }

  async #fetch(): Promise<void> {
    if (!this.#mayFetch()) throw new Error("the issuer's keys could not be had a moment ago");
    this.#pending ??= this.#fetchOnce().finally(() => {
      this.#pending = undefined;
    });
    await this.#pending;
  }

  async #fetchOnce(): Promise<void> {
    try {
      const text = await getSmallText(this.#url, this.#options.lookup ?? guardedLookup);
      this.#keys = createLocalJWKSet(parseJwks(text));
      this.#fetchedAt = this.#monotonic();
      this.#nextFetchAt = this.#fetchedAt + PAUSE_AFTER_SUCCESS_MS;
      this.#options.onFetch?.("ok");
    } catch (cause) {
      this.#nextFetchAt = this.#monotonic() + PAUSE_AFTER_FAILURE_MS;
      this.#options.onFetch?.("failed");
      this.#options.log.warn(
        { err: cause, jwksUrl: this.#url.href },
        "keys of a token issuer could not be fetched",
      );
      throw new Error("the issuer's keys could not be fetched", { cause });
    }
  }
}

function parseJwks(text: string): { keys: Record<string, unknown>[] } {
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null || !("keys" in value) || !Array.isArray(value.keys)) {
    throw new Error("the answer is not a JWK set");
  }
  return { keys: value.keys.slice(0, MAX_KEYS) };
}

/** GET of a small text over a guarded socket. @throws {Error} on any status but 200, a redirect included. */
async function getSmallText(url: URL, lookup: Lookup): Promise<string> {
  assertAllowedHost(url.hostname);
  const client = url.protocol === "https:" ? https : http;
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  return await new Promise((resolve, reject) => {
    const headers = { accept: "application/jwk-set+json, application/json", "user-agent": "scimseal" };
    const request = client.get(url, { lookup, headers, agent: false, signal }, (response) => {
      if (response.statusCode !== 200) {
        response.destroy();
        reject(new Error(`the answer has status ${response.statusCode}`));
        return;
      }
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        size += chunk.length;
        chunks.push(chunk);
        if (size > MAX_BYTES) response.destroy(new Error(`the answer is larger than ${MAX_BYTES} bytes`));
      });
      response.on("end", () => resolve(Buffer.concat(chunks).toString("utf8")));
      response.on("error", reject);
    });
    request.on("error", reject);
  });
}
