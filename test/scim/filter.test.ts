// Filters: their shape without literals, the ids they name, and what is kept from the library.
import { describe, expect, test } from "vitest";
import { equalTo, formatFilterShape, parseFilter } from "../../src/scim/filter.ts";

function shapeOf(text: string): string | undefined {
  const filter = parseFilter(text);
  return filter === undefined ? undefined : formatFilterShape(filter);
}

describe("shape", () => {
  test.each([
    ['userName eq "a@b"', "userName eq ?"],
    ['userName SW "a" AND active eq true', "userName sw ? and active eq ?"],
    ['(a eq "x" or b eq 1) and not (c pr)', "(a eq ? or b eq ?) and not (c pr)"],
    ['emails[type eq "work" and value co "x"]', "emails[type eq ? and value co ?]"],
    [
      'urn:ietf:params:scim:schemas:core:2.0:User:userName eq "x"',
      "urn:ietf:params:scim:schemas:core:2.0:User:userName eq ?",
    ],
    [`${"(".repeat(64)}a eq 1${")".repeat(64)}`, "a eq ?"],
    ['na/me eq "x"', "? eq ?"],
  ])("%s", (text, shape) => {
    expect(shapeOf(text)).toBe(shape);
  });

  test.each([
    "",
    "userName",
    "userName eq anna",
    '$ref eq "x"',
    'a eq "x" constructor b eq "y"',
    'a eq "x',
    'a eq "x\n"',
    `a eq "${"\n".repeat(60)}`,
    `${"(".repeat(65)}a eq 1${")".repeat(65)}`,
    `a eq "${"x".repeat(9000)}"`,
  ])("%j is not read", (text) => {
    expect(shapeOf(text)).toBeUndefined();
  });
});

test("ids named by equality alone", () => {
  const idsOf = (text: string): string[] | undefined => {
    const filter = parseFilter(text);
    return filter === undefined ? undefined : equalTo(filter, "value");
  };
  expect(idsOf('VALUE eq "a" or value eq "b"')).toEqual(["a", "b"]);
  expect(idsOf('value eq "a" and type eq "User"')).toBeUndefined();
  expect(idsOf('value ne "a"')).toBeUndefined();
  expect(idsOf('value eq "a" or display eq "b"')).toBeUndefined();
});
