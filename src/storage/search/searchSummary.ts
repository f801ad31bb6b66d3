// Counts over the index: how the newest transactions of a search spread over the values of what can be narrowed down,
// and what happened in a span of time. Bounded, so that neither grows with the ledger.

import type { Ask } from "./indexSession.ts";
import { conditionOf, Parameters, type SqlSearch, sourceOf } from "./searchSql.ts";
import { TRANSACTION_COLUMNS, type TransactionRecord, type TransactionSummary } from "./transactionRow.ts";

/** Facets are counted over at most so many of the newest. */
export const MAX_COUNTED = 50_000;
const MAX_VALUES = 100;
/** Latency is told from at most so many of the newest. */
const MAX_TIMED = 50_000;
const SHOWN = 10;

/** What can be narrowed down, and the column it is. */
const FACETS = {
  connector: "connector",
  client: "client",
  action: "action",
  resourceType: "resource_type",
  outcome: "outcome",
  status: "status",
} as const;

export type FacetName = keyof typeof FACETS | "effect";

/** In the order of their bits. */
const FACET_NAMES: readonly FacetName[] = [...(Object.keys(FACETS) as (keyof typeof FACETS)[]), "effect"];

export interface Facets {
  /** Transactions that were counted. */
  counted: number;
  /** Counting stopped there: the newest were counted. */
  isCapped: boolean;
  /** The most frequent first, at most 100 of each. */
  facets: Record<FacetName, { value: string; count: number }[]>;
}

export interface Overview {
  /** By connector: transactions in each bucket. */
  connectors: Record<string, number[]>;
  outcomes: Record<string, number>;
  /** Of the newest answered ones, milliseconds; null if there were none. */
  latency: { p50: number; p95: number; p99: number } | null;
  refusals: TransactionSummary[];
  open: TransactionSummary[];
  openCount: number;
}

export async function facetsOf(ask: Ask, schema: string, search: SqlSearch): Promise<Facets> {
  const parameters = new Parameters();
  const condition = conditionOf(search, sourceOf(schema, "txn", "transactions"), parameters);
  const columns = [...Object.values(FACETS), "effects"];
  // One pass for all: each row of the result is grouped by one column, told by its bit; the last one by none.
  const rows = await ask<
    { bits: number; count: string; effects: string[] | null } & Record<string, string | number | null>
  >(
    `SELECT GROUPING(${columns.join(", ")}) AS bits, ${columns.join(", ")}, count(*) AS count FROM (SELECT connector, client, action, resource_type, coalesce(outcome, 'open') AS outcome, status, effects FROM ${schema}.txn t WHERE ${condition} ORDER BY t.seq DESC LIMIT ${MAX_COUNTED}) AS newest GROUP BY GROUPING SETS (${columns.map((column) => `(${column})`).join(", ")}, ())`,
    parameters.values,
  );
  const counts = new Map(FACET_NAMES.map((name) => [name, new Map<string, number>()]));
  const add = (name: FacetName, value: string | number | null | undefined, count: number) => {
    const values = counts.get(name);
    if (value !== null && value !== undefined)
      values?.set(String(value), (values.get(String(value)) ?? 0) + count);
  };
  let counted = 0;
  for (const row of rows) {
    const count = Number(row.count);
    // A column that is grouped by has the bit 0; the first column has the highest bit.
    const isGroupedBy = (index: number) => Math.floor(row.bits / 2 ** (columns.length - 1 - index)) % 2 === 0;
    const index = columns.findIndex((_, place) => isGroupedBy(place));
    const name = FACET_NAMES[index];
    if (name === undefined) counted = count;
    else if (name === "effect") for (const effect of row.effects ?? []) add(name, effect, count);
    else add(name, row[FACETS[name]], count);
  }
  const listed = (name: FacetName) =>
    [...(counts.get(name) ?? [])]
      .map(([value, count]) => ({ value, count }))
      .sort((a, b) => b.count - a.count || (a.value < b.value ? -1 : 1))
      .slice(0, MAX_VALUES);
  return {
    counted,
    isCapped: counted === MAX_COUNTED,
    facets: {
      connector: listed("connector"),
      client: listed("client"),
      action: listed("action"),
      effect: listed("effect"),
      resourceType: listed("resourceType"),
      outcome: listed("outcome"),
      status: listed("status"),
    },
  };
}

/** The overview's figures, with the rows that are shown as they are stored. */
export async function overviewOf(
  ask: Ask,
  schema: string,
  { from, to, bucketMs }: { from: number; to: number; bucketMs: number },
  connectors: readonly string[] | undefined,
): Promise<
  Omit<Overview, "refusals" | "open"> & { refusals: TransactionRecord[]; open: TransactionRecord[] }
> {
  // The last parameter is not always asked for.
  const own = (place: number) => (connectors ? ` AND t.connector = ANY($${place}::text[])` : "");
  const values = (...given: unknown[]) => (connectors ? [...given, connectors] : given);
  const inSpan = "t.time >= to_timestamp($1::float8 / 1000) AND t.time < to_timestamp($2::float8 / 1000)";
  const buckets = await ask<{ connector: string; bucket: number; outcome: string | null; count: string }>(
    `SELECT t.connector, floor((extract(epoch FROM t.time) * 1000 - $1::float8) / $3::float8)::integer AS bucket, t.outcome, count(*) AS count FROM ${schema}.txn t WHERE ${inSpan}${own(4)} GROUP BY 1, 2, 3 ORDER BY 1, 2`,
    values(from, to, bucketMs),
  );
  const [latency] = await ask<{ latency: [number, number, number] | null }>(
    `SELECT percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY timed.duration_ms) AS latency FROM (SELECT t.duration_ms FROM ${schema}.txn t WHERE ${inSpan}${own(3)} AND t.duration_ms IS NOT NULL ORDER BY t.time DESC LIMIT ${MAX_TIMED}) AS timed`,
    values(from, to),
  );
  const refusals = await ask<TransactionRecord>(
    `SELECT ${TRANSACTION_COLUMNS} FROM ${schema}.txn t WHERE t.outcome = 'refused'${own(1)} ORDER BY t.seq DESC LIMIT ${SHOWN}`,
    values(),
  );
  const open = await ask<TransactionRecord>(
    `SELECT ${TRANSACTION_COLUMNS} FROM ${schema}.txn t WHERE t.outcome IS NULL${own(1)} ORDER BY t.seq LIMIT ${SHOWN}`,
    values(),
  );
  const [count] = await ask<{ count: string }>(
    `SELECT count(*) AS count FROM ${schema}.txn t WHERE t.outcome IS NULL${own(1)}`,
    values(),
  );
  const [p50, p95, p99] = (latency?.latency ?? []).map((ms) => Math.round(ms * 1_000) / 1_000);
  return {
    ...sumBuckets(buckets, Math.ceil((to - from) / bucketMs)),
    latency: p50 === undefined || p95 === undefined || p99 === undefined ? null : { p50, p95, p99 },
    refusals,
    open,
    openCount: Number(count?.count ?? 0),
  };
}

function sumBuckets(
  rows: readonly { connector: string; bucket: number; outcome: string | null; count: string }[],
  length: number,
): Pick<Overview, "connectors" | "outcomes"> {
  const connectors = new Map<string, number[]>();
  const outcomes = new Map<string, number>();
  for (const { connector, bucket, outcome, count } of rows) {
    let counts = connectors.get(connector);
    if (!counts) {
      counts = new Array<number>(length).fill(0);
      connectors.set(connector, counts);
    }
    const place = Math.min(Math.max(bucket, 0), length - 1);
    counts[place] = (counts[place] ?? 0) + Number(count);
    const name = outcome ?? "open";
    outcomes.set(name, (outcomes.get(name) ?? 0) + Number(count));
  }
  // Not plain assignments: a connector named __proto__ would be lost.
  return { connectors: Object.fromEntries(connectors), outcomes: Object.fromEntries(outcomes) };
}
