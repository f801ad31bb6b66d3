// Names as they are compared, and the pieces under which they are found.

import { describe, expect, test } from "vitest";
import { hasWordStart, normalise, wordStarts } from "../../../src/scim/search/normalise.ts";
import {
  containTokens,
  endTokens,
  equalTokens,
  MAX_INDEXED,
  paddingTokens,
  searchTokens,
  startTokens,
} from "../../../src/scim/search/tokens.ts";

describe("normalise", () => {
  test.each([
    ["  Ada.Lovelace@Example.COM ", "ada.lovelace@example.com"],
    ["ＡＤＡ", "ada"],
    ["ﬁona", "fiona"],
    ["Zoe\u0308", "zoë"],
    ["ΟΔΥΣΣΕΥΣ", "οδυσσευσ"],
    ["\u00a0Ada\u00a0", "ada"],
    ["\ud800x", "\ufffdx"],
    ["", ""],
  ])("%j is %j", (text, expected) => expect(normalise(text)).toBe(expected));

  test("İ keeps its normal form", () => {
    const once = normalise("İpek");
    expect(normalise(once)).toBe(once);
  });
});

describe("a starts-with may begin", () => {
  const startsIn = (value: string) => wordStarts(value).map((start) => value.slice(start));

  test.each<[string, string[]]>([
    ["ada lovelace", ["ada lovelace", "lovelace"]],
    ["ada.king@example.com", ["ada.king@example.com", "king@example.com", "example.com", "com"]],
    ["_ada@-x.org", ["_ada@-x.org", "ada@-x.org", "-x.org", "x.org", "org"]],
    ["o'brien", ["o'brien", "brien"]],
    ["(bob)", ["(bob)", "bob)"]],
    ["王 小明", ["王 小明", "小明"]],
    ["🦊 fox", ["🦊 fox", "fox"]],
    ["", []],
  ])("in %j", (value, expected) => expect(startsIn(value)).toEqual(expected));

  test("at a word, not in its middle", () => {
    expect(hasWordStart("ada lovelace", "love")).toBe(true);
    expect(hasWordStart("ada lovelace", "ada l")).toBe(true);
    expect(hasWordStart("ada lovelace", "lace")).toBe(false);
  });
});

describe("tokens", () => {
  test("of a value", () => {
    expect(searchTokens("userName", "Ada@x.io")).toEqual([
      { kind: "eq", text: "userName\0ada@x.io" },
      { kind: "eq", text: "\0ada@x.io" },
      { kind: "e3", text: ".io" },
      ...["a", "x", "i"].flatMap((word) =>
        [word, { a: "ad", x: "x.", i: "io" }[word] ?? "", { a: "ada", x: "x.i" }[word] ?? ""]
          .filter((text) => text !== "")
          .map((text) => ({ kind: `p${text.length}`, text })),
      ),
      ...["ada", "da@", "a@x", "@x.", "x.i", ".io"].map((text) => ({ kind: "tri", text })),
    ]);
    expect(searchTokens("userName", " ")).toEqual([]);
  });

  test("of a question", () => {
    expect(equalTokens("email", "ADA")).toEqual([{ kind: "eq", text: "email\0ada" }]);
    expect(equalTokens(undefined, "ADA")).toEqual([{ kind: "eq", text: "\0ada" }]);
    expect(startTokens("Lo")).toEqual([{ kind: "p2", text: "lo" }]);
    expect(startTokens("Love").map(({ kind, text }) => `${kind} ${text}`)).toEqual([
      "p3 lov",
      "tri lov",
      "tri ove",
    ]);
    expect(startTokens(" ")).toEqual([]);
    expect(containTokens("ab")).toEqual([]);
    expect(containTokens("abcd").map(({ text }) => text)).toEqual(["abc", "bcd"]);
    expect(endTokens("ab")).toEqual([]);
    expect(endTokens("xyz.com")).toEqual([{ kind: "e3", text: "com" }]);
  });

  test("count characters, not halves of them", () => {
    expect(containTokens("🦊🦊")).toEqual([]);
    expect(containTokens("🦊🦊🦊").map(({ text }) => text)).toEqual(["🦊🦊🦊"]);
    expect(startTokens("🦊a").map(({ kind }) => kind)).toEqual(["p2"]);
  });

  test("are filled up to a multiple of eight, the same way each time", () => {
    const digest = Uint8Array.from({ length: 16 }, (_, index) => index * 11);
    for (let count = 0; count < 40; count++) {
      const padding = paddingTokens(count, digest);
      expect((count + padding.length) % 8).toBe(0);
      expect(padding.length).toBeLessThan(8);
      expect(new Set(padding.map(({ text }) => text)).size).toBe(padding.length);
      expect(paddingTokens(count, digest)).toEqual(padding);
    }
    const same = new Uint8Array(16);
    expect(new Set(paddingTokens(1, same).map(({ text }) => text)).size).toBe(7);
    expect(paddingTokens(1, same)).not.toEqual(paddingTokens(1, digest));
  });

  test("of a hostile value are bounded", () => {
    const hostile = Array.from({ length: 100_000 }, (_, index) =>
      String.fromCodePoint(0x4e00 + (index % 20_000)),
    ).join(" ");
    expect(searchTokens("userName", hostile).length).toBeLessThan(5 * MAX_INDEXED);
  });
});
