// What the code of a finding says, for whoever has to act on it.

/**
 * Findings that say nothing about the records: somebody should look, but writes go on. A clock may be wrong; a database
 * that is not durable is refused by the writer itself; a monitor that cannot look has found nothing.
 */
const WARNINGS: ReadonlySet<string> = new Set(["clock_anomaly", "database_weak", "monitor_blind"]);
/** What the publisher alone finds. */
const PUBLISHER_CODES: ReadonlySet<string> = new Set([
  "checkpoint_lost",
  "checkpoint_order",
  "entries_lost",
  "entry_missing",
]);
/** What a whole pass over the ledger would find again. */
const PASS_CODES: ReadonlySet<string> = new Set([
  "attachment_mismatch",
  "attachment_missing",
  "attachment_unknown",
  "checkpoint_ahead",
  "checkpoint_column",
  "checkpoint_invalid",
  "checkpoint_mismatch",
  "column_mismatch",
  "key_not_trusted",
  "ledger_empty",
  "link_broken",
  "malformed",
  "missing",
  "origin_mismatch",
  "outcome_duplicate",
  "outcome_index",
  "outcome_orphan",
  "seq_mismatch",
  "signature_invalid",
  "tile_mismatch",
  "tile_missing",
]);
/** Those whose place is where the ledger ends, which moves on with every entry: the alarm's own is one. */
const END_CODES: ReadonlySet<string> = new Set(["checkpoint_ahead", "entries_lost"]);

/** Whether a finding says that records were, or may have been, altered. What is not known to be harmless does. */
export function isTamper(code: string): boolean {
  return !WARNINGS.has(code);
}

/** Whether it is over when a checkpoint is published again. */
export function endsWhenPublished(code: string): boolean {
  return PUBLISHER_CODES.has(code);
}

/** Whether it is mended when a whole pass does not find it any more. */
export function endsWithPass(code: string): boolean {
  return PASS_CODES.has(code);
}

/** Whether its place is where the ledger ends. */
export function isAtEnd(code: string): boolean {
  return END_CODES.has(code);
}

/** Whether an instance that starts signs no checkpoint while this is found, acknowledged or not. */
export function stopsCheckpoints(code: string): boolean {
  return code.startsWith("anchor_") || code.startsWith("checkpoint_") || PUBLISHER_CODES.has(code);
}
