// Ed25519 signing by libsodium, where its package is installed: about 30 µs a signature where node:crypto takes 54, and
// two signatures stand in every write. Signatures are deterministic (RFC 8032 §5.1.6), so both make the same bytes, and the
// signer proves that before it uses this one.

import { PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from "../ledger/ed25519.ts";
import { loadSodium } from "./sodium.ts";

const SECRET_KEY_BYTES = 64;

/** Signs with the key of this 32-byte seed; undefined where the package is absent or does not run. */
export function openFastSign(seed: Uint8Array): ((bytes: Uint8Array) => Uint8Array) | undefined {
  const sodium = loadSodium();
  if (!sodium) return undefined;
  const secretKey = sodium.sodium_malloc(SECRET_KEY_BYTES);
  sodium.crypto_sign_seed_keypair(Buffer.alloc(PUBLIC_KEY_BYTES), secretKey, seed);
  return (bytes) => {
    const signature = Buffer.allocUnsafe(SIGNATURE_BYTES);
    sodium.crypto_sign_detached(signature, bytes, secretKey);
    return signature;
  };
}
