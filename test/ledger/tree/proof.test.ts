// Proof checks: known answers, every proof of small trees against the recursive reference, and everything that a proof
// is not.

import { expect, test } from "vitest";
import { sha256 } from "../../../src/ledger/hash.ts";
import { checkConsistency, checkInclusion } from "../../../src/ledger/tree/proof.ts";
import vectors from "../../vectors/tree.json" with { type: "json" };
import golden from "../../vectors/treeGolden.json" with { type: "json" };
import { countedLeafHashes, leafHashOf, nodeDigest, ReferenceTree } from "../../vectors/treeReference.ts";

const MOST = 300;
/** Sizes at which trees change their shape, and a few between. */
const SHAPES = [1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 15, 16, 17, 31, 100, 127, 128, 129, 255, 256, 257, 300];
const tree = new ReferenceTree(countedLeafHashes(MOST));
const bytes = (hex: string) => Buffer.from(hex, "hex");
const leafHash = (index: number) => tree.hash([index, index + 1]);
const digests = [
  ["the portable digest", sha256],
  ["node:crypto", nodeDigest],
] as const;

test.for(digests)("known proofs by %s", ([, digest]) => {
  const roots = golden.roots.map(bytes);
  const rootOf = (size: number) => roots[size] ?? bytes("");
  for (const { index, size, proof } of golden.inclusion) {
    const leaf = leafHashOf(bytes(golden.leaves[index] ?? ""));
    expect(checkInclusion(proof.map(bytes), index, size, leaf, rootOf(size), digest)).toBe(true);
    expect(checkInclusion(proof.map(bytes), index, size, leaf, rootOf(size - 1), digest)).toBe(false);
  }
  for (const { oldSize, newSize, proof } of golden.consistency) {
    const [before, after] = [rootOf(oldSize), rootOf(newSize)];
    expect(checkConsistency(proof.map(bytes), oldSize, newSize, before, after, digest)).toBe(true);
  }
});

test.for(digests)("the vectors: good ones pass, mutated ones do not, by %s", ([, digest]) => {
  const wrong: string[] = [];
  for (const { what, ok, index, size, leafHash, root, proof } of vectors.inclusion) {
    const passes = checkInclusion(proof.map(bytes), index, size, bytes(leafHash), bytes(root), digest);
    if (passes !== ok) wrong.push(what);
  }
  for (const { what, ok, oldSize, newSize, oldRoot, newRoot, proof } of vectors.consistency) {
    const roots = [bytes(oldRoot), bytes(newRoot)] as const;
    if (checkConsistency(proof.map(bytes), oldSize, newSize, ...roots, digest) !== ok) wrong.push(what);
  }
  expect(wrong).toEqual([]);
});

test(`inclusion: every leaf of every tree up to ${MOST}, and not at the place beside it`, () => {
  const wrong: string[] = [];
  for (let size = 1; size <= MOST; size++) {
    const root = tree.root(size);
    for (let index = 0; index < size; index++) {
      const proof = tree.inclusion(index, size);
      const check = (at: number, of: number) =>
        checkInclusion(proof, at, of, leafHash(index), root, nodeDigest);
      if (!check(index, size)) wrong.push(`${index} of ${size} does not pass`);
      if (!SHAPES.includes(size)) continue;
      if (index > 0 && check(index - 1, size)) wrong.push(`${index} of ${size} passes one before`);
      if (check(index + 1, size)) wrong.push(`${index} of ${size} passes one after`);
    }
  }
  expect(wrong).toEqual([]);
});

test(`consistency: every tree up to ${MOST} with all its beginnings`, () => {
  const wrong: string[] = [];
  for (let newSize = 0; newSize <= MOST; newSize++) {
    for (let oldSize = 0; oldSize <= newSize; oldSize++) {
      const [oldRoot, newRoot] = [tree.root(oldSize), tree.root(newSize)];
      const proof = tree.consistency(oldSize, newSize);
      const check = (before: Uint8Array, after: Uint8Array) =>
        checkConsistency(proof, oldSize, newSize, before, after, nodeDigest);
      if (!check(oldRoot, newRoot)) wrong.push(`${oldSize} to ${newSize} does not pass`);
      if (!SHAPES.includes(newSize) || oldSize === newSize) continue;
      if (check(newRoot, oldRoot)) wrong.push(`${oldSize} to ${newSize} passes swapped`);
    }
  }
  expect(wrong).toEqual([]);
});

/** A proof with one bit flipped, for each of its hashes; the bit moves on from hash to hash. */
function* flips(proof: readonly Uint8Array[]): Generator<Uint8Array[]> {
  for (const [i, hash] of proof.entries()) {
    for (const bit of [0, 7 + i * 8, 255 - i]) {
      const flipped = Buffer.from(hash);
      flipped.writeUInt8(flipped.readUInt8(Math.floor(bit / 8)) ^ (1 << (bit % 8)), Math.floor(bit / 8));
      yield proof.with(i, flipped) as Uint8Array[];
    }
  }
}

/** A proof that is too short or too long, in every place. */
function* misfits(proof: readonly Uint8Array[], root: Uint8Array): Generator<Uint8Array[]> {
  yield [...proof, root];
  for (const [i, hash] of proof.entries()) {
    yield proof.toSpliced(i, 1);
    yield proof.toSpliced(i, 0, hash);
    yield proof.with(i, hash.subarray(1)) as Uint8Array[];
  }
}

test("inclusion: no proof passes with a bit flipped, a hash missing or a hash too many", () => {
  const wrong: string[] = [];
  let tried = 0;
  for (const size of SHAPES) {
    const root = tree.root(size);
    for (let index = 0; index < size; index++) {
      const proof = tree.inclusion(index, size);
      for (const bad of [...flips(proof), ...misfits(proof, root)]) {
        tried++;
        if (checkInclusion(bad, index, size, leafHash(index), root, nodeDigest)) {
          wrong.push(`${index} of ${size}`);
        }
      }
    }
  }
  expect(wrong).toEqual([]);
  expect(tried).toBeGreaterThan(50_000);
});

test("consistency: no proof passes with a bit flipped, a hash missing or a hash too many", () => {
  const wrong: string[] = [];
  let tried = 0;
  for (const newSize of SHAPES) {
    for (let oldSize = 1; oldSize <= newSize; oldSize++) {
      const proof = tree.consistency(oldSize, newSize);
      const roots = [tree.root(oldSize), tree.root(newSize)] as const;
      for (const bad of [...flips(proof), ...misfits(proof, roots[1])]) {
        tried++;
        if (checkConsistency(bad, oldSize, newSize, ...roots, nodeDigest))
          wrong.push(`${oldSize} to ${newSize}`);
      }
    }
  }
  expect(wrong).toEqual([]);
  expect(tried).toBeGreaterThan(50_000);
});

test("a proof passes for no other pair of sizes", () => {
  const wrong: string[] = [];
  for (let newSize = 2; newSize <= 24; newSize++) {
    for (let oldSize = 1; oldSize < newSize; oldSize++) {
      const proof = tree.consistency(oldSize, newSize);
      const roots = [tree.root(oldSize), tree.root(newSize)] as const;
      for (let m = 0; m <= 30; m++) {
        const same = checkConsistency(proof, m, newSize, ...roots, nodeDigest);
        if (same !== (m === oldSize)) wrong.push(`${oldSize} to ${newSize} as ${m} to ${newSize}`);
      }
    }
  }
  expect(wrong).toEqual([]);
});

test("a proof of a hundred thousand hashes is a no, not an accident", () => {
  const proof = Array.from({ length: 100_000 }, () => tree.root(1));
  expect(checkInclusion(proof, 0, 300, leafHash(0), tree.root(300))).toBe(false);
  expect(checkConsistency(proof, 7, 300, tree.root(7), tree.root(300))).toBe(false);
});

test.for([-1, 0.5, NaN, Infinity, 2 ** 53])("RangeError: %s is no size and no index", (no) => {
  const root = tree.root(1);
  expect(() => checkInclusion([], no, 1, root, root)).toThrow(RangeError);
  expect(() => checkInclusion([], 0, no, root, root)).toThrow(RangeError);
  expect(() => checkConsistency([], no, 1, root, root)).toThrow(RangeError);
  expect(() => checkConsistency([], 0, no, root, root)).toThrow(RangeError);
});
