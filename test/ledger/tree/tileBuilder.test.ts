// Tiles made leaf by leaf are the tiles made at once, wherever the builder was stopped and restored.

import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type FilledTile,
  partialTilesOf,
  type Tile,
  tilesCompleted,
  tilesOf,
} from "../../../src/ledger/tree/tile.ts";
import { TileBuilder } from "../../../src/ledger/tree/tileBuilder.ts";
import { formatTilePath } from "../../../src/ledger/tree/tilePath.ts";
import { TreeBuilder } from "../../../src/ledger/tree/tree.ts";
import { hashLevels, readLevels } from "../../../src/ledger/tree/treeLevels.ts";
import { countedLeafHashes, nodeDigest } from "../../vectors/treeReference.ts";

const leaves = countedLeafHashes(66_100);
const flat = Buffer.concat(leaves);

function atOnce(size: number) {
  return hashLevels(flat.subarray(0, size * 32), nodeDigest);
}

async function tilesAtOnce(size: number): Promise<Map<string, string>> {
  const tiles: Tile[] = [...tilesOf(size)];
  const bytes = await readLevels(atOnce(size)).readTiles(tiles);
  return new Map(tiles.map((tile, i) => [formatTilePath(tile), hex(bytes[i] ?? Buffer.alloc(0))]));
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const byPath = (tiles: readonly FilledTile[]) =>
  new Map(tiles.map(({ tile, bytes }) => [formatTilePath(tile), hex(bytes)]));

test("66,100 leaves, three levels: each full tile once, the partial ones at the end", async () => {
  const builder = new TileBuilder(nodeDigest);
  const given: FilledTile[] = [];
  for (const leaf of leaves) {
    const from = builder.size;
    const full = builder.append(leaf);
    given.push(...full);
    // Few leaves complete a tile; the others need not be compared one by one.
    if (builder.size % 256 > 0) expect(full.length === 0).toBe(true);
    else expect(full.map(({ tile }) => tile)).toEqual([...tilesCompleted(from, builder.size)]);
  }
  expect(given).toHaveLength(258 + 1);
  const all = byPath([...given, ...builder.partialTiles()]);
  expect(all.size).toBe(given.length + partialTilesOf(leaves.length).length);
  expect(new Map([...all].sort())).toEqual(new Map([...(await tilesAtOnce(leaves.length))].sort()));
  expect(hex(builder.root())).toBe(hex(atOnce(leaves.length).root));
});

test("restored at any size, the builder goes on as before", async () => {
  const near = fc.constantFrom(0, 1, 255, 256, 257, 511, 512, 65_279, 65_280, 65_535, 65_536, 65_537);
  const size = fc.oneof(near, fc.nat(66_000));
  await fc.assert(
    fc.asyncProperty(size, fc.integer({ min: 1, max: 600 }), async (from, more) => {
      const to = Math.min(from + more, leaves.length);
      const partials = await readLevels(atOnce(from)).readTiles(partialTilesOf(from));
      const builder = TileBuilder.restore(from, partials, nodeDigest);
      expect(hex(builder.root())).toBe(hex(atOnce(from).root));
      expect(byPath(builder.partialTiles())).toEqual(
        new Map(partialTilesOf(from).map((tile, i) => [formatTilePath(tile), hex(partials[i] ?? flat)])),
      );
      const full = leaves.slice(from, to).flatMap((leaf) => builder.append(leaf));
      const expected = await tilesAtOnce(to);
      for (const [path, bytes] of byPath([...full, ...builder.partialTiles()])) {
        expect(bytes).toBe(expected.get(path));
      }
      expect(full.map(({ tile }) => tile).sort(byPlace)).toEqual([...tilesCompleted(from, to)].sort(byPlace));
      expect(hex(builder.root())).toBe(hex(atOnce(to).root));
      const edge = TreeBuilder.restore(to, builder.edge, nodeDigest);
      expect(hex(edge.root())).toBe(hex(builder.root()));
    }),
    { numRuns: 15 },
  );
});

const byPlace = (a: Tile, b: Tile) => a.level - b.level || a.index - b.index;

test("a tile that was given is not written to any more, nor are partial ones", () => {
  const builder = new TileBuilder(nodeDigest);
  const [first] = leaves.slice(0, 256).flatMap((leaf) => builder.append(leaf));
  const partial = leaves.slice(256, 300).flatMap((leaf) => builder.append(leaf));
  const copy = builder.partialTiles();
  expect(partial).toEqual([]);
  for (const { bytes } of copy) bytes.fill(0);
  leaves.slice(300, 600).map((leaf) => builder.append(leaf));
  expect(hex(first?.bytes ?? flat)).toBe(hex(flat.subarray(0, 8_192)));
  expect(hex(builder.root())).toBe(hex(atOnce(600).root));
  expect(hex(builder.partialTiles()[0]?.bytes ?? flat)).toBe(hex(flat.subarray(512 * 32, 600 * 32)));
});

test("the bytes a builder is restored from are copied", () => {
  const bytes = Buffer.from(flat.subarray(0, 96));
  const builder = TileBuilder.restore(3, [bytes], nodeDigest);
  bytes.fill(0);
  expect(hex(builder.partialTiles()[0]?.bytes ?? flat)).toBe(hex(flat.subarray(0, 96)));
});

test.for<[string, () => unknown]>([
  ["a tile too few", () => TileBuilder.restore(3, [])],
  ["a tile too many", () => TileBuilder.restore(0, [flat.subarray(0, 32)])],
  ["a tile too short", () => TileBuilder.restore(3, [flat.subarray(0, 64)])],
  ["no size", () => TileBuilder.restore(-1, [])],
  ["a leaf hash too short", () => new TileBuilder().append(flat.subarray(0, 31))],
])("RangeError: %s", ([, act]) => {
  expect(act).toThrow(RangeError);
});
