// The writer on a healthy network: what it promises for one entry, for many at once, for several instances, and when
// PostgreSQL itself says no.

import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createSigner, generateKey } from "../../../src/keys/signer.ts";
import { parsePublicJwk } from "../../../src/ledger/key.ts";
import { newUuid } from "../../../src/nodeCrypto.ts";
import { LedgerWriter } from "../../../src/storage/writer/writer.ts";
import { ofType } from "../../support/system.ts";
import {
  dropDatabase,
  eventsOf,
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
} from "../writerHarness.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await makeDatabase();
});
afterAll(() => dropDatabase(database));

/** Makes the next `times` inserts of entries fail with this SQLSTATE; a sequence counts, since it never rolls back. */
async function failInserts(ledger: TestLedger, sqlstate: string, times: number): Promise<void> {
  await ledger.sql(`
    CREATE SEQUENCE ${ledger.schema}.faults;
    GRANT USAGE ON SEQUENCE ${ledger.schema}.faults TO scimseal_writer;
    CREATE FUNCTION ${ledger.schema}.fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF nextval('${ledger.schema}.faults') <= ${times} THEN RAISE EXCEPTION 'injected' USING ERRCODE = '${sqlstate}'; END IF;
      RETURN NEW;
    END $$;
    CREATE TRIGGER fault BEFORE INSERT ON ${ledger.schema}.entry_000000 FOR EACH STATEMENT EXECUTE FUNCTION ${ledger.schema}.fault()`);
}

test("an append resolves to its place, and the database holds it by then", async () => {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  const draft = intentDraft();
  const recorded = await writer.append(draft);
  expect(recorded).toMatchObject({ draft, seq: 1 });
  const [row] = await querySql(database.urls.reader, `SELECT txn FROM ${ledger.schema}.entry WHERE seq = 1`);
  expect(row).toEqual({ txn: draft.body.txn });
  expect(writer.openTransactions).toBe(1);
  await writer.append(outcomeDraft(recorded));
  expect(writer.openTransactions).toBe(0);
  expect(writer.size).toBe(3);
  await expectSound(ledger);
});

test("entries appended together are one chain in the order of appending", async () => {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  const txns = Array.from({ length: 600 }, () => newUuid());
  const recorded = await Promise.all(txns.map((txn) => writer.append(intentDraft(txn))));
  expect(recorded.map(({ seq }) => seq)).toEqual(txns.map((_, i) => i + 1));
  await Promise.all(recorded.map((intent) => writer.append(outcomeDraft(intent))));
  await expectSound(ledger);
});

test("with others under way a batch waits for those who come in the same turn of the event loop", async () => {
  const ledger = await makeLedger(database);
  const batches: number[] = [];
  const observer = {
    batchCommitted: (entries: readonly { seq: number }[]) => void batches.push(entries.length),
  };
  const writer = await ledger.writer({ observer });
  const intents = await Promise.all([writer.append(intentDraft()), writer.append(intentDraft())]);
  batches.length = 0;
  await new Promise((resolve) => setImmediate(resolve));
  const appends: Promise<unknown>[] = [];
  for (const intent of intents)
    for (const draft of [intentDraft(), outcomeDraft(intent)]) {
      appends.push(writer.append(draft));
      for (let hop = 0; hop < 20; hop++) await Promise.resolve();
    }
  await Promise.all(appends);
  expect(batches).toEqual([4]);
  // Whoever goes on coming, turn by turn, is not waited for without end.
  batches.length = 0;
  const many = Array.from({ length: 50 }, async (_, i) => {
    for (let turn = 0; turn < i; turn++) await new Promise((resolve) => setImmediate(resolve));
    await writer.append(intentDraft());
  });
  await Promise.all(many);
  expect(Math.max(...batches)).toBeLessThan(50);
});

// case 68
test("the same request twice is two entries with two ids", async () => {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  const [one, two] = await Promise.all([writer.append(intentDraft()), writer.append(intentDraft())]);
  expect(one.id).not.toBe(two.id);
  const [, first, second] = await ledger.entries();
  expect(first?.row.attachments?.[0]?.salt).not.toEqual(second?.row.attachments?.[0]?.salt);
  await Promise.all([writer.append(outcomeDraft(one)), writer.append(outcomeDraft(two))]);
  await expectSound(ledger);
});

test("an entry that no leaf can hold is refused alone; those beside it are recorded", async () => {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  const big = intentDraft();
  big.body.http.path = `/Users/${"x".repeat(70_000)}`;
  const fates = [intentDraft(), big, intentDraft()].map((draft) => fateOf(writer.append(draft)));
  expect(await Promise.all(fates)).toEqual(["recorded", "entry_too_large", "recorded"]);
  const { findings, size } = await ledger.verify();
  expect({ findings, size }).toEqual({ findings: [], size: 3 });
});

test("a second outcome for one transaction is refused, and the first stands", async () => {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  const intent = await writer.append(intentDraft());
  await writer.append(outcomeDraft(intent));
  const beside = writer.append(intentDraft());
  expect(await fateOf(writer.append(outcomeDraft(intent, "unknown")))).toBe("already_closed");
  await writer.append(outcomeDraft(await beside));
  expect((await outcomesOf(ledger)).get(intent.draft.body.txn)).toEqual(["answered"]);
  await expectSound(ledger);
});

// case 60
test("two writers and 500 writes at once make one chain without a gap", async () => {
  const ledger = await makeLedger(database);
  const writers = [await ledger.writer(), await ledger.writer()];
  const txns = await Promise.all(
    Array.from({ length: 500 }, (_, i) => passOne(writers[i % 2] ?? expect.fail("no writer"))),
  );
  const { size, findings } = await ledger.verify();
  // Two entries a write and the one that opened the ledger.
  expect({ size, findings }).toEqual({ size: 1001, findings: [] });
  expect(new Set((await outcomesOf(ledger)).keys())).toEqual(new Set(txns));
  const instances = new Set(ofType(await ledger.entries(), "request").map(({ claims }) => claims.instance));
  expect(instances.size).toBe(2);
  await expectSound(ledger);
});

// case 83
test.for(["40P01", "40001"])("SQLSTATE %s is tried again and leaves one intent", async (sqlstate) => {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  await failInserts(ledger, sqlstate, 3);
  const txn = await passOne(writer);
  expect([...(await outcomesOf(ledger))]).toEqual([[txn, ["answered"]]]);
  expect(writer.size).toBe(3);
  await expectSound(ledger);
});

// case 83
test("a deadlock that does not end is given up: refused, and not recorded", async () => {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  await failInserts(ledger, "40P01", 1_000_000);
  expect(await fateOf(writer.append(intentDraft()))).toBe("overloaded");
  expect((await ledger.verify()).size).toBe(1);
  await ledger.sql(`DROP TRIGGER fault ON ${ledger.schema}.entry_000000`);
  await until(() => writer.status.ready, "ready again");
  await passOne(writer);
  await expectSound(ledger);
});

// case 77, where no full disk can be had
test("a full disk refuses the intent; an outcome it refused becomes unknown when there is space again", async () => {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer({ appendDeadlineMs: 500 });
  const intent = await writer.append(intentDraft());
  await failInserts(ledger, "53100", 1_000_000);
  expect(await fateOf(writer.append(outcomeDraft(intent)))).toBe("database_error");
  for (let i = 0; i < 20; i++) {
    expect(await fateOf(writer.append(intentDraft()))).toBe("database_error");
    expect(writer.status).toMatchObject({ ready: false, code: "database_error" });
  }
  await ledger.sql(`DROP TRIGGER fault ON ${ledger.schema}.entry_000000`);
  await until(() => writer.openTransactions === 0, "the outcome closed");
  expect([...(await outcomesOf(ledger)).values()]).toEqual([["unknown/outcome_not_recorded"]]);
  await passOne(writer);
  await expectSound(ledger);
});

// case 81
test("terminating every backend loses nothing that was promised", async () => {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  const fates: Promise<string>[] = [];
  const promised = new Set<string>();
  for (let round = 0; round < 3; round++) {
    const passing = Array.from({ length: 40 }, async () => {
      const draft = intentDraft();
      const fate = await fateOf(writer.append(draft).then((intent) => writer.append(outcomeDraft(intent))));
      if (fate === "recorded") promised.add(draft.body.txn);
      return fate;
    });
    fates.push(...passing);
    await querySql(
      database.urls.superuser,
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'scimseal ${ledger.name}'`,
    );
    await Promise.all(passing);
    await until(() => writer.status.ready && writer.openTransactions === 0, "settled");
  }
  const outcomes = await outcomesOf(ledger);
  for (const txn of promised) expect(outcomes.get(txn)).toEqual(["answered"]);
  expect(promised.size).toBeGreaterThan(0);
  await expectSound(ledger);
});

// case 67
test("a clock that jumps is recorded as an anomaly, and neither order nor deadline depends on it", async () => {
  const ledger = await makeLedger(database);
  let shift = 0;
  const writer = await ledger.writer({ now: () => Date.now() + shift });
  await passOne(writer);
  for (const jump of [-3_600_000, 365 * 86_400_000]) {
    shift += jump;
    const startedAt = performance.now();
    await passOne(writer);
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  }
  const entries = await ledger.entries();
  const events = ofType(entries, "event").map(({ claims }) => claims.event);
  const [, back, forth] = events;
  expect(events.length).toBe(3);
  expect(back).toMatchObject({ name: "clock-anomaly", kind: "stepped" });
  expect(forth).toMatchObject({ name: "clock-anomaly", kind: "stepped" });
  expect(Number(back?.byMs) / -3_600_000).toBeCloseTo(1, 2);
  const ids = entries.map(({ claims }) => claims.id);
  expect(ids).toEqual(ids.toSorted());
  await expectSound(ledger);
});

// case 67
test("an instance whose clock stands behind the ledger says so once, and goes on", async () => {
  const ledger = await makeLedger(database);
  await passOne(await ledger.writer());
  const frozen = Date.now() - 3_600_000;
  const writer = await ledger.writer({ now: () => frozen });
  await passOne(writer);
  await passOne(writer);
  expect((await eventsOf(ledger)).filter((name) => name === "clock-anomaly")).toHaveLength(1);
  await expectSound(ledger);
});

test("after a stop nothing is open, nothing is taken, and no recovery finds anything to do", async () => {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  await passOne(writer);
  await writer.stop();
  expect(await fateOf(writer.append(intentDraft()))).toBe("stopped");
  const other = await ledger.writer();
  const size = other.size;
  await ledger.recover(other);
  expect(other.size).toBe(size);
});

test("what waits when a stop begins is still recorded", async () => {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  const intents = Array.from({ length: 300 }, () => writer.append(intentDraft()));
  const [recorded] = await Promise.all([Promise.all(intents), writer.stop()]);
  expect(recorded.length).toBe(300);
  const other = await ledger.writer();
  await ledger.recover(other);
  const outcomes = [...(await outcomesOf(ledger)).values()].flat();
  expect(outcomes).toEqual(Array(300).fill("unknown/instance_lost"));
  await expectSound(ledger);
});

test("recovery leaves the transactions of a living instance alone", async () => {
  const ledger = await makeLedger(database);
  const living = await ledger.writer();
  const open = await living.append(intentDraft());
  const heir = await ledger.writer();
  await ledger.recover(heir);
  expect((await outcomesOf(ledger)).get(open.draft.body.txn)).toEqual([]);
  await living.append(outcomeDraft(open));
  await expectSound(ledger);
});

test("a recovery goes on when an outcome was written between its look and its closing", async () => {
  const ledger = await makeLedger(database);
  const zombie = await ledger.writer();
  const intents = await Promise.all([zombie.append(intentDraft()), zombie.append(intentDraft())]);
  await zombie.stop();
  const heir = await ledger.writer();
  const [first] = intents;
  if (!first) expect.fail("no intent");
  // The heir's own append stands for the zombie's, under its new id: it comes just before the recovery's.
  const racing: Pick<LedgerWriter, "append"> = {
    append: async (draft) => {
      if (draft.body.type === "response" && draft.body.txn === first.draft.body.txn)
        await fateOf(heir.append(outcomeDraft(first)));
      return heir.append(draft);
    },
  };
  // A recovery uses nothing of the writer but its append.
  await ledger.recover(racing as LedgerWriter);
  expect([...(await outcomesOf(ledger)).values()].flat().sort()).toEqual([
    "answered",
    "unknown/instance_lost",
  ]);
  await expectSound(ledger);
});

test("a recovery never asks more of the writer at once than its queue and deadline take", async () => {
  const ledger = await makeLedger(database);
  const dead = await ledger.writer();
  await Promise.all(Array.from({ length: 900 }, () => dead.append({ ...intentDraft(), attachments: [] })));
  await dead.stop();
  const heir = await ledger.writer();
  let waiting = 0;
  let most = 0;
  const counted: Pick<LedgerWriter, "append"> = {
    append: async (draft) => {
      most = Math.max(most, ++waiting);
      const recorded = await heir.append(draft);
      waiting--;
      return recorded;
    },
  };
  // A recovery uses nothing of the writer but its append.
  await ledger.recover(counted as LedgerWriter);
  expect(most).toBeLessThan(500);
  expect([...(await outcomesOf(ledger)).values()].flat()).toEqual(Array(900).fill("unknown/instance_lost"));
});

// case 66
test("a writer with another key than the ledger's is refused before it writes", async () => {
  const ledger = await makeLedger(database);
  await passOne(await ledger.writer());
  const stranger = createSigner(generateKey());
  const writer = new LedgerWriter(ledger.options({ signer: stranger, reloadSigner: async () => stranger }));
  await expect(writer.start()).rejects.toMatchObject({ code: "key_superseded" });
  expect((await ledger.verify()).size).toBe(3);
});

// case 66
test("after a rotation the old key's writer takes up the new key, and all verifies from the first one", async () => {
  const ledger = await makeLedger(database);
  const next = createSigner(generateKey());
  const writer = await ledger.writer({ reloadSigner: async () => next });
  const other = await ledger.writer({ reloadSigner: async () => next });
  await passOne(writer);
  await writer.append({
    body: { type: "event", event: { name: "key-rotated", jwk: next.publicJwk } },
    attachments: [],
  });
  await passOne(other);
  expect(parsePublicJwk(next.publicJwk)?.kid).toBe(next.kid);
  await expectSound(ledger);
});

test("a writer whose proved head is gone from the database does not go on without it", async () => {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  await passOne(writer);
  const { schema } = ledger;
  await ledger.tamper(
    `DELETE FROM ${schema}.entry WHERE seq = 2; DELETE FROM ${schema}.outcome WHERE seq = 2`,
  );
  expect(await fateOf(writer.append(intentDraft()))).toBe("database_error");
  await until(() => !writer.status.ready, "unready");
  expect(writer.status).toMatchObject({ detail: expect.stringContaining("lost entry 2") });
  expect((await ledger.verify()).size).toBe(2);
});

test("where attachments stand beyond the newest entry nothing is written, and the reason is told", async () => {
  const ledger = await makeLedger(database);
  const first = await ledger.writer();
  await first.append(intentDraft());
  await first.stop();
  await ledger.tamper(`DELETE FROM ${ledger.schema}.entry WHERE seq = 1`);
  expect((await ledger.verify()).findings).toMatchObject([{ seq: 1, code: "attachment_unknown" }]);
  const writer = await ledger.writer();
  expect(await fateOf(writer.append(intentDraft()))).toBe("database_error");
  await until(() => !writer.status.ready, "unready");
  expect(writer.status).toMatchObject({ detail: expect.stringContaining("beyond the newest entry") });
});

// case 75: pinned on the server's command line
test("on the embedded server ALTER SYSTEM cannot give durability away", async () => {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  for (const setting of ["fsync", "full_page_writes", "synchronous_commit"])
    await ledger.sql(`ALTER SYSTEM SET ${setting} = off`);
  await ledger.sql("SELECT pg_reload_conf()");
  await sleep(700);
  expect(writer.status).toEqual({ ready: true });
  const [row] = await querySql(
    database.urls.writer,
    "SELECT current_setting('fsync') || current_setting('full_page_writes') || current_setting('synchronous_commit') AS all",
  );
  expect(row).toEqual({ all: "ononon" });
  await ledger.sql("ALTER SYSTEM RESET ALL");
});
