// An index of another version or another making is no answer: while instances of two versions run side by side, whoever
// finds the other's tables says so. And what takes too long ends as a search that took too long, whatever was asked.

import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { AccountReader } from "../../../src/storage/accounts/accountReader.ts";
import { IndexWriter } from "../../../src/storage/index/indexWriter.ts";
import { openPool } from "../../../src/storage/postgres.ts";
import {
  IndexNotReadyError,
  IndexSession,
  SearchTimeoutError,
} from "../../../src/storage/search/indexSession.ts";
import { SearchReader } from "../../../src/storage/search/searchReader.ts";
import { indexKeyOf } from "../../indexer/indexHarness.ts";
import { dropDatabase, makeDatabase, makeLedger, querySql, type TestDatabase } from "../writerHarness.ts";
import { eventAt, uuid } from "./searchRows.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await makeDatabase();
});
afterAll(() => dropDatabase(database));

const key = indexKeyOf();
const opener = { version: "mine", token: key.token, open: key.open, recordedIds: (id: string) => [id] };

async function makeIndexed() {
  const ledger = await makeLedger(database);
  const address = { connectionString: database.urls.reader, requireSync: [] };
  const search = new SearchReader(ledger.name, address, { opener, connections: 2, timeoutMs: 5_000 });
  const accounts = new AccountReader(ledger.name, address, { opener, connections: 2, timeoutMs: 5_000 });
  onTestFinished(async () => {
    await Promise.all([search.close(), accounts.close()]);
  });
  let made = 0;
  /** Makes the index anew, as the writer of this version does, with one transaction about one account. */
  const makeAnew = async (version: string) => {
    made++;
    const writer = new IndexWriter({
      ledger: ledger.name,
      database: ledger.address,
      sealer: key,
      version,
      timeoutMs: 5_000,
    });
    // Never the same history: an index of the same version is emptied too.
    await writer.open(async () => undefined);
    const about = { type: "User", ref: `u-${made}`, role: "s", isChange: true, isMet: true } as const;
    const account = { ...about, names: [{ attribute: "userName" as const, value: `ada${made}` }] };
    const row = { connector: "okta", client: "c", method: "bearer", verb: "POST", action: "create" };
    const more = {
      resourceType: "User",
      effects: [],
      isStored: false,
      isCut: made % 2 === 0,
      about: account,
    };
    await writer.write({
      transactions: [
        {
          ...row,
          ...more,
          touched: [account],
          seq: 0,
          closedSeq: 1,
          txn: uuid(made),
          timeMs: made,
          outcome: "answered",
        },
      ],
      events: [eventAt(2)],
      skipped: 0,
      next: 3,
      head: Buffer.alloc(32),
    });
    await writer.close();
  };
  return { ledger, address, search, accounts, makeAnew };
}

const PAGE = { order: "newest", limit: 10 } as const;

test("nothing is answered from an index of another version, and all of it once it is the own again", async () => {
  const { search, accounts, makeAnew } = await makeIndexed();
  const first = async (pages: AsyncGenerator<unknown[]>) => (await pages.next()).value ?? [];
  const asked: Record<string, () => Promise<unknown>> = {
    transactions: async () => (await search.transactions({}, PAGE, true)).rows,
    allTransactions: () => first(search.allTransactions({}, "newest", true)),
    entries: async () => (await search.entries({}, PAGE)).seqs,
    changes: () => first(search.changes({}, { after: -1, to: 3, limit: 10 }, true)),
    facets: async () => Array((await search.facets({})).counted),
    overview: async () =>
      (await search.overview({ from: 0, to: 1_000, bucketMs: 1_000 }, undefined, true)).connectors.okta ?? [],
    accounts: async () => (await accounts.find({}, { after: undefined, limit: 10 })).accounts,
    check: async () => {
      await search.check({});
      return ["checked"];
    },
  };
  const [counts, refused] = [new Map<string, number[]>(), new Map<string, string>()];
  const askAll = async () => {
    for (const [name, ask] of Object.entries(asked)) {
      try {
        const { length } = (await ask()) as unknown[];
        counts.set(name, [...(counts.get(name) ?? []), length]);
      } catch (cause) {
        refused.set(name, cause instanceof Error ? cause.name : "");
      }
    }
  };
  // Before any index was begun there is nothing, and that is no fault.
  await askAll();
  expect([...refused]).toEqual([]);
  await makeAnew("mine");
  await askAll();
  await makeAnew("another");
  await askAll();
  expect([...refused]).toEqual(Object.keys(asked).map((name) => [name, "IndexNotReadyError"]));
  expect(await search.covers()).toEqual({ from: 0, to: 0, size: 0 });
  await makeAnew("mine");
  refused.clear();
  await askAll();
  expect([...refused]).toEqual([]);
  const lengths = Object.fromEntries(counts);
  expect(lengths.check).toEqual([1, 1, 1]);
  expect(lengths.entries).toEqual([0, 3, 3]);
  for (const name of ["transactions", "allTransactions", "changes", "facets", "accounts"])
    expect([name, lengths[name]]).toEqual([name, [0, 1, 1]]);
});

test("an export ends in an error where the index is made anew under it", async () => {
  const { search, makeAnew } = await makeIndexed();
  await makeAnew("mine");
  const pages = search.changes({}, { after: -1, to: 3, limit: 1 }, true);
  expect((await pages.next()).value).toHaveLength(1);
  await makeAnew("mine");
  await expect(pages.next()).rejects.toThrow(IndexNotReadyError);
});

test("what was asked while the index was made anew is asked again, and answered from one making", async () => {
  const { ledger, address, makeAnew } = await makeIndexed();
  await makeAnew("mine");
  const pool = openPool(address, "test", { connections: 2, timeoutMs: 5_000 });
  onTestFinished(() => pool.end());
  const session = new IndexSession(pool, ledger.schema, "mine");
  let tries = 0;
  const asked = () =>
    session.view().read(async () => {
      const [account] = await session.ask<{ id: string }>(`SELECT id FROM ${ledger.schema}.account`, []);
      if (tries++ === 0) await makeAnew("mine");
      return session.ask<{ ref: string }>(`SELECT ref FROM ${ledger.schema}.account WHERE id = $1`, [
        account?.id,
      ]);
    });
  expect(await asked()).toEqual([{ ref: "u-2" }]);
  expect(tries).toBe(2);
  // The other version came and went between two looks: what was read of it does not count.
  tries = 0;
  const swapped = session.view().read(async () => {
    if (tries++ > 0) return "read again";
    await makeAnew("another");
    const rows = await session.ask<{ ref: string }>(`SELECT ref FROM ${ledger.schema}.account`, []);
    await makeAnew("mine");
    return rows;
  });
  expect(await swapped).toBe("read again");
});

test("whoever waits for the index to grow learns that it is another's now", async () => {
  const { search, makeAnew } = await makeIndexed();
  await makeAnew("mine");
  const waits = search.whenBeyond(3, AbortSignal.timeout(5_000));
  await Promise.all([expect(waits).rejects.toThrow(IndexNotReadyError), makeAnew("another")]);
});

test("an index entry that was cut is told in its row, and in the list of entries", async () => {
  const { search, makeAnew } = await makeIndexed();
  for (const isCut of [false, true]) {
    await makeAnew("mine");
    const { rows } = await search.transactions({}, PAGE, true);
    expect(rows.map((row) => row.isCut)).toEqual([isCut]);
    const { seqs, cut } = await search.entries({}, PAGE);
    expect([seqs, [...cut]]).toEqual([[2, 1, 0], isCut ? [1, 0] : []]);
  }
});

test("a question about accounts that takes too long is a search that took too long", async () => {
  const { ledger, makeAnew } = await makeIndexed();
  await makeAnew("mine");
  const accounts = new AccountReader(
    ledger.name,
    { connectionString: database.urls.reader, requireSync: [] },
    { opener, connections: 1, timeoutMs: 300 },
  );
  onTestFinished(() => accounts.close());
  const locked = querySql(
    database.urls.superuser,
    `BEGIN; LOCK ${ledger.schema}.account, ${ledger.schema}.entry IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(1.2); COMMIT`,
  );
  const held = () =>
    querySql(
      database.urls.superuser,
      `SELECT FROM pg_locks WHERE relation = '${ledger.schema}.entry'::regclass AND mode = 'AccessExclusiveLock' AND granted`,
    );
  while ((await held()).length === 0);
  await Promise.all([
    expect(accounts.find({}, { after: undefined, limit: 1 })).rejects.toThrow(SearchTimeoutError),
    locked,
  ]);
  const again = querySql(
    database.urls.superuser,
    `BEGIN; LOCK ${ledger.schema}.entry IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(1.2); COMMIT`,
  );
  while ((await held()).length === 0);
  await Promise.all([
    expect(accounts.entriesAt([{ seq: 0, closedSeq: 1 }], 1_000)).rejects.toThrow(SearchTimeoutError),
    again,
  ]);
});
