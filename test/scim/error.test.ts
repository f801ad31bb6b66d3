// SCIM error messages as RFC 7644 §3.12 and Okta's connection test want them.
import { expect, test } from "vitest";
import { formatScimError, isScimType } from "../../src/scim/error.ts";

test("status is a string, scimType only where there is one", () => {
  expect(JSON.parse(formatScimError(400, 'a "quoted" detail', "invalidSyntax"))).toEqual({
    schemas: ["urn:ietf:params:scim:api:messages:2.0:Error"],
    status: "400",
    scimType: "invalidSyntax",
    detail: 'a "quoted" detail',
  });
  expect(JSON.parse(formatScimError(503, "x"))).not.toHaveProperty("scimType");
});

test("the list of types is closed", () => {
  expect(["uniqueness", "sensitive", "other", "toString"].map(isScimType)).toEqual([
    true,
    true,
    false,
    false,
  ]);
});
