// Keeps the index of one ledger: follows the entries, makes rows of them, writes them batch by batch. It never stands in
// the way of a write: it reads what is committed, on a thread of its own, at its own pace. One instance indexes a ledger;
// the others wait to take its place. It does not verify anything: what it cannot read it counts and passes by.

import { setTimeout as sleep } from "node:timers/promises";
import type { RecordedId } from "../scim/extract/extract.ts";
import type { IndexWriter } from "../storage/index/indexWriter.ts";
import { type EntryReader, readEntry } from "../storage/reader.ts";
import type { WriterLog } from "../storage/writer/writer.ts";
import { fateOfBatch, lesserPages } from "./batchFate.ts";
import { IndexReading, type ReadPage } from "./indexReading.ts";

export interface IndexerOptions {
  ledger: string;
  /** Opens attachments where it can: a sealed one gives no names. */
  reader: EntryReader;
  writer: IndexWriter;
  recordedId: RecordedId;
  /** 0 to 1: the share of the time that it may be at work, database included. */
  coreShare: number;
  log: WriterLog;
  /** How often it looks for new entries once it has all; milliseconds. */
  pollMs?: number;
  /** How soon it tries again what failed, or the place of another instance; milliseconds. */
  retryMs?: number;
}

export interface IndexerPosition {
  /** Entries below are in the index. 0 while another instance indexes. */
  next: number;
  /** Entries that could not be read, in this index. */
  skipped: number;
  /** `standby`: another instance indexes; `failing`: tried again soon, `error` says why. */
  state: "starting" | "indexing" | "caught_up" | "standby" | "failing" | "stopped";
  /** A SQLSTATE or the name of an error; nothing personal. */
  error?: string;
}

/** Before anything was indexed. */
export const NOTHING_INDEXED: IndexerPosition = { next: 0, skipped: 0, state: "starting" };

/** Of the tables, the tokens and what is taken out of entries: with another one every index is made anew. */
const INDEX_FORMAT = 4;

/** The version of an index under the key with this id. */
export function indexVersion(keyId: string): string {
  return `${INDEX_FORMAT} ${keyId}`;
}

const MAX_PAGE = 1_000;
/** Attachments of one page, unless one entry alone has more: bodies must not fill the memory. */
const PAGE_BYTES = 8 * 1024 * 1024;
const POLL_MS = 200;
const RETRY_MS = 2_000;
/** Whoever stands by asks less often: each time is a session. */
const STANDBY_RETRIES = 3;

export class Indexer {
  readonly #options: IndexerOptions;
  readonly #reading: IndexReading;
  readonly #stopping = new AbortController();
  #page = MAX_PAGE;
  #position = NOTHING_INDEXED;
  #running: Promise<void> | undefined;

  constructor(options: IndexerOptions) {
    this.#options = options;
    const { reader, writer, recordedId, ledger, log } = options;
    this.#reading = new IndexReading({
      reader,
      stored: (txns) => writer.stored(txns),
      recordedId,
      onFault: (seq, error) => log.error({ ledger, seq, error }, "an entry could not be indexed"),
    });
  }

  position(): IndexerPosition {
    return this.#position;
  }

  /** Begins; returns at once. What fails is told in `position` and tried again. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Ends after the batch under way. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.#options.writer.close();
    this.#position = { ...this.#position, state: "stopped" };
  }

  async #run(): Promise<void> {
    const { ledger, writer, log, retryMs = RETRY_MS } = this.#options;
    while (!this.#stopping.signal.aborted) {
      try {
        if (await this.#open()) await this.#follow();
        else this.#position = { next: 0, skipped: 0, state: "standby" };
      } catch (cause) {
        const error = codeOf(cause);
        if (this.#position.error !== error)
          log.warn({ ledger, error }, "the index cannot go on; it tries again");
        this.#position = { ...this.#position, state: "failing", error };
      }
      await writer.close();
      await this.#pause(this.#position.state === "standby" ? STANDBY_RETRIES * retryMs : retryMs);
    }
  }

  async #open(): Promise<boolean> {
    const { reader, writer } = this.#options;
    const isOpen = await writer.open(async (seq) => (await readEntry(reader, seq))?.leafHash);
    this.#reading.forget();
    return isOpen;
  }

  /** Until it is stopped; throws what the database says. */
  async #follow(): Promise<void> {
    const { ledger, writer, coreShare, log, pollMs = POLL_MS } = this.#options;
    const begun = writer.mark.next;
    log.info({ ledger, next: begun }, begun === 0 ? "the index is made anew" : "the index goes on");
    while (!this.#stopping.signal.aborted) {
      const startedAt = performance.now();
      const isWhole = await this.#step();
      const { next, skipped } = writer.mark;
      this.#position = { next, skipped, state: isWhole ? "caught_up" : "indexing" };
      // By the clock, not by this thread's processor time: the database works for it as well, and on a machine that is
      // busy with writes everything here takes longer, so that it rests longer.
      const restMs = (performance.now() - startedAt) * (1 / coreShare - 1);
      await this.#pause(Math.max(restMs, isWhole ? pollMs : 0));
    }
  }

  /** Indexes one page; whether that was all there is. */
  async #step(): Promise<boolean> {
    const { reader, writer } = this.#options;
    const limit = this.#page;
    const from = writer.mark.next;
    const { entries: ahead } = await reader.page(from - 1, limit, false);
    const fitting = this.#reading.fitting(ahead, PAGE_BYTES);
    const { entries } = fitting === 0 ? { entries: [] } : await reader.page(from - 1, fitting, true);
    const last = entries.at(-1);
    if (!last) return true;
    const page = await this.#reading.read(entries);
    const place = { next: last.seq + 1, head: last.leafHash ?? new Uint8Array() };
    if (!(await this.#write(page, entries.length, place))) {
      this.#page = 1;
      return false;
    }
    this.#page = Math.min(MAX_PAGE, limit * 2);
    return ahead.length < limit && entries.length === ahead.length;
  }

  /** Writes a page, of one entry as much as the tables take; false: its entries are to be tried one by one. */
  async #write(page: ReadPage, entries: number, place: { next: number; head: Uint8Array }): Promise<boolean> {
    const { writer, ledger, log } = this.#options;
    const from = writer.mark.next;
    const lesser = lesserPages(page);
    let refusal: string | undefined;
    for (let given: ReadPage | undefined = page; given !== undefined; ) {
      try {
        await writer.write({ ...given, ...place });
        break;
      } catch (cause) {
        this.#reading.forget();
        const fate = fateOfBatch(cause, entries);
        const less = lesser.shift();
        if (fate === "throw" || less === undefined) throw cause;
        const isMine = await this.#open();
        if (!isMine || writer.mark.next !== from) throw cause;
        if (fate === "smaller") return false;
        refusal ??= codeOf(cause);
        given = less;
      }
    }
    if (refusal !== undefined) {
      const message =
        lesser.length > 0 ? "an entry is indexed without its names" : "an entry could not be indexed";
      log.error({ ledger, seq: place.next - 1, error: refusal }, message);
    }
    return true;
  }

  async #pause(ms: number): Promise<void> {
    if (ms <= 0) return;
    try {
      await sleep(ms, undefined, { signal: this.#stopping.signal });
    } catch (cause) {
      // A stop ends the pause; the loop sees why.
      if (!this.#stopping.signal.aborted) throw cause;
    }
  }
}

/** What may be shown of an error: never its message, which may quote a value. */
function codeOf(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  if (typeof code === "string" && /^[\w-]{1,40}$/.test(code)) return code;
  return cause instanceof Error ? cause.name : "error";
}
