// The statements of the index's writer. Rows come as arrays, one a column, and `unnest` stands in the select lists (see
// ../batch.ts). Each is prepared once a session.

import { EVERYONE } from "../../scim/extract/touches.ts";

export interface IndexStatements {
  /** $1 transactions. */
  stored: string;
  /** $1 seqs of transactions whose outcome came: their placeholders go, with their names. */
  forget: string;
  /** connector, type, ref, first_seq, last_seq, further changes, whether it was met → id of each. */
  accounts: string;
  /** account, attribute, digest, first seq, last seq → those that were there. */
  knownNames: string;
  /** The same, the tokens of all, the first and the last place of each name's among them, sealed. */
  newNames: string;
  /** seq, account, what the outcome settles; txn, effects, what the request settles. */
  newTransactions: string;
  /** seq, account, what the outcome settles. */
  closedTransactions: string;
  /** account, seq, role. */
  touches: string;
  /** seq, time in ms, name, detail. */
  events: string;
  /** version, the mark as it was, as it will be, its leaf hash, further skipped entries → one row, if it was so. */
  mark: string;
  /** The name to prepare a statement under; undefined for one that is not of these. */
  nameOf(text: string): string | undefined;
}

/** For a ledger's (quoted) schema. */
export function indexStatements(schema: string): IndexStatements {
  const rows = (...types: string[]) => types.map((type, index) => unnest(index + 1, type)).join(", ");
  const ends = [
    `${unnest(3, "text")}::bigint`,
    unnest(4, "text"),
    unnest(5, "text"),
    `${unnest(6, "text")}::integer`,
    `${unnest(7, "text")}::integer`,
    `${unnest(8, "text")}::real`,
    unnest(9, "text"),
    `${unnest(10, "text")}::boolean`,
    `${unnest(11, "text")}::integer`,
    `${unnest(12, "text")}::integer`,
    `string_to_array(${unnest(13, "text")}, E'\\x1f')`,
  ];
  const statements = {
    stored: `SELECT txn, seq, outcome IS NULL AS open FROM ${schema}.txn WHERE txn = ANY($1::uuid[])`,
    forget: `WITH gone AS (
  SELECT DISTINCT t.account FROM ${schema}.txn_account t JOIN ${schema}.account a ON a.id = t.account
  WHERE t.seq = ANY($1::bigint[]) AND a.ref LIKE '?%' AND a.ref <> '${EVERYONE}'
), touches AS (DELETE FROM ${schema}.txn_account WHERE account IN (SELECT account FROM gone)
), names AS (DELETE FROM ${schema}.account_name WHERE account IN (SELECT account FROM gone))
DELETE FROM ${schema}.account WHERE id IN (SELECT account FROM gone)`,
    accounts: `INSERT INTO ${schema}.account AS known (connector, type, ref, first_seq, last_seq, changes, is_met)
SELECT ${rows("text", "text", "text", "bigint", "bigint")}, ${unnest(6, "bigint")}::integer, ${unnest(7, "text")}::boolean
ON CONFLICT (connector, type, ref) DO UPDATE SET first_seq = least(known.first_seq, excluded.first_seq),
  last_seq = greatest(known.last_seq, excluded.last_seq), changes = known.changes + excluded.changes,
  is_met = known.is_met OR excluded.is_met
RETURNING id, connector, type, ref`,
    knownNames: `UPDATE ${schema}.account_name known SET seq = least(known.seq, given.seq), last_seq = greatest(known.last_seq, given.last_seq)
FROM (SELECT ${unnest(1, "bigint")} AS account, ${unnest(2, "text")} AS attribute, ${unnest(3, "bytea")} AS digest,
  ${unnest(4, "bigint")} AS seq, ${unnest(5, "bigint")} AS last_seq) AS given
WHERE known.account = given.account AND known.attribute = given.attribute COLLATE "C" AND known.digest = given.digest
RETURNING known.account, known.attribute, known.digest`,
    newNames: `INSERT INTO ${schema}.account_name (account, attribute, digest, seq, last_seq, tokens, sealed)
SELECT ${rows("bigint", "text", "bytea", "bigint", "bigint")}, ($6::bigint[])[${unnest(7, "bigint")}:${unnest(8, "bigint")}], ${unnest(9, "bytea")}
ON CONFLICT DO NOTHING`,
    newTransactions: `INSERT INTO ${schema}.txn (seq, account, closed_seq, resource_id, outcome, status, replied, duration_ms, reason, is_cut,
  operations_refused, operations_unknown, effects_undone, txn, effects, time, connector, client, method, verb, action, resource_type, operations)
SELECT ${unnest(1, "bigint")}, ${unnest(2, "text")}::bigint, ${ends.join(", ")}, ${unnest(14, "uuid")},
  string_to_array(${unnest(15, "text")}, E'\\x1f'), to_timestamp(${unnest(16, "text")}::double precision / 1000), ${[
    17, 18, 19, 20, 21, 22,
  ]
    .map((index) => unnest(index, "text"))
    .join(", ")}, ${unnest(23, "text")}::integer`,
    closedTransactions: `UPDATE ${schema}.txn known SET account = given.account, closed_seq = given.closed_seq,
  resource_id = given.resource_id, outcome = given.outcome, status = given.status, replied = given.replied,
  duration_ms = given.duration_ms, reason = given.reason, is_cut = given.is_cut,
  operations_refused = given.operations_refused, operations_unknown = given.operations_unknown,
  effects_undone = given.effects_undone
FROM (SELECT ${unnest(1, "bigint")} AS seq, ${unnest(2, "text")}::bigint AS account, ${[
      "closed_seq",
      "resource_id",
      "outcome",
      "status",
      "replied",
      "duration_ms",
      "reason",
      "is_cut",
      "operations_refused",
      "operations_unknown",
      "effects_undone",
    ]
      .map((name, index) => `${ends[index]} AS ${name}`)
      .join(", ")}) AS given
WHERE known.seq = given.seq`,
    touches: `INSERT INTO ${schema}.txn_account (account, seq, role) SELECT ${rows("bigint", "bigint")}, ${unnest(3, "text")}::"char"
ON CONFLICT DO NOTHING`,
    events: `INSERT INTO ${schema}.event (seq, time, name, detail)
SELECT ${unnest(1, "bigint")}, to_timestamp(${unnest(2, "bigint")}::double precision / 1000), ${unnest(3, "text")}, ${unnest(4, "text")}::jsonb`,
    mark: `UPDATE ${schema}.index_state SET next = $3::bigint, head = $4::bytea, skipped = skipped + $5::bigint
WHERE version = $1::text AND next = $2::bigint RETURNING next`,
  };
  const names = new Map(Object.entries(statements).map(([name, text]) => [text, `scimseal_index_${name}`]));
  return { ...statements, nameOf: (text) => names.get(text) };
}

function unnest(parameter: number, type: string): string {
  return `unnest($${parameter}::${type}[])`;
}
