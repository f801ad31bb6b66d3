// The writer of one ledger: group commit with proof. Everything that waits is linked, signed and inserted in one
// statement; a promise resolves only after that commit is proved (see committer). One batch is in flight at a time, so
// that each knows the head it stands on; what comes meanwhile is the next one. When the database goes away the writer says so,
// refuses, and comes back by itself; before it takes anything up again it settles what was in doubt.

import type { PublicKey } from "../../ledger/key.ts";
import { roomInPartition } from "../schema.ts";
import { AppendError, toAppendError } from "./appendError.ts";
import { type Append, AppendQueue, type SignedAppend } from "./appendQueue.ts";
import { EntryTooLargeError, type Head, headOf, signEntry } from "./batch.ts";
import { ClockWatch } from "./clockWatch.ts";
import { Committer, type CommitterOptions, MAX_TRIES } from "./committer.ts";
import type { Draft, Recorded } from "./recorded.ts";
import { findClosed, findCommitted } from "./session.ts";

/** Entries of one batch at most. */
export const MAX_BATCH_ENTRIES = 256;
/** Turns of the event loop that a batch may wait for more, as long as each brings some. */
const MAX_GATHER_TURNS = 6;
const PROBE_EVERY_MS = 500;
const SWEEP_EVERY_MS = 50;
const MARK_EVERY_MS = 30_000;

export interface WriterLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** What the writer tells the metrics. */
export interface WriterObserver {
  /** In ascending order of seq. */
  batchCommitted(entries: readonly { seq: number; leafHash: Uint8Array }[], durationMs: number): void;
}

export interface WriterOptions extends CommitterOptions {
  /** Milliseconds of a clock that nobody sets; default: the process's own. */
  monotonic?(): number;
  log: WriterLog;
  observer: WriterObserver;
}

export type WriterStatus = { ready: true } | { ready: false; code: AppendError["code"]; detail: string };

export class LedgerWriter {
  readonly #options: WriterOptions;
  readonly #queue = new AppendQueue(() => this.#wake());
  readonly #committer: Committer;
  readonly #clock: ClockWatch;
  #doubtful: readonly SignedAppend[] = [];
  /** The last insert failed: only a proved commit shows that writing is possible again. */
  #mustProve = false;
  #status: WriterStatus = { ready: false, code: "database_unreachable", detail: "not started" };
  #downSince = 0;
  #probedAt = 0;
  #markedAt = 0;
  #stopping = false;
  #wake: () => void = () => {};
  #sweeper: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#committer = new Committer(options, MAX_BATCH_ENTRIES, () => this.#wake());
    this.#clock = new ClockWatch(options.now, options.monotonic ?? (() => performance.now()));
  }

  get status(): WriterStatus {
    return this.#status;
  }

  /** This process in the ledger. It changes only if a recovery had to close its transactions while it was cut off. */
  get instance(): string {
    return this.#committer.instance;
  }

  /** The key that signs the next entry. */
  get kid(): PublicKey["kid"] {
    return this.#committer.kid;
  }

  get openTransactions(): number {
    return this.#queue.openTransactions;
  }

  /** Number of entries, as far as this writer knows. */
  get size(): number {
    return this.#committer.head.seq + 1;
  }

  /** Takes up writing. Throws, and writes nothing, if the database is away, weak, or holds what cannot be continued. */
  async start(): Promise<void> {
    await this.#connect();
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_EVERY_MS);
    this.#running = this.#run();
  }

  /** Appends one entry. Resolves only after its commit is proved; rejects with AppendError within the deadline. */
  append<D extends Draft>(draft: D): Promise<Recorded<D>> {
    if (this.#stopping) return Promise.reject(new AppendError("stopped", "the ledger is closing", "no"));
    const refusal = this.#refusal();
    if (refusal) {
      this.#queue.closeUnrecorded(draft);
      return Promise.reject(refusal);
    }
    return this.#queue.add(draft, performance.now() + this.#options.appendDeadlineMs);
  }

  /** Drains what waits, marks this instance as ended if nothing of it is open, and closes the session. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#wake();
    await this.#running;
    clearInterval(this.#sweeper);
  }

  #refusal(): AppendError | undefined {
    if (this.#queue.isFull) {
      return new AppendError("overloaded", "too many entries wait for the database", "no");
    }
    const status = this.#status;
    if (status.ready) return undefined;
    // A short absence (a restart by the supervisor) is waited out; in a long one nobody should wait for the deadline.
    const awayMs = performance.now() - this.#downSince;
    if (awayMs < this.#options.appendDeadlineMs && isAbsence(status.code)) return undefined;
    return new AppendError(status.code, status.detail, "no");
  }

  async #run(): Promise<void> {
    let backoffMs = 0;
    for (;;) {
      try {
        if (!this.#committer.isConnected) await this.#connect();
        backoffMs = 0;
        await this.#serve();
        await this.#close();
        return;
      } catch (cause) {
        this.#committer.disconnect();
        this.#goDown(cause);
        if (this.#stopping) {
          this.#queue.abandon(new AppendError("stopped", "stopped before the database came back", "unknown"));
          return;
        }
        await this.#pause(backoffMs);
        backoffMs = Math.min(Math.max(backoffMs * 2, 50), 500);
      }
    }
  }

  async #connect(): Promise<void> {
    const isSame = await this.#committer.connect();
    // A recovery took us for dead and closed what we had open; the table will refuse our late outcomes.
    if (!isSame) this.#queue.forgetOpen();
    if (this.#mustProve) await this.#proveAgain();
    this.#probedAt = performance.now();
    if (!this.#status.ready)
      this.#options.log.info({ ledger: this.#options.ledger, size: this.size }, "ledger ready");
    this.#status = { ready: true };
  }

  /**
   * After a failed insert: writes an entry of our own, since a database that answers need not be one that takes
   * entries (a full disk), and settles the batch whose commit was not proved. The old connection may still be alive on
   * the server and commit later, so looking alone proves nothing: an own entry at the next seq makes that impossible
   * first, since the doubtful batch can only ever stand where another entry now does.
   */
  async #proveAgain(): Promise<void> {
    const doubtful = this.#doubtful.length;
    const reason = doubtful > 0 ? "append_unproved" : "append_refused";
    await this.#committer.appendOwn({ type: "event", event: { name: "recovery", reason, doubtful } });
    const entries = this.#doubtful.map(({ entry }) => entry);
    const committed = await findCommitted(this.#committer.scope, entries);
    const error = new AppendError("database_slow", "the database did not prove the commit in time", "no");
    for (const signed of this.#doubtful) {
      if (committed.has(signed.entry)) this.#queue.settleCommitted(signed);
      else this.#queue.settleAbsent(signed.append, error);
    }
    this.#doubtful = [];
    this.#mustProve = false;
  }

  async #serve(): Promise<void> {
    for (;;) {
      this.#sweep();
      this.#committer.assertConnected();
      if (performance.now() - this.#probedAt >= PROBE_EVERY_MS) await this.#probe();
      await this.#gather();
      const batch = this.#signNext(this.#committer.head, MAX_BATCH_ENTRIES);
      if (batch.length > 0) await this.#commitBatch(batch);
      else if (this.#queue.size > 0) continue;
      else if (this.#stopping) return;
      else await this.#sleep(PROBE_EVERY_MS);
    }
  }

  async #probe(): Promise<void> {
    await this.#committer.probe();
    this.#probedAt = performance.now();
    if (this.#probedAt - this.#markedAt <= MARK_EVERY_MS) return;
    this.#markedAt = this.#probedAt;
    await this.#committer.mark(this.#queue.closedBelow(this.size), false);
  }

  /**
   * Lets those join the batch who are about to: a round trip and a sync cost as much as several entries, and signing and
   * sealing cost half when they are done one after the other. Where nobody else is under way, nobody waits.
   */
  async #gather(): Promise<void> {
    if (this.#queue.size <= 1 && this.openTransactions <= 1) return;
    let known = 0;
    for (let turn = 0; turn < MAX_GATHER_TURNS && this.#queue.size > known; turn++) {
      known = this.#queue.size;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Commits one signed batch; what another instance's writing got in the way of is signed again on the new head. */
  async #commitBatch(first: readonly SignedAppend[]): Promise<void> {
    const startedAt = performance.now();
    let batch = first;
    for (let tries = 0; batch.length > 0; tries++) {
      const left = await this.#commit(batch, tries);
      if (left === true) {
        for (const each of batch) this.#queue.settleCommitted(each);
        const entries = batch.map(({ entry }) => entry);
        this.#options.observer.batchCommitted(entries, performance.now() - startedAt);
        return;
      }
      this.#queue.putBack(left);
      batch = this.#signNext(this.#committer.head, left.length);
    }
  }

  /** Takes appends off the queue and signs them as successors of `head`, within its partition. */
  #signNext(head: Head, maxEntries: number): SignedAppend[] {
    this.#watchClock(head);
    const appends = this.#queue.dropUnwanted(
      this.#queue.take(Math.min(maxEntries, roomInPartition(head.seq + 1))),
    );
    const context = this.#committer.context();
    const signed: SignedAppend[] = [];
    let at = head;
    for (const append of appends) {
      try {
        const entry = signEntry(append.draft, at, context);
        signed.push({ append, entry });
        at = headOf(entry);
      } catch (cause) {
        if (!(cause instanceof EntryTooLargeError)) throw cause;
        this.#queue.settleAbsent(append, new AppendError("entry_too_large", cause.message, "no", { cause }));
      }
    }
    return signed;
  }

  #watchClock(head: Head): void {
    const anomaly = this.#clock.check(head.timeMs);
    if (!anomaly) return;
    this.#queue.addOwn({ type: "event", event: { name: "clock-anomaly", ...anomaly } }, "first");
    this.#options.log.warn({ ledger: this.#options.ledger, ...anomaly }, "clock anomaly");
  }

  /** One try. True: proved. Otherwise what is left to try again, on a new head. Throws when the session is over. */
  async #commit(signed: readonly SignedAppend[], tries: number): Promise<true | readonly Append[]> {
    let result: Awaited<ReturnType<Committer["insert"]>>;
    try {
      result = await this.#committer.insert(signed.map(({ entry }) => entry));
    } catch (cause) {
      this.#fail(signed, cause);
      throw cause;
    }
    if (result === "committed") return true;
    let appends: readonly Append[] = signed.map(({ append }) => append);
    try {
      if (tries >= MAX_TRIES) throw new AppendError("overloaded", "the head keeps moving", "no");
      if (result === "outcome_taken") appends = await this.#dropClosed(appends);
      await this.#committer.reloadHead();
      return appends;
    } catch (cause) {
      // Nothing of this batch is in the ledger: the insert said so before the reload failed.
      this.#mustProve = true;
      for (const append of appends) this.#queue.settleAbsent(append, toAppendError(cause));
      throw cause;
    }
  }

  #fail(signed: readonly SignedAppend[], cause: unknown): void {
    this.#mustProve = true;
    const error = toAppendError(cause);
    if (error.durable === "no") {
      for (const { append } of signed) this.#queue.settleAbsent(append, error);
      return;
    }
    this.#doubtful = signed;
    for (const { append } of signed) this.#queue.doubt(append, error);
  }

  async #dropClosed(appends: readonly Append[]): Promise<Append[]> {
    const outcomes = appends.flatMap(({ draft: { body } }) => (body.type === "response" ? [body.txn] : []));
    const closed = await findClosed(this.#committer.scope, outcomes);
    return appends.filter((append) => {
      const { body } = append.draft;
      if (body.type !== "response" || !closed.has(body.txn)) return true;
      this.#queue.settleAlreadyClosed(append, body.txn);
      return false;
    });
  }

  #sweep(): void {
    const status = this.#status;
    this.#queue.sweep(performance.now(), () =>
      status.ready
        ? new AppendError("database_slow", "the database did not take the entry in time", "no")
        : new AppendError(status.code, status.detail, "no"),
    );
  }

  #goDown(cause: unknown): void {
    const error = toAppendError(cause);
    if (this.#status.ready || this.#downSince === 0) this.#downSince = performance.now();
    const isNews = this.#status.ready || this.#status.code !== error.code;
    this.#status = { ready: false, code: error.code, detail: error.message };
    if (!isNews) return;
    this.#options.log.error(
      { ledger: this.#options.ledger, code: error.code, detail: error.message },
      "ledger not writable: writes are refused until it is",
    );
  }

  async #close(): Promise<void> {
    // Transactions of ours that are still open are left to a recovery: not ended.
    if (this.#queue.openTransactions === 0) await this.#committer.mark(this.size, true);
    await this.#committer.close();
    this.#status = { ready: false, code: "stopped", detail: "stopped" };
  }

  /** Waits before the next try to connect. Only a stop cuts it short: traffic must not turn it into a storm. */
  async #pause(ms: number): Promise<void> {
    const until = performance.now() + ms;
    for (let left = ms; left > 0 && !this.#stopping; left = until - performance.now())
      await this.#sleep(left);
  }

  async #sleep(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = () => {};
  }
}

function isAbsence(code: AppendError["code"]): boolean {
  return code === "database_unreachable" || code === "database_slow" || code === "database_error";
}
