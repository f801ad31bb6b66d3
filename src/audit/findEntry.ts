// Finding an entry by what no index holds: its id. That is a UUID of version 7, which starts with the millisecond it was
// made in (RFC 9562 §5.7): so the place of that time is found and searched outwards from there.
// Bounded: at most MAX_SCANNED entries are looked at. An entry whose clock was wrong by more than they span is not found.

import type { Entry } from "../ledger/entry.ts";
import type { StoredEntry } from "../ledger/verify.ts";
import type { EntryReader } from "../storage/reader.ts";
import { seqOfTime, timeOfUuid } from "../storage/seqOfTime.ts";
import { claimsOf } from "./storedLeaf.ts";

/** How many entries around the place are read before the search gives up. */
export const MAX_SCANNED = 10_000;
const PAGE = 500;

/** An entry as stored, and what its leaf says. */
export interface FoundEntry {
  readonly row: StoredEntry;
  readonly claims: Entry;
}

/**
 * The first entry found that fits, looked for around the time in a UUID; undefined if there is none near it. `size` is
 * how many entries there are at least: where to start looking for the end.
 */
export async function findNear(
  reader: EntryReader,
  uuid: string,
  size: number,
  fits: (claims: Entry) => boolean,
): Promise<FoundEntry | undefined> {
  const time = timeOfUuid(uuid);
  if (time === undefined) return undefined;
  const leavesFrom = async (seq: number, limit: number) =>
    (await reader.page(seq - 1, limit, false)).entries.map(({ leaf }) => leaf);
  const center = await seqOfTime(leavesFrom, time, size);
  let above: number | undefined = center;
  let below = center;
  for (let scanned = 0; scanned < MAX_SCANNED && (above !== undefined || below > 0); ) {
    if (above !== undefined) {
      const { entries, next } = await reader.page(above - 1, PAGE, false);
      const found = firstOf(entries, fits);
      if (found) return found;
      scanned += entries.length;
      above = next === undefined ? undefined : next + 1;
    }
    if (below > 0) {
      const from = Math.max(0, below - PAGE);
      const { entries } = await reader.page(from - 1, below - from, false);
      const found = firstOf(entries, fits);
      if (found) return found;
      scanned += below - from;
      below = from;
    }
  }
  return undefined;
}

function firstOf(rows: readonly StoredEntry[], fits: (claims: Entry) => boolean): FoundEntry | undefined {
  for (const row of rows) {
    const claims = claimsOf(row);
    if (claims && fits(claims)) return { row, claims };
  }
  return undefined;
}
