// Groups: what silence about members means, and thousands of them that come and go one by one.

import { expect, test } from "vitest";
import { describeState } from "../../../src/scim/state/describe.ts";
import { diffStates } from "../../../src/scim/state/diff.ts";
import { membersAt, Presences, presencesOf } from "../../../src/scim/state/membership.ts";
import { changesOf } from "../../../src/scim/state/recordedWrite.ts";
import { lastState, type PlacedWrite, replay } from "../../../src/scim/state/replay.ts";
import { create, patch, recordedOf, stepsOf, type Told, told } from "./read.ts";

const group = (change: Told, answer?: object): Told => ({
  ...change,
  type: "Group",
  ...(answer === undefined ? {} : { answer: { schemas: ["urn:…:Group"], id: "u1", ...answer } }),
});
const rename = patch({ op: "replace", path: "displayName", value: "Crew" });
const remove = (id: string) => patch({ op: "remove", path: `members[value eq "${id}"]` });
const add = (...ids: string[]) =>
  patch({ op: "add", path: "members", value: ids.map((value) => ({ value })) });

test("an answer without members does not empty a group whose members nobody has seen", () => {
  const renamed = group(rename, { displayName: "Crew" });
  expect(told(renamed)).toEqual({ state: { displayName: "Crew" }, unknown: ["members"] });
  expect(membersAt(lastState(stepsOf([renamed]))).isWhole).toBe(false);
  // Of a user it is no attribute: then silence says that there is none.
  expect(told({ ...renamed, type: "User" })).toEqual({ state: { displayName: "Crew" } });
});

test("nor does the removal of one of many", () => {
  const steps = stepsOf([group(remove("a"), { displayName: "Crew" })]);
  expect(describeState(lastState(steps))).toMatchObject({
    state: { displayName: "Crew" },
    unknown: ["members.*"],
  });
  expect(membersAt(lastState(steps)).isWhole).toBe(false);
  const after = [
    group(add("a", "b")),
    group(remove("a"), { displayName: "Crew" }),
    group(remove("b"), { displayName: "Crew" }),
  ];
  expect(membersAt(lastState(stepsOf(after)))).toEqual({ members: new Map(), isWhole: false });
});

test("of a group whose members are all known to be gone, it says that it is empty", () => {
  const made = group(create({ displayName: "Crew", members: [{ value: "a" }] }));
  const last = lastState(stepsOf([made, group(remove("a"), { displayName: "Crew" })]));
  expect(membersAt(last)).toEqual({ members: new Map(), isWhole: true });
});

test("a change whose body is not there leaves a group's members in doubt, though an answer shows the rest", () => {
  const { body: _, ...bodiless } = group(add("b"), { displayName: "Crew" });
  const made = group(create({ displayName: "Crew", members: [{ value: "a" }] }));
  expect(told(made, bodiless).uncertain).toContain("members");
});

test("each removal from a group that was never seen is known, not only the first", () => {
  const steps = stepsOf([group(remove("a")), group(remove("b")), group(add("b"))]);
  expect(steps.map(({ before, after }) => diffStates(before, after).map(({ path }) => path))).toEqual([
    ['members[value eq "a"]'],
    ['members[value eq "b"]'],
    ['members[value eq "b"]'],
  ]);
  expect(presencesOf(steps)).toMatchObject([{ id: "b", isFromKnown: true }]);
});

test("/Me is the user that it stands for, plainly and in a Bulk", () => {
  const answer = { schemas: ["s"], id: "u1", userName: "ada", title: "Dr" };
  const own: Told = { ...patch({ op: "add", path: "title", value: "Dr" }), type: "Me", answer };
  const { resourceId: _, ...plain } = recordedOf(own);
  expect(changesOf(plain)).toMatchObject([{ resourceType: "User", resourceId: "u1" }]);
  // An answer that cannot be opened: its leaf still says who it was.
  const { answer: _answer, ...sealed } = plain;
  expect(changesOf(sealed)).toEqual([]);
  expect(changesOf({ ...sealed, answeredId: "t:1" })).toMatchObject([
    { resourceType: "User", resourceId: "t:1" },
  ]);
  const bulk: Told = {
    action: "bulk",
    type: "Bulk",
    body: { Operations: [{ method: "PATCH", bulkId: "b", path: "/Me", data: { title: "Dr" } }] },
    answer: {
      Operations: [{ method: "PATCH", bulkId: "b", location: "https://t/Users/u1", status: "200" }],
    },
  };
  expect(changesOf(recordedOf(bulk))).toMatchObject([{ resourceType: "User", resourceId: "u1" }]);
});

const many = 20_000;
const ids = Array.from({ length: many }, (_, n) => `member-${n}`);

/** Takes the steps one at a time, as an answer does, and keeps none. */
function follow(tolds: readonly Told[]) {
  const writes: PlacedWrite[] = tolds.flatMap((one, index) =>
    changesOf(recordedOf(one)).map(({ write }) => ({ opened: index * 2, closed: index * 2 + 1, write })),
  );
  const presences = new Presences<PlacedWrite>();
  let differences = 0;
  let last = lastState([]);
  for (const step of replay(writes)) {
    presences.take(step);
    differences += diffStates(step.before, step.after).length;
    last = step.after;
  }
  return { presences: presences.found, differences, members: membersAt(last).members };
}

test("a group that thousands join one by one, and leave", () => {
  const joined = ids.map((id) => group(add(id)));
  const left = ids.map((id) => group(remove(id)));
  const { presences, differences, members } = follow([
    group(create({ displayName: "Crew" })),
    ...joined,
    ...left,
  ]);
  expect({ differences, members: members.size }).toEqual({ differences: 1 + 2 * many, members: 0 });
  expect(presences).toHaveLength(many);
  for (const [n, { id, from, to, isCertain, isFromKnown }] of presences.entries()) {
    if (id !== ids[n] || from.opened !== 2 * (n + 1) || to?.opened !== 2 * (n + 1 + many)) expect(id).toBe(n);
    if (!isCertain || !isFromKnown) expect(id).toBe("certain");
  }
});

test("a group whose members nobody saw, and which thousands leave one by one", () => {
  const { presences, differences } = follow(ids.map((id) => group(remove(id))));
  expect({ presences, differences }).toEqual({ presences: [], differences: many });
});

test("a group of thousands, of which one is exchanged again and again while a write is under way", () => {
  const writes: PlacedWrite[] = [
    group(create({ members: ids.map((value) => ({ value })) })),
    { ...group(add("late")), outcome: "unknown" },
    ...Array.from({ length: 2_000 }, (_, n) => group(n % 2 === 0 ? remove(`member-${n}`) : add(`new-${n}`))),
  ].flatMap((one, index) =>
    changesOf(recordedOf(one)).map(({ write }) => ({
      opened: index * 2,
      closed: index === 1 ? undefined : index * 2 + 1,
      write,
    })),
  );
  const { members } = membersAt(lastState(replay(writes)));
  expect([members.size, members.get("late"), members.get("new-1999")]).toEqual([many + 1, false, true]);
});

test("thousands of elements with one value, given anew each time, are told apart in no time", () => {
  const list = (from: number) =>
    Array.from({ length: 10_000 }, (_, n) => ({ value: "a", display: `${from + n}` }));
  const put = (from: number): Told => ({ action: "replace", type: "Group", body: { members: list(from) } });
  const [, turned, moved] = stepsOf([
    put(0),
    { ...put(0), body: { members: list(0).reverse() } },
    put(5_000),
  ]);
  expect(turned?.after).toBe(turned?.before);
  expect(moved && diffStates(moved.before, moved.after)).toHaveLength(5_000);
});
