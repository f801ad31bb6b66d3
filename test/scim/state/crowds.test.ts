// Writes under way at the same time, by transaction: a Bulk is one, however many of its operations are about a resource.

import { expect, test } from "vitest";
import { describeState } from "../../../src/scim/state/describe.ts";
import { lastState, type PlacedWrite, replay } from "../../../src/scim/state/replay.ts";
import { create, patch, stepsOf, type Told, told } from "./read.ts";

const ada = create({ userName: "ada", displayName: "A", title: "Dr" });
type Places = [opened: number, closed: number | undefined];
const named = (displayName: string, at: Places): Told => ({
  ...patch({ op: "replace", path: "displayName", value: displayName }),
  at,
});
const titled = (title: string, at: Places): Told => ({
  ...patch({ op: "replace", path: "title", value: title }),
  at,
});
const unanswered: Pick<Told, "outcome"> = { outcome: "unknown" };

test("a write still under way casts doubt on what it asks for, however much comes after it, and on nothing else", () => {
  const open = { ...named("B", [2, undefined]), ...unanswered };
  expect(told(ada, open, named("C", [4, 5]), titled("Prof", [6, 7]))).toEqual({
    state: { userName: "ada", title: "Prof" },
    uncertain: ["displayName"],
  });
  const many = Array.from({ length: 20 }, (_, n) => titled(`T${n}`, [4 + 2 * n, 5 + 2 * n]));
  expect(told(ada, open, ...many)).toEqual({
    state: { userName: "ada", title: "T19" },
    uncertain: ["displayName"],
  });
  // Its answer came before the next one began: the order is known.
  expect(told(ada, { ...open, at: [2, 3] }, named("C", [4, 5]))).toEqual({
    state: { userName: "ada", displayName: "C", title: "Dr" },
  });
});

test("a write that may still come may end the resource", () => {
  const open: Told = { action: "delete", at: [2, undefined], ...unanswered };
  const steps = stepsOf([ada, open, named("C", [4, 5])]);
  expect(steps.map(({ after }) => after.exists)).toEqual(["yes", "unknown", "unknown"]);
});

test("of very many writes under way nobody tells what each may change", () => {
  const open = Array.from({ length: 40 }, (_, n) => ({
    ...titled(`T${n}`, [2 + n, undefined]),
    ...unanswered,
  }));
  expect(told(ada, ...open, named("C", [50, 51]))).toEqual({
    state: null,
    uncertain: ["userName", "displayName", "title", "*"],
  });
});

const bulkOf = (at: Places, ...changes: [path: string, value: string][]): Told => ({
  action: "bulk",
  type: "Bulk",
  status: 200,
  at,
  body: {
    Operations: changes.map(([path, value]) => ({
      method: "PATCH",
      path: "/Users/u1",
      data: { Operations: [{ op: "replace", path, value }] },
    })),
  },
  answer: {
    Operations: changes.map(() => ({ method: "PATCH", location: "https://t/Users/u1", status: "200" })),
  },
});

test("every operation of a Bulk is in doubt that another write at the same time may have come after", () => {
  const bulk = bulkOf([2, 9], ["displayName", "X"], ["title", "T"], ["nickName", "n"]);
  expect(told(ada, bulk, named("Y", [3, 4]))).toEqual({
    state: { userName: "ada", title: "T", nickName: "n" },
    uncertain: ["displayName"],
  });
  expect(told(ada, bulk, titled("Prof", [3, 4]))).toMatchObject({
    state: { displayName: "X", nickName: "n" },
    uncertain: ["title"],
  });
});

test("the operations of a Bulk stay in their order, also beside another write", () => {
  const bulk = bulkOf(
    [2, 9],
    ["displayName", "X"],
    ["displayName", "Y"],
    ["displayName", "Z"],
    ["title", "T"],
  );
  expect(told(ada, bulk, { ...patch({ op: "add", path: "nickName", value: "n" }), at: [3, 4] })).toEqual({
    state: { userName: "ada", displayName: "Z", title: "T", nickName: "n" },
  });
});

test("each step begins where the one before it ended, and none is lost", () => {
  const steps = stepsOf([
    ada,
    named("B", [2, 9]),
    titled("T", [3, 8]),
    { ...named("C", [4, undefined]), ...unanswered },
    bulkOf([5, 7], ["displayName", "X"], ["title", "Y"]),
    titled("U", [10, 11]),
  ]);
  expect(steps.map(({ placed }) => placed.opened)).toEqual([0, 5, 5, 3, 2, 4, 10]);
  for (const [index, step] of steps.entries())
    expect(step.before).toBe(steps[index - 1]?.after ?? step.before);
});

test("writes that come in any order are taken in that of the ledger", () => {
  const writes: PlacedWrite[] = stepsOf([ada, named("B", [2, 3]), named("C", [4, 5])]).map(
    ({ placed }) => placed,
  );
  expect(describeState(lastState(replay(writes.reverse()))).state).toMatchObject({ displayName: "C" });
});
