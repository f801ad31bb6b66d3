// Finding entries by what no index holds: an entry's id, and the request of a transaction without an outcome. Both are
// UUIDs of version 7 and start with the millisecond they were made in (RFC 9562 §5.7), and entries lie in the order of
// time but for the clocks of several instances: so the place is found by bisection and searched outwards from there.
// Bounded: at most MAX_SCANNED entries are looked at. An entry whose clock was wrong by more than they span is not found.

import type { Entry } from "../ledger/entry.ts";
import type { StoredEntry } from "../ledger/verify.ts";
import type { EntryReader } from "../storage/reader.ts";
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
  const time = timeOf(uuid);
  if (time === undefined) return undefined;
  const center = await bisect(reader, time, size);
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

/** The milliseconds in a UUID of version 7; undefined for any other. */
function timeOf(uuid: string): number | undefined {
  return uuid[14] === "7" ? Number.parseInt(uuid.slice(0, 8) + uuid.slice(9, 13), 16) : undefined;
}

/** The seq of the first entry that is not before a time, if all are in order; else somewhere near. */
async function bisect(reader: EntryReader, time: number, size: number): Promise<number> {
  let low = 0;
  let high = Math.max(1, size);
  while ((await timeAt(reader, high)) < time) {
    low = high;
    high *= 2;
  }
  while (low < high) {
    const middle = low + Math.floor((high - low) / 2);
    if ((await timeAt(reader, middle)) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The time that the entry at seq, or the next one that can be read, claims; beyond the end: infinitely late. */
async function timeAt(reader: EntryReader, seq: number): Promise<number> {
  const { entries } = await reader.page(seq - 1, 3, false);
  for (const row of entries) {
    const time = Date.parse(claimsOf(row)?.time ?? "");
    if (!Number.isNaN(time)) return time;
  }
  return Number.POSITIVE_INFINITY;
}

function firstOf(rows: readonly StoredEntry[], fits: (claims: Entry) => boolean): FoundEntry | undefined {
  for (const row of rows) {
    const claims = claimsOf(row);
    if (claims && fits(claims)) return { row, claims };
  }
  return undefined;
}
