// Paths of tiles and entry bundles: one spelling each.

import fc from "fast-check";
import { expect, test } from "vitest";
import {
  formatBundlePath,
  formatTilePath,
  parseBundlePath,
  parseTilePath,
} from "../../../src/ledger/tree/tilePath.ts";

test.for<[string, number, number, number]>([
  ["tile/0/000", 0, 0, 256],
  ["tile/0/000.p/1", 0, 0, 1],
  ["tile/0/001", 0, 1, 256],
  ["tile/1/999.p/255", 1, 999, 255],
  ["tile/0/x001/000", 0, 1_000, 256],
  ["tile/0/x001/234.p/7", 0, 1_234, 7],
  ["tile/3/x001/x234/067", 3, 1_234_067, 256],
  ["tile/3/x001/x234/067.p/128", 3, 1_234_067, 128],
  ["tile/0/x035/x184/x372/088", 0, 35_184_372_088, 256],
  ["tile/0/x009/x007/x199/x254/x740/991", 0, Number.MAX_SAFE_INTEGER, 256],
  ["tile/6/000.p/31", 6, 0, 31],
  ["tile/63/000.p/10", 63, 0, 10],
])("%s", ([path, level, index, width]) => {
  expect(formatTilePath({ level, index, width })).toBe(path);
  expect(parseTilePath(path)).toEqual({ level, index, width });
  const place = path.replace(/^tile\/\d+/, "");
  expect(formatBundlePath({ index, width })).toBe(`tile/entries${place}`);
  expect(parseBundlePath(`tile/entries${place}`)).toEqual({ index, width });
});

/** The part after the level or `entries`. */
const badPlaces: [string, string][] = [
  ["nothing", ""],
  ["one digit", "0"],
  ["two digits", "67"],
  ["four digits", "1234"],
  ["an element without x", "001/234/067"],
  ["x in the last element", "x001/x234/x067"],
  ["x alone", "x067"],
  ["no last element", "x001/x234/"],
  ["x in the middle missing", "x001/234/067"],
  ["X", "X001/234"],
  ["an element of zeros in front", "x000/067"],
  ["two elements of zeros in front", "x000/x000/067"],
  ["a short element", "x01/234"],
  ["a long element", "x0001/234"],
  ["a sign", "-01"],
  ["a plus", "+01"],
  ["a space", " 01"],
  ["a letter", "0a1"],
  ["digits of another script", "٠٠١"],
  ["an index of 2^53", "x009/x007/x199/x254/x740/992"],
  ["an index with 18 nines", "x999/x999/x999/x999/x999/999"],
  ["an index with too many elements", "x001/x000/x000/x000/x000/x000/000"],
  ["width 0", "000.p/0"],
  ["width 256", "000.p/256"],
  ["width 300", "000.p/300"],
  ["width 1000", "000.p/1000"],
  ["a width with a zero in front", "000.p/01"],
  ["a width with two zeros in front", "000.p/001"],
  ["a width of no digits", "000.p/"],
  ["a negative width", "000.p/-1"],
  ["a width with x", "000.p/x01"],
  ["a hexadecimal width", "000.p/0x1"],
  ["two widths", "000.p/1.p/1"],
  ["a width and more", "000.p/1/2"],
  ["a width not after the last element", "x001.p/1/234"],
  ["p without a dot", "000/p/1"],
  [".P", "000.P/1"],
  ["no slash after p", "000.p1"],
  ["a slash behind", "000/"],
  ["a line break behind", "000\n"],
  ["a space behind", "000 "],
  ["a query", "000?"],
  ["a suffix", "000.gz"],
  ["a double slash", "/000"],
  ["a dot segment", "../000"],
  ["an encoded slash", "x001%2F234"],
  ["a backslash", "x001\\234"],
  ["a NUL", "000\0"],
];

test.for(badPlaces)("no place: %s", ([, place]) => {
  expect(parseTilePath(`tile/0/${place}`)).toBeUndefined();
  expect(parseBundlePath(`tile/entries/${place}`)).toBeUndefined();
});

test.for([
  ["nothing", ""],
  ["no level", "tile/000"],
  ["an empty level", "tile//000"],
  ["a level with a zero in front", "tile/00/000"],
  ["level 1 with a zero in front", "tile/01/000"],
  ["level 64", "tile/64/000"],
  ["level 100", "tile/100/000"],
  ["a negative level", "tile/-1/000"],
  ["a level with a fraction", "tile/0.0/000"],
  ["a level that is no number", "tile/a/000"],
  ["the height as well", "tile/8/0/000"],
  ["a slash in front", "/tile/0/000"],
  ["a prefix", "log/tile/0/000"],
  ["a capital", "Tile/0/000"],
  ["tiles", "tiles/0/000"],
  ["the checkpoint", "checkpoint"],
])("no tile: %s", ([, path = ""]) => {
  expect(parseTilePath(path)).toBeUndefined();
  expect(parseBundlePath(path)).toBeUndefined();
});

test("a tile's path is no bundle's, and a bundle's no tile's", () => {
  expect(parseBundlePath("tile/0/000")).toBeUndefined();
  expect(parseBundlePath("tile/entries/0/000")).toBeUndefined();
  expect(parseBundlePath("entries/000")).toBeUndefined();
  expect(parseTilePath("tile/entries/000")).toBeUndefined();
});

test("every tile's path reads back as that tile", () => {
  const tile = fc.record({
    level: fc.nat(63),
    index: fc.oneof(fc.nat(2_000), fc.maxSafeNat()),
    width: fc.integer({ min: 1, max: 256 }),
  });
  fc.assert(
    fc.property(tile, (it) => {
      expect(parseTilePath(formatTilePath(it))).toEqual(it);
      expect(formatTilePath(it).length).toBeLessThan(50);
    }),
  );
});

test("whatever is read is spelled as it would be written", () => {
  const piece = fc.constantFrom(
    "tile/",
    "0/",
    "1/",
    "entries/",
    "x",
    "001",
    "000",
    "234",
    "/",
    ".p/",
    "1",
    "0",
    "256",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 9 }), (pieces) => {
      const path = pieces.join("");
      const tile = parseTilePath(path);
      const bundle = parseBundlePath(path);
      if (tile) expect(formatTilePath(tile)).toBe(path);
      if (bundle) expect(formatBundlePath(bundle)).toBe(path);
    }),
    { numRuns: 3_000 },
  );
});

test.for<[string, () => unknown]>([
  ["level 64", () => formatTilePath({ level: 64, index: 0, width: 1 })],
  ["level -1", () => formatTilePath({ level: -1, index: 0, width: 1 })],
  ["an index of 2^53", () => formatTilePath({ level: 0, index: 2 ** 53, width: 1 })],
  ["a broken index", () => formatBundlePath({ index: 0.5, width: 1 })],
  ["width 0", () => formatBundlePath({ index: 0, width: 0 })],
  ["width 257", () => formatTilePath({ level: 0, index: 0, width: 257 })],
  ["a broken width", () => formatTilePath({ level: 0, index: 0, width: 1.5 })],
])("RangeError: the path of %s", ([, act]) => {
  expect(act).toThrow(RangeError);
});
