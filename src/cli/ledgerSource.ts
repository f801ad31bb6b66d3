// Where verify and export find a ledger: by configuration file or by data directory, live or at rest. Keys come from
// outside the database: the configuration's pinned keys, the data directory's memory of them, or the reader's own.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { loadConfig } from "../config/load.ts";
import { loadPinned } from "../keys/keyring.ts";
import { type PublicKey, parsePublicJwk } from "../ledger/key.ts";
import { addressesOf, readRemembered } from "../ledgers.ts";
import { openEmbedded } from "../storage/embedded/embedded.ts";
import type { DatabaseAddress } from "../storage/postgres.ts";
import { LedgerReader } from "../storage/reader.ts";

export const DEFAULT_DATA_DIR = ".scimseal";

export interface SourceOptions {
  config?: string;
  dataDir?: string;
  ledger?: string;
  key?: string[];
}

export interface LedgerSource {
  name: string;
  origin: string;
  pinned: readonly PublicKey[];
  reader: LedgerReader;
  close(): Promise<void>;
}

const quiet = { info() {}, warn() {}, error() {} };

/** Opens the named ledger, or the only one. Throws with what to do when there is none or several. */
export async function openLedgerSource(options: SourceOptions): Promise<LedgerSource> {
  const found =
    options.config === undefined ? await fromDataDir(options) : await fromConfig(options.config, options);
  const pinned = options.key ? loadPinned(options.key) : found.pinned;
  const reader = new LedgerReader(found.name, found.address, { connections: 2, timeoutMs: 120_000 });
  return {
    name: found.name,
    origin: found.origin,
    pinned,
    reader,
    close: async () => {
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
  close(): Promise<void>;
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
