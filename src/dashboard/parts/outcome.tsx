// What became of a change and what it does, in words first; colour repeats what the word says.

import type { TxnRow } from "../api/types.ts";
import { describeUndone, type UndoneCounts, type Verdict } from "./verdict.ts";

/** good: done as asked; wait: not known yet, or never; bad: not done; quiet: nothing to say. */
export type Tone = "good" | "wait" | "bad" | "quiet" | "info";

type OutcomeFacts = Pick<TxnRow, "outcome" | "status" | "replied"> & UndoneCounts;

/** What a transaction's outcome means for whoever looks for trouble. */
export function toneOf(facts: OutcomeFacts): Tone {
  const { outcome, status, replied, operations, operationsRefused } = facts;
  if (outcome === "open") return "wait";
  if (outcome === "unknown" || outcome === "incomplete" || outcome === "early") return "wait";
  if (outcome === "refused" || outcome !== "answered") return "bad";
  if ((status ?? replied ?? 0) >= 400) return "bad";
  // A Bulk is answered with 200 whatever became of its operations (RFC 7644 §3.7.3).
  if (describeUndone(facts) === undefined) return "good";
  return operationsRefused === operations ? "bad" : "wait";
}

/** An outcome in words. */
export function wordsOf({ outcome, status, replied }: OutcomeFacts): string {
  const code = status ?? replied;
  switch (outcome) {
    case "answered":
      return code === null ? "answered" : String(code);
    case "open":
      return "open";
    case "refused":
      return code === null ? "refused" : `refused ${code}`;
    default:
      return outcome.replaceAll("_", " ");
  }
}

/** An outcome as a badge. */
export function OutcomeBadge(facts: OutcomeFacts) {
  return <span class={`badge ${toneOf(facts)}`}>{wordsOf(facts)}</span>;
}

const EFFECT_TONES: Readonly<Record<string, Tone>> = {
  create: "good",
  activate: "good",
  deactivate: "bad",
  delete: "bad",
  password: "wait",
  role: "wait",
  "membership-add": "info",
  "membership-remove": "info",
  "membership-replace": "info",
};

const EFFECT_WORDS: Readonly<Record<string, string>> = {
  "membership-add": "members +",
  "membership-remove": "members −",
  "membership-replace": "members =",
};

/** Effects worth a word of their own beside the action: what says less than another is left out. */
export function tellingEffects(action: string, effects: readonly string[]): string[] {
  return effects.filter((effect) => effect !== action && effect !== "update" && effect !== "replace");
}

/** What did not come to be, or perhaps not, must not look as if it had. */
const VERDICT_TITLES: Readonly<Record<Verdict, string>> = {
  applied: "",
  refused: ", asked for, not done",
  unknown: ", unknown whether done",
  open: ", no outcome yet",
};

interface EffectsProps {
  action?: string;
  effects: readonly string[];
  verdict: Verdict;
  /** Those of a Bulk that none of its operations is known to have had. */
  undone?: { readonly effects: readonly string[]; readonly verdict: Verdict } | undefined;
  /** How many there is room for; the others are counted. */
  most?: number;
}

/** The effects as small labels. */
export function Effects({ action = "", effects, verdict, undone, most }: EffectsProps) {
  const verdictOn = (effect: string) => (undone?.effects.includes(effect) ? undone.verdict : verdict);
  const titleOf = (effect: string) => effect + VERDICT_TITLES[verdictOn(effect)];
  // What was done comes first: the others may be left for the count.
  const telling = tellingEffects(action, effects).toSorted(
    (a, b) => Number(undone?.effects.includes(a) ?? false) - Number(undone?.effects.includes(b) ?? false),
  );
  const shown = telling.slice(0, most);
  const rest = telling.slice(shown.length);
  return (
    <>
      {shown.map((effect) => (
        <span
          key={effect}
          class={`effect ${verdictOn(effect) === "applied" ? (EFFECT_TONES[effect] ?? "quiet") : verdictOn(effect)}`}
          title={titleOf(effect)}
        >
          {EFFECT_WORDS[effect] ?? effect}
        </span>
      ))}
      {rest.length > 0 && (
        <span class="effect more" title={rest.map(titleOf).join("; ")}>
          +{rest.length}
        </span>
      )}
    </>
  );
}

/** An action, coloured where it ends or begins something. */
export function Action({ action, verdict }: { action: string; verdict: Verdict }) {
  return (
    <span class={`action ${verdict === "applied" ? (EFFECT_TONES[action] ?? "quiet") : verdict}`}>
      {action}
    </span>
  );
}
