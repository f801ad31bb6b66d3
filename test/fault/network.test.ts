// The writer on a network that breaks at every byte, delivers late or not at all, and a server that answers with a
// reservation. Whatever happens: what was promised is in the ledger, and what was refused is absent or closed.

import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { LedgerWriter } from "../../src/storage/writer/writer.ts";
import {
  countingLog,
  dropDatabase,
  expectSound,
  fateOf,
  intentDraft,
  makeDatabase,
  makeLedger,
  outcomeDraft,
  outcomesOf,
  passOne,
  querySql,
  type TestDatabase,
  type TestLedger,
  until,
} from "../storage/writerHarness.ts";
import {
  type Direction,
  FaultyPostgres,
  type Frame,
  noticeFrame,
  readyFrame,
} from "../support/faultyPostgres.ts";

let database: TestDatabase;
let network: FaultyPostgres;
beforeAll(async () => {
  database = await makeDatabase();
});
afterAll(() => dropDatabase(database));
beforeEach(async () => {
  network = await FaultyPostgres.start(database.urls.writer);
});
afterEach(() => network.close());

let log: ReturnType<typeof countingLog>;
beforeEach(() => {
  log = countingLog();
});

/** Waits for the end of an append; if it was refused, until the writer has come back by itself and closed what it must. */
async function settle(
  writer: LedgerWriter,
  append: Promise<unknown>,
  on: { network: FaultyPostgres; log: { readonly ready: number } } = { network, log },
): Promise<string> {
  const before = on.log.ready;
  const fate = await fateOf(append);
  on.network.heal();
  if (fate !== "recorded") await until(() => on.log.ready > before, "back again");
  await until(() => writer.status.ready && writer.openTransactions === 0, "settled");
  return fate;
}

/** What a ledger must hold of appends whose promises ended so. */
async function expectKept(ledger: TestLedger, fates: ReadonlyMap<string, string>): Promise<void> {
  const outcomes = await outcomesOf(ledger);
  for (const [txn, fate] of fates) {
    const found = outcomes.get(txn);
    if (fate === "recorded") expect(found, txn).toEqual(["answered"]);
    else expect([undefined, ["not_sent/append_unproved"]], `${txn} ${fate}`).toContainEqual(found);
  }
  await expectSound(ledger);
}

/** So many networks, each with a ledger of its own, are cut side by side: most of the time goes into connecting again. */
const LANES = 4;

/** Cuts at every so-manieth byte of an intent's exchange, beginning with `first`; how many bytes there are. */
async function cutAtBytes(direction: Direction, first: number, stride: number): Promise<number> {
  const own = { network: await FaultyPostgres.start(database.urls.writer), log: countingLog() };
  try {
    const ledger = await makeLedger(database, own.network.url);
    const writer = await ledger.writer({ log: own.log });
    await passOne(writer);
    own.network.heal();
    const intent = await writer.append(intentDraft());
    const size = own.network.passed[direction];
    await writer.append(outcomeDraft(intent));
    const fates = new Map<string, string>();
    for (let afterBytes = first; afterBytes < size; afterBytes += stride) {
      const draft = intentDraft();
      own.network.set({ kind: "cut", direction, afterBytes });
      const passing = writer.append(draft).then((recorded) => {
        own.network.heal();
        return writer.append(outcomeDraft(recorded));
      });
      fates.set(draft.body.txn, await settle(writer, passing, own));
    }
    expect(new Set(fates.values())).toContain("database_unreachable");
    await expectKept(ledger, fates);
    await writer.stop();
    return size;
  } finally {
    await own.network.close();
  }
}

// case 82
test.for<Direction>(["toServer", "toClient"])(
  "cut at each byte of the intent's exchange, %s: promised is recorded, refused is closed",
  { timeout: 120_000 },
  async (direction) => {
    const sizes = await Promise.all(
      Array.from({ length: LANES }, (_, lane) => cutAtBytes(direction, lane, LANES)),
    );
    // Every byte that there is has had its turn.
    expect(Math.min(...sizes)).toBeGreaterThan(direction === "toServer" ? 1_000 : 30);
  },
);

// case 82
test("cut inside the exchange of an outcome, the transaction ends once, and never better than it was told", async () => {
  const ledger = await makeLedger(database, network.url);
  const writer = await ledger.writer({ log });
  await passOne(writer);
  const told = new Map<string, string>();
  for (const direction of ["toServer", "toClient"] as const) {
    for (const afterBytes of [0, 1, 5, 40, 60, 400, 800, 880]) {
      const intent = await writer.append(intentDraft());
      network.set({ kind: "cut", direction, afterBytes });
      told.set(intent.draft.body.txn, await settle(writer, writer.append(outcomeDraft(intent))));
    }
  }
  const outcomes = await outcomesOf(ledger);
  for (const [txn, fate] of told) {
    const [outcome] = outcomes.get(txn) ?? [];
    if (fate === "recorded") expect(outcome).toBe("answered");
    else expect(["answered", "unknown/outcome_not_recorded"]).toContain(outcome);
  }
  expect([...told.values()]).toContain("database_unreachable");
  await expectSound(ledger);
});

// case 82
test("byte by byte everything arrives", async () => {
  network.set({ kind: "slices" });
  const ledger = await makeLedger(database, network.url);
  const writer = await ledger.writer({ log });
  await Promise.all(Array.from({ length: 5 }, () => passOne(writer)));
  await expectSound(ledger);
});

// case 82
test.for([0, 300, 1_000])(
  "an insert held back after %i bytes and delivered after the refusal changes nothing",
  async (afterBytes) => {
    const ledger = await makeLedger(database, network.url);
    const writer = await ledger.writer({ log, appendDeadlineMs: 250 });
    await passOne(writer);
    const draft = intentDraft();
    network.set({ kind: "hold", afterBytes });
    expect(await settle(writer, writer.append(draft))).toBe("database_slow");
    // The old session still lives on the server and now gets the rest of the statement.
    network.release();
    await until(
      async () => (await querySql(database.urls.superuser, sessionsOf(ledger))).length === 1,
      "the old session ended",
    );
    expect((await outcomesOf(ledger)).has(draft.body.txn)).toBe(false);
    await passOne(writer);
    await expectSound(ledger);
  },
);

function sessionsOf({ name }: TestLedger): string {
  return `SELECT pid FROM pg_stat_activity WHERE application_name = 'scimseal ${name}'`;
}

test("an intent committed while nobody could hear it is closed as not sent", async () => {
  const ledger = await makeLedger(database, network.url);
  const writer = await ledger.writer({ log, appendDeadlineMs: 250 });
  await passOne(writer);
  const draft = intentDraft();
  // Everything reaches the server, no answer comes back.
  network.set({ kind: "rewrite", toClient: () => Buffer.alloc(0) });
  expect(await settle(writer, writer.append(draft))).toBe("database_slow");
  await expectKept(ledger, new Map([[draft.body.txn, "database_slow"]]));
  expect((await outcomesOf(ledger)).get(draft.body.txn)).toEqual(["not_sent/append_unproved"]);
});

test("a network that swallows everything is noticed while idle, and every append is answered by its deadline", async () => {
  const ledger = await makeLedger(database, network.url);
  const writer = await ledger.writer({ log, appendDeadlineMs: 400 });
  await passOne(writer);
  network.set({ kind: "swallow" });
  await until(() => !writer.status.ready, "noticed", 2_000);
  // New connections are swallowed at every step of their set-up as well.
  for (let i = 0; i < 5; i++) {
    const startedAt = performance.now();
    expect(await fateOf(writer.append(intentDraft()))).not.toBe("recorded");
    expect(performance.now() - startedAt).toBeLessThan(400 + 250);
  }
  network.heal();
  network.cutAll();
  await until(() => writer.status.ready, "back again");
  await passOne(writer);
  await expectSound(ledger);
});

test("a connection that goes silent at any step of its set-up is given up, and the next one serves", async () => {
  const ledger = await makeLedger(database, network.url);
  const writer = await ledger.writer({ log, appendDeadlineMs: 150 });
  await passOne(writer);
  network.heal();
  network.cutAll();
  await until(() => network.passed.toServer > 0 && writer.status.ready, "connected again");
  await passOne(writer);
  const setUpBytes = network.passed.toServer;
  for (let afterBytes = 1; afterBytes < setUpBytes; afterBytes += 331) {
    network.set({ kind: "hold", afterBytes });
    network.cutAll();
    await until(() => network.isHolding, "silent");
    await until(async () => (await fateOf(passOne(writer))) === "recorded", "serves again");
    network.dropHeld();
  }
  await until(() => writer.openTransactions === 0, "closed");
  await expectSound(ledger);
});

test("a stop on a network that swallows everything ends all the same", async () => {
  const ledger = await makeLedger(database, network.url);
  const writer = await ledger.writer({ log, appendDeadlineMs: 300 });
  const waiting = fateOf(passOne(writer));
  await waiting;
  network.set({ kind: "swallow" });
  const refused = fateOf(writer.append(intentDraft()));
  const startedAt = performance.now();
  await writer.stop();
  expect(performance.now() - startedAt).toBeLessThan(3_000);
  expect(await refused).not.toBe("recorded");
});

// The wait for a synchronous standby was cancelled: the row is there, but perhaps nowhere else.
test.for(["before CommandComplete", "between CommandComplete and ReadyForQuery"])(
  "a WARNING %s is no proof: refused, and closed when there is one",
  async (place) => {
    const ledger = await makeLedger(database, network.url);
    const writer = await ledger.writer({ log, appendDeadlineMs: 500 });
    await passOne(writer);
    const draft = intentDraft();
    const warning = noticeFrame(
      "WARNING",
      "01000",
      "canceling wait for synchronous replication due to user request",
    );
    const before = place.startsWith("before") ? "C" : "Z";
    network.set({
      kind: "rewrite",
      toClient: ({ type, frame }: Frame) => (type === before ? Buffer.concat([warning, frame]) : frame),
    });
    expect(await fateOf(writer.append(draft))).toBe("not_durable");
    // Visible all the time, and still not settled: reading it back proves nothing.
    await sleep(100);
    expect(writer.status).toMatchObject({ ready: false, code: "not_durable" });
    expect((await outcomesOf(ledger)).get(draft.body.txn)).toEqual([]);
    network.heal();
    await until(() => writer.status.ready && writer.openTransactions === 0, "settled");
    await expectKept(ledger, new Map([[draft.body.txn, "not_durable"]]));
  },
);

test("a NOTICE is no reason to refuse", async () => {
  const ledger = await makeLedger(database, network.url);
  const writer = await ledger.writer({ log });
  const notice = noticeFrame("NOTICE", "00000", "identifier will be truncated");
  network.set({
    kind: "rewrite",
    toClient: ({ type, frame }) => (type === "Z" ? Buffer.concat([notice, frame]) : frame),
  });
  await passOne(writer);
  await expectSound(ledger);
});

test.for(["T", "E"] as const)("ReadyForQuery with status %s is no proof of a commit", async (status) => {
  const ledger = await makeLedger(database, network.url);
  const writer = await ledger.writer({ log, appendDeadlineMs: 500 });
  await passOne(writer);
  const draft = intentDraft();
  network.set({
    kind: "rewrite",
    toClient: ({ type, frame }) => (type === "Z" ? readyFrame(status) : frame),
  });
  expect(await settle(writer, writer.append(draft))).toBe("database_error");
  await expectKept(ledger, new Map([[draft.body.txn, "database_error"]]));
});

test("a real synchronous standby that is not there: refused, unready, and closed once it is no longer waited for", async () => {
  const ledger = await makeLedger(database, network.url);
  const writer = await ledger.writer({ log, appendDeadlineMs: 500 });
  await passOne(writer);
  const draft = intentDraft();
  await ledger.sql("ALTER SYSTEM SET synchronous_standby_names = 'ghost'");
  await ledger.sql("SELECT pg_reload_conf()");
  try {
    await sleep(100);
    expect(["database_slow", "not_durable"]).toContain(await fateOf(writer.append(draft)));
    await until(() => !writer.status.ready, "unready");
    await sleep(1_200);
    expect(writer.status.ready).toBe(false);
  } finally {
    await ledger.sql("ALTER SYSTEM RESET synchronous_standby_names");
    await ledger.sql("SELECT pg_reload_conf()");
  }
  await until(() => writer.status.ready && writer.openTransactions === 0, "settled");
  await expectKept(ledger, new Map([[draft.body.txn, "database_slow"]]));
});

test("an instance cut off and buried gets already_closed for its late outcome and goes on under a new id", async () => {
  const ledger = await makeLedger(database, network.url);
  const zombie = await ledger.writer({ log });
  const heir = await ledger.writer({ database: { connectionString: database.urls.writer, requireSync: [] } });
  const intent = await zombie.append(intentDraft());
  const doubtful = intentDraft();
  const before = zombie.instance;
  network.set({ kind: "swallow" });
  const lost = fateOf(zombie.append(doubtful));
  await querySql(
    database.urls.superuser,
    `SELECT pg_terminate_backend(a.pid, 2000) FROM pg_stat_activity a JOIN pg_locks l USING (pid)
     WHERE l.locktype = 'advisory' AND a.application_name = 'scimseal ${ledger.name}' AND a.client_port IS NOT NULL
       AND l.objid = (SELECT (lock_key & 4294967295)::oid FROM ${ledger.schema}.instance WHERE id = '${before}')`,
  );
  await ledger.recover(heir);
  expect((await outcomesOf(ledger)).get(intent.draft.body.txn)).toEqual(["unknown/instance_lost"]);
  expect(await lost).not.toBe("recorded");
  network.heal();
  network.cutAll();
  await until(() => log.ready === 2, "the zombie connected again");
  expect(zombie.instance).not.toBe(before);
  expect(await fateOf(zombie.append(outcomeDraft(intent)))).toBe("already_closed");
  const txn = await passOne(zombie);
  const mine = (await ledger.entries()).find(({ claims }) => claims.type === "request" && claims.txn === txn);
  expect(mine?.claims.instance).toBe(zombie.instance);
  // The heir is not the zombie's undertaker any more: what the zombie opens now is its own.
  const kept = await zombie.append(intentDraft());
  await ledger.recover(heir);
  await zombie.append(outcomeDraft(kept));
  await expectSound(ledger);
});
