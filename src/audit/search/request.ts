// What every search has in common: its parameters, the place that a page begins at, the range that its answer covers,
// and the note that somebody searched.

import { z } from "zod";
import { parseQuery, type Subject } from "../../scim/search/query.ts";
import { parseText } from "../../scim/search/text.ts";
import type { Order, Search } from "../../storage/search/searchReader.ts";
import { chooseLedger } from "../access.ts";
import type { AuditContext, Auditor, NamedLedger } from "../context.ts";
import { Problem, type ProblemCode } from "../http/problem.ts";

export { coversSchema } from "../answers.ts";

/** Parameters of every search. */
export const SEARCH_PARAMETERS = {
  ledger: z.string().describe("Left out: the first ledger that the token may read.").optional(),
  filter: z
    .string()
    .describe(
      'A filter in SCIM\'s grammar (RFC 7644 §3.4.2.2), such as `userName sw "ada" and status ge 400`.',
    )
    .optional(),
  text: z
    .string()
    .describe(
      "Words that accounts are found by, all in any of their names; or the id of a transaction or resource.",
    )
    .optional(),
};

/** Problems of every search. */
export const SEARCH_PROBLEMS: readonly ProblemCode[] = [
  "ledger_unknown",
  "invalid_filter",
  "search_timeout",
  "index_not_ready",
];

export const order = z.enum(["newest", "oldest"]).describe("Which comes first.").default("newest");

export const cursor = z.string().max(64).describe("`next` of the page before.").optional();

interface SearchParameters {
  ledger?: string | undefined;
  filter?: string | undefined;
  text?: string | undefined;
}

/** A search that somebody may make. */
export interface OpenSearch {
  readonly ledger: NamedLedger;
  readonly search: Search;
  /** False: names are not for him. */
  readonly withNames: boolean;
  /** Notes that he was shown these. */
  note(kind: string, shown: readonly { seq: number }[]): void;
  /** What he asked for, for the record of an export. */
  readonly facts: Readonly<Record<string, string>>;
}

/** Reads the parameters for whoever asks. @throws {Problem} ledger_unknown {FilterError} */
export function openSearch(
  context: AuditContext,
  auditor: Auditor,
  { ledger: wanted, filter, text }: SearchParameters,
  subject: Subject = "transactions",
): OpenSearch {
  const ledger = chooseLedger(context, auditor, wanted);
  const facts = { ...(filter !== undefined && { filter }), ...(text !== undefined && { text }) };
  return {
    ledger,
    withNames: auditor.canReadBodies,
    search: {
      query: filter === undefined || filter.trim() === "" ? undefined : parseQuery(filter, subject),
      text: text === undefined ? undefined : parseText(text),
      connectors: auditor.connectors === "*" ? undefined : [...auditor.connectors],
    },
    facts,
    note(kind, shown) {
      const seqs = shown.map(({ seq }) => seq);
      context.looked(ledger.name, {
        auditor,
        kind,
        count: shown.length,
        ...(seqs.length > 0 && { from: Math.min(...seqs), to: Math.max(...seqs) }),
        ...asked(facts),
      });
    },
  };
}

/** What was asked for, for the record; nothing if everything was. */
export function asked(facts: OpenSearch["facts"]): { facts?: OpenSearch["facts"] } {
  return Object.keys(facts).length > 0 ? { facts } : {};
}

/** A place in a result, opaque to whoever carries it: the last seq that was shown, and in which order. */
export function formatCursor(order: Order, seq: number): string {
  return Buffer.from(`${order} ${seq}`).toString("base64url");
}

/** The seq in a cursor. @throws {Problem} invalid_parameter if it was not made for this order */
export function parseCursor(text: string, order: Order): number {
  const found = /^(newest|oldest) (0|[1-9][0-9]{0,15})$/.exec(
    Buffer.from(text, "base64url").toString("latin1"),
  );
  if (!found || formatCursor(found[1] === "newest" ? "newest" : "oldest", Number(found[2])) !== text)
    throw new Problem("invalid_parameter", "cursor: give `next` of an earlier answer as it is");
  if (found[1] !== order)
    throw new Problem("invalid_parameter", `cursor: it belongs to order=${found[1]}; begin anew without it`);
  return Number(found[2]);
}
