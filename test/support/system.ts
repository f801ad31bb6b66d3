// A whole system for tests, all of it real: an embedded PostgreSQL, a SCIM target, the application in this process or
// in one of its own. Every system test ends by checking the invariants of the design (I1–I4) with `checkInvariants`.

import { createHash, randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { stringify } from "yaml";
import { type App, startApp } from "../../src/app.ts";
import { addCredential } from "../../src/auth/credentialFile.ts";
import { loadConfig } from "../../src/config/load.ts";
import type { JournalLine } from "../../src/demo/journal.ts";
import { startTarget } from "../../src/demo/target.ts";
import { createAttachmentOpener } from "../../src/keys/attachmentOpen.ts";
import { fastVerify } from "../../src/keys/fastVerify.ts";
import { saveKey } from "../../src/keys/keyFile.ts";
import { loadPinned } from "../../src/keys/keyring.ts";
import { generateSealingKey, loadSealingKey } from "../../src/keys/sealingKey.ts";
import { formatPinnedJwk, formatPrivateJwk, generateKey } from "../../src/keys/signer.ts";
import { createTokenKey, generateTokenKey, type TokenKey } from "../../src/keys/tokenKey.ts";
import type { Entry } from "../../src/ledger/entry.ts";
import { equalBytes } from "../../src/ledger/hash.ts";
import { parseLeaf } from "../../src/ledger/leaf.ts";
import type { AttachmentOpener } from "../../src/ledger/sealing.ts";
import { hashLevels } from "../../src/ledger/tree/treeLevels.ts";
import type { StoredEntry } from "../../src/ledger/verify.ts";
import { LedgerReader } from "../../src/storage/reader.ts";
import { TreeStore } from "../../src/storage/tree/treeStore.ts";

export const ORIGIN = "test.scimseal.example/main";

export interface SystemOptions {
  /** Merged over the default configuration, top-level key by top-level key (`scim`, `failClosed`, …). */
  config?: Record<string, unknown>;
  /** Merged into connector `okta`. */
  connector?: Record<string, unknown>;
  /** Base URL of another target than the real SCIM server, such as a broken one. */
  targetUrl?: string;
  /** Keep an existing directory (a restart); it is not removed at the end. */
  dataDir?: string;
}

export interface System {
  dataDir: string;
  configFile: string;
  app: App;
  /** Base URL of connector `okta`. */
  baseUrl: string;
  token: string;
  /** Connector `entra`, for tests about the tenant next door. */
  otherToken: string;
  auditorToken: string;
  targetUrl: string;
  targetToken: string;
  /** Writes that reached the real target, in order. */
  journal(): readonly JournalLine[];
  /** What the application logged, as JSON lines. */
  logs(): string;
  /** The ledger's rows, with attachments. */
  entries(): Promise<RecordedEntry[]>;
  /** Superuser connection string of the embedded database. */
  superuserUrl: string;
  request(method: string, path: string, options?: RequestOptions): Promise<Response>;
  /** Every body that went through `request`, by its SHA-256. Add what you send by other means. */
  bodies: Map<string, Uint8Array>;
  stop(): Promise<void>;
}

export interface RequestOptions {
  body?: string | Uint8Array;
  token?: string;
  headers?: Record<string, string>;
}

export interface RecordedEntry {
  row: StoredEntry;
  claims: Entry;
  /** Parsed attachment `facts`, if there is one. */
  facts: Record<string, unknown> | undefined;
}

/** Makes keys, tokens and a configuration file in a directory; used for in-process and for spawned systems. */
export async function prepareDataDir(
  dataDir: string,
  targetUrl: string,
  targetToken: string,
  options: SystemOptions = {},
): Promise<{ configFile: string; token: string; otherToken: string; auditorToken: string }> {
  const secretsFile = join(dataDir, "test-secrets.json");
  const configFile = join(dataDir, "scimseal.yaml");
  await mkdir(join(dataDir, "keys"), { recursive: true, mode: 0o700 });
  let secrets = await readFile(secretsFile, "utf8").then(
    (text) => JSON.parse(text) as { token: string; otherToken: string; auditorToken: string },
    () => undefined,
  );
  if (!secrets) {
    const key = generateKey();
    await saveKey(join(dataDir, "keys/main.jwk"), formatPrivateJwk(key));
    await saveKey(join(dataDir, "keys/main.token.key"), generateTokenKey());
    await saveKey(join(dataDir, "keys/main.sealing.jwks"), generateSealingKey());
    await saveKey(join(dataDir, "keys/main.genesis.pub.jwk"), formatPinnedJwk(key));
    const now = new Date();
    const mint = async (scope: Parameters<typeof addCredential>[1]) =>
      (await addCredential(dataDir, scope, now)).token;
    secrets = {
      token: await mint({ kind: "client", connector: "okta", name: "okta-test" }),
      otherToken: await mint({ kind: "client", connector: "entra", name: "entra-test" }),
      auditorToken: await mint({ kind: "auditor", ledgers: "*", name: "auditor-test" }),
    };
    await writeFile(secretsFile, JSON.stringify(secrets), { mode: 0o600 });
  }
  await writeFile(join(dataDir, "target-token"), targetToken, { mode: 0o600 });
  const target = { url: targetUrl, auth: { bearer: { file: "target-token" } } };
  const config = {
    dataDir: ".",
    scim: { listen: { port: 0 } },
    admin: { listen: { port: 0 } },
    log: { level: "debug", format: "json" },
    ledgers: {
      main: {
        origin: ORIGIN,
        signingKey: { file: "keys/main.jwk" },
        pinnedKeys: ["keys/main.genesis.pub.jwk"],
        tokenKey: { file: "keys/main.token.key" },
        sealingKey: { file: "keys/main.sealing.jwks" },
      },
    },
    ...options.config,
    connectors: {
      okta: { ledger: "main", idp: "okta", target, ...options.connector },
      entra: { ledger: "main", idp: "entra", target },
    },
  };
  await writeFile(configFile, stringify(config));
  return { configFile, ...secrets };
}

/** Starts a system in this process. Call `stop` in `afterAll`/`afterEach`. */
export async function startSystem(options: SystemOptions = {}): Promise<System> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), "scimseal-test-")));
  const targetToken = randomBytes(32).toString("base64url");
  const target = options.targetUrl === undefined ? await startTarget({ token: targetToken }) : undefined;
  const targetUrl = options.targetUrl ?? target?.url ?? "";
  const prepared = await prepareDataDir(dataDir, targetUrl, targetToken, options);
  let logged = "";
  const log = pino(
    { level: "debug" },
    {
      write: (line) => {
        logged += line;
      },
    },
  );
  const app = await startApp(await loadConfig(prepared.configFile), log);
  const superuserUrl = app.embeddedUrls?.superuser ?? "";
  const baseUrl = `${app.publicUrl}/okta/scim/v2`;
  const reader = new LedgerReader(
    "main",
    { connectionString: superuserUrl, requireSync: [] },
    { connections: 2, timeoutMs: 30_000, opener: openerOf(dataDir) },
  );
  const bodies = new Map<string, Uint8Array>();
  return {
    dataDir,
    app,
    bodies,
    baseUrl,
    targetUrl,
    targetToken,
    superuserUrl,
    ...prepared,
    journal: () => target?.journal() ?? [],
    logs: () => logged,
    entries: () => readEntries(reader),
    request: (method, path, { body, token, headers } = {}) => {
      if (body !== undefined) bodies.set(sha256Hex(body), Buffer.from(body));
      return fetch(`${baseUrl}${path}`, {
        method,
        redirect: "manual",
        headers: {
          authorization: `Bearer ${token ?? prepared.token}`,
          ...(body === undefined ? {} : { "content-type": "application/scim+json" }),
          ...headers,
        },
        ...(body === undefined ? {} : { body }),
      });
    },
    stop: async () => {
      await reader.close();
      await app.stop();
      await target?.close();
      if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** Opens the attachments of the system in this directory. */
export function openerOf(dataDir: string): AttachmentOpener {
  return createAttachmentOpener(loadSealingKey(join(dataDir, "keys/main.sealing.jwks"), ORIGIN), ORIGIN);
}

/** Every row of a ledger with its claims and facts. */
export async function readEntries(reader: LedgerReader): Promise<RecordedEntry[]> {
  const found: RecordedEntry[] = [];
  for await (const row of reader.all(true)) {
    const parsed = parseLeaf(row.leaf);
    if (typeof parsed === "string") throw new Error(`entry ${row.seq}: ${parsed}`);
    const facts = row.attachments?.find((attachment) => attachment.name === "facts");
    found.push({
      row,
      claims: parsed.claims,
      facts: facts && (JSON.parse(Buffer.from(facts.content).toString("utf8")) as Record<string, unknown>),
    });
  }
  return found;
}

/** Entries of one transaction type, newest last. */
export function ofType<T extends Entry["type"]>(
  entries: readonly RecordedEntry[],
  type: T,
): (RecordedEntry & { claims: Extract<Entry, { type: T }> })[] {
  return entries.filter(
    (entry): entry is RecordedEntry & { claims: Extract<Entry, { type: T }> } => entry.claims.type === type,
  );
}

/** The ledger's key for keyed digests. */
export async function tokenKeyOf(dataDir: string): Promise<TokenKey> {
  const text = await readFile(join(dataDir, "keys/main.token.key"), "utf8");
  return createTokenKey(Buffer.from(text.trim(), "base64url"), ORIGIN);
}

export interface InvariantInput {
  dataDir: string;
  superuserUrl: string;
  journal: readonly Pick<JournalLine, "method" | "sha256" | "size">[];
  /** Exact bodies by their SHA-256, where a body held a secret and only a keyed digest was recorded. */
  bodies?: ReadonlyMap<string, Uint8Array>;
  /** Transactions that may still be open, such as those of a living instance. */
  mayBeOpen?: number;
}

export interface InvariantReport {
  findings: readonly unknown[];
  /** Journaled writes without a request entry that holds their digest (I1). */
  unrecorded: readonly unknown[];
  /** Transactions with more or less than one outcome (I3). */
  unclosed: readonly string[];
}

/** I1, I3, I4 over the stored ledger and the target's own journal. Everything in the report must be empty. */
export async function checkInvariants(input: InvariantInput): Promise<InvariantReport> {
  const reader = new LedgerReader(
    "main",
    { connectionString: input.superuserUrl, requireSync: [] },
    { connections: 2, timeoutMs: 30_000, opener: openerOf(input.dataDir) },
  );
  const tree = new TreeStore(
    "main",
    { connectionString: input.superuserUrl, requireSync: [] },
    { connections: 1, timeoutMs: 30_000 },
  );
  try {
    const pinned = loadPinned([join(input.dataDir, "keys/main.genesis.pub.jwk")]);
    const { findings } = await reader.verify({ origin: ORIGIN, pinned, verify: fastVerify });
    const checkpoint = await tree.latestCheckpoint();
    if (checkpoint) {
      const { root } = hashLevels(await tree.leafHashes(0, checkpoint.size));
      const seq = checkpoint.size - 1;
      if (!equalBytes(root, checkpoint.root))
        findings.push({ seq, code: "seq_mismatch", detail: "the newest checkpoint is of another tree" });
    }
    const entries = await readEntries(reader);
    const key = await tokenKeyOf(input.dataDir);
    const digests = new Map<string, number>();
    for (const { facts } of ofType(entries, "request")) {
      const digest = String(facts?.sha256 ?? facts?.hmacSha256 ?? "empty");
      digests.set(digest, (digests.get(digest) ?? 0) + 1);
    }
    const unrecorded = input.journal.filter(({ sha256, size }) => {
      const body = input.bodies?.get(sha256);
      const names = size === 0 ? ["empty"] : [sha256, ...(body ? [key.digest(body)] : [])];
      const name = names.find((candidate) => (digests.get(candidate) ?? 0) > 0);
      if (name === undefined) return true;
      digests.set(name, (digests.get(name) ?? 0) - 1);
      return false;
    });
    const outcomes = Map.groupBy(ofType(entries, "response"), (entry) => entry.claims.txn);
    const unclosed = ofType(entries, "request")
      .map((entry) => entry.claims.txn)
      .filter((txn) => outcomes.get(txn)?.length !== 1);
    return { findings, unrecorded, unclosed: unclosed.slice(input.mayBeOpen ?? 0) };
  } finally {
    await tree.close();
    await reader.close();
  }
}

export function sha256Hex(bytes: string | Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

export const ALL_WELL: InvariantReport = { findings: [], unrecorded: [], unclosed: [] };
