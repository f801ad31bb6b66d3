// The ledger's own events, verified: which keys signed it after the pinned ones, and which alarms were raised and
// acknowledged. Only an entry that the key trusted at its place signed, and that says it stands there, counts: a
// superuser can plant a row, copy an old acknowledgement to a new place, or forge a key, but not sign.

import { fastVerify } from "../keys/fastVerify.ts";
import type { PublicKey } from "../ledger/key.ts";
import { parseLeaf } from "../ledger/leaf.ts";
import { rotatedKey } from "../ledger/rotation.ts";
import type { EventRow } from "../storage/monitorDatabase.ts";
import { type AlarmEvent, parseAlarmEvent } from "./alarm/alarmEvent.ts";

/** What the events of a ledger tell. */
export interface EventHistory {
  /** Every key that was ever trusted: the pinned ones and those that rotations introduced. */
  keys: PublicKey[];
  /** Where the rotations stand. */
  rotations: number[];
  alarms: { event: AlarmEvent; time: string }[];
}

const PAGE = 500;

/** Reads all events in order. Each is verified with the key that is trusted at its place. */
export async function readHistory(
  events: (after: number, limit: number) => Promise<readonly EventRow[]>,
  ledger: { origin: string; pinned: readonly PublicKey[] },
): Promise<EventHistory> {
  const history: EventHistory = { keys: [...ledger.pinned], rotations: [], alarms: [] };
  let trusted: readonly PublicKey[] = ledger.pinned;
  let after = -1;
  for (;;) {
    const rows = await events(after, PAGE);
    for (const { seq, leaf } of rows) {
      const parsed = parseLeaf(leaf);
      if (typeof parsed === "string") continue;
      const { claims, kid, signingInput, signature } = parsed;
      const key = trusted.find((candidate) => candidate.kid === kid);
      if (claims.type !== "event" || claims.seq !== seq || claims.log !== ledger.origin || !key) continue;
      if (!fastVerify(key.bytes, signingInput, signature)) continue;
      const next = rotatedKey(claims);
      if (next) {
        trusted = [next];
        history.keys.push(next);
        history.rotations.push(seq);
      }
      const event = parseAlarmEvent(claims.event);
      if (event) history.alarms.push({ event, time: claims.time });
    }
    const last = rows.at(-1);
    if (!last || rows.length < PAGE) return history;
    after = last.seq;
  }
}
