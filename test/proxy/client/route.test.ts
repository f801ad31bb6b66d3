// The request target: one canonical spelling is routed, every other is refused.

import { describe, expect, test } from "vitest";
import { parseRoute } from "../../../src/proxy/client/route.ts";
import { Refusal } from "../../../src/proxy/refusal.ts";

function refusal(target: string): string {
  try {
    parseRoute(target);
  } catch (error) {
    if (error instanceof Refusal) return error.code;
    throw error;
  }
  return "accepted";
}

describe("a canonical target", () => {
  test.each([
    ["/okta/scim/v2/Users", "okta", "/Users", undefined],
    ["/okta/scim/v2/Users?", "okta", "/Users", ""],
    ["/okta/scim/v2", "okta", "/", undefined],
    ["/okta/scim/v2/", "okta", "/", undefined],
    ["/a-b_c1/scim/v2/Users/a%40b", "a-b_c1", "/Users/a%40b", undefined],
    ['/okta/scim/v2/Users?filter=a%20eq%20"b"&x=/../?', "okta", "/Users", 'filter=a%20eq%20"b"&x=/../?'],
    ["/okta/scim/v2/Users/100%25", "okta", "/Users/100%25", undefined],
  ])("%s is split as it stands", (target, connector, resourcePath, query) => {
    expect(parseRoute(target)).toEqual({ connector, resourcePath, query });
  });
});

test.each([
  "",
  "*",
  "Users",
  "http://evil.example/okta/scim/v2/Users",
  "//okta/scim/v2/Users",
  "/okta/scim/v2/Users/.",
  "/okta/scim/v2/Users/..",
  "/okta/scim/v2/%2E%2e/x",
  "/okta/scim/v2/a%2fb",
  "/okta/scim/v2/a%3bb",
  "/okta/scim/v2/a%25%32%66b",
  "/okta/scim/v2/a%7f",
  "/okta/scim/v2/a b",
  "/okta/scim/v2/a?b c",
  "/okta/scim/v2/a?b\x7f",
])("%j is not canonical", (target) => {
  expect(refusal(target)).toBe("path_invalid");
});

test.each([
  "/",
  "/okta",
  "/okta/scim/v1/Users",
  "/okta/scim/v2x",
  "/OKTA/scim/v2/Users",
  "/okta/SCIM/v2/Users",
  "/-okta/scim/v2/Users",
  `/${"a".repeat(64)}/scim/v2/Users`,
  "/x/okta/scim/v2/Users",
  "/%6fkta/scim/v2/Users",
])("%j is below no base URL", (target) => {
  expect(refusal(target)).toBe("connector_unknown");
});
