/**
 * Pinned public keys: the keys an operator or auditor decided to trust, read from files of their own.
 * A key that arrives together with the evidence proves nothing (DESIGN §6), so nothing here reads the database.
 */
import { readFileSync } from "node:fs";
import { errorCode } from "../config/privateFile.ts";
import { type PublicKey, parsePublicJwk } from "../ledger/key.ts";
import { KeyError } from "./keyFile.ts";

/** Reads JWK and JWKS files (RFC 7517). Every key must be Ed25519; keys that occur twice come once. @throws {KeyError} */
export function loadPinned(paths: readonly string[]): PublicKey[] {
  const keys = new Map<string, PublicKey>();
  for (const path of paths) {
    for (const jwk of readJwks(path)) {
      if (typeof jwk === "object" && jwk !== null && "d" in jwk) {
        throw new KeyError(path, `${path} holds a private key: pin the public key only`);
      }
      const key = parsePublicJwk(jwk);
      if (key === undefined)
        throw new KeyError(path, `${path} holds a key that is not an Ed25519 public JWK`);
      keys.set(key.kid, key);
    }
  }
  return [...keys.values()];
}

function readJwks(path: string): unknown[] {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    // A parser's message quotes the text, which may be a private key put here by mistake: it goes no further.
    if (cause instanceof SyntaxError) throw new KeyError(path, `the pinned key ${path} is not JSON`);
    throw new KeyError(path, `the pinned key ${path} cannot be read (${errorCode(cause)})`, { cause });
  }
  if (typeof value === "object" && value !== null && "keys" in value) {
    if (Array.isArray(value.keys) && value.keys.length > 0) return value.keys;
    throw new KeyError(path, `the pinned key set ${path} holds no key`);
  }
  return [value];
}
