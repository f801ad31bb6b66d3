// Transactions, request and outcome as one row: pages of them, and the whole result as CSV or as lines of JSON, made
// while it is sent. An export is recorded before its first byte.

import { z } from "zod";
import type { TransactionSummary } from "../../storage/search/searchReader.ts";
import type { AuditContext, Auditor } from "../context.ts";
import { exportTurns, requireStillAllowed } from "../desk/turns.ts";
import { auditorOperation, type Operation, type Reply } from "../http/operation.ts";
import { integer, NO_PARAMETERS } from "../http/parameter.ts";
import { CSV_HEADER, formatCsv } from "./csv.ts";
import {
  asked,
  coversSchema,
  cursor,
  formatCursor,
  type OpenSearch,
  openSearch,
  order,
  parseCursor,
  SEARCH_PARAMETERS,
  SEARCH_PROBLEMS,
} from "./request.ts";

export const TAG = "Search";

const seq = z.int().min(0);

/** A transaction in an answer. */
export const transactionRow = z
  .strictObject({
    txn: z.uuid(),
    seq: seq.describe("Of the request entry, or of the refusal."),
    closedSeq: seq.nullable().describe("Of the entry with its outcome."),
    time: z.iso.datetime().describe("Of the request."),
    connector: z.string(),
    client: z.string().describe("The credential that acted."),
    method: z.string().describe("How it authenticated."),
    verb: z.string().describe("The HTTP method."),
    action: z.string(),
    resourceType: z.string(),
    resourceId: z.string().nullable().describe("As it stands in the leaf: the id, or its keyed token."),
    name: z.string().nullable().describe("The best known name of the resource; personal."),
    effects: z.array(z.string()),
    operations: z.int().nullable().describe("How many, of a Bulk."),
    operationsRefused: z
      .int()
      .nullable()
      .describe("Of a Bulk that was answered: those that the target refused, by their own status."),
    operationsUnknown: z.int().nullable().describe("Those of which nobody knows whether they were done."),
    effectsUndone: z
      .array(z.string())
      .nullable()
      .describe("Of `effects` those that none of a Bulk's operations is known to have had."),
    outcome: z.string().describe("`open`: none yet; `refused`: never forwarded."),
    status: z.int().nullable().describe("The target's."),
    replied: z.int().nullable().describe("What the client got."),
    durationMs: z.number().nullable(),
    reason: z.string().nullable(),
    isCut: z
      .boolean()
      .describe(
        "True: the index does not have all names of this transaction (too many, or not readable), so that a search for one of the others does not find it.",
      ),
  })
  .meta({ id: "TransactionRow", description: "A transaction: request and outcome as one row." });

const FILTER_HELP =
  "Attributes: time, seq, txn, connector, client, method, verb, action, effect, resourceType, resourceId, userName, externalId, " +
  "displayName, formattedName, email, name (any of these), group, outcome, status, replied, duration (ms), operations, reason; in " +
  "lists of entries also type, event, auditor. Operators: eq ne pr, co sw ew for texts, gt ge lt le for numbers and times; and, or, " +
  "not. A name holds for a transaction if an account that it is about, or that it adds to a group or removes, was ever known " +
  "under it; `sw` finds it by the beginning of any of its words too. Case does not count in names. `ne` is the opposite of `eq`.";

const listTransactions = auditorOperation(
  {
    method: "get",
    path: "/audit/v1/transactions",
    id: "listTransactions",
    tag: TAG,
    summary: "Transactions that fit a filter",
    description: FILTER_HELP,
    scope: "connectors",
    params: NO_PARAMETERS,
    query: z.strictObject({
      ...SEARCH_PARAMETERS,
      order,
      limit: integer("Transactions in the page.", 1, 1000).default(50),
      cursor,
    }),
    answer: z.strictObject({
      ledger: z.string(),
      covers: coversSchema,
      transactions: z.array(transactionRow),
      next: z.string().nullable().describe("Give this as `cursor` for the next page; null at the end."),
    }),
    problems: SEARCH_PROBLEMS,
  },
  async ({ context, auditor, query }) => {
    const { order, limit } = query;
    const after = query.cursor === undefined ? undefined : parseCursor(query.cursor, order);
    const { ledger, search, withNames, note } = openSearch(context, auditor, query);
    const covers = await ledger.search.covers();
    const { rows, next } = await ledger.search.transactions(search, { order, limit, after }, withNames);
    note("search", rows);
    return {
      kind: "json",
      body: {
        ledger: ledger.name,
        covers,
        transactions: rows,
        next: next === undefined ? null : formatCursor(order, next),
      },
    };
  },
);

const exportQuery = z.strictObject({ ...SEARCH_PARAMETERS, order });

const exportCsv = auditorOperation(
  {
    method: "get",
    path: "/audit/v1/transactions.csv",
    id: "exportTransactionsCsv",
    tag: TAG,
    summary: "All transactions that fit a filter, as CSV",
    description:
      "RFC 4180 in UTF-8, with a header. A value that a spreadsheet would take for a formula begins with an apostrophe.",
    scope: "connectors",
    params: NO_PARAMETERS,
    query: exportQuery,
    raw: { "text/csv": "One line a transaction." },
    problems: [...SEARCH_PROBLEMS, "not_recorded"],
  },
  async ({ context, auditor, request, query, isStillAllowed }) => {
    const found = openSearch(context, auditor, query);
    const isExport = request.method !== "HEAD";
    await exportTurns.holdUntilAnswered(context, auditor, request);
    return exportAs(found, "text/csv", "csv", CSV_HEADER, (rows) => formatCsv(rows), {
      order: query.order,
      isStillAllowed,
      record: () => (isExport ? recordExport(context, auditor, found, "csv") : undefined),
    });
  },
);

const exportNdjson = auditorOperation(
  {
    method: "get",
    path: "/audit/v1/transactions.ndjson",
    id: "exportTransactionsNdjson",
    tag: TAG,
    summary: "All transactions that fit a filter, as lines of JSON",
    scope: "connectors",
    params: NO_PARAMETERS,
    query: exportQuery,
    raw: { "application/x-ndjson": "One TransactionRow a line." },
    problems: [...SEARCH_PROBLEMS, "not_recorded"],
  },
  async ({ context, auditor, request, query, isStillAllowed }) => {
    const found = openSearch(context, auditor, query);
    const isExport = request.method !== "HEAD";
    await exportTurns.holdUntilAnswered(context, auditor, request);
    const format = (rows: readonly TransactionSummary[]) =>
      rows.map((row) => `${JSON.stringify(row)}\n`).join("");
    return exportAs(found, "application/x-ndjson", "ndjson", "", format, {
      order: query.order,
      isStillAllowed,
      record: () => (isExport ? recordExport(context, auditor, found, "ndjson") : undefined),
    });
  },
);

function exportAs(
  { ledger, search, withNames }: OpenSearch,
  mediaType: string,
  extension: string,
  header: string,
  format: (rows: readonly TransactionSummary[]) => string,
  {
    order,
    isStillAllowed,
    record,
  }: {
    order: "newest" | "oldest";
    isStillAllowed: () => boolean;
    record: () => Promise<void> | undefined;
  },
): Reply<never> {
  const chunks = async function* () {
    let isFirst = true;
    for await (const rows of ledger.search.allTransactions(search, order, withNames)) {
      requireStillAllowed(isStillAllowed);
      // Only now is it known that there is something to export; and nothing of it is out yet.
      if (isFirst) await record();
      yield Buffer.from(`${isFirst ? header : ""}${format(rows)}`);
      isFirst = false;
    }
  };
  return {
    kind: "stream",
    mediaType,
    fileName: `${ledger.name}-transactions.${extension}`,
    chunks: chunks(),
  };
}

/** @throws {Problem} not_recorded */
async function recordExport(
  context: AuditContext,
  auditor: Auditor,
  { ledger, facts }: OpenSearch,
  kind: string,
): Promise<void> {
  await context.exporting(ledger.name, { auditor, kind, count: 0, ...asked(facts) });
}

export const transactionOperations: readonly Operation[] = [listTransactions, exportCsv, exportNdjson];
