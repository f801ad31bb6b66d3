/**
 * The key-encryption key of a ledger: it wraps the data keys that attachments are sealed with, and everything keyed that
 * stands in the database beside them is derived from it. Kept apart from the database, or it protects nothing.
 *
 * The file is a JWK Set (RFC 7517) of `oct` keys of 256 bits, mode 0600: the first wraps, all unwrap. A new key is put in
 * front; the last one, the oldest, must stay, since what is derived comes from it. A key service can stand behind the
 * same interface: its root unwrapped once at start. Leaves out erasure, which is about data keys.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  randomBytes,
} from "node:crypto";
import { decodeBase64url } from "../ledger/base64url.ts";
import { KeyError, readKeyFile } from "./keyFile.ts";
import { drawNonce, NONCE_BYTES } from "./nonce.ts";

/** The sealing key of one ledger. */
export interface SealingKey {
  /**
   * 32 bytes for another purpose, bound to the ledger's origin, by HKDF from the oldest key of the file, so that a new
   * key does not change them.
   */
  derive(purpose: string): Uint8Array;
  /** Wraps data keys, joined, under the first key of the file, bound to the ledger and to the id of their row. */
  wrap(dataKeys: Uint8Array, id: Uint8Array): Uint8Array;
  /** The data keys, joined. @throws {SealError} if not wrapped for this ledger and id under a key of the file. */
  unwrap(wrapped: Uint8Array, id: Uint8Array): Uint8Array;
}

/** Something sealed cannot be opened. The message holds neither key nor content. */
export class SealError extends Error {
  override readonly name = "SealError";
}

/** Wrapped under a key that is not in the file. */
class UnknownKeyError extends SealError {}

export const DATA_KEY_BYTES = 32;
/** Data keys that are wrapped as one, at most: a slot is one byte. */
const MAX_WRAPPED = 256;
/** Whoever changes the database must not have the file read all the time. */
const REREAD_MS = 1_000;
const CIPHER = "aes-256-gcm";
const KEK_ID_BYTES = 8;
const TAG_BYTES = 16;
/** Of wrapped data keys, beside themselves. */
const WRAPPING_BYTES = KEK_ID_BYTES + NONCE_BYTES + TAG_BYTES;
const MAX_KEYS = 100;

/** The text of a new key file; `older` is the text of the file whose keys it must still open. Save it with `saveKey`. */
export function generateSealingKey(older?: { text: string; path: string }): string {
  const made = { kty: "oct", alg: "A256GCM", use: "enc", k: randomBytes(32).toString("base64url") };
  const kept = older ? readJwks(older.text, older.path).map(formatJwk) : [];
  return `${JSON.stringify({ keys: [made, ...kept] }, null, 2)}\n`;
}

/**
 * Loads a key file for the ledger with this origin. Where a key is met that the file did not hold, the file is read again:
 * a new key is put in front on one machine first, and no other may call what it sealed damaged. @throws {KeyError}
 */
export function loadSealingKey(path: string, origin: string): SealingKey {
  let current = createSealingKey(readJwks(readKeyFile(path), path), origin);
  let readAt = Number.NEGATIVE_INFINITY;
  const reload = () => {
    if (performance.now() - readAt < REREAD_MS) return;
    readAt = performance.now();
    try {
      current = createSealingKey(readJwks(readKeyFile(path), path), origin);
    } catch (cause) {
      // It is being replaced, or was lost: what is in memory goes on.
      if (!(cause instanceof KeyError)) throw cause;
    }
  };
  return {
    derive: (purpose) => current.derive(purpose),
    wrap: (dataKeys, id) => current.wrap(dataKeys, id),
    unwrap: (wrapped, id) => {
      try {
        return current.unwrap(wrapped, id);
      } catch (cause) {
        if (!(cause instanceof UnknownKeyError)) throw cause;
        reload();
        return current.unwrap(wrapped, id);
      }
    },
  };
}

/** The sealing key over keys in memory, newest first. */
export function createSealingKey(keys: readonly Uint8Array[], origin: string): SealingKey {
  const rings = keys.map((key) => ({
    id: createHmac("sha256", key).update("scimseal sealing key").digest().subarray(0, KEK_ID_BYTES),
    key: createSecretKey(expand(key, origin, "data key")),
  }));
  const [first] = rings;
  const oldest = keys.at(-1);
  if (!first || !oldest) throw new Error("a sealing key needs a key");
  const place = Buffer.from(`scimseal/v1/data key\0${origin}\0`);
  const aad = (kekId: Uint8Array, id: Uint8Array) => Buffer.concat([place, kekId, id]);
  return {
    derive: (purpose) => expand(oldest, origin, `derived/${purpose}`),
    wrap(dataKeys, id) {
      const nonce = drawNonce();
      const cipher = createCipheriv(CIPHER, first.key, nonce, { authTagLength: TAG_BYTES });
      cipher.setAAD(aad(first.id, id));
      return Buffer.concat([first.id, nonce, cipher.update(dataKeys), cipher.final(), cipher.getAuthTag()]);
    },
    unwrap(wrapped, id) {
      const size = wrapped.length - WRAPPING_BYTES;
      if (size < DATA_KEY_BYTES || size % DATA_KEY_BYTES !== 0 || size > MAX_WRAPPED * DATA_KEY_BYTES)
        throw new SealError("the wrapped data keys have another length");
      const kekId = Buffer.from(wrapped.subarray(0, KEK_ID_BYTES));
      const ring = rings.find((one) => kekId.equals(one.id));
      if (!ring) {
        const held = rings.map((one) => one.id.toString("hex")).join(", ");
        throw new UnknownKeyError(`wrapped under key ${kekId.toString("hex")}; the key file holds ${held}`);
      }
      const nonce = wrapped.subarray(KEK_ID_BYTES, KEK_ID_BYTES + NONCE_BYTES);
      const tagAt = wrapped.length - TAG_BYTES;
      const cipher = createDecipheriv(CIPHER, ring.key, nonce, { authTagLength: TAG_BYTES });
      cipher.setAAD(aad(ring.id, id));
      cipher.setAuthTag(wrapped.subarray(tagAt));
      const dataKeys = cipher.update(wrapped.subarray(KEK_ID_BYTES + NONCE_BYTES, tagAt));
      try {
        cipher.final();
      } catch (cause) {
        throw new SealError("the wrapped data keys were changed, or are of another ledger", { cause });
      }
      return dataKeys;
    },
  };
}

function expand(key: Uint8Array, origin: string, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", key, Buffer.from(origin), `scimseal/v1/sealing/${purpose}`, 32));
}

function formatJwk(key: Uint8Array): object {
  return { kty: "oct", alg: "A256GCM", use: "enc", k: Buffer.from(key).toString("base64url") };
}

function readJwks(text: string, path: string): Uint8Array[] {
  const wrong = (why: string) =>
    new KeyError(
      path,
      `${path} is not a sealing key: ${why}. Restore it from a backup; scimseal keys sealing makes one for a new ledger`,
    );
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's message quotes the text, which is the key: it goes no further.
    throw wrong("it is not JSON");
  }
  const list: unknown =
    typeof value === "object" && value !== null && "keys" in value ? value.keys : undefined;
  if (!Array.isArray(list) || list.length === 0 || list.length > MAX_KEYS)
    throw wrong(`it must be a JWK set of 1 to ${MAX_KEYS} keys`);
  const keys = list.map((jwk: unknown) => {
    const isOct = typeof jwk === "object" && jwk !== null && "kty" in jwk && jwk.kty === "oct";
    const bytes = isOct && "k" in jwk && typeof jwk.k === "string" ? decodeBase64url(jwk.k) : undefined;
    if (bytes?.length !== DATA_KEY_BYTES) throw wrong("every key must be kty oct with a k of 256 bits");
    return bytes;
  });
  if (new Set(keys.map((key) => Buffer.from(key).toString("hex"))).size !== keys.length)
    throw wrong("it holds a key twice");
  return keys;
}
