// Ed25519 verification (RFC 8032 §5.1.7), strict, with one verdict on every path. The standard leaves choices open,
// and libraries choose differently; two honest auditors must never see different verdicts on one ledger. The choice:
// canonical encodings of A and R, neither of small order, S < L, and the equation without cofactor, [S]B = R + [k]A,
// checked by encoding the right R and comparing bytes. node:crypto (src/keys/fastVerify.ts) and WebCrypto
// (webVerify.ts) use that same equation; the checks before it are here and shared. Pure.

import { Point } from "@noble/ed25519";
import { sha512 } from "@noble/hashes/sha2.js";
import { encodeBase64url } from "./base64url.ts";
import { equalBytes } from "./hash.ts";

/** Checks an Ed25519 signature. Every implementation gives the verdict of `verifySignature`, and none throws. */
export type VerifySignature = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean;

export const PUBLIC_KEY_BYTES = 32;
export const SIGNATURE_BYTES = 64;

/** p = 2^255 - 19, the field, and L, the order of the base point; little-endian like all numbers of Ed25519. */
const FIELD = fromHex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
const ORDER = fromHex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
const ORDER_NUMBER = toNumber(ORDER);

/** The y of the eight points of small order: 0 (two of order 4), 1, -1, and the two of order 8 (each for two points). */
const SMALL_ORDER_Y = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
].map(fromHex);

/** Keys already decoded and negated. A verifier holds few keys; a flood of others must not fill the memory. */
const decoded = new Map<string, Point | undefined>();
const MAX_DECODED = 64;

/** The portable check, on @noble/ed25519's curve arithmetic. Never throws. */
export const verifySignature: VerifySignature = (publicKey, message, signature) => {
  if (!isStrictSignature(signature)) return false;
  const negatedKey = decodeNegated(publicKey);
  if (negatedKey === undefined) return false;
  const r = signature.subarray(0, 32);
  const s = toNumber(signature.subarray(32));
  const k = toNumber(sha512.create().update(r).update(publicKey).update(message).digest()) % ORDER_NUMBER;
  // Everything here is public, so the arithmetic need not hide its timing (`false`).
  const expected = Point.BASE.multiply(s, false).add(negatedKey.multiply(k, false));
  return equalBytes(expected.toBytes(), r);
};

/** Whether a signature has the right form: 64 bytes, S < L, R canonical and not of small order. */
export function isStrictSignature(signature: Uint8Array): boolean {
  return (
    signature.length === SIGNATURE_BYTES &&
    isBelow(signature.subarray(32), ORDER) &&
    isStrictEncoding(signature.subarray(0, 32))
  );
}

/** Whether bytes are a public key that may be trusted at all: a canonical point of the curve, not of small order. */
export function isStrictPublicKey(bytes: Uint8Array): boolean {
  return decodeNegated(bytes) !== undefined;
}

function decodeNegated(bytes: Uint8Array): Point | undefined {
  if (bytes.length !== PUBLIC_KEY_BYTES || !isStrictEncoding(bytes)) return undefined;
  const name = encodeBase64url(bytes);
  if (!decoded.has(name)) {
    if (decoded.size >= MAX_DECODED) decoded.clear();
    decoded.set(name, decodePoint(bytes)?.negate());
  }
  return decoded.get(name);
}

function decodePoint(bytes: Uint8Array): Point | undefined {
  try {
    return Point.fromBytes(bytes, false);
  } catch (cause) {
    // noble throws for bytes that are no point: to a verifier that is a "no", not an accident.
    if (cause instanceof Error) return undefined;
    throw cause;
  }
}

/** y < p and not the y of a point of small order. The top bit is the sign of x and no part of y (RFC 8032 §5.1.2). */
function isStrictEncoding(point: Uint8Array): boolean {
  return isBelow(point, FIELD, 0x7f) && !SMALL_ORDER_Y.some((y) => isY(point, y));
}

function isY(point: Uint8Array, y: Uint8Array): boolean {
  for (let i = 0; i < 31; i++) if (point[i] !== y[i]) return false;
  return ((point[31] ?? 0) & 0x7f) === y[31];
}

/** Little-endian bytes < limit, both 32 bytes; `topMask` says which bits of the highest byte count. */
function isBelow(bytes: Uint8Array, limit: Uint8Array, topMask = 0xff): boolean {
  for (let i = 31; i >= 0; i--) {
    const byte = (bytes[i] ?? 0) & (i === 31 ? topMask : 0xff);
    const bound = limit[i] ?? 0;
    if (byte !== bound) return byte < bound;
  }
  return false;
}

function toNumber(littleEndian: Uint8Array): bigint {
  let hex = "";
  for (const byte of littleEndian) hex = byte.toString(16).padStart(2, "0") + hex;
  return BigInt(`0x${hex}`);
}

function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
