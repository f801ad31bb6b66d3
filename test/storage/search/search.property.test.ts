// What a filter finds in a real PostgreSQL is what a plain reading of the same filter finds in the same rows: random rows,
// random filters, both orders, page by page while the ledger grows.

import fc from "fast-check";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { EventRow } from "../../../src/scim/extract/extract.ts";
import { normalise } from "../../../src/scim/search/normalise.ts";
import { parseQuery } from "../../../src/scim/search/query.ts";
import { parseText } from "../../../src/scim/search/text.ts";
import type { IndexedTransaction } from "../../../src/storage/index/indexBatch.ts";
import { IndexWriter } from "../../../src/storage/index/indexWriter.ts";
import { type Search, SearchReader } from "../../../src/storage/search/searchReader.ts";
import { indexKeyOf } from "../../indexer/indexHarness.ts";
import { dropDatabase, makeDatabase, makeLedger, type TestDatabase } from "../writerHarness.ts";
import { eventAt, modelOf, place, presences, spoken, transaction } from "./searchRows.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await makeDatabase();
});
afterAll(() => dropDatabase(database));

const key = indexKeyOf();

async function makeSearch() {
  const ledger = await makeLedger(database);
  const writer = new IndexWriter({
    ledger: ledger.name,
    database: ledger.address,
    sealer: key,
    version: "test",
    timeoutMs: 5_000,
  });
  await writer.open(async () => undefined);
  onTestFinished(() => writer.close());
  const reader = new SearchReader(
    ledger.name,
    { connectionString: database.urls.reader, requireSync: [] },
    {
      opener: { version: "test", token: key.token, open: key.open, recordedIds: (id) => [id] },
      connections: 2,
      timeoutMs: 5_000,
    },
  );
  onTestFinished(() => reader.close());
  const rows: IndexedTransaction[] = [];
  const events: EventRow[] = [];
  let next = 0;
  const grow = async (more: Parameters<typeof place>[0]) => {
    const { placed, next: end } = place(more, next);
    const event = eventAt(end);
    next = end + 1;
    rows.push(...placed);
    events.push(event);
    await writer.write({ transactions: placed, events: [event], skipped: 0, next, head: Buffer.alloc(32) });
  };
  return { reader, rows, events, grow };
}

/** Every row of a search, by pages of a few; something may happen between two pages. */
async function walk(
  reader: SearchReader,
  search: Search,
  order: "newest" | "oldest",
  between: () => Promise<void> = async () => {},
): Promise<number[]> {
  const seqs: number[] = [];
  let after: number | undefined;
  for (;;) {
    const { rows, next } = await reader.transactions(search, { order, limit: 12, after }, false);
    seqs.push(...rows.map(({ seq }) => seq));
    if (next === undefined) return seqs;
    after = next;
    await between();
  }
}

const samples = (count: number, seed: number) =>
  fc.sample(fc.array(transaction, { minLength: count, maxLength: count }), { numRuns: 1, seed })[0] ?? [];

test("a search finds what a plain reading of the filter finds", { timeout: 60_000 }, async () => {
  const { reader, rows, grow } = await makeSearch();
  for (let seed = 1; seed <= 4; seed++) await grow(samples(20, seed));
  const model = modelOf(rows);
  for (const { text, holds } of presences) {
    const query = parseQuery(text, "transactions");
    const { rows: page } = await reader.transactions({ query }, { order: "oldest", limit: 1000 }, false);
    const expected = model.filter(holds).map(({ row }) => row.seq);
    expect([text, page.map(({ seq }) => seq)]).toEqual([text, expected]);
  }
  let found = 0;
  await fc.assert(
    fc.asyncProperty(spoken, fc.constantFrom("newest" as const, "oldest" as const), async (filter, order) => {
      const expected = model.filter(filter.holds).map(({ row }) => row.seq);
      if (order === "newest") expected.reverse();
      const query = parseQuery(filter.text, "transactions");
      const { rows: page } = await reader.transactions({ query }, { order, limit: 1000 }, false);
      expect(page.map(({ seq }) => seq)).toEqual(expected);
      if (expected.length > 0 && expected.length < model.length) found++;
    }),
    { numRuns: 400 },
  );
  // Filters that hold for all rows or for none would show little.
  expect(found).toBeGreaterThan(150);
});

test("a list of entries holds those of the same transactions, and events", { timeout: 60_000 }, async () => {
  const { reader, rows, events, grow } = await makeSearch();
  for (let seed = 11; seed <= 13; seed++) await grow(samples(15, seed));
  const model = modelOf(rows);
  await fc.assert(
    fc.asyncProperty(
      // In a list of entries, seq is each entry's own.
      spoken.filter(({ text }) => !/\bseq\b|time|pr\b|not|ne\b/.test(text)),
      fc.constantFrom("newest" as const, "oldest" as const),
      async (filter, order) => {
        const expected = model
          .filter(filter.holds)
          .flatMap(({ row }) => [row.seq, ...(row.closedSeq === undefined ? [] : [row.closedSeq])])
          .sort((a, b) => (order === "newest" ? b - a : a - b));
        const query = parseQuery(filter.text, "entries");
        expect((await reader.entries({ query }, { order, limit: 1000 })).seqs).toEqual(expected);
      },
    ),
    { numRuns: 60 },
  );
  const ask = async (text: string) =>
    (await reader.entries({ query: parseQuery(text, "entries") }, { order: "oldest", limit: 1000 })).seqs;
  expect(await ask('type eq "event"')).toEqual(events.map(({ seq }) => seq));
  expect(await ask('event eq "recovery"')).toEqual(
    events.filter(({ name }) => name === "recovery").map(({ seq }) => seq),
  );
  expect(await ask('type eq "refusal"')).toEqual(
    rows.filter(({ outcome }) => outcome === "refused").map(({ seq }) => seq),
  );
  expect(await ask('type eq "response"')).toEqual(rows.flatMap(({ closedSeq }) => closedSeq ?? []));
  expect(await ask('not (type eq "response" or type sw "re")')).toEqual(events.map(({ seq }) => seq));
  expect(await ask('not (name pr) and type eq "event" and seq gt 3')).toEqual(events.map(({ seq }) => seq));
  const all = await ask("seq pr");
  expect(all).toEqual([...Array(Math.max(...all) + 1).keys()]);
  const scoped = await reader.entries({ connectors: ["okta"] }, { order: "oldest", limit: 1000 });
  expect(scoped.seqs).toEqual(
    rows
      .filter(({ connector }) => connector === "okta")
      .flatMap(({ seq, closedSeq }) => (closedSeq === undefined ? [seq] : [seq, closedSeq])),
  );
});

test("pages hold each row once while the ledger grows", { timeout: 60_000 }, async () => {
  const { reader, rows, grow } = await makeSearch();
  await grow(samples(50, 21));
  let seed = 30;
  await fc.assert(
    fc.asyncProperty(
      spoken.filter(({ text }) => !/name|group|email|externalId/i.test(text)),
      fc.constantFrom("newest" as const, "oldest" as const),
      async ({ text, holds }, order) => {
        const before = modelOf(rows)
          .filter(holds)
          .map(({ row }) => row.seq);
        const query = parseQuery(text, "transactions");
        const seqs = await walk(reader, { query }, order, () => grow(samples(2, seed++)));
        const sorted = [...seqs].sort((a, b) => (order === "newest" ? b - a : a - b));
        expect(seqs).toEqual(sorted);
        expect(new Set(seqs).size).toBe(seqs.length);
        const after = new Set(
          modelOf(rows)
            .filter(holds)
            .map(({ row }) => row.seq),
        );
        expect(seqs.filter((seq) => !after.has(seq))).toEqual([]);
        expect(before.filter((seq) => !seqs.includes(seq))).toEqual([]);
      },
    ),
    { numRuns: 15 },
  );
});

test("a text finds accounts by every word, transactions and resources by their id", async () => {
  const { reader, rows, grow } = await makeSearch();
  await grow(samples(60, 41));
  const model = modelOf(rows);
  const ask = async (text: string) => {
    const { rows: page } = await reader.transactions(
      { text: parseText(text) },
      { order: "oldest", limit: 1000 },
      false,
    );
    return page.map(({ seq }) => seq);
  };
  for (const words of [
    ["ada"],
    ["ad"],
    ["love", "ada"],
    ["ng"],
    ["LACE", "grace"],
    ["example"],
    ["%"],
    ["nobody"],
    ["ada", "x"],
  ]) {
    const expected = model
      .filter(({ known }) =>
        known.some(({ names }) =>
          words.every((word) =>
            names.some(({ value }) => {
              const text = normalise(value);
              // Three characters and more are found anywhere, fewer where a word begins.
              return word.length >= 3
                ? text.includes(normalise(word))
                : ` ${text}`.search(new RegExp(`[\\s@.']${word}`)) >= 0;
            }),
          ),
        ),
      )
      .map(({ row }) => row.seq);
    expect([words.join(" "), await ask(` ${words.join("  ")} `)]).toEqual([words.join(" "), expected]);
  }
  const one = rows[3];
  expect(await ask(one?.txn.toUpperCase() ?? "")).toEqual([one?.seq]);
  const about = model.filter(({ known }) => known.some(({ role, ref }) => role === "s" && ref === "u-3"));
  expect(await ask("u-3")).toEqual(about.map(({ row }) => row.seq));
});

test("whatever a value holds, it is a value", async () => {
  const { reader, rows, grow } = await makeSearch();
  await grow(samples(30, 51));
  const attacks = [
    `' OR 1=1 --`,
    `"; DROP TABLE txn; --`,
    `$1`,
    `\\'; SELECT pg_sleep(5); --`,
    `%' OR '%'='`,
    `{a,b}`,
    `NULL`,
    `\u2019 or 1=1`,
    `')) UNION SELECT 1--`,
  ];
  for (const attack of attacks) {
    for (const attribute of ["connector", "reason", "id", "userName", "name", "group"]) {
      for (const operator of ["eq", "co", "sw", "ew"]) {
        const query = parseQuery(
          `${attribute} ${operator} ${JSON.stringify(attack.padEnd(3, "%"))}`,
          "transactions",
        );
        const { rows: page } = await reader.transactions({ query }, { order: "newest", limit: 10 }, true);
        expect(page).toEqual([]);
      }
    }
    const text = parseText(attack);
    expect((await reader.transactions({ text }, { order: "newest", limit: 10 }, false)).rows).toEqual([]);
  }
  const { rows: all } = await reader.transactions({}, { order: "newest", limit: 1000 }, false);
  expect(all).toHaveLength(rows.length);
});
