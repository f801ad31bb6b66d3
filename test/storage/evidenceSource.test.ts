// Where a transaction stands that has no outcome: found by the search index, behind its end, and without it; never by
// reading the whole ledger, and never denied on the word of an index that nobody signed.

import pg from "pg";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { newUuid } from "../../src/nodeCrypto.ts";
import { DatabaseEvidence } from "../../src/storage/evidenceSource.ts";
import { TreeStore } from "../../src/storage/tree/treeStore.ts";
import { indexAll, intentOf, refusalOf } from "../indexer/indexHarness.ts";
import {
  dropDatabase,
  makeDatabase,
  makeLedger,
  passOne,
  runSql,
  type TestDatabase,
  type TestLedger,
} from "./writerHarness.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await makeDatabase();
});
afterAll(() => dropDatabase(database));

function evidenceOf(ledger: TestLedger, searchAround?: number): DatabaseEvidence {
  const address = { connectionString: database.urls.reader, requireSync: [] };
  const options = { connections: 1, timeoutMs: 10_000 };
  const tree = new TreeStore(ledger.name, address, options);
  const evidence = new DatabaseEvidence(ledger.name, address, {
    origin: ledger.origin,
    keys: [],
    tree,
    ...options,
    ...(searchAround !== undefined && { searchAround }),
  });
  onTestFinished(async () => {
    await evidence.close();
    await tree.close();
  });
  return evidence;
}

/** Runs with every statement noted that goes to the database. */
async function statementsOf<T>(work: () => Promise<T>): Promise<{ result: T; asked: [string, unknown[]][] }> {
  const query = vi.spyOn(pg.Client.prototype, "query");
  try {
    const result = await work();
    const asked = query.mock.calls.flatMap((call): [string, unknown[]][] => {
      const [first, second] = call as unknown[];
      if (typeof first === "string") return [[first, Array.isArray(second) ? second : []]];
      const { text, values } = first as { text?: string; values?: unknown[] };
      return text === undefined ? [] : [[text, values ?? []]];
    });
    return { result, asked: asked.filter(([text]) => text.startsWith("SELECT")) };
  } finally {
    query.mockRestore();
  }
}

async function plansOf(asked: readonly [string, unknown[]][]): Promise<string> {
  const client = new pg.Client({ connectionString: database.urls.superuser });
  await client.connect();
  try {
    const plans: string[] = [];
    for (const [text, values] of asked) {
      const { rows } = await client.query(`EXPLAIN ${text}`, values);
      plans.push(...rows.map((row) => String(row["QUERY PLAN"])));
    }
    return plans.join("\n");
  } finally {
    await client.end();
  }
}

test("open and refused transactions are found without reading the ledger, and without the index around the time in their id", async () => {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  const pass = (count: number) => Promise.all(Array.from({ length: count }, () => passOne(writer)));
  const [open, refused, fresh, hidden] = [newUuid(), newUuid(), newUuid(), newUuid()];
  const write = { method: "POST", path: "/Users", body: { userName: "ada@example.com" } };
  await pass(1_000);
  const seqs = [];
  for (const draft of [
    intentOf({ ...write, txn: open }),
    refusalOf({ ...write, txn: refused }),
    intentOf({ ...write, txn: hidden }),
  ])
    seqs.push((await writer.append(draft)).seq);
  await pass(1_000);
  await indexAll(database, ledger);
  const { seq: freshSeq } = await writer.append(intentOf({ ...write, txn: fresh }));
  await runSql(database.urls.superuser, `ANALYZE ${ledger.schema}.entry, ${ledger.schema}.txn`);
  const evidence = evidenceOf(ledger);
  for (const [txn, seq] of [
    [open, seqs[0]],
    [refused, seqs[1]],
    [fresh, freshSeq],
  ] as const) {
    const { result, asked } = await statementsOf(() => evidence.seqsOfTransaction(txn));
    expect(result).toEqual([seq]);
    expect(asked.length).toBeGreaterThan(0);
    // The partition that is made in advance is empty: that one may be "scanned".
    expect(await plansOf(asked)).not.toMatch(/Seq Scan on (entry_000000|txn|outcome)/);
  }
  // An index that somebody emptied, or that leads elsewhere, hides nothing.
  await runSql(
    database.urls.superuser,
    `DELETE FROM ${ledger.schema}.txn WHERE txn = '${hidden}'; UPDATE ${ledger.schema}.txn SET seq = 1000000 WHERE txn = '${open}'`,
  );
  expect(await evidence.seqsOfTransaction(hidden)).toEqual([seqs[2]]);
  expect(await evidence.seqsOfTransaction(open)).toEqual([seqs[0]]);
  expect(await evidence.seqsOfTransaction(newUuid())).toEqual([]);
});

test("for one that is not there only the entries around the time in its id are read, and those at the end", async () => {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  const pass = (count: number) => Promise.all(Array.from({ length: count }, () => passOne(writer)));
  const write = { method: "POST", path: "/Users", body: { userName: "ada@example.com" } };
  await pass(300);
  const [hidden, unknown] = [newUuid(), newUuid()];
  const { seq } = await writer.append(intentOf({ ...write, txn: hidden }));
  await pass(300);
  await indexAll(database, ledger);
  await runSql(database.urls.superuser, `DELETE FROM ${ledger.schema}.txn WHERE txn = '${hidden}'`);
  const around = 50;
  const evidence = evidenceOf(ledger, around);
  expect(await evidence.seqsOfTransaction(hidden)).toEqual([seq]);
  const ids = [
    unknown,
    newUuid(),
    "00000000-0000-7000-8000-000000000000",
    "ffffffff-ffff-7fff-bfff-ffffffffffff",
  ];
  // An index that is at its beginning, as after an upgrade, does not make it more.
  for (const next of [undefined, 0]) {
    if (next === 0) await runSql(database.urls.superuser, `UPDATE ${ledger.schema}.index_state SET next = 0`);
    for (const txn of ids) {
      const { result, asked } = await statementsOf(() => evidence.seqsOfTransaction(txn));
      expect(result).toEqual([]);
      expect(await entriesRead(asked)).toBeLessThan(4 * around + 100);
    }
  }
  // No transaction has an id of another version: nothing is looked for.
  expect(await evidence.seqsOfTransaction("00000000-0000-4000-8000-000000000000")).toEqual([]);
});

/** Rows of entries that the statements go through, asked once more. */
async function entriesRead(asked: readonly [string, unknown[]][]): Promise<number> {
  const client = new pg.Client({ connectionString: database.urls.superuser });
  await client.connect();
  try {
    // The rows that were looked at, whatever the planner takes for few rows.
    await client.query("SET enable_seqscan = off");
    let count = 0;
    for (const [text, values] of asked) {
      const { rows } = await client.query(`EXPLAIN (ANALYZE, FORMAT JSON) ${text}`, values);
      for (const row of rows)
        for (const { Plan } of row["QUERY PLAN"] as { Plan: PlanNode }[]) count += rowsOf(Plan);
    }
    return count;
  } finally {
    await client.end();
  }
}

interface PlanNode {
  "Relation Name"?: string;
  "Actual Rows": number;
  "Rows Removed by Filter"?: number;
  Plans?: PlanNode[];
}

function rowsOf(node: PlanNode): number {
  const own = node["Relation Name"]?.startsWith("entry")
    ? node["Actual Rows"] + (node["Rows Removed by Filter"] ?? 0)
    : 0;
  return (node.Plans ?? []).reduce((sum, one) => sum + rowsOf(one), own);
}

test("a ledger without an index", async () => {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  const txn = newUuid();
  const { seq } = await writer.append(
    intentOf({ method: "POST", path: "/Users", body: { userName: "ada@example.com" }, txn }),
  );
  expect(await evidenceOf(ledger).seqsOfTransaction(txn)).toEqual([seq]);
});
