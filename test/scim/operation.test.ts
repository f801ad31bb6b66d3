// Every shape of a user in identity-provider traffic with the action, effects and paths an auditor should find for it.
import { describe, expect, test } from "vitest";
import { namesOtherId, understand, understandAnswer, type WriteInput } from "../../src/scim/operation.ts";
import { bodyOf, coreUser, documentOf, enterprise, growth } from "./documents.ts";
import { oktaUser, patchGroup, patchUser, post, put, type Row } from "./requests.ts";

const oktaPaths = [
  "active",
  "displayName",
  "emails",
  "externalId",
  "groups",
  "name.familyName",
  "name.givenName",
  "userName",
];

describe("users", () => {
  test.each<Row>([
    [
      "Okta create with a password",
      post("/Users", { ...oktaUser, password: "t0p" }),
      ["create", "password"],
      [...oktaPaths, "password"].sort(),
    ],
    [
      "Okta PUT that deactivates",
      put("/Users/2819", { ...oktaUser, id: "2819", meta: { resourceType: "User" }, active: false }),
      ["deactivate", "replace"],
      oktaPaths,
    ],
    ["Okta PUT that activates", put("/Users/2819", oktaUser), ["activate", "replace"], oktaPaths],
    [
      "Okta path-less deactivation",
      patchUser({ op: "replace", value: { active: false } }),
      ["deactivate", "update"],
      ["active"],
    ],
    [
      "Okta path-less password",
      patchUser({ op: "replace", value: { password: "t0p" } }),
      ["password", "update"],
      ["password"],
    ],
    [
      "Entra Replace with a string",
      patchUser({ op: "Replace", path: "active", value: "False" }),
      ["deactivate", "update"],
      ["active"],
    ],
    [
      "Entra back again",
      patchUser({ op: "Replace", path: "active", value: "True" }),
      ["activate", "update"],
      ["active"],
    ],
    [
      "Entra's path-less value with dotted and URN names",
      patchUser({
        op: "replace",
        value: {
          "name.givenName": "Anna",
          displayName: "Anna",
          [`${enterprise}:employeeNumber`]: "7",
          [`${coreUser}:active`]: false,
          'emails[type eq "work"].value': "a@b",
        },
      }),
      ["deactivate", "update"],
      ["active", "displayName", "emails[type eq ?].value", "name.givenName", `${enterprise}:employeeNumber`],
    ],
    [
      "Entra filters, URN paths and manager as an array",
      patchUser(
        { op: "Add", path: 'emails[type eq "work"].value', value: "a@b" },
        { op: "Add", path: `${enterprise}:employeeNumber`, value: "7" },
        { op: "Replace", path: `${enterprise}:manager`, value: [{ $ref: "../Users/9", value: "9" }] },
      ),
      ["update"],
      ["emails[type eq ?].value", `${enterprise}:employeeNumber`, `${enterprise}:manager`],
    ],
    [
      "manager as a bare string",
      patchUser({ op: "Add", path: "manager", value: "9" }),
      ["update"],
      ["manager"],
    ],
    [
      "Entra roles by filter",
      patchUser({ op: "Add", path: 'roles[primary eq "True"].value', value: "admin" }),
      ["role", "update"],
      ["roles[primary eq ?].value"],
    ],
    [
      "entitlements in a create",
      post("/Users", { userName: "x", entitlements: [{ value: "billing" }], roles: [] }),
      ["create", "role"],
      ["entitlements", "roles", "userName"],
    ],
    [
      "roles emptied by PUT",
      put("/Users/2819", { userName: "x", roles: [] }),
      ["replace", "role"],
      ["roles", "userName"],
    ],
    [
      "SailPoint disables with add",
      patchUser({ op: "add", value: { active: false } }),
      ["deactivate", "update"],
      ["active"],
    ],
    [
      "JumpCloud PUT, enterprise URN first, with photos",
      put("/Users/2819", {
        [enterprise]: { department: "R&D", manager: { value: "9" } },
        userName: "x",
        photos: [{ value: "https://p" }],
        active: true,
      }),
      ["activate", "replace"],
      ["active", "photos", `${enterprise}:department`, `${enterprise}:manager.value`, "userName"].sort(),
    ],
    [
      "JumpCloud, one operation an attribute",
      patchUser(
        { op: "replace", path: "name.givenName", value: "A" },
        { op: "replace", path: "active", value: true },
      ),
      ["activate", "update"],
      ["active", "name.givenName"],
    ],
    [
      "OneLogin's explicit nulls",
      post("/Users", { userName: "x", title: null, name: null, active: null }),
      ["create"],
      ["active", "name", "title", "userName"],
    ],
    [
      "a null path is no path",
      patchUser({ op: "replace", path: null, value: { active: false } }),
      ["deactivate", "update"],
      ["active"],
    ],
    [
      "a schema as the path",
      patchUser({ op: "replace", path: coreUser, value: { active: "false" } }),
      ["deactivate", "update"],
      ["active"],
    ],
    [
      "password under URN and in any case",
      patchUser({ op: "REPLACE", path: `${coreUser}:PassWord`, value: "t0p" }),
      ["password", "update"],
      ["PassWord"],
    ],
    [
      "an extension's active is not the account's",
      patchUser({ op: "replace", path: "urn:example:ext:1.0:User:active", value: false }),
      ["update"],
      ["urn:example:ext:1.0:User:active"],
    ],
    ["delete", { method: "DELETE", resourcePath: "/Users/2819" }, ["delete"], []],
  ])("%s", (_, input, effects, paths) => {
    const understanding = understand(input);
    expect(understanding).toMatchObject({ parsed: true, unparsed: [], resourceType: "User", effects, paths });
    expect(understanding.resourceId).toBe(input.method === "POST" ? undefined : "2819");
  });
});

describe("answers", () => {
  test("a resource", () => {
    const answer = understandAnswer(
      bodyOf({ ...oktaUser, id: "2819", active: "False", meta: { version: 'W/"3"' } }),
    );
    expect(answer).toMatchObject({ resourceId: "2819", version: 'W/"3"', active: false });
    expect(answer.facts.userName).toBe("anna@example.com");
  });

  test("an error, a list, nothing", () => {
    expect(understandAnswer(bodyOf({ status: "409", scimType: "uniqueness" }))).toEqual({
      scimType: "uniqueness",
      facts: {},
    });
    expect(understandAnswer(bodyOf({ scimType: "anna" }))).toEqual({ facts: {} });
    expect(understandAnswer(bodyOf({ Resources: [oktaUser], id: "x" }))).toEqual({ facts: {} });
    expect(understandAnswer(undefined)).toEqual({ facts: {} });
    expect(understandAnswer(documentOf("[]"))).toEqual({ facts: {} });
  });

  test("a body's id", () => {
    const namesOther = (body: object, id: string) => namesOtherId(bodyOf(body).root, bodyOf(body).text, id);
    expect(namesOther({ ID: "7" }, "7")).toBe(false);
    expect(namesOther({ ID: "7" }, "8")).toBe(true);
    expect(namesOther({ id: 7 }, "7")).toBe(false);
    expect(namesOther({ id: 7 }, "8")).toBe(true);
    expect(namesOther({ id: null }, "8")).toBe(false);
    expect(namesOther({ name: { id: "7" } }, "8")).toBe(false);
  });
});

describe("time grows with size and no faster", () => {
  test.each<[string, (n: number) => WriteInput]>([
    [
      "operations",
      (n) =>
        patchGroup(...Array.from({ length: n }, () => ({ op: "remove", path: 'members[value eq "x"]' }))),
    ],
    [
      "attributes",
      (n) => post("/Users", Object.fromEntries(Array.from({ length: n }, (_, i) => [`a${i}`, i]))),
    ],
    [
      "a filter",
      (n) => patchGroup({ op: "remove", path: `members[${"value eq 1 or ".repeat(n)}value eq 1]` }),
    ],
    ["a path's dots", (n) => patchGroup({ op: "remove", path: `a${".a".repeat(n * 8)}` })],
    ["a path's colons", (n) => patchGroup({ op: "remove", path: `urn:a${":1.1".repeat(n * 8)}` })],
    ["a query", (n) => ({ method: "DELETE", resourcePath: "/Users/1", query: "a=b&".repeat(n * 8) })],
    ["a resource path", (n) => ({ method: "DELETE", resourcePath: "/a".repeat(n * 8) })],
  ])("%s", (_, inputOfSize) => {
    const run = (size: number) => {
      const input = inputOfSize(size);
      return () => void understand(input);
    };
    expect(growth(1_000, run)).toBeLessThan(1.6);
  });

  test("an unclosed quote before line breaks does not hang the filter's reader", () => {
    const path = `members[value eq "${"\n".repeat(60)}]`;
    expect(understand(patchGroup({ op: "remove", path })).unparsed).toEqual(["path_filter"]);
    const deep = `members[${"(".repeat(8000)}value eq 1]`;
    expect(understand(patchGroup({ op: "remove", path: deep })).unparsed).toEqual(["path_filter"]);
  });
});
