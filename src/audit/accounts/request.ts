// What the operations on accounts have in common: which account is meant, at which moment, and the names of both.

import { z } from "zod";
import { parseTime } from "../../scim/search/time.ts";
import type { AccountSummary } from "../../storage/accounts/accountReader.ts";
import { Problem, type ProblemCode } from "../http/problem.ts";
import type { Moment } from "./timeline.ts";

/** Transactions of one account that are looked at, the newest. */
export const MAX_TRANSACTIONS = 20_000;

export const ACCOUNT_PARAMETERS = {
  ledger: z.string().describe("Left out: the first ledger that the token may read.").optional(),
  connector: z
    .string()
    .describe("Left out: whichever connector's target has such an account; of several the one changed last.")
    .optional(),
  at: z
    .string()
    .max(64)
    .describe("The moment: a time (RFC 3339, or a date for its midnight in UTC) or `seq:N`. Left out: now.")
    .optional(),
};

export const ACCOUNT_PROBLEMS: readonly ProblemCode[] = [
  "ledger_unknown",
  "account_unknown",
  "search_timeout",
  "index_not_ready",
];

export const accountSchema = z
  .strictObject({
    connector: z.string(),
    type: z.string(),
    id: z.string().describe("As the target spells it; its keyed token where only that is known."),
    recordedId: z.string().describe("As it stands in the leaves, which evidence packs are asked for by."),
    names: z
      .strictObject({
        userName: z.string().optional(),
        externalId: z.string().optional(),
        displayName: z.string().optional(),
        formattedName: z.string().optional(),
        emails: z.array(z.string()).optional(),
      })
      .describe("The names that it was known by last; personal."),
    firstSeq: z.int().min(0),
    lastSeq: z.int().min(0),
    changes: z.int().min(0).describe("Transactions that it is the subject of."),
  })
  .meta({ id: "Account", description: "A resource that the ledger has heard of." });

/** An account as answers show it; `id`: in clear, where that is known. */
export function showAccount(account: AccountSummary, id = account.ref): z.input<typeof accountSchema> {
  const { connector, type, ref, names, firstSeq, lastSeq, changes } = account;
  return { connector, type, id, recordedId: ref, names, firstSeq, lastSeq, changes };
}

/** The moment that a parameter names. @throws {Problem} invalid_parameter */
export function parseMoment(text: string | undefined): Moment | undefined {
  if (text === undefined) return undefined;
  const seq = /^seq:(0|[1-9][0-9]{0,15})$/.exec(text)?.[1];
  if (seq !== undefined) return { seq: Number(seq) };
  const timeMs = parseTime(text);
  if (timeMs !== undefined) return { timeMs };
  throw new Problem(
    "invalid_parameter",
    "at: write a time such as 2026-03-01T12:00:00Z, a date such as 2026-03-01, or a place such as seq:1200",
  );
}

/** `Users` → `User`: what a target calls the collection names the type too; and `me` → `User`, see `accountType`. */
export function parseType(text: string): string {
  const known = { user: "User", users: "User", me: "User", group: "Group", groups: "Group" };
  return Object.entries(known).find(([word]) => word === text.toLowerCase())?.[1] ?? text;
}

/** An account that there must be. @throws {Problem} account_unknown */
export function requireAccount(found: readonly AccountSummary[]): AccountSummary {
  const [first] = found;
  if (first) return first;
  throw new Problem("account_unknown", "The ledger knows no such account, or not yet; see `covers`.");
}
