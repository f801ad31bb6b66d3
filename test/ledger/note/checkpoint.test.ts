// The text of checkpoints: one spelling, exact numbers, extension lines of others kept.

import fc from "fast-check";
import { expect, test } from "vitest";
import { type Checkpoint, formatCheckpoint, parseCheckpoint } from "../../../src/ledger/note/checkpoint.ts";
import { parseNote } from "../../../src/ledger/note/note.ts";
import vectors from "../../vectors/note.json" with { type: "json" };

const root = new Uint8Array(32).fill(7);

test("the checkpoint of the vectors, and those of others", () => {
  const read = (note: string) => {
    const parsed = parseNote(note);
    return typeof parsed === "string" ? parsed : parseCheckpoint(parsed.text);
  };
  expect(read(vectors.checkpoint)).toMatchObject({ origin: vectors.origin, size: 10 });
  expect(read(vectors.published[2]?.note ?? "")).toMatchObject({
    origin: "go.sum database tree",
    size: 15067302,
  });
  expect(read(vectors.published[0]?.note ?? "")).toBeTypeOf("string");
});

test.each(vectors.refused.checkpoints)("refused: $desc", ({ text }) => {
  expect(parseCheckpoint(text)).toBeTypeOf("string");
});

test("sizes up to the largest exact number", () => {
  for (const size of [0, 1, Number.MAX_SAFE_INTEGER])
    expect(parseCheckpoint(formatCheckpoint({ origin: "o", size, root }))).toEqual({
      origin: "o",
      size,
      root,
    });
  for (const size of [-1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY])
    expect(() => formatCheckpoint({ origin: "o", size, root })).toThrow(RangeError);
});

test("extension lines are kept in their order", () => {
  const checkpoint = { origin: "o with spaces", size: 1, root, extensions: ["a b", "é", "a b"] };
  expect(parseCheckpoint(formatCheckpoint(checkpoint))).toEqual(checkpoint);
});

test("lines and roots that cannot be are not written", () => {
  const good: Checkpoint = { origin: "o", size: 1, root };
  for (const origin of ["", "a\nb", "a\tb", "\ud800"])
    expect(() => formatCheckpoint({ ...good, origin })).toThrow(RangeError);
  expect(() => formatCheckpoint({ ...good, extensions: [""] })).toThrow(RangeError);
  expect(() => formatCheckpoint({ ...good, extensions: ["a\n— b"] })).toThrow(RangeError);
  expect(() => formatCheckpoint({ ...good, root: root.subarray(1) })).toThrow(RangeError);
});

test("whatever is read is written again as it was", () => {
  const text = formatCheckpoint({ origin: "example.com/log", size: 1204, root });
  fc.assert(
    fc.property(fc.nat(text.length), fc.nat(2), fc.string({ maxLength: 2 }), (at, cut, added) => {
      const changed = text.slice(0, at) + added + text.slice(at + cut);
      const parsed = parseCheckpoint(changed);
      if (typeof parsed !== "string") expect(formatCheckpoint(parsed)).toBe(changed);
    }),
    { numRuns: 2_000 },
  );
});
