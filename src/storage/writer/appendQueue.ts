// The appends of one writer from their arrival to their certain end. Each waits with a deadline of its own; it is
// resolved only by a proved commit, and refused when its deadline passes, wherever it is. A refusal is not the end:
// what was refused but turns out committed gets closed as `not_sent`, and an outcome that could not be recorded as
// `unknown`. Such closures stand in the same queue, wait for nobody, and are tried until they are in.

import type { EntryBody } from "../../ledger/entry.ts";
import { AppendError } from "./appendError.ts";
import type { SignedEntry } from "./batch.ts";
import { type Draft, markRecorded, type Recorded } from "./recorded.ts";

const MAX_BATCH_BYTES = 8 * 1024 * 1024;
const MAX_QUEUE = 10_000;

/** One append. */
export interface Append {
  readonly draft: Draft;
  readonly deadlineAt: number;
  /** On the writer's own account: nobody waits for it. */
  readonly isOwn: boolean;
  /** Still waited for. A refused append is no longer, but what became of its entry still matters. */
  isWaiting: boolean;
  resolve(recorded: Recorded<Draft>): void;
  reject(error: AppendError): void;
}

/** An append and the entry it was signed as. */
export interface SignedAppend {
  append: Append;
  entry: SignedEntry;
}

export class AppendQueue {
  #waiting: Append[] = [];
  readonly #inFlight = new Set<Append>();
  /** Transactions of this instance without an outcome: txn → seq of the request. */
  readonly #open = new Map<string, number>();
  readonly #onArrival: () => void;

  /** `onArrival` is called whenever there is something to take. */
  constructor(onArrival: () => void) {
    this.#onArrival = onArrival;
  }

  get size(): number {
    return this.#waiting.length;
  }

  get isFull(): boolean {
    return this.#waiting.length >= MAX_QUEUE;
  }

  get openTransactions(): number {
    return this.#open.size;
  }

  /** The lowest seq of an open request, or `otherwise`: below it everything of this instance is closed. */
  closedBelow(otherwise: number): number {
    return Math.min(otherwise, ...this.#open.values());
  }

  /** A recovery closed everything of this instance. */
  forgetOpen(): void {
    this.#open.clear();
  }

  /** Adds an append that is waited for until its deadline (monotonic milliseconds). */
  add<D extends Draft>(draft: D, deadlineAt: number): Promise<Recorded<D>> {
    return new Promise<Recorded<D>>((resolve, reject) => {
      this.#waiting.push({
        draft,
        deadlineAt,
        isOwn: false,
        isWaiting: true,
        // The queue hands back the very draft it was given.
        resolve: resolve as (recorded: Recorded<Draft>) => void,
        reject,
      });
      this.#onArrival();
    });
  }

  /** Adds an entry on the writer's own account. */
  addOwn(body: EntryBody, place: "first" | "last" = "last"): void {
    const nobody = () => {};
    const append: Append = {
      draft: { body, attachments: [] },
      deadlineAt: Number.POSITIVE_INFINITY,
      isOwn: true,
      isWaiting: false,
      resolve: nobody,
      reject: nobody,
    };
    if (place === "first") this.#waiting.unshift(append);
    else this.#waiting.push(append);
    this.#onArrival();
  }

  /** Takes the next appends off the queue, for signing; they count as in flight until they are settled or put back. */
  take(maxEntries: number): readonly Append[] {
    let bytes = 0;
    let count = 0;
    for (const { draft } of this.#waiting) {
      for (const attachment of draft.attachments) bytes += attachment.bytes.length;
      if (count >= maxEntries || (count > 0 && bytes > MAX_BATCH_BYTES)) break;
      count++;
    }
    const taken = this.#waiting.splice(0, count);
    for (const append of taken) this.#inFlight.add(append);
    return taken;
  }

  /** What was taken goes back to the front, in its order: it was not sent. */
  putBack(appends: readonly Append[]): void {
    for (const append of appends) this.#inFlight.delete(append);
    this.#waiting.unshift(...appends);
  }

  /** Refuses what waited past its deadline. An entry in flight is refused too; it is settled when its fate is known. */
  sweep(now: number, error: () => AppendError): void {
    for (const append of this.#inFlight) if (append.deadlineAt <= now) refuse(append, lateError());
    if (!this.#waiting.some((append) => append.deadlineAt <= now)) return;
    const late = this.#waiting.filter((append) => append.deadlineAt <= now);
    this.#waiting = this.#waiting.filter((append) => append.deadlineAt > now);
    for (const append of late) this.settleAbsent(append, error());
  }

  /** Gives up those whose waiters are gone; returns the others. */
  dropUnwanted(appends: readonly Append[]): Append[] {
    return appends.filter((append) => {
      const isWanted = append.isWaiting || append.isOwn;
      if (!isWanted) this.settleAbsent(append, lateError());
      return isWanted;
    });
  }

  /** The entry is in the ledger, provably. */
  settleCommitted({ append, entry }: SignedAppend): void {
    this.#inFlight.delete(append);
    const { body } = append.draft;
    if (body.type === "request") this.#open.set(body.txn, entry.seq);
    if (body.type === "response") this.#open.delete(body.txn);
    if (append.isWaiting) {
      append.isWaiting = false;
      append.resolve(markRecorded(append.draft, entry.seq, entry.id));
    } else if (body.type === "request") {
      // The client was told 503, so nothing was forwarded; the ledger must say so.
      this.#close(body.txn, body.connector, entry.seq, "not_sent", "append_unproved");
    }
  }

  /** The entry is not in the ledger and never will be. */
  settleAbsent(append: Append, error: AppendError): void {
    this.#inFlight.delete(append);
    refuse(append, error);
    if (append.isOwn) this.#waiting.push(append);
    else this.closeUnrecorded(append.draft);
  }

  /** Whether the entry is in the ledger will be known later; it is not waited for any longer. */
  doubt(append: Append, error: AppendError): void {
    this.#inFlight.delete(append);
    refuse(append, error);
  }

  /** A recovery was first: this outcome can never be recorded. */
  settleAlreadyClosed(append: Append, txn: string): void {
    this.#inFlight.delete(append);
    this.#open.delete(txn);
    refuse(append, new AppendError("already_closed", "a recovery closed this transaction first", "no"));
  }

  /** An outcome that could not be recorded leaves its transaction open; it is closed as unknown, never as more. */
  closeUnrecorded({ body }: Draft): void {
    if (body.type !== "response") return;
    this.#close(body.txn, body.connector, body.requestSeq, "unknown", "outcome_not_recorded");
  }

  /** The end of the process: refuses everything; what is open is left to a recovery. */
  abandon(error: AppendError): void {
    for (const append of this.#waiting) refuse(append, error);
    this.#waiting = [];
  }

  #close(
    txn: string,
    connector: string,
    requestSeq: number,
    outcome: "not_sent" | "unknown",
    reason: string,
  ): void {
    this.addOwn({ type: "response", txn, connector, requestSeq, outcome, reason });
  }
}

/** Refuses an append that is still waited for; what becomes of its entry is another matter. */
function refuse(append: Append, error: AppendError): void {
  if (!append.isWaiting) return;
  append.isWaiting = false;
  append.reject(error);
}

/** It took too long; the entry may or may not be in the ledger. */
function lateError(): AppendError {
  return new AppendError("database_slow", "the database did not take the entry in time", "unknown");
}
