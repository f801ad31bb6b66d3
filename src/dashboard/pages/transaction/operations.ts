// A Bulk's operations (RFC 7644 §3.7) as the leaves have them: what each asks for, and what the target says became of it. A
// Bulk that was answered with 200 may have failed in every one.

import type { ShownEntry } from "../../api/types.ts";
import { describeUndone, type Verdict, verdictOf } from "../../parts/verdict.ts";
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
  const results = operationsOf(outcome);
  const byIndex = new Map(results.map((result) => [at(result, "index"), result]));
  return operationsOf(request).map((operation) => {
    const index = at(operation, "index");
    const result = byIndex.get(index);
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
export function undoneOf(operations: readonly Pick<BulkOperation, "verdict">[]) {
  const count = (wanted: (verdict: Verdict) => boolean) =>
    operations.filter(({ verdict }) => wanted(verdict)).length;
  return describeUndone({
    operations: operations.length,
    operationsRefused: count((verdict) => verdict === "refused"),
    operationsUnknown: count((verdict) => verdict !== "refused" && verdict !== "applied"),
  });
}

function textsAt(value: unknown, name: string): readonly string[] {
  const found = at(value, name);
  return Array.isArray(found) ? found.map(String) : [];
}
