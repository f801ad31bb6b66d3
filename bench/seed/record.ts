// Writes a made history into a new data directory through the program's own code: understood, redacted, drafted, signed,
// sealed and committed as the proxy does it; only the network on both sides and the wait for a real year are left out.

import { setTimeout as sleep } from "node:timers/promises";
import { loadConfig } from "../../src/config/load.ts";
import type { Config } from "../../src/config/schema.ts";
import { IndexThread } from "../../src/indexThread.ts";
import { loadTokenKey } from "../../src/keys/tokenKey.ts";
import { addressesOf, type RoleAddresses, writerSettings } from "../../src/ledgers.ts";
import { createWriter } from "../../src/ledgerWriter.ts";
import { drawRandomBytes } from "../../src/nodeCrypto.ts";
import type { Connector } from "../../src/proxy/connector.ts";
import { draftRequest, draftResponse } from "../../src/proxy/draft.ts";
import { readAnswer } from "../../src/proxy/target/answer.ts";
import type { Answer } from "../../src/proxy/target/forward.ts";
import { Target } from "../../src/proxy/target/target.ts";
import { type JsonDocument, parseStrictJson } from "../../src/scim/json.ts";
import { understand } from "../../src/scim/operation.ts";
import { redact } from "../../src/scim/redact.ts";
import { type EmbeddedOptions, startEmbedded } from "../../src/storage/embedded/embedded.ts";
import { connect, roleOf } from "../../src/storage/postgres.ts";
import { migrate } from "../../src/storage/schema.ts";
import { uuidSource } from "../../src/storage/writer/uuid.ts";
import type { LedgerWriter } from "../../src/storage/writer/writer.ts";
import { type Change, makeHistory } from "./history.ts";

export interface SeedOptions {
  configFile: string;
  transactions: number;
  seed: number;
  /** How long the history is. */
  days: number;
}

/** What the database server and the writer say. */
export type SeedLog = Parameters<typeof createWriter>[1] & EmbeddedOptions["log"];

/** Transactions under way at a time: enough for full batches. */
const IN_FLIGHT = 256;
const DAY_MS = 86_400_000;

/** How long it took, seconds: to write the history, and to index it. */
export interface Seeded {
  writeSeconds: number;
  indexSeconds: number;
}

/** Fills ledger `main` of a configuration whose database is new; nothing else may run on it meanwhile. */
export async function seedHistory(
  { configFile, transactions, seed, days }: SeedOptions,
  log: SeedLog,
  say: (line: string) => void,
): Promise<Seeded> {
  const startedAt = performance.now();
  const config = await loadConfig(configFile);
  const server = await startEmbedded({ dataDir: config.dataDir, log });
  const targets: Target[] = [];
  try {
    const addresses = addressesOf(config.database, server.urls);
    const origin = config.ledgers.main?.origin ?? "";
    const owner = await connect(addresses.owner ?? addresses.writer, "seed", 10_000);
    await migrate(owner, "main", origin, {
      writer: roleOf(addresses.writer.connectionString),
      reader: roleOf(addresses.reader.connectionString),
    });
    await owner.end();
    const toMs = Date.now();
    const history = makeHistory({ seed, transactions, fromMs: toMs - days * DAY_MS, toMs });
    // The ledger's clock is the history's: it goes with the changes, and faster than any wall clock.
    let nowMs = toMs - days * DAY_MS;
    const now = () => nowMs;
    const uuid = uuidSource({ now, randomBytes: drawRandomBytes });
    const settings = writerSettings(config, "main", addresses.writer);
    const writer = createWriter(settings, log, { batchCommitted() {} }, { now, monotonic: now, uuid });
    await writer.start();
    const connectors = connectorsOf(config, writer, targets);
    let done = 0;
    /** What is under way, by path: a provider sends the changes of one account one after the other. */
    const underWay = new Map<string, Promise<void>>();
    const lane = async () => {
      for (const change of history) {
        const { path } = change;
        const before = change.method === "POST" ? undefined : underWay.get(path);
        const recorded = (async () => {
          await before;
          nowMs = Math.max(nowMs, change.timeMs);
          await record(connectors[change.connector], change, uuid());
        })();
        underWay.set(path, recorded);
        await recorded;
        if (underWay.get(path) === recorded) underWay.delete(path);
        if (++done % 50_000 === 0) say(`${done} of ${transactions} transactions`);
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
    const { size } = writer;
    await writer.stop();
    const writtenAt = performance.now();
    await makeIndex(config, addresses, size, log, say);
    const seconds = (from: number, to: number) => Math.round((to - from) / 1000);
    return {
      writeSeconds: seconds(startedAt, writtenAt),
      indexSeconds: seconds(writtenAt, performance.now()),
    };
  } finally {
    for (const target of targets) await target.close();
    await server.stop();
  }
}

/** Indexes it all, with a whole core. */
async function makeIndex(
  config: Config,
  { writer, reader }: RoleAddresses,
  size: number,
  log: SeedLog,
  say: (line: string) => void,
): Promise<void> {
  const { main } = config.ledgers;
  if (!main) throw new Error("the configuration has no ledger main");
  const thread = new IndexThread({
    ledgers: [
      {
        ledger: "main",
        origin: main.origin,
        writer,
        reader,
        sealingKeyFile: main.sealingKey.file,
        tokenKeyFile: main.tokenKey.file,
        connectors: Object.fromEntries(
          Object.entries(config.connectors).map(([name, { ids }]) => [name, ids]),
        ),
        coreShare: 1,
      },
    ],
    log,
  });
  thread.start();
  for (let told = 0; thread.positionOf("main").next < size; await sleep(250)) {
    const { next, error } = thread.positionOf("main");
    if (error !== undefined) throw new Error(`the history cannot be indexed: ${error}`);
    if (next - told < 100_000) continue;
    told = next;
    say(`indexed ${next} of ${size} entries`);
  }
  await thread.stop();
}

function connectorsOf(
  config: Config,
  ledger: LedgerWriter,
  targets: Target[],
): Record<Change["connector"], Connector> {
  const make = (name: Change["connector"]): Connector => {
    const connector = config.connectors[name];
    const settings = config.ledgers.main;
    if (!connector || !settings)
      throw new Error(`the configuration has no ledger main or no connector ${name}`);
    const target = new Target(connector.target);
    targets.push(target);
    return {
      connector: name,
      ids: connector.ids,
      tokenKey: loadTokenKey(settings.tokenKey.file, settings.origin),
      ledger,
      target,
      publicBase: `https://scim.example.com/${name}/scim/v2`,
      redact: connector.redact,
      auditReads: false,
    };
  };
  return { okta: make("okta"), entra: make("entra") };
}

async function record(connector: Connector, change: Change, txn: string): Promise<void> {
  const wire = Buffer.from(change.body ?? "");
  const document = change.body === undefined ? undefined : parse(wire);
  const meaning = understand({
    method: change.method,
    resourcePath: change.path,
    ...(document ? { document } : {}),
    secretAttributes: connector.redact,
  });
  const kept = document && redact(document, connector.redact);
  const mediaType = "application/scim+json";
  const arrival = {
    txn,
    actor: { client: `${connector.connector}-1`, method: "bearer" as const },
    method: change.method,
    resourcePath: change.path,
    query: undefined,
    mediaType,
    ifMatch: false,
    address: "192.0.2.10",
    userAgent: "history",
  };
  const stored = kept && { bytes: kept.bytes, mediaType, redacted: kept.redacted };
  const intent = await connector.ledger.append(
    draftRequest(connector, arrival, meaning, wire, stored, undefined),
  );
  const { answer, recorded } = readAnswer(connector, answerOf(change), undefined, []);
  await connector.ledger.append(draftResponse(connector, { txn, seq: intent.seq }, answer, recorded));
}

function answerOf({ answer, durationMs }: Change): Answer {
  if (answer === "timeout")
    return { outcome: "unknown", reason: "timeout", headers: {}, body: Buffer.alloc(0), durationMs: 30_000 };
  const headers = answer.body === "" ? {} : { "content-type": "application/scim+json" };
  return { outcome: "answered", status: answer.status, headers, body: Buffer.from(answer.body), durationMs };
}

function parse(wire: Buffer): JsonDocument {
  const parsed = parseStrictJson(wire);
  if (!parsed.ok) throw new Error("the history holds a body that is no strict JSON");
  return parsed.document;
}
