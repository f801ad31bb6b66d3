// What can go wrong with a request, as RFC 9457 problem documents. The codes are a closed union: they are the documented
// names, the anchors that `type` points to, and the rows of the table on the API's page. A detail says what is wrong and
// what to do; never a secret, never personal data, and never whether another tenant's ledger exists.

import type { Response } from "express";
import { z } from "zod";
import { TileError } from "../../ledger/tree/tileProof.ts";
import { FilterError } from "../../scim/search/query.ts";
import { IndexNotReadyError, SearchTimeoutError } from "../../storage/search/searchReader.ts";
import { TreeIncompleteError } from "../../storage/tree/treeStore.ts";

/** Every problem by its code: its status, its title, and for whom reads the documentation when it occurs. */
export const PROBLEMS = {
  invalid_parameter: [400, "Invalid parameter", "A parameter or the body is not what is documented."],
  invalid_filter: [
    400,
    "Filter not served",
    "A filter or a text cannot be read or served (SCIM: invalidFilter); the detail names the place and what to write instead.",
  ],
  unauthenticated: [401, "Authentication needed", "No token or session, or one that is not valid."],
  link_invalid: [
    401,
    "Sign-in link not valid",
    "It was used, it is too old, or there never was one like it.",
  ],
  forbidden: [
    403,
    "Not allowed",
    "The token or session is valid, and its role or its scope does not reach here.",
  ],
  cross_site: [
    403,
    "From another site",
    "A session in the browser counts only for pages of this listener, under the address it is known by.",
  ],
  not_found: [404, "Nothing here", "The path leads nowhere."],
  ledger_unknown: [404, "No such ledger", "There is no ledger of this name that the token may read."],
  entry_unknown: [404, "No such entry", "The ledger has no such entry."],
  entry_not_covered: [404, "Not covered yet", "The entry is newer than every signed checkpoint; ask again."],
  alarm_unknown: [404, "No such alarm", "No alarm of this id is open."],
  transaction_unknown: [404, "No such transaction", "No entry of this transaction was found."],
  account_unknown: [404, "No such account", "The ledger knows no such account, as far as its index reaches."],
  evidence_empty: [404, "Nothing to export", "No entry is what was asked for."],
  checkpoint_unknown: [404, "No such checkpoint", "No checkpoint of this size was signed."],
  tile_unknown: [404, "No such tile", "The latest checkpoint's tree has no such tile or bundle."],
  method_not_allowed: [405, "Method not allowed", "See Allow for the methods that there are."],
  body_too_large: [413, "Body too large", "The body is larger than what is accepted here."],
  media_type_unsupported: [
    415,
    "Unsupported media type",
    "The body's Content-Type is not one of the documented.",
  ],
  rate_limited: [429, "Too many requests", "Wait for as long as Retry-After says."],
  ledger_inconsistent: [
    500,
    "Ledger inconsistent",
    "What is stored does not agree with the checkpoint that was signed: do not rely on it, and tell the operator.",
  ],
  not_recorded: [
    503,
    "Not recorded",
    "What leaves the ledger is recorded in it first, and now it takes no entries; nothing was given out.",
  ],
  search_timeout: [503, "Search too slow", "The search was given up after five seconds: narrow it down."],
  index_not_ready: [
    503,
    "Index not ready",
    "The index that searches use is being made anew, or is another version's during an upgrade; ask again.",
  ],
  ledger_unreadable: [503, "Ledger unreadable", "The ledger's database did not answer."],
} as const satisfies Readonly<Record<string, readonly [status: number, title: string, meaning: string]>>;

/** The stable name of a problem. */
export type ProblemCode = keyof typeof PROBLEMS;

/** All codes, in the order of their status. */
export const PROBLEM_CODES = Object.keys(PROBLEMS) as [ProblemCode, ...ProblemCode[]];

/** Where `type` leads: the code's row on the API's page. */
export const PROBLEM_TYPE_PREFIX = "/audit/v1/#problem-";

const RETRY_SECONDS = 5;

/** A problem document. */
export const problemSchema = z
  .strictObject({
    type: z.string().describe("Where the code is explained, relative to this server."),
    title: z.string().describe("The code in words; the same for every occurrence."),
    status: z.int().describe("The HTTP status."),
    detail: z.string().describe("What is wrong this time, and what to do."),
    code: z.enum(PROBLEM_CODES).describe("The stable name to act on."),
  })
  .meta({ id: "Problem", description: "An RFC 9457 problem document." });

/** A refusal of the audit API: thrown by whoever finds it, made a document in one place. */
export class Problem extends Error {
  override name = "Problem";
  readonly code: ProblemCode;

  constructor(code: ProblemCode, detail: string, options?: ErrorOptions) {
    super(detail, options);
    this.code = code;
  }
}

/** Answers with a problem document (RFC 9457). */
export function sendProblem(response: Response, code: ProblemCode, detail: string): void {
  const [status, title] = PROBLEMS[code];
  const problem: z.input<typeof problemSchema> = {
    type: `${PROBLEM_TYPE_PREFIX}${code}`,
    title,
    status,
    detail,
    code,
  };
  if (status === 401) response.setHeader("www-authenticate", 'Bearer realm="scimseal audit"');
  if ((status === 429 || status === 503) && !response.hasHeader("retry-after"))
    response.setHeader("retry-after", RETRY_SECONDS);
  // The rest of the body is not read: the next request would begin in the middle of it.
  if (code === "body_too_large") response.setHeader("connection", "close");
  // A tile that is not there now may be there in a second: no cache may remember that it was not.
  response.setHeader("cache-control", "no-store");
  response.status(status).type("application/problem+json").send(JSON.stringify(problem));
}

/** The problem behind anything that was thrown while a request was handled. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof FilterError) {
    const detail = `${error.of}, at character ${error.position + 1}: ${error.message} (invalidFilter, RFC 7644 §3.12).`;
    return new Problem("invalid_filter", detail, { cause: error });
  }
  if (error instanceof SearchTimeoutError)
    return new Problem(
      "search_timeout",
      "The search took too long: narrow it by time, connector or more of a name.",
      {
        cause: error,
      },
    );
  if (error instanceof IndexNotReadyError)
    return new Problem(
      "index_not_ready",
      "The index was made anew, or instances of another version are using it: ask again in a moment. The entries themselves are not concerned.",
      { cause: error },
    );
  if (error instanceof TileError || error instanceof TreeIncompleteError)
    return new Problem("ledger_inconsistent", `The stored tree is not whole: ${error.message}.`, {
      cause: error,
    });
  const status = error instanceof Error && "status" in error ? error.status : undefined;
  // Express's own refusals, such as a percent-encoding that cannot be decoded.
  if (typeof status === "number" && status >= 400 && status < 500)
    return new Problem("invalid_parameter", "The request's path cannot be decoded.");
  return new Problem("ledger_unreadable", "The ledger could not be read; see the log and /readyz.", {
    cause: error,
  });
}
