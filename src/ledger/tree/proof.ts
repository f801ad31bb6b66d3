// Checks of Merkle proofs: that a leaf is in a tree (RFC 6962 §2.1.1, RFC 9162 §2.1.3.2) and that a tree is the
// beginning of a later one (RFC 6962 §2.1.2, RFC 9162 §2.1.4.2). A proof has exactly the hashes its sizes call for, or
// it is none. A bad proof is a "no", never an exception; a size that is no size is a mistake of the caller. Pure.
// The roots are the caller's: they prove something only if they come from a checkpoint that was verified.

import { equalBytes, HASH_BYTES, type Sha256, sha256 } from "../hash.ts";
import { assertSize, bitsOf, emptyRoot, hashNode } from "./tree.ts";

/** The hashes of a proof in the order of the RFCs: from the leaves towards the root. */
export type Proof = readonly Uint8Array[];

/** One step from a node to its parent: the side on which the sibling stands, and the leaves under the sibling. */
export interface Step {
  side: "left" | "right";
  begin: number;
  end: number;
}

/**
 * Is this the leaf at `index` (from 0) of the tree with `size` leaves and this root? False for every index not in the
 * tree, so always for size 0, and for a hash that is not 32 bytes. Throws RangeError if index or size is no size.
 */
export function checkInclusion(
  proof: Proof,
  index: number,
  size: number,
  leafHash: Uint8Array,
  root: Uint8Array,
  digest: Sha256 = sha256,
): boolean {
  assertSize(index, "a leaf's index");
  assertSize(size, "a tree size");
  if (index >= size || !isHash(leafHash) || !isHash(root) || !proof.every(isHash)) return false;
  let at = 0;
  let hash = leafHash;
  for (const { side } of climb(0, index, size)) {
    const sibling = proof[at++];
    if (!sibling) return false;
    hash = side === "left" ? hashNode(sibling, hash, digest) : hashNode(hash, sibling, digest);
  }
  return at === proof.length && equalBytes(hash, root);
}

/**
 * Is the tree of `oldSize` leaves the beginning of the tree of `newSize` leaves? Decided without hashing: a larger old
 * tree never is; the same size needs the same root and an empty proof; the empty tree is the beginning of every tree,
 * with its own root (SHA-256 of nothing) and an empty proof, which says nothing about the new root. False for a hash
 * that is not 32 bytes. Throws RangeError if a size is no size.
 */
export function checkConsistency(
  proof: Proof,
  oldSize: number,
  newSize: number,
  oldRoot: Uint8Array,
  newRoot: Uint8Array,
  digest: Sha256 = sha256,
): boolean {
  assertSize(oldSize, "the old tree size");
  assertSize(newSize, "the new tree size");
  if (oldSize > newSize || !isHash(oldRoot) || !isHash(newRoot) || !proof.every(isHash)) return false;
  if (oldSize === 0 && !equalBytes(oldRoot, emptyRoot(digest))) return false;
  if (oldSize === newSize) return proof.length === 0 && equalBytes(oldRoot, newRoot);
  if (oldSize === 0) return proof.length === 0;
  const { height, index } = lastSubtree(oldSize);
  // An old tree that is one full subtree is in the new one as it is; its root is the caller's and not sent again.
  let at = index === 0 ? 0 : 1;
  const seed = index === 0 ? oldRoot : proof[0];
  if (!seed) return false;
  let inOld = seed;
  let inNew = seed;
  for (const { side } of climb(height, index, newSize)) {
    const sibling = proof[at++];
    if (!sibling) return false;
    if (side === "left") inOld = hashNode(sibling, inOld, digest);
    inNew = side === "left" ? hashNode(sibling, inNew, digest) : hashNode(inNew, sibling, digest);
  }
  return at === proof.length && equalBytes(inOld, oldRoot) && equalBytes(inNew, newRoot);
}

/**
 * The siblings from a node up to the root of a tree of `size` leaves. The node is the `index`-th of its height, and
 * its leaves are in the tree. A node without a sibling stands for its parent: no step.
 */
export function* climb(height: number, index: number, size: number): Generator<Step> {
  let span = 2 ** height;
  let at = index;
  let last = Math.floor((size - 1) / span);
  for (; last > 0; last = Math.floor(last / 2)) {
    if (at % 2 === 1) yield { side: "left", begin: (at - 1) * span, end: at * span };
    else if (at < last) {
      yield { side: "right", begin: (at + 1) * span, end: Math.min((at + 2) * span, size) };
    }
    at = Math.floor(at / 2);
    span *= 2;
  }
}

/** The full subtree at the right end of a tree that has leaves: the node from which a consistency proof climbs. */
export function lastSubtree(size: number): { height: number; index: number } {
  const [height = 0] = bitsOf(size);
  return { height, index: size / 2 ** height - 1 };
}

function isHash(bytes: Uint8Array): boolean {
  return bytes.length === HASH_BYTES;
}
