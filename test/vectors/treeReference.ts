// The tree and its proofs as RFC 6962 §2.1 words them: recursion over lists of leaves, nothing clever. The reference
// that src/ledger is held to; it shares no code with it. Ranges stand for D[begin:end].

import { hash } from "node:crypto";

/** Leaves from `begin` to before `end`. */
export type Range = readonly [begin: number, end: number];

/** SHA-256 by node:crypto over the concatenation of the parts. A text comes back several times as fast as a Buffer. */
export function nodeDigest(...parts: Uint8Array[]): Buffer {
  const [only] = parts;
  const bytes = parts.length === 1 && only ? only : Buffer.concat(parts);
  return Buffer.from(hash("sha256", bytes, "binary"), "latin1");
}

export function leafHashOf(leaf: string | Uint8Array): Buffer {
  return nodeDigest(Uint8Array.of(0), Buffer.from(leaf));
}

/** Leaf hashes of a tree whose leaf i is the decimal number i in ASCII. */
export function countedLeafHashes(size: number): Buffer[] {
  return Array.from({ length: size }, (_, i) => leafHashOf(String(i)));
}

/** The largest power of two smaller than n. */
function splitOf(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

/** PATH(m, D[begin:end]) as the ranges whose tree hashes are the proof; m counts from the range's begin. */
export function pathRanges(m: number, [begin, end]: Range): Range[] {
  const n = end - begin;
  if (n === 1) return [];
  const middle = begin + splitOf(n);
  return m < middle - begin
    ? [...pathRanges(m, [begin, middle]), [middle, end]]
    : [...pathRanges(m - (middle - begin), [middle, end]), [begin, middle]];
}

/** PROOF(m, D[0:n]) as ranges, for 0 < m < n. */
export function proofRanges(m: number, n: number): Range[] {
  return subproofRanges(m, [0, n], true);
}

function subproofRanges(m: number, [begin, end]: Range, isWhole: boolean): Range[] {
  const n = end - begin;
  if (m === n) return isWhole ? [] : [[begin, end]];
  const middle = begin + splitOf(n);
  return m <= middle - begin
    ? [...subproofRanges(m, [begin, middle], isWhole), [middle, end]]
    : [...subproofRanges(m - (middle - begin), [middle, end], false), [begin, middle]];
}

/** A tree over leaf hashes; it remembers what it hashed. */
export class ReferenceTree {
  readonly leafHashes: readonly Uint8Array[];
  readonly #known = new Map<string, Uint8Array>();

  constructor(leafHashes: readonly Uint8Array[]) {
    this.leafHashes = leafHashes;
  }

  /** MTH(D[begin:end]). */
  hash([begin, end]: Range): Uint8Array {
    const [first] = this.leafHashes.slice(begin, begin + 1);
    if (begin === end) return nodeDigest();
    if (end - begin === 1 && first) return first;
    const key = `${begin}:${end}`;
    const middle = begin + splitOf(end - begin);
    const known =
      this.#known.get(key) ??
      nodeDigest(Uint8Array.of(1), this.hash([begin, middle]), this.hash([middle, end]));
    this.#known.set(key, known);
    return known;
  }

  root(size: number): Uint8Array {
    return this.hash([0, size]);
  }

  inclusion(index: number, size: number): Uint8Array[] {
    return pathRanges(index, [0, size]).map((range) => this.hash(range));
  }

  consistency(oldSize: number, newSize: number): Uint8Array[] {
    if (oldSize === 0 || oldSize === newSize) return [];
    return proofRanges(oldSize, newSize).map((range) => this.hash(range));
  }
}
