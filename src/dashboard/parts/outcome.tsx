// What became of a change and what it does, in words first; colour repeats what the word says.

import type { TxnRow } from "../api/types.ts";

/** good: done as asked; wait: not known yet, or never; bad: not done; quiet: nothing to say. */
export type Tone = "good" | "wait" | "bad" | "quiet" | "info";

type OutcomeFacts = Pick<TxnRow, "outcome" | "status" | "replied">;

/** What a transaction's outcome means for whoever looks for trouble. */
export function toneOf({ outcome, status, replied }: OutcomeFacts): Tone {
  if (outcome === "open") return "wait";
  if (outcome === "unknown" || outcome === "incomplete" || outcome === "early") return "wait";
  if (outcome === "refused" || outcome !== "answered") return "bad";
  return (status ?? replied ?? 0) < 400 ? "good" : "bad";
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

/** The effects as small labels. */
export function Effects({ action = "", effects }: { action?: string; effects: readonly string[] }) {
  return (
    <>
      {tellingEffects(action, effects).map((effect) => (
        <span key={effect} class={`effect ${EFFECT_TONES[effect] ?? "quiet"}`} title={effect}>
          {EFFECT_WORDS[effect] ?? effect}
        </span>
      ))}
    </>
  );
}

/** An action, coloured where it ends or begins something. */
export function Action({ action }: { action: string }) {
  return <span class={`action ${EFFECT_TONES[action] ?? "quiet"}`}>{action}</span>;
}
