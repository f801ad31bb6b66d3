// Case 67: a wall clock that was set is noticed against the monotonic one, once, whichever way it went.

import { expect, test } from "vitest";
import { ClockWatch } from "../../../src/storage/writer/clockWatch.ts";

function watched() {
  const clock = { wall: 1_750_000_000_000, monotonic: 5_000 };
  const watch = new ClockWatch(
    () => clock.wall,
    () => clock.monotonic,
  );
  const pass = (ms: number) => {
    clock.wall += ms;
    clock.monotonic += ms;
  };
  return { clock, watch, pass };
}

test("a clock that runs is no anomaly, nor is drift within seconds", () => {
  const { clock, watch, pass } = watched();
  pass(3_600_000);
  expect(watch.check(clock.wall - 10)).toBeUndefined();
  clock.wall += 4_000;
  expect(watch.check(clock.wall - 10)).toBeUndefined();
});

test.for([-3_600_000, 31_536_000_000])("a step of %i ms is told once, with its size", (byMs) => {
  const { clock, watch, pass } = watched();
  pass(1_000);
  clock.wall += byMs;
  expect(watch.check(0)).toEqual({ kind: "stepped", byMs });
  pass(1_000);
  expect(watch.check(0)).toBeUndefined();
});

test("drift that adds up is told when it is more than the tolerance", () => {
  const { clock, watch } = watched();
  const told = Array.from({ length: 6 }, () => {
    clock.wall += 1_000;
    return watch.check(0);
  });
  expect(told).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
    { kind: "stepped", byMs: 6_000 },
  ]);
});

test("a frozen clock is told again and again, for it goes on being wrong", () => {
  const { clock, watch } = watched();
  clock.monotonic += 6_000;
  expect(watch.check(0)).toEqual({ kind: "stepped", byMs: -6_000 });
  clock.monotonic += 6_000;
  expect(watch.check(0)).toEqual({ kind: "stepped", byMs: -6_000 });
});

test("an entry from the future is told when it appears, and again only after it was caught up with", () => {
  const { clock, watch, pass } = watched();
  const newest = clock.wall + 60_000;
  expect(watch.check(newest)).toEqual({ kind: "behind_ledger", byMs: -60_000 });
  expect(watch.check(newest)).toBeUndefined();
  pass(60_000);
  expect(watch.check(newest)).toBeUndefined();
  expect(watch.check(clock.wall + 60_000)).toMatchObject({ kind: "behind_ledger" });
});
