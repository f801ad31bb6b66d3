// Public keys as the ledger sees them: an Ed25519 JWK (RFC 8037 §2) and its RFC 7638 thumbprint as `kid`. The
// thumbprint is always computed, never taken from the JWK. Pure.

import { decodeBase64url, encodeBase64url } from "./base64url.ts";
import { sha256 } from "./hash.ts";

export interface PublicJwk {
  kty: "OKP";
  crv: "Ed25519";
  x: string;
}

export interface PublicKey {
  kid: string;
  bytes: Uint8Array;
}

/** Narrows a JWK to a public Ed25519 key; undefined if it is anything else. A private member is ignored. */
export function parsePublicJwk(value: unknown): PublicKey | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { kty, crv, x } = value as Partial<Record<keyof PublicJwk, unknown>>;
  if (kty !== "OKP" || crv !== "Ed25519" || typeof x !== "string") return undefined;
  const bytes = decodeBase64url(x);
  return bytes?.length === 32 ? { kid: thumbprint(bytes), bytes } : undefined;
}

/** The public JWK of raw key bytes. */
export function formatPublicJwk(bytes: Uint8Array): PublicJwk {
  return { kty: "OKP", crv: "Ed25519", x: encodeBase64url(bytes) };
}

/** RFC 7638 thumbprint (SHA-256) of an Ed25519 public key. */
export function thumbprint(bytes: Uint8Array): string {
  const canonical = `{"crv":"Ed25519","kty":"OKP","x":"${encodeBase64url(bytes)}"}`;
  return encodeBase64url(sha256(new TextEncoder().encode(canonical)));
}
