// Where in a ledger a time lies. No index is over the times of entries, and entries lie in the order of time but for the
// clocks of several instances: so the place is found by bisection, and whoever uses it looks on both sides of it. What
// leaves claim is not verified here; a few that lie lead astray, and then nothing is found, never something else.

import { parseLeaf } from "../ledger/leaf.ts";

/** The leaves from a seq on, at most so many, those that there are. */
export type LeavesFrom = (seq: number, limit: number) => Promise<readonly string[]>;

/** Leaves that are read for one time: the first of them that can be read has it. */
const LOOKED_AT = 3;

/** The milliseconds in a UUID of version 7 (RFC 9562 §5.7); undefined for any other. */
export function timeOfUuid(uuid: string): number | undefined {
  return uuid[14] === "7" ? Number.parseInt(uuid.slice(0, 8) + uuid.slice(9, 13), 16) : undefined;
}

/**
 * The seq of the first entry that is not before a time, if all are in order; else somewhere near. `size` is how many
 * entries there are at least: where to start looking for the end.
 */
export async function seqOfTime(leavesFrom: LeavesFrom, time: number, size: number): Promise<number> {
  let low = 0;
  let high = Math.max(1, size);
  while ((await timeAt(leavesFrom, high)) < time) {
    low = high;
    high *= 2;
  }
  while (low < high) {
    const middle = low + Math.floor((high - low) / 2);
    if ((await timeAt(leavesFrom, middle)) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The time that the entry at seq, or the next one that can be read, claims; beyond the end: infinitely late. */
async function timeAt(leavesFrom: LeavesFrom, seq: number): Promise<number> {
  for (const leaf of await leavesFrom(seq, LOOKED_AT)) {
    const parsed = parseLeaf(leaf);
    const time = typeof parsed === "string" ? Number.NaN : Date.parse(parsed.claims.time);
    if (!Number.isNaN(time)) return time;
  }
  return Number.POSITIVE_INFINITY;
}
