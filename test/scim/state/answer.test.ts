// What the target's answer and its outcome make of a write: the answer wins, silence counts where it says something, and
// doubt stays only where there is reason for it.

import { expect, test } from "vitest";
import { describeState } from "../../../src/scim/state/describe.ts";
import { verdictOf } from "../../../src/scim/state/recordedWrite.ts";
import { lastState } from "../../../src/scim/state/replay.ts";
import { create, patch, stepsOf, type Told, told } from "./read.ts";

const ada = create({
  userName: "ada",
  displayName: "Ada",
  title: "Dr",
  name: { givenName: "A", familyName: "B" },
});
const resource = (more: object) => ({ schemas: ["urn:…:User"], id: "u1", ...more });
const rename = (answer?: unknown, more: Told = {}): Told => ({
  ...patch({ op: "replace", path: "displayName", value: "New" }),
  ...(answer === undefined ? {} : { answer }),
  ...more,
});

test("a whole answer wins over the request", () => {
  const answer = resource({ userName: "ADA", displayName: "Kept by the server", active: true });
  expect(told(ada, rename(answer))).toEqual({
    state: { userName: "ADA", displayName: "Kept by the server", active: true },
  });
});

test("an answer that is not the whole resource only adds to it", () => {
  expect(told(ada, rename({ id: "u1", nickName: "n" })).state).toMatchObject({
    displayName: "New",
    title: "Dr",
    nickName: "n",
  });
  expect(told(ada, rename({ schemas: ["urn:…:ListResponse"], Resources: [] })).state).toMatchObject({
    displayName: "New",
  });
});

test("attributes that were not asked for say nothing by their absence", () => {
  const shown = told(
    ada,
    rename(resource({ userName: "ada", displayName: "Other" }), { query: "attributes=displayName,title" }),
  );
  expect(shown.state).toEqual({
    userName: "ada",
    displayName: "Other",
    name: { givenName: "A", familyName: "B" },
  });
  const part = told(
    ada,
    rename(resource({ name: { givenName: "C" } }), { query: "attributes=name.givenName" }),
  );
  expect(part.state).toMatchObject({ displayName: "New", name: { givenName: "C", familyName: "B" } });
  const without = told(
    ada,
    rename(resource({ userName: "ada" }), { query: "excludedAttributes=title%2Cname" }),
  );
  expect(without.state).toEqual({ userName: "ada", title: "Dr", name: { givenName: "A", familyName: "B" } });
});

test("a server that never lists members does not empty its groups", () => {
  const group: Told = { ...create({ displayName: "Crew" }), type: "Group" };
  const added: Told = {
    ...patch({ op: "add", path: "members", value: [{ value: "a" }] }),
    type: "Group",
    answer: resource({ displayName: "Crew" }),
  };
  const emptied: Told = {
    ...patch({ op: "remove", path: "members" }),
    type: "Group",
    answer: resource({ displayName: "Crew" }),
  };
  expect(told(group, added).state).toEqual({ displayName: "Crew", members: [{ value: "a" }] });
  expect(told(group, added, emptied).state).toEqual({ displayName: "Crew" });
});

test.each([
  ["answered", 200, "applied"],
  ["answered", 204, "applied"],
  ["answered", 202, "unknown"],
  ["answered", 400, "refused"],
  ["answered", 404, "refused"],
  ["answered", 500, "unknown"],
  ["answered", 503, "refused"],
  ["early", 413, "refused"],
  ["early", 200, "unknown"],
  ["not_sent", undefined, "refused"],
  ["redirected", 302, "refused"],
  ["unknown", undefined, "unknown"],
  ["incomplete", 200, "unknown"],
  ["too_large", 200, "unknown"],
  ["protocol_error", undefined, "unknown"],
  [undefined, undefined, "unknown"],
] as const)("outcome %s with %s: %s", (outcome, status, verdict) => {
  expect(verdictOf(outcome, status)).toBe(verdict);
});

test("a write of unknown fate leaves in doubt what it would have changed, until an answer tells", () => {
  const lost = rename(undefined, { outcome: "unknown" });
  const known = { userName: "ada", title: "Dr", name: { givenName: "A", familyName: "B" } };
  expect(told(ada, lost)).toEqual({ state: known, uncertain: ["displayName"] });
  expect(told(ada, lost, rename(undefined, { status: 400 }))).toEqual({
    state: known,
    uncertain: ["displayName"],
  });
  expect(told(ada, lost, rename())).toEqual({ state: { ...known, displayName: "New" } });
  const same = { ...patch({ op: "replace", path: "displayName", value: "Ada" }), outcome: "unknown" };
  expect(told(ada, same)).toEqual({ state: { ...known, displayName: "Ada" } });
  expect(told(ada, { action: "delete", outcome: "unknown" }).uncertain).toContain("userName");
});

test("members that may be there or not are named, and the others stay certain", () => {
  const group: Told = { ...create({ members: [{ value: "a" }, { value: "b" }] }), type: "Group" };
  const lost: Told = {
    ...patch(
      { op: "add", path: "members", value: [{ value: "c" }] },
      { op: "remove", path: 'members[value eq "a"]' },
    ),
    type: "Group",
    outcome: "unknown",
  };
  expect(told(group, lost)).toEqual({
    state: { members: [{ value: "b" }] },
    uncertain: ['members[value eq "a"]', 'members[value eq "c"]'],
  });
  const again: Told = { ...patch({ op: "remove", path: 'members[value eq "c"]' }), type: "Group" };
  expect(told(group, lost, again)).toEqual({
    state: { members: [{ value: "b" }] },
    uncertain: ['members[value eq "a"]'],
  });
});

test("writes at the same time: what their order decides is uncertain, unless an answer shows it", () => {
  const to = (displayName: string, at: [number, number], answer?: unknown): Told => ({
    ...patch({ op: "replace", path: "displayName", value: displayName }),
    at,
    ...(answer === undefined ? {} : { answer }),
  });
  expect(told(ada, to("X", [2, 5]), to("Y", [3, 4])).uncertain).toEqual(["displayName"]);
  expect(told(ada, to("X", [2, 3]), to("Y", [4, 5])).state).toMatchObject({ displayName: "Y" });
  const title = { ...patch({ op: "replace", path: "title", value: "Prof" }), at: [3, 4] as [number, number] };
  expect(told(ada, to("X", [2, 5]), title)).toEqual({
    state: { userName: "ada", displayName: "X", title: "Prof", name: { givenName: "A", familyName: "B" } },
  });
  // The answer to the one shows that the other was there before it.
  const first = {
    ...title,
    at: [3, 5] as [number, number],
    answer: resource({ userName: "ada", displayName: "X", title: "Prof" }),
  };
  const second = to("X", [2, 6], resource({ userName: "ada", displayName: "X", title: "Dr" }));
  expect(told(ada, second, first)).toEqual({ state: { userName: "ada", displayName: "X", title: "Prof" } });
});

test("a Bulk is its operations, with the ids that its answer gives them", () => {
  const bulk: Told = {
    action: "bulk",
    type: "Bulk",
    status: 200,
    body: {
      Operations: [
        {
          method: "PATCH",
          path: "/Groups/g1",
          data: { Operations: [{ op: "add", path: "members", value: [{ value: "bulkId:new" }] }] },
        },
        { method: "POST", path: "/Users", bulkId: "new", data: { userName: "n" } },
        {
          method: "PATCH",
          path: "/Users/bulkId:new",
          data: { Operations: [{ op: "replace", value: { title: "T" } }] },
        },
        { method: "PUT", path: "/Users/u9", data: { userName: "refused" } },
        { method: "DELETE", path: "/Users/u8" },
      ],
    },
    answer: {
      Operations: [
        { method: "DELETE", location: "https://t/Users/u8", status: "204" },
        {
          method: "POST",
          bulkId: "new",
          location: "https://t/Users/u7",
          status: "201",
          response: { schemas: ["s"], id: "u7", userName: "N", active: true },
        },
        { method: "PATCH", location: "https://t/Users/bulkId:new", status: { code: "200" } },
        { method: "PUT", location: "https://t/Users/u9", status: "409" },
        { method: "PATCH", location: "https://t/Groups/g1", status: 200 },
      ],
    },
  };
  const shownAs = (id: string) =>
    stepsOf([bulk], id).map(({ after }) => [...after.attributes.members.keys()]);
  expect(shownAs("u7")).toEqual([
    ["username", "active"],
    ["username", "active", "title"],
  ]);
  expect(stepsOf([bulk], "u8").at(-1)?.after.exists).toBe("no");
  expect(stepsOf([bulk], "u9")).toEqual([]);
  expect(describeState(lastState(stepsOf([bulk], "g1"))).state).toEqual({ members: [{ value: "u7" }] });
});
