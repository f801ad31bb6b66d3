// Whether what was asked for came to be, by an outcome and the target's status: the same reading as that of an account's
// history (docs/FORMAT.md, "Response entries"). A request says what somebody wanted; only this says whether it is so.

import type { TxnRow } from "../api/types.ts";

/** open: there is no outcome yet. */
export type Verdict = "applied" | "refused" | "unknown" | "open";

type OutcomeFacts = Pick<TxnRow, "outcome" | "status" | "replied">;

/** What an outcome says about whether the change took place. */
export function verdictOf({ outcome, status }: Pick<OutcomeFacts, "outcome" | "status">): Verdict {
  if (outcome === "open") return "open";
  if (outcome === "not_sent" || outcome === "refused" || outcome === "redirected") return "refused";
  const isWhole = outcome === "answered" || (outcome === "early" && status !== null && status >= 400);
  if (!isWhole || status === null) return "unknown";
  // 202 accepts and promises nothing (RFC 9110 §15.3.3); a 5xx but 501 and 503 may come from half-way.
  if (status >= 200 && status < 300) return status === 202 ? "unknown" : "applied";
  return status < 500 || status === 501 || status === 503 ? "refused" : "unknown";
}

/** Of a Bulk, by its operations' own statuses; null: it is none, or not answered. */
export type UndoneCounts = Partial<Pick<TxnRow, "operations" | "operationsRefused" | "operationsUnknown">>;

/** How many operations of a Bulk were not done, in words, and whether that is certain; undefined: all were. */
export function describeUndone({
  operations,
  operationsRefused,
  operationsUnknown,
}: UndoneCounts): { readonly words: string; readonly verdict: "refused" | "unknown" } | undefined {
  const undone = (operationsRefused ?? 0) + (operationsUnknown ?? 0);
  if (undone === 0) return undefined;
  const isCertain = !operationsUnknown;
  return {
    words: `${undone} of ${operations ?? undone} ${isCertain ? "not done" : "not known to be done"}`,
    verdict: isCertain ? "refused" : "unknown",
  };
}

/** The heading of what was asked for, where it is not known to be done. */
export const VERDICT_WORDS = {
  refused: "Asked for, not done",
  unknown: "Unknown whether done",
  open: "Asked for, no outcome yet",
} as const satisfies Readonly<Record<Exclude<Verdict, "applied">, string>>;

/** Why it is not known to be done, in a sentence; undefined: it was done. */
export function explainVerdict(facts: OutcomeFacts): string | undefined {
  const { outcome, status, replied } = facts;
  switch (verdictOf(facts)) {
    case "applied":
      return undefined;
    case "open":
      return "The target has not answered, or its answer is being recorded.";
    case "refused":
      if (outcome === "refused")
        return `This proxy refused it${replied === null ? "" : ` with ${replied}`} and sent nothing to the target.`;
      if (outcome === "not_sent") return "It was never sent to the target.";
      if (outcome === "redirected") return "The target pointed elsewhere, and nobody followed.";
      return `The target refused it with ${status}.`;
    case "unknown":
      if (status === 202 && outcome === "answered")
        return "The target took it with 202, which promises nothing. Look at the account before you rely on it.";
      if (status !== null && status >= 500)
        return `The target answered ${status}, which may come from half-way. Look at the account before you rely on it.`;
      return "Something was sent, and nothing certain came back. Look at the account before you rely on it.";
  }
}
