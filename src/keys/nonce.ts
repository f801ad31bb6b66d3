/**
 * Nonces for AES-GCM: 96 random bits each (NIST SP 800-38D §8.2.2), never one twice under a key for as long as a key seals
 * fewer than 2³² messages. Drawn from the system some hundred at a time, which costs a tenth of drawing each.
 */
import { randomBytes } from "node:crypto";

export const NONCE_BYTES = 12;

let pool = Buffer.alloc(0);

/** A nonce that nobody else was given. It must not be changed: its memory is shared with those drawn next to it. */
export function drawNonce(): Uint8Array {
  if (pool.length < NONCE_BYTES) pool = randomBytes(NONCE_BYTES * 512);
  const nonce = pool.subarray(0, NONCE_BYTES);
  pool = pool.subarray(NONCE_BYTES);
  return nonce;
}
