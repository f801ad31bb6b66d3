// Reads the transactions of an account: their places from the index, their entries from the ledger in batches, the newest
// first. Bounded: a history with more bodies than fit into memory loses its beginning, and says so.

import type { TransactionPlace } from "../../storage/accounts/accountReader.ts";
import type { NamedLedger } from "../context.ts";
import { type Happening, happeningOf } from "./history.ts";

const TRANSACTIONS_AT_ONCE = 500;
/** Bytes of attachments; parsed they are some ten times as much. */
const MAX_BYTES = 16 * 1024 * 1024;

export interface History {
  /** In the order of the ledger. */
  readonly happenings: readonly Happening[];
  /** Whether its beginning is left out. */
  readonly isCut: boolean;
}

/** The transactions at these places, which are in the order of the ledger; what is not there or not readable is left out. */
export async function readHistory(
  { accounts }: Pick<NamedLedger, "accounts">,
  places: readonly TransactionPlace[],
): Promise<History> {
  const batches: Happening[][] = [];
  let bytes = 0;
  let end = places.length;
  for (; end > 0 && bytes < MAX_BYTES; end -= TRANSACTIONS_AT_ONCE) {
    const batch = places.slice(Math.max(0, end - TRANSACTIONS_AT_ONCE), end);
    const seqs = batch.flatMap(({ seq, closedSeq }) => (closedSeq === undefined ? [seq] : [seq, closedSeq]));
    const rows = await accounts.entriesAt(seqs);
    for (const { attachments = [] } of rows.values())
      for (const { content } of attachments) bytes += content.length;
    batches.push(
      batch.flatMap(({ seq, closedSeq }) => {
        const request = rows.get(seq);
        const outcome = closedSeq === undefined ? undefined : rows.get(closedSeq);
        return (request && happeningOf(request, outcome)) ?? [];
      }),
    );
  }
  return { happenings: batches.reverse().flat(), isCut: end > 0 };
}
