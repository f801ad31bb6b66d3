// Which endpoint a path names, and that only what surely reads is taken for a read.
import { describe, expect, test } from "vitest";
import { isRead, understand } from "../../src/scim/operation.ts";

describe("resources and actions", () => {
  test.each([
    ["POST", "/Users", "create", "User", undefined],
    ["POST", "/Entitlements", "create", "Entitlements", undefined],
    ["PUT", "/Entitlements/7", "replace", "Entitlements", "7"],
    ["PATCH", "/Me", "update", "Me", undefined],
    ["DELETE", "/Users/anna%40example.com", "delete", "User", "anna@example.com"],
    ["DELETE", "/users/1/", "delete", "User", "1"],
    ["POST", "/Bulk", "bulk", "Bulk", undefined],
    ["POST", "/.search", "search", "Unknown", undefined],
    ["POST", "/Users/.search", "search", "User", undefined],
    ["GET", "/Users/1", "read", "User", "1"],
    ["HEAD", "/ServiceProviderConfig", "read", "ServiceProviderConfig", undefined],
    ["PURGE", "/Users/1", "other", "User", "1"],
    ["post", "/Users", "other", "User", undefined],
    ["POST", "/", "other", "Unknown", undefined],
    ["POST", "/a%20b", "other", "Unknown", undefined],
  ])("%s %s", (method, resourcePath, action, resourceType, resourceId) => {
    const understanding = understand({ method, resourcePath });
    expect(understanding).toMatchObject({ action, resourceType });
    expect(understanding.resourceId).toBe(resourceId);
  });

  test.each([
    ["GET", "/Users/1", true],
    ["HEAD", "/", true],
    ["POST", "/.search", true],
    ["POST", "/Users/.search", true],
    ["POST", "/Users", false],
    ["POST", "/Users/.SEARCH", false],
    ["POST", "/Users/%2Esearch", false],
    ["POST", "/Users/.search/", false],
    ["POST", "/Users/1/.search", false],
    ["POST", "/Bulk/.search", false],
    ["POST", "/Users/x.search", false],
    ["POST", "/Users;x=/.search/1", false],
    ["PUT", "/.search", false],
    ["get", "/Users", false],
    ["OPTIONS", "/Users", false],
  ])("isRead %s %s is %s", (method, resourcePath, read) => {
    expect(isRead(method, resourcePath)).toBe(read);
  });
});
