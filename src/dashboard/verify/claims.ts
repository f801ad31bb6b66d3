// What a page shows of an entry comes out of its leaf, which is signed, and not out of what the server says beside it: nor
// out of the index, which nobody signs. Whether the signature holds is another question (see verifyEntry.ts); but then it is
// asked about what is shown.

import { encodeBase64 } from "../../ledger/base64.ts";
import { hashLeaf } from "../../ledger/hash.ts";
import { parseLeaf } from "../../ledger/leaf.ts";
import type { ShownEntry, Transaction, TxnRow } from "../api/types.ts";

/** The facts of a transaction that its leaves hold; a name is not among them. */
export type TxnFacts = Omit<
  TxnRow,
  | "txn"
  | "seq"
  | "closedSeq"
  | "name"
  | "durationMs"
  | "reason"
  | "method"
  | "verb"
  | "isCut"
  | "operationsRefused"
  | "operationsUnknown"
  | "effectsUndone"
>;

/** An entry as its leaf says. One whose leaf cannot be read says nothing, and is not intact. */
function readShown(shown: ShownEntry): ShownEntry {
  const { entry: _, ...rest } = shown;
  const leaf = parseLeaf(shown.leaf);
  if (typeof leaf === "string") return { ...rest, intact: false };
  const leafHash = encodeBase64(hashLeaf(leaf.bytes));
  const isSame = leafHash === shown.leafHash && leaf.claims.seq === shown.seq;
  return { ...rest, leafHash, intact: shown.intact && isSame, entry: { ...leaf.claims } };
}

/** A transaction as its leaves say. */
export function readTransaction(given: Transaction): Transaction {
  const request = given.request && readShown(given.request);
  const outcome = given.outcome && readShown(given.outcome);
  const isRefused = request?.entry?.type === "refusal";
  return { ...given, request, outcome, state: isRefused ? "refused" : outcome ? "closed" : "open" };
}

/** The facts of a transaction, by its leaves; undefined without a first entry that can be read. */
export function readFacts({
  request,
  outcome,
}: Pick<Transaction, "request" | "outcome">): TxnFacts | undefined {
  const asked = request && parseLeaf(request.leaf);
  if (!asked || typeof asked === "string") return undefined;
  const { claims } = asked;
  if (claims.type !== "request" && claims.type !== "refusal") return undefined;
  const answered = outcome && parseLeaf(outcome.leaf);
  const answer =
    answered && typeof answered !== "string" && answered.claims.type === "response"
      ? answered.claims
      : undefined;
  const { scim } = claims;
  const operations = scim?.operationCount ?? scim?.operations?.length ?? null;
  return {
    time: claims.time,
    connector: claims.connector,
    client: claims.actor.client,
    action: scim?.action ?? "",
    resourceType: scim?.resourceType ?? "",
    resourceId: scim?.resourceId ?? answer?.scim?.resourceId ?? null,
    effects: scim?.effects ?? [],
    operations,
    ...(claims.type === "refusal"
      ? { outcome: "refused", status: null, replied: claims.refusal.status }
      : {
          outcome: answer?.outcome ?? "open",
          status: answer?.status ?? null,
          replied: answer?.replied ?? null,
        }),
  };
}
