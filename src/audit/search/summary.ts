// Counts for whoever looks before he reads: how a search spreads over values, and what happened lately.

import { z } from "zod";
import { chooseLedger } from "../access.ts";
import { auditorOperation, type Operation } from "../http/operation.ts";
import { integer, NO_PARAMETERS } from "../http/parameter.ts";
import { coversSchema, openSearch, SEARCH_PARAMETERS, SEARCH_PROBLEMS } from "./request.ts";
import { TAG, transactionRow } from "./transactions.ts";

const count = z.int().min(0);
const values = z
  .array(z.strictObject({ value: z.string(), count }))
  .describe("The most frequent first, at most 100.");

const getFacets = auditorOperation(
  {
    method: "get",
    path: "/audit/v1/facets",
    id: "getFacets",
    tag: TAG,
    summary: "How the transactions that fit a filter spread over values",
    scope: "connectors",
    params: NO_PARAMETERS,
    query: z.strictObject(SEARCH_PARAMETERS),
    answer: z.strictObject({
      ledger: z.string(),
      covers: coversSchema,
      counted: count.describe("Transactions that were counted, at most 50,000: the newest."),
      isCapped: z.boolean().describe("Counting stopped there; older ones fit too, most likely."),
      facets: z.strictObject({
        connector: values,
        client: values,
        action: values,
        effect: values,
        resourceType: values,
        outcome: values,
        status: values,
      }),
    }),
    problems: SEARCH_PROBLEMS,
  },
  async ({ context, auditor, query }) => {
    const { ledger, search, note } = openSearch(context, auditor, query);
    const covers = await ledger.search.covers();
    const facets = await ledger.search.facets(search);
    note("counts", []);
    return { kind: "json", body: { ledger: ledger.name, covers, ...facets } };
  },
);

const getOverview = auditorOperation(
  {
    method: "get",
    path: "/audit/v1/overview",
    id: "getOverview",
    tag: TAG,
    summary: "What happened lately",
    description: "Names are shown to auditors only.",
    role: "operator",
    scope: "connectors",
    params: NO_PARAMETERS,
    query: z.strictObject({
      ledger: SEARCH_PARAMETERS.ledger,
      hours: integer("How far back.", 1, 24 * 90).default(24),
    }),
    answer: z.strictObject({
      ledger: z.string(),
      covers: coversSchema,
      from: z.iso.datetime(),
      to: z.iso.datetime().describe("The end of the bucket that is under way."),
      bucketMs: count,
      connectors: z
        .record(z.string(), z.array(count))
        .describe("Transactions in each bucket of `bucketMs` from `from` on."),
      outcomes: z.record(z.string(), count),
      latency: z
        .strictObject({ p50: z.number(), p95: z.number(), p99: z.number() })
        .nullable()
        .describe("Milliseconds, of at most the newest 50,000; null if there were none."),
      refusals: z.array(transactionRow).describe("The newest 10 of all times."),
      open: z.array(transactionRow).describe("The oldest 10 without an outcome."),
      openCount: count,
    }),
    problems: ["ledger_unknown", "search_timeout", "index_not_ready"],
  },
  async ({ context, auditor, query: { ledger: wanted, hours } }) => {
    const ledger = chooseLedger(context, auditor, wanted);
    const span = spanOf(Date.now(), hours);
    const connectors = auditor.connectors === "*" ? undefined : [...auditor.connectors];
    const covers = await ledger.search.covers();
    const overview = await ledger.search.overview(span, connectors, auditor.canReadBodies);
    const shown = [...overview.refusals, ...overview.open].map(({ seq }) => seq);
    if (auditor.canReadBodies && shown.length > 0)
      context.looked(ledger.name, {
        auditor,
        kind: "overview",
        count: shown.length,
        from: Math.min(...shown),
        to: Math.max(...shown),
      });
    return {
      kind: "json",
      body: {
        ledger: ledger.name,
        covers,
        from: new Date(span.from).toISOString(),
        to: new Date(span.to).toISOString(),
        bucketMs: span.bucketMs,
        ...overview,
      },
    };
  },
);

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const BUCKETS_MS = [
  MINUTE_MS,
  5 * MINUTE_MS,
  15 * MINUTE_MS,
  HOUR_MS,
  3 * HOUR_MS,
  6 * HOUR_MS,
  12 * HOUR_MS,
  24 * HOUR_MS,
];
const MAX_BUCKETS = 120;

/** Whole buckets, so that each holds what it is the bucket of, however often somebody looks. */
function spanOf(nowMs: number, hours: number): { from: number; to: number; bucketMs: number } {
  const lengthMs = hours * HOUR_MS;
  const bucketMs = BUCKETS_MS.find((candidate) => lengthMs / candidate <= MAX_BUCKETS) ?? 24 * HOUR_MS;
  const to = (Math.floor(nowMs / bucketMs) + 1) * bucketMs;
  return { from: to - Math.ceil(lengthMs / bucketMs) * bucketMs, to, bucketMs };
}

export const summaryOperations: readonly Operation[] = [getFacets, getOverview];
