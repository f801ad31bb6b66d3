// Alarms of several instances and over restarts: one finding is one entry and one message, whoever finds it; and what
// was acknowledged of an anchor is known only as long as the ledger goes on from where it stood then.

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { fastVerify } from "../../src/keys/fastVerify.ts";
import { parseLeaf } from "../../src/ledger/leaf.ts";
import { type Alarm, Alarms } from "../../src/monitor/alarm/alarm.ts";
import { formatAcknowledged } from "../../src/monitor/alarm/alarmEvent.ts";
import { takeTurns } from "../../src/monitor/alarm/alarmTurn.ts";
import { dataDirAnchor } from "../../src/monitor/anchor/anchorFile.ts";
import { AnchorKeeper } from "../../src/monitor/anchor/anchorKeeper.ts";
import { AnchorMark } from "../../src/monitor/anchor/anchorMark.ts";
import { Monitor } from "../../src/monitor/monitor.ts";
import { Publisher } from "../../src/monitor/publisher/publisher.ts";
import { newUuid, nodeSha256 } from "../../src/nodeCrypto.ts";
import { LedgerWriter } from "../../src/storage/writer/writer.ts";
import { dropDatabase, makeDatabase, quiet, type TestDatabase, until } from "../storage/writerHarness.ts";
import { LEDGER, makeCopy, ORIGIN, passMany, publish, type TestCopy } from "./monitorHarness.ts";

let server: TestDatabase;
beforeAll(async () => {
  server = await makeDatabase();
});
afterAll(() => dropDatabase(server));

const FLIP =
  "leaf = overlay(leaf placing (CASE substr(leaf, 300, 1) WHEN 'A' THEN 'B' ELSE 'A' END) from 300)";

async function filled(transactions: number): Promise<TestCopy> {
  const copy = await makeCopy(server);
  await copy.write((writer) => passMany(writer, transactions));
  return copy;
}

async function makeDirectory(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "scimseal-alarms-"));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** An instance as far as alarms go: writer, monitor, anchor in its data directory, and what its webhooks were told. */
async function startInstance(
  copy: TestCopy,
  dataDir: string,
  { isMute = false, passPauseMs = 50 }: { isMute?: boolean; passPauseMs?: number } = {},
) {
  const writer = new LedgerWriter(copy.writerOptions());
  await writer.start();
  const opened = copy.open();
  const told: Alarm[] = [];
  const mark = new AnchorMark(join(dataDir, "anchor-mark.json"), opened.store);
  const alarms: Alarms = new Alarms({
    ledger: LEDGER,
    onTamper: "refuse",
    record: async (event) => {
      if (isMute) throw new Error("this instance cannot write");
      await writer.append({ body: { type: "event", event }, attachments: [] });
    },
    turn: takeTurns({
      database: opened.database,
      ledger: LEDGER,
      origin: ORIGIN,
      pinned: copy.keys.pinned,
      log: quiet,
    }),
    onRecorded: ({ code }) => {
      if (code.startsWith("anchor_")) void mark.told();
    },
    log: quiet,
    notify: (alarm) => told.push(alarm),
    uuid: newUuid,
    now: Date.now,
  });
  const keeper = new AnchorKeeper({
    anchors: [dataDirAnchor(dataDir, LEDGER)],
    tree: opened.store,
    keys: async () => [copy.keys.logKey],
    verify: fastVerify,
    digest: nodeSha256,
    now: Date.now,
    log: quiet,
    onFinding: (finding) => alarms.raise(finding),
    mark,
    onNews: () => alarms.forget(({ code }) => code.startsWith("anchor_")),
  });
  const monitor = new Monitor({
    ledger: LEDGER,
    origin: ORIGIN,
    pinned: copy.keys.pinned,
    ...opened,
    alarms,
    digest: nodeSha256,
    log: quiet,
    now: Date.now,
    positionFile: join(dataDir, "position.json"),
    entriesPerSecond: 100_000,
    checkAnchors: () => keeper.check(),
    keepReach: () => mark.follow(),
    maxCoreShare: 1,
    headEveryMs: 50,
    passPauseMs,
  });
  // In the order of a running instance.
  await monitor.start();
  await keeper.check();
  let isStopped = false;
  const stop = async () => {
    if (isStopped) return;
    isStopped = true;
    await monitor.stop();
    await keeper.settled();
    await mark.settled();
    await opened.close();
    await writer.stop();
  };
  onTestFinished(stop);
  return { writer, alarms, monitor, keeper, told, stop };
}

type Instance = Awaited<ReturnType<typeof startInstance>>;

/** The instance's publisher, which looks again soon after a finding. */
function startPublisher(copy: TestCopy, { alarms, keeper }: Instance): Publisher {
  const { signer, pinned } = copy.keys;
  const publisher = new Publisher({
    ledger: LEDGER,
    origin: ORIGIN,
    database: copy.writerOptions().database,
    signer,
    reloadSigner: async () => signer,
    pinned,
    verify: fastVerify,
    digest: nodeSha256,
    intervalMs: 20,
    heartbeatMs: 60_000,
    retryMs: 20,
    now: Date.now,
    log: quiet,
    guard: () => keeper.check(),
    onCheckpoint: (checkpoint) => keeper.keep(checkpoint),
    onFinding: (finding) => alarms.raise(finding),
  });
  onTestFinished(() => publisher.stop());
  void publisher.start();
  return publisher;
}

/** So many passes came to their end since. */
async function passes({ monitor }: Instance, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const { lastWhole } = monitor.status;
    await until(() => monitor.status.lastWhole !== lastWhole, "a pass", 10_000);
  }
}

/** The alarms that the ledger tells of, one a raising. */
async function raisedIn(copy: TestCopy): Promise<unknown[]> {
  const rows = await copy.query("SELECT leaf FROM entry WHERE type = 'event' ORDER BY seq");
  return rows.flatMap(({ leaf }) => {
    const parsed = parseLeaf(String(leaf));
    if (typeof parsed === "string" || parsed.claims.type !== "event") return [];
    const { event } = parsed.claims;
    return event.name === "alarm-raised" ? [event.alarm] : [];
  });
}

/** As `doctor --acknowledge` does it. */
async function acknowledge(copy: TestCopy, { alarms }: Instance): Promise<void> {
  await copy.write(async (writer) => {
    for (const alarm of alarms.open)
      await writer.append({
        body: { type: "event", event: formatAcknowledged(alarm, "operator") },
        attachments: [],
      });
  });
  await until(() => alarms.open.length === 0, "acknowledged");
}

const idsOf = ({ alarms }: Instance) => alarms.open.map(({ id }) => id);
const codesOf = ({ alarms }: Instance) => [...new Set(alarms.open.map(({ code }) => code))];

test("what several instances find is one alarm: one entry, one message, one acknowledgement", async () => {
  const copy = await filled(30);
  await publish(copy, []);
  const instances = [
    await startInstance(copy, await makeDirectory()),
    await startInstance(copy, await makeDirectory()),
    await startInstance(copy, await makeDirectory()),
  ];
  const [first] = instances;
  if (!first) throw new Error("no instance");
  await copy.tamper(`UPDATE entry SET ${FLIP} WHERE seq = 17`);
  for (const { alarms } of instances) await until(() => alarms.isBlocked() !== undefined, "an alarm", 10_000);
  await until(async () => (await raisedIn(copy)).length > 0, "its entry");
  // Each has gone through the whole ledger once more, and has had its turn.
  for (const { monitor, alarms } of instances) {
    const { lastWhole } = monitor.status;
    await until(() => monitor.status.lastWhole !== lastWhole, "another pass", 10_000);
    await alarms.recordPending();
  }
  const raised = await raisedIn(copy);
  expect(raised).toHaveLength(1);
  for (const instance of instances) await until(() => idsOf(instance)[0] === raised[0], "the same alarm");
  expect(instances.map(idsOf)).toEqual([raised, raised, raised]);
  expect(instances.flatMap(({ told }) => told.map(({ id }) => id))).toEqual(raised);
  await acknowledge(copy, first);
  for (const { alarms } of instances) await until(() => alarms.isBlocked() === undefined, "free");
});

test("an instance that cannot record tells its webhooks all the same, and gives way to the one that can", async () => {
  const copy = await filled(10);
  await publish(copy, []);
  const mute = await startInstance(copy, await makeDirectory(), { isMute: true });
  await copy.tamper(`UPDATE entry SET ${FLIP} WHERE seq = 7`);
  await until(() => mute.told.length > 0, "told", 10_000);
  expect(await raisedIn(copy)).toEqual([]);
  const other = await startInstance(copy, await makeDirectory());
  await until(async () => (await raisedIn(copy)).length > 0, "its entry", 10_000);
  const raised = await raisedIn(copy);
  await until(() => idsOf(mute)[0] === raised[0], "the same alarm");
  expect([idsOf(mute), idsOf(other)]).toEqual([raised, raised]);
  expect(mute.told).toHaveLength(1);
});

/** Takes away the newest entries, and every trace of them in the database. */
async function cut(copy: TestCopy, size: number): Promise<void> {
  await copy.tamper(
    ["attachment", "outcome", "entry"]
      .map((table) => `DELETE FROM ${table} WHERE seq >= ${size}`)
      .concat(`DELETE FROM checkpoint WHERE size > ${size}`)
      .join("; "),
  );
}

/** Has the anchor hold the newest checkpoint, as the publisher does. */
async function anchor(copy: TestCopy, { keeper }: Instance): Promise<number> {
  await publish(copy, []);
  const { store, close } = copy.open();
  const checkpoint = await store.latestCheckpoint();
  await close();
  if (!checkpoint) throw new Error("no checkpoint");
  keeper.keep(checkpoint);
  await keeper.settled();
  expect(keeper.size).toBe(checkpoint.size);
  return checkpoint.size;
}

/** A ledger of 40 transactions that was anchored, stopped, and cut off from entry 21 on. */
async function cutBelowAnchor(): Promise<{ copy: TestCopy; dataDir: string }> {
  const copy = await filled(40);
  const dataDir = await makeDirectory();
  const before = await startInstance(copy, dataDir);
  await anchor(copy, before);
  await before.stop();
  // So that the first pass of the next one is a whole one.
  await rm(join(dataDir, "position.json"), { force: true });
  await cut(copy, 21);
  return { copy, dataDir };
}

test("cut off again below the anchor after the first cut was acknowledged: an alarm again, and none without", async () => {
  const { copy, dataDir } = await cutBelowAnchor();

  const first = await startInstance(copy, dataDir);
  expect(codesOf(first)).toEqual(["anchor_ahead"]);
  await until(async () => (await raisedIn(copy)).length === 1, "its entry");
  await acknowledge(copy, first);
  await passMany(first.writer, 10);
  await first.stop();

  // What was acknowledged is known after a restart: the ledger goes on from where it stood.
  const same = await startInstance(copy, dataDir);
  await until(() => same.monitor.status.lastWhole !== undefined, "a pass", 10_000);
  expect(codesOf(same)).toEqual([]);
  await same.stop();

  // The acknowledgement is among what is left.
  const [left] = await copy.query("SELECT max(seq) AS seq FROM entry");
  await cut(copy, Number(left?.seq) - 3);
  const second = await startInstance(copy, dataDir);
  expect(codesOf(second)).toEqual(["anchor_ahead"]);
  await until(async () => (await raisedIn(copy)).length === 2, "an entry of its own");
  await acknowledge(copy, second);
  await second.stop();
  const third = await startInstance(copy, dataDir);
  await until(() => third.monitor.status.lastWhole !== undefined, "a pass", 10_000);
  expect(codesOf(third)).toEqual([]);
});

test("a cut that was acknowledged is no news when the ledger has grown past the anchor, after a restart too", async () => {
  const copy = await filled(40);
  const dataDir = await makeDirectory();
  const before = await startInstance(copy, dataDir);
  const anchored = await anchor(copy, before);
  await before.stop();
  await cut(copy, 21);
  const first = await startInstance(copy, dataDir);
  await until(async () => (await raisedIn(copy)).length === 1, "its entry");
  await acknowledge(copy, first);
  await passMany(first.writer, 40);
  expect(first.writer.size).toBeGreaterThan(anchored);
  for (let passes = 0; passes < 2; passes++) {
    const { lastWhole } = first.monitor.status;
    await until(() => first.monitor.status.lastWhole !== lastWhole, "a pass", 10_000);
  }
  expect(codesOf(first)).toEqual([]);
  await first.stop();
  const second = await startInstance(copy, dataDir);
  expect(codesOf(second)).toEqual([]);
  expect(await raisedIn(copy)).toHaveLength(1);
});

test("what was written since the last look at the anchors and cut off while it was stopped: an alarm again", async () => {
  const { copy, dataDir } = await cutBelowAnchor();
  // One pass, and with it the last look for a long time.
  const first = await startInstance(copy, dataDir, { passPauseMs: 600_000 });
  await until(async () => (await raisedIn(copy)).length === 1, "its entry");
  await until(() => first.monitor.status.lastWhole !== undefined, "a pass", 10_000);
  await acknowledge(copy, first);
  const [known] = await copy.query("SELECT max(seq) AS seq FROM entry");
  await passMany(first.writer, 10);
  const reach = () => readFile(join(dataDir, "anchor-mark.json"), "utf8").then((text) => JSON.parse(text));
  // Soon, for a crash; and at a stop what came last.
  await until(async () => (await reach()).size === first.writer.size, "its reach");
  await passMany(first.writer, 1);
  await first.stop();
  expect(await reach()).toMatchObject({ size: first.writer.size, isTold: true });

  await cut(copy, Number(known?.seq) + 1);
  const second = await startInstance(copy, dataDir);
  expect(codesOf(second)).toEqual(["anchor_ahead"]);
});

test("cut off again while it runs: an alarm about the anchor again", async () => {
  const { copy, dataDir } = await cutBelowAnchor();
  const first = await startInstance(copy, dataDir);
  await until(async () => (await raisedIn(copy)).length === 1, "its entry");
  await acknowledge(copy, first);
  await passMany(first.writer, 10);
  // The second of them began, and looked at the anchors, after everything was written.
  for (let passes = 0; passes < 2; passes++) {
    const { lastWhole } = first.monitor.status;
    await until(() => first.monitor.status.lastWhole !== lastWhole, "a pass", 10_000);
  }
  await cut(copy, first.writer.size - 4);
  await until(() => codesOf(first).includes("anchor_ahead"), "an alarm", 10_000);
});

test("entries cut off under checkpoints that stay: few alarms, and acknowledged they stay so, whatever is written then", async () => {
  const copy = await filled(40);
  await publish(copy, [30, 40, 50, 60, 70]);
  await copy.tamper("DELETE FROM entry WHERE seq >= 21; DELETE FROM attachment WHERE seq >= 21");
  await copy.tamper("DELETE FROM outcome WHERE seq >= 21");
  const dataDir = await makeDirectory();
  const first = await startInstance(copy, dataDir);
  const publisher = startPublisher(copy, first);
  await until(() => codesOf(first).length === 2, "what was cut off, by two ways");
  await passes(first, 3);
  expect(first.alarms.open.map(({ code }) => code).sort()).toEqual(["checkpoint_ahead", "entries_lost"]);
  await acknowledge(copy, first);

  // Up to the first of those checkpoints every write would be another place to have been cut off at.
  for (let i = 0; i < 2; i++) {
    await passMany(first.writer, 1);
    await passes(first, 3);
    expect(codesOf(first)).toEqual([]);
  }
  // Past some of them, then past all: other trees, which the first and the newest checkpoint say and no other.
  for (const count of [10, 40]) {
    await passMany(first.writer, count);
    await passes(first, 3);
    expect(codesOf(first).filter((code) => code !== "checkpoint_mismatch")).toEqual([]);
    if (first.alarms.open.length > 0) await acknowledge(copy, first);
    await passMany(first.writer, 1);
    await passes(first, 3);
    expect(codesOf(first)).toEqual([]);
  }
  expect((await raisedIn(copy)).length).toBeLessThanOrEqual(4);
  await publisher.stop();
  await first.stop();
  const second = await startInstance(copy, dataDir);
  startPublisher(copy, second);
  await passes(second, 3);
  expect(codesOf(second)).toEqual([]);
});

test("an acknowledgement of long ago says nothing about an anchor of today", async () => {
  const { copy, dataDir } = await cutBelowAnchor();
  const first = await startInstance(copy, dataDir);
  await until(async () => (await raisedIn(copy)).length === 1, "its entry");
  await acknowledge(copy, first);
  await first.stop();

  // A restore that was meant: the anchor is moved away, and the ledger goes on with a new one.
  await rm(join(dataDir, "anchors"), { recursive: true });
  const later = await startInstance(copy, dataDir);
  await passMany(later.writer, 20);
  const size = await anchor(copy, later);
  expect(codesOf(later)).toEqual([]);
  await later.stop();
  await cut(copy, size - 10);
  const now = await startInstance(copy, dataDir);
  expect(codesOf(now)).toContain("anchor_ahead");
});
