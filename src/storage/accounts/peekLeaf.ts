// What a leaf claims, read for looking through thousands of them: only what a history needs is checked, and neither the
// spelling of the leaf nor its signature. Nothing may be proved with this; that is ledger/leaf.ts.

import type { Entry } from "../../ledger/entry.ts";

/** The claims of a request, response or refusal; undefined for anything else. Never throws. */
export function peekClaims(leaf: string): Exclude<Entry, { type: "event" }> | undefined {
  const [, payload = ""] = leaf.split(".", 3);
  let claims: unknown;
  try {
    claims = JSON.parse(Buffer.from(payload, "base64url").toString("utf8"));
  } catch {
    // A SyntaxError: somebody changed the row. The monitor finds it; here it is no part of any history.
    return undefined;
  }
  return isTransactional(claims) ? claims : undefined;
}

function isTransactional(value: unknown): value is Exclude<Entry, { type: "event" }> {
  if (!isRecord(value) || !isPlaced(value)) return false;
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

function isPlaced({ seq, time, txn, connector, attachments }: Record<string, unknown>): boolean {
  return (
    Number.isSafeInteger(seq) &&
    [time, txn, connector].every((text) => typeof text === "string") &&
    Array.isArray(attachments) &&
    attachments.every((ref) => isRecord(ref) && typeof ref.name === "string")
  );
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
