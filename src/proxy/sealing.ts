// Whose key seals what: the account a write is about, and in a Bulk, where one body is about many, which bytes are about
// which operation. Total: where that cannot be told the bytes are the transaction's own, never somebody else's.

import type { SealSpan, SealSubject } from "../ledger/sealing.ts";
import { locateBulkOperations } from "../scim/bulk.ts";
import { type JsonDocument, parseStrictJson } from "../scim/json.ts";
import type { Facts, Understanding } from "../scim/operation.ts";
import type { Draft, DraftAttachment } from "../storage/writer/recorded.ts";

const encoder = new TextEncoder();

/** The subjects of a request, as a draft names them. */
export function sealingOf(meaning: Understanding): Pick<Draft, "subject" | "operations"> {
  const { action, resourceType, resourceId, operations } = meaning;
  if (action === "bulk") return operations ? { operations: operations.map(subjectOf) } : {};
  return { subject: { resourceType, ...(resourceId === undefined ? {} : { resourceId }) } };
}

function subjectOf({
  action,
  resourceType,
  resourceId,
  bulkIdRef,
}: NonNullable<Understanding["operations"]>[number]): SealSubject {
  if (resourceId !== undefined) return { resourceType, resourceId };
  // A path such as /Users/bulkId:x. A create refers to others, and is about none of them.
  return action !== "create" && bulkIdRef !== undefined
    ? { resourceType, sameAs: bulkIdRef }
    : { resourceType };
}

/**
 * The operations' places in the stored bytes of a Bulk message. `operationAt`: which operation of the request stands at
 * this position of the message. Undefined if the stored bytes are no longer strict JSON.
 */
export function bulkSpans(
  document: JsonDocument,
  stored: Uint8Array,
  operationAt: (position: number) => number | undefined,
): SealSpan[] | undefined {
  const located = stored === document.bytes ? document : parseAgain(stored);
  if (!located) return undefined;
  return locateBulkOperations(located).flatMap(({ start, end }, position) => {
    const operation = operationAt(position);
    return operation === undefined ? [] : [{ start, end, operation }];
  });
}

function parseAgain(bytes: Uint8Array): JsonDocument | undefined {
  const parsed = parseStrictJson(bytes, { topLevel: "any" });
  return parsed.ok ? parsed.document : undefined;
}

/** The attachment `facts`; those of a Bulk's operations stand last, each under its own key. */
export function factsAttachment(facts: object & Pick<Facts, "operations">): DraftAttachment {
  const { operations, ...rest } = facts;
  const mediaType = "application/json";
  if (!operations?.length) return { name: "facts", mediaType, bytes: encoder.encode(JSON.stringify(facts)) };
  const head = JSON.stringify(rest).slice(0, -1);
  const pieces = [encoder.encode(`${head}${head === "{" ? "" : ","}"operations":[`)];
  const spans: SealSpan[] = [];
  let at = pieces[0]?.length ?? 0;
  for (const [i, item] of operations.entries()) {
    const piece = encoder.encode(`${JSON.stringify(item)}${i + 1 < operations.length ? "," : ""}`);
    spans.push({ start: at, end: at + piece.length, operation: item.index });
    pieces.push(piece);
    at += piece.length;
  }
  pieces.push(encoder.encode("]}"));
  return { name: "facts", mediaType, bytes: Buffer.concat(pieces), spans };
}
