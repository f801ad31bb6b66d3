// Members of what a leaf says, whatever it says: nothing is taken for granted of a leaf that this page did not check.

import type { AttachmentRef, ShownEntry } from "../../api/types.ts";

/** A member of an object of the leaf, whatever it is. */
export function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (one, name) =>
      typeof one === "object" && one !== null && Object.hasOwn(one, name)
        ? (one as Readonly<Record<string, unknown>>)[name]
        : undefined,
    value,
  );
}

/** A text of the leaf, or nothing. */
export function textAt(value: unknown, ...path: readonly string[]): string | undefined {
  const found = at(value, ...path);
  return typeof found === "string" ? found : typeof found === "number" ? String(found) : undefined;
}

/** What the leaf commits to. */
export function refsOf(shown: ShownEntry): readonly AttachmentRef[] {
  const refs = at(shown.entry, "attachments");
  return Array.isArray(refs) ? refs : [];
}

/** A Bulk's operations, if it is one. */
export function operationsOf(shown: ShownEntry | null): readonly unknown[] {
  const operations = at(shown?.entry, "scim", "operations");
  return Array.isArray(operations) ? operations : [];
}
