// Who joins and leaves a group, in every form identity providers have for it; and PATCH bodies nobody can read.
import { describe, expect, test } from "vitest";
import { understand, type WriteInput } from "../../src/scim/operation.ts";
import { bodyOf } from "./documents.ts";
import { patchGroup, patchUser, post, put, type Row } from "./requests.ts";

describe("groups", () => {
  const x = 'members[value eq "x"]';
  test.each<[...Row, members: unknown]>([
    [
      "Okta push",
      patchGroup({ op: "replace", value: { id: "g1", displayName: "Staff" } }),
      ["update"],
      ["displayName"],
      undefined,
    ],
    [
      "Okta remove and add in one body",
      patchGroup(
        { op: "remove", path: x },
        { op: "add", path: "members", value: [{ value: "y", display: "Y" }] },
      ),
      ["membership-add", "membership-remove", "update"],
      ["members", "members[value eq ?]"],
      { added: ["y"], removed: ["x"], removedNamed: true },
    ],
    [
      "Entra Remove with $ref null",
      patchGroup({ op: "Remove", path: "members", value: [{ $ref: null, value: "x" }] }),
      ["membership-remove", "update"],
      ["members"],
      { added: [], removed: ["x"], removedNamed: true },
    ],
    [
      "remove with strings",
      patchGroup({ op: "remove", path: "members", value: ["x", "y"] }),
      ["membership-remove", "update"],
      ["members"],
      { added: [], removed: ["x", "y"], removedNamed: true },
    ],
    [
      "path-less remove",
      patchGroup({ op: "remove", value: { members: [{ value: "x" }] } }),
      ["membership-remove", "update"],
      ["members"],
      { added: [], removed: ["x"], removedNamed: true },
    ],
    [
      "remove all",
      patchGroup({ op: "remove", path: "members" }),
      ["membership-remove", "update"],
      ["members"],
      { added: [], removed: [], removedAll: true, removedNamed: false },
    ],
    [
      "remove by another filter beside a named one",
      patchGroup({ op: "remove", path: 'members[display sw "A"]' }, { op: "remove", path: x }),
      ["membership-remove", "update"],
      ["members[display sw ?]", "members[value eq ?]"],
      { added: [], removed: ["x"], removedNamed: false },
    ],
    [
      "remove all but one",
      patchGroup({ op: "remove", path: 'members[not (value eq "x")]' }),
      ["membership-remove", "update"],
      ["members[not (value eq ?)]"],
      { added: [], removed: [], removedNamed: false },
    ],
    [
      "remove a list of which one has no value",
      patchGroup({ op: "remove", path: "members", value: [{ value: "x" }, { $ref: "https://a/Users/y" }] }),
      ["membership-remove", "update"],
      ["members"],
      { added: [], removed: ["x"], removedNamed: false },
    ],
    [
      "replace with none",
      patchGroup({ op: "replace", path: "members", value: [] }),
      ["membership-replace", "update"],
      ["members"],
      { added: [], removed: [], replaced: [] },
    ],
    [
      "path-less replace with none",
      patchGroup({ op: "replace", value: { members: [] } }),
      ["membership-replace", "update"],
      ["members"],
      { added: [], removed: [], replaced: [] },
    ],
    [
      "PUT without members",
      put("/Groups/g1", { displayName: "Staff" }),
      ["membership-replace", "replace"],
      ["displayName"],
      { added: [], removed: [], replaced: [] },
    ],
    [
      "PUT with members",
      put("/Groups/g1", { displayName: "Staff", members: [{ value: "x" }] }),
      ["membership-replace", "replace"],
      ["displayName", "members"],
      { added: [], removed: [], replaced: ["x"] },
    ],
    [
      "OneLogin add by filter",
      patchGroup({ op: "add", path: x }),
      ["membership-add", "update"],
      ["members[value eq ?]"],
      { added: ["x"], removed: [] },
    ],
    [
      "several by filter",
      patchGroup({ op: "remove", path: 'members[value eq "x" or value eq "y"]' }),
      ["membership-remove", "update"],
      ["members[value eq ? or value eq ?]"],
      { added: [], removed: ["x", "y"], removedNamed: true },
    ],
    [
      "one member for another",
      patchGroup({ op: "replace", path: x, value: { value: "y" } }),
      ["membership-replace", "update"],
      ["members[value eq ?].value"],
      { added: ["y"], removed: ["x"] },
    ],
    [
      "a member's display name is no membership",
      patchGroup({ op: "replace", path: `${x}.display`, value: "X" }),
      ["update"],
      ["members[value eq ?].display"],
      undefined,
    ],
    [
      "authentik, one operation a member",
      patchGroup(
        { op: "remove", path: "members", value: [{ value: "x" }] },
        { op: "add", path: "members", value: [{ value: "y" }] },
      ),
      ["membership-add", "membership-remove", "update"],
      ["members"],
      { added: ["y"], removed: ["x"], removedNamed: true },
    ],
    [
      "Entra creates a group",
      post("/Groups", {
        schemas: ["http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
        displayName: "Staff",
        members: [],
      }),
      ["create"],
      ["displayName", "members"],
      undefined,
    ],
    [
      "created with members",
      post("/Groups", { displayName: "Staff", members: [{ value: "x" }] }),
      ["create", "membership-add"],
      ["displayName", "members"],
      { added: ["x"], removed: [] },
    ],
    ["delete", { method: "DELETE", resourcePath: "/Groups/g1" }, ["delete"], [], undefined],
  ])("%s", (_, input, effects, paths, members) => {
    const understanding = understand(input);
    expect(understanding).toMatchObject({
      parsed: true,
      unparsed: [],
      resourceType: "Group",
      effects,
      paths,
    });
    expect(understanding.facts.members).toEqual(members);
  });
});

describe("what cannot be read is said, never refused", () => {
  test.each<[string, WriteInput, string[], string[], string[]]>([
    [
      "an unquoted value",
      patchGroup({ op: "remove", path: "members[value eq x@y]" }),
      ["path_filter"],
      ["membership-remove", "update"],
      ["members[?]"],
    ],
    [
      "$ref in a filter",
      patchGroup({ op: "remove", path: 'members[$ref eq "x"]' }),
      ["path_filter"],
      ["membership-remove", "update"],
      ["members[?]"],
    ],
    [
      "an unclosed bracket",
      patchGroup({ op: "remove", path: 'members[value eq "x"' }),
      ["path_filter"],
      ["membership-remove", "update"],
      ["members[?]"],
    ],
    [
      "a bracket in a literal",
      patchUser({ op: "replace", path: 'emails[value eq "]"].type', value: "x" }),
      [],
      ["update"],
      ["emails[value eq ?].type"],
    ],
    [
      "an escaped quote before a bracket",
      patchUser({ op: "replace", path: 'emails[value eq "a\\"]"].type', value: "x" }),
      [],
      ["update"],
      ["emails[value eq ?].type"],
    ],
    [
      "a name that is no attribute's",
      patchUser({ op: "replace", value: { "anna@example.com": 1 } }),
      ["path"],
      ["update"],
      ["?"],
    ],
    [
      "a filter for a path",
      patchUser({ op: "replace", path: 'userName eq "anna"', value: 1 }),
      ["path"],
      ["update"],
      ["?"],
    ],
    [
      "an unknown op still deactivates, perhaps",
      patchUser({ op: "set", path: "active", value: false }),
      ["patch_operation"],
      ["deactivate", "update"],
      ["active"],
    ],
    [
      "an active that is neither",
      patchUser({ op: "replace", path: "active", value: "disabled" }),
      ["active_value"],
      ["update"],
      ["active"],
    ],
    [
      "removing active",
      patchUser({ op: "remove", path: "active" }),
      ["active_value"],
      ["update"],
      ["active"],
    ],
    [
      "a path that is no text",
      patchUser({ op: "replace", path: ["active"], value: false }),
      ["patch_operation"],
      ["update"],
      ["?"],
    ],
    ["an operation that is no object", patchUser("active"), ["patch_operation"], ["update"], []],
    [
      "one operation without its array",
      {
        method: "PATCH",
        resourcePath: "/Users/1",
        document: bodyOf({ Operations: { op: "replace", path: "active", value: false } }),
      },
      ["patch_operation"],
      ["deactivate", "update"],
      ["active"],
    ],
    [
      "SCIM 1.1's partial resource",
      { method: "PATCH", resourcePath: "/Users/1", document: bodyOf({ active: false }) },
      ["body"],
      ["deactivate", "update"],
      ["active"],
    ],
    ["no body", { method: "PATCH", resourcePath: "/Users/1" }, ["body"], ["update"], []],
    ["a body that is a list", post("/Users", [1]), ["body"], ["create"], []],
    ["POST on a resource", { method: "POST", resourcePath: "/Users/1" }, ["method"], [], []],
    ["PUT on a collection", put("/Users", { userName: "x" }), ["resource_path"], ["replace"], ["userName"]],
    ["a path too deep", { method: "DELETE", resourcePath: "/Users/1/x" }, ["resource_path"], ["delete"], []],
    [
      "an id that does not decode",
      { method: "DELETE", resourcePath: "/Users/%zz" },
      ["resource_path"],
      ["delete"],
      [],
    ],
    [
      "an unreadable query filter",
      { method: "DELETE", resourcePath: "/Users/1", query: "filter=a%20eq%20b" },
      ["query_filter"],
      ["delete"],
      [],
    ],
    [
      "a query that does not decode",
      { method: "GET", resourcePath: "/Users", query: "filter=%" },
      ["query_filter"],
      [],
      [],
    ],
  ])("%s", (_, input, unparsed, effects, paths) => {
    const understanding = understand(input);
    expect(understanding).toMatchObject({ parsed: unparsed.length === 0, unparsed, effects, paths });
  });

  test("paths stay within 64", () => {
    const many = Object.fromEntries(Array.from({ length: 70 }, (_, i) => [`attribute${i}`, i]));
    const understanding = understand(post("/Users", { ...many, password: "x" }));
    expect(understanding.paths).toHaveLength(64);
    expect(understanding).toMatchObject({ unparsed: ["too_many_paths"], effects: ["create", "password"] });
  });

  test("a long path is cut to its names", () => {
    const filter = Array.from({ length: 30 }, () => 'value eq "x"').join(" or ");
    expect(understand(patchGroup({ op: "remove", path: `members[${filter}]` })).paths).toEqual([
      "members[?]",
    ]);
    expect(understand(patchGroup({ op: "remove", path: "x".repeat(200) })).paths).toEqual(["?"]);
  });
});
