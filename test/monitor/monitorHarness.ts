// What the tests of the monitor share: one embedded PostgreSQL, a ledger with a published tree, copies of it to do harm
// to, and the two ways in which the monitor looks.

import { randomBytes } from "node:crypto";
import { fastVerify } from "../../src/keys/fastVerify.ts";
import { createSigner, generateKey, type Signer } from "../../src/keys/signer.ts";
import { type PublicKey, parsePublicJwk } from "../../src/ledger/key.ts";
import { formatCheckpoint } from "../../src/ledger/note/checkpoint.ts";
import { signNote } from "../../src/ledger/note/note.ts";
import { type LogKey, makeLogKey } from "../../src/ledger/note/verifierKey.ts";
import { TileBuilder } from "../../src/ledger/tree/tileBuilder.ts";
import type { Finding } from "../../src/monitor/alarm/alarm.ts";
import { HeadFollower, type HeadOptions } from "../../src/monitor/monitorHead.ts";
import { RollingPass } from "../../src/monitor/monitorPass.ts";
import type { Position } from "../../src/monitor/monitorPosition.ts";
import { newUuid, nodeSha256, toBase64url } from "../../src/nodeCrypto.ts";
import { MonitorDatabase } from "../../src/storage/monitorDatabase.ts";
import { connect } from "../../src/storage/postgres.ts";
import { LedgerReader } from "../../src/storage/reader.ts";
import { migrate } from "../../src/storage/schema.ts";
import { TreeStore } from "../../src/storage/tree/treeStore.ts";
import { LedgerWriter, type WriterOptions } from "../../src/storage/writer/writer.ts";
import {
  disarm,
  intentDraft,
  outcomeDraft,
  querySql,
  quiet,
  runSql,
  type TestDatabase,
} from "../storage/writerHarness.ts";
import { testOpener, testSealer } from "../support/sealing.ts";

export const LEDGER = "m";
export const ORIGIN = "test.scimseal.example/monitor";
const SCHEMA = `ledger_${LEDGER}`;

/** Keys of the ledger, as a person who pinned them has them. */
export interface Keys {
  signer: Signer;
  pinned: readonly PublicKey[];
  logKey: LogKey;
}

export function makeKeys(jwk = generateKey()): Keys {
  const signer = createSigner(jwk);
  const key = parsePublicJwk(signer.publicJwk);
  if (!key) throw new Error("the signer's key is no key");
  return { signer, pinned: [key], logKey: makeLogKey(ORIGIN, key.bytes) };
}

/** A database of the server with the ledger in it. */
export class TestCopy {
  readonly #server: TestDatabase;
  readonly name: string;
  readonly keys: Keys;

  constructor(server: TestDatabase, name: string, keys: Keys) {
    this.#server = server;
    this.name = name;
    this.keys = keys;
  }

  url(role: "superuser" | "owner" | "writer" | "reader"): string {
    const url = new URL(this.#server.urls[role]);
    url.pathname = `/${this.name}`;
    return url.href;
  }

  /** A copy of its own, as it is now. Nobody may be connected to this one. */
  async copy(): Promise<TestCopy> {
    const name = `c${randomBytes(4).toString("hex")}`;
    await runSql(
      this.#server.urls.superuser,
      `CREATE DATABASE ${name} TEMPLATE ${this.name} STRATEGY FILE_COPY`,
    );
    return new TestCopy(this.#server, name, this.keys);
  }

  async drop(): Promise<void> {
    await runSql(this.#server.urls.superuser, `DROP DATABASE ${this.name} WITH (FORCE)`);
  }

  /** Puts a backup in the place of this database, under the feet of whoever is connected. */
  async restore(backup: TestCopy): Promise<void> {
    await this.drop();
    const from = `TEMPLATE ${backup.name} STRATEGY FILE_COPY`;
    await runSql(this.#server.urls.superuser, `CREATE DATABASE ${this.name} ${from}`);
  }

  /** As the superuser, with every trigger disabled. */
  tamper(statement: string): Promise<void> {
    return runSql(
      this.url("superuser"),
      `${disarm(SCHEMA)}; SET search_path = ${SCHEMA}, pg_catalog; ${statement}`,
    );
  }

  query(statement: string): Promise<Record<string, unknown>[]> {
    return querySql(this.url("superuser"), `SET search_path = ${SCHEMA}, pg_catalog; ${statement}`);
  }

  writerOptions(overrides: Partial<WriterOptions> = {}): WriterOptions {
    const { signer, pinned } = this.keys;
    return {
      ledger: LEDGER,
      origin: ORIGIN,
      database: { connectionString: this.url("writer"), requireSync: [] },
      appendDeadlineMs: 5_000,
      signer,
      reloadSigner: async () => signer,
      pinned,
      verify: fastVerify,
      sealer: testSealer(ORIGIN),
      digest: nodeSha256,
      base64url: toBase64url,
      randomBytes,
      uuid: newUuid,
      now: Date.now,
      log: quiet,
      observer: { batchCommitted() {} },
      ...overrides,
    };
  }

  /** Runs with a writer of its own. */
  async write<T>(
    action: (writer: LedgerWriter) => Promise<T>,
    overrides?: Partial<WriterOptions>,
  ): Promise<T> {
    const writer = new LedgerWriter(this.writerOptions(overrides));
    await writer.start();
    try {
      return await action(writer);
    } finally {
      await writer.stop();
    }
  }

  /** Opens readers for the monitor; `close` them before the database is copied or dropped. */
  open(): Opened {
    const address = { connectionString: this.url("reader"), requireSync: [] };
    const reader = new LedgerReader(LEDGER, address, {
      connections: 1,
      timeoutMs: 30_000,
      opener: testOpener(ORIGIN),
    });
    const store = new TreeStore(LEDGER, address, { connections: 2, timeoutMs: 30_000, digest: nodeSha256 });
    const database = new MonitorDatabase(LEDGER, address, { timeoutMs: 5_000 });
    const close = async () => {
      await Promise.all([reader.close(), store.close(), database.close()]);
    };
    return { reader, store, database, close };
  }
}

export interface Opened {
  reader: LedgerReader;
  store: TreeStore;
  database: MonitorDatabase;
  close(): Promise<void>;
}

/** Makes an empty database with the tables of the ledger. */
export async function makeCopy(server: TestDatabase, keys = makeKeys()): Promise<TestCopy> {
  const name = `b${randomBytes(4).toString("hex")}`;
  await runSql(server.urls.superuser, `CREATE DATABASE ${name} OWNER scimseal_owner`);
  const copy = new TestCopy(server, name, keys);
  const owner = await connect({ connectionString: copy.url("owner"), requireSync: [] }, "test", 5_000);
  await migrate(owner, LEDGER, ORIGIN, { writer: "scimseal_writer", reader: "scimseal_reader" });
  await owner.end();
  return copy;
}

/** Whole transactions, many at a time. */
export async function passMany(writer: LedgerWriter, count: number): Promise<void> {
  for (let left = count; left > 0; left -= 500) {
    await Promise.all(
      Array.from({ length: Math.min(left, 500) }, async () =>
        writer.append(outcomeDraft(await writer.append(intentDraft()))),
      ),
    );
  }
}

/** Publishes the tree at these sizes, the last one "all there is": full tiles, then a signed checkpoint for each. */
export async function publish(copy: TestCopy, sizes: readonly number[], keys = copy.keys): Promise<number> {
  const { store, close } = copy.open();
  const end = await store.size();
  const hashes = await store.leafHashes(0, end);
  await close();
  const builder = new TileBuilder(nodeSha256);
  const wanted = new Set([...sizes, end]);
  const statements: string[] = [];
  const hex = (bytes: Uint8Array) => `'\\x${Buffer.from(bytes).toString("hex")}'`;
  for (let at = 0; at < end; at++) {
    for (const { tile, bytes } of builder.append(hashes.slice(at * 32, at * 32 + 32)))
      statements.push(
        `INSERT INTO tile VALUES (${tile.level}, ${tile.index}, ${hex(bytes)}) ON CONFLICT DO NOTHING`,
      );
    if (wanted.has(builder.size)) statements.push(checkpointSql(builder.size, builder.root(), keys));
  }
  await copy.query(statements.join(";\n"));
  return end;
}

/** The statement that stores a signed checkpoint. */
export function checkpointSql(size: number, root: Uint8Array, { signer, logKey }: Keys): string {
  const text = formatCheckpoint({ origin: ORIGIN, size, root });
  const note = signNote(text, { key: logKey, sign: (bytes) => signer.sign(bytes) });
  return `INSERT INTO checkpoint (size, root, note) VALUES (${size}, '\\x${Buffer.from(root).toString("hex")}', '${note}')`;
}

/** A follower of the head. */
export function followerOf(
  copy: TestCopy,
  { reader, store }: Opened,
  more: Partial<HeadOptions> = {},
): HeadFollower {
  const { pinned, logKey } = copy.keys;
  return new HeadFollower({
    breathe: async () => true,
    reader,
    store,
    origin: ORIGIN,
    verifier: { origin: ORIGIN, pinned, verify: fastVerify, digest: nodeSha256 },
    digest: nodeSha256,
    logKeys: () => [logKey],
    rotations: () => [],
    ...more,
  });
}

/** A rolling pass, from a position or from the first entry. */
export function beginPass(
  copy: TestCopy,
  { reader, store, database }: Opened,
  position?: Position,
  logKeys: readonly LogKey[] = [copy.keys.logKey],
): Promise<RollingPass> {
  const { pinned } = copy.keys;
  const options = {
    reader,
    store,
    database,
    origin: ORIGIN,
    verifier: { origin: ORIGIN, pinned, verify: fastVerify, digest: nodeSha256 },
    digest: nodeSha256,
    logKeys: () => logKeys,
  };
  return RollingPass.begin(options, position);
}

/** All that a pass finds, to its end, as `seq code`. */
export async function runPass(pass: RollingPass): Promise<string[]> {
  const found: Finding[] = [];
  for (;;) {
    const step = await pass.step();
    found.push(...step.findings);
    if (step.isDone) return found.map(named);
  }
}

export function named({ seq, code }: Finding): string {
  return `${seq} ${code}`;
}
