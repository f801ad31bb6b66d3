// Key rotations (docs/FORMAT.md, "Keys"): which entry is one, and which keys a ledger has after some of them. The one
// place that decides it: a verifier that took an entry for a rotation where the writer does not would trust another key.

import { isStrictPublicKey, type VerifySignature } from "./ed25519.ts";
import type { Entry } from "./entry.ts";
import { type PublicKey, parsePublicJwk } from "./key.ts";
import { parseLeaf } from "./leaf.ts";

/** The key that an entry introduces; undefined if it is no rotation, or what it introduces could never be a key. */
export function rotatedKey(claims: Entry): PublicKey | undefined {
  if (claims.type !== "event" || claims.event.name !== "key-rotated") return undefined;
  const key = parsePublicJwk(claims.event.jwk);
  return key && isStrictPublicKey(key.bytes) ? key : undefined;
}

/** The keys of a ledger after a number of its entries. */
export interface KeyTrail {
  /** One of these signs the next entry, and the checkpoint whose newest entry that is. */
  current: readonly PublicKey[];
  /** These and all before them, oldest first. */
  all: readonly PublicKey[];
}

/** The keys after further event entries. A rotation counts only if the key before it signed it. */
export function followRotations(
  trail: KeyTrail,
  events: readonly { leaf: string }[],
  verify: VerifySignature,
): KeyTrail {
  let { current, all } = trail;
  for (const { leaf } of events) {
    const parsed = parseLeaf(leaf);
    if (typeof parsed === "string") continue; // A verifier names it; no key comes of it.
    const next = rotatedKey(parsed.claims);
    const signer = current.find((key) => key.kid === parsed.kid);
    if (!signer || !next || !verify(signer.bytes, parsed.signingInput, parsed.signature)) continue;
    current = [next];
    all = [...all.filter(({ kid }) => kid !== next.kid), next];
  }
  return { current, all };
}
