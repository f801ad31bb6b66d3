// Which entries a pack is of: a range without gaps, or some by their seq. Here: the entries of one account, found by
// what the leaves say. An entry belongs if it, or its transaction's other half, names the resource: a create names it
// in its outcome only. What leaves do not hold (members of groups, names) cannot be found here. Pure.

import type { Entry, OperationFacts, ScimFacts } from "../entry.ts";
import { parseLeaf } from "../leaf.ts";

export type Selection =
  | { kind: "all"; from: number; to: number }
  | {
      kind: "some";
      /** Ascending. */
      seqs: readonly number[];
      /** Bulk requests whose operations are not in their leaf. */
      notSearched: number;
    };

/** As they stand in the leaves. */
export interface AccountName {
  resourceType: string;
  resourceId: string;
}

/** Whether so many distinct entries from the first to the last leave none out. */
export function isGapFree(firstSeq: number, lastSeq: number, count: number): boolean {
  return lastSeq - firstSeq + 1 === count;
}

/** The account's entries among these. Keeps eight bytes for each one found and the open transactions. */
export async function findOfAccount(
  rows: AsyncIterable<{ seq: number; leaf: string }>,
  account: AccountName,
): Promise<{ seqs: number[]; notSearched: number }> {
  const found = new Set<number>();
  const open = new Map<string, { seq: number; scim: ScimFacts }>();
  let notSearched = 0;
  for await (const { seq, leaf } of rows) {
    const parsed = parseLeaf(leaf);
    if (typeof parsed === "string") continue;
    const { claims } = parsed;
    if (claims.type === "request") open.set(claims.txn, { seq, scim: claims.scim });
    const request = claims.type === "response" ? open.get(claims.txn) : undefined;
    if (claims.type === "response") open.delete(claims.txn);
    if (claims.type === "request" && isUnsearchable(claims.scim)) notSearched++;
    if (claims.type === "response" && request && found.has(request.seq)) found.add(seq);
    if (!namesAccount(claims, request?.scim, account)) continue;
    found.add(seq);
    if (request) found.add(request.seq);
  }
  return { seqs: [...found].sort((a, b) => a - b), notSearched };
}

function namesAccount(claims: Entry, request: ScimFacts | undefined, account: AccountName): boolean {
  const { resourceType, resourceId } = account;
  const isNamed = (one: { resourceType?: string; resourceId?: string } | undefined): boolean =>
    one?.resourceType === resourceType && one.resourceId === resourceId;
  if (claims.type === "request" || claims.type === "refusal") {
    return isNamed(claims.scim) || operationsOf(claims.scim).some(isNamed);
  }
  if (claims.type !== "response" || !claims.scim) return false;
  // An outcome has the id only; its type stands in the request.
  const { resourceId: id, operations } = claims.scim;
  if (id === resourceId && request?.resourceType === resourceType) return true;
  const types = new Map(operationsOf(request).map((operation) => [operation.index, operation.resourceType]));
  return (Array.isArray(operations) ? operations : []).some(
    (operation) => operation.resourceId === resourceId && types.get(operation.index) === resourceType,
  );
}

/** A leaf is read before it is verified: what its parser does not promise is looked at again. */
function operationsOf(scim: ScimFacts | undefined): readonly OperationFacts[] {
  return Array.isArray(scim?.operations) ? scim.operations : [];
}

function isUnsearchable(scim: ScimFacts): boolean {
  return scim.operationCount !== undefined && scim.operations === undefined;
}
