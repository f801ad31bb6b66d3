// Tables, sessions and pages on a real PostgreSQL: migration, what a start refuses, deadlines, and reading.

import { afterAll, beforeAll, expect, test } from "vitest";
import { commitTo } from "../../src/ledger/hash.ts";
import { newUuid } from "../../src/nodeCrypto.ts";
import { INDEX_TABLES } from "../../src/storage/index/indexSchema.ts";
import {
  connect,
  DeadlineError,
  destroy,
  endWithin,
  provesNoEffect,
  queryWithin,
  roleOf,
} from "../../src/storage/postgres.ts";
import { LedgerReader } from "../../src/storage/reader.ts";
import {
  checkSchema,
  migrate,
  PARTITION_ENTRIES,
  SCHEMA_VERSION,
  schemaOf,
} from "../../src/storage/schema.ts";
import { insertBatch, signEntry } from "../../src/storage/writer/batch.ts";
import { EMPTY_HEAD } from "../../src/storage/writer/session.ts";
import { LedgerWriter } from "../../src/storage/writer/writer.ts";
import { storeAsBefore } from "./rowsOfBefore.ts";
import {
  dropDatabase,
  expectSound,
  intentDraft,
  makeDatabase,
  makeLedger,
  outcomeDraft,
  passOne,
  querySql,
  type TestDatabase,
  type TestLedger,
  until,
} from "./writerHarness.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await makeDatabase();
});
afterAll(() => dropDatabase(database));

const ROLES = { writer: "scimseal_writer", reader: "scimseal_reader" };
const as = (role: keyof TestDatabase["urls"]) =>
  connect({ connectionString: database.urls[role], requireSync: [] }, "test", 5_000);

async function upgrade({ name, origin }: Pick<TestLedger, "name" | "origin">): Promise<void> {
  const owner = await as("owner");
  await migrate(owner, name, origin, ROLES);
  await owner.end();
}

test.for([`x'; DROP TABLE x; --`, 'x"y', "X", "", "x".repeat(57)])("no schema is named after %j", (name) => {
  expect(() => schemaOf(name)).toThrow("at most 56 characters");
});

test("five instances that migrate at once make one set of tables, under the longest name too", async () => {
  const name = `${"x-".repeat(27)}xx`;
  await Promise.all(Array.from({ length: 5 }, () => upgrade({ name, origin: "o/1" })));
  const writer = await as("writer");
  await checkSchema(writer, name, "o/1");
  await expect(checkSchema(writer, name, "o/2")).rejects.toThrow("a ledger's origin never changes");
  await expect(checkSchema(writer, "never-made", "o/1")).rejects.toThrow("not there; set database.ownerUrl");
  await writer.end();
});

test("tables that a newer version made are neither used nor migrated", async () => {
  const ledger = await makeLedger(database);
  await ledger.sql(
    `INSERT INTO ${ledger.schema}.ledger (version, origin) VALUES (${SCHEMA_VERSION + 1}, 'x')`,
  );
  await expect(new LedgerWriter(ledger.options()).start()).rejects.toThrow("run the newer scimseal");
  const owner = await as("owner");
  await expect(migrate(owner, ledger.name, ledger.origin, ROLES)).rejects.toThrow("run the newer scimseal");
  await owner.end();
});

test("a ledger of version 4 gets the index's columns, and goes on", async () => {
  const ledger = await makeLedger(database);
  const before = await ledger.writer();
  await passOne(before);
  await before.stop();
  const columns = () =>
    querySql(
      database.urls.superuser,
      `SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns
       WHERE table_schema = 'ledger_${ledger.name}' AND table_name IN ('txn', 'account') ORDER BY 1, 2`,
    );
  const made = await columns();
  await ledger.tamper(
    `ALTER TABLE ${ledger.schema}.account DROP COLUMN is_met;
     ALTER TABLE ${ledger.schema}.txn DROP COLUMN operations_refused, DROP COLUMN operations_unknown, DROP COLUMN effects_undone;
     DELETE FROM ${ledger.schema}.ledger WHERE version > 4`,
  );
  expect(await columns()).not.toEqual(made);
  await expect(new LedgerWriter(ledger.options()).start()).rejects.toThrow("at version 4");
  await upgrade(ledger);
  expect(await columns()).toEqual(made);
  await passOne(await ledger.writer());
  await expectSound(ledger);
});

test("a ledger of version 5 keeps what was sealed under a key with a row of its own, and whose it is", async () => {
  const ledger = await makeLedger(database);
  const before = await ledger.writer();
  await passOne(before);
  await before.stop();
  const entries = await ledger.entries();
  await storeAsBefore(ledger, 5);
  const { schema } = ledger;
  await ledger.tamper(
    `INSERT INTO ${schema}.data_key_account SELECT decode(repeat('0a', 16), 'hex'), id FROM ${schema}.data_key LIMIT 1;
     ALTER TABLE ${schema}.data_key_account ALTER COLUMN account SET STORAGE EXTENDED, ALTER COLUMN key SET STORAGE EXTENDED;
     DELETE FROM ${schema}.ledger WHERE version > 5`,
  );
  await expect(new LedgerWriter(ledger.options()).start()).rejects.toThrow("at version 5");
  await upgrade(ledger);
  expect(await ledger.entries()).toEqual(entries);
  const writer = await ledger.writer();
  const subject = { resourceType: "User", resourceId: "7" };
  await writer.append(outcomeDraft(await writer.append({ ...intentDraft(newUuid()), subject })));
  await expectSound(ledger);
  // Rows of both times stand beside each other, and tell which they are.
  const rows = await querySql(
    database.urls.reader,
    `SELECT octet_length(key) AS size FROM ${schema}.data_key_account ORDER BY 1`,
  );
  expect(rows).toEqual([{ size: 32 }, { size: 33 }]);
});

test("a ledger of version 1 keeps its entries, gets the tree's tables, and goes on", async () => {
  const ledger = await makeLedger(database);
  const before = await ledger.writer();
  await passOne(before);
  await before.stop();
  const entries = await ledger.entries();
  // Later versions only added tables, and seal attachments: in clear and without the tables it is as version 1 left it.
  await storeAsBefore(ledger, 2);
  const tables = ["tile", "checkpoint", "data_key", "data_key_account", ...INDEX_TABLES];
  await ledger.tamper(
    `ALTER TABLE ${ledger.schema}.attachment ALTER COLUMN salt SET NOT NULL;
     DROP TABLE ${tables.map((table) => `${ledger.schema}.${table}`).join(", ")};
     DELETE FROM ${ledger.schema}.ledger WHERE version > 1`,
  );
  await expect(new LedgerWriter(ledger.options()).start()).rejects.toThrow(
    "at version 1; set database.ownerUrl once, so that scimseal can upgrade them",
  );
  await Promise.all(Array.from({ length: 2 }, () => upgrade(ledger)));
  const versions = await querySql(
    database.urls.reader,
    `SELECT version, origin FROM ${ledger.schema}.ledger ORDER BY version`,
  );
  expect(versions).toEqual([
    { version: 1, origin: ledger.origin },
    { version: 2, origin: ledger.origin },
    { version: 3, origin: ledger.origin },
    { version: 4, origin: ledger.origin },
    { version: 5, origin: ledger.origin },
    { version: 6, origin: ledger.origin },
  ]);
  const sorted = (all: typeof entries) =>
    all.map(({ claims, row }) => ({
      claims,
      row: { ...row, attachments: row.attachments?.toSorted((a, b) => a.name.localeCompare(b.name)) },
    }));
  expect(sorted(await ledger.entries())).toEqual(sorted(entries));
  await passOne(await ledger.writer());
  await expectSound(ledger);
});

test.for(["tile", "checkpoint", "data_key", "data_key_account"])(
  "table %s takes inserts of the writer and nothing else",
  async (table) => {
    const ledger = await makeLedger(database);
    const place = `${ledger.schema}.${table}`;
    const insert = {
      tile: `INSERT INTO ${place} (level, index, hashes) VALUES (0, 0, decode(repeat('00', 8192), 'hex'))`,
      checkpoint: `INSERT INTO ${place} (size, root, note) VALUES (1, decode(repeat('00', 32), 'hex'), 'n')`,
      data_key: `INSERT INTO ${place} (id, wrapped) VALUES (decode(repeat('00', 32), 'hex'), 'w')`,
      data_key_account: `INSERT INTO ${place} (account, key) VALUES ('a', 'k')`,
    }[table];
    if (insert === undefined) throw new Error(table);
    await expect(querySql(database.urls.reader, insert)).rejects.toThrow("permission denied");
    await querySql(database.urls.writer, insert);
    const set =
      { tile: "level = 1", checkpoint: "size = 2" }[table] ??
      (table === "data_key" ? "wrapped = ''" : "key = ''");
    for (const change of [`UPDATE ${place} SET ${set}`, `DELETE FROM ${place}`, `TRUNCATE ${place}`]) {
      await expect(querySql(database.urls.writer, change)).rejects.toThrow("permission denied");
      await expect(querySql(database.urls.superuser, change)).rejects.toThrow("append-only");
    }
    expect(await querySql(database.urls.reader, `SELECT count(*)::int AS n FROM ${place}`)).toEqual([
      { n: 1 },
    ]);
  },
);

test("a migration that fails leaves nothing", async () => {
  const owner = await as("owner");
  await expect(migrate(owner, "halfway", "o", { ...ROLES, reader: "no_such_role" })).rejects.toThrow(
    "no_such_role",
  );
  const { rows } = await owner.query("SELECT to_regnamespace('ledger_halfway') AS there");
  expect(rows).toEqual([{ there: null }]);
  await owner.end();
});

test("the chain goes on over the edge of a partition", async () => {
  const ledger = await makeLedger(database);
  const context = { ...ledger.options(), instance: newUuid() };
  const client = await as("writer");
  // As if a million entries were there: the head stands just before the edge.
  const head = { ...EMPTY_HEAD, seq: PARTITION_ENTRIES - 2, leafHash: new Uint8Array(32).fill(7) };
  const forged = signEntry(
    { body: { type: "event", event: { name: "ledger-opened" } }, attachments: [] },
    { ...head, seq: head.seq - 1 },
    context,
  );
  await ledger.sql(
    `INSERT INTO ${ledger.schema}.entry VALUES (${forged.seq}, '${forged.leaf.toString("latin1")}', '\\x${Buffer.from(forged.leafHash).toString("hex")}', 'event', NULL, '${context.instance}')`,
  );
  await client.end();
  const writer = await ledger.writer();
  for (let i = 0; i < 3; i++) await passOne(writer);
  const partitions = await querySql(
    database.urls.reader,
    `SELECT tableoid::regclass::text AS name, count(*)::int AS n FROM ${ledger.schema}.entry GROUP BY 1 ORDER BY 1`,
  );
  expect(partitions).toEqual([
    { name: `${ledger.schema}.entry_000000`, n: 2 },
    { name: `${ledger.schema}.entry_000001`, n: 5 },
  ]);
});

test("a batch goes in whole behind its head, and not at all behind another", async () => {
  const ledger = await makeLedger(database);
  const context = { ...ledger.options(), instance: newUuid() };
  const client = await as("writer");
  const schema = schemaOf(ledger.name);
  const insert = (entries: Parameters<typeof insertBatch>[3], head: Parameters<typeof insertBatch>[2]) =>
    insertBatch(
      client,
      schema,
      head,
      entries,
      entries.map(({ sealing }) => context.sealer.seal(sealing)),
      context.instance,
      5_000,
    );
  const first = signEntry(intentDraft(), EMPTY_HEAD, context);
  const second = signEntry(intentDraft(), first, context);
  expect(await insert([first, second], EMPTY_HEAD)).toBe(2);
  expect(await insert([first], EMPTY_HEAD)).toBe(0);
  const wrongHead = { ...second, leafHash: first.leafHash };
  expect(await insert([signEntry(intentDraft(), wrongHead, context)], wrongHead)).toBe(0);
  const gap = { ...second, seq: 5 };
  expect(await insert([signEntry(intentDraft(), gap, context)], gap)).toBe(0);
  const third = signEntry(intentDraft(), second, context);
  expect(await insert([third], second)).toBe(1);
  const [stored] = await querySql(
    database.urls.reader,
    `SELECT count(*)::int AS entries, (SELECT count(*)::int FROM ${schema}.attachment) AS attachments FROM ${schema}.entry`,
  );
  expect(stored).toEqual({ entries: 3, attachments: 3 });
  for (const {
    sealing: { attachments },
    draft,
  } of [first, second, third]) {
    expect(attachments.map(({ content }) => content)).toEqual(draft.attachments.map(({ bytes }) => bytes));
    for (const { salt, content } of attachments) expect(commitTo(salt, content)).toHaveLength(32);
  }
  expect((await ledger.verify()).findings).toEqual([]);
  await client.end();
});

test("a query past its deadline is given up and its connection with it", async () => {
  const client = await as("reader");
  const startedAt = performance.now();
  await expect(queryWithin(client, { text: "SELECT pg_sleep(5)" }, 100)).rejects.toThrow(DeadlineError);
  expect(performance.now() - startedAt).toBeLessThan(1_000);
  await expect(client.query("SELECT 1")).rejects.toThrow();
});

test("a goodbye is said in time even to nobody", async () => {
  const client = await as("reader");
  await endWithin(client, 1_000);
  const other = await as("reader");
  destroy(other);
  await endWithin(other, 1_000);
});

test("what an error says about its statement: a refusal had no effect, a broken session may have had", async () => {
  const errorOf = async (sql: string) => {
    const client = await as("superuser");
    try {
      await client.query(sql);
    } catch (cause) {
      return cause;
    } finally {
      destroy(client);
    }
    return expect.fail("no error");
  };
  expect(provesNoEffect(await errorOf("SELECT 1/0"))).toBe(true);
  expect(provesNoEffect(await errorOf("SET statement_timeout = 20; SELECT pg_sleep(1)"))).toBe(true);
  expect(provesNoEffect(await errorOf("SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(1)"))).toBe(
    false,
  );
  expect(
    provesNoEffect(await errorOf("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = 'XX000'; END $$")),
  ).toBe(false);
  expect(provesNoEffect(new Error("Connection terminated unexpectedly"))).toBe(false);
  expect(provesNoEffect(undefined)).toBe(false);
});

test("the role of a connection string", () => {
  expect(roleOf("postgresql://some%20one:p@host/db")).toBe("some one");
  expect(roleOf("postgresql://host/db")).toBe("postgres");
});

test("pages are in order, whole, and end; they hold attachments only if asked for", async () => {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  for (let i = 0; i < 3; i++) await writer.append(outcomeDraft(await writer.append(intentDraft())));
  const reader = new LedgerReader(
    ledger.name,
    { connectionString: database.urls.reader, requireSync: [] },
    { connections: 1, timeoutMs: 5_000 },
  );
  const seqs: number[] = [];
  let pages = 0;
  for (let after: number | undefined = -1; after !== undefined; pages++) {
    const { entries, next } = await reader.page(after, 3, pages === 0);
    seqs.push(...entries.map(({ seq }) => seq));
    expect(entries.some(({ attachments }) => attachments !== undefined)).toBe(pages === 0);
    after = next;
  }
  expect(seqs).toEqual([0, 1, 2, 3, 4, 5, 6]);
  expect(pages).toBe(3);
  // It lives on when its idle connections are ended.
  await querySql(
    database.urls.superuser,
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'scimseal_reader'",
  );
  // The first query may still get a connection whose end it has not heard of; that one fails, and the next does not.
  const readOne = async () => (await reader.page(5, 10, false)).entries.length === 1;
  await until(() => readOne().catch(() => false), "the reader reads again");
  await reader.close();
  await expectSound(ledger);
});
