// What `scimseal doctor` takes from a ledger itself: the alarms that are open, whether checkpoints are signed since one was
// acknowledged, and which key the rotations lead to. Alarms and rotations are read from verified event entries, so nobody who
// can only write into the database can invent or hide one of them without being found by `scimseal verify`.

import type { Config, LedgerConfig } from "../../config/schema.ts";
import { loadPinned } from "../../keys/keyring.ts";
import { loadSigner } from "../../keys/signer.ts";
import { isTamper, stopsCheckpoints } from "../../monitor/alarm/alarmCodes.ts";
import { type AlarmEvent, openAlarms } from "../../monitor/alarm/alarmEvent.ts";
import { type EventHistory, readHistory } from "../../monitor/monitorEvents.ts";
import { MonitorDatabase } from "../../storage/monitorDatabase.ts";
import type { DatabaseAddress } from "../../storage/postgres.ts";
import { TreeStore } from "../../storage/tree/treeStore.ts";
import { type Check, errorText, fail, ok, warn } from "./check.ts";

const TIMEOUT_MS = 10_000;
const MAX_NAMED = 5;

/** The ledger's own events, verified with the pinned keys. */
export async function readLedgerHistory(
  name: string,
  ledger: LedgerConfig,
  reader: DatabaseAddress,
): Promise<EventHistory> {
  const database = new MonitorDatabase(name, reader, { timeoutMs: TIMEOUT_MS });
  try {
    return await readHistory((after, limit) => database.events(after, limit), {
      origin: ledger.origin,
      pinned: loadPinned(ledger.pinnedKeys),
    });
  } finally {
    await database.close();
  }
}

/** The alarms that nobody has acknowledged, the oldest first. */
export function openOf(history: EventHistory): Extract<AlarmEvent, { name: "alarm-raised" }>[] {
  return openAlarms(history.alarms.map(({ event }) => event));
}

/** Judges a ledger by its history. `commandLine` is how this program is called on this configuration. */
export async function checkHistory(
  name: string,
  ledger: LedgerConfig,
  reader: DatabaseAddress,
  commandLine: CommandLine,
): Promise<Check[]> {
  let history: EventHistory;
  let signedAt: number;
  try {
    history = await readLedgerHistory(name, ledger, reader);
    signedAt = await lastSigned(name, reader);
  } catch (cause) {
    const remedy = "check database.readerUrl and pinnedKeys: whether an alarm is open is not known";
    return [fail(`ledger ${name}: alarms`, errorText(cause), remedy)];
  }
  return [
    judgeAlarms(name, ledger, history, commandLine),
    ...judgeCheckpoints(name, history, signedAt),
    ...judgeSigner(name, ledger, history),
  ];
}

/** When the newest checkpoint was signed, by the database's clock, in epoch milliseconds; 0: none was. */
async function lastSigned(name: string, reader: DatabaseAddress): Promise<number> {
  const tree = new TreeStore(name, reader, { connections: 1, timeoutMs: TIMEOUT_MS });
  try {
    return (await tree.latestCheckpoint())?.publishedAt.getTime() ?? 0;
  } finally {
    await tree.close();
  }
}

function judgeCheckpoints(name: string, { alarms }: EventHistory, signedAt: number): Check[] {
  const last = alarms.findLast(
    ({ event, time }) =>
      event.name === "alarm-acknowledged" && stopsCheckpoints(event.code) && Date.parse(time) > signedAt,
  );
  if (!last) return [];
  return [
    warn(
      `ledger ${name}: checkpoints`,
      `none was signed since ${last.event.code} was acknowledged (${last.time}): what is written since is held by no anchor`,
      `if the ledger is to go on as it is: stop all instances, move ${name}.checkpoint away from every anchor (the data directory's anchors/, anchors.directories, anchors.url), keep it as evidence, start. If that does not help, the database has signed checkpoints beyond its entries: put a whole backup in its place, or begin a new ledger`,
    ),
  ];
}

/** `verify` becomes `npx scimseal verify --config FILE`. */
export type CommandLine = (command: string) => string;

function judgeAlarms(
  name: string,
  { monitor }: LedgerConfig,
  history: EventHistory,
  commandLine: CommandLine,
): Check {
  const label = `ledger ${name}: alarms`;
  const open = openOf(history);
  if (open.length === 0) return ok(label, "none is open");
  const named = open.slice(0, MAX_NAMED).map(({ alarm, code, at }) => {
    const place = at === undefined ? "" : ` at entry ${at}`;
    return `${code}${place} (alarm ${alarm})`;
  });
  const more = open.length > MAX_NAMED ? ` and ${open.length - MAX_NAMED} more` : "";
  const said = `open: ${named.join(", ")}${more}`;
  const acknowledge = `${commandLine("doctor --acknowledge")} takes note`;
  if (!open.some(({ code }) => isTamper(code))) return warn(label, said, `look into it; ${acknowledge}`);
  const writes = monitor.onTamper === "refuse" ? "; writes are refused" : "";
  const remedy = `run ${commandLine("verify")}, keep the anchors and a copy of the database as evidence, and decide; ${acknowledge}${writes === "" ? "" : ", and writes go on"}`;
  return fail(label, said + writes, remedy);
}

/** The key file beside what the ledger expects; nothing if the check of the files has said all there is to say. */
function judgeSigner(name: string, ledger: LedgerConfig, { keys, rotations }: EventHistory): Check[] {
  const label = `ledger ${name}: keys`;
  const kid = kidOf(ledger);
  const at = rotations.at(-1);
  if (kid === undefined || at === undefined) return [];
  const expected = keys.at(-1)?.kid;
  if (kid === expected)
    return [ok(label, `signs with ${kid}, which the pinned key's rotation at entry ${at} introduced`)];
  return [
    fail(
      label,
      `signs with ${kid}, and since the rotation at entry ${at} the ledger expects ${expected}`,
      `copy the new key file to ${ledger.signingKey.file}; until then writes are refused`,
    ),
  ];
}

/** Undefined if the file cannot be used: the check of the keys tells that. */
function kidOf({ signingKey }: Config["ledgers"][string]): string | undefined {
  try {
    return loadSigner(signingKey.file).kid;
  } catch {
    return undefined;
  }
}
