// The tree: known answers, the recursive reference, and what is refused.

import { expect, test } from "vitest";
import { sha256 } from "../../../src/ledger/hash.ts";
import { assertSize, emptyRoot, hashNode, hashRun, TreeBuilder } from "../../../src/ledger/tree/tree.ts";
import { hashLevelAbove, hashLevels, readLevels } from "../../../src/ledger/tree/treeLevels.ts";
import { nodeSha256 } from "../../../src/nodeCrypto.ts";
import { makeVectors } from "../../vectors/makeTree.ts";
import vectors from "../../vectors/tree.json" with { type: "json" };
import golden from "../../vectors/treeGolden.json" with { type: "json" };
import { countedLeafHashes, leafHashOf, nodeDigest, ReferenceTree } from "../../vectors/treeReference.ts";

const goldenLeaves = golden.leaves.map((leaf) => leafHashOf(Buffer.from(leaf, "hex")));
const leaves = countedLeafHashes(70_000);
const reference = new ReferenceTree(leaves);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

function grow(hashes: readonly Uint8Array[], digest = nodeDigest): TreeBuilder {
  const builder = new TreeBuilder(digest);
  for (const hash of hashes) builder.append(hash);
  return builder;
}

test.for([
  ["the portable digest", sha256],
  ["node:crypto", nodeDigest],
  ["the server's, in place", nodeSha256],
] as const)("known answers of RFC 6962 by %s", ([, digest]) => {
  const builder = new TreeBuilder(digest);
  expect(hex(emptyRoot(digest))).toBe(golden.roots[0]);
  const roots = [hex(builder.root())];
  for (const hash of goldenLeaves) {
    builder.append(hash);
    roots.push(hex(builder.root()));
  }
  expect(roots).toEqual(golden.roots);
  const atOnce = golden.roots.map((_, n) =>
    hex(hashLevels(Buffer.concat(goldenLeaves.slice(0, n)), digest).root),
  );
  expect(atOnce).toEqual(golden.roots);
});

test("the reference itself gives the known answers", () => {
  const tree = new ReferenceTree(goldenLeaves);
  expect(golden.roots.map((_, n) => hex(tree.root(n)))).toEqual(golden.roots);
  for (const { index, size, proof } of golden.inclusion) {
    expect(tree.inclusion(index, size).map(hex)).toEqual(proof);
  }
  for (const { oldSize, newSize, proof } of golden.consistency) {
    expect(tree.consistency(oldSize, newSize).map(hex)).toEqual(proof);
  }
});

test("tree.json is what its maker makes", () => {
  expect(makeVectors()).toEqual(vectors);
});

test("the roots of the vectors, grown and at once", () => {
  const builder = new TreeBuilder(nodeDigest);
  const flat = Buffer.concat(leaves);
  for (const { size, root } of vectors.roots) {
    for (const hash of leaves.slice(builder.size, size)) builder.append(hash);
    expect(hex(builder.root())).toBe(root);
    if (size > 4096 && size < leaves.length) continue;
    expect(hex(hashLevels(flat.subarray(0, size * 32), nodeDigest).root)).toBe(root);
    expect(hex(hashRun(flat, 0, size, nodeDigest))).toBe(root);
  }
});

test("every size up to 600 has the reference's root, edge and tile hashes", () => {
  const builder = new TreeBuilder(nodeSha256);
  for (let size = 0; size <= 600; size++) {
    expect(hex(builder.root())).toBe(hex(reference.root(size)));
    const told: string[] = [];
    builder.append(leaves[size] ?? Buffer.alloc(0), (level, index, hash) => {
      const span = 256 ** level;
      expect(hex(hash)).toBe(hex(reference.hash([index * span, (index + 1) * span])));
      told.push(`${level}/${index}`);
    });
    const expected = [`0/${size}`, ...((size + 1) % 256 === 0 ? [`1/${(size + 1) / 256 - 1}`] : [])];
    expect(told).toEqual(expected);
    const spans = builder.edge.map(hex);
    let begin = 0;
    for (const bit of [512, 256, 128, 64, 32, 16, 8, 4, 2, 1]) {
      if (Math.floor((size + 1) / bit) % 2 === 0) continue;
      expect(spans.shift()).toBe(hex(reference.hash([begin, begin + bit])));
      begin += bit;
    }
    expect(spans).toEqual([]);
  }
});

test("the hash of level 2 is told when 65,536 leaves are there, after those below it", () => {
  const builder = new TreeBuilder(nodeDigest);
  const told: [number, number, string][] = [];
  leaves.slice(0, 65_536).forEach((leaf, i) => {
    builder.append(leaf, (level, index, hash) => {
      if (i === 65_535) told.push([level, index, hex(hash)]);
    });
  });
  expect(told).toEqual([
    [0, 65_535, hex(leaves[65_535] ?? Buffer.alloc(0))],
    [1, 255, hex(reference.hash([65_280, 65_536]))],
    [2, 0, hex(reference.root(65_536))],
  ]);
});

test("a run is hashed from anywhere in the array, which stays as it is", () => {
  const flat = Buffer.concat(leaves.slice(0, 20));
  const before = Buffer.from(flat);
  for (let from = 0; from < 20; from++) {
    for (let count = 1; from + count <= 20; count++) {
      expect(hex(hashRun(flat, from, count, nodeDigest))).toBe(hex(reference.hash([from, from + count])));
    }
  }
  expect(flat).toEqual(before);
  const one = hashRun(flat, 3, 1);
  one.fill(0);
  expect(flat).toEqual(before);
});

test("a builder keeps copies and gives copies", () => {
  const leaf = Buffer.from(leaves[0] ?? "");
  const builder = grow([leaf]);
  const root = hex(builder.root());
  leaf.fill(0);
  for (const hash of builder.edge) hash.fill(0);
  builder.root().fill(0);
  expect(hex(builder.root())).toBe(root);
});

test("levels: each hash stands for 256 of the level below, and tiles are read from them", async () => {
  const built = hashLevels(Buffer.concat(leaves), nodeDigest);
  expect(built.size).toBe(70_000);
  expect(built.levels.map((level) => level.length / 32)).toEqual([70_000, 273, 1]);
  expect(hex(built.levels[1]?.subarray(272 * 32) ?? leaves[0] ?? Buffer.alloc(0))).toBe(
    hex(reference.hash([272 * 256, 273 * 256])),
  );
  expect(hex(built.levels[2] ?? Buffer.alloc(0))).toBe(hex(reference.root(65_536)));
  expect(hashLevelAbove(built.levels[1] ?? Buffer.alloc(0), nodeDigest)).toEqual(built.levels[2]);
  const reader = readLevels(built);
  const [partial] = await reader.readTiles([{ level: 1, index: 1, width: 17 }]);
  expect(partial).toEqual(built.levels[1]?.subarray(256 * 32));
  for (const tile of [
    { level: 1, index: 1, width: 18 },
    { level: 2, index: 1, width: 1 },
    { level: 3, index: 0, width: 1 },
  ]) {
    await expect(reader.readTiles([tile])).rejects.toThrow(RangeError);
  }
});

const hash = Buffer.alloc(32, 7);
const notSizes = [-1, 0.5, NaN, Infinity, 2 ** 53, -(2 ** 53)];

test.for<[string, () => unknown]>([
  ["a left hash of 31 bytes", () => hashNode(hash.subarray(1), hash)],
  ["a right hash of 33 bytes", () => hashNode(hash, Buffer.alloc(33))],
  ["a leaf hash of no bytes", () => new TreeBuilder().append(Buffer.alloc(0))],
  ["a run of nothing", () => hashRun(hash, 0, 0)],
  ["a run beyond the array", () => hashRun(hash, 0, 2)],
  ["a run that starts beyond the array", () => hashRun(hash, 1, 1)],
  ["a run that starts before the array", () => hashRun(hash, -1, 1)],
  ["leaf hashes with a piece of one", () => hashLevels(Buffer.alloc(33))],
  ["an edge with a hash too many", () => TreeBuilder.restore(4, [hash, hash])],
  ["an edge with a hash too few", () => TreeBuilder.restore(5, [hash])],
  ["an edge for no leaves", () => TreeBuilder.restore(0, [hash])],
  ["an edge with a short hash", () => TreeBuilder.restore(5, [hash, hash.subarray(1)])],
  ...notSizes.map((size): [string, () => unknown] => [
    `a tree of ${size} leaves`,
    () => TreeBuilder.restore(size, []),
  ]),
  ...notSizes.map((size): [string, () => unknown] => [`${size} as a size`, () => assertSize(size, "it")]),
])("RangeError: %s", ([, act]) => {
  expect(act).toThrow(RangeError);
});

test("a tree with all leaves it can have takes no more, and stays as it is", () => {
  const edge = Array.from({ length: 53 }, (_, i) => leaves[i] ?? hash);
  const builder = TreeBuilder.restore(Number.MAX_SAFE_INTEGER, edge, nodeDigest);
  const root = hex(builder.root());
  expect(() => builder.append(hash)).toThrow("a tree size is a whole number");
  expect([builder.size, hex(builder.root()), builder.edge.map(hex)]).toEqual([
    Number.MAX_SAFE_INTEGER,
    root,
    edge.map(hex),
  ]);
});
