// A history as the API tells it: each change with its differences, and the state at a place or a time.

import { expect, test } from "vitest";
import type { Happening } from "../../../src/audit/accounts/history.ts";
import { parseMoment, parseType } from "../../../src/audit/accounts/request.ts";
import {
  type AccountWrite,
  replayByTurns,
  stateAfter,
  timelineOf,
  writesTo,
  writesUntil,
} from "../../../src/audit/accounts/timeline.ts";
import { describeState } from "../../../src/scim/state/describe.ts";
import { changesOf } from "../../../src/scim/state/recordedWrite.ts";
import { replay, type Step } from "../../../src/scim/state/replay.ts";
import { create, patch, recordedOf, type Told } from "../../scim/state/read.ts";

/** Transaction n has its request at seq 10n and minute n, its outcome at 10n + 5 and half a minute later. */
function happenings(...tolds: Told[]): Happening[] {
  return tolds.map((told, n) => {
    const recorded = recordedOf(told);
    const isOpen = told.outcome === "open";
    return {
      seq: n * 10,
      closedSeq: isOpen ? undefined : n * 10 + 5,
      txn: `txn-${n}`,
      time: `2026-03-01T00:0${n}:00.000Z`,
      closedTime: isOpen ? undefined : `2026-03-01T00:0${n}:30.000Z`,
      connector: "okta",
      client: "okta-1",
      action: recorded.action,
      effects: [],
      outcome: told.outcome ?? "answered",
      status: recorded.status,
      changes: () => changesOf(recorded),
    };
  });
}

const isAda = (id: string) => id === "u1";
const to = (displayName: string, more: Told = {}): Told => ({
  ...patch({ op: "replace", path: "displayName", value: displayName }),
  ...more,
});
const history = happenings(
  create({ userName: "ada", displayName: "A" }),
  to("B"),
  to("C", { status: 404 }),
  to("D", { outcome: "unknown" }),
  to("other", { id: "u2" }),
  to("E"),
);
const writes = await writesTo(history, "User", isAda);

/** The timeline of Ada. */
async function timeline(own: Happening[]) {
  const { changes } = await timelineOf(own, await writesTo(own, "User", isAda));
  return changes.map(({ seq, closedSeq, verdict, diff }) => ({
    seq,
    closedSeq,
    verdict,
    diff: diff.map(({ path, old, new: now, oldKnown, newKnown }) =>
      [path, oldKnown ? old : "?", now, ...(newKnown ? [] : ["perhaps"])].join(" "),
    ),
  }));
}

test("each change with what it made, what it asked for, or nothing", async () => {
  expect(await timeline(history)).toEqual([
    { seq: 0, closedSeq: 5, verdict: "applied", diff: ["userName ? ada", "displayName ? A"] },
    { seq: 10, closedSeq: 15, verdict: "applied", diff: ["displayName A B"] },
    { seq: 20, closedSeq: 25, verdict: "refused", diff: [] },
    { seq: 30, closedSeq: 35, verdict: "unknown", diff: ["displayName B D perhaps"] },
    { seq: 40, closedSeq: 45, verdict: "applied", diff: [] },
    { seq: 50, closedSeq: 55, verdict: "applied", diff: ["displayName ? E"] },
  ]);
});

test("a transaction without a write of its own is told by its outcome, a Bulk that was refused it by that", async () => {
  const bulk = (status: string): Told => ({
    action: "bulk",
    type: "Bulk",
    body: {
      Operations: [{ method: "PATCH", path: "/Users/u1", data: { Operations: [{ op: "add", value: {} }] } }],
    },
    answer: { Operations: [{ method: "PATCH", location: "https://t/Users/u1", status }] },
  });
  const told = await timeline(
    happenings({ action: "read" }, { action: "read", status: 404 }, bulk("400"), bulk("200")),
  );
  expect(told.map(({ verdict }) => verdict)).toEqual(["applied", "refused", "refused", "applied"]);
});

test("while a write is under way what comes after it is in doubt, and what it asked for is still told", async () => {
  const own = happenings(create({ userName: "ada", displayName: "A" }), to("B"), to("C"));
  const slow = own.map((happening) => (happening.seq === 10 ? { ...happening, closedSeq: 99 } : happening));
  const all = await writesTo(slow, "User", isAda);
  const then = await stateAfter(writesUntil(all, parseMoment("seq:50")));
  expect(then).toMatchObject({ state: { userName: "ada" }, uncertain: ["displayName"] });
  const title = patch({ op: "replace", path: "title", value: "Dr" });
  const open = happenings(
    create({ userName: "ada", displayName: "A" }),
    to("B", { outcome: "open" }),
    to("C"),
    title,
  );
  expect((await timeline(open)).map(({ verdict, diff }) => [verdict, ...diff])).toEqual([
    ["applied", "userName ? ada", "displayName ? A"],
    ["unknown", "displayName A B perhaps"],
    ["applied", "displayName ? C perhaps"],
    ["applied", "title  Dr"],
  ]);
});

test("what an unreadable Bulk did to the account is in doubt, unless all of it was refused", async () => {
  const made = create({ userName: "ada" });
  const sealed = (status: number): Told => ({
    action: "bulk",
    type: "Bulk",
    status,
    answer: { Operations: [] },
  });
  const after = async (...tolds: Told[]) => stateAfter(await writesTo(happenings(...tolds), "User", isAda));
  expect(await after(made, sealed(400))).toMatchObject({
    exists: "yes",
    state: { userName: "ada" },
    uncertain: [],
  });
  expect(await after(made, sealed(200))).toMatchObject({
    exists: "unknown",
    state: null,
    uncertain: ["userName", "*"],
  });
});

const at = async (text: string) => {
  const { exists, state, unknown, uncertain } = await stateAfter(writesUntil(writes, parseMoment(text)));
  return { exists, name: state?.displayName, unknown, uncertain };
};

test.each([
  ["seq:5", "yes", "A", []],
  ["seq:9", "yes", "A", []],
  ["seq:12", "yes", undefined, ["displayName"]], // under way
  ["seq:15", "yes", "B", []],
  ["seq:29", "yes", "B", []],
  ["seq:39", "yes", undefined, ["displayName"]],
  ["seq:999", "yes", "E", []],
  ["2026-03-01T00:00:59Z", "yes", "A", []],
  ["2026-03-01T00:01:10Z", "yes", undefined, ["displayName"]],
  ["2026-03-01T01:01:30+01:00", "yes", "B", []],
  ["2026-03-02", "yes", "E", []],
])("at %s", async (moment, exists, name, uncertain) => {
  expect(await at(moment)).toEqual({ exists, name, unknown: [], uncertain });
});

test("before anything was seen nothing is known", async () => {
  expect(await at("2026-02-28")).toEqual({
    exists: "unknown",
    name: undefined,
    unknown: ["*"],
    uncertain: [],
  });
  expect((await at("seq:2")).exists).toBe("unknown");
});

test("a long history by turns is the same history, and lets others have theirs", async () => {
  const tolds = Array.from({ length: 1_000 }, (_, n) =>
    to(`name ${n}`, n % 7 === 0 ? { outcome: "unknown" } : {}),
  );
  // Each third is under way with the one before it; fifty in the middle are all under way at once.
  const placed = happenings(...tolds).map((happening, n) => ({
    ...happening,
    time: "2026-03-01T00:00:00.000Z",
    seq: n % 3 === 2 ? n * 10 - 7 : n * 10,
    closedSeq: n >= 480 && n < 530 ? 5_305 : (happening.closedSeq ?? n * 10 + 5),
  }));
  const long = await writesTo(placed, "User", isAda);
  let turns = 0;
  let isOver = false;
  const others = (async () => {
    for (; !isOver; turns++) await new Promise((done) => setImmediate(done));
  })();
  const steps: Step<AccountWrite>[] = [];
  for await (const step of replayByTurns(long)) steps.push(step);
  isOver = true;
  await others;
  expect(long).toHaveLength(1_000);
  const tell = (all: readonly Step<AccountWrite>[]) =>
    all.map(({ placed, before, after, asked }) => [placed, ...[before, after, asked].map(describeState)]);
  expect(tell(steps)).toEqual(tell([...replay(long)]));
  expect(turns).toBeGreaterThan(5);
});

test.each(["", "yesterday", "seq:", "seq:-1", "seq:01", "2026-13-01", "1700000000"])(
  "%j is no moment",
  (text) => {
    expect(() => parseMoment(text)).toThrow("at: write a time");
  },
);

test("a resource type is known by its collection too, and whose /Me it is, is a user", () => {
  for (const text of ["User", "users", "Users", "Me", "me"]) expect(parseType(text)).toBe("User");
  for (const text of ["Group", "groups"]) expect(parseType(text)).toBe("Group");
  for (const text of ["Device", "constructor"]) expect(parseType(text)).toBe(text);
});
