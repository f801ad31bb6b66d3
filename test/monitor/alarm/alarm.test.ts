// Alarms: once for each finding until acknowledged, the same after a restart, recorded when it can be, and blocking
// only where records may have been altered.

import { setTimeout } from "node:timers/promises";
import { expect, onTestFinished, test, vi } from "vitest";
import { type Alarm, Alarms, type AlarmsOptions } from "../../../src/monitor/alarm/alarm.ts";
import {
  type AlarmEvent,
  formatAcknowledged,
  formatRaised,
  openAlarms,
  parseAlarmEvent,
} from "../../../src/monitor/alarm/alarmEvent.ts";
import { takeTurns } from "../../../src/monitor/alarm/alarmTurn.ts";
import { newUuid } from "../../../src/nodeCrypto.ts";
import { quiet } from "../../storage/writerHarness.ts";

const TAMPERED = { code: "signature_invalid", seq: 5, detail: "the signature does not match the leaf" };
const CLOCK = { code: "clock_anomaly", detail: "an hour" };

function make(options: Partial<AlarmsOptions> = {}) {
  const recorded: AlarmEvent[] = [];
  const told: { alarm: Alarm; isBlocked: boolean }[] = [];
  const alarms = new Alarms({
    ledger: "main",
    onTamper: "refuse",
    record: async (event) => recorded.push(event),
    log: quiet,
    notify: (alarm, isBlocked) => told.push({ alarm, isBlocked }),
    uuid: newUuid,
    now: () => 1_750_000_000_000,
    ...options,
  });
  return { alarms, recorded, told };
}

test("raised once: entry, log, metric and webhook; again and again is the same alarm", async () => {
  const lines: object[] = [];
  const counted: string[] = [];
  const { alarms, recorded, told } = make({
    log: { ...quiet, error: (fields) => lines.push(fields) },
    onRaised: ({ code }) => counted.push(code),
  });
  for (let i = 0; i < 3; i++) alarms.raise(TAMPERED);
  await alarms.recordPending();
  expect(alarms.open).toEqual([
    { ...TAMPERED, id: expect.any(String), raisedAt: "2025-06-15T15:06:40.000Z" },
  ]);
  const [alarm] = alarms.open;
  expect(recorded).toEqual([{ name: "alarm-raised", alarm: alarm?.id, code: "signature_invalid", at: 5 }]);
  expect(told).toEqual([{ alarm, isBlocked: true }]);
  expect(counted).toEqual(["signature_invalid"]);
  expect(lines).toEqual([
    expect.objectContaining({ alarm: alarm?.id, code: "signature_invalid", seq: 5, blocked: true }),
  ]);
  alarms.raise({ ...TAMPERED, seq: 6 });
  expect(alarms.open).toHaveLength(2);
});

test("the leaf holds no word of what was found, which somebody may have written there", async () => {
  const { alarms, recorded } = make();
  alarms.raise({
    code: "attachment_unknown",
    seq: 3,
    detail: "attachment ada@example.com\u001b[31m is stored",
  });
  await alarms.recordPending();
  expect(JSON.stringify(recorded)).not.toContain("ada");
  expect(alarms.open[0]?.detail).toBe("attachment ada@example.com?[31m is stored");
  alarms.raise({ code: "malformed", seq: 4, detail: "x".repeat(5000) });
  expect(alarms.open[1]?.detail.length).toBeLessThan(400);
});

test("blocked by tampering under refuse, by nothing under alarm, and never by a clock", async () => {
  const { alarms } = make();
  alarms.raise(CLOCK);
  expect(alarms.isBlocked()).toBeUndefined();
  alarms.raise(TAMPERED);
  expect(alarms.isBlocked()).toMatchObject(TAMPERED);
  const mild = make({ onTamper: "alarm" }).alarms;
  mild.raise(TAMPERED);
  expect(mild.isBlocked()).toBeUndefined();
  const unknown = make().alarms;
  unknown.raise({ code: "some_code_of_tomorrow", detail: "" });
  expect(unknown.isBlocked()).toBeDefined();
});

test("acknowledged by an entry; what is still found is known, what was mended and comes again is news", async () => {
  const { alarms, recorded, told } = make();
  alarms.raise(TAMPERED);
  const [{ id } = { id: "" }] = alarms.open;
  await alarms.acknowledge(id, "operator");
  expect(recorded.at(-1)).toEqual({
    name: "alarm-acknowledged",
    alarm: id,
    code: "signature_invalid",
    at: 5,
    by: "operator",
  });
  expect([alarms.open, alarms.isBlocked()]).toEqual([[], undefined]);
  alarms.raise(TAMPERED);
  expect(alarms.open).toEqual([]);
  alarms.forget(({ code, seq }) => code === "signature_invalid" && seq === 6);
  alarms.raise(TAMPERED);
  expect(alarms.open).toEqual([]);
  expect(alarms.acknowledged).toBe(1);
  alarms.forget(({ code, seq }) => code === "signature_invalid" && seq === 5);
  expect(alarms.acknowledged).toBe(0);
  alarms.raise(TAMPERED);
  expect(alarms.open).toHaveLength(1);
  await alarms.recordPending();
  expect(told).toHaveLength(2);
  await expect(alarms.acknowledge(id, "operator")).rejects.toThrow(RangeError);
});

test.each(["entries_lost", "checkpoint_ahead"])(
  "where the ledger ends moves on with every entry: %s further up is the same, further down is news",
  async (code) => {
    const { alarms } = make();
    const places = () => alarms.open.map(({ seq }) => seq);
    for (const seq of [20, 21, 30, 19]) alarms.raise({ code, seq, detail: "cut off" });
    expect(places()).toEqual([20, 19]);
    for (const { id } of alarms.open) await alarms.acknowledge(id, "operator");
    for (const seq of [19, 20, 500]) alarms.raise({ code, seq, detail: "cut off" });
    expect(places()).toEqual([]);
    alarms.raise({ code, seq: 18, detail: "cut off again" });
    expect(places()).toEqual([18]);
    // After a restart too; and what was mended in between is news wherever it ends.
    const later = make().alarms;
    later.apply({ name: "alarm-acknowledged", alarm: "a", code, at: 20, by: "operator" });
    later.raise({ code, seq: 25, detail: "cut off" });
    expect(later.open).toEqual([]);
    later.forget((known) => known.code === code);
    later.raise({ code, seq: 25, detail: "cut off" });
    expect(later.open).toHaveLength(1);
  },
);

test("of two instances that saw the same end, the one that recorded first speaks for both", async () => {
  const mute = async () => {
    throw new Error("this instance cannot write");
  };
  const { alarms } = make({ record: mute });
  // The other's alarm was an entry, so the ledger ends one further up.
  alarms.raise({ code: "entries_lost", seq: 21, detail: "cut off" });
  await alarms.settled();
  alarms.apply({ name: "alarm-raised", alarm: "theirs", code: "entries_lost", at: 20 });
  expect(alarms.open.map(({ id }) => id)).toEqual(["theirs"]);
});

test("what was acknowledged is counted if it says that records were altered", async () => {
  const { alarms } = make();
  alarms.raise(TAMPERED);
  alarms.raise({ code: "clock_anomaly", detail: "late" });
  expect(alarms.acknowledged).toBe(0);
  for (const { id } of alarms.open) await alarms.acknowledge(id, "operator");
  expect(alarms.acknowledged).toBe(1);
});

test("an acknowledgement that cannot be recorded leaves it open", async () => {
  let isAway = false;
  const { alarms } = make({
    record: async () => {
      if (isAway) throw new Error("away");
    },
  });
  alarms.raise(TAMPERED);
  await alarms.recordPending();
  isAway = true;
  await expect(alarms.acknowledge(alarms.open[0]?.id ?? "", "operator")).rejects.toThrow("away");
  expect(alarms.isBlocked()).toBeDefined();
});

test("what cannot be recorded now is recorded later, once", async () => {
  const recorded: AlarmEvent[] = [];
  let isAway = true;
  const { alarms } = make({
    record: async (event) => {
      if (isAway) throw new Error("away");
      recorded.push(event);
    },
  });
  alarms.raise(TAMPERED);
  await alarms.recordPending();
  expect([recorded, alarms.isBlocked() !== undefined]).toEqual([[], true]);
  isAway = false;
  await Promise.all([alarms.recordPending(), alarms.recordPending()]);
  await alarms.recordPending();
  expect(recorded).toHaveLength(1);
});

test("a restart: the ledger's own events make the same state, and tell nobody again", async () => {
  const before = make();
  before.alarms.raise(TAMPERED);
  before.alarms.raise({ ...TAMPERED, seq: 9 });
  await before.alarms.recordPending();
  await before.alarms.acknowledge(before.alarms.open[0]?.id ?? "", "operator");
  const after = make();
  for (const event of before.recorded) after.alarms.apply(event, "2026-01-01T00:00:00.000Z");
  expect(after.alarms.open.map(({ id, seq }) => [id, seq])).toEqual(
    before.alarms.open.map(({ id, seq }) => [id, seq]),
  );
  expect(after.alarms.isBlocked()).toMatchObject({ seq: 9 });
  after.alarms.raise(TAMPERED);
  after.alarms.raise({ ...TAMPERED, seq: 9 });
  await after.alarms.recordPending();
  expect([after.recorded, after.told, after.alarms.open.length]).toEqual([[], [], 1]);
});

test("its own events come back from the ledger, late and in order, and open nothing again", async () => {
  const { alarms, recorded } = make();
  alarms.raise(TAMPERED);
  await alarms.recordPending();
  await alarms.acknowledge(alarms.open[0]?.id ?? "", "operator");
  for (const event of recorded) {
    alarms.apply(event);
    expect(alarms.open).toEqual([]);
  }
});

test("another instance's alarm blocks here too, and its acknowledgement frees", () => {
  const { alarms, told } = make();
  const other = { id: newUuid(), ...TAMPERED };
  alarms.apply(formatRaised(other));
  expect([alarms.isBlocked()?.id, told]).toEqual([other.id, []]);
  alarms.raise(TAMPERED);
  expect(alarms.open).toHaveLength(1);
  alarms.apply(formatAcknowledged(other, "operator"));
  expect(alarms.isBlocked()).toBeUndefined();
});

test("two instances raised the same: both must be acknowledged", async () => {
  const { alarms } = make();
  alarms.raise(TAMPERED);
  const other = { id: newUuid(), ...TAMPERED };
  alarms.apply(formatRaised(other));
  alarms.apply(formatAcknowledged(other, "operator"));
  expect(alarms.isBlocked()).toBeDefined();
  await alarms.acknowledge(alarms.open[0]?.id ?? "", "operator");
  expect(alarms.isBlocked()).toBeUndefined();
});

test("what another instance recorded first is its alarm: ours gives way, and it tells", async () => {
  const other = formatRaised({ id: newUuid(), ...TAMPERED });
  const counted: object[] = [];
  const { alarms, recorded, told } = make({
    turn: async (record) => record([other]),
    onRecorded: (finding) => counted.push(finding),
  });
  alarms.raise(TAMPERED);
  alarms.raise({ ...TAMPERED, seq: 6 });
  const mine = alarms.open[1]?.id;
  await alarms.recordPending();
  expect(recorded).toEqual([{ name: "alarm-raised", alarm: mine, code: "signature_invalid", at: 6 }]);
  expect(told.map(({ alarm }) => alarm.id)).toEqual([mine]);
  expect(alarms.open.map(({ id, detail }) => [id, detail])).toEqual([
    [other.alarm, TAMPERED.detail],
    [mine, TAMPERED.detail],
  ]);
  expect(counted).toHaveLength(2);
});

test("while it is another's turn nothing is recorded; the webhooks are told all the same, once", async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const { alarms, recorded, told } = make({ turn: async () => {} });
  alarms.raise(TAMPERED);
  await alarms.recordPending();
  expect([recorded, told]).toEqual([[], []]);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(told).toEqual([{ alarm: alarms.open[0], isBlocked: true }]);
});

test("a turn is not waited for longer than its limit, and a database that cannot be asked is no reason either", async () => {
  const turns: number[] = [];
  let ended = 0;
  const options = {
    database: { tryTurn: async () => false, endTurn: async () => void ended++, events: async () => [] },
    ledger: "main",
    origin: "example.org/main",
    pinned: [],
    log: quiet,
  };
  const patient = takeTurns({ ...options, maxWaitMs: 20 });
  const record = async (open: readonly AlarmEvent[]) => void turns.push(open.length);
  await patient(record);
  expect(turns).toEqual([]);
  await setTimeout(30);
  await patient(record);
  expect([turns, ended]).toEqual([[0], 0]);
  const tryTurn = async () => {
    throw new Error("away");
  };
  await takeTurns({ ...options, database: { ...options.database, tryTurn } })(record);
  expect(turns).toEqual([0, 0]);
});

test("a flood of findings is bounded, and told", async () => {
  const lines: string[] = [];
  const { alarms, recorded } = make({ log: { ...quiet, error: (_, message) => lines.push(message) } });
  for (let seq = 0; seq < 10_000; seq++) alarms.raise({ ...TAMPERED, seq });
  await alarms.recordPending();
  expect([alarms.open.length, alarms.suppressed, recorded.length]).toEqual([100, 9_900, 100]);
  expect(lines.filter((line) => line.startsWith("too many"))).toHaveLength(1);
});

test("events: what is written is read; another shape is none of ours", () => {
  const raised = formatRaised({ id: "a", code: "c", seq: 0 });
  expect(parseAlarmEvent({ ...raised })).toEqual(raised);
  const acknowledged = formatAcknowledged({ id: "a", code: "c" }, "operator");
  expect(parseAlarmEvent({ ...acknowledged })).toEqual(acknowledged);
  for (const event of [
    { name: "recovery" },
    { name: "alarm-raised" },
    { ...raised, at: "5" },
    { ...raised, code: 5 },
    { ...raised, name: "x" },
  ])
    expect(parseAlarmEvent(event)).toBeUndefined();
  expect(
    openAlarms([formatRaised({ id: "a", code: "c" }), formatRaised({ id: "b", code: "c" }), acknowledged]),
  ).toEqual([formatRaised({ id: "b", code: "c" })]);
});
