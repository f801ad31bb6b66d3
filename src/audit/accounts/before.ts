// An account at a moment before all of its writes. That it did not exist is said only where the ledger shows it: its first
// write is a create that the target answered with 201, and no entry before that says its id, nor could be unreadable and say it.

import { neverSeen, notMadeYet, type ResourceState } from "../../scim/state/resourceState.ts";
import type { NamedLedger } from "../context.ts";
import type { AccountWrite } from "./timeline.ts";

/** What is known of the account with this id (as the target spells it) before its first write was recorded. */
export async function stateBefore(
  { accounts, search }: Pick<NamedLedger, "accounts" | "search">,
  connector: string,
  id: string | undefined,
  [first]: readonly AccountWrite[],
): Promise<ResourceState> {
  if (id === undefined || first === undefined) return neverSeen;
  const { action, verdict, isNew } = first.write;
  if (action !== "create" || verdict !== "applied" || isNew !== true) return neverSeen;
  const [{ skipped = 0 }, firstSeq] = await Promise.all([
    search.covers(),
    accounts.firstSeqOf(connector, id),
  ]);
  return skipped === 0 && firstSeq === first.opened ? notMadeYet : neverSeen;
}
