// Understanding is total, bounded, and keeps literals out of what goes into a leaf.
import fc from "fast-check";
import { expect, test } from "vitest";
import { indexBulkAnswer } from "../../src/scim/bulk.ts";
import { parseStrictJson } from "../../src/scim/json.ts";
import { isRead, understand, understandAnswer } from "../../src/scim/operation.ts";
import { parseAttributePath } from "../../src/scim/path.ts";
import { redact } from "../../src/scim/redact.ts";
import { patchOf } from "./documents.ts";

const names = fc.constantFrom(
  "Operations",
  "operations",
  "op",
  "path",
  "value",
  "members",
  "active",
  "password",
  "roles",
  "name",
  "emails",
  "method",
  "data",
  "bulkId",
  "location",
  "$ref",
  "status",
  "id",
  "meta",
  "schemas",
  "__proto__",
  "constructor",
  "urn:ietf:params:scim:schemas:core:2.0:User",
  "name.givenName",
  'emails[type eq "x"].value',
  "",
  "a b",
);
const texts = fc.oneof(
  fc.string(),
  fc.constantFrom(
    "add",
    "Replace",
    "remove",
    "POST",
    "PATCH",
    "/Users/1",
    "bulkId:a",
    "False",
    'members[value eq "x"]',
    "[",
    'a["',
  ),
);
const { json } = fc.letrec<{ json: unknown }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 5 },
    fc.oneof(texts, fc.boolean(), fc.integer(), fc.constant(null)),
    fc.array(tie("json"), { maxLength: 4 }),
    fc
      .uniqueArray(fc.tuple(fc.oneof(names, fc.string()), tie("json")), {
        maxLength: 5,
        selector: ([name]) => name.toLowerCase(),
      })
      .map((entries) => Object.fromEntries(entries)),
  ),
}));
const methods = fc.constantFrom("POST", "PUT", "PATCH", "DELETE", "GET", "HEAD", "PURGE", "");
const resourcePaths = fc.oneof(
  fc.constantFrom("/Users", "/Users/1", "/Groups/g", "/Bulk", "/.search", "/Me", "/", ""),
  fc.string(),
);

test("any request is understood, within bounds", () => {
  fc.assert(
    fc.property(
      methods,
      resourcePaths,
      fc.option(fc.string()),
      json,
      (method, resourcePath, query, value) => {
        const parsed = parseStrictJson(new TextEncoder().encode(JSON.stringify(value)), { topLevel: "any" });
        if (!parsed.ok) throw new Error(parsed.refusal.code);
        const { document } = parsed;
        const result = understand({ method, resourcePath, document, ...(query === null ? {} : { query }) });
        expect(result.parsed).toBe(result.unparsed.length === 0);
        expect(result.paths.length).toBeLessThanOrEqual(64);
        for (const path of result.paths) expect(path).toMatch(/^[\w$.:?[\]() -]{1,128}$/);
        expect(result.effects).toEqual([...new Set(result.effects)].sort());
        expect(result.resourceType).toMatch(/^[A-Za-z][\w-]{0,63}$/);
        understandAnswer(document);
        redact(document, ["name.givenName"]);
        indexBulkAnswer(document, document);
      },
    ),
    { numRuns: 1500 },
  );
});

test("any text is a path, a method, a resource", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 80 }), fc.string(), (text, method) => {
      expect(parseAttributePath(text).text.length).toBeLessThanOrEqual(128);
      expect(typeof isRead(method, text)).toBe("boolean");
    }),
    { numRuns: 1500 },
  );
});

test("a literal never reaches the path, however it is quoted", () => {
  const literal = fc.string({
    unit: fc.constantFrom("]", "[", '"', "\\", " ", "x", ".", "\n", "(", ")"),
    maxLength: 12,
  });
  const quoting = fc.constantFrom(
    (text: string) => `members[value eq ${JSON.stringify(text)}]`,
    (text: string) => `members[value eq "${text}"]`,
    (text: string) => `members[value eq ${text}].display`,
    (text: string) => `members[not (display co "${text}") and value eq "${text}"].value`,
    (text: string) => `members[value eq "${text}`,
  );
  fc.assert(
    fc.property(literal, quoting, (noise, quote) => {
      const path = quote(`${noise}CANARY${noise}`);
      const { paths } = understand({
        method: "PATCH",
        resourcePath: "/Groups/1",
        document: patchOf({ op: "remove", path }, { op: "add", value: { [path]: 1 } }),
      });
      expect(paths.join(" ")).not.toContain("CANARY");
    }),
    { numRuns: 1500 },
  );
});
