// What changed from one state to the next, and who was a member when.

import { expect, test } from "vitest";
import { diffStates } from "../../../src/scim/state/diff.ts";
import { presencesOf } from "../../../src/scim/state/membership.ts";
import { create, enterprise, patch, stepsOf, type Told } from "./read.ts";

/** The difference that the last write makes, shortest form: only what is not known is said. */
function lastDiff(...tolds: Told[]) {
  const step = stepsOf(tolds).at(-1);
  if (step === undefined) throw new Error("no step");
  return diffStates(step.before, step.after).map(({ path, old, new: now, oldKnown, newKnown }) => ({
    [path]: [oldKnown ? old : "?", newKnown ? now : "?"],
  }));
}

const ada = create({
  userName: "ada",
  name: { givenName: "A", familyName: "B" },
  emails: [
    { value: "a@x", type: "work" },
    { value: "a@x", type: "home" },
  ],
});

test("attributes one by one, elements by their value", () => {
  const change = patch(
    { op: "replace", path: "name.givenName", value: "C" },
    { op: "remove", path: 'emails[type eq "home"]' },
    { op: "add", path: "emails", value: [{ value: "b@x" }] },
    { op: "add", path: `${enterprise}:department`, value: "T" },
  );
  expect(lastDiff(ada, change)).toEqual([
    { "name.givenName": ["A", "C"] },
    { 'emails[value eq "a@x"]': [{ value: "a@x", type: "home" }, null] },
    { 'emails[value eq "b@x"]': [null, { value: "b@x" }] },
    { [`${enterprise}:department`]: [null, "T"] },
  ]);
  expect(lastDiff(ada, patch({ op: "replace", path: 'emails[type eq "work"].display', value: "W" }))).toEqual(
    [{ 'emails[value eq "a@x"].display': [null, "W"] }],
  );
});

test("everything of a new resource, nothing of a change that changes nothing", () => {
  expect(lastDiff(create({ userName: "x", active: true, emails: [{ value: "e" }] }))).toEqual([
    { userName: ["?", "x"] },
    { active: ["?", true] },
    { 'emails[value eq "e"]': ["?", { value: "e" }] },
  ]);
  expect(lastDiff(ada, patch({ op: "replace", path: "userName", value: "ada" }))).toEqual([]);
  expect(lastDiff(ada, { action: "delete" })).toContainEqual({ userName: ["ada", null] });
});

test("what the ledger did not know before is not invented", () => {
  expect(lastDiff(patch({ op: "replace", path: "title", value: "Dr" }))).toEqual([{ title: ["?", "Dr"] }]);
  expect(lastDiff(patch({ op: "remove", path: 'members[value eq "a"]' }))).toEqual([
    { 'members[value eq "a"]': ["?", null] },
  ]);
  expect(
    lastDiff(ada, { ...patch({ op: "replace", path: "title", value: "Dr" }), outcome: "unknown" }),
  ).toEqual([{ title: [null, "?"] }]);
});

test("a password set again is a change, though its value is not kept", () => {
  const set: Told = { ...patch({ op: "replace", path: "password", value: "[redacted]" }), isRedacted: true };
  expect(lastDiff(ada, set)).toEqual([{ password: [null, "[redacted]"] }]);
  expect(lastDiff(ada, set, set)).toEqual([{ password: ["[redacted]", "[redacted]"] }]);
});

const group = (told: Told): Told => ({ ...told, type: "Group" });
const members = (op: string, ...ids: string[]) =>
  group(patch({ op, path: "members", value: ids.map((value) => ({ value })) }));

/** Who was in, from the entry and to the entry in which it is said. */
function presences(...tolds: Told[]) {
  return presencesOf(stepsOf(tolds)).map(({ id, from, isFromKnown, to, isCertain }) => [
    id,
    isFromKnown ? from.closed : `by ${from.closed}`,
    to?.closed ?? "now",
    ...(isCertain ? [] : ["maybe"]),
  ]);
}

test("members come and go", () => {
  const crew = group(create({ displayName: "Crew" }));
  expect(presences(crew, members("add", "a", "b"), members("remove", "a"), members("add", "a"))).toEqual([
    ["a", 3, 5],
    ["b", 3, "now"],
    ["a", 7, "now"],
  ]);
  expect(presences(crew, members("add", "a"), members("replace", "b"), group({ action: "delete" }))).toEqual([
    ["a", 3, 5],
    ["b", 5, 7],
  ]);
  expect(presences(crew, members("add", "a"), group(patch({ op: "remove", path: "members" })))).toEqual([
    ["a", 3, 5],
  ]);
});

test("a beginning that nobody saw has no date, and doubt is said", () => {
  expect(presences(members("add", "a"), members("remove", "a", "b"), members("add", "b"))).toEqual([
    ["a", "by 1", 3],
    ["b", 5, "now"],
  ]);
  const crew = group(create({ displayName: "Crew" }));
  const lost = (told: Told) => ({ ...told, outcome: "unknown" });
  expect(presences(crew, lost(members("add", "a")))).toEqual([["a", "by 3", "now", "maybe"]]);
  expect(presences(crew, members("add", "a"), lost(members("remove", "a")))).toEqual([
    ["a", 3, "now", "maybe"],
  ]);
  expect(presences(crew, lost(members("add", "a")), members("remove", "a"))).toEqual([
    ["a", "by 3", 5, "maybe"],
  ]);
});
