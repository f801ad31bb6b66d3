// Tiles: which ones a tree has, and their bytes.

import fc from "fast-check";
import { expect, test } from "vitest";
import {
  edgeOf,
  formatTile,
  parseTile,
  partialTilesOf,
  type Tile,
  tilesCompleted,
  tilesOf,
  tileWidthAt,
} from "../../../src/ledger/tree/tile.ts";
import { countedLeafHashes, nodeDigest, ReferenceTree } from "../../vectors/treeReference.ts";

const name = ({ level, index, width }: Tile) => `${level}/${index}:${width}`;
const count = (tiles: Iterable<Tile>, level: number, isFull: boolean) =>
  [...tiles].filter((tile) => tile.level === level && (tile.width === 256) === isFull).length;

test("a tree of 70,000 has the tiles that the specification counts", () => {
  const tiles = [...tilesOf(70_000)];
  expect([0, 1, 2].map((level) => count(tiles, level, true))).toEqual([273, 1, 0]);
  expect(partialTilesOf(70_000).map(name)).toEqual(["0/273:112", "1/1:17", "2/0:1"]);
  expect(tiles).toHaveLength(273 + 1 + 3);
});

test.for<[number, string[]]>([
  [0, []],
  [1, ["0/0:1"]],
  [255, ["0/0:255"]],
  [256, ["0/0:256", "1/0:1"]],
  [257, ["0/0:256", "0/1:1", "1/0:1"]],
  [512, ["0/0:256", "0/1:256", "1/0:2"]],
])("the tiles of a tree of %i", ([size, expected]) => {
  expect([...tilesOf(size)].map(name)).toEqual(expected);
});

test("the largest tree: one partial tile a level, seven levels", () => {
  const most = Number.MAX_SAFE_INTEGER;
  const widths = partialTilesOf(most).map(({ level, index, width }) => {
    expect(index * 256 + width).toBe(Math.floor(most / 256 ** level));
    return width;
  });
  expect(widths).toEqual([255, 255, 255, 255, 255, 255, 31]);
  expect(tileWidthAt(0, Math.floor(most / 256), most)).toBe(255);
  expect(tileWidthAt(0, Math.floor(most / 256) - 1, most)).toBe(256);
  expect(tileWidthAt(0, most, most)).toBe(0);
  expect(tileWidthAt(6, 0, most)).toBe(31);
  expect(tileWidthAt(7, 0, most)).toBe(0);
  expect(tileWidthAt(63, 0, most)).toBe(0);
});

test("full, partial and completed tiles agree for any sizes", () => {
  const sizes = fc.tuple(fc.nat(200_000), fc.nat(70_000));
  fc.assert(
    fc.property(sizes, ([oldSize, more]) => {
      const newSize = oldSize + more;
      const [before, after] = [[...tilesOf(oldSize)], [...tilesOf(newSize)]];
      const had = new Set(before.map(name));
      expect([...tilesCompleted(oldSize, newSize)].map(name)).toEqual(
        after.filter((tile) => tile.width === 256 && !had.has(name(tile))).map(name),
      );
      expect(partialTilesOf(newSize)).toEqual(after.filter(({ width }) => width < 256));
      expect(after.every(({ level, index, width }) => tileWidthAt(level, index, newSize) === width)).toBe(
        true,
      );
      const next = after.filter((tile, i) => after[i + 1]?.level !== tile.level);
      expect(next.every(({ level, index }) => tileWidthAt(level, index + 1, newSize) === 0)).toBe(true);
    }),
    { numRuns: 60 },
  );
});

test("completed tiles at sizes beyond 32 bits", () => {
  const from = 2 ** 52 - 1;
  expect([...tilesCompleted(from, from + 1)].map(name)).toEqual(
    [0, 1, 2, 3, 4, 5].map((level) => `${level}/${2 ** 52 / 256 ** (level + 1) - 1}:256`),
  );
  expect([...tilesCompleted(from, from)]).toEqual([]);
  expect([...tilesCompleted(from + 1, from + 256)]).toEqual([]);
});

test("a tile's bytes are its hashes, and only whole ones of its width read back", () => {
  const hashes = countedLeafHashes(256);
  for (const width of [1, 17, 255, 256]) {
    const bytes = formatTile(hashes.slice(0, width));
    expect(bytes).toHaveLength(width * 32);
    expect(parseTile(bytes, width)?.map(Buffer.from)).toEqual(hashes.slice(0, width));
    for (const other of [width - 1, width + 1, width + 0.5, 0, -1, NaN]) {
      expect(parseTile(bytes, other)).toBeUndefined();
    }
    expect(parseTile(bytes.subarray(1), width)).toBeUndefined();
  }
  expect(parseTile(new Uint8Array(257 * 32), 257)).toBeUndefined();
  expect(parseTile(new Uint8Array(48), 1.5)).toBeUndefined();
  expect(parseTile(new Uint8Array(0), 0)).toBeUndefined();
});

test("the edge is in the partial tiles", () => {
  const leaves = countedLeafHashes(1_000);
  const tree = new ReferenceTree(leaves);
  const partials = [
    Buffer.concat(leaves.slice(768)),
    Buffer.concat([0, 256, 512].map((begin) => tree.hash([begin, begin + 256]))),
  ];
  const ranges = [
    [0, 512],
    [512, 768],
    [768, 896],
    [896, 960],
    [960, 992],
    [992, 1_000],
  ] as const;
  expect(edgeOf(1_000, partials, nodeDigest).map(Buffer.from)).toEqual(
    ranges.map((range) => tree.hash(range)),
  );
  expect(edgeOf(0, [])).toEqual([]);
});

test.for<[string, () => unknown]>([
  ["a tile of no hashes", () => formatTile([])],
  ["a tile of 257 hashes", () => formatTile(countedLeafHashes(257))],
  ["a tile with a short hash", () => formatTile([Buffer.alloc(31)])],
  ["a tree that shrinks", () => [...tilesCompleted(2, 1)]],
  ["completed since no size", () => [...tilesCompleted(NaN, 1)]],
  ["completed up to no size", () => [...tilesCompleted(0, 0.5)]],
  ["the tiles of no size", () => [...tilesOf(-1)]],
  ["the partial tiles of no size", () => partialTilesOf(2 ** 53)],
  ["a width at no level", () => tileWidthAt(0.5, 0, 1)],
  ["a width at no index", () => tileWidthAt(0, -1, 1)],
  ["a width at no size", () => tileWidthAt(0, 0, NaN)],
  ["an edge without its tile", () => edgeOf(1, [])],
  ["an edge with a tile too many", () => edgeOf(256, [Buffer.alloc(32), Buffer.alloc(32)])],
  ["an edge with a tile too short", () => edgeOf(3, [Buffer.alloc(64)])],
  ["an edge with a tile too long", () => edgeOf(3, [Buffer.alloc(128)])],
])("RangeError: %s", ([, act]) => {
  expect(act).toThrow(RangeError);
});
