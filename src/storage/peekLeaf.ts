// What a leaf claims, read for looking through thousands of them: only what the callers read is checked, and neither the
// spelling of the leaf nor its signature. Nothing may be proved with this; that is ledger/leaf.ts. Never throws.

import type { AttachmentRef, Entry } from "../ledger/entry.ts";

/** Entries that are a part of a transaction. */
export type TransactionClaims = Exclude<Entry, { type: "event" }>;

/** What stored attachments are bound to: the entry's id, and their names, sizes and commitments. */
export interface Binding {
  readonly id: string;
  readonly attachments: readonly Pick<AttachmentRef, "name" | "size" | "commitment">[];
}

/** The claims of a request, response or refusal; undefined for anything else. */
export function peekClaims(leaf: string): TransactionClaims | undefined {
  const claims = peek(leaf);
  return isRecord(claims) && isBinding(claims) && isTransactional(claims) ? claims : undefined;
}

/** What the attachments of any entry are bound to; undefined if the leaf does not say. */
export function peekBinding(leaf: string): Binding | undefined {
  const claims = peek(leaf);
  return isRecord(claims) && isBinding(claims) ? claims : undefined;
}

function peek(leaf: string): unknown {
  const [, payload = ""] = leaf.split(".", 3);
  try {
    return JSON.parse(Buffer.from(payload, "base64url").toString("utf8"));
  } catch {
    // A SyntaxError: somebody changed the row. The monitor finds it; here it says nothing.
    return undefined;
  }
}

function isBinding(value: Record<string, unknown>): value is Record<string, unknown> & Binding {
  const { id, attachments } = value;
  return (
    typeof id === "string" &&
    Array.isArray(attachments) &&
    attachments.every(
      (ref) =>
        isRecord(ref) &&
        typeof ref.name === "string" &&
        Number.isSafeInteger(ref.size) &&
        typeof ref.commitment === "string",
    )
  );
}

function isTransactional(
  value: Record<string, unknown>,
): value is Record<string, unknown> & TransactionClaims {
  if (!isPlaced(value)) return false;
  switch (value.type) {
    case "response":
      return typeof value.outcome === "string" && isNumber(value.status);
    case "request":
      return isActed(value) && isScim(value.scim);
    case "refusal":
      return isActed(value) && (value.scim === undefined || isScim(value.scim));
    default:
      return false;
  }
}

function isPlaced({ seq, time, txn, connector }: Record<string, unknown>): boolean {
  return Number.isSafeInteger(seq) && [time, txn, connector].every((text) => typeof text === "string");
}

function isActed({ actor, http }: Record<string, unknown>): boolean {
  return isRecord(actor) && typeof actor.client === "string" && isRecord(http);
}

function isScim(scim: unknown): boolean {
  return (
    isRecord(scim) &&
    typeof scim.action === "string" &&
    typeof scim.resourceType === "string" &&
    Array.isArray(scim.effects) &&
    scim.effects.every((effect) => typeof effect === "string")
  );
}

function isNumber(value: unknown): boolean {
  return value === undefined || typeof value === "number";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
