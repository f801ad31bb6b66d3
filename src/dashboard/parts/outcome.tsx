// What became of a change and what it does, in words first; colour repeats what the word says.

import type { TxnRow } from "../api/types.ts";
import type { Verdict } from "./verdict.ts";

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
  /** How many there is room for; the others are counted. */
  most?: number;
}

/** The effects as small labels. */
export function Effects({ action = "", effects, verdict, most }: EffectsProps) {
  const telling = tellingEffects(action, effects);
  const shown = telling.slice(0, most);
  const rest = telling.slice(shown.length);
  const title = VERDICT_TITLES[verdict];
  return (
    <>
      {shown.map((effect) => (
        <span
          key={effect}
          class={`effect ${verdict === "applied" ? (EFFECT_TONES[effect] ?? "quiet") : verdict}`}
          title={effect + title}
        >
          {EFFECT_WORDS[effect] ?? effect}
        </span>
      ))}
      {rest.length > 0 && (
        <span class="effect more" title={rest.join(", ") + title}>
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
