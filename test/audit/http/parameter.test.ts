// What is wrong with a parameter or a body is told in this API's words: which one, what, and what to do about it.

import { describe, expect, test } from "vitest";
import { z } from "zod";
import { operations } from "../../../src/audit/api.ts";
import {
  formatOf,
  include,
  integer,
  NO_PARAMETERS,
  parseGiven,
  uuid,
} from "../../../src/audit/http/parameter.ts";
import { Problem } from "../../../src/audit/http/problem.ts";

const query = z.strictObject({
  from: integer("", 0, 9),
  to: integer("", 5).optional(),
  id: uuid("").optional(),
  text: z.string().max(4).optional(),
  format: formatOf("note"),
  include,
});
const body = z.strictObject({ from: z.int().min(0), leaf: z.string().optional() });

/** What is told of a wrong query or body; undefined if nothing is wrong. */
function wrongIn(schema: z.ZodObject, given: unknown, place: "query" | "body"): string | undefined {
  try {
    parseGiven(schema, given, place);
    return undefined;
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== "invalid_parameter") throw error;
    return error.message;
  }
}

test.each([
  [{}, "from: is missing; add from= and a value to the query"],
  [{ from: ["1", "2"] }, "from: is given 2 times; give it once"],
  [{ from: "1", text: ["a", "b", "c"] }, "text: is given 3 times; give it once"],
  [{ from: "one" }, "from: must be a whole number, in at most 16 decimal digits"],
  [{ from: "" }, "from: must be a whole number, in at most 16 decimal digits"],
  [{ from: "99999999999999999" }, "from: must be a whole number, in at most 16 decimal digits"],
  [{ from: "10" }, "from: must be at most 9"],
  [{ from: "1", to: "4" }, "to: must be at least 5"],
  [{ from: "1", id: "x" }, "id: must be a UUID in lower case with hyphens"],
  [{ from: "1", text: "abcde" }, "text: must have at most 4 characters"],
  [{ from: "1", format: "xml" }, "format: must be json or note"],
  [{ from: "1", include: "all" }, "include: must be attachments"],
  [
    { from: "1", form: "2", "a b": "" },
    "form: there is no such parameter here; there are from, to, id, text, format, include",
  ],
])("a query %j is wrong, and how", (given, detail) => {
  expect(wrongIn(query, given, "query")).toBe(detail);
});

test.each([
  [{}, "from: is missing; the body must have it"],
  [{ from: "1" }, "from: must be a whole number, without quotes"],
  [{ from: 0.5 }, "from: must be a whole number, without quotes"],
  [{ from: -1 }, "from: must be at least 0"],
  [{ from: 1, leaf: ["x"] }, "leaf: must be a text"],
  [{ from: 1, form: 2 }, "form: the body must not have it; it may have from, leaf"],
  [[], "body: must be a JSON object"],
  [null, "body: must be a JSON object"],
])("a body %j is wrong, and how", (given, detail) => {
  expect(wrongIn(body, given, "body")).toBe(detail);
});

test("a parameter where none is taken is told so, and what is right passes", () => {
  expect(wrongIn(NO_PARAMETERS, { x: "1" }, "query")).toBe(
    "x: there is no such parameter here, nor any other",
  );
  expect(parseGiven(query, { from: "7", format: "note" }, "query")).toEqual({ from: 7, format: "note" });
});

describe("of every operation", () => {
  const asked = operations.flatMap(({ id, query }) =>
    Object.keys(query.shape).map((name) => [id, name, query] as const),
  );

  test.each(asked)("%s: %s given twice is told as that", (_, name, schema) => {
    const others = Object.fromEntries(Object.keys(schema.shape).map((other) => [other, undefined]));
    // Another that must be there may be told first.
    const told = wrongIn(schema, { ...others, [name]: ["1", "2"] }, "query");
    expect(told).toMatch(/: is (?:given 2 times; give it once|missing; add \w+= and a value to the query)$/);
    expect(wrongIn(schema, { [name]: ["1", "2"], nobody: "1" }, "query")).not.toMatch(
      /expected|invalid|unrecognized/i,
    );
  });

  test.each(operations.map(({ id, query }) => [id, query] as const))(
    "%s: what is missing is named",
    (_, schema) => {
      const told = wrongIn(schema, {}, "query");
      if (told !== undefined) expect(told).toMatch(/^(\w+): is missing; add \1= and a value to the query$/);
    },
  );
});
