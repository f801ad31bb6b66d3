// A password in every place SCIM, or a lenient target, would look for one; and everything else left alone.
import { describe, expect, test } from "vitest";
import { redact } from "../../src/scim/redact.ts";
import { bodyOf, coreUser, documentOf, enterprise, growth, patchOf, textOf } from "./documents.ts";

const canary = "c4nary-S3cret";
const none: readonly string[] = [];

function redacted(
  text: string,
  extra: readonly string[] = none,
): { text: string; labels: readonly string[] } {
  const { bytes, redacted: labels } = redact(documentOf(text), extra);
  return { text: textOf(bytes), labels };
}

describe("where a password may stand", () => {
  test.each<[string, unknown, string[]]>([
    ["top level", { password: canary }, ["password"]],
    ["any case", { userName: "x", PassWORD: canary }, ["PassWORD"]],
    ["a search's filter", { filter: `userName eq "a" and Password eq "${canary}"` }, ["filter"]],
    [
      "a search in a Bulk",
      {
        Operations: [
          { method: "POST", path: "/.search", data: { Filter: `${coreUser}:password eq "${canary}"` } },
        ],
      },
      ["Operations[].data.Filter"],
    ],
    [
      "a search's filter under its schema",
      { "urn:ietf:params:scim:api:messages:2.0:SearchRequest:filter": `password eq "${canary}"` },
      ["urn:ietf:params:scim:api:messages:2.0:SearchRequest:filter"],
    ],
    ["under a URN", { [`${coreUser}:password`]: canary }, [`${coreUser}:password`]],
    ["in a schema's container", { [coreUser]: { password: canary } }, [`${coreUser}.password`]],
    ["nested", { a: [{ b: { password: { value: canary } } }] }, ["a[].b.password"]],
    ["dotted", { "credentials.password": canary }, ["credentials.password"]],
    ["dotted beyond", { "password.value": canary }, ["password.value"]],
    ["as a list", { password: [canary, canary] }, ["password"]],
    ["full-width letters", { ｐａｓｓｗｏｒｄ: canary }, ["?"]],
    ["a long s", { paſſword: canary }, ["?"]],
    ["a zero-width space", { "pass\u200bword": canary }, ["?"]],
    [
      "PATCH path",
      { Operations: [{ op: "replace", path: "password", value: canary }] },
      ["Operations[].value"],
    ],
    [
      "value before path",
      { Operations: [{ value: canary, path: "password", op: "x" }] },
      ["Operations[].value"],
    ],
    [
      "PATCH in other cases",
      { operations: [{ OP: "x", PATH: "PASSWORD", VALUE: canary }] },
      ["operations[].VALUE"],
    ],
    [
      "PATCH path under URN",
      { Operations: [{ path: `${coreUser}:password`, value: canary }] },
      ["Operations[].value"],
    ],
    [
      "PATCH sub-attribute",
      { Operations: [{ path: "password.value", value: canary }] },
      ["Operations[].value"],
    ],
    ["PATCH with spaces", { Operations: [{ path: " password ", value: canary }] }, ["Operations[].value"]],
    [
      "two names that a lenient reader takes for one path",
      { Operations: [{ path: "password", ｐath: "displayName", value: canary }] },
      ["Operations[].?", "Operations[].path", "Operations[].value"],
    ],
    ["JSON Patch's path", { Operations: [{ path: "/password", value: canary }] }, ["Operations[].value"]],
    [
      "PATCH value an object",
      { Operations: [{ path: "password", value: { value: canary } }] },
      ["Operations[].value"],
    ],
    [
      "PATCH value a list",
      { Operations: [{ path: "password", value: [{ value: canary }] }] },
      ["Operations[].value"],
    ],
    [
      "path-less",
      { Operations: [{ op: "replace", value: { password: canary } }] },
      ["Operations[].value.password"],
    ],
    [
      "path-less, path null",
      { Operations: [{ path: null, value: { password: canary } }] },
      ["Operations[].value.password"],
    ],
    [
      "schema as path",
      { Operations: [{ path: coreUser, value: { password: canary } }] },
      ["Operations[].value.password"],
    ],
    [
      "a filter on it",
      { Operations: [{ path: `password eq "${canary}"`, value: canary }] },
      ["Operations[].path", "Operations[].value"],
    ],
    [
      "a filter inside",
      { Operations: [{ path: `users[password eq "${canary}"].id` }] },
      ["Operations[].path"],
    ],
    [
      "a path that is no text",
      { Operations: [{ path: ["password"], value: canary }] },
      ["Operations[].path", "Operations[].value"],
    ],
    [
      "Bulk path with a query",
      { Operations: [{ path: `/Users?password=${canary}` }] },
      ["Operations[].path"],
    ],
    [
      "a filter inside the password",
      { Operations: [{ path: `password[value eq "${canary}"]` }] },
      ["Operations[].path"],
    ],
    [
      "brackets the wrong way round",
      { Operations: [{ path: `]password[${canary}` }] },
      ["Operations[].path"],
    ],
    ["a name with a filter", { [`users[password eq "${canary}"]`]: canary }, ["?"]],
    [
      "Bulk data",
      { Operations: [{ method: "POST", path: "/Users", data: { password: canary } }] },
      ["Operations[].data.password"],
    ],
    [
      "Bulk of PATCH",
      { Operations: [{ path: "/Users/1", data: { Operations: [{ value: canary, path: "password" }] } }] },
      ["Operations[].data.Operations[].value"],
    ],
    ["Bulk data as text", { Operations: [{ data: `{"PASSWORD":"${canary}"}` }] }, ["Operations[].data"]],
    [
      "Bulk data as escaped text",
      { Operations: [{ data: `{"\\u0070assword":"${canary}"}` }] },
      ["Operations[].data"],
    ],
    ["Bulk data as broken text", { Operations: [{ data: `password=${canary}` }] }, ["Operations[].data"]],
    ["a document in a string", { note: JSON.stringify([JSON.stringify({ password: canary })]) }, ["note"]],
    ["a broken document in a string", { note: `{"password":"${canary}"` }, ["note"]],
    [
      "Bulk path with a filter",
      { Operations: [{ path: `/Users?filter=%70assword%20eq%20${canary}` }] },
      ["Operations[].path"],
    ],
  ])("%s", (_, value, labels) => {
    const result = redacted(JSON.stringify(value));
    expect(result.text).not.toContain(canary);
    expect(() => JSON.parse(result.text)).not.toThrow();
    expect(result.labels).toEqual(labels);
  });

  test("escaped names, and the bytes around stay", () => {
    const result = redacted(`{ "n":1e400,\n "\\u0070\\u0041ssword" :"${canary}" ,"é":"\\/" }`);
    expect(result.text).toBe('{ "n":1e400,\n "\\u0070\\u0041ssword" :"[redacted]" ,"é":"\\/" }');
  });

  test.each(["null", "1", "true", "{}", "[]", '""'])("a password of %s is taken too", (value) => {
    expect(redacted(`{"password":${value}}`).text).toBe('{"password":"[redacted]"}');
  });
});

describe("what stays", () => {
  test.each<[string, unknown]>([
    ["an ordinary user", { userName: "x", active: true }],
    ["the word as a value", { displayName: "password", title: "Head of Password" }],
    ["names that only contain it", { passwordHint: "x", changePassword: { supported: true } }],
    ["a path that only contains it", { Operations: [{ path: "passwordHint", value: "x" }] }],
    [
      "a user whose id it is",
      { Operations: [{ method: "PUT", path: "/Users/password", data: { userName: "x" } }] },
    ],
    ["a document in a string without any", { note: '{"a":"b"}' }],
    [
      "a filter on something else",
      { Operations: [{ path: 'emails[type eq "x"].value', value: "password" }] },
    ],
    ["braces in a name", { displayName: "{x" }],
  ])("%s", (_, value) => {
    const document = bodyOf(value);
    const result = redact(document, none);
    expect(result.bytes).toBe(document.bytes);
    expect(result.redacted).toEqual([]);
  });
});

describe("configured attributes", () => {
  const extra = [`${enterprise}:employeeNumber`, "name.givenName", "secretQuestion", "emails.value"];
  test.each<[string, unknown]>([
    ["in the schema's container", { [enterprise]: { employeeNumber: canary } }],
    ["under URN", { [`${enterprise}:EmployeeNumber`]: canary }],
    ["PATCH path", { Operations: [{ path: `${enterprise}:employeeNumber`, value: canary }] }],
    ["nested name", { name: { givenName: canary, familyName: "x" } }],
    ["dotted name", { "name.givenName": canary }],
    ["PATCH path of both", { Operations: [{ path: "name.givenName", value: canary }] }],
    ["PATCH path and value", { Operations: [{ path: "name", value: { GivenName: canary } }] }],
    ["path-less, dotted", { Operations: [{ value: { "name.givenName": canary } }] }],
    ["below the secret", { secretQuestion: { question: "?", answer: canary } }],
    ["lists", { emails: [{ type: "work", value: canary }] }],
    ["a filtered path", { Operations: [{ value: canary, path: 'emails[type eq "work"].value' }] }],
  ])("%s", (_, value) => {
    const result = redacted(JSON.stringify(value), extra);
    expect(result.text).not.toContain(canary);
    expect(result.labels).toHaveLength(1);
  });

  test("a longer pattern is not its last name alone", () => {
    const text = '{"givenName":"x","roles":[{"value":"y"}],"name":{"familyName":"z"}}';
    expect(redacted(text, extra)).toEqual({ text, labels: [] });
  });
});

test("time grows with size and no faster", () => {
  const shapes: ((n: number) => string)[] = [
    (n) =>
      JSON.stringify({ Operations: Array.from({ length: n }, () => ({ path: "password", value: "x" })) }),
    (n) => JSON.stringify({ a: Array.from({ length: n }, () => "{") }),
    (n) => JSON.stringify({ data: "{\\u0070[".repeat(n) }),
    (n) => JSON.stringify({ path: `a[${"password".repeat(n)}`, "%": 1 }),
  ];
  for (const shape of shapes) {
    const run = (size: number) => {
      const document = documentOf(shape(size));
      return () => void redact(document, none);
    };
    expect(growth(1_000, run)).toBeLessThan(1.6);
  }
});

test("a PATCH without secrets keeps its buffer even where it must be searched", () => {
  const document = patchOf({ op: "replace", path: 'emails[type eq "work"].value', value: "é\\" });
  expect(redact(document, none).bytes).toBe(document.bytes);
});

test("tells the texts that were taken out, so that the target's answer can be cleaned of them", () => {
  const operation = { op: "replace", path: 'password eq "hidden-1"', value: "x" };
  const body = JSON.stringify({ password: 'Sw0rd"fish', Operations: [operation] });
  const { secrets } = redact(documentOf(body), none);
  expect(secrets).toEqual(expect.arrayContaining(['Sw0rd"fish', 'Sw0rd\\"fish', "hidden-1"]));
  expect(secrets).not.toContain("x");
});

test("a password that is a number is told as it was written", () => {
  const { secrets } = redact(documentOf('{"password":{"value":98765432109876543210}}'), none);
  expect(secrets).toEqual(["98765432109876543210"]);
});

test("a thousand passwords are told; more than can be looked for are not told in part", () => {
  const bulk = (count: number, padding: number) =>
    bodyOf({
      note: "n".repeat(padding),
      Operations: Array.from({ length: count }, (_, i) => ({ data: { password: `${canary}-${i}` } })),
    });
  expect(redact(bulk(1000, 0), none).secrets).toHaveLength(1000);
  expect(redact(bulk(64, 7_000_000), none).secrets).toHaveLength(64);
  expect(redact(bulk(1000, 7_000_000), none).secrets).toBeUndefined();
});
