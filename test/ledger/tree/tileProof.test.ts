// Roots and proofs from tiles: the right ranges at every size a number can have, each tile asked for once, and the
// bytes that the recursive reference gives.

import fc from "fast-check";
import { expect, test } from "vitest";
import { sha256 } from "../../../src/ledger/hash.ts";
import { checkConsistency, checkInclusion } from "../../../src/ledger/tree/proof.ts";
import { type Tile, type TileReader, tileWidthAt } from "../../../src/ledger/tree/tile.ts";
import {
  proveConsistency,
  proveInclusion,
  readRoot,
  type TiledTree,
  TileError,
} from "../../../src/ledger/tree/tileProof.ts";
import { hashLevels, readLevels } from "../../../src/ledger/tree/treeLevels.ts";
import {
  countedLeafHashes,
  nodeDigest,
  pathRanges,
  proofRanges,
  type Range,
  ReferenceTree,
} from "../../vectors/treeReference.ts";

/**
 * A digest that computes no hash but the range of leaves under a node, and refuses a node that RFC 6962 does not have:
 * one whose halves do not touch, or whose left half is not the largest power of two below the whole.
 */
function rangeDigest(...parts: Uint8Array[]): Uint8Array {
  const [bytes] = parts;
  if (!bytes) return encodeRange([0, 0]);
  const view = viewOf(bytes);
  const begin = view.getFloat64(1);
  const middle = view.getFloat64(9);
  const end = view.getFloat64(41);
  const left = middle - begin;
  const isSplit = Number.isInteger(Math.log2(left)) && left < end - begin && left * 2 >= end - begin;
  if (
    parts.length > 1 ||
    bytes.length !== 65 ||
    bytes[0] !== 1 ||
    view.getFloat64(33) !== middle ||
    !isSplit
  ) {
    throw new Error(`no node over ${begin}..${middle} and ${view.getFloat64(33)}..${end}`);
  }
  return encodeRange([begin, end]);
}

// The sweep below digests millions of times, always one buffer and few ranges: without these two memories, views and
// small arrays would be most of its time.
let lastView = viewAnew(new Uint8Array(0));
const small = new Map<number, Uint8Array>();

function viewOf(bytes: Uint8Array): DataView {
  if (lastView.buffer !== bytes.buffer || lastView.byteOffset !== bytes.byteOffset)
    lastView = viewAnew(bytes);
  return lastView;
}

function viewAnew(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function encodeRange([begin, end]: Range): Uint8Array {
  const known = end < 1024 ? small.get(begin * 1024 + end) : undefined;
  if (known) return known;
  const bytes = new Uint8Array(32);
  viewAnew(bytes).setFloat64(0, begin);
  viewAnew(bytes).setFloat64(8, end);
  if (end < 1024) small.set(begin * 1024 + end, bytes);
  return bytes;
}

function decodeRange(bytes: Uint8Array): Range {
  const view = viewAnew(bytes);
  return [view.getFloat64(0), view.getFloat64(8)];
}

/** The tiles of a tree of any size whose hashes are ranges; it checks what it is asked. */
function rangeTree(size: number): TiledTree {
  const readTiles = async (tiles: readonly Tile[]) => {
    expect(new Set(tiles.map(({ level, index }) => `${level}/${index}`)).size).toBe(tiles.length);
    return tiles.map(({ level, index, width }) => {
      expect(width).toBeGreaterThan(0);
      expect(width).toBe(tileWidthAt(level, index, size));
      const span = 256 ** level;
      return Buffer.concat(
        Array.from({ length: width }, (_, i) => {
          const begin = (index * 256 + i) * span;
          return encodeRange([begin, begin + span]);
        }),
      );
    });
  };
  return { size, reader: { readTiles } };
}

/** Asks the tree once for each pair of sizes and keeps the tiles, so that the sweep over all sizes stays short. */
function remembering({ size, reader }: TiledTree): TiledTree {
  const kept = new Map<string, Uint8Array>();
  const readTiles = async (tiles: readonly Tile[]) => {
    const missing = tiles.filter(({ level, index }) => !kept.has(`${level}/${index}`));
    const read = missing.length > 0 ? await reader.readTiles(missing) : [];
    missing.forEach(({ level, index }, i) => {
      kept.set(`${level}/${index}`, read[i] ?? Buffer.alloc(0));
    });
    return tiles.map(({ level, index }) => kept.get(`${level}/${index}`) ?? Buffer.alloc(0));
  };
  return { size, reader: { readTiles } };
}

const ranges = (hashes: readonly Uint8Array[]) => hashes.map(decodeRange);

test("all proofs and roots of all trees up to 300, read from a tree of 300, are the ranges of the RFC", async () => {
  const tree = remembering(rangeTree(300));
  for (let size = 1; size <= 300; size++) {
    expect(decodeRange(await readRoot(tree, size, rangeDigest))).toEqual([0, size]);
    for (let m = 0; m < size; m++) {
      const inclusion = ranges(await proveInclusion(tree, m, size, rangeDigest));
      const consistency = ranges(await proveConsistency(tree, m, size, rangeDigest));
      const expected = [pathRanges(m, [0, size]), m === 0 ? [] : proofRanges(m, size)];
      if (String([inclusion, consistency]) !== String(expected))
        expect([inclusion, consistency]).toEqual(expected);
    }
  }
});

test("and so are those of trees of any size up to 2^53 - 1", async () => {
  const edge = fc
    .tuple(fc.integer({ min: 0, max: 52 }), fc.integer({ min: -2, max: 2 }))
    .map(([bit, off]) => Math.max(0, 2 ** bit + off));
  const size = fc.oneof(edge, fc.maxSafeNat(), fc.constant(Number.MAX_SAFE_INTEGER));
  await fc.assert(
    fc.asyncProperty(size, size, size, async (...sizes) => {
      const [m = 0, n = 0, all = 0] = sizes.toSorted((a, b) => a - b);
      const tree = rangeTree(all);
      const rootOf = async (at: number) => readRoot(tree, at, rangeDigest);
      expect(decodeRange(await rootOf(n))).toEqual([0, n]);
      const consistency = await proveConsistency(tree, m, n, rangeDigest);
      if (m > 0 && m < n) expect(ranges(consistency)).toEqual(proofRanges(m, n));
      expect(checkConsistency(consistency, m, n, await rootOf(m), await rootOf(n), rangeDigest)).toBe(true);
      if (m === n) return;
      const inclusion = await proveInclusion(tree, m, n, rangeDigest);
      expect(ranges(inclusion)).toEqual(pathRanges(m, [0, n]));
      const leaf = encodeRange([m, m + 1]);
      expect(checkInclusion(inclusion, m, n, leaf, await rootOf(n), rangeDigest)).toBe(true);
    }),
    { numRuns: 100 },
  );
});

const leaves = countedLeafHashes(70_000);
const reference = new ReferenceTree(leaves);
const built = { size: leaves.length, reader: readLevels(hashLevels(Buffer.concat(leaves), nodeDigest)) };
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

test("a tree of three levels: roots and proofs are the reference's, and pass", async () => {
  const near = fc.constantFrom(1, 255, 256, 257, 65_535, 65_536, 65_537, 70_000);
  const size = fc.oneof(near, fc.integer({ min: 1, max: 70_000 }));
  await fc.assert(
    fc.asyncProperty(size, size, async (a, b) => {
      const [m, n] = a < b ? [a, b] : [b, a];
      const root = await readRoot(built, n, nodeDigest);
      expect(hex(root)).toBe(hex(reference.root(n)));
      const inclusion = await proveInclusion(built, m - 1, n, nodeDigest);
      expect(inclusion.map(hex)).toEqual(reference.inclusion(m - 1, n).map(hex));
      expect(checkInclusion(inclusion, m - 1, n, leaves[m - 1] ?? root, root)).toBe(true);
      const consistency = await proveConsistency(built, m, n, nodeDigest);
      expect(consistency.map(hex)).toEqual(reference.consistency(m, n).map(hex));
      expect(checkConsistency(consistency, m, n, reference.root(m), root)).toBe(true);
    }),
    { numRuns: 60 },
  );
});

test("the portable digest gives the same", async () => {
  expect(hex(await readRoot(built, 69_999))).toBe(hex(reference.root(69_999)));
  expect(await proveInclusion(built, 1_234, 70_000, sha256)).toHaveLength(
    reference.inclusion(1_234, 70_000).length,
  );
});

/** A reader that keeps count of the calls and of the tiles asked for. */
function counting(reader: TileReader) {
  const calls: (readonly Tile[])[] = [];
  const readTiles = (tiles: readonly Tile[]) => {
    calls.push(tiles);
    return reader.readTiles(tiles);
  };
  return { calls, reader: { readTiles } };
}

test("one call with each tile once; none where no hash is needed", async () => {
  const { calls, reader } = counting(built.reader);
  const tree = { size: built.size, reader };
  await proveInclusion(tree, 300, 70_000, nodeDigest);
  expect(calls).toEqual([
    [
      { level: 0, index: 1, width: 256 },
      { level: 1, index: 0, width: 256 },
      { level: 1, index: 1, width: 17 },
      { level: 0, index: 273, width: 112 },
    ],
  ]);
  calls.length = 0;
  await readRoot(tree, 0);
  await proveInclusion(tree, 0, 1);
  await proveConsistency(tree, 0, 70_000);
  await proveConsistency(tree, 70_000, 70_000);
  expect(calls).toEqual([]);
});

/** The same tree with a bit of the first tile of a level flipped. */
function altered(level: number): TiledTree {
  const readTiles = async (tiles: readonly Tile[]) => {
    const read = await built.reader.readTiles(tiles);
    return read.map((bytes, i) => {
      const copy = Buffer.from(bytes);
      if (tiles[i]?.level === level && tiles[i]?.index === 0) copy.writeUInt8(copy.readUInt8(0) ^ 1);
      return copy;
    });
  };
  return { size: built.size, reader: { readTiles } };
}

test("a wrong hash in a tile makes another root, or a proof that does not pass", async () => {
  const root = reference.root(70_000);
  expect(hex(await readRoot(altered(2), 70_000, nodeDigest))).not.toBe(hex(root));
  for (const level of [1, 2]) {
    const index = level === 1 ? 300 : 69_999;
    const inclusion = await proveInclusion(altered(level), index, 70_000, nodeDigest);
    expect(checkInclusion(inclusion, index, 70_000, leaves[index] ?? root, root)).toBe(false);
  }
  const consistency = await proveConsistency(altered(1), 600, 70_000, nodeDigest);
  expect(checkConsistency(consistency, 600, 70_000, reference.root(600), root)).toBe(false);
});

test("a root is read from the uppermost hashes: it says nothing about the tiles below", async () => {
  expect(hex(await readRoot(altered(0), 70_000, nodeDigest))).toBe(hex(reference.root(70_000)));
});

test.for<[string, (bytes: readonly Uint8Array[]) => readonly Uint8Array[], string]>([
  ["a hash short", (read) => read.map((bytes) => bytes.subarray(32)), "tile/0/001: 8160 bytes, not 8192"],
  ["a byte long", (read) => read.map((bytes) => Buffer.concat([bytes, bytes.subarray(0, 1)])), "8193 bytes"],
  ["missing", () => [], "tile/0/001: no bytes"],
])("TileError: a tile that is %s", async ([, change, message]) => {
  const reader: TileReader = { readTiles: async (tiles) => change(await built.reader.readTiles(tiles)) };
  const proving = proveInclusion({ size: built.size, reader }, 300, 70_000);
  await expect(proving).rejects.toThrow(TileError);
  await expect(proving).rejects.toThrow(message);
});

test("what the reader rejects with passes through", async () => {
  const problem = new Error("the disk is gone");
  const reader: TileReader = { readTiles: () => Promise.reject(problem) };
  await expect(readRoot({ size: 5, reader }, 5)).rejects.toBe(problem);
});

const no = { size: 10, reader: built.reader };

test.for<[string, () => Promise<unknown>]>([
  ["a root beyond the tree", () => readRoot(no, 11)],
  ["a root of no size", () => readRoot(no, -1)],
  ["a root in a tree of no size", () => readRoot({ ...no, size: NaN }, 1)],
  ["a leaf that is not in the size", () => proveInclusion(no, 5, 5)],
  ["a leaf in the empty tree", () => proveInclusion(no, 0, 0)],
  ["a leaf at no index", () => proveInclusion(no, 0.5, 5)],
  ["a leaf in a size beyond the tree", () => proveInclusion(no, 0, 11)],
  ["a beginning that is larger", () => proveConsistency(no, 6, 5)],
  ["a beginning of no size", () => proveConsistency(no, NaN, 5)],
  ["a beginning of a size beyond the tree", () => proveConsistency(no, 5, 11)],
])("RangeError: %s", async ([, act]) => {
  await expect(act()).rejects.toThrow(RangeError);
});
