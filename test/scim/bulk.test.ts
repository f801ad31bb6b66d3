// Bulk: every operation indexed, every answer joined to the operation it is about.
import { describe, expect, test } from "vitest";
import { countBulkOperations, indexBulkAnswer } from "../../src/scim/bulk.ts";
import { understand } from "../../src/scim/operation.ts";
import { bodyOf } from "./documents.ts";

const bulkOf = (...operations: unknown[]) => bodyOf({ failOnErrors: 1, Operations: operations });

describe("a request", () => {
  const document = bulkOf(
    { method: "POST", path: "/Users", bulkId: "anna@example.com", data: { userName: "anna", password: "x" } },
    {
      method: "POST",
      path: "/Groups",
      bulkId: "g",
      data: { displayName: "Staff", members: [{ type: "User", value: "bulkId:anna@example.com" }] },
    },
    {
      method: "patch",
      path: "Users/2819",
      data: { Operations: [{ op: "Replace", path: "active", value: "False" }] },
    },
    { method: "DELETE", path: "/Users/7" },
    { method: "PUT", path: "/Groups/bulkId:g", data: { displayName: "Staff" } },
  );

  test("is one understanding with every operation", () => {
    const { facts, ...understanding } = understand({ method: "POST", resourcePath: "/Bulk", document });
    expect(understanding).toEqual({
      parsed: true,
      unparsed: [],
      action: "bulk",
      resourceType: "Bulk",
      effects: [
        "create",
        "deactivate",
        "delete",
        "membership-add",
        "membership-replace",
        "password",
        "replace",
        "update",
      ],
      paths: ["active", "displayName", "members", "password", "userName"],
      operations: [
        {
          index: 0,
          action: "create",
          resourceType: "User",
          effects: ["create", "password"],
          paths: ["password", "userName"],
          parsed: true,
        },
        {
          index: 1,
          action: "create",
          resourceType: "Group",
          effects: ["create", "membership-add"],
          paths: ["displayName", "members"],
          parsed: true,
          bulkIdRef: 0,
        },
        {
          index: 2,
          action: "update",
          resourceType: "User",
          resourceId: "2819",
          effects: ["deactivate", "update"],
          paths: ["active"],
          parsed: true,
        },
        {
          index: 3,
          action: "delete",
          resourceType: "User",
          resourceId: "7",
          effects: ["delete"],
          paths: [],
          parsed: true,
        },
        {
          index: 4,
          action: "replace",
          resourceType: "Group",
          effects: ["membership-replace", "replace"],
          paths: ["displayName"],
          parsed: true,
          bulkIdRef: 1,
        },
      ],
    });
    expect(JSON.stringify(understanding)).not.toContain("anna");
    expect(facts.operations?.map(({ index }) => index)).toEqual([0, 1, 4]);
    expect(countBulkOperations(document)).toBe(5);
  });

  test.each<[string, unknown]>([
    ["no object", 7],
    ["no method", { path: "/Users/1" }],
    ["a read", { method: "GET", path: "/Users/1" }],
    ["a Bulk in a Bulk", { method: "POST", path: "/Bulk", data: { Operations: [] } }],
    ["an absolute path", { method: "DELETE", path: "https://x.example/Users/1" }],
    ["no path", { method: "DELETE" }],
    ["data as text", { method: "POST", path: "/Users", data: '{"userName":"x"}' }],
  ])("%s is an unparsed operation", (_, operation) => {
    const understanding = understand({ method: "POST", resourcePath: "/Bulk", document: bulkOf(operation) });
    expect(understanding.parsed).toBe(false);
    expect(understanding.operations).toMatchObject([{ index: 0, parsed: false }]);
  });

  test("without operations it is unparsed", () => {
    const odd = bodyOf({ Operations: { method: "POST" } });
    expect(understand({ method: "POST", resourcePath: "/Bulk", document: odd })).toMatchObject({
      unparsed: ["body"],
      operations: [],
    });
    expect(countBulkOperations(odd)).toBe(0);
  });
});

describe("an answer", () => {
  const base = "https://target.example/scim/v2";
  const request = bulkOf(
    { method: "POST", path: "/Users", bulkId: "a", data: {} },
    { method: "POST", path: "/Users", bulkId: "b", data: {} },
    { method: "PATCH", path: "/Users/7", data: {} },
    { method: "DELETE", path: "/Users/a%20b" },
  );

  test("reordered, with one missing", () => {
    const response = bulkOf(
      { method: "DELETE", location: `${base}/Users/a%20b`, status: "204" },
      { method: "POST", bulkId: "b", location: `${base}/Users/92`, status: "201", response: { id: "92" } },
      { method: "PATCH", location: `${base}/Users/7`, status: { code: "200" } },
    );
    expect(indexBulkAnswer(request, response)).toEqual([
      { index: 0, status: undefined },
      { index: 1, status: 201, resourceId: "92", location: `${base}/Users/92` },
      { index: 2, status: 200, resourceId: "7", location: `${base}/Users/7` },
      { index: 3, status: 204, resourceId: "a b", location: `${base}/Users/a%20b` },
    ]);
  });

  test("a failed create has no location", () => {
    const response = bulkOf({ method: "POST", bulkId: "a", status: 409, response: { status: "409" } });
    expect(indexBulkAnswer(request, response)[0]).toEqual({ index: 0, status: 409 });
  });

  test("an answer without a method is found by its location", () => {
    const response = bulkOf({ location: "/scim/v2/Users/7", status: "200" });
    expect(indexBulkAnswer(request, response)[2]).toMatchObject({ status: 200 });
  });

  test("two operations on one resource: said only where the answers agree", () => {
    const twice = bulkOf({ method: "PATCH", path: "/Users/7" }, { method: "PATCH", path: "/Users/7" });
    const answer = (status: string) => ({ method: "PATCH", location: `${base}/Users/7`, status });
    const statuses = (...answers: unknown[]) =>
      indexBulkAnswer(twice, bulkOf(...answers)).map(({ status }) => status);
    expect(statuses(answer("200"), answer("200"))).toEqual([200, 200]);
    expect(statuses(answer("200"), answer("400"))).toEqual([undefined, undefined]);
    expect(statuses(answer("200"))).toEqual([undefined, undefined]);
  });

  test("a bulkId used twice, junk, and nothing", () => {
    const twice = bulkOf(
      { method: "POST", path: "/Users", bulkId: "a" },
      { method: "POST", path: "/Users", bulkId: "a" },
    );
    const one = bulkOf({ method: "POST", bulkId: "a", status: "201", location: `${base}/Users/1` });
    expect(indexBulkAnswer(twice, one).map(({ status }) => status)).toEqual([undefined, undefined]);
    expect(
      indexBulkAnswer(request, bodyOf({ Operations: [1, null, { status: "999", bulkId: "a" }] }))[0],
    ).toEqual({
      index: 0,
      status: undefined,
    });
    expect(indexBulkAnswer(request, bodyOf([]))).toHaveLength(4);
  });
});
