// The filter language of searches: what each comparison means, and that every refusal names its place and the way out.

import fc from "fast-check";
import { expect, test } from "vitest";
import { ATTRIBUTES, OPERATORS } from "../../../src/scim/search/attributes.ts";
import { FilterError, parseQuery, type Query } from "../../../src/scim/search/query.ts";

function show(query: Query): string {
  if (query.kind === "test")
    return `${query.attribute.name} ${query.operator}${query.value === undefined ? "" : ` ${JSON.stringify(query.value)}`}`;
  if (query.kind === "not") return `not(${show(query.term)})`;
  return `${query.kind}(${query.terms.map(show).join(", ")})`;
}

const read = (text: string) => show(parseQuery(text, "entries"));

function refusal(text: string, subject: "transactions" | "entries" = "transactions"): [number, string] {
  try {
    return expect.fail(`read as ${show(parseQuery(text, subject))}`);
  } catch (error) {
    if (!(error instanceof FilterError)) throw error;
    return [error.position, error.message];
  }
}

test.each([
  ['connector eq "okta"', 'connector eq "okta"'],
  ['CONNECTOR EQ "okta"', 'connector eq "okta"'],
  ["status gt 399", "status gt 399"],
  [
    'effects pr and ( status ge 400)or\n(outcome eq "Open")',
    'or(and(effect pr, status ge 400), outcome eq "open")',
  ],
  ["seq eq 1 or seq eq 2 and seq eq 3 or seq eq 4", "or(seq eq 1, and(seq eq 2, seq eq 3), seq eq 4)"],
  ["not (seq eq 1) and seq eq 2", "and(not(seq eq 1), seq eq 2)"],
  ["not (not (seq eq 1 or seq eq 2))", "not(not(or(seq eq 1, seq eq 2)))"],
  ['userName eq "Ada@Example.com "', 'userName eq "ada@example.com"'],
  ['urn:ietf:params:scim:schemas:core:2.0:User:userName sw "A"', 'userName sw "a"'],
  ['emails.value co "exa"', 'email co "exa"'],
  ['name.formatted co "O\\"Neil\\\\"', 'formattedName co "o\\"neil\\\\"'],
  ['externalId eq "DOMAIN\\\\"', 'externalId eq "domain\\\\"'],
  ['displayName eq "\\u0041da"', 'displayName eq "ada"'],
  ['displayName eq "and) or (status pr"', 'displayName eq "and) or (status pr"'],
  ['id eq "2819c223"', 'resourceId eq "2819c223"'],
  ['meta.created ge "2026-01-31"', `time ge ${Date.UTC(2026, 0, 31)}`],
  ['time lt "2026-01-31T09:12:00.25+02:00"', `time lt ${Date.UTC(2026, 0, 31, 7, 12, 0, 250)}`],
  ['time lt "2026-01-31T09:12:00.0000015-01:30"', `time lt ${Date.UTC(2026, 0, 31, 10, 42) + 0.001}`],
  ['type eq "event" and event eq "recovery"', 'and(type eq "event", event eq "recovery")'],
  ['txn eq "019A0B7C-0000-7000-8000-0000000000FF"', 'txn eq "019a0b7c-0000-7000-8000-0000000000ff"'],
])("%s", (text, meaning) => {
  expect(read(text)).toBe(meaning);
});

test.each([
  ["", 0, /comparison is missing/],
  ["   ", 3, /comparison is missing/],
  ['userName gt "a"', 9, /`userName gt` has no order: use eq, ne, co, sw, ew or pr/],
  ['time co "2026"', 5, /`time co` is not served: use eq, ne, gt, ge, lt, le or pr/],
  ['txn sw "019"', 4, /use eq, ne or pr/],
  ["userNam pr", 0, /no attribute `userNam`: use one of time, seq/],
  ["userName", 8, /after `userName` comes an operator/],
  ['userName is "a"', 9, /comes an operator: one of eq/],
  ["userName eq", 11, /a value is missing/],
  ["userName eq ada", 12, /stands in quotes/],
  ['userName eq "ada', 12, /quote is not closed/],
  ['userName eq "a\\x"', 12, /cannot be read/],
  ['userName eq "a\nb"', 12, /cannot be read/],
  ['userName eq ""', 12, /not \(userName pr\)/],
  ['userName eq " "', 12, /not \(userName pr\)/],
  ["userName eq null", 12, /not \(userName pr\)/],
  ["userName eq 3", 12, /in quotes/],
  ['userName co "ab"', 12, /at least 3 characters/],
  ['group ew "ab"', 9, /at least 3 characters/],
  [`userName co "${"a".repeat(257)}"`, 12, /at most 256/],
  ['status eq "404"', 10, /without quotes/],
  ["status eq 404.5", 10, /whole number/],
  ["seq lt 1e300", 7, /too large/],
  ["status eq true", 10, /without quotes/],
  ['time gt "2026-02-30"', 8, /a time is written as/],
  ['time gt "yesterday"', 8, /a time is written as/],
  ['time gt "2026-01-31T25:00:00Z"', 8, /a time is written as/],
  ["time gt 5", 8, /in quotes/],
  ['txn eq "x"', 7, /a UUID/],
  ['effect eq "explode"', 10, /is never "explode": use one of activate, create/],
  ['outcome eq "ok"', 11, /use one of open, refused, answered/],
  ['connector eq "a\\u0000"', 13, /NUL/],
  ['connector eq ""', 13, /not \(connector pr\)/],
  ["(seq eq 1", 0, /not closed/],
  ["(seq eq 1))", 10, /closes none/],
  ["seq eq 1 seq eq 2", 9, /`and`, `or` or the end/],
  ["seq eq 1 and", 12, /comparison is missing/],
  ["and seq eq 1", 0, /must begin/],
  ["seq eq 1 and or", 13, /must begin/],
  ["()", 1, /must begin/],
  ["not seq eq 1", 4, /`not \(…\)`/],
  ["not", 3, /`not \(…\)`/],
  ['"a" eq 1', 0, /without quotes/],
  ['emails[type eq "work"]', 6, /write each comparison apart/],
  ["seq eq 1 constructor", 9, /`and`, `or` or the end/],
  ["constructor eq 1", 0, /no attribute/],
  ["seq constructor 1", 4, /comes an operator/],
  ['type eq "event"', 0, /attribute of entries/],
  [`${"(".repeat(61)}seq eq 1`, 60, /at most 60/],
  [Array.from({ length: 101 }, () => "seq eq 1").join(" or "), 1200, /at most 100 comparisons/],
  [`userName eq "${"a".repeat(9000)}"`, 8192, /at most 8192 characters/],
])("%s is refused", (text, position, message) => {
  const [at, why] = refusal(text);
  expect([at, why]).toEqual([position, expect.stringMatching(message)]);
});

test("a refusal does not repeat a long text", () => {
  expect(refusal(`${"x".repeat(5000)} pr`)[1].length).toBeLessThan(500);
});

const WORDS = [
  ...ATTRIBUTES.map(({ name }) => name),
  ...OPERATORS.number,
  ...OPERATORS.text,
  ...[
    "and",
    "or",
    "not",
    "(",
    ")",
    "[",
    "]",
    '"',
    "\\",
    '"ada"',
    "12",
    '"2026-01-01"',
    "null",
    "true",
    "-1",
    "1e9",
  ],
  ...["emails.value", "urn:x:userName", "__proto__", "toString", "\0", "\n", " ", "'", ";", "--", "$1", "%"],
];

test("whatever is written is read or refused with a place in it, at once", () => {
  const text = fc.oneof(
    fc.array(fc.constantFrom(...WORDS), { maxLength: 40 }).map((words) => words.join(" ")),
    fc.array(fc.constantFrom(...WORDS), { maxLength: 40 }).map((words) => words.join("")),
    fc.string({ unit: "binary", maxLength: 200 }),
    fc.constantFrom(...'("\\ [').chain((unit) => fc.nat(9000).map((count) => unit.repeat(count))),
  );
  const begun = performance.now();
  fc.assert(
    fc.property(text, fc.constantFrom("transactions" as const, "entries" as const), (filter, subject) => {
      try {
        parseQuery(filter, subject);
      } catch (error) {
        if (!(error instanceof FilterError)) throw error;
        expect(error.position).toBeGreaterThanOrEqual(0);
        expect(error.position).toBeLessThanOrEqual(filter.length);
        expect(error.message.length).toBeLessThan(700);
      }
    }),
    { numRuns: 1_000 },
  );
  expect(performance.now() - begun).toBeLessThan(20_000);
});
