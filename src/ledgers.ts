// The ledgers of a running instance: databases brought up, tables migrated, writers, readers and recoveries started,
// in that order, and stopped in the opposite one. Also what other commands need to find a ledger again: its address
// and, kept outside the database, its origin and pinned keys.

import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import type { DatabaseConfig } from "./config/database.ts";
import type { Config, LedgerConfig } from "./config/schema.ts";
import { createAttachmentOpener } from "./keys/attachmentOpen.ts";
import { loadPinned } from "./keys/keyring.ts";
import { loadSealingKey, type SealingKey } from "./keys/sealingKey.ts";
import { loadTokenKey, type TokenKey } from "./keys/tokenKey.ts";
import { formatPublicJwk, type PublicJwk, type PublicKey } from "./ledger/key.ts";
import type { WatchSettings } from "./ledgerWatch.ts";
import { createWriter, type WriterSettings } from "./ledgerWriter.ts";
import { nodeSha256 } from "./nodeCrypto.ts";
import { Recovery } from "./proxy/recovery.ts";
import { RecordedLeaves } from "./recordedLeaves.ts";
import { type EmbeddedPostgres, type EmbeddedUrls, startEmbedded } from "./storage/embedded/embedded.ts";
import { writeDurably } from "./storage/embedded/file.ts";
import { DatabaseEvidence } from "./storage/evidenceSource.ts";
import { connect, type DatabaseAddress, roleOf } from "./storage/postgres.ts";
import { LedgerReader } from "./storage/reader.ts";
import { migrate } from "./storage/schema.ts";
import { TreeStore } from "./storage/tree/treeStore.ts";
import type { LedgerWriter, WriterObserver } from "./storage/writer/writer.ts";

/** One ledger, open. */
export interface OpenLedger {
  name: string;
  config: LedgerConfig;
  writer: LedgerWriter;
  reader: LedgerReader;
  tree: TreeStore;
  evidence: DatabaseEvidence;
  recovery: Recovery;
  tokenKey: TokenKey;
  sealingKey: SealingKey;
  pinned: readonly PublicKey[];
  watch: WatchSettings;
}

/** Connection strings for each role; `owner` only where migrations may be run. */
export interface RoleAddresses {
  writer: DatabaseAddress;
  reader: DatabaseAddress;
  owner?: DatabaseAddress;
}

const READ_TIMEOUT_MS = 30_000;
const OWNER_TIMEOUT_MS = 10_000;

/** The addresses of a ledger's database. */
export function addressesOf(database: DatabaseConfig, embedded: EmbeddedUrls | undefined): RoleAddresses {
  if (database.kind === "embedded") {
    if (!embedded) throw new Error("the embedded database is not running");
    const address = (connectionString: string) => ({ connectionString, requireSync: [] });
    return {
      writer: address(embedded.writer),
      reader: address(embedded.reader),
      owner: address(embedded.owner),
    };
  }
  const { url, readerUrl = url, ownerUrl, caFile, requireSync } = database;
  const ca = caFile === undefined ? {} : { ca: readFileSync(caFile, "utf8") };
  const address = (secret: typeof url) => ({ connectionString: secret.reveal(), requireSync, ...ca });
  return {
    writer: address(url),
    reader: address(readerUrl),
    ...(ownerUrl === undefined ? {} : { owner: address(ownerUrl) }),
  };
}

export class Ledgers {
  readonly all = new Map<string, OpenLedger>();
  #embedded: EmbeddedPostgres | undefined;

  get embeddedUrls(): EmbeddedUrls | undefined {
    return this.#embedded?.urls;
  }

  /** Opens every ledger of the configuration; on any failure closes what was opened and throws why. */
  async open(config: Config, log: Logger, observer: (ledger: string) => WriterObserver): Promise<void> {
    try {
      if (config.database.kind === "embedded") {
        const { port } = config.database;
        this.#embedded = await startEmbedded({
          dataDir: config.dataDir,
          log,
          ...(port === 0 ? {} : { port }),
        });
      }
      for (const [name, ledger] of Object.entries(config.ledgers)) {
        this.all.set(name, await this.#openOne(config, name, ledger, log, observer(name)));
      }
      await rememberLedgers(config, this.all);
    } catch (cause) {
      await this.close();
      throw cause;
    }
  }

  async #openOne(
    config: Config,
    name: string,
    ledger: LedgerConfig,
    log: Logger,
    observer: WriterObserver,
  ): Promise<OpenLedger> {
    const addresses = addressesOf(ledger.database ?? config.database, this.#embedded?.urls);
    if (addresses.owner) await migrateAs(addresses.owner, addresses, name, ledger.origin);
    const pinned = loadPinned(ledger.pinnedKeys);
    const sealingKey = loadSealingKey(ledger.sealingKey.file, ledger.origin);
    const opener = createAttachmentOpener(sealingKey, ledger.origin);
    const recorded = new RecordedLeaves();
    const writer = createWriter(writerSettings(config, name, addresses.writer), log, {
      batchCommitted(entries, durationMs) {
        for (const { seq, leafHash } of entries) recorded.note(seq, leafHash);
        observer.batchCommitted(entries, durationMs);
      },
    });
    await writer.start();
    const reader = new LedgerReader(name, addresses.reader, {
      connections: 4,
      timeoutMs: READ_TIMEOUT_MS,
      opener,
    });
    const tree = new TreeStore(name, addresses.reader, {
      connections: 4,
      timeoutMs: READ_TIMEOUT_MS,
      digest: nodeSha256,
    });
    const evidence = new DatabaseEvidence(name, addresses.reader, {
      origin: ledger.origin,
      keys: pinned,
      tree,
      opener,
      connections: 2,
      timeoutMs: READ_TIMEOUT_MS,
    });
    const recovery = new Recovery({ ledgerName: name, address: addresses.writer, ledger: writer, log });
    const open = {
      name,
      config: ledger,
      writer,
      reader,
      tree,
      evidence,
      recovery,
      tokenKey: loadTokenKey(ledger.tokenKey.file, ledger.origin),
      sealingKey,
      pinned,
      watch: watchSettings(config, name, addresses, recorded.memory),
    };
    this.all.set(name, open);
    await recovery.start();
    return open;
  }

  async close(): Promise<void> {
    for (const { writer, reader, tree, evidence, recovery } of this.all.values()) {
      await recovery.stop();
      await writer.stop();
      await reader.close();
      await evidence.close();
      await tree.close();
    }
    this.all.clear();
    await this.#embedded?.stop();
    this.#embedded = undefined;
  }
}

/** What the writer of a configured ledger is made from. */
export function writerSettings(config: Config, name: string, database: DatabaseAddress): WriterSettings {
  const ledger = config.ledgers[name];
  if (!ledger) throw new Error(`no ledger is called ${name}`);
  return {
    ledger: name,
    origin: ledger.origin,
    database,
    appendDeadlineMs: config.appendDeadlineMs,
    signingKeyFile: ledger.signingKey.file,
    pinnedKeyFiles: ledger.pinnedKeys,
    sealingKeyFile: ledger.sealingKey.file,
  };
}

/** What the watch of an open ledger is made from. */
function watchSettings(
  config: Config,
  name: string,
  { writer, reader }: RoleAddresses,
  recorded: SharedArrayBuffer,
): WatchSettings {
  const ledger = config.ledgers[name];
  if (!ledger) throw new Error(`no ledger is called ${name}`);
  const { directories, url } = ledger.anchors;
  return {
    writer: writerSettings(config, name, writer),
    recorded,
    reader,
    dataDir: config.dataDir,
    publish: ledger.publish,
    anchors: {
      directories,
      ...(url
        ? { url: { url: url.url, ...(url.token === undefined ? {} : { token: url.token.reveal() }) } }
        : {}),
    },
    witnesses: ledger.witnesses,
    monitor: ledger.monitor,
    webhooks: config.alarms.webhooks.map(({ url: address, secret, format }) => ({
      url: address.reveal(),
      secret: secret.reveal(),
      format,
    })),
  };
}

async function migrateAs(
  owner: DatabaseAddress,
  roles: RoleAddresses,
  ledger: string,
  origin: string,
): Promise<void> {
  const client = await connect(owner, `scimseal ${ledger} migration`, OWNER_TIMEOUT_MS);
  try {
    await migrate(client, ledger, origin, {
      writer: roleOf(roles.writer.connectionString),
      reader: roleOf(roles.reader.connectionString),
    });
  } finally {
    await client.end();
  }
}

/** What `--data-dir` commands read: which ledgers there are and which keys they are verified with. */
export interface RememberedLedger {
  origin: string;
  pinned: PublicJwk[];
  /** Where its sealing key lies: attachments are opened if it is there and may be read. */
  sealingKeyFile?: string;
}

const LEDGERS_FILE = "ledgers.json";

async function rememberLedgers(config: Config, ledgers: ReadonlyMap<string, OpenLedger>): Promise<void> {
  const remembered: Record<string, RememberedLedger> = {};
  for (const [name, ledger] of ledgers) {
    remembered[name] = {
      origin: ledger.config.origin,
      pinned: ledger.pinned.map((key) => formatPublicJwk(key.bytes)),
      sealingKeyFile: ledger.config.sealingKey.file,
    };
  }
  await writeDurably(join(config.dataDir, LEDGERS_FILE), `${JSON.stringify(remembered, null, 2)}\n`);
}

/** Reads it back. Throws if this data directory never served a ledger. */
export async function readRemembered(dataDir: string): Promise<Record<string, RememberedLedger>> {
  const file = join(dataDir, LEDGERS_FILE);
  try {
    return JSON.parse(await readFile(file, "utf8")) as Record<string, RememberedLedger>;
  } catch (cause) {
    throw new Error(`${file} cannot be read: no ledger was ever opened in this data directory`, { cause });
  }
}
