// Ed25519 verification by node:crypto, several times as fast as the portable one. Keys and signatures are first put
// through the checks that all paths share (src/ledger/ed25519.ts): how strict OpenSSL itself is depends on its version
// (3.0 lets small order pass). Key objects are kept, because a ledger is verified with very few keys.

import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { isStrictPublicKey, isStrictSignature, type VerifySignature } from "../ledger/ed25519.ts";
import { formatPublicJwk } from "../ledger/key.ts";

const keys = new Map<string, KeyObject | undefined>();
const MAX_KEYS = 64;

/** Same contract as the portable `verifySignature`. */
export const fastVerify: VerifySignature = (publicKey, message, signature) => {
  if (!isStrictSignature(signature)) return false;
  const key = keyOf(publicKey);
  return key !== undefined && verify(null, message, key, signature);
};

function keyOf(bytes: Uint8Array): KeyObject | undefined {
  const name = Buffer.from(bytes).toString("base64");
  if (!keys.has(name)) {
    if (keys.size >= MAX_KEYS) keys.clear();
    keys.set(
      name,
      isStrictPublicKey(bytes)
        ? createPublicKey({ key: { ...formatPublicJwk(bytes) }, format: "jwk" })
        : undefined,
    );
  }
  return keys.get(name);
}
