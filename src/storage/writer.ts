// The writer of one ledger: group commit with proof. Everything that waits is linked, signed and inserted in one
// statement; a promise resolves only after that commit is proved: no error up to ReadyForQuery, the session idle
// again (not in somebody's transaction), and no WARNING (a cancelled wait for a synchronous standby answers success).
// One batch is in flight at a time, so that each knows the head it stands on.
//
// An append that fails is never forgotten. What was refused but turns out committed is closed as `not_sent`; an
// outcome that could not be recorded is closed as `unknown`; both by this instance as soon as the database answers
// again. If the process dies first, another instance's recovery does it: the intent is in the ledger.

import type { Client, DatabaseError } from "pg";
import type { EntryBody } from "../ledger/entry.ts";
import type { PublicKey } from "../ledger/key.ts";
import type { VerifySignature } from "../ledger/leaf.ts";
import { AppendError } from "./appendError.ts";
import {
  type BatchContext,
  EntryTooLargeError,
  type Head,
  headOf,
  insertBatch,
  type SignedEntry,
  signEntry,
} from "./batch.ts";
import { ClockWatch } from "./clockWatch.ts";
import {
  checkDurability,
  connect,
  type DatabaseAddress,
  DeadlineError,
  DurabilityError,
  destroy,
  endWithin,
  provesNoEffect,
  queryWithin,
} from "./postgres.ts";
import { type Draft, markRecorded, type Recorded } from "./recorded.ts";
import { checkSchema, PARTITION_ENTRIES, SchemaError, schemaOf } from "./schema.ts";
import {
  EMPTY_HEAD,
  findClosed,
  findCommitted,
  joinInstances,
  LedgerUnreadableError,
  readCurrentKey,
  readHead,
  type SessionScope,
} from "./session.ts";

const MAX_BATCH_ENTRIES = 256;
const MAX_BATCH_BYTES = 8 * 1024 * 1024;
const MAX_QUEUE = 10_000;
const PROBE_EVERY_MS = 500;
const PROBE_TIMEOUT_MS = 1_000;
const SWEEP_EVERY_MS = 50;
const MARK_EVERY_MS = 30_000;
/** How often one batch is tried again when another instance won the race for the head, or on a deadlock. */
const MAX_TRIES = 50;

export interface WriterLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** What the writer tells the metrics. */
export interface WriterObserver {
  batchCommitted(entries: number, durationMs: number): void;
}

export interface WriterOptions extends Omit<BatchContext, "instance"> {
  ledger: string;
  database: DatabaseAddress;
  appendDeadlineMs: number;
  /** Keys trusted from the start; the chain of key-rotated entries leads from them to the signer's. */
  pinned: readonly PublicKey[];
  verify: VerifySignature;
  /** Reads the signing key again, after a rotation: one of the expected keys, if it is to be had. */
  reloadSigner(expected: readonly PublicKey[]): Promise<BatchContext["signer"]>;
  log: WriterLog;
  observer: WriterObserver;
}

export type WriterStatus = { ready: true } | { ready: false; code: AppendError["code"]; detail: string };

interface Item {
  draft: Draft;
  deadlineAt: number;
  /** Closes a transaction on the writer's own account; nobody waits for it and it is tried until it is in. */
  closure: boolean;
  /** Still waited for. A refused item is no longer, but what became of its entry still matters. */
  waiting: boolean;
  resolve(recorded: Recorded<Draft>): void;
  reject(error: AppendError): void;
}

interface Session extends SessionScope {
  client: Client;
  /** A WARNING arrived: whatever was committed is visible but perhaps not replicated. */
  warned: boolean;
  ended: boolean;
}

export class LedgerWriter {
  readonly #options: WriterOptions;
  readonly #schema: string;
  #signer: BatchContext["signer"];
  #instance: string;
  #queue: Item[] = [];
  #inFlight: readonly Item[] = [];
  #doubtful: { item: Item; entry: SignedEntry }[] = [];
  /** The last insert failed: only a proved commit shows that writing is possible again. */
  #mustProve = false;
  #open = new Map<string, number>();
  #head: Head = EMPTY_HEAD;
  #trusted: readonly PublicKey[];
  #keysReadTo = -1;
  #partitionsTo = -1;
  #clock: ClockWatch;
  #status: WriterStatus = { ready: false, code: "database_unreachable", detail: "not started" };
  #downSince = 0;
  #lastProbe = 0;
  #lastMark = { at: 0, closedBelow: 0 };
  #stopping = false;
  #wake: () => void = () => {};
  #sweeper: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#schema = schemaOf(options.ledger);
    this.#signer = options.signer;
    this.#instance = options.uuid();
    this.#trusted = options.pinned;
    this.#clock = new ClockWatch(options.now, () => performance.now());
  }

  get status(): WriterStatus {
    return this.#status;
  }

  /** This process in the ledger. It changes only if a recovery had to close its transactions while it was cut off. */
  get instance(): string {
    return this.#instance;
  }

  /** The key that signs the next entry. */
  get kid(): string {
    return this.#signer.kid;
  }

  get openTransactions(): number {
    return this.#open.size;
  }

  /** Number of entries, as far as this writer knows. */
  get size(): number {
    return this.#head.seq + 1;
  }

  /** Takes up writing. Throws, and writes nothing, if the database is away, weak, or holds what cannot be continued. */
  async start(): Promise<void> {
    const session = await this.#openSession();
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_EVERY_MS);
    this.#running = this.#run(session);
  }

  /** Appends one entry. Resolves only after its commit is proved; rejects with AppendError within the deadline. */
  append<D extends Draft>(draft: D): Promise<Recorded<D>> {
    if (this.#stopping) return Promise.reject(new AppendError("stopped", "the ledger is closing", "no"));
    const refused = this.#refusal();
    if (refused) {
      this.#closeIfOutcome(draft);
      return Promise.reject(refused);
    }
    return new Promise<Recorded<D>>((resolve, reject) => {
      this.#queue.push({
        draft,
        deadlineAt: performance.now() + this.#options.appendDeadlineMs,
        closure: false,
        waiting: true,
        // The writer hands back the very draft it was given.
        resolve: resolve as (recorded: Recorded<Draft>) => void,
        reject,
      });
      this.#wake();
    });
  }

  /** Drains what waits, marks this instance as ended if nothing of it is open, and closes the session. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#wake();
    await this.#running;
    clearInterval(this.#sweeper);
  }

  #refusal(): AppendError | undefined {
    if (this.#queue.length >= MAX_QUEUE) {
      return new AppendError("overloaded", "too many entries wait for the database", "no");
    }
    if (this.#status.ready) return undefined;
    // A short absence (a restart by the supervisor) is waited out; in a long one nobody should wait for the deadline.
    const away = performance.now() - this.#downSince;
    if (away < this.#options.appendDeadlineMs && isAbsence(this.#status.code)) return undefined;
    return new AppendError(this.#status.code, this.#status.detail, "no");
  }

  async #run(first: Session): Promise<void> {
    let session: Session | undefined = first;
    let backoffMs = 0;
    for (;;) {
      try {
        session ??= await this.#openSession();
        backoffMs = 0;
        await this.#serve(session);
        await this.#close(session);
        return;
      } catch (cause) {
        if (session) destroy(session.client);
        session = undefined;
        this.#goDown(cause);
        if (this.#stopping) return this.#giveUp();
        await this.#pause(backoffMs);
        backoffMs = Math.min(Math.max(backoffMs * 2, 50), 500);
      }
    }
  }

  async #openSession(): Promise<Session> {
    const { database, ledger, origin, appendDeadlineMs: timeoutMs } = this.#options;
    const client = await connect(database, `scimseal ${ledger}`, timeoutMs);
    const session: Session = { client, schema: this.#schema, timeoutMs, warned: false, ended: false };
    try {
      client.on("notice", (notice) => {
        if (notice.code !== "00000") session.warned = true;
      });
      client.on("end", () => {
        session.ended = true;
        this.#wake();
      });
      await queryWithin(client, { text: `SET statement_timeout = ${Math.round(timeoutMs)}` }, timeoutMs);
      await checkDurability(client, database, timeoutMs);
      await checkSchema(client, ledger, origin, timeoutMs);
      await this.#readPlace(session);
      if (this.#mustProve) await this.#proveAgain(session);
    } catch (cause) {
      destroy(client);
      throw cause;
    }
    this.#lastProbe = performance.now();
    if (!this.#status.ready) this.#options.log.info({ ledger, size: this.size }, "ledger ready");
    this.#status = { ready: true };
    return session;
  }

  async #readPlace(session: Session): Promise<void> {
    await this.#reloadHead(session);
    while (!(await joinInstances(session, this.#instance, this.#head.seq + 1))) {
      // A recovery took us for dead and closed what we had open. Our late outcomes will be refused by the table;
      // whatever comes now belongs to a new instance, or nobody would recover it after our next crash.
      this.#instance = this.#options.uuid();
      this.#open.clear();
    }
    if (this.#head.seq < 0) {
      await this.#appendOwn(session, {
        type: "event",
        event: { name: "ledger-opened", kid: this.#signer.kid },
      });
    }
  }

  /** Reads the head, follows key rotations of other processes, and sees to the partitions. */
  async #reloadHead(session: Session): Promise<void> {
    const head = await readHead(session, this.#head);
    this.#trusted = await readCurrentKey(
      session,
      { afterSeq: this.#keysReadTo, trusted: this.#trusted },
      this.#options.verify,
    );
    if (!this.#trusted.some((key) => key.kid === this.#signer.kid)) {
      this.#signer = await this.#options.reloadSigner(this.#trusted);
    }
    if (!this.#trusted.some((key) => key.kid === this.#signer.kid)) {
      throw new AppendError(
        "key_superseded",
        `ledger ${this.#options.ledger} expects key ${this.#trusted.map((key) => key.kid).join(" or ")}, but the signing key file holds ${this.#signer.kid}`,
        "no",
      );
    }
    this.#keysReadTo = head.seq;
    this.#head = { seq: head.seq, leafHash: head.leafHash, timeMs: head.timeMs };
    await this.#ensurePartitions(session);
  }

  async #ensurePartitions(session: Session): Promise<void> {
    if (this.#head.seq + 1 + MAX_BATCH_ENTRIES < this.#partitionsTo) return;
    const from = Math.max(this.#head.seq, 0);
    await queryWithin(
      session.client,
      { text: `SELECT ${this.#schema}.ensure_partitions($1)`, values: [from + MAX_BATCH_ENTRIES] },
      session.timeoutMs,
    );
    // Made: the partition of `from` and the next; look again when the head enters that one.
    this.#partitionsTo = (Math.floor((from + MAX_BATCH_ENTRIES) / PARTITION_ENTRIES) + 1) * PARTITION_ENTRIES;
  }

  /**
   * After a failed insert: writes an entry of our own, since a database that answers need not be one that takes
   * entries (a full disk), and settles the batch whose commit was not proved. The old connection may still be alive on the server and commit
   * later, so looking alone proves nothing: an own entry at the next seq makes it impossible first, since the
   * doubtful batch can only ever stand where another entry now does.
   */
  async #proveAgain(session: Session): Promise<void> {
    const doubtful = this.#doubtful.length;
    const reason = doubtful > 0 ? "append_unproved" : "append_refused";
    await this.#appendOwn(session, { type: "event", event: { name: "recovery", reason, doubtful } });
    const committed = await findCommitted(
      session,
      this.#doubtful.map(({ entry }) => entry),
    );
    const error = new AppendError("database_slow", "the database did not prove the commit in time", "no");
    for (const { item, entry } of this.#doubtful) {
      if (committed.has(entry)) this.#settleCommitted(item, entry);
      else this.#settleAbsent(item, error);
    }
    this.#doubtful = [];
    this.#mustProve = false;
  }

  /** Appends an entry of the writer's own within session set-up; throws on any doubt. */
  async #appendOwn(session: Session, body: EntryBody): Promise<void> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const entry = signEntry({ body, attachments: [] }, this.#head, this.#context());
      if ((await this.#tryInsert(session, [entry])) === "committed") {
        this.#head = headOf(entry);
        return;
      }
      await this.#reloadHead(session);
    }
    throw new AppendError("overloaded", "other instances keep winning the race for the head", "no");
  }

  async #serve(session: Session): Promise<void> {
    for (;;) {
      if (session.ended)
        throw new AppendError("database_unreachable", "the database closed the connection", "no");
      this.#sweep();
      if (performance.now() - this.#lastProbe >= PROBE_EVERY_MS) await this.#probe(session);
      if (this.#queue.length > 0) await this.#commitBatch(session, this.#take());
      else if (this.#stopping) return;
      else await this.#sleep(PROBE_EVERY_MS);
    }
  }

  async #probe(session: Session): Promise<void> {
    await checkDurability(session.client, this.#options.database, PROBE_TIMEOUT_MS);
    this.#lastProbe = performance.now();
    await this.#ensurePartitions(session);
    if (this.#lastProbe - this.#lastMark.at > MARK_EVERY_MS) await this.#mark(session, false);
  }

  #take(): Item[] {
    const anomaly = this.#clock.check(this.#head.timeMs);
    if (anomaly) {
      this.#queue.unshift(
        ownItem({ body: { type: "event", event: { name: "clock-anomaly", ...anomaly } }, attachments: [] }),
      );
      this.#options.log.warn({ ledger: this.#options.ledger, ...anomaly }, "clock anomaly");
    }
    let bytes = 0;
    let count = 0;
    for (const item of this.#queue) {
      for (const attachment of item.draft.attachments) bytes += attachment.bytes.length;
      if (count >= MAX_BATCH_ENTRIES || (count > 0 && bytes > MAX_BATCH_BYTES)) break;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  async #commitBatch(session: Session, taken: Item[]): Promise<void> {
    const startedAt = performance.now();
    let items = taken;
    for (let tries = 0; items.length > 0; tries++) {
      const signed = this.#sign(items);
      if (signed.length === 0) return;
      let result: InsertResult;
      this.#inFlight = items;
      try {
        result = await this.#tryInsert(
          session,
          signed.map(({ entry }) => entry),
        );
      } catch (cause) {
        this.#fail(signed, cause);
        throw cause;
      } finally {
        this.#inFlight = [];
      }
      if (result === "committed") {
        const last = signed.at(-1);
        if (last) this.#head = headOf(last.entry);
        for (const { item, entry } of signed) this.#settleCommitted(item, entry);
        this.#options.observer.batchCommitted(signed.length, performance.now() - startedAt);
        return;
      }
      items = signed.map(({ item }) => item);
      try {
        if (tries >= MAX_TRIES) throw new AppendError("overloaded", "the head keeps moving", "no");
        if (result === "outcome_taken") items = await this.#dropClosed(session, items);
        await this.#reloadHead(session);
        items = items.filter((item) => {
          const wanted = item.waiting || item.closure;
          if (!wanted) this.#settleAbsent(item, lateError());
          return wanted;
        });
      } catch (cause) {
        // Nothing of this batch is in the ledger: the insert said so before the reload failed.
        this.#mustProve = true;
        for (const item of items) this.#settleAbsent(item, toAppendError(cause));
        throw cause;
      }
    }
  }

  #sign(items: readonly Item[]): { item: Item; entry: SignedEntry }[] {
    const context = this.#context();
    const signed: { item: Item; entry: SignedEntry }[] = [];
    let head = this.#head;
    for (const item of items) {
      try {
        const entry = signEntry(item.draft, head, context);
        signed.push({ item, entry });
        head = headOf(entry);
      } catch (cause) {
        if (!(cause instanceof EntryTooLargeError)) throw cause;
        this.#settleAbsent(item, new AppendError("entry_too_large", cause.message, "no", { cause }));
      }
    }
    return signed;
  }

  /** One insert. Throws if the fate is unknown or the database refuses; names a lost race otherwise. */
  async #tryInsert(session: Session, entries: readonly SignedEntry[]): Promise<InsertResult> {
    session.warned = false;
    let written: number;
    try {
      written = await insertBatch(
        session.client,
        this.#schema,
        this.#head,
        entries,
        this.#instance,
        session.timeoutMs,
      );
    } catch (cause) {
      if (!provesNoEffect(cause)) throw cause;
      if (cause.code === "23505") return whoseKey(cause);
      if (cause.code === "40001" || cause.code === "40P01") return "head_moved";
      throw cause;
    }
    if (written === 0) return "head_moved";
    if (session.warned) {
      throw new AppendError(
        "not_durable",
        "the database warned that the commit may not be replicated",
        "unknown",
      );
    }
    if (session.client.getTransactionStatus() !== "I" || written !== entries.length) {
      throw new AppendError("database_error", "the database did not prove the commit", "unknown");
    }
    return "committed";
  }

  #fail(signed: { item: Item; entry: SignedEntry }[], cause: unknown): void {
    this.#mustProve = true;
    const error = toAppendError(cause);
    if (error.durable === "no") {
      for (const { item } of signed) this.#settleAbsent(item, error);
      return;
    }
    this.#doubtful = signed;
    for (const { item } of signed) refuse(item, error);
  }

  async #dropClosed(session: Session, items: readonly Item[]): Promise<Item[]> {
    const outcomes = items.flatMap(({ draft: { body } }) => (body.type === "response" ? [body.txn] : []));
    const closed = await findClosed(session, outcomes);
    return items.filter((item) => {
      const { body } = item.draft;
      if (body.type !== "response" || !closed.has(body.txn)) return true;
      this.#open.delete(body.txn);
      refuse(item, new AppendError("already_closed", "a recovery closed this transaction first", "no"));
      return false;
    });
  }

  #settleCommitted(item: Item, entry: SignedEntry): void {
    const { body } = item.draft;
    if (body.type === "request") this.#open.set(body.txn, entry.seq);
    if (body.type === "response") this.#open.delete(body.txn);
    if (item.waiting) {
      item.waiting = false;
      item.resolve(markRecorded(item.draft, entry.seq, entry.id));
    } else if (body.type === "request") {
      // The client was told 503, so nothing was forwarded; the ledger must say so.
      this.#queueClosure({
        type: "response",
        txn: body.txn,
        connector: body.connector,
        requestSeq: entry.seq,
        outcome: "not_sent",
        reason: "append_unproved",
      });
    }
  }

  #settleAbsent(item: Item, error: AppendError): void {
    refuse(item, error);
    if (item.closure) this.#queue.push(item);
    else this.#closeIfOutcome(item.draft);
  }

  /** An outcome that could not be recorded leaves its transaction open; it is closed as unknown, never as more. */
  #closeIfOutcome({ body }: Draft): void {
    if (body.type !== "response") return;
    this.#queueClosure({
      type: "response",
      txn: body.txn,
      connector: body.connector,
      requestSeq: body.requestSeq,
      outcome: "unknown",
      reason: "outcome_not_recorded",
    });
  }

  #queueClosure(body: EntryBody): void {
    this.#queue.push(ownItem({ body, attachments: [] }));
    this.#wake();
  }

  /** Refuses what waited past its deadline. An entry in flight is refused too; its fate is settled when it is known. */
  #sweep(): void {
    const now = performance.now();
    for (const item of this.#inFlight) if (item.deadlineAt <= now) refuse(item, lateError());
    if (!this.#queue.some((item) => item.deadlineAt <= now)) return;
    const late = this.#queue.filter((item) => item.deadlineAt <= now);
    this.#queue = this.#queue.filter((item) => item.deadlineAt > now);
    const status = this.#status;
    const error = status.ready ? lateError() : new AppendError(status.code, status.detail, "no");
    for (const item of late) this.#settleAbsent(item, error);
  }

  #goDown(cause: unknown): void {
    const error = toAppendError(cause);
    if (this.#status.ready || this.#downSince === 0) this.#downSince = performance.now();
    const changed = this.#status.ready || this.#status.code !== error.code;
    this.#status = { ready: false, code: error.code, detail: error.message };
    if (changed) {
      this.#options.log.error(
        { ledger: this.#options.ledger, code: error.code, detail: error.message },
        "ledger not writable: writes are refused until it is",
      );
    }
  }

  async #mark(session: Session, ended: boolean): Promise<void> {
    const closedBelow = Math.min(this.#head.seq + 1, ...this.#open.values());
    this.#lastMark.at = performance.now();
    if (closedBelow === this.#lastMark.closedBelow && !ended) return;
    await queryWithin(
      session.client,
      {
        text: `INSERT INTO ${this.#schema}.instance_mark (id, closed_below, ended) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
        values: [this.#instance, closedBelow, ended],
      },
      session.timeoutMs,
    );
    this.#lastMark.closedBelow = closedBelow;
  }

  async #close(session: Session): Promise<void> {
    // Transactions of ours that are still open are left to a recovery: not ended.
    if (this.#open.size === 0) await this.#mark(session, true);
    await endWithin(session.client, session.timeoutMs);
    this.#status = { ready: false, code: "stopped", detail: "stopped" };
  }

  #giveUp(): void {
    const error = new AppendError("stopped", "stopped before the database came back", "unknown");
    for (const item of this.#queue) refuse(item, error);
    this.#queue = [];
  }

  #context(): BatchContext {
    return { ...this.#options, signer: this.#signer, instance: this.#instance };
  }

  /** Waits before the next try to connect. Only a stop cuts it short: traffic must not turn it into a storm. */
  async #pause(ms: number): Promise<void> {
    const until = performance.now() + ms;
    while (!this.#stopping) {
      const left = until - performance.now();
      if (left <= 0) return;
      await this.#sleep(left);
    }
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

type InsertResult = "committed" | "head_moved" | "outcome_taken";

/** Which race a violated primary key lost. An entry and its attachments come in one statement, so none is there before. */
function whoseKey({ table, constraint }: DatabaseError): InsertResult {
  if (table?.startsWith("attachment")) {
    throw new LedgerUnreadableError(
      `table ${table} holds rows beyond the newest entry: entries were removed; run scimseal verify, and restore the ledger`,
    );
  }
  return constraint === "outcome_pkey" ? "outcome_taken" : "head_moved";
}

function ownItem(draft: Draft): Item {
  const nobody = () => {};
  return {
    draft,
    deadlineAt: Number.POSITIVE_INFINITY,
    closure: true,
    waiting: false,
    resolve: nobody,
    reject: nobody,
  };
}

function lateError(): AppendError {
  return new AppendError("database_slow", "the database did not take the entry in time", "unknown");
}

function refuse(item: Item, error: AppendError): void {
  if (!item.waiting) return;
  item.waiting = false;
  item.reject(error);
}

function isAbsence(code: AppendError["code"]): boolean {
  return code === "database_unreachable" || code === "database_slow" || code === "database_error";
}

function toAppendError(cause: unknown): AppendError {
  if (cause instanceof AppendError) return cause;
  if (cause instanceof DeadlineError)
    return new AppendError("database_slow", cause.message, "unknown", { cause });
  if (cause instanceof DurabilityError) return new AppendError("not_durable", cause.message, "no", { cause });
  if (cause instanceof SchemaError || cause instanceof LedgerUnreadableError) {
    return new AppendError("database_error", cause.message, "no", { cause });
  }
  if (provesNoEffect(cause)) {
    return new AppendError(
      "database_error",
      `the database refused the entry (SQLSTATE ${cause.code})`,
      "no",
      { cause },
    );
  }
  const code = cause instanceof Error && "code" in cause ? ` (${String(cause.code)})` : "";
  return new AppendError("database_unreachable", `the database is not reachable${code}`, "unknown", {
    cause,
  });
}
