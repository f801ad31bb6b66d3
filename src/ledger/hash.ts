// The hashes of the ledger. A leaf's hash is the RFC 6962 §2.1 leaf hash, SHA-256(0x00 ‖ leaf): it is both the chain
// link (`prev`) and the Merkle tree leaf. An attachment's commitment is SHA-256(salt ‖ bytes) with a 32-byte salt, so
// that a leaf says nothing about bytes whose salt was shredded. Pure; the digest function is a parameter, with
// @noble/hashes as the default everywhere and node:crypto as the server's fast path.

import { sha256 as nobleSha256 } from "@noble/hashes/sha2.js";

/** SHA-256 over the concatenation of the parts. */
export interface Sha256 {
  (...parts: Uint8Array[]): Uint8Array;
  /** Where the runtime has something faster than to copy the digest out of an array made for it. */
  readonly inPlace?: InPlaceSha256;
}

/** SHA-256 written to where it is wanted, for whoever hashes millions of nodes. */
export interface InPlaceSha256 {
  /** Zeroed bytes of the kind that `write` writes to. */
  allocate(size: number): Uint8Array;
  write(bytes: Uint8Array, target: Uint8Array, at: number): void;
}

/** The portable SHA-256. */
export const sha256: Sha256 = (...parts) => {
  const [only] = parts;
  if (parts.length === 1 && only) return nobleSha256(only);
  const hash = nobleSha256.create();
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** What the digest has for this, or the same by copying. */
export function inPlaceOf(digest: Sha256): InPlaceSha256 {
  return (
    digest.inPlace ?? {
      allocate: (size) => new Uint8Array(size),
      write: (bytes, target, at) => target.set(digest(bytes), at),
    }
  );
}

export const HASH_BYTES = 32;
export const SALT_BYTES = 32;

/** `prev` of the first entry: there is no leaf before it. */
export const GENESIS_PREV: Uint8Array = new Uint8Array(HASH_BYTES);

const LEAF_PREFIX = new Uint8Array([0]);

/** RFC 6962 leaf hash of the exact stored leaf bytes. */
export function hashLeaf(leaf: Uint8Array, digest: Sha256 = sha256): Uint8Array {
  return digest(LEAF_PREFIX, leaf);
}

/** Salted commitment to an attachment's bytes; throws if the salt is not 32 bytes (else ab|c could equal a|bc). */
export function commitTo(salt: Uint8Array, bytes: Uint8Array, digest: Sha256 = sha256): Uint8Array {
  if (salt.length !== SALT_BYTES)
    throw new RangeError(`a commitment's salt is ${SALT_BYTES} bytes, not ${salt.length}`);
  return digest(salt, bytes);
}

/** Byte equality for public values (hashes, leaves); not for secrets. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  const { length } = a;
  if (length !== b.length) return false;
  // A loop: with a function for each byte this would be a tenth of a verification without signatures.
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return false;
  return true;
}
