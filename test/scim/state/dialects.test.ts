// Every dialect that changes a resource, by example, answered with 204: what the request alone says. Then the same on a
// resource of which nothing was known before.

import { expect, test } from "vitest";
import { create, enterprise, patch, type Told, told } from "./read.ts";

const ada = create({
  userName: "ada@example.com",
  displayName: "Ada",
  name: { givenName: "Ada", familyName: "Example" },
  active: true,
  emails: [
    { value: "ada@example.com", type: "work", primary: true },
    { value: "ada@example.org", type: "home" },
  ],
  [enterprise]: { department: "Tests", manager: { value: "boss" } },
});
const before = told(ada).state;

test("a created resource is known as far as the answer shows it", () => {
  expect(before).toEqual({
    userName: "ada@example.com",
    displayName: "Ada",
    name: { givenName: "Ada", familyName: "Example" },
    active: true,
    emails: [
      { value: "ada@example.com", type: "work", primary: true },
      { value: "ada@example.org", type: "home" },
    ],
    [enterprise]: { department: "Tests", manager: { value: "boss" } },
  });
});

const work = { value: "ada@example.com", type: "work", primary: true };
const home = { value: "ada@example.org", type: "home" };
const core = "urn:ietf:params:scim:schemas:core:2.0:User";

test.each<[string, Told, object]>([
  ["Okta: path-less deactivation", patch({ op: "replace", value: { active: false } }), { active: false }],
  ["Entra: the string False", patch({ op: "Replace", path: "active", value: "False" }), { active: false }],
  [
    "Entra: dotted and URN keys in one value",
    patch({
      op: "replace",
      value: { active: "False", "name.givenName": "X", [`${enterprise}:department`]: "Y" },
    }),
    {
      active: false,
      name: { givenName: "X", familyName: "Example" },
      [enterprise]: { department: "Y", manager: { value: "boss" } },
    },
  ],
  [
    "Entra: a filter on the type",
    patch({ op: "Replace", path: 'emails[type eq "work"].value', value: "new@example.com" }),
    { emails: [{ ...work, value: "new@example.com" }, home] },
  ],
  [
    "Entra: a filter that matches nothing yet",
    patch({ op: "Add", path: 'phoneNumbers[type eq "mobile"].value', value: "+1" }),
    { phoneNumbers: [{ type: "mobile", value: "+1" }] },
  ],
  [
    "Entra: roles by primary",
    patch({ op: "Add", path: 'roles[primary eq "True"].value', value: "approver" }),
    { roles: [{ primary: true, value: "approver" }] },
  ],
  [
    "Entra: the manager as a bare string",
    patch({ op: "Replace", path: `${enterprise}:manager`, value: "m2" }),
    { [enterprise]: { department: "Tests", manager: { value: "m2" } } },
  ],
  [
    "Entra: the manager as an array",
    patch({ op: "Add", path: `${enterprise}:manager`, value: [{ $ref: "../Users/m2", value: "m2" }] }),
    { [enterprise]: { department: "Tests", manager: { value: "m2" } } },
  ],
  [
    "Entra: the manager taken away",
    patch({ op: "Remove", path: `${enterprise}:manager` }),
    { [enterprise]: { department: "Tests" } },
  ],
  [
    "the core schema's URN before an attribute",
    patch({ op: "replace", path: `${core}:title`, value: "Dr" }),
    { title: "Dr" },
  ],
  [
    "an extension as a whole",
    patch({ op: "add", value: { [enterprise]: { costCenter: "7" } } }),
    { [enterprise]: { department: "Tests", manager: { value: "boss" }, costCenter: "7" } },
  ],
  ["SailPoint: add to deactivate", patch({ op: "add", value: { active: false } }), { active: false }],
  [
    "names in another case",
    patch({ op: "replace", value: { DISPLAYNAME: "A", NAME: { GIVENNAME: "B" } } }),
    { displayName: "A", name: { givenName: "B", familyName: "Example" } },
  ],
  [
    "OneLogin: null takes away",
    patch({ op: "replace", path: "displayName", value: null }),
    { displayName: undefined },
  ],
  [
    "a complex attribute keeps what is not named",
    patch({ op: "replace", path: "name", value: { givenName: "B" } }),
    { name: { givenName: "B", familyName: "Example" } },
  ],
  [
    "add appends",
    patch({ op: "add", path: "emails", value: [{ value: "third@example.com" }] }),
    { emails: [work, home, { value: "third@example.com" }] },
  ],
  [
    "what is there already stays once",
    patch({ op: "add", path: "emails", value: [{ value: "ada@example.org", type: "home" }] }),
    {},
  ],
  [
    "a new primary value takes it from the first",
    patch({ op: "add", path: "emails", value: [{ value: "n@example.com", primary: true }] }),
    { emails: [{ ...work, primary: false }, home, { value: "n@example.com", primary: true }] },
  ],
  [
    "replace puts in place of all",
    patch({ op: "replace", path: "emails", value: [home] }),
    { emails: [home] },
  ],
  [
    "remove by filter",
    patch({ op: "remove", path: 'emails[type eq "home" and value ew ".org"]' }),
    { emails: [work] },
  ],
  [
    "remove a sub-attribute by filter",
    patch({ op: "remove", path: 'emails[type eq "work"].primary' }),
    { emails: [{ value: "ada@example.com", type: "work" }, home] },
  ],
  ["remove the last values", patch({ op: "remove", path: "emails[value pr]" }), { emails: undefined }],
  ["SCIM 1.1: a partial resource", { body: { displayName: "B" } }, { displayName: "B" }],
  [
    "read-only attributes",
    patch({
      op: "replace",
      value: { id: "x", meta: { version: "2" }, groups: [{ value: "g" }], schemas: [] },
    }),
    {},
  ],
  [
    "several operations, one after the other",
    patch(
      { op: "remove", path: "title" },
      { op: "add", path: "title", value: "A" },
      { op: "replace", path: "title", value: "B" },
    ),
    { title: "B" },
  ],
])("%s", (_name, change, changed) => {
  expect(told(ada, change)).toEqual({ state: withoutUndefined({ ...before, ...changed }) });
});

function withoutUndefined(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== undefined));
}

const crew = (...members: string[]): Told => ({
  ...create({ displayName: "Crew", members: members.map((value) => ({ value })) }),
  type: "Group",
});
const left = (...ids: string[]) => ({
  state: { displayName: "Crew", ...(ids.length > 0 && { members: ids.map((value) => ({ value })) }) },
});

test.each<[string, unknown, string[]]>([
  ["by path filter", { op: "remove", path: 'members[value eq "b"]' }, ["a", "c"]],
  ["by a filter of several", { op: "remove", path: 'members[value eq "b" or value eq "c"]' }, ["a"]],
  ["by a value list", { op: "Remove", path: "members", value: [{ $ref: null, value: "b" }] }, ["a", "c"]],
  ["by one bare value", { op: "remove", path: "members", value: "b" }, ["a", "c"]],
  ["by members.value", { op: "remove", path: "members.value", value: "b" }, ["a", "c"]],
  ["without a path", { op: "remove", value: { members: [{ value: "b" }] } }, ["a", "c"]],
  ["all", { op: "remove", path: "members" }, []],
  ["all, by an empty list", { op: "replace", path: "members", value: [] }, []],
  ["all, by an empty list without a path", { op: "replace", value: { members: [] } }, []],
  ["by replacing all", { op: "replace", path: "members", value: [{ value: "c" }] }, ["c"]],
  ["case of an id counts", { op: "remove", path: 'members[value eq "B"]' }, ["a", "b", "c"]],
])("a member is removed %s", (_name, operation, ids) => {
  expect(told(crew("a", "b", "c"), { ...patch(operation), type: "Group" })).toEqual(left(...ids));
});

test.each<[string, unknown]>([
  ["a list", { op: "add", path: "members", value: [{ value: "n" }] }],
  ["Entra's list", { op: "Add", path: "members", value: [{ $ref: null, value: "n" }] }],
  ["one object", { op: "add", path: "members", value: { value: "n" } }],
  ["OneLogin's path filter", { op: "add", path: 'members[value eq "n"]', value: [{ value: "n" }] }],
  ["without a path", { op: "add", value: { members: [{ value: "n" }] } }],
  ["only a reference", { op: "add", path: "members", value: [{ $ref: "https://x/Users/n" }] }],
])("a member is added by %s", (_name, operation) => {
  expect(told(crew("a"), { ...patch(operation), type: "Group" })).toEqual(left("a", "n"));
});

test("a PUT replaces all, but a password that nobody can read", () => {
  const put: Told = { action: "replace", body: { userName: "b", active: "True", title: null } };
  expect(told(ada, put)).toEqual({ state: { userName: "b", active: true } });
  const secret = { ...patch({ op: "replace", path: "password", value: "[redacted]" }), isRedacted: true };
  const state = { userName: "b", active: true, password: "[redacted]" };
  expect(told(ada, secret, put)).toEqual({ state, redacted: ["password"] });
  expect(told(ada, patch({ op: "replace", path: "title", value: "[redacted]" })).redacted).toBeUndefined();
});

test("of a resource first seen by a change only the change is known", () => {
  expect(told(patch({ op: "replace", path: "name.givenName", value: "X" }))).toEqual({
    state: { name: { givenName: "X" } },
    unknown: ["name.*", "*"],
  });
  const group = patch(
    { op: "add", path: "members", value: [{ value: "a" }] },
    { op: "remove", path: "members", value: [{ value: "b" }] },
  );
  expect(told({ ...group, type: "Group" })).toEqual({
    state: { members: [{ value: "a" }] },
    unknown: ["members.*", "*"],
  });
  expect(told(patch({ op: "replace", path: 'emails[type eq "work"].value', value: "x" }))).toEqual({
    state: { emails: [{ type: "work", value: "x" }] },
    unknown: ['emails[value eq "x"].*', "emails.*", "*"],
  });
  expect(told()).toEqual({ state: null, unknown: ["*"] });
});

test("what nobody here can read leaves doubt where it was, and no error", () => {
  expect(told(ada, patch({ op: "replace", path: "displayName[", value: "X" }))).toMatchObject({
    uncertain: ["displayName"],
  });
  expect(told(ada, patch({ op: "move", path: "title", value: "X" }))).toMatchObject({ uncertain: ["title"] });
  expect(told(ada, patch({ op: "replace", path: 7 })).uncertain).toContain("*");
  expect(told(ada, patch(3, null, "x")).uncertain).toContain("*");
  expect(told(ada, { body: [] }).uncertain).toContain("*");
  expect(told(ada, {}).uncertain).toContain("*");
});

test("a deleted resource is not there", () => {
  expect(told(ada, { action: "delete" })).toEqual({ state: null });
});
