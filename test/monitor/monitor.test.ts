// The monitor on a living ledger: what is done to it becomes an alarm within seconds, survives a restart, and is
// acknowledged by an entry; the pass goes on where it stood, believes no position file, and knows key rotations.

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { formatPublicJwk } from "../../src/ledger/key.ts";
import { makeLogKey } from "../../src/ledger/note/verifierKey.ts";
import { hashLevels } from "../../src/ledger/tree/treeLevels.ts";
import { Alarms } from "../../src/monitor/alarm/alarm.ts";
import { type AlarmEvent, formatAcknowledged } from "../../src/monitor/alarm/alarmEvent.ts";
import { Monitor } from "../../src/monitor/monitor.ts";
import { readHistory } from "../../src/monitor/monitorEvents.ts";
import { readPosition, writePosition } from "../../src/monitor/monitorPosition.ts";
import { newUuid, nodeSha256 } from "../../src/nodeCrypto.ts";
import { LedgerWriter } from "../../src/storage/writer/writer.ts";
import {
  dropDatabase,
  fateOf,
  intentDraft,
  makeDatabase,
  outcomeDraft,
  quiet,
  type TestDatabase,
  until,
} from "../storage/writerHarness.ts";
import {
  beginPass,
  checkpointSql,
  followerOf,
  LEDGER,
  makeCopy,
  makeKeys,
  named,
  ORIGIN,
  passMany,
  publish,
  runPass,
  type TestCopy,
} from "./monitorHarness.ts";

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

/** A writer that lives as long as the test, a monitor beside it, and the alarms between them. */
async function watched(
  copy: TestCopy,
  more: { entriesPerSecond?: number; warned?: string[]; dir?: string } = {},
) {
  const dir = more.dir ?? (await mkdtemp(join(tmpdir(), "scimseal-monitor-")));
  const writer = new LedgerWriter(copy.writerOptions());
  await writer.start();
  const opened = copy.open();
  const recorded: AlarmEvent[] = [];
  const alarms = new Alarms({
    ledger: LEDGER,
    onTamper: "refuse",
    record: async (event) => {
      await writer.append({ body: { type: "event", event }, attachments: [] });
      recorded.push(event);
    },
    log: quiet,
    uuid: newUuid,
    now: Date.now,
  });
  const positionFile = join(dir, "position.json");
  const monitor = new Monitor({
    ledger: LEDGER,
    origin: ORIGIN,
    pinned: copy.keys.pinned,
    ...opened,
    alarms,
    digest: nodeSha256,
    log: { info() {}, warn: (_, message) => more.warned?.push(message) },
    now: Date.now,
    positionFile,
    entriesPerSecond: more.entriesPerSecond ?? 100_000,
    maxCoreShare: 1,
    headEveryMs: 50,
    passPauseMs: 50,
  });
  await monitor.start();
  let isStopped = false;
  const stop = async () => {
    if (isStopped) return;
    isStopped = true;
    await monitor.stop();
    await opened.close();
    await writer.stop();
  };
  onTestFinished(async () => {
    await stop();
    await rm(dir, { recursive: true, force: true });
  });
  return { writer, alarms, monitor, recorded, positionFile, dir, stop };
}

test("an old entry is edited: alarm within 5 s, recorded, blocked until acknowledged by an entry, known after a restart", async () => {
  const copy = await filled(60);
  await publish(copy, [50]);
  const first = await watched(copy);
  await until(() => first.monitor.status.lastWhole !== undefined, "a whole pass");
  expect(first.alarms.open).toEqual([]);
  await copy.tamper(`UPDATE entry SET ${FLIP} WHERE seq = 17`);
  await until(() => first.alarms.isBlocked() !== undefined, "an alarm", 5_000);
  expect(first.alarms.open.map(named)).toEqual([expect.stringMatching(/^17 (signature_invalid|malformed)$/)]);
  await until(() => first.recorded.length > 0, "its entry");
  await first.stop();

  const second = await watched(copy);
  expect(second.alarms.isBlocked()).toMatchObject({ seq: 17, id: first.alarms.open[0]?.id });
  // As `doctor --acknowledge` does it: by a writer of its own, which the monitor learns of from the ledger.
  const [alarm] = second.alarms.open;
  if (!alarm) throw new Error("no alarm is open");
  await copy.write((writer) =>
    writer.append({ body: { type: "event", event: formatAcknowledged(alarm, "operator") }, attachments: [] }),
  );
  await until(() => second.alarms.isBlocked() === undefined, "not blocked any more");
  const { lastWhole } = second.monitor.status;
  await until(() => second.monitor.status.lastWhole !== lastWhole, "another pass that finds the same");
  expect([second.alarms.open, second.recorded]).toEqual([[], []]);
  // Something else is news all the same.
  await copy.tamper("DELETE FROM attachment WHERE seq = (SELECT min(seq) FROM attachment WHERE seq > 30)");
  await until(() => second.alarms.isBlocked() !== undefined, "a new alarm", 5_000);
});

test("new entries are verified as they come, and an acknowledgement that nobody signed counts for nothing", async () => {
  const copy = await filled(5);
  const { writer, monitor, alarms } = await watched(copy, { entriesPerSecond: 1 });
  await passMany(writer, 20);
  await until(() => monitor.status.verified === writer.size, "all verified", 5_000);
  const { seq } = await writer.append(intentDraft());
  await copy.tamper(
    `UPDATE attachment SET content = content WHERE seq = ${seq}; UPDATE entry SET ${FLIP} WHERE seq = ${seq}`,
  );
  await until(() => alarms.isBlocked() !== undefined, "an alarm", 5_000);
  const [alarm] = alarms.open;
  if (!alarm) throw new Error("no alarm is open");
  const payload = Buffer.from(JSON.stringify({ event: formatAcknowledged(alarm, "operator") })).toString(
    "base64url",
  );
  await copy.tamper(
    `INSERT INTO entry SELECT (SELECT max(seq) + 1 FROM entry), split_part(leaf, '.', 1) || '.${payload}.' || split_part(leaf, '.', 3), leaf_hash, 'event', NULL, instance FROM entry WHERE seq = 0`,
  );
  await until(() => alarms.open.length > 1, "the forged entry found", 5_000);
  expect(alarms.open.map(({ id }) => id)).toContain(alarm.id);
});

test("connections that break do not end it; it says so once, and goes on", async () => {
  const copy = await filled(5);
  const warned: string[] = [];
  const { monitor, writer } = await watched(copy, { warned });
  await until(() => monitor.status.lastWhole !== undefined, "a pass");
  await copy.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
  );
  const { lastWhole } = monitor.status;
  await until(async () => (await fateOf(writer.append(intentDraft()))) === "recorded", "the writer is back");
  await until(() => monitor.status.verified === writer.size, "verified again", 10_000);
  await until(() => monitor.status.lastWhole !== lastWhole, "passes again", 10_000);
  expect(warned.length).toBeLessThanOrEqual(3);
});

test("the pass keeps to its pace", async () => {
  const copy = await filled(50);
  const startedAt = performance.now();
  const { monitor } = await watched(copy, { entriesPerSecond: 100 });
  await until(() => monitor.status.lastWhole !== undefined, "a pass", 5_000);
  // 102 entries, the last page of up to 64 without a rest behind it.
  expect(performance.now() - startedAt).toBeGreaterThan(300);
});

test("a stop keeps the place, and the next pass goes on from there", async () => {
  const copy = await filled(100);
  await publish(copy, [40]);
  const { monitor, stop, positionFile } = await watched(copy, { entriesPerSecond: 20 });
  await until(() => (monitor.status.pass?.next ?? 0) > 0, "a step");
  await stop();
  const position = await readPosition(positionFile);
  expect(position).toMatchObject({ next: 16 });
  const opened = copy.open();
  const pass = await beginPass(copy, opened, position);
  expect([pass.isWhole, pass.next]).toEqual([false, 16]);
  expect(await runPass(pass)).toEqual([]);
  await opened.close();
});

test("after a pass that went on where another stood, the next one is whole: what lies before is not left out", async () => {
  const copy = await filled(100);
  await publish(copy, [40]);
  const first = await watched(copy, { entriesPerSecond: 20 });
  await until(() => (first.monitor.status.pass?.next ?? 0) > 0, "a step");
  await first.stop();
  // None that the place stands on: the pass does go on from there.
  await copy.tamper(`UPDATE entry SET ${FLIP} WHERE seq = 0`);
  const dir = await mkdtemp(join(tmpdir(), "scimseal-monitor-"));
  await writeFile(join(dir, "position.json"), await readFile(first.positionFile));
  const second = await watched(copy, { dir });
  await until(() => second.monitor.status.lastWhole !== undefined, "a whole pass", 5_000);
  expect(second.alarms.open.map(named)).toEqual([expect.stringMatching(/^0 (signature_invalid|malformed)$/)]);
});

test("from every place a resumed pass finds what comes after it", async () => {
  const copy = await filled(100);
  await publish(copy, [40, 150]);
  const opened = copy.open();
  const pass = await beginPass(copy, opened);
  const places = [];
  for (let isDone = false; !isDone; ) {
    ({ isDone } = await pass.step());
    places.push(pass.position);
  }
  await copy.tamper(`UPDATE entry SET ${FLIP} WHERE seq = 195`);
  expect(places.length).toBeGreaterThan(3);
  for (const place of places.slice(0, -1)) {
    const resumed = await beginPass(copy, opened, place);
    expect([resumed.isWhole, resumed.next]).toEqual([false, place?.next]);
    expect(await runPass(resumed)).toEqual([expect.stringMatching(/^195 (signature_invalid|malformed)$/)]);
  }
  await opened.close();
});

test("a position that does not fit the ledger is not believed: the pass begins at the first entry", async () => {
  const copy = await filled(50);
  const opened = copy.open();
  const pass = await beginPass(copy, opened);
  await pass.step();
  await pass.step();
  const { position } = pass;
  if (!position) throw new Error("there is no position");
  const wrongs = [
    { ...position, root: new Uint8Array(32) },
    { ...position, next: position.next + 1 },
    { ...position, next: 10_000 },
    { ...position, open: [] },
    { ...position, open: [...position.open, 0] },
  ];
  for (const wrong of wrongs)
    expect(await beginPass(copy, opened, wrong)).toMatchObject({ isWhole: true, next: 0 });
  await copy.tamper(`UPDATE entry SET ${FLIP} WHERE seq = ${position.next - 1}`);
  expect(await beginPass(copy, opened, position)).toMatchObject({ isWhole: true, next: 0 });
  await opened.close();
});

test("the position file: written and read, and anything else is none", async () => {
  const dir = await mkdtemp(join(tmpdir(), "scimseal-position-"));
  onTestFinished(() => rm(dir, { recursive: true }));
  const file = join(dir, "p.json");
  expect(await readPosition(file)).toBeUndefined();
  const position = {
    next: 5,
    root: new Uint8Array(32).fill(3),
    rotations: [2],
    open: [1, 4],
    checkpointId: -1,
  };
  await writePosition(file, position);
  expect(await readPosition(file)).toEqual(position);
  const text = await readFile(file, "utf8");
  for (const wrong of [
    "",
    "[]",
    "null",
    text.replace('"next":5', '"next":-5'),
    text.replace("[2]", '["2"]'),
    text.replace("AwMD", "Aw"),
  ]) {
    await writeFile(file, wrong);
    expect(await readPosition(file), wrong).toBeUndefined();
  }
});

test("a rotated key: entries, checkpoints and places after it", async () => {
  const copy = await filled(30);
  await publish(copy, [40]);
  const next = makeKeys();
  const [nextKey] = next.pinned;
  if (!nextKey) throw new Error("no key");
  await copy.write((writer) =>
    writer.append({
      body: {
        type: "event",
        event: { name: "key-rotated", kid: nextKey.kid, jwk: formatPublicJwk(nextKey.bytes) },
      },
      attachments: [],
    }),
  );
  const signedByNext = { signer: next.signer, reloadSigner: async () => next.signer };
  await copy.write((writer) => passMany(writer, 30), signedByNext);
  const end = await publish(copy, [90], next);

  const opened = copy.open();
  const history = await readHistory((after, limit) => opened.database.events(after, limit), {
    origin: ORIGIN,
    pinned: copy.keys.pinned,
  });
  expect(history.keys.map(({ kid }) => kid)).toEqual([copy.keys.signer.kid, next.signer.kid]);
  const logKeys = history.keys.map(({ bytes }) => makeLogKey(ORIGIN, bytes));
  const pass = await beginPass(copy, opened, undefined, logKeys);
  const places = [];
  for (let isDone = false; !isDone; ) {
    const step = await pass.step();
    ({ isDone } = step);
    expect(step.findings).toEqual([]);
    places.push(pass.position);
  }
  const resumed = await beginPass(copy, opened, places.at(-2), logKeys);
  expect(resumed.isWhole).toBe(false);
  expect(await runPass(resumed)).toEqual([]);
  const follower = followerOf(copy, opened, { logKeys: () => logKeys, rotations: () => history.rotations });
  expect(await follower.look()).toEqual([]);
  expect(follower.verified).toBe(end);
  // Who does not know of the rotation believes neither checkpoint nor entry of the new key.
  const [unaware] = await followerOf(copy, opened).look();
  expect(unaware).toMatchObject({ code: expect.stringMatching(/key_not_trusted|checkpoint_invalid/) });
  await opened.close();
});

test("every new checkpoint is compared with the entries that the follower read, in whatever order it was signed", async () => {
  const copy = await filled(20);
  await publish(copy, []);
  const opened = copy.open();
  const follower = followerOf(copy, opened);
  expect(await follower.look()).toEqual([]);
  await copy.write((writer) => passMany(writer, 300));
  // Entries first, checkpoints later: what is not covered yet waits.
  expect(await follower.look()).toEqual([]);
  const end = await publish(copy, [42, 100, 400]);
  expect(follower.verified).toBe(end);
  expect(await follower.look()).toEqual([]);
  const { root } = hashLevels(await opened.store.leafHashes(0, 300), nodeSha256);
  await copy.query(checkpointSql(300, root, copy.keys));
  expect(await follower.look()).toEqual([]);
  await copy.query(checkpointSql(300, root, makeKeys()));
  expect((await follower.look()).map(named)).toEqual(["299 checkpoint_invalid"]);
  await copy.query(checkpointSql(301, root, copy.keys));
  expect((await follower.look()).map(named)).toEqual(["300 checkpoint_mismatch"]);
  expect((await runPass(await beginPass(copy, opened))).sort()).toEqual([
    "299 checkpoint_invalid",
    "300 checkpoint_mismatch",
  ]);
  await opened.close();
});

test("a look that is told to end does so within 50 entries, and the next one goes on from there", async () => {
  const copy = await filled(20);
  await publish(copy, []);
  const opened = copy.open();
  let isGoing = false;
  const follower = followerOf(copy, opened, { breathe: async () => isGoing });
  expect(await follower.look()).toEqual([]);
  const before = follower.verified;
  await copy.write((writer) => passMany(writer, 200));
  const end = await publish(copy, []);
  expect(await follower.look()).toEqual([]);
  expect(follower.verified).toBe(before + 50);
  isGoing = true;
  expect(await follower.look()).toEqual([]);
  expect(follower.verified).toBe(end);
  await opened.close();
});

test("a follower that stands before new entries finds the checkpoint that signs others", async () => {
  const copy = await filled(20);
  await publish(copy, []);
  const opened = copy.open();
  const follower = followerOf(copy, opened);
  await follower.look();
  await copy.write((writer) => passMany(writer, 5));
  await copy.query(checkpointSql(45, nodeSha256(Buffer.from("another")), copy.keys));
  expect((await follower.look()).map(named)).toEqual(["44 checkpoint_mismatch"]);
  await copy.query(checkpointSql(500, nodeSha256(Buffer.from("more")), copy.keys));
  expect(await follower.look()).toEqual([]);
  expect((await follower.look()).map(named)).toEqual(["51 checkpoint_ahead"]);
  expect(await follower.look()).toEqual([]);
  await opened.close();
});

test("a follower that begins in the middle: outcomes of earlier requests are in order, of none are not", async () => {
  const copy = await makeCopy(server);
  const early = await copy.write((writer) => writer.append(intentDraft()));
  await publish(copy, []);
  const opened = copy.open();
  const follower = followerOf(copy, opened);
  expect(await follower.look()).toEqual([]);
  const begun = follower.verified;
  await copy.write(async (writer) => {
    await writer.append(outcomeDraft(early));
    const never = { ...outcomeDraft(early), body: { ...outcomeDraft(early).body, txn: newUuid() } };
    await writer.append(never);
  });
  expect(begun).toBeGreaterThan(early.seq);
  const later = followerOf(copy, opened);
  expect((await later.look()).map(named)).toEqual([`${begun + 1} outcome_orphan`]);
  await opened.close();
});

test("a clock that was set back between two entries is found, and blocks nothing", async () => {
  const copy = await filled(2);
  await copy.write((writer) => passMany(writer, 1), { now: () => Date.now() - 3_600_000 });
  const { alarms } = await watched(copy);
  await until(() => alarms.open.length > 0, "an alarm");
  expect(alarms.open[0]?.code).toBe("clock_anomaly");
  expect(alarms.isBlocked()).toBeUndefined();
});

test("a database that is not durable any more is an alarm until it is", async () => {
  const copy = await filled(2);
  const { database, close } = copy.open();
  expect((await database.inspect(Date.now)).weakness).toBeUndefined();
  await copy.query(`ALTER DATABASE ${copy.name} SET synchronous_commit = off`);
  await database.close();
  expect((await database.inspect(Date.now)).weakness).toContain("synchronous_commit");
  expect(Math.abs((await database.inspect(() => Date.now() - 60_000)).clockOffsetMs)).toBeGreaterThan(50_000);
  await close();
});
