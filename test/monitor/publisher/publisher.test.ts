// The publisher on a real PostgreSQL and real entries: what it publishes is the tree, whoever publishes and whatever
// breaks on the way; and what is no extension of the last checkpoint is never signed.

import { afterAll, beforeAll, expect, test } from "vitest";
import { createSigner, generateKey, type Signer } from "../../../src/keys/signer.ts";
import type { LedgerWriter } from "../../../src/storage/writer/writer.ts";
import {
  dropDatabase,
  makeDatabase,
  makeLedger,
  passOne,
  querySql,
  type TestDatabase,
  type TestLedger,
  until,
} from "../../storage/writerHarness.ts";
import { expectPublished, passMany, publish, treeOf } from "./publisherHarness.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await makeDatabase();
});
afterAll(() => dropDatabase(database));

/** Ends every publisher's session that holds its lock. */
async function killPublisher(ledger: TestLedger): Promise<number> {
  const rows = await querySql(
    database.urls.superuser,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'scimseal ${ledger.name} publisher'
      AND pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted)`,
  );
  return rows.length;
}

async function rotate(writer: LedgerWriter, next: Signer): Promise<void> {
  await writer.append({
    body: { type: "event", event: { name: "key-rotated", kid: next.kid, jwk: next.publicJwk } },
    attachments: [],
  });
}

test("entries become tiles and checkpoints while they are written, and the heartbeat goes on when none are", async () => {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  const one = await publish(ledger, { heartbeatMs: 200 });
  for (let i = 1; i <= 6; i++) {
    await passMany(writer, 60);
    await one.reaches(1 + 120 * i);
  }
  const grown = one.checkpoints.length;
  await until(() => one.checkpoints.length >= grown + 2, "two heartbeats");
  await one.publisher.stop();
  const all = await expectPublished(ledger, treeOf(ledger, database));
  const sizes = all.map(({ size }) => size);
  expect(sizes).toEqual(sizes.toSorted((a, b) => a - b));
  expect(sizes.slice(-3)).toEqual([721, 721, 721]);
  expect(new Set(sizes).size).toBeGreaterThanOrEqual(6);
  expect(one.checkpoints.map(({ id }) => id)).toEqual(all.map(({ id }) => id));
  expect(one.findings).toEqual([]);
  expect(one.publisher.status).toMatchObject({ state: "stopped", size: 721 });
});

test("without an entry nothing is signed; nothing new is signed before the heartbeat", async () => {
  const ledger = await makeLedger(database);
  const one = await publish(ledger);
  await until(() => one.publisher.status.state === "publishing", "publishing");
  expect(one.publisher.status.publishedAt).toBeUndefined();
  const writer = await ledger.writer();
  await passOne(writer);
  await one.reaches(3);
  const count = one.checkpoints.length;
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(one.checkpoints).toHaveLength(count);
});

test("one of three publishes; when its session is killed, another goes on, and all know every checkpoint's tree", async () => {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  const three = [await publish(ledger), await publish(ledger), await publish(ledger)];
  const isOne = () => three.filter(({ publisher }) => publisher.status.state === "publishing").length === 1;
  let size = 1;
  for (let round = 0; round < 4; round++) {
    await Promise.all([passMany(writer, 80), killPublisher(ledger)]);
    size += 160;
    for (const { reaches } of three) await reaches(size);
    await until(isOne, "exactly one publishes");
  }
  for (const { publisher } of three) await publisher.stop();
  expect(three.flatMap(({ findings }) => findings)).toEqual([]);
  const all = await expectPublished(ledger, treeOf(ledger, database));
  expect(all.at(-1)?.size).toBe(size);
});

test("a crash between the tiles and their checkpoint costs nothing", async () => {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  // The session ends in the middle of the insert, as often as it is tried.
  await ledger.sql(`CREATE FUNCTION ${ledger.schema}.crash() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$;
    CREATE TRIGGER crash BEFORE INSERT ON ${ledger.schema}.checkpoint FOR EACH ROW EXECUTE FUNCTION ${ledger.schema}.crash()`);
  await passMany(writer, 400);
  const one = await publish(ledger);
  const store = treeOf(ledger, database);
  await until(async () => (await store.storedTiles(0, 0, 9)).length === 3, "the tiles are stored");
  expect(await store.latestCheckpoint()).toBeUndefined();
  await ledger.sql(`DROP TRIGGER crash ON ${ledger.schema}.checkpoint`);
  await one.reaches(801);
  await passMany(writer, 20);
  await one.reaches(841);
  await one.publisher.stop();
  expect(one.findings).toEqual([]);
  await expectPublished(ledger, store);
});

test("a ledger that was long without a publisher is caught up in steps", async () => {
  const ledger = await makeLedger(database);
  await passMany(await ledger.writer(), 10);
  // From here on rows that only the tree looks at.
  await ledger.sql(
    `INSERT INTO ${ledger.schema}.entry SELECT i, 'x', sha256(int8send(i)), 'request', NULL, '00000000-0000-7000-8000-000000000000'
      FROM generate_series(21::bigint, 99999) AS i`,
  );
  const one = await publish(ledger);
  await one.reaches(100_000);
  expect(one.checkpoints.length).toBeGreaterThan(3);
  expect(one.findings).toEqual([]);
  const store = treeOf(ledger, database);
  expect(await store.storedTiles(0, 0, 1_000)).toHaveLength(390);
  expect(await store.storedTiles(1, 0, 1_000)).toHaveLength(1);
});

test("the key of a tree's newest entry signs its checkpoint, through a rotation and after a restart", async () => {
  const ledger = await makeLedger(database);
  const next = createSigner(generateKey());
  let current = ledger.signer;
  const one = await publish(ledger, { reloadSigner: async () => current });
  const writer = await ledger.writer({ reloadSigner: async () => current });
  await passOne(writer);
  await one.reaches(3);
  current = next;
  await rotate(writer, next);
  await one.reaches(4);
  await passOne(writer);
  await one.reaches(6);
  await one.publisher.stop();
  const again = await publish(ledger, { signer: next, reloadSigner: async () => next });
  await passOne(writer);
  await again.reaches(8);
  expect([...one.findings, ...again.findings]).toEqual([]);
  await expectPublished(ledger, treeOf(ledger, database));
});

test("an instance without the current key leaves publishing to one that has it", async () => {
  const ledger = await makeLedger(database);
  const next = createSigner(generateKey());
  const writer = await ledger.writer({ reloadSigner: async () => next });
  await rotate(writer, next);
  await passOne(writer);
  const old = await publish(ledger);
  await until(() => old.publisher.status.state === "wrong_key", "it sees that its key is old");
  expect(await treeOf(ledger, database).checkpoints(-1, 1)).toEqual([]);
  const holder = await publish(ledger, { signer: next, reloadSigner: async () => next });
  await holder.reaches(4);
  await old.reaches(4);
  expect([...old.findings, ...holder.findings]).toEqual([]);
  await expectPublished(ledger, treeOf(ledger, database));
});

/** A published ledger of 641 entries whose publisher has stopped. */
async function makePublished(): Promise<TestLedger> {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  const one = await publish(ledger);
  await passMany(writer, 20);
  await one.reaches(41);
  await passMany(writer, 300);
  await one.reaches(641);
  await one.publisher.stop();
  await writer.stop();
  return ledger;
}

test.each([
  ["the newest entries removed", "DELETE FROM entry WHERE seq > 600", { code: "entries_lost", seq: 601 }],
  ["an entry of the open tile removed", "DELETE FROM entry WHERE seq = 600", { code: "entry_missing" }],
  [
    "a leaf hash of the open tile changed",
    "UPDATE entry SET leaf_hash = sha256('x') WHERE seq = 600",
    { code: "checkpoint_mismatch", seq: 640 },
  ],
  [
    "a tile of the edge changed",
    "UPDATE tile SET hashes = set_byte(hashes, 5000, get_byte(hashes, 5000) # 1) WHERE index = 1",
    { code: "checkpoint_mismatch" },
  ],
  [
    "the newest checkpoint changed",
    "UPDATE checkpoint SET note = replace(note, E'\\n641\\n', E'\\n640\\n'), size = 640 WHERE size = 641",
    { code: "checkpoint_invalid" },
  ],
  [
    "a column of the newest checkpoint changed",
    "UPDATE checkpoint SET root = sha256('x') WHERE size = 641",
    { code: "checkpoint_invalid" },
  ],
  [
    "a checkpoint added that somebody signed",
    "INSERT INTO checkpoint (size, root, note) SELECT 640, root, note FROM checkpoint WHERE size = 41",
    { code: "checkpoint_order" },
  ],
])("%s: found before anything is signed", async (_name, statement, expected) => {
  const ledger = await makePublished();
  await ledger.tamper(`SET search_path = ${ledger.schema}; ${statement}`);
  const store = treeOf(ledger, database);
  const before = await store.checkpointsById(0, 1_000);
  const one = await publish(ledger);
  expect(await one.finds()).toMatchObject(expected);
  expect(one.publisher.status.state).not.toBe("publishing");
  await one.publisher.stop();
  expect(await store.checkpointsById(0, 1_000)).toEqual(before);
});

test("a tile that stands where a coming one belongs is found, and not overwritten", async () => {
  const ledger = await makePublished();
  await ledger.sql(
    `INSERT INTO ${ledger.schema}.tile (level, index, hashes) VALUES (0, 3, decode(repeat('07', 8192), 'hex'))`,
  );
  const writer = await ledger.writer();
  await passMany(writer, 200);
  const one = await publish(ledger);
  expect(await one.finds()).toMatchObject({ code: "tile_mismatch", seq: 768 });
  await one.publisher.stop();
  const [tile] = await treeOf(ledger, database).storedTiles(0, 3, 1);
  expect(tile?.bytes).toEqual(Buffer.alloc(8192, 7));
});

test("entries that vanish under a running publisher are found at once, and it signs nothing more", async () => {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  const one = await publish(ledger);
  await passMany(writer, 20);
  await one.reaches(41);
  await writer.stop();
  await ledger.tamper(`DELETE FROM ${ledger.schema}.entry WHERE seq > 35`);
  expect(await one.finds()).toMatchObject({ code: "entries_lost", seq: 36 });
  // Also when the checkpoints are set back with them, as in a restored backup: this process remembers.
  await ledger.tamper(`DELETE FROM ${ledger.schema}.checkpoint WHERE size > 35`);
  const before = await treeOf(ledger, database).checkpointsById(0, 100);
  one.findings.length = 0;
  expect(await one.finds()).toMatchObject({ code: "entries_lost", seq: 36 });
  const again = await ledger.writer();
  await passMany(again, 20);
  one.findings.length = 0;
  await until(
    () => one.findings.some(({ code }) => code === "checkpoint_mismatch"),
    "it knows the other tree",
  );
  await one.publisher.stop();
  expect(await treeOf(ledger, database).checkpointsById(0, 100)).toEqual(before);
});

test("a guard's finding forbids to sign until it is gone", async () => {
  const ledger = await makeLedger(database);
  await ledger.writer();
  let isForbidden = true;
  const one = await publish(ledger, {
    guard: async () => (isForbidden ? { code: "anchor_ahead", detail: "x" } : undefined),
  });
  expect(await one.finds()).toEqual({ code: "anchor_ahead", detail: "x" });
  expect(one.checkpoints).toEqual([]);
  isForbidden = false;
  await one.reaches(1);
});

test("it outlives a database that goes away, and a stop does not wait for its pauses", async () => {
  const ledger = await makeLedger(database);
  const one = await publish(ledger, {
    database: { connectionString: "postgresql://scimseal_writer@127.0.0.1:9/x", requireSync: [] },
    retryMs: 60_000,
  });
  await new Promise((resolve) => setTimeout(resolve, 100));
  const startedAt = performance.now();
  await one.publisher.stop();
  expect(performance.now() - startedAt).toBeLessThan(2_000);
  expect(one.findings).toEqual([]);
});

test("two instances write one ledger under load, each with its publisher: one gapless tree, no fork, nothing lost", async () => {
  const ledger = await makeLedger(database);
  const writers = [await ledger.writer(), await ledger.writer()];
  const publishers = [await publish(ledger), await publish(ledger)];
  for (let round = 0; round < 3; round++) {
    await Promise.all([
      ...writers.map((writer) => passMany(writer, 60)),
      ...(round === 1 ? [killPublisher(ledger)] : []),
    ]);
  }
  const size = 1 + 2 * 3 * 60 * writers.length;
  for (const { reaches } of publishers) await reaches(size);
  for (const { publisher } of publishers) await publisher.stop();
  expect(publishers.flatMap(({ findings }) => findings)).toEqual([]);
  const entries = await ledger.entries();
  expect(entries.map(({ claims }) => claims.seq)).toEqual(Array.from({ length: size }, (_, seq) => seq));
  expect(new Set(entries.map(({ claims }) => claims.instance)).size).toBe(2);
  expect((await ledger.verify()).findings).toEqual([]);
  const all = await expectPublished(ledger, treeOf(ledger, database));
  expect(all.at(-1)?.size).toBe(size);
});
