// From a page of entries to rows. A transaction's request and outcome mostly come in one page and make one row; an
// outcome that comes later is read together with its request again, from memory or from the ledger, so that the rows are
// the same wherever the pages end.

import { parseLeaf } from "../ledger/leaf.ts";
import type { StoredEntry } from "../ledger/verify.ts";
import {
  type EventRow,
  extractEvent,
  extractTransaction,
  type RecordedEntry,
  type RecordedId,
} from "../scim/extract/extract.ts";
import type { IndexedTransaction } from "../storage/index/indexBatch.ts";
import { type EntryReader, readEntry } from "../storage/reader.ts";

export interface IndexReadingOptions {
  reader: EntryReader;
  /** Which transactions have a row already. */
  stored(txns: readonly string[]): Promise<ReadonlyMap<string, { seq: number; isOpen: boolean }>>;
  recordedId: RecordedId;
  /** An entry that could not be read for a fault of this code. */
  onFault(seq: number, error: string): void;
}

export interface ReadPage {
  transactions: IndexedTransaction[];
  events: EventRow[];
  skipped: number;
}

type Claims = Exclude<ReturnType<typeof parseLeaf>, string>["claims"];
type Parsed<T extends Claims["type"]> = RecordedEntry & { claims: Extract<Claims, { type: T }> };
type Opening = Parsed<"request"> | Parsed<"refusal">;

interface Pair {
  opening: Opening;
  closing?: Parsed<"response">;
  /** The opening is in the index, from an earlier page. */
  isStored: boolean;
}

/** Requests whose outcome is awaited, kept so as not to read them twice. */
const MAX_KEPT = 4_096;
const MAX_KEPT_BYTES = 16 * 1024 * 1024;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export class IndexReading {
  readonly #options: IndexReadingOptions;
  readonly #kept = new Map<string, Opening>();
  #keptBytes = 0;
  /** What `fitting` has parsed, by leaf: the same entries are read next. */
  readonly #leaves = new Map<string, ReturnType<typeof parseLeaf>>();

  constructor(options: IndexReadingOptions) {
    this.#options = options;
  }

  /** Forgets the requests it kept: what became of the last page is not known. */
  forget(): void {
    this.#kept.clear();
    this.#keptBytes = 0;
  }

  /** How many of these entries, read without attachments, have no more bytes of them together; one at least. */
  fitting(entries: readonly StoredEntry[], bytes: number): number {
    let sum = 0;
    this.#leaves.clear();
    for (const [index, { leaf }] of entries.entries()) {
      const parsed = parseLeaf(leaf);
      this.#leaves.set(leaf, parsed);
      if (typeof parsed !== "string") for (const { size } of parsed.claims.attachments) sum += size;
      if (sum > bytes && index > 0) return index;
    }
    return entries.length;
  }

  /** The rows of the entries that follow what is stored. */
  async read(entries: readonly StoredEntry[]): Promise<ReadPage> {
    const page: ReadPage = { transactions: [], events: [], skipped: 0 };
    const openings = new Map<string, Opening>();
    const closings: Parsed<"response">[] = [];
    for (const entry of entries) {
      const parsed = parse(entry, this.#leaves.get(entry.leaf));
      if (parsed?.claims.type === "event") {
        const row = extractEvent(parsed);
        if (row) page.events.push(row);
        else page.skipped++;
      } else if (isOpening(parsed) && !openings.has(parsed.claims.txn))
        openings.set(parsed.claims.txn, parsed);
      else if (isClosing(parsed)) closings.push(parsed);
      else page.skipped++;
    }
    const txns = new Set([...openings.keys(), ...closings.map(({ claims }) => claims.txn)]);
    const stored = await this.#options.stored([...txns]);
    // A second request of one transaction is a forgery; the first stays.
    for (const txn of openings.keys()) if (stored.has(txn) && openings.delete(txn)) page.skipped++;
    const pairs = new Map<string, Pair>();
    for (const [txn, opening] of openings) pairs.set(txn, { opening, isStored: false });
    for (const closing of closings) {
      const pair = pairs.get(closing.claims.txn) ?? (await this.#straddler(closing, stored));
      if (pair && !pair.closing && closes(pair.opening, closing))
        pairs.set(closing.claims.txn, { ...pair, closing });
      else page.skipped++;
    }
    for (const [txn, { opening, closing, isStored }] of pairs) {
      const row = this.#extract(opening, closing);
      if (row) page.transactions.push({ ...row, isStored });
      else page.skipped += closing && !isStored ? 2 : 1;
      if (closing) this.#drop(txn);
      else if (opening.claims.type === "request") this.#keep(txn, opening);
    }
    return page;
  }

  /** The request of an outcome that came in a later page. */
  async #straddler(
    { claims: { txn, requestSeq } }: Parsed<"response">,
    stored: ReadonlyMap<string, { seq: number; isOpen: boolean }>,
  ): Promise<Pair | undefined> {
    const row = stored.get(txn);
    if (!row?.isOpen || row.seq !== requestSeq) return undefined;
    const kept = this.#kept.get(txn);
    if (kept) return { opening: kept, isStored: true };
    const entry = await readEntry(this.#options.reader, requestSeq, true);
    const opening = entry && parse(entry);
    return isOpening(opening) ? { opening, isStored: true } : undefined;
  }

  #extract(opening: Opening, closing: Parsed<"response"> | undefined) {
    try {
      return extractTransaction(opening, closing, this.#options.recordedId);
    } catch (cause) {
      // It promises not to throw; should it break that for one entry, the others are indexed all the same, and this
      // one by what its leaf says.
      this.#options.onFault(opening.seq, cause instanceof Error ? cause.name : "error");
      return this.#extractBare(opening, closing);
    }
  }

  #extractBare(opening: Opening, closing: Parsed<"response"> | undefined) {
    const bare = { attachments: new Map<string, Uint8Array>(), isSealed: true };
    try {
      return extractTransaction(
        { ...opening, ...bare },
        closing && { ...closing, ...bare },
        this.#options.recordedId,
      );
    } catch {
      // Told already, with what was thrown first.
      return undefined;
    }
  }

  #keep(txn: string, opening: Opening): void {
    const bytes = sizeOf(opening);
    if (this.#kept.size >= MAX_KEPT || this.#keptBytes + bytes > MAX_KEPT_BYTES) return;
    this.#kept.set(txn, opening);
    this.#keptBytes += bytes;
  }

  #drop(txn: string): void {
    const kept = this.#kept.get(txn);
    if (!kept) return;
    this.#kept.delete(txn);
    this.#keptBytes -= sizeOf(kept);
  }
}

/** The entry as far as it can be read; unverified. */
function parse(
  { seq, leaf, attachments }: StoredEntry,
  parsed = parseLeaf(leaf),
): (RecordedEntry & { claims: Claims }) | undefined {
  if (typeof parsed === "string") return undefined;
  const { claims } = parsed;
  if (claims.type !== "event" && !UUID.test(claims.txn)) return undefined;
  const opened = attachments?.filter(({ sealed }) => sealed === undefined) ?? [];
  return {
    seq,
    claims,
    attachments: new Map(opened.map(({ name, content }) => [name, content])),
    isSealed: opened.length !== (attachments?.length ?? 0),
  };
}

function isOpening(entry: (RecordedEntry & { claims: Claims }) | undefined): entry is Opening {
  return entry?.claims.type === "request" || entry?.claims.type === "refusal";
}

function isClosing(entry: (RecordedEntry & { claims: Claims }) | undefined): entry is Parsed<"response"> {
  return entry?.claims.type === "response";
}

function closes(opening: Opening, closing: Parsed<"response">): boolean {
  return opening.claims.type === "request" && closing.claims.requestSeq === opening.seq;
}

function sizeOf({ attachments }: RecordedEntry): number {
  let bytes = 1024;
  for (const content of attachments.values()) bytes += content.length;
  return bytes;
}
