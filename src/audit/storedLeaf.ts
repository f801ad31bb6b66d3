// What a stored row really holds: its leaf's bytes, hash and claims, always from the leaf itself. A stored hash is never
// taken for granted here: whoever could change a leaf could change the column beside it too.

import type { Entry } from "../ledger/entry.ts";
import { hashLeaf } from "../ledger/hash.ts";
import { parseLeaf } from "../ledger/leaf.ts";
import type { StoredEntry } from "../ledger/verify.ts";

/** The exact bytes of a leaf. */
export function bytesOf({ leaf }: Pick<StoredEntry, "leaf">): Uint8Array {
  return new TextEncoder().encode(leaf);
}

/** RFC 6962 leaf hash. */
export function hashStored(row: Pick<StoredEntry, "leaf">): Uint8Array {
  return hashLeaf(bytesOf(row));
}

/** What a leaf claims, unverified; undefined if it cannot be read. */
export function claimsOf({ leaf }: Pick<StoredEntry, "leaf">): Entry | undefined {
  const parsed = parseLeaf(leaf);
  return typeof parsed === "string" ? undefined : parsed.claims;
}
