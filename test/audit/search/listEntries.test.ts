// Pages of entries with attachments: as large as memory allows, in every order and with every way to ask.

import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { Problem } from "../../../src/audit/http/problem.ts";
import type { LedgerWriter } from "../../../src/storage/writer/writer.ts";
import { pass } from "../../indexer/indexHarness.ts";
import { dropDatabase, makeDatabase, type TestDatabase } from "../../storage/writerHarness.ts";
import { get, makeAuditor, serve } from "../harness.ts";
import { join, makeSearched } from "./searchLedger.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await makeDatabase();
});
afterAll(() => dropDatabase(database));

const MIB = 1024 * 1024;

/** A write with a body of so many bytes that was answered with nothing. */
async function put(writer: LedgerWriter, id: string, bytes: number): Promise<void> {
  const body = { userName: `${id}@example.com`, title: "x".repeat(bytes) };
  await pass(writer, { method: "PUT", path: `/Users/${id}`, body }, { status: 200 });
}

interface Page {
  entries: { seq: number; attachments?: { name: string; content: string }[] }[];
  next: number | string | null;
}

test("a page with attachments ends where they are 8 MiB, and the next goes on there", async () => {
  const ledger = await makeSearched(database, "pages");
  onTestFinished(() => ledger.close());
  await ledger.write(async (writer) => {
    await put(writer, "u-1", 3 * MIB);
    await put(writer, "u-2", 3 * MIB);
    await put(writer, "u-3", 3 * MIB);
    await put(writer, "u-4", 9 * MIB);
    await join(writer, { id: "u-5", userName: "small@example.com" });
  });
  await ledger.index();
  const { server, context } = serve([ledger]);
  const { authenticate } = context;
  context.authenticate = (authorization) =>
    authorization === "Bearer scoped"
      ? makeAuditor("scoped", { connectors: new Set(["okta"]) })
      : authenticate(authorization);
  const size = await ledger.size();
  /** The seqs of each page, and all entries. */
  const readAll = async (query: Record<string, string>, token?: string) => {
    const pages: number[][] = [];
    const entries: Page["entries"] = [];
    for (let place: Record<string, string> = {}; ; ) {
      const asked = new URLSearchParams({ limit: "1000", include: "attachments", ...query, ...place });
      const { body } = await get(server, `/audit/v1/entries?${asked}`, token).expect(200);
      const { entries: page, next } = body as Page;
      pages.push(page.map(({ seq }) => seq));
      entries.push(...page);
      if (next === null) return { pages, entries };
      place = typeof next === "number" ? { after: String(next) } : { cursor: next };
    }
  };
  // 0 opened the ledger; then each request with its outcome.
  expect(size).toBe(11);
  const oldest = await readAll({});
  expect(oldest.pages).toEqual([[0, 1, 2, 3, 4], [5, 6], [7], [8, 9, 10]]);
  expect(oldest.entries.map(({ seq }) => seq)).toEqual(Array.from({ length: size }, (_, seq) => seq));
  const bodies = oldest.entries.map(
    ({ attachments = [] }) => attachments.find(({ name }) => name === "body")?.content.length ?? 0,
  );
  expect(bodies.filter((length) => length > 4 * MIB)).toHaveLength(4);
  const newest = await readAll({ order: "newest" });
  expect(newest.entries).toEqual([...oldest.entries].reverse());
  expect(newest.pages).toEqual([[10, 9, 8], [7], [6, 5, 4, 3, 2], [1, 0]]);
  const found = await readAll({ filter: 'type eq "request"' });
  expect(found.pages).toEqual([[1, 3], [5], [7], [9]]);
  const backward = await readAll({ filter: 'type eq "request"', order: "newest" }, "scoped");
  expect(backward.pages.flat()).toEqual([9, 7, 5, 3, 1]);
  // Without attachments a page is as long as asked for.
  const { body } = await get(server, "/audit/v1/entries?limit=1000").expect(200);
  expect([body.entries.length, body.next]).toEqual([size, null]);
});

test("pages with attachments are made one at a time for one auditor, and not without end", async () => {
  const ledger = await makeSearched(database, "turns");
  onTestFinished(() => ledger.close());
  await ledger.write((writer) => join(writer, { id: "u-1", userName: "ada@example.com" }));
  await ledger.index();
  const { reader } = ledger.audit;
  let now = 0;
  let most = 0;
  const page: typeof reader.page = async (...asked) => {
    most = Math.max(most, ++now);
    try {
      return await reader.page(...asked);
    } finally {
      now--;
    }
  };
  Object.assign(ledger.audit, { reader: { page } });
  const { server } = serve([ledger]);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  onTestFinished(() => {
    server.close();
  });
  const asked = Array.from({ length: 24 }, () => get(server, "/audit/v1/entries?include=attachments"));
  const answers = await Promise.all(asked);
  const codes = answers.map(({ status, body }) => (status === 200 ? 200 : (body.code as Problem["code"])));
  expect(most).toBe(1);
  expect(codes.filter((code) => code === 200).length).toBeGreaterThanOrEqual(21);
  expect(codes.filter((code) => code !== 200 && code !== "rate_limited")).toEqual([]);
});
