// A history as the API tells it: each change with its differences, and the state at a place or a time.

import { expect, test } from "vitest";
import type { Happening } from "../../../src/audit/accounts/history.ts";
import { parseMoment } from "../../../src/audit/accounts/request.ts";
import { stateAfter, timelineOf, writesTo, writesUntil } from "../../../src/audit/accounts/timeline.ts";
import { changesOf } from "../../../src/scim/state/recordedWrite.ts";
import { replay } from "../../../src/scim/state/replay.ts";
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
const writes = writesTo(history, "User", isAda);

test("each change with what it made, what it asked for, or nothing", () => {
  const told = timelineOf(history, replay(writes)).map(({ seq, closedSeq, verdict, diff }) => ({
    seq,
    closedSeq,
    verdict,
    diff: diff.map(({ path, old, new: now, oldKnown, newKnown }) =>
      [path, oldKnown ? old : "?", now, ...(newKnown ? [] : ["perhaps"])].join(" "),
    ),
  }));
  expect(told).toEqual([
    { seq: 0, closedSeq: 5, verdict: "applied", diff: ["userName ? ada", "displayName ? A"] },
    { seq: 10, closedSeq: 15, verdict: "applied", diff: ["displayName A B"] },
    { seq: 20, closedSeq: 25, verdict: "refused", diff: [] },
    { seq: 30, closedSeq: 35, verdict: "unknown", diff: ["displayName B D perhaps"] },
    { seq: 40, closedSeq: 45, verdict: "refused", diff: [] },
    { seq: 50, closedSeq: 55, verdict: "applied", diff: ["displayName ? E"] },
  ]);
});

const at = (text: string) => {
  const { exists, state, unknown, uncertain } = stateAfter(replay(writesUntil(writes, parseMoment(text))));
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
])("at %s", (moment, exists, name, uncertain) => {
  expect(at(moment)).toEqual({ exists, name, unknown: [], uncertain });
});

test("before anything was seen nothing is known", () => {
  expect(at("2026-02-28")).toEqual({ exists: "unknown", name: undefined, unknown: ["*"], uncertain: [] });
  expect(at("seq:2").exists).toBe("unknown");
});

test.each(["", "yesterday", "seq:", "seq:-1", "seq:01", "2026-13-01", "1700000000"])(
  "%j is no moment",
  (text) => {
    expect(() => parseMoment(text)).toThrow("at: write a time");
  },
);
