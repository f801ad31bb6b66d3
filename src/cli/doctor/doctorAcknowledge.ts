// `scimseal doctor --acknowledge`: a person has taken note of the alarms of a ledger, and writes may go on. That is an
// entry of the ledger like everything else, so nobody can do it in silence: the command appends it as the writer, with
// the ledger's key, beside running instances, which learn of it from the ledger within seconds.

import { commandName } from "../../config/commandName.ts";
import { loadConfig } from "../../config/load.ts";
import type { Config } from "../../config/schema.ts";
import { addressesOf, writerSettings } from "../../ledgers.ts";
import { createWriter } from "../../ledgerWriter.ts";
import { isTamper, stopsCheckpoints } from "../../monitor/alarm/alarmCodes.ts";
import { formatAcknowledged } from "../../monitor/alarm/alarmEvent.ts";
import { openEmbedded } from "../../storage/embedded/embedded.ts";
import { printable } from "../printable.ts";
import { awaitWrites, USUAL_SECONDS } from "./awaitWrites.ts";
import { configFileOf, type PlaceOptions } from "./configFile.ts";
import { openOf, readLedgerHistory } from "./doctorLedger.ts";

const quiet = { info() {}, warn() {}, error() {} };
const WAIT_MS = 10_000;

export interface AcknowledgeOptions extends PlaceOptions {
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
      const history = await readLedgerHistory(name, ledger, addresses.reader);
      const open = openOf(history).filter(
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
  return `${lines.join("")}\nRecorded in the ledger.\n`;
}

/** Waits some seconds for the instance to take writes again, and says what came of it, for people. */
export async function describeResumption(
  options: AcknowledgeOptions,
  done: readonly Acknowledged[],
  waitMs = WAIT_MS,
): Promise<string> {
  const config = await loadConfig(configFileOf(options), { secrets: "deferred" });
  if (done.length === 0) return describeUnrecorded(config);
  return `${await describeWrites(config, done, waitMs)}${describeCheckpoints(done)}`;
}

/** Writes go on, and what protects them does not. An instance that publishes already goes on with the tree it knows. */
function describeCheckpoints(done: readonly Acknowledged[]): string {
  const found = done.find(({ code }) => stopsCheckpoints(code));
  return found
    ? `While ${found.code} is found, an instance that starts signs no checkpoint, and what is written then is not anchored: ${commandName()} doctor says when that is so, and what to do.\n`
    : "";
}

async function describeWrites(
  config: Config,
  done: readonly Acknowledged[],
  waitMs: number,
): Promise<string> {
  const blocking = done.filter(
    ({ ledger, code }) => isTamper(code) && config.ledgers[ledger]?.monitor.onTamper === "refuse",
  );
  if (blocking.length === 0) return `An instance that runs takes it up within about ${USUAL_SECONDS} s.\n`;
  const ledgers = [...new Set(blocking.map(({ ledger }) => ledger))];
  const { state, url, reasons = [] } = await awaitWrites(config, ledgers, waitMs);
  const at = url === undefined ? "" : ` at ${url}`;
  switch (state) {
    case "taken":
      return `Writes are taken again, says the instance${at}.\n`;
    case "refused":
      return `Writes are still refused, says the instance${at}: see there why; ${commandName()} doctor shows the alarms that are open.\n`;
    case "unready":
      return `No alarm stops writes any more, but the instance${at} is not ready (${printable(reasons.join(", "))}): see there why.\n`;
    case "unseen":
      return `No instance answers${at}. One that runs takes writes again within about ${USUAL_SECONDS} s.\n`;
  }
}

/** An instance refuses writes from the moment of the finding. Its entry comes later: after a restart, if the head was cut off under it. */
async function describeUnrecorded(config: Config): Promise<string> {
  const { state, url } = await awaitWrites(config, Object.keys(config.ledgers), 0);
  if (state !== "refused") return "";
  return `But the instance at ${url} refuses writes for an alarm that is not in the ledger: it is on its way there, or cannot be written now. See there why; try again in some seconds, or after a restart.\n`;
}
