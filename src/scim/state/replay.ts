// A resource's history from its writes, step by step. Writes that were under way at the same time may have reached the
// target in either order: the orders that fit the target's own answers (and their dates) best are taken, and what they disagree on is
// uncertain.
// Promises: total; cost linear in the writes, for writes one after the other.
// Leaves out: orders among more than four writes at once but the plain ones; such a crowd leaves less certain, not more.
import { memberOf, stringMember } from "../json.ts";
import { diffStates } from "./diff.ts";
import { joinComplex } from "./knowledge.ts";
import { afterWrite, askedFor, neverSeen, type ResourceState, type ResourceWrite } from "./resourceState.ts";

/** A write with its place in the ledger. */
export interface PlacedWrite {
  /** seq of the request. */
  readonly opened: number;
  /** seq of the outcome; undefined: it may still be under way. */
  readonly closed: number | undefined;
  readonly write: ResourceWrite;
}

export interface Step<W extends PlacedWrite> {
  readonly placed: W;
  readonly before: ResourceState;
  readonly after: ResourceState;
  /** What the write asks for, whether or not it took place. */
  readonly asked: ResourceState;
}

/** Most writes at once whose orders are all looked at. */
const maxOrdered = 4;

/** The steps in the order in which their outcomes were recorded. */
export function replay<W extends PlacedWrite>(writes: readonly W[], from = neverSeen): Step<W>[] {
  const steps: Step<W>[] = [];
  let state = from;
  for (const crowd of crowdsOf(writes)) {
    const before = state;
    for (const placed of crowd) {
      const after = afterWrite(state, placed.write);
      const asked = placed.write.verdict === "applied" ? after : askedFor(state, placed.write);
      steps.push({ placed, before: state, after, asked });
      state = after;
    }
    if (crowd.length === 1) continue;
    state = settleOrder(before, crowd, state);
    const last = steps.pop();
    if (last !== undefined) steps.push({ ...last, after: state });
  }
  return steps;
}

/** The state after all steps. */
export function lastState<W extends PlacedWrite>(steps: readonly Step<W>[]): ResourceState {
  return steps.at(-1)?.after ?? neverSeen;
}

/** Writes one after the other stand alone; those of which each was under way with some other stand together. */
function crowdsOf<W extends PlacedWrite>(writes: readonly W[]): W[][] {
  const byStart = [...writes].sort((a, b) => a.opened - b.opened);
  const crowds: W[][] = [];
  let until = -1;
  for (const placed of byStart) {
    const crowd = crowds.at(-1);
    // The operations of one Bulk share their place, and their order is known.
    const isSameBulk = crowd?.length === 1 && crowd[0]?.opened === placed.opened;
    if (crowd !== undefined && placed.opened < until && !isSameBulk) crowd.push(placed);
    else crowds.push([placed]);
    until = Math.max(until, placed.closed ?? placed.opened);
  }
  return crowds.map((crowd) => crowd.sort((a, b) => endOf(a) - endOf(b)));
}

function endOf({ opened, closed }: PlacedWrite): number {
  return closed ?? opened;
}

/** What can be said when the writes of a crowd took place in some order that nobody saw. */
function settleOrder<W extends PlacedWrite>(
  before: ResourceState,
  crowd: readonly W[],
  plain: ResourceState,
): ResourceState {
  let best = Number.POSITIVE_INFINITY;
  let fitting: ResourceState[] = [];
  for (const order of ordersOf(crowd)) {
    let state = before;
    let misfits = 0;
    for (const { write } of order) {
      const after = afterWrite(state, write);
      // An answer shows what was there before it: the more it differs from what this order expects, the less it fits.
      if (write.verdict === "applied" && write.answer !== undefined) {
        const { answer: _, ...blind } = write;
        misfits += diffStates(afterWrite(state, blind), after).length;
      }
      state = after;
    }
    if (misfits < best) {
      best = misfits;
      fitting = [];
    }
    if (misfits === best) fitting.push(state);
  }
  return fitting.reduce(joinStates, fitting[0] ?? plain);
}

function joinStates(a: ResourceState, b: ResourceState): ResourceState {
  if (a === b) return a;
  return {
    exists: a.exists === b.exists ? a.exists : "unknown",
    attributes: joinComplex(a.attributes, b.attributes),
  };
}

/** Every order in which no write comes after one that began when it was closed. */
function ordersOf<W extends PlacedWrite>(crowd: readonly W[]): W[][] {
  if (crowd.length > maxOrdered) {
    const isDated = crowd.every(({ write }) => modifiedAt(write) !== undefined);
    const byDate = (order: W[]) =>
      isDated ? order.sort((a, b) => (modifiedAt(a.write) ?? 0) - (modifiedAt(b.write) ?? 0)) : order;
    return [[...crowd], [...crowd].sort((a, b) => a.opened - b.opened), [...crowd].reverse()].map(byDate);
  }
  if (crowd.length <= 1) return [[...crowd]];
  return crowd.flatMap((first, index) => {
    const rest = crowd.filter((_, other) => other !== index);
    const wasLate = rest.some(
      (other) =>
        endOf(other) < first.opened ||
        isEarlierInBulk(crowd, other, first) ||
        (modifiedAt(other.write) ?? Number.NaN) < (modifiedAt(first.write) ?? Number.NaN),
    );
    return wasLate ? [] : ordersOf(rest).map((order) => [first, ...order]);
  });
}

/** When the target did it, by its own clock (RFC 7643 §3.1 `meta.lastModified`); undefined if its answer does not say. */
function modifiedAt({ verdict, answer }: ResourceWrite): number | undefined {
  const text = verdict === "applied" ? stringMember(memberOf(answer, "meta"), "lastmodified") : undefined;
  const time = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}

function isEarlierInBulk<W extends PlacedWrite>(crowd: readonly W[], a: W, b: W): boolean {
  return a.opened === b.opened && crowd.indexOf(a) < crowd.indexOf(b);
}
