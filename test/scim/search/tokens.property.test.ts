// What holds between a value and whatever is asked of it: the index loses nothing. A value that is what was asked for
// has every token of the question.

import fc from "fast-check";
import { expect, test } from "vitest";
import { hasWordStart, normalise, wordStarts } from "../../../src/scim/search/normalise.ts";
import {
  containTokens,
  endTokens,
  equalTokens,
  isWhollyIndexed,
  NAME_ATTRIBUTES,
  type SearchToken,
  searchTokens,
  startTokens,
} from "../../../src/scim/search/tokens.ts";

const value = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.string({ unit: "grapheme", maxLength: 40 }),
  fc
    .array(fc.constantFrom("a", "b", "ß", "Σ", "İ", "é", ".", "@", " ", "-", "ﬁ", "🦊", "ñ"), {
      maxLength: 12,
    })
    .map((parts) => parts.join("")),
  fc.emailAddress(),
);
const attribute = fc.constantFrom(...NAME_ATTRIBUTES);
const textsOf = (tokens: readonly SearchToken[]) => tokens.map(({ kind, text }) => `${kind} ${text}`);

/** A part of the value from one character to another. */
function part(text: string, from: number, to: number): string {
  const points = [...text];
  return points.slice(from % (points.length + 1), to % (points.length + 1)).join("");
}

test("normalising twice is normalising once", () => {
  fc.assert(
    fc.property(value, (text) => {
      expect(normalise(normalise(text))).toBe(normalise(text));
    }),
  );
});

test("a value has every token of what it answers to", () => {
  fc.assert(
    fc.property(value, attribute, fc.nat(), fc.nat(), (text, name, from, to) => {
      const stored = normalise(text);
      const has = new Set(textsOf(searchTokens(name, text)));
      const misses = (tokens: readonly SearchToken[]) => textsOf(tokens).filter((token) => !has.has(token));
      if (stored !== "") {
        expect(misses(equalTokens(name, text))).toEqual([]);
        expect(misses(equalTokens(undefined, stored))).toEqual([]);
      }
      if (!isWhollyIndexed(stored)) return;
      const piece = normalise(part(stored, from, to));
      if (stored.includes(piece)) expect(misses(containTokens(piece))).toEqual([]);
      if (stored.endsWith(piece)) expect(misses(endTokens(piece))).toEqual([]);
      if (hasWordStart(stored, piece)) expect(misses(startTokens(piece))).toEqual([]);
      for (const start of wordStarts(stored)) {
        const begun = normalise(part(stored.slice(start), 0, to));
        if (stored.startsWith(begun, start)) expect(misses(startTokens(begun))).toEqual([]);
      }
    }),
    { numRuns: 1_000 },
  );
});

test("no token twice, and none of nothing", () => {
  fc.assert(
    fc.property(value, attribute, (text, name) => {
      const tokens = textsOf(searchTokens(name, text));
      expect(new Set(tokens).size).toBe(tokens.length);
      expect(tokens.length === 0).toBe(normalise(text) === "");
    }),
  );
});
