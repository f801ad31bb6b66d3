// Members of what a leaf says, whatever it says: nothing is taken for granted of a leaf that this page did not check.

import { decodeBase64 } from "../../../ledger/base64.ts";
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

/** The text of an attachment, if it was given and is text. */
export function contentOf({ attachments = [] }: ShownEntry, name: string): string | undefined {
  const content = attachments.find((one) => one.name === name)?.content;
  const bytes = content === undefined ? undefined : decodeBase64(content);
  return bytes && new TextDecoder().decode(bytes);
}

/** A Bulk's operations, if it is one; those that are too many for a leaf stand in an attachment. */
export function operationsOf(shown: ShownEntry | null): readonly unknown[] {
  const inLeaf = at(shown?.entry, "scim", "operations");
  const operations = inLeaf ?? (shown && parse(contentOf(shown, "operations")));
  return Array.isArray(operations) ? operations : [];
}

function parse(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "null");
  } catch {
    // Not what the proxy wrote: it lists nothing.
    return null;
  }
}
