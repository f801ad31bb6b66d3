// A ledger for the tests of the audit API, all of it real: an embedded PostgreSQL, entries written by the writer, a key
// rotation among them, full tiles and signed checkpoints, and the admin listener over it.

import { randomBytes } from "node:crypto";
import type { Server } from "node:http";
import { Registry } from "prom-client";
import request from "supertest";
import { type AdminLimits, createAdminServer } from "../../src/admin.ts";
import type { AuditContext, AuditLedger, Auditor, Denial, Look } from "../../src/audit/context.ts";
import { nameKeys } from "../../src/audit/context.ts";
import { indexVersion } from "../../src/indexer/indexer.ts";
import { fastVerify } from "../../src/keys/fastVerify.ts";
import { createIndexKey } from "../../src/keys/indexKey.ts";
import { createSigner, generateKey, type Signer } from "../../src/keys/signer.ts";
import { type PublicKey, parsePublicJwk } from "../../src/ledger/key.ts";
import { formatCheckpoint } from "../../src/ledger/note/checkpoint.ts";
import { signNote } from "../../src/ledger/note/note.ts";
import { makeLogKey } from "../../src/ledger/note/verifierKey.ts";
import { TileBuilder } from "../../src/ledger/tree/tileBuilder.ts";
import { newUuid, nodeSha256, toBase64url } from "../../src/nodeCrypto.ts";
import { AccountReader } from "../../src/storage/accounts/accountReader.ts";
import { DatabaseEvidence } from "../../src/storage/evidenceSource.ts";
import { connect } from "../../src/storage/postgres.ts";
import { LedgerReader } from "../../src/storage/reader.ts";
import { migrate } from "../../src/storage/schema.ts";
import { SearchReader } from "../../src/storage/search/searchReader.ts";
import { TreeStore } from "../../src/storage/tree/treeStore.ts";
import { LedgerWriter } from "../../src/storage/writer/writer.ts";
import { disarm, passOne, quiet, runSql, type TestDatabase } from "../storage/writerHarness.ts";
import { testOpener, testSealer, testSealingKey } from "../support/sealing.ts";

const ROLES = { writer: "scimseal_writer", reader: "scimseal_reader" };
const TIMEOUTS = { connections: 2, timeoutMs: 30_000 };

/** A ledger with everything that the API reads it by. */
export interface PublishedLedger {
  name: string;
  origin: string;
  /** The first key and the one after the rotation. */
  signers: readonly [Signer, Signer];
  audit: AuditLedger;
  tree: TreeStore;
  /** Entries so far. */
  size(): Promise<number>;
  /** Appends whole transactions. */
  grow(transactions: number): Promise<void>;
  /** One writer's work on the ledger. */
  write<Result>(work: (writer: LedgerWriter) => Promise<Result>): Promise<Result>;
  /** Stores the full tiles and a checkpoint of the first so many entries. */
  publish(size?: number): Promise<void>;
  /** The signed note of a tree, without storing it. */
  sign(size: number, root: Uint8Array): string;
  /** Changes rows as a superuser who disabled every trigger; undo is the caller's. */
  tamper(statement: string): Promise<void>;
  close(): Promise<void>;
  /** What the audit API is told about anchors. */
  anchoredSize: number;
}

/** Makes an empty ledger; `publish` is its access. */
export async function makePublished(
  database: TestDatabase,
  name: string,
  access: AuditLedger["publish"] = { tiles: "auditors", entries: "auditors" },
): Promise<PublishedLedger> {
  const origin = `test.scimseal.example/${name}`;
  const owner = await connect({ connectionString: database.urls.owner, requireSync: [] }, "test", 5_000);
  await migrate(owner, name, origin, ROLES);
  await owner.end();
  const signers = [createSigner(generateKey()), createSigner(generateKey())] as const;
  const pinned = [publicKeyOf(signers[0])];
  const address = { connectionString: database.urls.reader, requireSync: [] };
  const reader = new LedgerReader(name, address, { ...TIMEOUTS, opener: testOpener(origin) });
  const tree = new TreeStore(name, address, TIMEOUTS);
  const evidence = new DatabaseEvidence(name, address, {
    origin,
    keys: pinned,
    tree,
    opener: testOpener(origin),
    ...TIMEOUTS,
  });
  const key = createIndexKey(testSealingKey(origin).derive);
  const search = new SearchReader(name, address, {
    opener: { version: indexVersion(key.id), token: key.token, open: key.open, recordedIds: (id) => [id] },
    connections: 2,
    timeoutMs: 1_500,
  });
  const accounts = new AccountReader(name, address, {
    opener: { version: indexVersion(key.id), token: key.token, open: key.open, recordedIds: (id) => [id] },
    attachments: testOpener(origin),
    connections: 2,
    timeoutMs: 5_000,
  });
  let signer: Signer = signers[0];
  const write: PublishedLedger["write"] = async (work) => {
    const writer = new LedgerWriter({
      ledger: name,
      origin,
      database: { connectionString: database.urls.writer, requireSync: [] },
      appendDeadlineMs: 5_000,
      signer,
      reloadSigner: async (expected) =>
        signers.find(({ kid }) => expected.some((key) => key.kid === kid)) ?? signer,
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
    });
    await writer.start();
    try {
      return await work(writer);
    } finally {
      signer = signers.find(({ kid }) => kid === writer.kid) ?? signer;
      await writer.stop();
    }
  };
  const sign = (size: number, root: Uint8Array) =>
    signNote(formatCheckpoint({ origin, size, root }), {
      key: makeLogKey(origin, publicKeyOf(signer).bytes),
      sign: (bytes) => signer.sign(bytes),
    });
  const ledger: PublishedLedger = {
    name,
    origin,
    signers,
    tree,
    anchoredSize: 0,
    audit: {
      origin,
      reader,
      tree,
      evidence,
      search,
      accounts,
      publish: access,
      keys: async () => nameKeys(origin, await tree.keys(pinned, fastVerify)),
      anchored: () => ({ size: ledger.anchoredSize }),
      health: () => ({ size: 0, verified: 0, published: 0, isWritable: true, alarms: [] }),
      acknowledge: async () => false,
    },
    size: () => tree.size(),
    write,
    grow: (transactions) =>
      write(async (writer) => {
        await Promise.all(Array.from({ length: transactions }, () => passOne(writer)));
      }),
    publish: async (wanted) => {
      const size = wanted ?? (await tree.size());
      const hashes = await tree.leafHashes(0, size);
      const builder = new TileBuilder();
      const statements: string[] = [];
      for (let i = 0; i < size; i++) {
        for (const { tile, bytes } of builder.append(hashes.slice(i * 32, (i + 1) * 32)))
          statements.push(
            `INSERT INTO ledger_${name}.tile (level, index, hashes) VALUES (${tile.level}, ${tile.index}, '\\x${hex(bytes)}') ON CONFLICT DO NOTHING`,
          );
      }
      const note = sign(size, builder.root()).replaceAll("'", "''");
      statements.push(
        `INSERT INTO ledger_${name}.checkpoint (size, root, note) VALUES (${size}, '\\x${hex(builder.root())}', '${note}')`,
      );
      await runSql(database.urls.writer, statements.join("; "));
    },
    sign,
    tamper: (statement) => runSql(database.urls.superuser, `${disarm(`ledger_${name}`)}; ${statement}`),
    close: async () => {
      await Promise.all([reader.close(), evidence.close(), tree.close(), search.close(), accounts.close()]);
    },
  };
  return ledger;
}

/** The rotation: from here on the second key signs. */
export async function rotate(ledger: PublishedLedger): Promise<void> {
  const { kid, publicJwk } = ledger.signers[1];
  await ledger.write((writer) =>
    writer.append({
      body: { type: "event", event: { name: "key-rotated", kid, jwk: publicJwk } },
      attachments: [],
    }),
  );
}

export const TOKENS = { all: "token-all", other: "token-other" };

/** An auditor who may read everything, but for what is said otherwise. */
export function makeAuditor(auditor: string, other: Partial<Auditor> = {}): Auditor {
  return { auditor, role: "auditor", ledgers: "*", connectors: "*", canReadBodies: true, ...other };
}

/** The admin listener over these ledgers. The token `other` may read the ledger of that name only. */
export function serve(
  ledgers: readonly PublishedLedger[],
  limits?: AdminLimits,
): { server: Server; context: AuditContext; errors: unknown[]; looks: Look[]; denials: Denial[] } {
  const errors: unknown[] = [];
  const looks: Look[] = [];
  const denials: Denial[] = [];
  const context: AuditContext = {
    authenticate: (authorization) => {
      if (authorization === `Bearer ${TOKENS.all}`) return makeAuditor("all");
      if (authorization === `Bearer ${TOKENS.other}`)
        return makeAuditor("other", { ledgers: new Set(["other"]) });
      return undefined;
    },
    ledgers: new Map(ledgers.map(({ name, audit }) => [name, audit])),
    sessions: { signIn: async () => undefined, find: () => undefined, end() {} },
    looked: (_ledger, look) => looks.push(look),
    exporting: async (_ledger, look) => {
      looks.push(look);
    },
    signedIn: async () => {},
    denied: (denial) => denials.push(denial),
    connectors: () => [],
    madeBy: "scimseal test",
    onError: (error) => errors.push(error),
  };
  const server = createAdminServer({
    audit: context,
    registry: new Registry(),
    readiness: () => [],
    ...(limits && { limits }),
  });
  return { server, context, errors, looks, denials };
}

/** A GET with the token that may read everything, or another, or "" for none. */
export function get(server: Server, path: string, token = TOKENS.all): request.Test {
  const asked = request(server).get(path);
  return token === "" ? asked : asked.set("authorization", `Bearer ${token}`);
}

export function post(server: Server, path: string, token = TOKENS.all): request.Test {
  return request(server).post(path).set("authorization", `Bearer ${token}`);
}

/** For supertest: the body as it came. */
export function asBytes(response: request.Response, done: (error: Error | null, body: Buffer) => void): void {
  const chunks: Buffer[] = [];
  response.on("data", (chunk: Buffer) => chunks.push(chunk));
  response.on("end", () => done(null, Buffer.concat(chunks)));
}

export function publicKeyOf({ publicJwk }: Signer): PublicKey {
  const key = parsePublicJwk(publicJwk);
  if (!key) throw new Error("the signer's key is no key");
  return key;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
