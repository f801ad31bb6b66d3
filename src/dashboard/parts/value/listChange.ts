// What changed in a multi-valued attribute, item by item, matched by `value` as SCIM means it (RFC 7643 §2.4), not by
// position: who came, who went, who changed. Pure.

/** An item of a list before and after; one of them is absent if it came or went. */
export interface ItemChange {
  readonly kind: "added" | "removed" | "changed";
  readonly old?: unknown;
  readonly new?: unknown;
}

/** What changed between two lists; what stayed is only counted. */
export function diffLists(
  before: readonly unknown[],
  after: readonly unknown[],
): { readonly changes: readonly ItemChange[]; readonly stayed: number } {
  const left = new Map(before.map((item) => [identityOf(item), item]));
  const changes: ItemChange[] = [];
  let stayed = 0;
  for (const item of after) {
    const identity = identityOf(item);
    if (!left.has(identity)) changes.push({ kind: "added", new: item });
    else {
      const old = left.get(identity);
      if (JSON.stringify(old) === JSON.stringify(item)) stayed++;
      else changes.push({ kind: "changed", old, new: item });
      left.delete(identity);
    }
  }
  for (const old of left.values()) changes.push({ kind: "removed", old });
  return { changes, stayed };
}

function identityOf(item: unknown): string {
  const value = typeof item === "object" && item !== null && "value" in item ? item.value : undefined;
  return typeof value === "string" || typeof value === "number" ? `value ${value}` : JSON.stringify(item);
}
