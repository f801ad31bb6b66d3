// Accounts by any of their names, or all of them.

import { z } from "zod";
import { auditorOperation } from "../http/operation.ts";
import { integer, NO_PARAMETERS } from "../http/parameter.ts";
import { Problem } from "../http/problem.ts";
import { coversSchema, openSearch, SEARCH_PARAMETERS, SEARCH_PROBLEMS } from "../search/request.ts";
import { TAG } from "./account.ts";
import { accountSchema, showAccount } from "./request.ts";

/** GET /audit/v1/accounts */
export const listAccounts = auditorOperation(
  {
    method: "get",
    path: "/audit/v1/accounts",
    id: "listAccounts",
    tag: TAG,
    summary: "Accounts by their names",
    description:
      "Those heard of last come first. A filter may ask for userName, displayName, formattedName, email, externalId, name (any of " +
      "these), id, resourceType and connector; a name holds if the account was ever known by it. An id of which nothing says that " +
      "it was ever there (the target answered 404, or was never asked) is listed only if words or an id are asked for.",
    scope: "connectors",
    params: NO_PARAMETERS,
    query: z.strictObject({
      ...SEARCH_PARAMETERS,
      limit: integer("Accounts in the page.", 1, 1000).default(50),
      cursor: z.string().max(64).describe("`next` of the page before.").optional(),
    }),
    answer: z.strictObject({
      ledger: z.string(),
      covers: coversSchema,
      accounts: z.array(accountSchema),
      next: z.string().nullable().describe("Give this as `cursor` for the next page; null at the end."),
    }),
    problems: SEARCH_PROBLEMS,
  },
  async ({ context, auditor, query }) => {
    const after = query.cursor === undefined ? undefined : parseCursor(query.cursor);
    const { ledger, search, note } = openSearch(context, auditor, query);
    const covers = await ledger.search.covers();
    const { accounts, next } = await ledger.accounts.find(search, { after, limit: query.limit });
    note(
      "accounts",
      accounts.map(({ lastSeq }) => ({ seq: lastSeq })),
    );
    return {
      kind: "json",
      body: {
        ledger: ledger.name,
        covers,
        accounts: accounts.map((account) => showAccount(account)),
        next: next === undefined ? null : Buffer.from(`account ${next}`).toString("base64url"),
      },
    };
  },
);

function parseCursor(text: string): string {
  const found = /^account ([1-9][0-9]{0,17})$/.exec(Buffer.from(text, "base64url").toString("latin1"))?.[1];
  if (found !== undefined) return found;
  throw new Problem("invalid_parameter", "cursor: give `next` of an earlier answer as it is");
}
