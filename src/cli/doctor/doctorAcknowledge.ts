// `scimseal doctor --acknowledge`: a person has taken note of the alarms of a ledger, and writes may go on. That is an
// entry of the ledger like everything else, so nobody can do it in silence: the command appends it as the writer, with
// the ledger's key, beside running instances, which learn of it from the ledger within seconds.

import { join } from "node:path";
import { loadConfig } from "../../config/load.ts";
import { loadPinned } from "../../keys/keyring.ts";
import { addressesOf, writerSettings } from "../../ledgers.ts";
import { createWriter } from "../../ledgerWriter.ts";
import { formatAcknowledged, openAlarms } from "../../monitor/alarm/alarmEvent.ts";
import { readHistory } from "../../monitor/monitorEvents.ts";
import { openEmbedded } from "../../storage/embedded/embedded.ts";
import { MonitorDatabase } from "../../storage/monitorDatabase.ts";

const quiet = { info() {}, warn() {}, error() {} };
const TIMEOUT_MS = 10_000;
/** What `scimseal demo` names its configuration file in its data directory. */
const CONFIG_IN_DATA_DIR = "scimseal.yaml";

export interface AcknowledgeOptions {
  config?: string;
  /** A data directory that holds its configuration file, such as the demonstration's. */
  dataDir?: string;
  /** Only this alarm; left out: all that are open, of every ledger. */
  alarm?: string;
}

/** An alarm that was acknowledged. */
export interface Acknowledged {
  ledger: string;
  alarm: string;
  code: string;
  /** The entry that it is about, if it is about one. */
  at?: number;
}

/** Acknowledges; resolves when the entries are durable. Throws if `alarm` is not open, or a ledger cannot be written. */
export async function acknowledgeAlarms(options: AcknowledgeOptions): Promise<Acknowledged[]> {
  const config = await loadConfig(configFileOf(options), { secrets: "deferred" });
  const databases = Object.values(config.ledgers).map(({ database }) => database ?? config.database);
  const embedded = databases.some(({ kind }) => kind === "embedded")
    ? await openEmbedded({ dataDir: config.dataDir, log: quiet })
    : undefined;
  try {
    const done: Acknowledged[] = [];
    for (const [name, ledger] of Object.entries(config.ledgers)) {
      const addresses = addressesOf(ledger.database ?? config.database, embedded?.urls);
      const pinned = loadPinned(ledger.pinnedKeys);
      const database = new MonitorDatabase(name, addresses.reader, { timeoutMs: TIMEOUT_MS });
      const history = await readHistory((after, limit) => database.events(after, limit), {
        origin: ledger.origin,
        pinned,
      }).finally(() => database.close());
      const open = openAlarms(history.alarms.map(({ event }) => event)).filter(
        ({ alarm }) => options.alarm === undefined || alarm === options.alarm,
      );
      if (open.length === 0) continue;
      const writer = createWriter(writerSettings(config, name, addresses.writer), quiet, {
        batchCommitted() {},
      });
      await writer.start();
      try {
        for (const { alarm, code, at } of open) {
          const finding = { id: alarm, code, ...(at === undefined ? {} : { seq: at }) };
          await writer.append({
            body: { type: "event", event: formatAcknowledged(finding, "operator") },
            attachments: [],
          });
          done.push({ ledger: name, alarm, code, ...(at === undefined ? {} : { at }) });
        }
      } finally {
        await writer.stop();
      }
    }
    if (options.alarm !== undefined && done.length === 0)
      throw new Error(`no alarm ${options.alarm} is open in any ledger of ${config.file}`);
    return done;
  } finally {
    await embedded?.close();
  }
}

/** What was done, for people. */
export function formatAcknowledgements(done: readonly Acknowledged[]): string {
  if (done.length === 0) return "No alarm is open.\n";
  const lines = done.map(({ ledger, alarm, code, at }) => {
    const place = at === undefined ? "" : ` at entry ${at}`;
    return `acknowledged  ledger ${ledger}: ${code}${place} (alarm ${alarm})\n`;
  });
  return `${lines.join("")}\nRecorded in the ledger; running instances take writes again within seconds.\n`;
}

function configFileOf({ config, dataDir }: AcknowledgeOptions): string {
  if (config !== undefined) return config;
  if (dataDir !== undefined) return join(dataDir, CONFIG_IN_DATA_DIR);
  throw new Error("say whose alarms: --config FILE, or --data-dir DIR of a demonstration");
}
