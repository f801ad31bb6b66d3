// A transaction as searches show it: request and outcome as one row of the index.

/** A transaction. Times are RFC 3339 in UTC, to the millisecond, of the request; `null`: there is none, or none yet. */
export interface TransactionSummary {
  txn: string;
  /** Of the request or the refusal. */
  seq: number;
  closedSeq: number | null;
  time: string;
  connector: string;
  client: string;
  method: string;
  verb: string;
  action: string;
  resourceType: string;
  resourceId: string | null;
  /** The best known name of the resource; null too if names are not for the reader. */
  name: string | null;
  effects: string[];
  operations: number | null;
  /** Of a Bulk that was answered: how many of its operations the target refused, and of how many nobody knows. */
  operationsRefused: number | null;
  operationsUnknown: number | null;
  /** Effects that none of them is known to have had. */
  effectsUndone: string[] | null;
  /** `open` if there is none yet, `refused` if it was never forwarded. */
  outcome: string;
  status: number | null;
  replied: number | null;
  durationMs: number | null;
  reason: string | null;
  /** The index does not have all its names: a search for one of the others does not find it. */
  isCut: boolean;
}

/**
 * The columns of table `txn t` that a row is made of. Times and lists come as the texts that are shown: to parse them here
 * and write them again would be a fifth of what an export costs.
 */
export const TRANSACTION_COLUMNS = `t.seq, t.closed_seq, to_char(t.time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS time, t.txn, t.connector, t.client, t.method, t.verb, t.action, t.resource_type, t.resource_id, t.account, array_to_string(t.effects, ' ') AS effects, t.operations, t.outcome, t.status, t.replied, t.duration_ms, t.reason, t.is_cut, t.operations_refused, t.operations_unknown, array_to_string(t.effects_undone, ' ') AS effects_undone`;

export interface TransactionRecord {
  seq: string;
  closed_seq: string | null;
  time: string;
  txn: string;
  connector: string;
  client: string;
  method: string;
  verb: string;
  action: string;
  resource_type: string;
  resource_id: string | null;
  account: string | null;
  /** Apart by spaces. */
  effects: string;
  operations: number | null;
  outcome: string | null;
  status: number | null;
  replied: number | null;
  duration_ms: number | null;
  reason: string | null;
  is_cut: boolean;
  operations_refused: number | null;
  operations_unknown: number | null;
  effects_undone: string | null;
}

/** A row as it is shown. */
export function toSummary(row: TransactionRecord, name: string | undefined): TransactionSummary {
  return {
    txn: row.txn,
    seq: Number(row.seq),
    closedSeq: row.closed_seq === null ? null : Number(row.closed_seq),
    time: row.time,
    connector: row.connector,
    client: row.client,
    method: row.method,
    verb: row.verb,
    action: row.action,
    resourceType: row.resource_type,
    resourceId: row.resource_id,
    name: name ?? null,
    effects: listOf(row.effects),
    operations: row.operations,
    operationsRefused: row.operations_refused,
    operationsUnknown: row.operations_unknown,
    effectsUndone: row.effects_undone === null ? null : listOf(row.effects_undone),
    outcome: row.outcome ?? "open",
    status: row.status,
    replied: row.replied,
    durationMs: row.duration_ms,
    reason: row.reason,
    isCut: row.is_cut,
  };
}

function listOf(text: string): string[] {
  return text === "" ? [] : text.split(" ");
}
