// The publisher's session on a real PostgreSQL: one lock, tiles that are never overwritten, checkpoints that only go
// behind the one they were made after, and a commit that counts only when it is proved.

import { afterAll, beforeAll, expect, test } from "vitest";
import { TILE_BYTES, TILE_WIDTH } from "../../../src/ledger/tree/tile.ts";
import { CheckpointUnprovedError, TreeWriter } from "../../../src/storage/tree/treeWriter.ts";
import {
  dropDatabase,
  makeDatabase,
  makeLedger,
  passOne,
  querySql,
  type TestDatabase,
  type TestLedger,
  until,
} from "../writerHarness.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await makeDatabase();
});
afterAll(() => dropDatabase(database));

const open = (ledger: TestLedger) =>
  TreeWriter.open({ ledger: ledger.name, origin: ledger.origin, database: ledger.address, timeoutMs: 5_000 });
const tileOf = (index: number, fill = index) => ({
  tile: { level: 0, index, width: TILE_WIDTH },
  bytes: new Uint8Array(TILE_BYTES).fill(fill),
});
const checkpoint = (size: number) => ({ size, root: new Uint8Array(32).fill(size), note: `of ${size}` });

test("one session has the lock; it is free when that session ends, however it ends", async () => {
  const ledger = await makeLedger(database);
  const first = await open(ledger);
  const second = await open(ledger);
  expect(await first.tryLock()).toBe(true);
  expect(await second.tryLock()).toBe(false);
  await first.close();
  await until(() => second.tryLock(), "the lock is free");
  const third = await open(ledger);
  expect(await third.tryLock()).toBe(false);
  await querySql(
    database.urls.superuser,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'scimseal ${ledger.name} publisher'
      AND pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')`,
  );
  await until(() => third.tryLock(), "the lock is free");
  // Whoever lost the lock can store nothing any more.
  await expect(second.storeCheckpoint(checkpoint(1), 0)).rejects.toThrow();
  await second.close();
  await third.close();
  expect(await querySql(database.urls.reader, `SELECT FROM ${ledger.schema}.checkpoint`)).toEqual([]);
});

test("locks of two ledgers do not meet", async () => {
  const writers = await Promise.all(
    [makeLedger(database), makeLedger(database)].map(async (made) => open(await made)),
  );
  for (const writer of writers) expect(await writer.tryLock()).toBe(true);
  for (const writer of writers) await writer.close();
});

test("a tile is written once: the same again is welcome, another at its place is reported and changes nothing", async () => {
  const ledger = await makeLedger(database);
  const writer = await open(ledger);
  const many = Array.from({ length: 150 }, (_, index) => tileOf(index));
  expect(await writer.storeTiles(many)).toEqual([]);
  expect(await writer.storeTiles([...many, tileOf(150)])).toEqual([]);
  expect(await writer.storeTiles([tileOf(149), tileOf(70, 9), tileOf(151)])).toEqual([tileOf(70).tile]);
  expect(await writer.storeTiles([])).toEqual([]);
  const rows = await querySql(
    database.urls.reader,
    `SELECT index, hashes FROM ${ledger.schema}.tile ORDER BY index`,
  );
  expect(rows.map(({ index }) => Number(index))).toEqual(Array.from({ length: 152 }, (_, i) => i));
  expect(rows[70]?.hashes).toEqual(Buffer.alloc(TILE_BYTES, 70));
  await writer.close();
});

test("a checkpoint goes behind the one it was made after, and not behind another", async () => {
  const ledger = await makeLedger(database);
  const writer = await open(ledger);
  expect(await writer.latestCheckpoint()).toBeUndefined();
  const first = await writer.storeCheckpoint(checkpoint(3), 0);
  expect(first).toMatchObject({ size: 3, note: "of 3" });
  await expect(writer.storeCheckpoint(checkpoint(4), 0)).rejects.toThrow(CheckpointUnprovedError);
  const second = await writer.storeCheckpoint(checkpoint(4), first.id);
  expect(await writer.latestCheckpoint()).toEqual({ checkpoint: second, newestId: second.id });
  // Somebody else's, of a smaller tree.
  await ledger.sql(
    `INSERT INTO ${ledger.schema}.checkpoint (size, root, note) VALUES (1, decode(repeat('00', 32), 'hex'), 'x')`,
  );
  expect(await writer.latestCheckpoint()).toMatchObject({ checkpoint: { size: 4 }, newestId: second.id + 1 });
  await writer.close();
});

test("a commit that the database warns about is not proved", async () => {
  const ledger = await makeLedger(database);
  // What a cancelled wait for a synchronous standby looks like from here: a WARNING, and success.
  await ledger.sql(`CREATE FUNCTION ${ledger.schema}.warn() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE WARNING 'canceling wait for synchronous replication'; RETURN NULL; END $$;
    CREATE TRIGGER warn AFTER INSERT ON ${ledger.schema}.checkpoint FOR EACH STATEMENT EXECUTE FUNCTION ${ledger.schema}.warn()`);
  const writer = await open(ledger);
  await expect(writer.storeCheckpoint(checkpoint(3), 0)).rejects.toThrow("may not be replicated");
  await writer.close();
});

test("leaf hashes come without a gap, and the first missing place is named", async () => {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  await Promise.all(Array.from({ length: 20 }, () => passOne(writer)));
  const session = await open(ledger);
  const all = await session.readLeaves(0, 1_000);
  expect(all).toMatchObject({ size: 41, gapAt: undefined });
  expect(all.hashes).toHaveLength(41 * 32);
  const some = await session.readLeaves(10, 5);
  expect(Buffer.from(some.hashes)).toEqual(Buffer.from(all.hashes.subarray(320, 480)));
  expect(some.size).toBe(41);
  expect((await session.readLeaves(41, 5)).hashes).toHaveLength(0);
  await ledger.tamper(`DELETE FROM ${ledger.schema}.entry WHERE seq IN (17, 30)`);
  expect(await session.readLeaves(0, 1_000)).toMatchObject({ gapAt: 17 });
  expect(await session.readLeaves(18, 12)).toMatchObject({ gapAt: undefined });
  await session.close();
});

test("a session is refused to the wrong origin and to a database that loses commits", async () => {
  const ledger = await makeLedger(database);
  await expect(open({ ...ledger, origin: "other.example/x" })).rejects.toThrow("origin never changes");
  const weak = `${database.urls.writer}${database.urls.writer.includes("?") ? "&" : "?"}options=-c%20synchronous_commit%3Doff`;
  await expect(open({ ...ledger, address: { connectionString: weak, requireSync: [] } })).rejects.toThrow(
    "synchronous_commit is off",
  );
});
