// What a person pastes as the ledger's public key: a vkey (C2SP signed-note), a JWK or a JWKS.

import { isStrictPublicKey } from "../ledger/ed25519.ts";
import { type PublicKey, parsePublicJwk, thumbprint } from "../ledger/key.ts";
import { parseVerifierKey } from "../ledger/note/verifierKey.ts";

export interface Pinned {
  keys: PublicKey[];
  /** The ledger that a vkey names. */
  origin?: string;
}

/** Reads it; a string says what is wrong, for the person who pasted it. */
export function parsePinned(text: string): Pinned | string {
  const trimmed = text.trim();
  if (trimmed === "") return "Give the ledger's public key first.";
  return trimmed.startsWith("{") ? parseJwks(trimmed) : parseVkeys(trimmed);
}

function parseVkeys(text: string): Pinned | string {
  const keys: PublicKey[] = [];
  let origin: string | undefined;
  for (const line of text.split(/\s*\n\s*/)) {
    const key = parseVerifierKey(line);
    if (typeof key === "string") return `This is no verifier key: ${key}.`;
    if (key.type !== "log") return "This is the key of a witness, not of a ledger.";
    if (origin !== undefined && key.name !== origin) return "These keys are of different ledgers.";
    origin = key.name;
    keys.push({ kid: thumbprint(key.publicKey), bytes: key.publicKey });
  }
  return { keys, ...(origin !== undefined && { origin }) };
}

function parseJwks(text: string): Pinned | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    return `The key is not JSON (${cause instanceof Error ? cause.name : "unreadable"}).`;
  }
  const isSet = typeof value === "object" && value !== null && "keys" in value && Array.isArray(value.keys);
  const jwks: unknown[] = isSet ? (value as { keys: unknown[] }).keys : [value];
  const keys: PublicKey[] = [];
  for (const jwk of jwks) {
    // A private key in a page is a mistake that should not go unnoticed.
    if (typeof jwk === "object" && jwk !== null && "d" in jwk)
      return "This is a private key. Only the public one belongs here.";
    const key = parsePublicJwk(jwk);
    if (!key || !isStrictPublicKey(key.bytes)) return "This is no usable Ed25519 public key.";
    keys.push(key);
  }
  return keys.length > 0 ? { keys } : "The key set is empty.";
}
