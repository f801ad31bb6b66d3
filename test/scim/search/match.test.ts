// What is found by tokens alone is what the names themselves say, and a text search is read as it is meant.

import fc from "fast-check";
import { expect, test } from "vitest";
import {
  isTold,
  matchesName,
  type NameOperator,
  tokensOf,
  wordOperator,
} from "../../../src/scim/search/match.ts";
import { normalise } from "../../../src/scim/search/normalise.ts";
import { FilterError } from "../../../src/scim/search/query.ts";
import { parseText } from "../../../src/scim/search/text.ts";
import { searchTokens } from "../../../src/scim/search/tokens.ts";

const name = fc.oneof(
  fc.string({ unit: fc.constantFrom(..."aAbß.@ -1ΣςİŻ😀"), maxLength: 12 }),
  fc.string({ unit: fc.constantFrom(..."ab@."), minLength: 250, maxLength: 270 }),
  fc.string({ unit: "binary", maxLength: 8 }),
);
const asked = fc.tuple(name, fc.nat(270), fc.integer({ min: 1, max: 6 })).map(([text, at, length]) =>
  // A part of the name, or nearly one.
  normalise(
    [...normalise(text)]
      .slice(at % (text.length + 1))
      .slice(0, length)
      .join(""),
  ),
);

test("a name that matches has the tokens, and one that has them matches where nothing else is looked at", () => {
  const operators: readonly NameOperator[] = ["eq", "co", "sw", "ew"];
  const seen = { matching: 0, told: 0 };
  fc.assert(
    fc.property(name, asked, fc.constantFrom(...operators), fc.boolean(), (value, text, operator, isOwn) => {
      const part = isOwn ? normalise([...normalise(value)].slice(-[...text].length - 1).join("")) : text;
      const isShort = (operator === "co" || operator === "ew") && [...part].length < 3;
      fc.pre(part !== "" && !isShort);
      const tokens = new Set(searchTokens("userName", value).map((token) => `${token.kind} ${token.text}`));
      const wanted = tokensOf(operator, part, "userName").map((token) => `${token.kind} ${token.text}`);
      expect(wanted.length).toBeGreaterThan(0);
      const isCandidate = wanted.every((token) => tokens.has(token));
      const isMatch = matchesName(value, operator, part);
      if (isMatch) expect(isCandidate).toBe(true);
      if (isTold(operator, part)) expect(isCandidate).toBe(isMatch);
      if (isMatch) seen.matching++;
      if (isTold(operator, part) && isMatch) seen.told++;
    }),
    { numRuns: 2_000 },
  );
  expect(seen.matching).toBeGreaterThan(100);
  expect(seen.told).toBeGreaterThan(50);
});

test.each([
  ["ada@example.com", "sw", "example", true],
  ["ada@example.com", "sw", "ada@", true],
  ["ada@example.com", "sw", "xample", false],
  ["Ada Lovelace", "sw", "love", true],
  ["Ada Lovelace", "sw", "ada love", true],
  ["Ada Lovelace", "co", "a lo", true],
  ["Ada Lovelace", "ew", "lace", true],
  ["Ada Lovelace", "eq", "ada lovelace", true],
  ["Ada Lovelace", "eq", "ada", false],
] as const)("%s %s %s: %s", (value, operator, text, isMatch) => {
  expect(matchesName(value, operator, text)).toBe(isMatch);
});

test("a text is words, and perhaps an id", () => {
  expect(parseText("  ")).toBeUndefined();
  expect(parseText("  Ada LOVE ")).toEqual({
    words: [
      { word: "ada", position: 2 },
      { word: "love", position: 6 },
    ],
    id: "Ada LOVE",
    txn: undefined,
  });
  expect(parseText("019A0B7C-0000-7000-8000-0000000000FF")?.txn).toBe("019a0b7c-0000-7000-8000-0000000000ff");
  expect([wordOperator("ad"), wordOperator("ada"), wordOperator("李雷")]).toEqual(["sw", "co", "sw"]);
});

test.each([
  ["a".repeat(257), 256],
  ["a\0b", 1],
  ["a b c d e f g h i", 16],
])("%j is refused", (text, position) => {
  expect(() => parseText(text)).toThrow(
    expect.objectContaining({ name: "FilterError", position, of: "text" }),
  );
  expect(() => parseText(text)).toThrow(FilterError);
});
