// An account's history from its transactions: each change with what it made of each attribute, and the state at a moment.
// A moment is a place in the ledger or a time: a write whose outcome was not yet recorded then may or may not have been
// done then, and what it touches is uncertain at that moment, whatever became of it.
// Long histories are worked on a few hundred transactions at a time: the same thread passes writes on, and these go first.

import { setImmediate as pause } from "node:timers/promises";
import { describeState, type JsonValue } from "../../scim/state/describe.ts";
import { type Difference, diffStates } from "../../scim/state/diff.ts";
import { type Presence, Presences } from "../../scim/state/membership.ts";
import { anyResource, verdictOf } from "../../scim/state/recordedWrite.ts";
import { type PlacedWrite, replay, type Step } from "../../scim/state/replay.ts";
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

/** Transactions, or milliseconds, after which others get their turn: a long body costs some. */
const AT_ONCE = 100;
const AT_ONCE_MS = 10;

class Turns {
  #done = 0;
  #since = performance.now();

  /** To be called after each piece of work. */
  async next(): Promise<void> {
    if (++this.#done < AT_ONCE && performance.now() - this.#since < AT_ONCE_MS) return;
    await pause();
    this.#done = 0;
    this.#since = performance.now();
  }
}

/** The writes of these transactions to one resource. */
export async function writesTo(
  happenings: readonly Happening[],
  type: string,
  isId: (id: string) => boolean,
): Promise<AccountWrite[]> {
  const writes: AccountWrite[] = [];
  const turns = new Turns();
  for (const happening of happenings) {
    for (const { resourceType, resourceId, write } of happening.changes())
      if (resourceType === anyResource || (resourceType === type && isId(resourceId)))
        writes.push({ happening, opened: happening.seq, closed: happening.closedSeq, write });
    await turns.next();
  }
  return writes;
}

/** As `replay`; others get their turn between the steps. */
export async function* replayByTurns<W extends PlacedWrite>(
  writes: readonly W[],
): AsyncGenerator<Step<W>, void, undefined> {
  const turns = new Turns();
  for (const step of replay(writes)) {
    yield step;
    await turns.next();
  }
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
export async function stateAfter(writes: readonly AccountWrite[]): Promise<StateAt> {
  let state = neverSeen;
  for await (const { after } of replayByTurns(writes)) state = after;
  return describeAt(state);
}

/** A state as answers show it. */
export function describeAt(state: ResourceState): StateAt {
  return { exists: state.exists, ...describeState(state) };
}

/** The stretches of time in which somebody was in a group, from all of its writes, and its state in the end. */
export async function presencesAfter(
  writes: readonly AccountWrite[],
  only?: string,
): Promise<{ presences: Presence<AccountWrite>[]; last: ResourceState }> {
  const presences = new Presences<AccountWrite>(only);
  let last = neverSeen;
  for await (const step of replayByTurns(writes)) {
    presences.take(step);
    last = step.after;
  }
  return { presences: presences.found, last };
}

/** What a transaction made of the account. */
interface Made {
  verdict: TimelineChange["verdict"];
  diff: Difference[];
}

/** These transactions with what each changed, in the order of the ledger, and the state after all of the writes. */
export async function timelineOf(
  happenings: readonly Happening[],
  writes: readonly AccountWrite[],
): Promise<{ changes: TimelineChange[]; last: StateAt }> {
  const made = new Map<number, Made | undefined>(happenings.map(({ seq }) => [seq, undefined]));
  let own: Span | undefined;
  const finish = () => {
    if (own !== undefined && made.has(own.opened)) made.set(own.opened, madeBy(own));
  };
  // Of the states only those at hand are kept: of a group of thousands each is large.
  let last = neverSeen;
  for await (const { placed, before, after, asked } of replayByTurns(writes)) {
    const isUnknown = placed.write.verdict === "unknown";
    if (own?.opened !== placed.opened) {
      finish();
      own = { opened: placed.opened, before, after, asked, isUnknown };
    } else own = { ...own, after, asked, isUnknown: own.isUnknown || isUnknown };
    last = after;
  }
  finish();
  const changes = happenings.map((happening) => ({
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
    ...(made.get(happening.seq) ?? { verdict: verdictWithout(happening), diff: [] }),
  }));
  return { changes, last: describeAt(last) };
}

/** All that the writes of one transaction did, which are steps one after the other. */
interface Span {
  opened: number;
  before: ResourceState;
  after: ResourceState;
  asked: ResourceState;
  isUnknown: boolean;
}

function madeBy({ before, after, asked, isUnknown }: Span): Made {
  const differences = diffStates(before, asked);
  // Of a write of unknown fate: what it asked for, of which nobody knows whether it came to be.
  if (isUnknown) {
    return { verdict: "unknown", diff: differences.map((one) => ({ ...one, newKnown: false })) };
  }
  // Others at the same time may have undone it.
  const doubted = new Set(asked === after ? [] : diffStates(asked, after).map(({ path }) => path));
  return {
    verdict: "applied",
    diff: differences.map((one) => (doubted.has(one.path) ? { ...one, newKnown: false } : one)),
  };
}

/** Of a transaction without any write to the account: of a Bulk those to others may have been done all the same. */
function verdictWithout({ action, outcome, status }: Happening): TimelineChange["verdict"] {
  return action === "bulk" ? "refused" : verdictOf(outcome, status);
}
