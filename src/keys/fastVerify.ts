// Ed25519 verification by libsodium where its package is installed (some 75 µs a signature), else by node:crypto (some 150):
// several times as fast as the portable one. Keys and signatures are first put through the checks that all paths share
// (src/ledger/ed25519.ts): how strict OpenSSL itself is depends on its version (3.0 lets small order pass). Key objects are
// kept, because a ledger is verified with very few keys.
//
// libsodium's equation depends on its version too: with cofactor or without. It is used only if it refuses two signatures
// that are good with cofactor alone, and of it only the yes: a no is node:crypto's to say.

import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { isStrictPublicKey, isStrictSignature, type VerifySignature } from "../ledger/ed25519.ts";
import { formatPublicJwk } from "../ledger/key.ts";
import { loadSodium, type Sodium } from "./sodium.ts";

const MAX_KEYS = 64;

/** R has a part of order 8 in the one and of order 2 in the other; test/vectors/makeEd25519.ts makes them. */
const GOOD_WITH_COFACTOR_ONLY = {
  key: "6f6ca5462ae560235abfc4bf18f762edd72bc1a7de9e49eec0aeb5ecaa8d37ce",
  message: "6d6573736167652030",
  signatures: [
    "dfd3145e691e9b998cb20bd6e1790ccfbd79f23e01dc20a7349e3aec7193acf69d184627d3ab694d08a5ed18e7e833a8b0a010732cd8d8fc674b7f47eb31b403",
    "85b3f2ac54bb21b92ad954b2cc4a6b845462885097801f5f6ae75a0920b579143f1e0692e46fc15c2d96a178f192349e6fba70d2751b6a756b2308d54890b30e",
  ],
};

/** Same contract as the portable `verifySignature`, with libsodium or without it. */
export function createFastVerify(sodium: Sodium | undefined): VerifySignature {
  const quick = sodium && hasNoCofactor(sodium) ? sodium : undefined;
  const keys = new Map<string, KeyObject | undefined>();
  const keyOf = (bytes: Uint8Array) => {
    const name = Buffer.from(bytes).toString("base64");
    if (!keys.has(name)) {
      if (keys.size >= MAX_KEYS) keys.clear();
      keys.set(name, isStrictPublicKey(bytes) ? openKey(bytes) : undefined);
    }
    return keys.get(name);
  };
  return (publicKey, message, signature) => {
    if (!isStrictSignature(signature)) return false;
    const key = keyOf(publicKey);
    if (key === undefined) return false;
    return (
      quick?.crypto_sign_verify_detached(signature, message, publicKey) === true ||
      verify(null, message, key, signature)
    );
  };
}

/** The one that is used everywhere. */
export const fastVerify = createFastVerify(loadSodium());

function hasNoCofactor(sodium: Sodium): boolean {
  const { key, message, signatures } = GOOD_WITH_COFACTOR_ONLY;
  const bytes = (hex: string) => Buffer.from(hex, "hex");
  return !signatures.some((one) =>
    sodium.crypto_sign_verify_detached(bytes(one), bytes(message), bytes(key)),
  );
}

function openKey(bytes: Uint8Array): KeyObject {
  return createPublicKey({ key: { ...formatPublicJwk(bytes) }, format: "jwk" });
}
