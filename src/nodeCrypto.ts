// What the ledger's code takes from this runtime: SHA-256, base64url, random bytes and ids by node:crypto and Buffer,
// several times as fast as the portable ones and held to the same vectors.

import { hash, randomBytes } from "node:crypto";
import { MAX_LEAF_BYTES } from "./ledger/entry.ts";
import type { InPlaceSha256, Sha256 } from "./ledger/hash.ts";
import { uuidSource } from "./storage/writer/uuid.ts";

/** What a leaf or the usual attachment fits into. */
const scratch = Buffer.allocUnsafeSlow(MAX_LEAF_BYTES + 1);

/**
 * SHA-256 by node:crypto: one call over one buffer, and the digest by way of a string. For entries that takes 1.3 µs, a
 * joined buffer and a digest as a buffer 2.5, a hash object more.
 */
export const nodeSha256: Sha256 = Object.assign(
  (...parts: Uint8Array[]) => {
    const [only] = parts;
    const whole = parts.length === 1 && only ? only : join(parts);
    return Buffer.from(hash("sha256", whole, "binary"), "latin1");
  },
  { inPlace: { allocate: (size) => Buffer.alloc(size), write: writeSha256 } satisfies InPlaceSha256 },
);

/** Without a buffer for each digest: a third less for a node of the tree. */
function writeSha256(bytes: Uint8Array, target: Buffer, at: number): void {
  target.write(hash("sha256", bytes, "binary"), at, "latin1");
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  let size = 0;
  for (const part of parts) size += part.length;
  if (size > scratch.length) return Buffer.concat(parts, size);
  let at = 0;
  for (const part of parts) {
    scratch.set(part, at);
    at += part.length;
  }
  return scratch.subarray(0, size);
}

/** The leaf hash of a leaf's text (RFC 6962 §2.1), written into `target`; as base64url, which is what it is made from. */
export function hashLeafText(leaf: string, target: Buffer): string {
  const text = hash("sha256", `\0${leaf}`, "base64url");
  target.write(text, "base64url");
  return text;
}

/** base64url by Buffer. */
export function toBase64url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64url");
}

/** base64url by Buffer, with the contract of `decodeBase64url`: Buffer takes any text, so it must come out again the same. */
export function fromBase64url(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, "base64url");
  return bytes.toString("base64url") === text ? bytes : undefined;
}

/** What a verifier of entries takes from here. */
export const nodeCodec = { digest: nodeSha256, encode: toBase64url, decode: fromBase64url };

const POOL_BYTES = 8192;
let pool = Buffer.alloc(0);
let poolAt = 0;

/** Random bytes for salts and ids, drawn from the system some thousands at a time; none is handed out twice. */
export function drawRandomBytes(size: number): Uint8Array {
  if (poolAt + size > pool.length) {
    // A fresh buffer each time: the slices handed out before live on.
    pool = randomBytes(Math.max(POOL_BYTES, size));
    poolAt = 0;
  }
  poolAt += size;
  return pool.subarray(poolAt - size, poolAt);
}

/** Version 7 UUIDs of this process. */
export const newUuid = uuidSource({ now: Date.now, randomBytes: drawRandomBytes });
