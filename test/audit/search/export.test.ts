// Exports and the live stream over real sockets: what a spreadsheet must not take for a formula, whole results in
// constant memory, nothing before it is recorded, and a stream that goes on where it was.

import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { Problem } from "../../../src/audit/http/problem.ts";
import { CSV_HEADER, formatCsv } from "../../../src/audit/search/csv.ts";
import { newUuid } from "../../../src/nodeCrypto.ts";
import type { TransactionSummary } from "../../../src/storage/search/searchReader.ts";
import { MAX_COUNTED } from "../../../src/storage/search/searchSummary.ts";
import { intentOf, outcomeOf, pass } from "../../indexer/indexHarness.ts";
import { dropDatabase, makeDatabase, runSql, type TestDatabase, until } from "../../storage/writerHarness.ts";
import { get, makeAuditor, serve, TOKENS } from "../harness.ts";
import { join, makeSearched, type SearchedLedger } from "./searchLedger.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await makeDatabase();
});
afterAll(() => dropDatabase(database));

let count = 0;
async function makeDesk(): Promise<SearchedLedger> {
  const ledger = await makeSearched(database, `export${++count}`);
  onTestFinished(() => ledger.close());
  return ledger;
}

const ROW: TransactionSummary = {
  txn: "01900000-0000-7000-8000-000000000001",
  seq: 1,
  closedSeq: 2,
  time: "2026-01-02T03:04:05.678Z",
  connector: "okta",
  client: "c",
  method: "bearer",
  verb: "POST",
  action: "create",
  resourceType: "User",
  resourceId: null,
  name: null,
  effects: ["create", "role"],
  operations: null,
  operationsRefused: null,
  operationsUnknown: null,
  effectsUndone: null,
  outcome: "answered",
  status: 201,
  replied: 201,
  durationMs: 1.5,
  reason: null,
  isCut: false,
};

describe("CSV", () => {
  const field = (name: string) =>
    formatCsv([{ ...ROW, name }])
      .split(",POST,create,User,,")[1]
      ?.split(",create role")[0];

  test.each([
    ["ada", "ada"],
    ["=1+1", "'=1+1"],
    ["+1", "'+1"],
    ["-1", "'-1"],
    ["@SUM(A1)", "'@SUM(A1)"],
    ["\t=1", "\"'\t'=1\""],
    ["\tx", '"\'\tx"'],
    ["\rx", '"\'\rx"'],
    ["\nx", '"\'\nx"'],
    ["  =1", "'  =1"],
    ["＝1", "'＝1"],
    ['say "hi"', '"say ""hi"""'],
    ["a,b", '"a,b"'],
    ['=HYPERLINK("http://x","y")', '"\'=HYPERLINK(""http://x"",""y"")"'],
    ["two\r\nlines", '"two\r\nlines"'],
    [" padded ", '" padded "'],
    ["O'Neil-Smith", "O'Neil-Smith"],
    ["x;=1+1", "x;'=1+1"],
    ["x; +1;-2;y", "x; '+1;'-2;y"],
    ["x;＠SUM(A1)", "x;'＠SUM(A1)"],
    ['x;"=1"', '"x;""\'=1"""'],
    ["x\t=1", '"x\t\'=1"'],
    ["x\r\n@y", '"x\r\n\'@y"'],
    ["a;b-c", "a;b-c"],
  ])("%j stands as %s", (name, expected) => {
    expect(field(name)).toBe(expected);
  });

  test("a line has a field for each column", () => {
    expect(formatCsv([ROW])).toBe(
      "01900000-0000-7000-8000-000000000001,1,2,2026-01-02T03:04:05.678Z,okta,c,bearer,POST,create,User,,,create role,,answered,201,201,1.5,,false,,,\r\n",
    );
    expect(CSV_HEADER.split(",")).toHaveLength(23);
  });
});

test("an export holds the whole result, in constant pieces, in the order asked for", async () => {
  const ledger = await makeDesk();
  await ledger.write((writer) => join(writer, { id: "u-1", userName: "=ada@example.com" }));
  await ledger.index();
  // More than two pages of an export, made in the index alone.
  const many = 12_000;
  await runSql(
    database.urls.superuser,
    `INSERT INTO ledger_${ledger.name}.txn (seq, txn, closed_seq, time, connector, client, method, verb, action, resource_type, resource_id, account, effects, outcome, status, replied, duration_ms)
     SELECT 1000 + n * 2, gen_random_uuid(), 1001 + n * 2, now(), CASE n % 2 WHEN 0 THEN 'okta' ELSE 'entra' END, 'c', 'bearer', 'PUT', 'replace', 'User', 'u-1', (SELECT id FROM ledger_${ledger.name}.account LIMIT 1), '{replace}', 'answered', 200, 200, n
     FROM generate_series(1, ${many}) AS n`,
  );
  const { server, looks } = serve([ledger]);
  const csv = await get(server, "/audit/v1/transactions.csv?order=oldest");
  expect(csv.headers["content-type"]).toContain("text/csv");
  expect(csv.headers["content-disposition"]).toContain(`${ledger.name}-transactions.csv`);
  const lines = csv.text.split("\r\n");
  expect(lines).toHaveLength(many + 3);
  expect(`${lines[0]}\r\n`).toBe(CSV_HEADER);
  expect(lines[1]).toContain(",'=ada@example.com,");
  const seqs = lines.slice(1, -1).map((line) => Number(line.split(",")[1]));
  expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
  expect(new Set(seqs).size).toBe(many + 1);

  const ndjson = await get(
    server,
    `/audit/v1/transactions.ndjson?${new URLSearchParams({ filter: 'connector eq "entra"' })}`,
  )
    .buffer(true)
    .parse((response, done) => {
      let text = "";
      response.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on("end", () => done(null, text));
    });
  const rows = String(ndjson.body)
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(rows).toHaveLength(many / 2);
  expect(rows[0].seq).toBeGreaterThan(rows[1].seq);
  expect(rows.every(({ connector }) => connector === "entra")).toBe(true);
  expect(looks.map(({ kind, facts }) => [kind, facts])).toEqual([
    ["csv", undefined],
    ["ndjson", { filter: 'connector eq "entra"' }],
  ]);

  const { body } = await get(server, "/audit/v1/facets");
  expect(many).toBeLessThan(MAX_COUNTED);
  expect([body.counted, body.isCapped]).toEqual([many + 1, false]);
});

test("an export that cannot be recorded gives nothing out, and one that cannot be made is not recorded", async () => {
  const ledger = await makeDesk();
  await ledger.write((writer) => join(writer, { id: "u-1", userName: "ada@example.com" }));
  await ledger.index();
  const { server, context, looks } = serve([ledger]);
  const { body } = await get(server, "/audit/v1/transactions.csv?filter=foo");
  expect([body.code, looks]).toEqual(["invalid_filter", []]);
  await get(server, "/audit/v1/transactions.csv").expect(200);
  expect(looks).toHaveLength(1);
  context.exporting = async () => {
    throw new Problem("not_recorded", "not now");
  };
  const refused = await get(server, "/audit/v1/transactions.csv");
  expect([refused.status, refused.body.code, refused.text]).toEqual([
    503,
    "not_recorded",
    expect.not.stringContaining("ada"),
  ]);
});

describe("exports", () => {
  /** A listener, and a result of many pages. */
  async function listen() {
    const ledger = await makeDesk();
    await ledger.write((writer) => join(writer, { id: "u-1", userName: "ada@example.com" }));
    await ledger.index();
    await runSql(
      database.urls.superuser,
      `INSERT INTO ledger_${ledger.name}.txn (seq, txn, time, connector, client, method, verb, action, resource_type, effects, outcome)
       SELECT 1000 + n, gen_random_uuid(), now(), 'okta', repeat('c', 2000), 'bearer', 'PUT', 'replace', 'User', '{replace}', 'open'
       FROM generate_series(1, 20000) AS n`,
    );
    const { server, context } = serve([ledger]);
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    const ask = (signal?: AbortSignal) =>
      fetch(`http://127.0.0.1:${port}/audit/v1/transactions.ndjson`, {
        headers: { authorization: `Bearer ${TOKENS.all}` },
        ...(signal && { signal }),
      });
    return { ask, context };
  }

  test("run two at once for one auditor; one whose reader has gone is over", async () => {
    const { ask } = await listen();
    const gone = new AbortController();
    // Neither is read: what does not fit into the sockets waits.
    const running = [await ask(gone.signal), await ask(gone.signal)];
    expect(running.map(({ status }) => status)).toEqual([200, 200]);
    const third = await ask();
    expect([third.status, ((await third.json()) as { code: string }).code]).toEqual([429, "rate_limited"]);
    gone.abort();
    await vi.waitFor(async () => {
      const again = await ask();
      expect(again.status).toBe(200);
      await again.body?.cancel();
    }, 5_000);
  });

  test("end in the middle when the token ends, and do not look whole", async () => {
    const { ask, context } = await listen();
    const answer = await ask();
    const reader = answer.body?.getReader();
    expect((await reader?.read())?.done).toBe(false);
    context.authenticate = () => undefined;
    const rest = async () => {
      for (;;) if ((await reader?.read())?.done !== false) return;
    };
    await expect(rest()).rejects.toThrow("terminated");
  });
});

test("an evidence pack ends in the middle when the token ends, and is none if it ended before", async () => {
  const ledger = await makeDesk();
  await ledger.grow(20);
  await ledger.publish();
  const { server, context, looks } = serve([ledger]);
  const { authenticate } = context;
  const path = `/audit/v1/ledgers/${ledger.name}/evidence`;
  let left = 4;
  context.authenticate = (authorization) => (left-- > 0 ? authenticate(authorization) : undefined);
  await expect(get(server, path).buffer()).rejects.toThrow("aborted");
  expect(looks).toHaveLength(1);
  left = 1;
  const refused = await get(server, path);
  expect([refused.status, refused.body.code]).toEqual([401, "unauthenticated"]);
  expect(looks).toHaveLength(1);
});

describe("live", () => {
  interface Event {
    id: number;
    row: TransactionSummary;
  }

  async function listen(ledger: SearchedLedger) {
    const { server, context } = serve([ledger]);
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    return { base: `http://127.0.0.1:${port}`, context };
  }

  /** Reads events until there are so many; then hangs up. */
  async function read(
    url: string,
    wanted: number,
    headers: Record<string, string> = {},
    begun?: (events: readonly Event[]) => Promise<void>,
  ) {
    const gone = new AbortController();
    const response = await fetch(url, {
      headers: { authorization: `Bearer ${TOKENS.all}`, ...headers },
      signal: gone.signal,
    });
    expect([response.status, response.headers.get("content-type")]).toEqual([
      200,
      "text/event-stream; charset=utf-8",
    ]);
    const events: Event[] = [];
    const working = begun?.(events);
    let text = "";
    const decoder = new TextDecoder();
    try {
      for await (const chunk of response.body ?? []) {
        text += decoder.decode(chunk as Uint8Array, { stream: true });
        for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
          const found = /^id: (\d+)\ndata: (.*)$/s.exec(text.slice(0, end));
          text = text.slice(end + 2);
          if (found) events.push({ id: Number(found[1]), row: JSON.parse(found[2] ?? "") });
        }
        if (events.length >= wanted) break;
      }
    } finally {
      gone.abort();
    }
    await working;
    return events;
  }

  test("what comes is sent as it comes, and again with its outcome", async () => {
    const ledger = await makeDesk();
    await ledger.write((writer) => join(writer, { id: "u-0", userName: "before@example.com" }));
    await ledger.index();
    const { base } = await listen(ledger);
    const txn = newUuid();
    const events = await read(
      `${base}/audit/v1/live?${new URLSearchParams({ filter: 'connector eq "okta"' })}`,
      3,
      {},
      async (events) => {
        await ledger.write(async (writer) => {
          const intent = await writer.append(intentOf({ method: "DELETE", path: "/Users/u-0", txn }));
          await ledger.index();
          await until(() => events.length === 1, "the intent is seen");
          await writer.append(outcomeOf(intent, { status: 204 }));
          await pass(writer, { method: "DELETE", path: "/Users/u-8", connector: "hr" }, { status: 204 });
          await join(writer, { id: "u-1", userName: "after@example.com" });
          await ledger.index();
        });
      },
    );
    expect(events.map(({ row }) => [row.outcome, row.name])).toEqual([
      ["open", "before@example.com"],
      ["answered", "before@example.com"],
      ["answered", "after@example.com"],
    ]);
    expect(events.map(({ id, row }) => id === (row.closedSeq ?? row.seq))).toEqual([true, true, true]);
  });

  test("a reader that was away goes on behind the last event, with nothing left out or twice", async () => {
    const ledger = await makeDesk();
    await ledger.write(async (writer) => {
      const open = await writer.append(intentOf({ method: "DELETE", path: "/Users/u-9" }));
      for (let n = 0; n < 5; n++) await join(writer, { id: `u-${n}`, userName: `user${n}@example.com` });
      await writer.append(outcomeOf(open, { status: 404 }));
    });
    await ledger.index();
    const { base } = await listen(ledger);
    const url = `${base}/audit/v1/live`;
    const all = await read(`${url}?after=-1`, 6);
    expect(all.map(({ id }) => id)).toEqual(all.map(({ id }) => id).sort((a, b) => a - b));
    for (const [index, { id }] of all.slice(0, -1).entries()) {
      const rest = await read(url, all.length - index - 1, { "last-event-id": String(id) });
      expect(rest).toEqual(all.slice(index + 1));
    }
    const wrong = await fetch(url, {
      headers: { authorization: `Bearer ${TOKENS.all}`, "last-event-id": "x" },
    });
    expect([wrong.status, ((await wrong.json()) as { code: string }).code]).toEqual([
      400,
      "invalid_parameter",
    ]);
  });

  test("a place that the ledger does not have is refused with what to do; its last entry is none of these", async () => {
    const ledger = await makeDesk();
    await ledger.write((writer) => join(writer, { id: "u-old", userName: "old@example.com" }));
    await ledger.index();
    const { base } = await listen(ledger);
    const url = `${base}/audit/v1/live`;
    const size = await ledger.size();
    const authorization = `Bearer ${TOKENS.all}`;
    for (const [query, id, detail] of [
      ["", String(size), `Last-Event-ID: the ledger has no entry ${size}, its last is ${size - 1};`],
      [`?after=${size + 7}`, "", `after: the ledger has no entry ${size + 7}, its last is ${size - 1};`],
      ["?after=1", "900000000000000", "Last-Event-ID: the ledger has no entry 900000000000000,"],
    ] as const) {
      const response = await fetch(url + query, {
        headers: { authorization, ...(id && { "last-event-id": id }) },
      });
      expect(response.status).toBe(400);
      const problem = (await response.json()) as { code: string; detail: string };
      expect(problem.code).toBe("invalid_parameter");
      expect(problem.detail).toContain(detail);
      expect(problem.detail).toMatch(/begin anew without (?:Last-Event-ID|after)$/);
    }
    const events = await read(url, 1, { "last-event-id": String(size - 1) }, async () => {
      await ledger.write((writer) => join(writer, { id: "u-new", userName: "new@example.com" }));
      await ledger.index();
    });
    expect(events[0]?.id).toBeGreaterThanOrEqual(size);
  });

  test("a stream for names looks through them every few seconds, and leaves nothing out", async () => {
    const ledger = await makeDesk();
    await ledger.write((writer) => join(writer, { id: "u-x", userName: "other@example.com" }));
    await ledger.index();
    const { base } = await listen(ledger);
    const looked = vi.spyOn(ledger.audit.search, "changes");
    const begunAt = performance.now();
    const filter = new URLSearchParams({ filter: 'userName sw "user"' });
    const events = await read(`${base}/audit/v1/live?${filter}`, 5, {}, async () => {
      for (let n = 0; n < 5; n++) {
        await ledger.write((writer) => join(writer, { id: `u-${n}`, userName: `user${n}@example.com` }));
        await ledger.index();
        await sleep(450);
      }
    });
    expect(events.map(({ row }) => row.resourceId)).toEqual(["u-0", "u-1", "u-2", "u-3", "u-4"]);
    const times = Math.floor((performance.now() - begunAt) / 3_000) + 1;
    expect(looked.mock.calls.length).toBeLessThanOrEqual(times);
  });

  test("an auditor has five streams, and another has his own", async () => {
    const ledger = await makeDesk();
    await ledger.write((writer) => join(writer, { id: "u-0", userName: "a@example.com" }));
    await ledger.index();
    const { base, context } = await listen(ledger);
    const { authenticate } = context;
    context.authenticate = (authorization) =>
      authorization === "Bearer other" ? makeAuditor("other") : authenticate(authorization);
    const begin = async (token: string) => {
      const gone = new AbortController();
      const response = await fetch(`${base}/audit/v1/live`, {
        headers: { authorization: `Bearer ${token}` },
        signal: gone.signal,
      });
      if (response.status !== 200) return { response, hangUp: () => gone.abort() };
      // It counts from its first words on.
      await response.body?.getReader().read();
      return { response, hangUp: () => gone.abort() };
    };
    const running = [];
    for (let n = 0; n < 5; n++) running.push(await begin(TOKENS.all));
    expect(running.map(({ response }) => response.status)).toEqual(Array(5).fill(200));
    const { response: sixth } = await begin(TOKENS.all);
    expect([sixth.status, await sixth.json()]).toEqual([
      429,
      expect.objectContaining({ code: "rate_limited", detail: expect.stringMatching(/^5 live streams/) }),
    ]);
    running.push(await begin("other"));
    expect(running.at(-1)?.response.status).toBe(200);
    running[0]?.hangUp();
    await until(async () => {
      const again = await begin(TOKENS.all);
      running.push(again);
      return again.response.status === 200;
    }, "a place is free again");
    for (const { hangUp } of running) hangUp();
  });

  test("a stream ends when its reader is not let in any more", async () => {
    const ledger = await makeDesk();
    await ledger.write((writer) => join(writer, { id: "u-0", userName: "a@example.com" }));
    await ledger.index();
    const { base, context } = await listen(ledger);
    const response = await fetch(`${base}/audit/v1/live`, {
      headers: { authorization: `Bearer ${TOKENS.all}` },
    });
    context.authenticate = () => undefined;
    await ledger.write((writer) => join(writer, { id: "u-1", userName: "secret@example.com" }));
    await ledger.index();
    expect(await response.text()).not.toContain("secret");
  });
});
