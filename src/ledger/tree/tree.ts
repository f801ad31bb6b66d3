// The Merkle tree of RFC 6962 §2.1 over the leaf hashes of a ledger: its hashes, and a builder that holds only the
// right edge of a growing tree (at most one hash for each bit of its size). Sizes and indices are integers up to
// 2^53 - 1, anything else is a RangeError; powers of two are reached by division, never by 32-bit operators. Pure.
// Tiles, proofs and signatures are elsewhere.

import { HASH_BYTES, type InPlaceSha256, inPlaceOf, type Sha256, sha256 } from "../hash.ts";

/**
 * Gets a hash that will stand in a tile: the tree hash of the 256^level leaves from index · 256^level on. Whoever
 * keeps it copies it: at level 0 it is the array that `append` was given, above a place that the builder uses again.
 */
export type TileHashSink = (level: number, index: number, hash: Uint8Array) => void;

/** The height of a tile; the hashes at every eighth height of the tree are the ones that tiles hold. */
export const TILE_HEIGHT = 8;

const MAX_HEIGHTS = 53;
/** What is hashed for an inner node: 0x01 ‖ left ‖ right. */
const NODE_BYTES = 1 + 2 * HASH_BYTES;
const LEFT = 1;
const RIGHT = LEFT + HASH_BYTES;
/** One buffer for all nodes: a digest is synchronous and must not keep what it is given. */
const node = openNode(new Uint8Array(NODE_BYTES));

/** Hash of an inner node, SHA-256(0x01 ‖ left ‖ right); throws RangeError unless both are 32 bytes. */
export function hashNode(left: Uint8Array, right: Uint8Array, digest: Sha256 = sha256): Uint8Array {
  assertHash(left);
  assertHash(right);
  node.set(left, LEFT);
  node.set(right, RIGHT);
  return digest(node);
}

/** Root of the tree without leaves: SHA-256 of nothing. */
export function emptyRoot(digest: Sha256 = sha256): Uint8Array {
  return digest();
}

/**
 * Tree hash of `count` consecutive hashes of a flat array (32 bytes each), from hash `from` on: of leaf hashes the
 * root over them, of hashes of equally large full subtrees their common subtree. The input is left as it is. Made for
 * millions: one buffer of half the input, no other allocation but the digest's own. Throws RangeError if the run is
 * empty or not inside the array.
 */
export function hashRun(
  hashes: Uint8Array,
  from: number,
  count: number,
  digest: Sha256 = sha256,
): Uint8Array {
  assertSize(from, "the start of a run");
  assertSize(count, "the length of a run");
  if (count === 0 || (from + count) * HASH_BYTES > hashes.length) {
    throw new RangeError(`no run of ${count} hashes from ${from} on in ${hashes.length} bytes`);
  }
  const folded = new Uint8Array(Math.ceil(count / 2) * HASH_BYTES);
  let source = hashes;
  let start = from * HASH_BYTES;
  let left = count;
  do {
    const pairs = Math.floor(left / 2);
    for (let i = 0; i < pairs; i++) {
      const at = start + i * 2 * HASH_BYTES;
      node.set(source.subarray(at, at + 2 * HASH_BYTES), LEFT);
      folded.set(digest(node), i * HASH_BYTES);
    }
    // A hash without a right neighbour stands for its parent too.
    if (left % 2 === 1) {
      const at = start + pairs * 2 * HASH_BYTES;
      folded.set(source.subarray(at, at + HASH_BYTES), pairs * HASH_BYTES);
    }
    source = folded;
    start = 0;
    left = Math.ceil(left / 2);
  } while (left > 1);
  return folded.slice(0, HASH_BYTES);
}

/** A growing tree, known by its size and right edge. Not durable: restore it from what the storage holds. */
export class TreeBuilder {
  #size = 0;
  /**
   * At height h the node whose children are of that height, each hash written where it will be hashed. Left: the full subtree
   * of 2^h leaves on the right edge, where the size has the bit 2^h; nothing else counts.
   */
  readonly #nodes: readonly Uint8Array[];
  readonly #digest: Sha256;
  readonly #inPlace: InPlaceSha256;

  /** A tree without leaves. */
  constructor(digest: Sha256 = sha256) {
    this.#digest = digest;
    this.#inPlace = inPlaceOf(digest);
    this.#nodes = Array.from({ length: MAX_HEIGHTS }, () => openNode(this.#inPlace.allocate(NODE_BYTES)));
  }

  /**
   * The tree of `size` leaves with this edge, as `edge` gave it: the full subtrees from left to right, so the largest
   * first. Throws RangeError if the number of hashes is not the size's. Whether they are the right hashes shows only
   * when the root is compared with a checkpoint.
   */
  static restore(size: number, edge: readonly Uint8Array[], digest: Sha256 = sha256): TreeBuilder {
    assertSize(size, "a tree size");
    const builder = new TreeBuilder(digest);
    builder.#size = size;
    let at = edge.length;
    for (const height of bitsOf(size)) {
      const hash = edge[--at];
      if (!hash) break;
      assertHash(hash);
      builder.#node(height).set(hash, LEFT);
    }
    if (at !== 0) {
      throw new RangeError(`the edge of a tree of ${size} leaves does not have ${edge.length} hashes`);
    }
    return builder;
  }

  /** Number of leaves. */
  get size(): number {
    return this.#size;
  }

  /** Copies of the hashes of the right edge, the largest full subtree first. */
  get edge(): Uint8Array[] {
    return bitsOf(this.#size)
      .map((height) => this.#edgeAt(height))
      .reverse();
  }

  /**
   * Adds a leaf by its leaf hash: one node hash a leaf on the average. Tells the sink the hashes for tiles that this
   * leaf completes: its own (level 0) first, then upwards, so that whoever writes full tiles in this order never has
   * a tile whose lower ones are missing. Nothing is changed if it throws (RangeError: no hash, or the tree is full).
   */
  append(leafHash: Uint8Array, sink?: TileHashSink): void {
    assertHash(leafHash);
    assertSize(this.#size + 1, "a tree size");
    let index = this.#size;
    sink?.(0, index, leafHash);
    let child = this.#node(0);
    child.set(leafHash, sideOf(index));
    for (let height = 1; index % 2 === 1; height++) {
      index = (index - 1) / 2;
      const at = sideOf(index);
      const parent = this.#node(height);
      this.#inPlace.write(child, parent, at);
      if (height % TILE_HEIGHT === 0)
        sink?.(height / TILE_HEIGHT, index, parent.subarray(at, at + HASH_BYTES));
      child = parent;
    }
    this.#size++;
  }

  /** The tree's root: RFC 6962 MTH of all its leaves. */
  root(): Uint8Array {
    const [lowest, ...higher] = bitsOf(this.#size);
    if (lowest === undefined) return emptyRoot(this.#digest);
    let root = this.#edgeAt(lowest);
    for (const height of higher) root = hashNode(this.#edgeAt(height), root, this.#digest);
    return root;
  }

  #edgeAt(height: number): Uint8Array {
    return new Uint8Array(this.#node(height).subarray(LEFT, RIGHT));
  }

  #node(height: number): Uint8Array {
    const found = this.#nodes[height];
    if (!found) throw new RangeError(`a tree has no height ${height}`);
    return found;
  }
}

function openNode(bytes: Uint8Array): Uint8Array {
  bytes[0] = 1;
  return bytes;
}

/** Where the node of this index stands in its parent. */
function sideOf(index: number): number {
  return index % 2 === 0 ? LEFT : RIGHT;
}

/** Throws RangeError unless the value is a size or an index: an integer from 0 to 2^53 - 1. */
export function assertSize(value: number, what: string): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`${what} is a whole number from 0 to 2^53 - 1, not ${value}`);
  }
}

/** Exponents of the powers of two that add up to the value, lowest first. */
export function bitsOf(value: number): number[] {
  const bits: number[] = [];
  for (let bit = 0, rest = value; rest > 0; bit++, rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) bits.push(bit);
  }
  return bits;
}

function assertHash(hash: Uint8Array): void {
  if (hash.length !== HASH_BYTES) {
    throw new RangeError(`a hash of the tree is ${HASH_BYTES} bytes, not ${hash.length}`);
  }
}
