// One alarm for one finding, however many instances find it: they record in turns, and each looks first what the ledger
// has open by now. The turn is a lock of the database, and the database may be the adversary's: who waits too long for
// it, or cannot look, records all the same. Two alarms about one finding are a nuisance; none would be a hole.

import type { PublicKey } from "../../ledger/key.ts";
import type { MonitorDatabase } from "../../storage/monitorDatabase.ts";
import { readHistory } from "../monitorEvents.ts";
import type { AlarmLog, RecordTurn } from "./alarm.ts";
import { type AlarmEvent, openAlarms } from "./alarmEvent.ts";

export interface TurnOptions {
  database: Pick<MonitorDatabase, "tryTurn" | "endTurn" | "events">;
  ledger: string;
  origin: string;
  pinned: readonly PublicKey[];
  log: Pick<AlarmLog, "warn">;
  /** How long others may keep the turn; 3 s unless told otherwise. */
  maxWaitMs?: number;
}

const MAX_WAIT_MS = 3_000;

/** Turns of one instance. What is not its turn is to be tried again soon. */
export function takeTurns(options: TurnOptions): RecordTurn {
  const { database, origin, pinned, maxWaitMs = MAX_WAIT_MS } = options;
  let waitingSince: number | undefined;
  const tolerate = (cause: unknown) => {
    const error = cause instanceof Error ? cause.message : "error";
    options.log.warn(
      { ledger: options.ledger, error },
      "cannot look whether an alarm is in the ledger already",
    );
  };
  return async (record) => {
    let isOurs = false;
    let open: readonly AlarmEvent[] = [];
    try {
      isOurs = await database.tryTurn();
      if (!isOurs) {
        waitingSince ??= performance.now();
        if (performance.now() - waitingSince < maxWaitMs) return;
      }
      waitingSince = undefined;
      const { alarms } = await readHistory((after, limit) => database.events(after, limit), {
        origin,
        pinned,
      });
      open = openAlarms(alarms.map(({ event }) => event));
    } catch (cause) {
      tolerate(cause);
    }
    try {
      await record(open);
    } finally {
      if (isOurs) await database.endTurn().catch(tolerate);
    }
  };
}
