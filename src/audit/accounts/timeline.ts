// An account's history from its transactions: each change with what it made of each attribute, and the state at a moment.
// A moment is a place in the ledger or a time: a write whose outcome was not yet recorded then may or may not have been
// done then, and what it touches is uncertain at that moment, whatever became of it.

import { describeState, type JsonValue } from "../../scim/state/describe.ts";
import { type Difference, diffStates } from "../../scim/state/diff.ts";
import { lastState, type PlacedWrite, type Step } from "../../scim/state/replay.ts";
import { neverSeen, type ResourceState } from "../../scim/state/resourceState.ts";
import type { Happening } from "./history.ts";

/** Where in time: after the entry of this seq, or at this time (epoch milliseconds). */
export type Moment = { readonly seq: number } | { readonly timeMs: number };

/** A write to the account in question, with the transaction that it is a part of. */
export interface AccountWrite extends PlacedWrite {
  readonly happening: Happening;
}

/** One transaction of the history. */
export interface TimelineChange {
  seq: number;
  closedSeq: number | null;
  txn: string;
  time: string;
  connector: string;
  client: string;
  action: string;
  effects: string[];
  outcome: string;
  status: number | null;
  /** Whether the target did it, as far as its answer tells. */
  verdict: "applied" | "refused" | "unknown";
  diff: Difference[];
}

/** What the ledger says of an account at a moment. */
export interface StateAt {
  exists: ResourceState["exists"];
  state: { [name: string]: JsonValue } | null;
  unknown: readonly string[];
  uncertain: readonly string[];
  redacted: readonly string[];
}

/** The writes of these transactions to one resource. */
export function writesTo(
  happenings: readonly Happening[],
  type: string,
  isId: (id: string) => boolean,
): AccountWrite[] {
  return happenings.flatMap((happening) =>
    happening
      .changes()
      .filter(({ resourceType, resourceId }) => resourceType === type && isId(resourceId))
      .map(({ write }) => ({ happening, opened: happening.seq, closed: happening.closedSeq, write })),
  );
}

/** The writes as they were known at a moment; undefined: all that is known now. */
export function writesUntil(writes: readonly AccountWrite[], moment: Moment | undefined): AccountWrite[] {
  if (moment === undefined) return [...writes];
  const isBy = (seq: number | undefined, time: string | undefined) =>
    "seq" in moment
      ? seq !== undefined && seq <= moment.seq
      : time !== undefined && Date.parse(time) <= moment.timeMs;
  return writes.flatMap((placed): AccountWrite[] => {
    const { seq, time, closedSeq, closedTime } = placed.happening;
    if (!isBy(seq, time)) return [];
    if (isBy(closedSeq, closedTime)) return [placed];
    return [{ ...placed, closed: undefined, write: { ...placed.write, verdict: "unknown" } }];
  });
}

/** The state that some writes lead to. */
export function stateAfter(steps: readonly Step<AccountWrite>[]): StateAt {
  const state = steps.length === 0 ? neverSeen : lastState(steps);
  return { exists: state.exists, ...describeState(state) };
}

/** Every transaction with what it changed, in the order of the ledger. */
export function timelineOf(
  happenings: readonly Happening[],
  steps: readonly Step<AccountWrite>[],
): TimelineChange[] {
  const bySeq = Map.groupBy(steps, ({ placed }) => placed.opened);
  return happenings.map((happening) => {
    const own = bySeq.get(happening.seq) ?? [];
    const first = own[0];
    const last = own.at(-1);
    const isUnknown = own.some(({ placed }) => placed.write.verdict === "unknown");
    return {
      seq: happening.seq,
      closedSeq: happening.closedSeq ?? null,
      txn: happening.txn,
      time: happening.time,
      connector: happening.connector,
      client: happening.client,
      action: happening.action,
      effects: [...happening.effects],
      outcome: happening.outcome,
      status: happening.status ?? null,
      verdict: first === undefined ? "refused" : isUnknown ? "unknown" : "applied",
      diff: first && last ? differences(first, last, isUnknown) : [],
    };
  });
}

/** Of a write of unknown fate: what it asked for, of which nobody knows whether it came to be. */
function differences(first: Step<AccountWrite>, last: Step<AccountWrite>, isUnknown: boolean): Difference[] {
  const asked = diffStates(first.before, isUnknown ? last.asked : last.after);
  return isUnknown ? asked.map((difference) => ({ ...difference, newKnown: false })) : asked;
}
