// Reads the transactions of an account: their places from the index, their entries from the ledger in batches, the newest
// first. Bounded: a history with more bodies than fit into memory loses its beginning, and says so. The index is not
// signed: a transaction of which the leaf names another connector than the account's is no part of its history.

import { setImmediate as pause } from "node:timers/promises";
import type { TransactionPlace } from "../../storage/accounts/accountReader.ts";
import type { NamedLedger } from "../context.ts";
import { type Happening, happeningOf, type Subject } from "./history.ts";

const TRANSACTIONS_AT_ONCE = 250;
/** Bytes of attachments; parsed they are some ten times as much. */
const MAX_BYTES = 16 * 1024 * 1024;

/** What may still be read; histories that share one take from it by turns. */
export interface Allowance {
  /** Of attachments. The last transaction may be more than what is left. */
  bytes: number;
}

export interface History {
  /** In the order of the ledger. */
  readonly happenings: readonly Happening[];
  /** Whether its beginning is left out. */
  readonly isCut: boolean;
}

/** What one answer may read. */
export function fullAllowance(): Allowance {
  return { bytes: MAX_BYTES };
}

/**
 * The transactions at these places, which are in the order of the ledger; what is not there, not readable or not of this
 * connector is left out. `subject`: whose history it is.
 */
export async function readHistory(
  { accounts }: Pick<NamedLedger, "accounts">,
  connector: string,
  places: readonly TransactionPlace[],
  allowance: Allowance,
  subject?: Subject,
): Promise<History> {
  const found: Happening[] = [];
  const newest = [...places].reverse();
  const batchAt = (at: number) => newest.slice(at, at + TRANSACTIONS_AT_ONCE);
  const read = (at: number) => accounts.entriesAt(batchAt(at), allowance.bytes);
  let at = 0;
  let ahead: ReturnType<typeof read> | undefined;
  while (at < newest.length && allowance.bytes > 0) {
    const batch = batchAt(at);
    const reading = ahead ?? read(at);
    // The database looks for the next ones while these are opened; most likely all of these fit.
    ahead = at + batch.length < newest.length ? read(at + batch.length) : undefined;
    // Nobody may ever ask for it: then its failure is nobody's.
    ahead?.catch(() => {});
    let batchRows = await reading;
    // It was asked for when more was left.
    if (batchRows.bytes > allowance.bytes) batchRows = await read(at);
    const { rows, taken, bytes } = batchRows;
    for (const { seq, closedSeq } of batch.slice(0, taken)) {
      const request = rows.get(seq);
      const happening =
        request && happeningOf(request, closedSeq === undefined ? undefined : rows.get(closedSeq), subject);
      if (happening?.connector === connector) found.push(happening);
    }
    allowance.bytes -= bytes;
    at += taken;
    if (taken < batch.length) ahead = undefined;
    await pause();
  }
  return { happenings: found.reverse(), isCut: at < newest.length };
}
