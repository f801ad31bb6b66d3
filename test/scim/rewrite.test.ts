// Locations below the target's base become the proxy's; nothing else changes by a byte.
import { describe, expect, test } from "vitest";
import { rewriteLocation, rewriteLocations } from "../../src/scim/rewrite.ts";
import { documentOf, textOf } from "./documents.ts";

const from = "https://target.example/scim/v2";
const to = "https://proxy.example/okta/scim/v2";

describe("one URL", () => {
  test.each([
    [`${from}/Users/1`, `${to}/Users/1`],
    [from, to],
    [`${from}/`, `${to}/`],
    [`${from}?x=1`, `${to}?x=1`],
    [`${from}#x`, `${to}#x`],
    ["HTTPS://Target.Example:443/scim/v2/Users/A%20b?x#y", `${to}/Users/A%20b?x#y`],
    ["https://target.example:/scim/v2/Users/1", `${to}/Users/1`],
    ["//target.example/scim/v2/Users/1", `${to}/Users/1`],
    ["/scim/v2/Users/1", `${to}/Users/1`],
  ])("%s is rewritten", (url, expected) => {
    expect(rewriteLocation(url, from, to)).toBe(expected);
    expect(rewriteLocation(url, `${from}/`, `${to}/`)).toBe(expected);
  });

  test.each([
    "https://target.example/scim/v20/Users/1",
    "https://target.example/scim/v2x",
    "https://target.example/Scim/v2/Users/1",
    "https://target.example.evil/scim/v2/Users/1",
    "https://evil@target.example/scim/v2/Users/1",
    "https://target.example:8443/scim/v2/Users/1",
    "http://target.example/scim/v2/Users/1",
    "https://other.example/?u=https://target.example/scim/v2/Users/1",
    "../Users/1",
    "Users/1",
    "/other/Users/1",
    "",
    "urn:x:y",
  ])("%s is not", (url) => {
    expect(rewriteLocation(url, from, to)).toBe(url);
  });

  test("ports, schemes and a base at the root", () => {
    expect(rewriteLocation("http://h/a", "http://H:80", "http://p")).toBe("http://p/a");
    expect(rewriteLocation("http://h:443/a", "http://h", "http://p")).toBe("http://h:443/a");
    expect(rewriteLocation("http://[::1]:8080/a", "http://[::1]:8080/", "http://p/x/")).toBe("http://p/x/a");
    expect(rewriteLocation("/Users/1", "http://h", "http://p/x")).toBe("http://p/x/Users/1");
    expect(rewriteLocation("http://h/a", "not a url", "http://p")).toBe("http://h/a");
  });
});

describe("in an answer", () => {
  test("location, $ref and Bulk locations; all other bytes stay", () => {
    const text = `{ "id":"1", "big":1e400, "é":"${from}/x",
      "meta":{"location" : "${from}/Users/1","version":"W/\\"1\\""},
      "groups":[{"$ref":"https:\\/\\/target.example\\/scim\\/v2\\/Groups\\/g","value":"g"}],
      "Operations":[{"location":"${from}/Users/2","response":{"meta":{"location":"${from}/Users/2"}}}] }`;
    const expected = `{ "id":"1", "big":1e400, "é":"${from}/x",
      "meta":{"location" : "${to}/Users/1","version":"W/\\"1\\""},
      "groups":[{"$ref":"${to}/Groups/g","value":"g"}],
      "Operations":[{"location":"${to}/Users/2","response":{"meta":{"location":"${to}/Users/2"}}}] }`;
    expect(textOf(rewriteLocations(documentOf(text), from, to))).toBe(expected);
  });

  test.each([
    '{"location":"https://elsewhere.example/scim/v2/Users/1"}',
    '{"location":["https://target.example/scim/v2/Users/1"]}',
    '{"profileUrl":"https://target.example/scim/v2/Users/1"}',
    '{"meta":{"location":null,"$ref":1}}',
    "[]",
  ])("%s keeps its buffer", (text) => {
    const document = documentOf(text);
    expect(rewriteLocations(document, from, to)).toBe(document.bytes);
  });

  test("a root-relative location is below the base, but not where any path would be", () => {
    const document = documentOf('{"meta":{"location":"/scim/v2/Users/1"}}');
    expect(textOf(rewriteLocations(document, from, to))).toBe(`{"meta":{"location":"${to}/Users/1"}}`);
    expect(rewriteLocations(document, "https://target.example", to)).toBe(document.bytes);
  });

  test("a public URL that needs escaping stays valid JSON", () => {
    const document = documentOf(`{"location":"${from}/Users/\\"1"}`);
    expect(JSON.parse(textOf(rewriteLocations(document, from, to)))).toEqual({ location: `${to}/Users/"1` });
  });
});
