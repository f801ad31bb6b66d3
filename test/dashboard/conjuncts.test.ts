// The dashboard's edits of a filter: facets and chips change their part and nothing else.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  chosenValues,
  joinConjuncts,
  looksLikeFilter,
  splitConjuncts,
  toggleValue,
  withoutConjunct,
} from "../../src/dashboard/filter/conjuncts.ts";

describe("parts", () => {
  test("between `and` at the top; quotes and parentheses keep what is in them", () => {
    expect(
      splitConjuncts('userName eq "a and b" AND (status ge 400 and status lt 500) and not (seq eq 1)'),
    ).toEqual(['userName eq "a and b"', "(status ge 400 and status lt 500)", "not (seq eq 1)"]);
    expect(splitConjuncts('name co "\\" and \\""')).toEqual(['name co "\\" and \\""']);
    expect(splitConjuncts("  ")).toEqual([]);
  });

  test("`or` at the top makes one part of it all", () => {
    const filter = 'a eq "1" or b eq "2" and c eq "3"';
    expect(splitConjuncts(filter)).toEqual([`(${filter})`]);
    expect(joinConjuncts(splitConjuncts(filter))).toBe(filter);
  });

  test("names that hold `and` or `or` are names", () => {
    expect(splitConjuncts('vendor eq "x" and android pr')).toEqual(['vendor eq "x"', "android pr"]);
  });

  test("one is taken out", () => {
    expect(withoutConjunct('a eq "1" and (b eq "2" or c eq "3")', 0)).toBe('b eq "2" or c eq "3"');
    expect(withoutConjunct('a eq "1"', 0)).toBe("");
  });
});

describe("facets", () => {
  test("a value comes and goes, a second one beside it", () => {
    const one = toggleValue('userName sw "a"', "connector", "okta");
    expect(one).toBe('userName sw "a" and connector eq "okta"');
    const two = toggleValue(one, "connector", "entra");
    expect(two).toBe('userName sw "a" and (connector eq "okta" or connector eq "entra")');
    expect(chosenValues(two, "connector")).toEqual(["okta", "entra"]);
    expect(toggleValue(toggleValue(two, "connector", "okta"), "connector", "entra")).toBe('userName sw "a"');
  });

  test("numbers are numbers, and what a person wrote otherwise stays", () => {
    expect(toggleValue("status ge 400", "status", 404)).toBe("status ge 400 and status eq 404");
    expect(toggleValue("", "status", 404)).toBe("status eq 404");
    expect(toggleValue("status eq 404", "status", 404)).toBe("");
  });

  test("beside an `or` at the top, which then stands in parentheses", () => {
    expect(toggleValue('a eq "1" or b eq "2"', "action", "delete")).toBe(
      '(a eq "1" or b eq "2") and action eq "delete"',
    );
  });

  const attribute = fc.constantFrom("connector", "client", "action");
  const value = fc.string({ unit: "grapheme", maxLength: 12 });

  test("whatever a value holds, it comes as itself and goes without a trace", () => {
    fc.assert(
      fc.property(attribute, value, value, attribute, (facet, a, b, other) => {
        fc.pre(a !== b);
        const start = toggleValue("", other, b);
        const chosen = toggleValue(start, facet, a);
        expect(chosenValues(chosen, facet)).toContain(a);
        if (other !== facet) expect(chosenValues(chosen, other)).toEqual([b]);
        expect(toggleValue(chosen, facet, a)).toBe(start);
      }),
    );
  });

  test("any text is taken apart without an error, and put together it is split as before", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'ab "\\()[]and or eq 1') }), (text) => {
        const parts = splitConjuncts(text);
        chosenValues(text, "a");
        if (parts.length > 1) expect(splitConjuncts(joinConjuncts(parts))).toEqual(parts);
      }),
    );
  });
});

test("a filter is told from words", () => {
  for (const filter of ['userName eq "a"', "active pr", "(status ge 400)", 'not (a eq "b")', "seq gt 3"])
    expect(looksLikeFilter(filter)).toBe(true);
  for (const words of [
    "ada lovelace",
    "ada@example.com",
    "le petit",
    "Sales and more",
    "01a2072d-a575",
    "Ne Eq",
  ])
    expect(looksLikeFilter(words)).toBe(false);
});
