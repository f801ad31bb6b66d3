// What the tests of the writer share: one embedded PostgreSQL a file, a fresh ledger (a schema of its own) a test,
// writers on it, drafts, and the check of the whole at the end.

import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { expect, onTestFinished } from "vitest";
import { fastVerify } from "../../src/keys/fastVerify.ts";
import { createSigner, generateKey, type Signer } from "../../src/keys/signer.ts";
import type { Outcome } from "../../src/ledger/entry.ts";
import { type PublicKey, parsePublicJwk } from "../../src/ledger/key.ts";
import { newUuid, nodeSha256, toBase64url } from "../../src/nodeCrypto.ts";
import { Recovery } from "../../src/proxy/recovery.ts";
import { type EmbeddedPostgres, startEmbedded } from "../../src/storage/embedded/embedded.ts";
import { connect, type DatabaseAddress } from "../../src/storage/postgres.ts";
import { LedgerReader, type VerificationReport } from "../../src/storage/reader.ts";
import { migrate } from "../../src/storage/schema.ts";
import { AppendError } from "../../src/storage/writer/appendError.ts";
import type { Recorded, RequestDraft, ResponseDraft } from "../../src/storage/writer/recorded.ts";
import { LedgerWriter, type WriterOptions } from "../../src/storage/writer/writer.ts";
import { testOpener, testSealer } from "../support/sealing.ts";
import { ofType, type RecordedEntry, readEntries } from "../support/system.ts";

const ROLES = { writer: "scimseal_writer", reader: "scimseal_reader" };

/** The embedded server of a test file. */
export interface TestDatabase extends EmbeddedPostgres {
  dataDir: string;
}

/** Starts it; call `dropDatabase` in `afterAll`. */
export async function makeDatabase(): Promise<TestDatabase> {
  const dataDir = await mkdtemp(join(tmpdir(), "scimseal-writer-"));
  const server = await startEmbedded({ dataDir, log: quiet });
  return { ...server, dataDir };
}

export async function dropDatabase(database: TestDatabase): Promise<void> {
  await database.stop();
  await rm(database.dataDir, { recursive: true, force: true });
}

/** A writer's log that counts how often it came back. */
export function countingLog() {
  const log = {
    ...quiet,
    ready: 0,
    info: (_fields: object, message: string) => {
      if (message === "ledger ready") log.ready++;
    },
  };
  return log;
}

export const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** A ledger of a test's own. */
export interface TestLedger {
  name: string;
  /** Its quoted schema. */
  schema: string;
  origin: string;
  signer: Signer;
  pinned: readonly PublicKey[];
  address: DatabaseAddress;
  /** What a writer of this ledger is made of. */
  options(overrides?: Partial<WriterOptions>): WriterOptions;
  /** A started writer; stopped when the test ends. */
  writer(overrides?: Partial<WriterOptions>): Promise<LedgerWriter>;
  /** One pass of recovery, as a starting instance makes it. */
  recover(by: LedgerWriter): Promise<void>;
  verify(): Promise<VerificationReport>;
  entries(): Promise<RecordedEntry[]>;
  /** Runs statements as the superuser, on a connection of their own. */
  sql(statement: string): Promise<void>;
  /** The same with every append-only trigger disabled: what only the chain can show. */
  tamper(statement: string): Promise<void>;
}

let count = 0;

/** Makes the tables of a new ledger. */
export async function makeLedger(database: TestDatabase, url = database.urls.writer): Promise<TestLedger> {
  const name = `t${++count}`;
  const origin = `test.scimseal.example/${name}`;
  const owner = await connect({ connectionString: database.urls.owner, requireSync: [] }, "test", 5_000);
  await migrate(owner, name, origin, ROLES);
  await owner.end();
  const signer = createSigner(generateKey());
  const key = parsePublicJwk(signer.publicJwk);
  if (!key) throw new Error("the signer's key is no key");
  const pinned = [key];
  const address = { connectionString: url, requireSync: [] };
  const reader = new LedgerReader(
    name,
    { connectionString: database.urls.superuser, requireSync: [] },
    { connections: 1, timeoutMs: 30_000, opener: testOpener(origin) },
  );
  onTestFinished(() => reader.close());
  const options = (overrides: Partial<WriterOptions> = {}): WriterOptions => ({
    ledger: name,
    origin,
    database: address,
    appendDeadlineMs: 2_000,
    signer,
    reloadSigner: async () => signer,
    pinned,
    verify: fastVerify,
    sealer: testSealer(origin),
    digest: nodeSha256,
    base64url: toBase64url,
    randomBytes,
    uuid: newUuid,
    now: Date.now,
    log: quiet,
    observer: { batchCommitted() {} },
    ...overrides,
  });
  return {
    name,
    schema: `ledger_${name}`,
    origin,
    signer,
    pinned,
    address,
    options,
    writer: async (overrides) => {
      const writer = new LedgerWriter(options(overrides));
      await writer.start();
      onTestFinished(() => writer.stop());
      return writer;
    },
    recover: async (by) => {
      const recovery = new Recovery({
        ledgerName: name,
        address: { connectionString: database.urls.writer, requireSync: [] },
        ledger: by,
        log: quiet,
      });
      await recovery.start();
      await recovery.stop();
    },
    verify: () => reader.verify({ origin, pinned, verify: fastVerify, digest: nodeSha256 }),
    entries: () => readEntries(reader),
    sql: (statement) => runSql(database.urls.superuser, statement),
    tamper: (statement) => runSql(database.urls.superuser, `${disarm(`ledger_${name}`)}; ${statement}`),
  };
}

/** SQL that disables the triggers of every table and partition of a schema; only a superuser or the owner may. */
export function disarm(schema: string): string {
  return `DO $$ DECLARE t regclass; BEGIN
    FOR t IN SELECT oid FROM pg_class WHERE relnamespace = '${schema}'::regnamespace AND relkind IN ('r', 'p') LOOP
      EXECUTE format('ALTER TABLE %s DISABLE TRIGGER USER', t);
    END LOOP; END $$`;
}

/** Runs statements on a connection of their own; throws what PostgreSQL says. */
export async function runSql(url: string, statement: string): Promise<void> {
  await querySql(url, statement);
}

export async function querySql(url: string, statement: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => {}); // the query fails too
  await client.connect();
  try {
    const result: pg.QueryResult | pg.QueryResult[] = await client.query(statement);
    return (Array.isArray(result) ? result.at(-1)?.rows : result.rows) ?? [];
  } finally {
    await client.end();
  }
}

/** An intent, with two attachments unless told otherwise. */
export function intentDraft(txn = newUuid(), text = '{"userName":"ada@example.com"}'): RequestDraft {
  const wire = Buffer.from(text);
  return {
    body: {
      type: "request",
      txn,
      connector: "okta",
      actor: { client: "okta-test", method: "bearer" },
      http: { method: "POST", path: "/Users" },
      scim: { action: "create", resourceType: "User", effects: ["create"], paths: [] },
    },
    attachments: [
      {
        name: "facts",
        mediaType: "application/json",
        bytes: Buffer.from(JSON.stringify({ size: wire.length })),
      },
      { name: "body", mediaType: "application/scim+json", bytes: wire },
    ],
    wire,
  };
}

/** The outcome of a recorded intent. */
export function outcomeDraft(
  { draft: { body }, seq }: Recorded<RequestDraft>,
  outcome: Outcome = "answered",
): ResponseDraft {
  return {
    body: {
      type: "response",
      txn: body.txn,
      connector: body.connector,
      requestSeq: seq,
      outcome,
      status: 201,
    },
    attachments: [],
  };
}

/** One whole transaction; returns its txn. */
export async function passOne(writer: LedgerWriter, txn = newUuid()): Promise<string> {
  await writer.append(outcomeDraft(await writer.append(intentDraft(txn))));
  return txn;
}

/** What became of an append: "recorded", or the code it was refused with. */
export async function fateOf(append: Promise<unknown>): Promise<string> {
  try {
    await append;
    return "recorded";
  } catch (cause) {
    if (cause instanceof AppendError) return cause.code;
    throw cause;
  }
}

/** Outcomes in the ledger by transaction: `outcome` or `outcome/reason`. */
export async function outcomesOf(ledger: TestLedger): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  for (const entry of await ledger.entries()) {
    if (entry.claims.type === "request") found.set(entry.claims.txn, found.get(entry.claims.txn) ?? []);
    if (entry.claims.type !== "response") continue;
    const { txn, outcome, reason } = entry.claims;
    found.set(txn, [...(found.get(txn) ?? []), reason === undefined ? outcome : `${outcome}/${reason}`]);
  }
  return found;
}

/** Names of the events, in order. */
export async function eventsOf(ledger: TestLedger): Promise<string[]> {
  return ofType(await ledger.entries(), "event").map(({ claims }) => claims.event.name);
}

/** Looks again until `isTrue`; fails after `withinMs`. */
export async function until(
  isTrue: () => boolean | Promise<boolean>,
  what: string,
  withinMs = 5_000,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await isTrue())) {
    if (performance.now() > deadline) expect.fail(`after ${withinMs} ms still not: ${what}`);
    await sleep(5);
  }
}

/** I3 and I4: the ledger verifies and every transaction in it has exactly one outcome. */
export async function expectSound(ledger: TestLedger): Promise<void> {
  const { findings, open } = await ledger.verify();
  expect({ findings, open }).toEqual({ findings: [], open: 0 });
  const twice = [...(await outcomesOf(ledger))].filter(([, outcomes]) => outcomes.length !== 1);
  expect(twice).toEqual([]);
}
