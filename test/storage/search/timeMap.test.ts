// A search by time passes over stretches of the ledger that cannot hold it: never one that does, also where clocks were
// set back, and never by what it knew of an index that was made anew.

import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { parseQuery } from "../../../src/scim/search/query.ts";
import { SearchReader } from "../../../src/storage/search/searchReader.ts";
import { STRETCH, TimeMap, timeSpanOf } from "../../../src/storage/search/timeMap.ts";
import { indexKeyOf } from "../../indexer/indexHarness.ts";
import {
  dropDatabase,
  makeDatabase,
  makeLedger,
  querySql,
  type TestDatabase,
  until,
} from "../writerHarness.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await makeDatabase();
});
afterAll(() => dropDatabase(database));

const START = Date.parse("2026-01-01T00:00:00Z");
/** A row each 16 seqs, a minute apart; every hundredth is a day early. */
const fill = (schema: string, stretches: number, shiftMinutes = 0) => `
  INSERT INTO ${schema}.txn (seq, txn, time, connector, client, method, verb, action, resource_type, effects, outcome)
  SELECT n * 16, gen_random_uuid(), to_timestamp(${START / 1000} + (n + ${shiftMinutes}) * 60 - CASE n % 100 WHEN 50 THEN 86400 ELSE 0 END),
    'okta', 'c', 'bearer', 'PUT', 'replace', 'User', '{}', 'refused'
  FROM generate_series(0, ${(stretches * STRETCH) / 16 - 1}) AS n;
  INSERT INTO ${schema}.index_state (version, next) VALUES ('test', ${stretches * STRETCH - 100})`;

test.each([
  ['time ge "2026-01-01" and time lt "2026-01-02"', [0, 1]],
  ['(status pr and time ge "2026-01-01") and not (time ge "2026-01-02")', [0, Infinity]],
  ['time eq "2026-01-02"', [1, 1]],
  ['time gt "2026-01-02" and time gt "2026-01-03"', [2, Infinity]],
  ['time ne "2026-01-02"', undefined],
  ['time ge "2026-01-02" or status pr', undefined],
  ["status pr", undefined],
])("%s lies within %j days", (filter, days) => {
  const span = timeSpanOf(parseQuery(filter, "transactions"));
  expect(span && [(span.from - START) / 86_400_000, (span.to - START) / 86_400_000]).toEqual(days);
});

test("what is found by time is the same, and most of the ledger is passed over", {
  timeout: 60_000,
}, async () => {
  const ledger = await makeLedger(database);
  const stretches = 12;
  await ledger.sql(fill(ledger.schema, stretches));
  const key = indexKeyOf();
  const address = { connectionString: database.urls.reader, requireSync: [] };
  const reader = new SearchReader(ledger.name, address, {
    opener: { version: "test", token: key.token, open: key.open, recordedIds: (id) => [id] },
    connections: 2,
    timeoutMs: 5_000,
  });
  onTestFinished(() => reader.close());
  const ask = async (text: string) => (await querySql(database.urls.superuser, text)) as never[];
  const asked: unknown[][] = [];
  const map = new TimeMap(
    async (text, values) => {
      asked.push([...values]);
      const literal = values.map((value) =>
        typeof value === "number" ? String(value) : `'${String(value)}'`,
      );
      return ask(text.replace(/\$(\d)/g, (_, place: string) => literal[Number(place) - 1] ?? ""));
    },
    ledger.schema,
    "test",
  );
  const day = 86_400_000;
  const spans = [0, 1, 2, 3].map((n) => ({ from: START + n * day, to: START + n * day + 3_600_000 }));
  const [early] = spans;
  if (!early) throw new Error("no span");
  expect(await map.rangesOf(early)).toEqual([{ from: 0 }]);
  // The last stretch is not whole, so it is never known.
  await until(async () => (await map.rangesOf(early)).length === 2, "the map is made");
  expect((await map.rangesOf(early)).at(-1)).toEqual({ from: (stretches - 1) * STRETCH });
  for (const span of spans) {
    const rows = await ask(
      `SELECT seq FROM ${ledger.schema}.txn WHERE time >= to_timestamp(${span.from / 1000}) AND time <= to_timestamp(${span.to / 1000}) ORDER BY seq`,
    );
    const seqs = rows.map(({ seq }) => Number(seq));
    expect(seqs.length).toBeGreaterThan(0);
    const ranges = await map.rangesOf(span);
    expect(seqs.filter((seq) => !ranges.some(({ from, to = Infinity }) => seq >= from && seq < to))).toEqual(
      [],
    );
    const width = ranges.reduce((sum, { from, to = stretches * STRETCH }) => sum + to - from, 0);
    expect(width).toBeLessThan((stretches * STRETCH) / 1.5);
    const filter = `time ge "${new Date(span.from).toISOString()}" and time le "${new Date(span.to).toISOString()}"`;
    for (const order of ["oldest", "newest"] as const) {
      const query = parseQuery(filter, "transactions");
      const found: number[] = [];
      let after: number | undefined;
      do {
        const page = await reader.transactions({ query }, { order, limit: 25, after }, false);
        found.push(...page.rows.map((row) => row.seq));
        after = page.next;
      } while (after !== undefined);
      expect(found).toEqual(order === "oldest" ? seqs : seqs.toReversed());
    }
  }
  // Made anew, with other times: nothing of before counts.
  await ledger.sql(
    `TRUNCATE ${ledger.schema}.txn, ${ledger.schema}.index_state; ${fill(ledger.schema, stretches, 3 * 1440)}`,
  );
  expect(await map.rangesOf(early)).toEqual([{ from: 0 }]);
  await map.stop();
});
