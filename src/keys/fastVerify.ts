// Ed25519 verification by node:crypto, several times as fast as the portable one. A key is first put through the
// portable library's strict decoding (canonical encoding, no small order), since OpenSSL is laxer about keys; key
// objects are kept, because a ledger is verified with very few keys.

import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { Point } from "@noble/ed25519";
import { formatPublicJwk } from "../ledger/key.ts";
import type { VerifySignature } from "../ledger/leaf.ts";

const keys = new Map<string, KeyObject | undefined>();
const MAX_KEYS = 64;

/** Same contract as the portable `verifySignature`. */
export const fastVerify: VerifySignature = (publicKey, message, signature) => {
  const key = keyOf(publicKey);
  return key !== undefined && signature.length === 64 && verify(null, message, key, signature);
};

function keyOf(bytes: Uint8Array): KeyObject | undefined {
  const name = Buffer.from(bytes).toString("base64");
  if (!keys.has(name)) {
    if (keys.size >= MAX_KEYS) keys.clear();
    keys.set(
      name,
      isStrict(bytes) ? createPublicKey({ key: { ...formatPublicJwk(bytes) }, format: "jwk" }) : undefined,
    );
  }
  return keys.get(name);
}

function isStrict(bytes: Uint8Array): boolean {
  try {
    return !Point.fromBytes(bytes).isSmallOrder();
  } catch (cause) {
    // noble throws for bytes that are no point: no such key exists.
    if (cause instanceof Error) return false;
    throw cause;
  }
}
