// A Bulk's operations (RFC 7644 §3.7) as the leaves have them: what each asks for, and what the target says became of it. A
// Bulk that was answered with 200 may have failed in every one.

import type { ShownEntry } from "../../api/types.ts";
import { type Verdict, verdictOf } from "../../parts/verdict.ts";
import { at, operationsOf, textAt } from "./leafMembers.ts";

/** One operation. */
export interface BulkOperation {
  readonly index: string;
  readonly action: string;
  readonly effects: readonly string[];
  readonly paths: readonly string[];
  readonly resourceType: string;
  readonly id: string | undefined;
  /** Undefined: the target did not say. */
  readonly status: number | undefined;
  readonly verdict: Verdict;
}

/** The operations in order; `whole`: what became of the request that holds them. */
export function readOperations(
  request: ShownEntry | null,
  outcome: ShownEntry | null,
  whole: Verdict,
): readonly BulkOperation[] {
  const results = at(outcome?.entry, "scim", "operations");
  return operationsOf(request).map((operation) => {
    const index = at(operation, "index");
    const result = Array.isArray(results)
      ? results.find((one: unknown) => at(one, "index") === index)
      : undefined;
    const given = at(result, "status");
    const status = typeof given === "number" ? given : undefined;
    return {
      index: String(index),
      action: textAt(operation, "action") ?? "?",
      effects: textsAt(operation, "effects"),
      paths: textsAt(operation, "paths"),
      resourceType: textAt(operation, "resourceType") ?? "",
      id: textAt(operation, "resourceId") ?? textAt(result, "resourceId"),
      status,
      verdict: whole === "applied" ? verdictOf({ outcome: "answered", status: status ?? null }) : whole,
    };
  });
}

/** How many were not done, in words, and whether that is certain; undefined: all were. */
export function describeUndone(
  operations: readonly Pick<BulkOperation, "verdict">[],
): { readonly words: string; readonly verdict: "refused" | "unknown" } | undefined {
  const undone = operations.filter(({ verdict }) => verdict !== "applied");
  if (undone.length === 0) return undefined;
  const isCertain = undone.every(({ verdict }) => verdict === "refused");
  const words = `${undone.length} of ${operations.length} ${isCertain ? "not done" : "not known to be done"}`;
  return { words, verdict: isCertain ? "refused" : "unknown" };
}

function textsAt(value: unknown, name: string): readonly string[] {
  const found = at(value, name);
  return Array.isArray(found) ? found.map(String) : [];
}
