// The tolerance is total: no JSON makes it throw, and what is plain already stays as it is.

import fc from "fast-check";
import { expect, test } from "vitest";
import { normaliseBody } from "../../src/demo/dialect.ts";
import { createDirectory } from "../../src/demo/directory.ts";

const directory = createDirectory(() => "http://127.0.0.1/scim/v2");
const text = fc.oneof(
  fc.string(),
  fc.constantFrom(
    "members",
    'members[value eq "x"]',
    "active",
    "urn:a:manager",
    "emails[type eq].value",
    "[",
    "a.b",
  ),
);
const operation = fc.record(
  {
    op: fc.oneof(fc.constantFrom("Add", "Replace", "remove"), fc.jsonValue()),
    path: text,
    value: fc.jsonValue(),
  },
  { requiredKeys: [] },
);
const patch = fc.record({ Operations: fc.oneof(fc.array(operation), fc.jsonValue()) });
const bulk = fc.record({
  Operations: fc.array(
    fc.record({
      method: fc.constantFrom("PATCH", "POST", "DELETE"),
      path: text,
      data: fc.oneof(patch, fc.jsonValue()),
    }),
  ),
});

test("no body makes it throw", () => {
  const body = fc.oneof(fc.jsonValue(), patch, bulk);
  const path = fc.constantFrom(
    "/Users/1",
    "/Groups/1",
    "/Users",
    "/Bulk",
    "/Users/.search",
    "/Users/%E0%A4%A",
  );
  fc.assert(
    fc.property(fc.constantFrom("POST", "PUT", "PATCH"), path, body, (method, where, value) => {
      normaliseBody(method, where, value, directory);
    }),
    { numRuns: 500 },
  );
});

test("a body without nulls, managers or booleans in quotes passes a PUT unchanged", () => {
  const plain = fc.dictionary(
    fc.stringMatching(/^[b-l]{1,8}$/),
    fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.array(fc.string())),
  );
  fc.assert(
    fc.property(plain, (value) => {
      expect(normaliseBody("PUT", "/Users/1", value, directory)).toEqual({ ...value });
    }),
  );
});
