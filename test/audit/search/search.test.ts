// The search API over a real ledger: what a filter and a text find, pages, entries, facets, the overview, and who may
// see what of it.

import type { Server } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { entriesAnswer } from "../../../src/audit/answers.ts";
import { operations } from "../../../src/audit/api.ts";
import type { Auditor, Look } from "../../../src/audit/context.ts";
import { newUuid } from "../../../src/nodeCrypto.ts";
import { connect } from "../../../src/storage/postgres.ts";
import { intentOf } from "../../indexer/indexHarness.ts";
import { dropDatabase, makeDatabase, runSql, type TestDatabase } from "../../storage/writerHarness.ts";
import { get, makeAuditor, serve } from "../harness.ts";
import { group, join, leave, makeSearched, refuse, type SearchedLedger } from "./searchLedger.ts";

let database: TestDatabase;
let ledger: SearchedLedger;
let server: Server;
let looks: Look[];
const who = new Map<string, Auditor>([
  ["okta-only", makeAuditor("okta-only", { connectors: new Set(["okta"]) })],
  ["operator", makeAuditor("operator", { role: "operator", canReadBodies: false })],
]);
const OPEN_TXN = newUuid();

beforeAll(async () => {
  database = await makeDatabase();
  ledger = await makeSearched(database, "desk");
  await ledger.write(async (writer) => {
    await join(writer, { id: "u-1", userName: "ada@example.com", displayName: "Ada Lovelace" });
    await join(writer, {
      id: "u-2",
      userName: "grace@example.com",
      displayName: "Grace Hopper",
      email: "g@navy.example",
    });
    await join(writer, { id: "u-3", userName: "alan@hr.example", displayName: "=cmd|' /C calc'!A0" }, "hr");
    await group(writer, "g-1", "Engineering", "u-1");
    await leave(writer, "u-1");
    await leave(writer, "u-2", 404);
    await refuse(writer);
    await writer.append(intentOf({ method: "DELETE", path: "/Users/u-1", txn: OPEN_TXN }));
  });
  await ledger.index();
  const served = serve([ledger]);
  server = served.server;
  looks = served.looks;
  const { authenticate } = served.context;
  served.context.authenticate = (authorization) =>
    who.get(authorization?.replace("Bearer ", "") ?? "") ?? authenticate(authorization);
});
afterAll(async () => {
  await ledger.close();
  await dropDatabase(database);
});

type Row = Record<string, unknown> & { txn: string; seq: number; name: string | null; action: string };

async function find(query: Record<string, string>, token?: string): Promise<Row[]> {
  const { body, status } = await get(server, `/audit/v1/transactions?${new URLSearchParams(query)}`, token);
  expect([status, body.detail]).toEqual([200, undefined]);
  operations.find(({ id }) => id === "listTransactions")?.answer?.parse(body);
  return body.transactions;
}

const show = (rows: readonly Row[]) =>
  rows.map(({ action, name, resourceId }) => `${action} ${name ?? resourceId}`);

test("a transaction is one row, with the name that its account is known by", async () => {
  const [row, ...others] = await find({
    filter: 'userName eq "ADA@example.com" and action eq "create" and resourceType eq "User"',
  });
  expect(others).toEqual([]);
  expect(row).toMatchObject({
    connector: "okta",
    client: "okta-test",
    method: "bearer",
    verb: "POST",
    action: "create",
    resourceType: "User",
    resourceId: "u-1",
    name: "ada@example.com",
    outcome: "answered",
    status: 201,
    replied: 201,
    durationMs: 12.346,
    operations: null,
    reason: null,
  });
  expect(row?.effects).toContain("create");
});

test.each([
  [
    { text: "ada" },
    ["delete ada@example.com", "update ada@example.com", "create Engineering", "create ada@example.com"],
  ],
  [
    { text: "love ADA" },
    ["delete ada@example.com", "update ada@example.com", "create Engineering", "create ada@example.com"],
  ],
  [{ text: "navy" }, ["update grace@example.com", "create grace@example.com"]],
  [{ text: OPEN_TXN }, ["delete ada@example.com"]],
  [{ text: "g-1" }, ["create Engineering"]],
  [{ text: "ada", filter: 'outcome eq "open"' }, ["delete ada@example.com"]],
  [{ text: "nobody" }, []],
  [{ text: "  ", filter: 'outcome eq "refused"' }, ["replace u-9"]],
  [{ filter: 'group sw "eng"' }, ["create Engineering"]],
  [{ filter: 'effect eq "deactivate" and status lt 300' }, ["update ada@example.com"]],
  [
    { filter: 'status eq 404 or resourceType eq "Group"', order: "oldest" },
    ["create Engineering", "update grace@example.com"],
  ],
])("%j finds %j", async (query, expected) => {
  expect(show(await find(query as Record<string, string>))).toEqual(expected);
});

test("pages follow each other, in either order, and say how far the index reaches", async () => {
  for (const order of ["newest", "oldest"]) {
    const seqs: number[] = [];
    let cursor: string | undefined;
    do {
      const query = new URLSearchParams({ order, limit: "3", ...(cursor !== undefined && { cursor }) });
      const { body } = await get(server, `/audit/v1/transactions?${query}`);
      expect(body.covers).toEqual({ from: 0, to: await ledger.size(), size: await ledger.size() });
      seqs.push(...body.transactions.map(({ seq }: Row) => seq));
      cursor = body.next ?? undefined;
    } while (cursor !== undefined);
    const all = (await find({ order, limit: "1000" })).map(({ seq }) => seq);
    expect(seqs).toEqual(all);
    expect(seqs).toHaveLength(8);
  }
});

test.each([
  [
    "transactions?filter=userName%20gt%20%22a%22",
    "invalid_filter",
    /filter, at character 10: `userName gt` has no order: use eq, ne/,
  ],
  ["transactions?filter=foo%20pr", "invalid_filter", /filter, at character 1: there is no attribute `foo`/],
  ["transactions?filter=type%20eq%20%22event%22", "invalid_filter", /ask GET \/audit\/v1\/entries/],
  [`transactions?text=${"a%20".repeat(9)}`, "invalid_filter", /text, at character 17: at most 8 words/],
  ["transactions.csv?filter=(", "invalid_filter", /filter, at character 2/],
  ["facets?filter=status%20eq%20%22x%22", "invalid_filter", /without quotes/],
  ["live?filter=foo", "invalid_filter", /foo/],
  ["entries?filter=foo", "invalid_filter", /foo/],
  ["transactions?cursor=abc", "invalid_parameter", /cursor/],
  [
    `transactions?order=oldest&cursor=${Buffer.from("newest 3").toString("base64url")}`,
    "invalid_parameter",
    /order=newest/,
  ],
  [`transactions?cursor=${Buffer.from("newest 3").toString("base64url")}=`, "invalid_parameter", /cursor/],
  ["transactions?filter=seq%20pr&filter=seq%20pr", "invalid_parameter", /filter/],
  ["transactions?ledger=none", "ledger_unknown", /no such ledger/],
  ["entries?order=newest&after=3", "invalid_parameter", /after/],
  ["overview?hours=0", "invalid_parameter", /hours/],
])("%s is a problem", async (path, code, detail) => {
  const { body } = await get(server, `/audit/v1/${path}`);
  expect([body.code, body.detail]).toEqual([code, expect.stringMatching(detail)]);
});

test("entries of what fits come with their leaves, and events with them", async () => {
  const ask = async (query: Record<string, string>) => {
    const { body } = await get(server, `/audit/v1/entries?${new URLSearchParams(query)}`);
    return entriesAnswer.parse(body);
  };
  const { entries } = await ask({ filter: 'userName eq "grace@example.com"', include: "attachments" });
  expect(entries.map(({ entry, intact }) => [entry?.type, intact])).toEqual([
    ["request", true],
    ["response", true],
    ["request", true],
    ["response", true],
  ]);
  expect(Buffer.from(entries[0]?.attachments?.[0]?.content ?? "", "base64").toString()).toContain(
    "grace@example.com",
  );
  const events = await ask({ filter: 'type eq "event"', order: "newest" });
  expect(events.entries.length).toBeGreaterThan(0);
  expect(events.entries.every(({ entry }) => entry?.type === "event")).toBe(true);
  // Without a filter: the ledger itself, from its end.
  const size = await ledger.size();
  const seqs: number[] = [];
  let cursor: string | undefined;
  do {
    const page = await ask({ order: "newest", limit: "5", ...(cursor !== undefined && { cursor }) });
    seqs.push(...page.entries.map(({ seq }) => seq));
    cursor = typeof page.next === "string" ? page.next : undefined;
  } while (cursor !== undefined);
  expect(seqs).toEqual([...Array(size).keys()].reverse());
  const plain = await ask({ limit: "2" });
  expect([plain.entries.length, plain.next]).toEqual([2, 1]);
});

test("an answer says how many entries the index could not take", async () => {
  const skip = (count: number) =>
    runSql(database.urls.superuser, `UPDATE ledger_desk.index_state SET skipped = ${count}`);
  await skip(3);
  try {
    const { body } = await get(server, "/audit/v1/transactions?limit=1");
    operations.find(({ id }) => id === "listTransactions")?.answer?.parse(body);
    expect(body.covers).toMatchObject({ to: await ledger.size(), skipped: 3 });
    const status = await get(server, "/audit/v1/status");
    operations.find(({ id }) => id === "getStatus")?.answer?.parse(status.body);
    expect(status.body.ledgers[0].skipped).toBe(3);
  } finally {
    await skip(0);
  }
});

test("facets count the values of what fits", async () => {
  const { body } = await get(server, "/audit/v1/facets");
  operations.find(({ id }) => id === "getFacets")?.answer?.parse(body);
  expect([body.counted, body.isCapped]).toEqual([8, false]);
  expect(body.facets.connector).toEqual([
    { value: "okta", count: 7 },
    { value: "hr", count: 1 },
  ]);
  expect(body.facets.outcome).toEqual([
    { value: "answered", count: 6 },
    { value: "open", count: 1 },
    { value: "refused", count: 1 },
  ]);
  expect(body.facets.status).toContainEqual({ value: "404", count: 1 });
  expect(body.facets.effect).toContainEqual({ value: "deactivate", count: 2 });
  const { body: narrowed } = await get(server, `/audit/v1/facets?${new URLSearchParams({ text: "grace" })}`);
  expect([narrowed.counted, narrowed.facets.resourceType]).toEqual([2, [{ value: "User", count: 2 }]]);
});

test("the overview shows the last hours, refusals, and what is open", async () => {
  const { body } = await get(server, "/audit/v1/overview?hours=1");
  operations.find(({ id }) => id === "getOverview")?.answer?.parse(body);
  expect(body.bucketMs).toBe(60_000);
  expect(Object.keys(body.connectors).sort()).toEqual(["hr", "okta"]);
  expect(body.connectors.okta).toHaveLength(60);
  expect(body.connectors.okta.reduce((sum: number, count: number) => sum + count)).toBe(7);
  expect(body.outcomes).toEqual({ answered: 6, open: 1, refused: 1 });
  expect(body.latency.p50).toBeCloseTo(12.346, 3);
  expect(body.refusals.map(({ reason }: { reason: string }) => reason)).toEqual(["id_mismatch"]);
  expect(body.open.map(({ txn }: Row) => txn)).toEqual([OPEN_TXN]);
  expect(body.openCount).toBe(1);
});

describe("who may see what", () => {
  test("an operator has the overview without names, and no search", async () => {
    const { body, status } = await get(server, "/audit/v1/overview", "operator");
    expect([status, body.open[0].name]).toEqual([200, null]);
    for (const path of [
      "transactions",
      "transactions.csv",
      "transactions.ndjson",
      "entries",
      "facets",
      "live",
    ])
      expect([path, (await get(server, `/audit/v1/${path}`, "operator")).body.code]).toEqual([
        path,
        "forbidden",
      ]);
  });

  test("whoever is scoped to a connector sees nothing of the others, and no events", async () => {
    expect(await find({ filter: 'connector eq "hr"' }, "okta-only")).toEqual([]);
    expect(await find({ text: "alan" }, "okta-only")).toEqual([]);
    expect(await find({}, "okta-only")).toHaveLength(7);
    const { body } = await get(server, "/audit/v1/entries?limit=1000", "okta-only");
    const connectors = body.entries.map(({ entry }: { entry: { connector?: string } }) => entry.connector);
    expect(new Set(connectors)).toEqual(new Set(["okta"]));
    const facets = await get(server, "/audit/v1/facets", "okta-only");
    expect(facets.body.facets.connector).toEqual([{ value: "okta", count: 7 }]);
    const overview = await get(server, "/audit/v1/overview", "okta-only");
    expect(Object.keys(overview.body.connectors)).toEqual(["okta"]);
    const csv = await get(server, "/audit/v1/transactions.csv", "okta-only");
    expect(csv.text).not.toContain("alan");
  });

  test("ids of other connectors neither fill a search nor tell that they are there", async () => {
    const ofAnother = `'hr', 'User', 'other-' || n, 0, 0, 0 FROM generate_series(0, 10000) AS n`;
    await runSql(
      database.urls.superuser,
      `INSERT INTO ledger_desk.account (connector, type, ref, first_seq, last_seq, changes) SELECT ${ofAnother}`,
    );
    try {
      const filter = 'resourceId sw "other-" or resourceId eq "u-1"';
      const { body } = await get(server, `/audit/v1/transactions?${new URLSearchParams({ filter })}`);
      expect([body.code, body.detail]).toEqual(["invalid_filter", expect.stringMatching(/10000 ids/)]);
      expect((await find({ filter }, "okta-only")).map(({ resourceId }) => resourceId)).toEqual([
        "u-1",
        "u-1",
        "u-1",
      ]);
      expect(await find({ text: "other-7" }, "okta-only")).toEqual([]);
    } finally {
      await runSql(database.urls.superuser, "DELETE FROM ledger_desk.account WHERE ref LIKE 'other-%'");
    }
  });

  test("a search is noted, with what was asked for", async () => {
    looks.length = 0;
    const rows = await find({ text: "ada", filter: "seq pr" });
    expect(looks).toEqual([
      {
        auditor: expect.objectContaining({ auditor: "all" }),
        kind: "search",
        count: rows.length,
        from: Math.min(...rows.map(({ seq }) => seq)),
        to: Math.max(...rows.map(({ seq }) => seq)),
        facts: { text: "ada", filter: "seq pr" },
      },
    ]);
  });

  test("the index cannot show another connector's entry as one's own", async () => {
    const [row] = await find({ filter: 'connector eq "hr"' });
    const set = (connector: string) =>
      runSql(
        database.urls.writer,
        `UPDATE ledger_desk.txn SET connector = '${connector}' WHERE seq = ${row?.seq}`,
      );
    await set("okta");
    try {
      const { body } = await get(server, "/audit/v1/entries?limit=1000", "okta-only");
      expect(body.entries.map(({ seq }: Row) => seq)).not.toContain(row?.seq);
    } finally {
      await set("hr");
    }
  });
});

/** A lock on a table stands for one that is too large, and for a database that is busy. */
async function whileLocked(table: string, work: () => Promise<void>): Promise<void> {
  const client = await connect({ connectionString: database.urls.superuser, requireSync: [] }, "test", 5_000);
  await client.query(`BEGIN; LOCK TABLE ledger_desk.${table} IN ACCESS EXCLUSIVE MODE`);
  try {
    await work();
  } finally {
    await client.query("ROLLBACK");
    await client.end();
  }
}

test("the status does not wait for the index", async () => {
  await whileLocked("index_state", async () => {
    const { body, status } = await get(server, "/audit/v1/status");
    expect([status, body.ledgers[0].skipped]).toEqual([200, null]);
  });
  expect((await get(server, "/audit/v1/status")).body.ledgers[0].skipped).toBe(0);
});

test("a search that takes too long is given up in clear words", async () => {
  await whileLocked("txn", async () => {
    const { body, status } = await get(server, "/audit/v1/transactions");
    expect([status, body.code, body.detail]).toEqual([
      503,
      "search_timeout",
      expect.stringMatching(/narrow it/),
    ]);
  });
});

test("an index of another version is no answer: 503, to be asked again, and the entries themselves are there", async () => {
  const other = "UPDATE ledger_desk.index_state SET version = version || '-next'";
  await runSql(database.urls.superuser, other);
  try {
    for (const path of [
      "transactions",
      "transactions.csv",
      "entries?filter=seq%20ge%200",
      "facets",
      "overview",
      "accounts",
      "accounts/User/u-1",
      "groups/g-1/members",
      "live",
    ]) {
      const { body, status, headers } = await get(server, `/audit/v1/${path}`);
      expect([path, status, body.code, headers["retry-after"]]).toEqual([path, 503, "index_not_ready", "5"]);
    }
    const { body, status } = await get(server, "/audit/v1/entries?limit=1");
    expect([status, body.entries.length, body.covers.to > 0]).toEqual([200, 1, true]);
  } finally {
    await runSql(
      database.urls.superuser,
      "UPDATE ledger_desk.index_state SET version = replace(version, '-next', '')",
    );
  }
  await get(server, "/audit/v1/transactions").expect(200);
});

test("a transaction whose names are not all in the index says so, in its row and in its entries", async () => {
  const [row] = await find({ filter: 'action eq "create"', limit: "1" });
  expect(row?.isCut).toBe(false);
  const mark = (isCut: boolean) =>
    runSql(database.urls.superuser, `UPDATE ledger_desk.txn SET is_cut = ${isCut} WHERE seq = ${row?.seq}`);
  await mark(true);
  try {
    expect(await find({ filter: `txn eq "${row?.txn}"` })).toEqual([{ ...row, isCut: true }]);
    const { body } = await get(
      server,
      `/audit/v1/entries?filter=${encodeURIComponent('action eq "create"')}`,
    );
    const told = body.entries.map(({ seq, isCut }: { seq: number; isCut: boolean }) => [seq, isCut]);
    expect(told).toContainEqual([row?.seq, true]);
    expect(told).toContainEqual([row?.closedSeq, true]);
    expect(told.filter(([, isCut]: [number, boolean]) => isCut)).toHaveLength(2);
    const csv = await get(
      server,
      `/audit/v1/transactions.csv?filter=${encodeURIComponent(`txn eq "${row?.txn}"`)}`,
    );
    expect(csv.text).toMatch(/,isCut,operationsRefused,[^\n]*\r\n.*,true,,,\r\n$/);
    const plain = await get(server, "/audit/v1/entries?limit=1");
    expect(plain.body.entries[0]).not.toHaveProperty("isCut");
  } finally {
    await mark(false);
  }
});

test("an account that takes too long is given up in the words of a search", async () => {
  await whileLocked("txn_account", async () => {
    const { body, status } = await get(server, "/audit/v1/accounts/User/u-1");
    expect([status, body.code]).toEqual([503, "search_timeout"]);
  });
}, 20_000);
