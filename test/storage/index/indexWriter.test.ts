// The index's writer on a real database: who may write, what one transaction holds together, and that what was written
// is found by its tokens alone.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { searchTokens, startTokens } from "../../../src/scim/search/tokens.ts";
import type { IndexBatch, IndexedTransaction } from "../../../src/storage/index/indexBatch.ts";
import { IndexMovedError, IndexWriter } from "../../../src/storage/index/indexWriter.ts";
import { sealedNamePlace } from "../../../src/storage/index/sealedName.ts";
import { indexKeyOf } from "../../indexer/indexHarness.ts";
import {
  dropDatabase,
  makeDatabase,
  makeLedger,
  querySql,
  runSql,
  type TestDatabase,
  type TestLedger,
} from "../writerHarness.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await makeDatabase();
});
afterAll(() => dropDatabase(database));

const key = indexKeyOf();
const uuid = (n: number) => `01900000-0000-7000-8000-${String(n).padStart(12, "0")}`;

function writerOf(ledger: TestLedger): IndexWriter {
  return new IndexWriter({
    ledger: ledger.name,
    database: ledger.address,
    sealer: key,
    version: "test",
    timeoutMs: 5_000,
  });
}

function transaction(seq: number, more: Partial<IndexedTransaction> = {}): IndexedTransaction {
  const touched = [
    {
      type: "User",
      ref: "u-1",
      role: "s" as const,
      isChange: true,
      isMet: true,
      names: [{ attribute: "userName" as const, value: "Ada" }],
    },
  ];
  return {
    seq,
    txn: uuid(seq),
    closedSeq: seq + 1,
    timeMs: Date.parse("2026-01-02T03:04:05.678Z"),
    connector: "okta",
    client: "c",
    method: "bearer",
    verb: "PUT",
    action: "replace",
    resourceType: "User",
    resourceId: "u-1",
    effects: ["replace", "odd,{\\"],
    outcome: "answered",
    status: 200,
    isCut: false,
    touched,
    ...(touched[0] && { about: touched[0] }),
    isStored: false,
    ...more,
  };
}

function batch(next: number, transactions: IndexedTransaction[], more: Partial<IndexBatch> = {}): IndexBatch {
  return { transactions, events: [], skipped: 0, next, head: Buffer.alloc(32, next), ...more };
}

const nothing = async () => undefined;

test("what is written stands there, and is counted once a resource", async () => {
  const ledger = await makeLedger(database);
  const writer = writerOf(ledger);
  await writer.open(nothing);
  await writer.write(batch(4, [transaction(0), transaction(2)]));
  await writer.write(batch(6, [transaction(4, { status: 400 })]));
  await writer.close();
  const ask = (text: string) => querySql(database.urls.superuser, text);
  expect(
    await ask(
      `SELECT seq, effects, status, time = '2026-01-02T03:04:05.678Z' AS time FROM ${ledger.schema}.txn`,
    ),
  ).toEqual([
    { seq: "0", effects: ["replace", "odd,{\\"], status: 200, time: true },
    { seq: "2", effects: ["replace", "odd,{\\"], status: 200, time: true },
    { seq: "4", effects: ["replace", "odd,{\\"], status: 400, time: true },
  ]);
  expect(await ask(`SELECT ref, first_seq, last_seq, changes FROM ${ledger.schema}.account`)).toEqual([
    { ref: "u-1", first_seq: "0", last_seq: "4", changes: 3 },
  ]);
  expect(await ask(`SELECT seq, last_seq FROM ${ledger.schema}.account_name`)).toEqual([
    { seq: "0", last_seq: "4" },
  ]);
});

test("a name is found by the tokens of a question, and opens in its place only", async () => {
  const ledger = await makeLedger(database);
  const writer = writerOf(ledger);
  await writer.open(nothing);
  await writer.write(batch(2, [transaction(0)]));
  await writer.close();
  const find = async (tokens: readonly { kind: Parameters<typeof key.token>[0]; text: string }[]) => {
    const wanted = tokens.map(({ kind, text }) => `'${key.token(kind, text)}'`).join(",");
    return querySql(
      database.urls.reader,
      `SELECT account, attribute, sealed FROM ${ledger.schema}.account_name WHERE tokens @> ARRAY[${wanted}]::bigint[]`,
    );
  };
  for (const token of searchTokens("userName", "Ada")) expect(await find([token])).toHaveLength(1);
  expect(await find(startTokens("ax"))).toEqual([]);
  const [row] = await find(startTokens("ad"));
  const place = sealedNamePlace(String(row?.account), "userName");
  expect(key.open(row?.sealed as Buffer, place)).toBe("Ada");
  expect(key.open(row?.sealed as Buffer, sealedNamePlace("999", "userName"))).toBeUndefined();
});

test("names of one digest are one row, from the first to the last of them", async () => {
  const ledger = await makeLedger(database);
  const writer = writerOf(ledger);
  await writer.open(nothing);
  const named = (seq: number, value: string) => {
    const [touched] = transaction(seq).touched;
    if (!touched) throw new Error("it touches something");
    const about = { ...touched, names: [{ attribute: "email" as const, value }] };
    return transaction(seq, { touched: [about], about });
  };
  await writer.write(batch(6, [named(0, "a\ud800"), named(2, "a\ud801"), named(4, "a\ufffd")]));
  await writer.write(batch(10, [named(6, "a\udc00"), named(8, "a\udc01")]));
  await writer.close();
  expect(
    await querySql(database.urls.superuser, `SELECT seq, last_seq FROM ${ledger.schema}.account_name`),
  ).toEqual([{ seq: "0", last_seq: "8" }]);
});

test("a batch that fails leaves nothing of it", async () => {
  const ledger = await makeLedger(database);
  const writer = writerOf(ledger);
  await writer.open(nothing);
  await writer.write(batch(2, [transaction(0)]));
  await expect(
    writer.write(batch(6, [transaction(2), transaction(4, { txn: uuid(0) })])),
  ).rejects.toMatchObject({
    code: "23505",
  });
  await writer.open(async () => Buffer.alloc(32, 2));
  expect(writer.mark.next).toBe(2);
  const [row] = await querySql(
    database.urls.superuser,
    `SELECT (SELECT count(*) FROM ${ledger.schema}.txn) AS txns, (SELECT sum(changes) FROM ${ledger.schema}.account) AS changes`,
  );
  expect(row).toEqual({ txns: "1", changes: "1" });
  await writer.close();
});

describe("one writer", () => {
  test("has the index at a time", async () => {
    const ledger = await makeLedger(database);
    const [first, second] = [writerOf(ledger), writerOf(ledger)];
    expect(await first.open(nothing)).toBe(true);
    expect(await second.open(nothing)).toBe(false);
    await expect(second.write(batch(2, [transaction(0)]))).rejects.toThrow("no session");
    await first.close();
    expect(await second.open(nothing)).toBe(true);
    await second.close();
  });

  test("that finds the mark moved writes nothing", async () => {
    const ledger = await makeLedger(database);
    const writer = writerOf(ledger);
    await writer.open(nothing);
    await ledger.sql(`UPDATE ${ledger.schema}.index_state SET next = 1`);
    await expect(writer.write(batch(2, [transaction(0)]))).rejects.toThrow(IndexMovedError);
    expect(await querySql(database.urls.superuser, `SELECT seq FROM ${ledger.schema}.txn`)).toEqual([]);
  });
});

describe("what was indexed", () => {
  test("stays while the ledger leads there", async () => {
    const ledger = await makeLedger(database);
    const writer = writerOf(ledger);
    await writer.open(nothing);
    await writer.write(batch(2, [transaction(0)], { skipped: 3 }));
    await writer.close();
    await writer.open(async (seq) => Buffer.alloc(32, seq + 1));
    expect(writer.mark).toMatchObject({ next: 2, skipped: 3 });
    await writer.close();
  });

  test.each<[string, Uint8Array | undefined]>([
    ["is gone", undefined],
    ["is another", Buffer.alloc(32, 9)],
  ])("goes when its last entry %s", async (_, hash) => {
    const ledger = await makeLedger(database);
    const writer = writerOf(ledger);
    await writer.open(nothing);
    await writer.write(batch(2, [transaction(0)]));
    await writer.close();
    await writer.open(async () => hash);
    expect(writer.mark).toMatchObject({ next: 0, skipped: 0 });
    expect(await querySql(database.urls.superuser, `SELECT id FROM ${ledger.schema}.account`)).toEqual([]);
    await writer.close();
  });
});

test("the reader's role reads the index and changes nothing", async () => {
  const ledger = await makeLedger(database);
  for (const table of ["account", "account_name", "txn", "txn_account", "event", "index_state"]) {
    expect(await querySql(database.urls.reader, `SELECT * FROM ${ledger.schema}.${table}`)).toEqual([]);
    for (const change of [`DELETE FROM ${ledger.schema}.${table}`, `TRUNCATE ${ledger.schema}.${table}`]) {
      await expect(runSql(database.urls.reader, change)).rejects.toMatchObject({ code: "42501" });
    }
  }
});
