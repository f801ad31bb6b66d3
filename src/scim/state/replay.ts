// A resource's history from its writes, step by step. Writes that were under way at the same time may have reached the
// target in either order: the orders that fit the target's own answers (and their dates) best are taken, and what they
// disagree on is uncertain. A write that is still under way may take place at any time from now on: what it asks for
// stays uncertain whatever comes after it.
// Promises: total; cost linear in the writes, for writes one after the other; nothing is kept of a step that was handed on,
// so that who takes the steps decides what stays in memory, and when others get their turn.
// Leaves out: orders among more than four transactions at once but the plain ones; such a crowd leaves less certain, not
// more. Of more than some dozens still under way: which part they would change; all of it may be changed then.
import { memberOf, stringMember } from "../json.ts";
import { putInDoubt } from "./change.ts";
import { diffStates } from "./diff.ts";
import { joinComplex } from "./knowledge.ts";
import { afterWrite, askedFor, neverSeen, type ResourceState, type ResourceWrite } from "./resourceState.ts";

/** A write with its place in the ledger. */
export interface PlacedWrite {
  /** seq of the request; the operations of one Bulk share it, and their order is known. */
  readonly opened: number;
  /** seq of the outcome; undefined: it may still be under way. */
  readonly closed: number | undefined;
  readonly write: ResourceWrite;
}

export interface Step<W extends PlacedWrite> {
  readonly placed: W;
  /** What the step before left. */
  readonly before: ResourceState;
  readonly after: ResourceState;
  /** What the write asks for, whether or not it took place, and whatever others at the same time make uncertain. */
  readonly asked: ResourceState;
}

/** The writes of one request, in their order. */
interface Transaction<W extends PlacedWrite> {
  readonly opened: number;
  /** Infinity while it is under way. */
  readonly closed: number;
  readonly writes: readonly W[];
}

/** Most transactions at once whose orders are all looked at. */
const maxOrdered = 4;
/** Most writes under way whose effects are told apart. */
const maxPending = 32;

/** The steps, one at a time, in the order in which their outcomes were recorded. */
export function* replay<W extends PlacedWrite>(
  writes: readonly W[],
  from = neverSeen,
): Generator<Step<W>, void, undefined> {
  let state = from;
  const pending: ResourceWrite[] = [];
  for (const crowd of crowdsOf(writes)) {
    const runs = crowd.length === 1 ? [] : ordersOf(crowd).map((order) => new Run(order, state));
    let held: Step<W> | undefined;
    for (const placed of crowd.flatMap(({ writes }) => writes)) {
      if (held !== undefined) yield held;
      for (const run of runs) run.advance();
      const after = afterWrite(state, placed.write);
      const asked = placed.write.verdict === "applied" ? after : askedFor(state, placed.write);
      held = { placed, before: state, after, asked };
      state = after;
    }
    state = withPending(settle(runs, state), pending);
    if (held !== undefined) yield { ...held, after: state };
    for (const { closed, writes } of crowd) {
      if (closed === Number.POSITIVE_INFINITY) pending.push(...writes.map(({ write }) => write));
    }
  }
}

/** The state after all steps. */
export function lastState<W extends PlacedWrite>(steps: Iterable<Step<W>>): ResourceState {
  let last = neverSeen;
  for (const { after } of steps) last = after;
  return last;
}

/**
 * Transactions one after the other stand alone; those of which each was under way with some other stand together, by
 * their ends. Those still under way come alone, when whatever was recorded as done before them has its place.
 */
function crowdsOf<W extends PlacedWrite>(writes: readonly W[]): Transaction<W>[][] {
  const crowds: Transaction<W>[][] = [];
  let crowd: Transaction<W>[] = [];
  let open: Transaction<W>[] = [];
  let until = Number.NEGATIVE_INFINITY;
  const finish = () => {
    if (crowd.length > 0) crowds.push(crowd.sort((a, b) => a.closed - b.closed));
    crowds.push(...open.map((transaction) => [transaction]));
    crowd = [];
    open = [];
  };
  for (const transaction of transactionsOf(writes)) {
    if (transaction.opened > until) finish();
    if (transaction.closed === Number.POSITIVE_INFINITY) open.push(transaction);
    else {
      crowd.push(transaction);
      until = Math.max(until, transaction.closed);
    }
  }
  finish();
  return crowds;
}

function transactionsOf<W extends PlacedWrite>(writes: readonly W[]): Transaction<W>[] {
  const byStart = Map.groupBy(writes, ({ opened }) => opened);
  return [...byStart]
    .map(([opened, own]) => ({ opened, closed: own[0]?.closed ?? Number.POSITIVE_INFINITY, writes: own }))
    .sort((a, b) => a.opened - b.opened);
}

/** One order in which the transactions of a crowd may have taken place. */
class Run<W extends PlacedWrite> {
  state: ResourceState;
  /** How much the target's answers differ from what this order expects. */
  misfits = 0;
  readonly #writes: Iterator<W>;

  constructor(order: readonly Transaction<W>[], state: ResourceState) {
    this.state = state;
    this.#writes = order.flatMap(({ writes }) => writes).values();
  }

  advance(): void {
    const { value } = this.#writes.next() as IteratorResult<W, undefined>;
    if (value === undefined) return;
    const { write } = value;
    const after = afterWrite(this.state, write);
    // An answer shows what was there before it: the more it differs from what this order expects, the less it fits.
    if (write.verdict === "applied" && write.answer !== undefined) {
      const { answer: _, ...blind } = write;
      this.misfits += diffStates(afterWrite(this.state, blind), after).length;
    }
    this.state = after;
  }
}

/** What can be said when the writes of a crowd took place in some order that nobody saw. */
function settle<W extends PlacedWrite>(runs: readonly Run<W>[], plain: ResourceState): ResourceState {
  const best = Math.min(...runs.map(({ misfits }) => misfits));
  const fitting = runs.filter(({ misfits }) => misfits === best).map(({ state }) => state);
  return fitting.reduce(joinStates, fitting[0] ?? plain);
}

/** What can be said while some writes may still take place: they were not done before, or else are done now. */
function withPending(state: ResourceState, pending: readonly ResourceWrite[]): ResourceState {
  if (pending.length > maxPending) return { exists: "unknown", attributes: putInDoubt(state.attributes) };
  return pending.reduce(
    (known, write) => (write.verdict === "unknown" ? afterWrite(known, write) : known),
    state,
  );
}

function joinStates(a: ResourceState, b: ResourceState): ResourceState {
  if (a === b) return a;
  return {
    exists: a.exists === b.exists ? a.exists : "unknown",
    attributes: joinComplex(a.attributes, b.attributes),
  };
}

/** Every order in which no transaction comes after one that began when it was closed. */
function ordersOf<W extends PlacedWrite>(crowd: readonly Transaction<W>[]): Transaction<W>[][] {
  if (crowd.length > maxOrdered) {
    const dates = new Map(crowd.map((transaction) => [transaction, datesOf(transaction)]));
    const isDated = [...dates.values()].every((range) => range !== undefined);
    const dateOf = (transaction: Transaction<W>) => dates.get(transaction)?.first ?? 0;
    const byDate = (order: Transaction<W>[]) =>
      isDated ? order.sort((a, b) => dateOf(a) - dateOf(b)) : order;
    return [[...crowd], [...crowd].sort((a, b) => a.opened - b.opened), [...crowd].reverse()].map(byDate);
  }
  if (crowd.length <= 1) return [[...crowd]];
  return crowd.flatMap((first, index) => {
    const rest = crowd.filter((_, other) => other !== index);
    const began = datesOf(first)?.first ?? Number.NaN;
    const wasLate = rest.some(
      (other) => other.closed < first.opened || (datesOf(other)?.last ?? Number.NaN) < began,
    );
    return wasLate ? [] : ordersOf(rest).map((order) => [first, ...order]);
  });
}

/** When the target did it, by its own clock (RFC 7643 §3.1 `meta.lastModified`); undefined if its answers do not say. */
function datesOf<W extends PlacedWrite>({
  writes,
}: Transaction<W>): { first: number; last: number } | undefined {
  const dates = writes.map(({ write }) => modifiedAt(write)).filter((date) => date !== undefined);
  if (dates.length === 0) return undefined;
  const sorted = dates.sort((a, b) => a - b);
  return { first: sorted[0] ?? Number.NaN, last: sorted.at(-1) ?? Number.NaN };
}

function modifiedAt({ verdict, answer }: ResourceWrite): number | undefined {
  const text = verdict === "applied" ? stringMember(memberOf(answer, "meta"), "lastmodified") : undefined;
  const time = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}
