// What the tests of the index share: transactions written by the real writer from real drafts, an indexer on them, and
// the whole content of an index in a form that does not depend on the order in which rows got their numbers.

import { onTestFinished } from "vitest";
import { Indexer, type IndexerOptions, indexVersion } from "../../src/indexer/indexer.ts";
import { createIndexKey, type IndexKey } from "../../src/keys/indexKey.ts";
import { createTokenKey } from "../../src/keys/tokenKey.ts";
import { newUuid } from "../../src/nodeCrypto.ts";
import {
  draftRefusal,
  draftRequest,
  draftResponse,
  type RecordContext,
  recordedId,
} from "../../src/proxy/draft.ts";
import { indexBulkAnswer } from "../../src/scim/bulk.ts";
import { type JsonDocument, parseStrictJson } from "../../src/scim/json.ts";
import { understand, understandAnswer } from "../../src/scim/operation.ts";
import { redact } from "../../src/scim/redact.ts";
import { IndexWriter, type IndexWriterOptions } from "../../src/storage/index/indexWriter.ts";
import { sealedNamePlace } from "../../src/storage/index/sealedName.ts";
import { LedgerReader } from "../../src/storage/reader.ts";
import type { Draft, Recorded, RequestDraft, ResponseDraft } from "../../src/storage/writer/recorded.ts";
import type { LedgerWriter } from "../../src/storage/writer/writer.ts";
import { querySql, quiet, type TestDatabase, type TestLedger, until } from "../storage/writerHarness.ts";
import { testOpener } from "../support/sealing.ts";

export const tokenKey = createTokenKey(Buffer.alloc(32, 7), "test.example/index");
export const connectors: Record<string, RecordContext> = {
  okta: { connector: "okta", ids: "opaque", tokenKey },
  entra: { connector: "entra", ids: "opaque", tokenKey },
  hr: { connector: "hr", ids: "personal", tokenKey },
};

/** An index key of its own for each seed. */
export function indexKeyOf(seed = 1): IndexKey {
  return createIndexKey(createTokenKey(Buffer.alloc(32, seed), "test.example/index").derive);
}

export interface Write {
  method: string;
  path: string;
  body?: unknown;
  connector?: string;
  client?: string;
  txn?: string;
}

export interface Told {
  status: number;
  body?: unknown;
}

/** The intent of a write, as the proxy drafts it. */
export function intentOf(write: Write): RequestDraft {
  const { context, arrival, meaning, document, wire } = understood(write);
  const redaction = document && redact(document, []);
  const stored = redaction && {
    bytes: redaction.bytes,
    redacted: redaction.redacted,
    mediaType: "application/scim+json",
  };
  return draftRequest(context, arrival, meaning, wire, stored, undefined);
}

/** A refusal by the proxy itself. */
export function refusalOf(write: Write): Draft {
  const { context, arrival, meaning, wire } = understood(write);
  return draftRefusal(context, arrival, { code: "id_mismatch", status: 400 }, meaning, wire);
}

/** The outcome of a recorded intent: what the target told, or nothing certain. */
export function outcomeOf({ draft, seq }: Recorded<RequestDraft>, told: Told | undefined): ResponseDraft {
  const { txn, connector, scim } = draft.body;
  const context = contextOf(connector);
  const body = told?.body === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(told.body));
  const document = documentOf(body);
  const request = scim.action === "bulk" ? documentOf(draft.wire) : undefined;
  const { resourceId, facts } = understandAnswer(document);
  const operations =
    request &&
    document &&
    indexBulkAnswer(request, document).map(({ index, status, resourceId: id }) => ({
      index,
      ...(id === undefined ? {} : { resourceId: recordedId(context, id) }),
      ...(status === undefined ? {} : { status }),
    }));
  return draftResponse(
    context,
    { txn, seq },
    {
      outcome: told ? "answered" : "unknown",
      ...(told ? { status: told.status } : { reason: "timeout" }),
      headers: {},
      body,
      durationMs: 12.3456,
    },
    {
      stored: document && { bytes: document.bytes, mediaType: "application/scim+json", redacted: [] },
      sent: body,
      replied: told?.status ?? 504,
      ...(resourceId === undefined ? {} : { resourceId }),
      facts,
      ...(operations?.length ? { operations } : {}),
    },
  );
}

/** A whole transaction. */
export async function pass(writer: LedgerWriter, write: Write, told: Told | undefined): Promise<string> {
  const intent = await writer.append(intentOf(write));
  await writer.append(outcomeOf(intent, told));
  return intent.draft.body.txn;
}

function understood({
  method,
  path,
  body,
  connector = "okta",
  client = "okta-test",
  txn = newUuid(),
}: Write) {
  const wire = body === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(body));
  const document = documentOf(wire);
  const context = contextOf(connector);
  const meaning = understand({ method, resourcePath: path, ...(document ? { document } : {}) });
  const arrival = {
    txn,
    actor: { client, method: "bearer" as const },
    method,
    resourcePath: path,
    query: undefined,
    mediaType: "application/scim+json",
    ifMatch: false,
    address: "192.0.2.7",
    userAgent: "agent",
  };
  return { context, arrival, meaning, document, wire };
}

function documentOf(bytes: Uint8Array): JsonDocument | undefined {
  if (bytes.length === 0) return undefined;
  const parsed = parseStrictJson(bytes);
  if (!parsed.ok) throw new Error(parsed.refusal.detail);
  return parsed.document;
}

function contextOf(connector: string): RecordContext {
  const context = connectors[connector];
  if (!context) throw new Error(`no connector ${connector}`);
  return context;
}

export interface TestIndex {
  indexer: Indexer;
  writer: IndexWriter;
}

export interface IndexOverrides {
  indexer?: Partial<IndexerOptions>;
  writer?: Partial<IndexWriterOptions>;
  key?: IndexKey;
}

/** An indexer of a test's ledger, not started; stopped when the test ends. */
export function makeIndex(
  database: TestDatabase,
  ledger: TestLedger,
  overrides: IndexOverrides = {},
): TestIndex {
  const { name } = ledger;
  const key = overrides.key ?? indexKeyOf();
  const reader = readerOf(database, ledger);
  const writer = new IndexWriter({
    ledger: name,
    database: ledger.address,
    sealer: key,
    version: indexVersion(key.id),
    timeoutMs: 10_000,
    ...overrides.writer,
  });
  const indexer = new Indexer({
    ledger: name,
    reader,
    writer,
    recordedId: (connector, id) => recordedId(contextOf(connector), id),
    coreShare: 1,
    log: quiet,
    pollMs: 5,
    retryMs: 20,
    ...overrides.indexer,
  });
  onTestFinished(() => indexer.stop());
  return { indexer, writer };
}

export function readerOf(database: TestDatabase, { name, origin }: TestLedger): LedgerReader {
  const reader = new LedgerReader(
    name,
    { connectionString: database.urls.reader, requireSync: [] },
    { connections: 2, timeoutMs: 10_000, opener: testOpener(origin) },
  );
  onTestFinished(() => reader.close());
  return reader;
}

/** Runs an indexer until it has all entries, and stops it. */
export async function indexAll(
  database: TestDatabase,
  ledger: TestLedger,
  overrides: IndexOverrides = {},
): Promise<void> {
  const { indexer } = makeIndex(database, ledger, overrides);
  const [newest] = await querySql(
    database.urls.superuser,
    `SELECT max(seq) AS seq FROM ${ledger.schema}.entry`,
  );
  const size = Number(newest?.seq ?? -1) + 1;
  indexer.start();
  await until(() => indexer.position().next >= size, `${size} entries are indexed`, 20_000);
  await indexer.stop();
}

export interface IndexContent {
  state: Record<string, unknown>[];
  txns: Record<string, unknown>[];
  touches: string[];
  accounts: Record<string, unknown>[];
  names: Record<string, unknown>[];
  events: Record<string, unknown>[];
}

/** All of an index, names opened, accounts by what they are instead of by number. */
export async function contentOf(
  database: TestDatabase,
  { schema }: TestLedger,
  key = indexKeyOf(),
): Promise<IndexContent> {
  const ask = (text: string) => querySql(database.urls.superuser, text);
  const label = "concat_ws('/', a.connector, a.type, a.ref)";
  const names = await ask(
    `SELECT ${label} AS account, n.account AS id, attribute, digest, tokens::text, sealed, seq, n.last_seq FROM ${schema}.account_name n JOIN ${schema}.account a ON a.id = n.account`,
  );
  return {
    state: await ask(`SELECT version, next, head, skipped FROM ${schema}.index_state`),
    txns: await ask(
      `SELECT t.*, extract(epoch FROM time) * 1000 AS ms, (SELECT ${label} FROM ${schema}.account a WHERE a.id = t.account) AS account FROM ${schema}.txn t ORDER BY seq`,
    ),
    touches: (
      await ask(
        `SELECT concat_ws(' ', t.seq, t.role, ${label}) AS touch FROM ${schema}.txn_account t JOIN ${schema}.account a ON a.id = t.account ORDER BY t.seq, t.role, 1`,
      )
    ).map(({ touch }) => String(touch)),
    accounts: await ask(
      `SELECT ${label} AS account, first_seq, last_seq, changes FROM ${schema}.account a ORDER BY 1`,
    ),
    names: names
      .map(({ id, sealed, digest, ...row }) => ({
        ...row,
        digest: Buffer.from(digest as Buffer).toString("hex"),
        value: key.open(sealed as Buffer, sealedNamePlace(String(id), String(row.attribute))),
      }))
      .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
    events: await ask(`SELECT * FROM ${schema}.event ORDER BY seq`),
  };
}

/** The names of an account: `attribute=value`. */
export function namesIn({ names }: IndexContent, account: string): string[] {
  return names
    .filter((row) => row.account === account)
    .map((row) => `${row.attribute}=${row.value}`)
    .sort();
}
