// Where verify and export find a ledger: by configuration file or by data directory, live or at rest. Keys come from
// outside the database: the configuration's pinned keys, the data directory's memory of them, or the reader's own.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { loadConfig } from "../config/load.ts";
import { createAttachmentOpener } from "../keys/attachmentOpen.ts";
import { loadPinned } from "../keys/keyring.ts";
import { loadSealingKey } from "../keys/sealingKey.ts";
import type { ExpectedCheckpoint } from "../ledger/evidence/treeAudit.ts";
import { type PublicKey, parsePublicJwk } from "../ledger/key.ts";
import { addressesOf, readRemembered } from "../ledgers.ts";
import { nodeSha256 } from "../nodeCrypto.ts";
import type { AttachmentOpener } from "../storage/attachmentSealer.ts";
import { openEmbedded } from "../storage/embedded/embedded.ts";
import type { DatabaseAddress } from "../storage/postgres.ts";
import { LedgerReader } from "../storage/reader.ts";
import { TreeStore } from "../storage/tree/treeStore.ts";
import { readPinnedKeys } from "./verify/pinnedKeys.ts";

export const DEFAULT_DATA_DIR = ".scimseal";

export interface SourceOptions {
  config?: string;
  dataDir?: string;
  ledger?: string;
  key?: string[];
  /** File with the ledger's sealing key, if it is not where the ledger's own says. */
  sealingKey?: string;
}

export interface LedgerSource {
  name: string;
  origin: string;
  pinned: readonly PublicKey[];
  /** The reader's role. */
  address: DatabaseAddress;
  /** Opens attachments; undefined: there is no sealing key here, and they stay sealed. */
  opener: AttachmentOpener | undefined;
  reader: LedgerReader;
  tree: TreeStore;
  /** Checkpoints that are kept outside the database. */
  anchors: readonly ExpectedCheckpoint[];
  close(): Promise<void>;
}

const TIMEOUT_MS = 120_000;
const quiet = { info() {}, warn() {}, error() {} };

/** Opens the named ledger, or the only one. Throws with what to do when there is none or several. */
export async function openLedgerSource(options: SourceOptions): Promise<LedgerSource> {
  const found =
    options.config === undefined ? await fromDataDir(options) : await fromConfig(options.config, options);
  const { name, origin, address } = found;
  const pinned = options.key ? readPinnedKeys(options.key).keys : found.pinned;
  const settings = { connections: 2, timeoutMs: TIMEOUT_MS };
  const opener = openerOf(options.sealingKey, found);
  const reader = new LedgerReader(name, address, { ...settings, ...(opener && { opener }) });
  const tree = new TreeStore(name, address, { ...settings, digest: nodeSha256 });
  return {
    name,
    origin,
    pinned,
    address,
    opener,
    reader,
    tree,
    anchors: readAnchors(found.anchorDirectories, name),
    close: async () => {
      await tree.close();
      await reader.close();
      await found.close();
    },
  };
}

interface Found {
  name: string;
  origin: string;
  pinned: readonly PublicKey[];
  address: DatabaseAddress;
  anchorDirectories: readonly string[];
  sealingKeyFile: string | undefined;
  close(): Promise<void>;
}

/** The key that was named must be usable; the ledger's own may be elsewhere, as it should be for whoever only verifies. */
function openerOf(
  named: string | undefined,
  { origin, sealingKeyFile }: Found,
): AttachmentOpener | undefined {
  const file =
    named ?? (sealingKeyFile !== undefined && existsSync(sealingKeyFile) ? sealingKeyFile : undefined);
  return file === undefined ? undefined : createAttachmentOpener(loadSealingKey(file, origin), origin);
}

/** `NAME.checkpoint` in each directory that has one. One that cannot be read is an error: it may be the one that tells. */
function readAnchors(directories: readonly string[], ledger: string): ExpectedCheckpoint[] {
  return directories
    .map((directory) => join(directory, `${ledger}.checkpoint`))
    .filter((file) => existsSync(file))
    .map((file) => ({ name: `anchor ${file}`, note: readFileSync(file, "utf8") }));
}

async function fromConfig(file: string, options: SourceOptions): Promise<Found> {
  const config = await loadConfig(file, { secrets: "deferred" });
  const name = chooseLedger(Object.keys(config.ledgers), options.ledger);
  const ledger = config.ledgers[name];
  if (!ledger) throw new Error(`no ledger ${name}`);
  const database = ledger.database ?? config.database;
  const embedded =
    database.kind === "embedded" ? await openEmbedded({ dataDir: config.dataDir, log: quiet }) : undefined;
  return {
    name,
    origin: ledger.origin,
    pinned: options.key ? [] : loadPinned(ledger.pinnedKeys),
    address: addressesOf(database, embedded?.urls).reader,
    anchorDirectories: [join(config.dataDir, "anchors"), ...ledger.anchors.directories],
    sealingKeyFile: ledger.sealingKey.file,
    close: async () => embedded?.close(),
  };
}

async function fromDataDir(options: SourceOptions): Promise<Found> {
  const dataDir = options.dataDir ?? DEFAULT_DATA_DIR;
  if (options.dataDir === undefined && !existsSync(join(dataDir, "ledgers.json"))) {
    throw new Error(
      `say which ledger: --config FILE or --data-dir DIR (there is no ${DEFAULT_DATA_DIR} here)`,
    );
  }
  const remembered = await readRemembered(dataDir);
  const name = chooseLedger(Object.keys(remembered), options.ledger);
  const ledger = remembered[name];
  if (!ledger) throw new Error(`no ledger ${name}`);
  const embedded = await openEmbedded({ dataDir, log: quiet });
  return {
    name,
    origin: ledger.origin,
    pinned: ledger.pinned.flatMap((jwk) => parsePublicJwk(jwk) ?? []),
    address: { connectionString: embedded.urls.reader, requireSync: [] },
    anchorDirectories: [join(dataDir, "anchors")],
    sealingKeyFile: ledger.sealingKeyFile,
    close: () => embedded.close(),
  };
}

function chooseLedger(names: readonly string[], wanted: string | undefined): string {
  const [only] = names;
  if (wanted !== undefined && names.includes(wanted)) return wanted;
  if (wanted !== undefined) throw new Error(`there is no ledger ${wanted}; there are: ${names.join(", ")}`);
  if (names.length === 1 && only !== undefined) return only;
  throw new Error(`several ledgers: say --ledger with one of ${names.join(", ")}`);
}
