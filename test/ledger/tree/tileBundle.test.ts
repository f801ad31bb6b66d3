// Entry bundles: what goes in comes out, and nothing else is a bundle.

import fc from "fast-check";
import { expect, test } from "vitest";
import { formatBundle, parseBundle } from "../../../src/ledger/tree/tileBundle.ts";

const text = (value: string) => Buffer.from(value);

test("entries stand after their lengths, big-endian", () => {
  const bytes = formatBundle([text("ab"), text(""), new Uint8Array(258).fill(7)]);
  expect(Buffer.from(bytes).toString("hex")).toBe(`0002616200000102${"07".repeat(258)}`);
  expect(parseBundle(bytes, 3)?.map((entry) => entry.length)).toEqual([2, 0, 258]);
});

test("the longest entry fits, a longer one does not", () => {
  const longest = new Uint8Array(65_535).fill(1);
  expect(parseBundle(formatBundle([longest]), 1)).toEqual([longest]);
  expect(() => formatBundle([new Uint8Array(65_536)])).toThrow(RangeError);
});

test("a bundle holds 1 to 256 entries", () => {
  const full = Array.from({ length: 256 }, (_, i) => text(String(i)));
  expect(parseBundle(formatBundle(full), 256)?.map(String)).toEqual(
    full.map((entry) => String(new Uint8Array(entry))),
  );
  expect(() => formatBundle([...full, text("one more")])).toThrow(RangeError);
  expect(() => formatBundle([])).toThrow(RangeError);
  expect(parseBundle(new Uint8Array(2 * 257), 257)).toBeUndefined();
  expect(parseBundle(new Uint8Array(0), 0)).toBeUndefined();
});

const two = Buffer.from(formatBundle([text("ab"), text("cde")]));

test.for<[string, Buffer, number]>([
  ["an entry fewer than its width", two, 3],
  ["an entry more than its width", two, 1],
  ["width 0", two, 0],
  ["a broken width", two, 2.5],
  ["nothing", Buffer.alloc(0), 1],
  ["half a length", Buffer.from("00", "hex"), 1],
  ["half a length behind", Buffer.concat([two, Buffer.from("00", "hex")]), 2],
  ["an empty entry behind", Buffer.concat([two, Buffer.from("0000", "hex")]), 2],
  ["a byte missing", two.subarray(0, -1), 2],
  ["an entry cut off after its length", two.subarray(0, 6), 2],
  ["a length beyond the end", Buffer.from("ffff61", "hex"), 1],
])("no bundle: %s", ([, bytes, width]) => {
  expect(parseBundle(bytes, width)).toBeUndefined();
});

test("any entries read back, from the middle of a larger buffer too", () => {
  const entries = fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(entries, (all) => {
      const bytes = Buffer.concat([Buffer.alloc(3, 255), formatBundle(all), Buffer.alloc(3, 255)]).subarray(
        3,
        -3,
      );
      expect(parseBundle(bytes, all.length)?.map((entry) => new Uint8Array(entry))).toEqual(all);
    }),
  );
});

/** All strings of up to `most` bytes from 0 to 2. */
function* shortStrings(most: number): Generator<number[]> {
  yield [];
  if (most === 0) return;
  for (const rest of shortStrings(most - 1)) for (const byte of [0, 1, 2]) yield [byte, ...rest];
}

test("of all short strings, those that parse are the ones that would be written", () => {
  let parsed = 0;
  for (const string of shortStrings(7)) {
    const bytes = Uint8Array.from(string);
    for (const width of [1, 2, 3]) {
      const entries = parseBundle(bytes, width);
      if (!entries) continue;
      parsed++;
      expect(formatBundle(entries)).toEqual(bytes);
      expect(entries).toHaveLength(width);
    }
  }
  // Entries have 0 to 2 bytes, so of one there are 1 + 3 + 9 kinds. Of two the lengths add up to at most 3, of three to 1.
  expect(parsed).toBe(13 + (1 + 2 * 3 + 3 * 9 + 2 * 27) + (1 + 3 * 3));
});
