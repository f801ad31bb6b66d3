// libsodium, where its package is installed: an optional speed-up for signing and verifying, and nothing more. What it says
// is never another word than node:crypto's (fastSign.ts and fastVerify.ts say why).

import { createRequire } from "node:module";

/** The part of sodium-native that is used; the package has no types. */
export interface Sodium {
  /** Memory that is locked, guarded and left out of core dumps. */
  sodium_malloc(size: number): Buffer;
  crypto_sign_seed_keypair(publicKey: Buffer, secretKey: Buffer, seed: Uint8Array): void;
  crypto_sign_detached(signature: Buffer, message: Uint8Array, secretKey: Buffer): void;
  crypto_sign_verify_detached(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean;
}

let loaded: { sodium: Sodium | undefined } | undefined;

/** Undefined where the package is not installed, or has no build for this machine. */
export function loadSodium(): Sodium | undefined {
  if (!loaded) {
    let sodium: Sodium | undefined;
    try {
      sodium = createRequire(import.meta.url)("sodium-native") as Sodium;
    } catch {
      // node:crypto does it.
    }
    loaded = { sodium };
  }
  return loaded.sodium;
}
