// Random changes for the model test of states: PATCH operations over the attributes that the catalogue's shapes do not vary,
// in the ways in which providers write them, and Bulk requests whose operations refer to one another.

import fc from "fast-check";

const ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const CORE = "urn:ietf:params:scim:schemas:core:2.0:User";
const text = fc.constantFrom("Ada", "Zoë", "O'Neil", "li", "名前", "a b", "x@example.com");
const kind = fc.constantFrom("work", "home", "other");
const index = fc.nat({ max: 1_000 });

export interface Patch {
  readonly type: "User" | "Group";
  readonly operations: readonly unknown[];
}
type WithUsers = (users: readonly string[]) => unknown;

const memberId = (users: readonly string[], at: number) => users[at % Math.max(1, users.length)] ?? "nobody";
const asIs = (arbitrary: fc.Arbitrary<unknown>) =>
  arbitrary.map(
    (value): WithUsers =>
      () =>
        value,
  );

const email = fc.record({
  value: text.map((word) => `${word.length}${word.codePointAt(0)}@example.com`),
  type: kind,
});
const replaceWord = fc.constantFrom("replace", "Replace");
const addWord = fc.constantFrom("add", "Add");

const userOperation: fc.Arbitrary<WithUsers> = fc.oneof(
  asIs(
    fc.record({
      op: replaceWord,
      path: fc.constantFrom("displayName", "title", "nickName", `${CORE}:title`),
      value: text,
    }),
  ),
  asIs(fc.record({ op: addWord, path: fc.constantFrom("name.givenName", "name.familyName"), value: text })),
  asIs(
    fc.record({
      op: fc.constantFrom("remove", "Remove"),
      path: fc.constantFrom("title", "name.givenName", "emails", `${ENTERPRISE}:department`),
    }),
  ),
  asIs(
    fc.record({
      op: replaceWord,
      path: fc.constant("active"),
      value: fc.constantFrom(true, false, "True", "False"),
    }),
  ),
  asIs(fc.record({ op: fc.constantFrom("add", "replace"), value: fc.record({ active: fc.boolean() }) })),
  asIs(
    fc.record({
      op: addWord,
      path: fc.constant("emails"),
      value: fc.array(email, { minLength: 1, maxLength: 2 }),
    }),
  ),
  asIs(fc.record({ op: replaceWord, path: fc.constant("emails"), value: fc.array(email, { maxLength: 2 }) })),
  asIs(
    fc.record({
      op: replaceWord,
      path: kind.map((type) => `emails[type eq "${type}"].value`),
      value: text.map((word) => `${word.length}@example.org`),
    }),
  ),
  asIs(fc.record({ op: fc.constant("remove"), path: kind.map((type) => `emails[type eq "${type}"]`) })),
  asIs(
    fc.record({
      op: replaceWord,
      path: fc.constantFrom("department", "costCenter").map((name) => `${ENTERPRISE}:${name}`),
      value: text,
    }),
  ),
  asIs(
    fc.tuple(text, text, text).map(([a, b, c]) => ({
      op: "replace",
      value: { displayName: a, "name.familyName": b, [`${ENTERPRISE}:department`]: c },
    })),
  ),
  index.map(
    (at): WithUsers =>
      (users) => ({ op: "replace", path: `${ENTERPRISE}:manager`, value: memberId(users, at) }),
  ),
  index.map(
    (at): WithUsers =>
      (users) => ({
        op: "Add",
        path: `${ENTERPRISE}:manager`,
        value: [{ $ref: null, value: memberId(users, at) }],
      }),
  ),
);

/** Also what this server does otherwise than RFC 7644 §3.5.2.3 has it: only its answer tells, and a Bulk's has none. */
const answeredOperation: fc.Arbitrary<WithUsers> = fc.oneof(
  { weight: 12, arbitrary: userOperation },
  {
    weight: 1,
    arbitrary: asIs(
      fc.record({ op: replaceWord, path: fc.constant("name"), value: fc.record({ givenName: text }) }),
    ),
  },
);

const groupOperation: fc.Arbitrary<WithUsers> = fc.oneof(
  asIs(fc.record({ op: replaceWord, path: fc.constant("displayName"), value: text })),
  ...[
    (id: string) => ({ op: "add", path: "members", value: [{ value: id }] }),
    (id: string) => ({ op: "Add", path: "members", value: [{ $ref: null, value: id }] }),
    (id: string) => ({ op: "add", value: { members: [{ value: id }] } }),
    (id: string) => ({ op: "replace", path: "members", value: [{ value: id }] }),
    (id: string) => ({ op: "remove", path: `members[value eq "${id}"]` }),
    (id: string) => ({ op: "Remove", path: "members", value: [{ $ref: null, value: id }] }),
    (id: string) => ({ op: "remove", path: "members", value: [{ value: id }] }),
    () => ({ op: "remove", path: "members" }),
    () => ({ op: "replace", path: "members", value: [] }),
    () => ({ op: "replace", value: { members: [] } }),
  ].map((make) =>
    index.map(
      (at): WithUsers =>
        (users) =>
          make(memberId(users, at)),
    ),
  ),
);

/** A PATCH of one to three operations, once the users' ids are known. */
export const randomPatch: fc.Arbitrary<(users: readonly string[]) => Patch> = fc.oneof(
  fc.array(answeredOperation, { minLength: 1, maxLength: 3 }).map((list) => (users: readonly string[]) => ({
    type: "User" as const,
    operations: list.map((make) => make(users)),
  })),
  fc.array(groupOperation, { minLength: 1, maxLength: 3 }).map((list) => (users: readonly string[]) => ({
    type: "Group" as const,
    operations: list.map((make) => make(users)),
  })),
);

let made = 0;

/** A Bulk: a new user and a group that refers to it, changes of others, a deletion, and something that fails. */
export const randomBulk: fc.Arbitrary<(users: readonly string[], groups: readonly string[]) => unknown> = fc
  .record({
    name: text,
    patch: fc.array(userOperation, { minLength: 1, maxLength: 2 }),
    membership: fc.array(groupOperation, { minLength: 1, maxLength: 2 }),
    at: index,
    gone: fc.boolean(),
    order: fc.boolean(),
  })
  .map(({ name, patch, membership, at, gone, order }) => (users, groups) => {
    const patchOf = (list: readonly WithUsers[]) => ({
      schemas: ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
      Operations: list.map((make) => make(users)),
    });
    const joiner = {
      method: "POST",
      path: "/Users",
      bulkId: "joiner",
      data: { schemas: [CORE], userName: `bulk.${made++}@example.com`, displayName: name, active: true },
    };
    const crew = {
      method: "POST",
      path: "/Groups",
      bulkId: "crew",
      data: {
        schemas: ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        displayName: `Crew ${name}`,
        members: [{ type: "User", value: "bulkId:joiner" }],
      },
    };
    return {
      schemas: ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
      Operations: [
        ...(order ? [joiner, crew] : [crew, joiner]),
        { method: "PATCH", path: `/Users/${memberId(users, at)}`, data: patchOf(patch) },
        { method: "PATCH", path: `/Groups/${memberId(groups, at)}`, data: patchOf(membership) },
        { method: "PATCH", path: "/Groups/bulkId:crew", data: patchOf(membership) },
        { method: "DELETE", path: gone ? `/Users/${memberId(users, at + 1)}` : "/Users/does-not-exist" },
      ],
    };
  });
