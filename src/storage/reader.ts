// Reading a ledger: pages of entries, whole verification, exports. Works as the reader's role, which can do nothing
// else. A read has its own pool, so that auditors never take the writer's session.

import type pg from "pg";
import type { Entry } from "../ledger/entry.ts";
import { equalBytes, hashLeaf } from "../ledger/hash.ts";
import { parseLeaf } from "../ledger/leaf.ts";
import { LedgerVerifier, type StoredEntry, type VerifierOptions } from "../ledger/verify.ts";
import { type AttachmentOpener, openRows } from "./attachmentSealer.ts";
import { peekBinding } from "./peekLeaf.ts";
import { type DatabaseAddress, openPool, type PoolOptions } from "./postgres.ts";
import { schemaOf } from "./schema.ts";

const PAGE_ENTRIES = 2_000;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export interface Page {
  entries: StoredEntry[];
  /** Give this as `after` for the next page; undefined at the end. */
  next: number | undefined;
}

/** Reads entries in pages. */
export type EntryReader = Pick<LedgerReader, "page">;

/** The row of exactly this seq; undefined if there is none. */
export async function readEntry(
  reader: EntryReader,
  seq: number,
  withAttachments = false,
): Promise<StoredEntry | undefined> {
  const { entries } = await reader.page(seq - 1, 1, withAttachments);
  return entries[0]?.seq === seq ? entries[0] : undefined;
}

export interface ReaderOptions extends PoolOptions {
  /** Opens attachments; without it they are given as sealed. */
  opener?: AttachmentOpener;
}

export interface VerificationReport {
  ok: boolean;
  size: number;
  /** Attachments that are sealed and were not checked, for want of the key. */
  sealed: number;
  head: string;
  open: number;
  findings: LedgerVerifier["findings"];
}

export class LedgerReader {
  readonly #pool: pg.Pool;
  readonly #schema: string;
  readonly #opener: AttachmentOpener | undefined;

  constructor(ledger: string, address: DatabaseAddress, options: ReaderOptions) {
    this.#schema = schemaOf(ledger);
    const { opener, ...pool } = options;
    this.#opener = opener;
    this.#pool = openPool(address, `scimseal ${ledger} reader`, pool);
  }

  /** Entries with seq > after, ascending, with their attachments if asked for. */
  async page(after: number, limit: number, withAttachments: boolean): Promise<Page> {
    const { rows } = await this.#pool.query<EntryRow>(
      `SELECT seq, leaf, leaf_hash, type, txn, instance FROM ${this.#schema}.entry WHERE seq > $1 ORDER BY seq LIMIT $2`,
      [after, limit],
    );
    const entries = rows.map(toStored);
    const last = entries.at(-1);
    if (withAttachments && last) await this.#addAttachments(entries, after, last.seq);
    return { entries, next: entries.length === limit ? last?.seq : undefined };
  }

  /** Every entry in order, in pages: constant memory for any size. */
  async *all(withAttachments: boolean): AsyncGenerator<StoredEntry> {
    let after = -1;
    for (;;) {
      const { entries, next } = await this.page(after, PAGE_ENTRIES, withAttachments);
      yield* entries;
      if (next === undefined) return;
      after = next;
    }
  }

  /** Verifies the whole stored ledger: chain, signatures, columns, attachments, and the index of outcomes. */
  async verify(options: VerifierOptions): Promise<VerificationReport> {
    const verifier = new LedgerVerifier(options);
    let page: OutcomeCheck[] = [];
    for await (const row of this.all(true)) {
      const claims = verifier.push(row);
      if (claims?.type === "response" && UUID.test(claims.txn)) page.push({ seq: row.seq, claims });
      if (page.length >= PAGE_ENTRIES) page = await this.#checkOutcomes(page, verifier);
    }
    await this.#checkOutcomes(page, verifier);
    await this.#checkStrays(verifier);
    if (verifier.size === 0)
      verifier.findings.push({ seq: 0, code: "ledger_empty", detail: "the ledger has no entries" });
    return {
      ok: verifier.findings.length === 0,
      size: verifier.size,
      sealed: verifier.sealed,
      head: Buffer.from(verifier.head.hash).toString("base64url"),
      open: verifier.open.size,
      findings: verifier.findings.sort((a, b) => a.seq - b.seq),
    };
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }

  async #addAttachments(entries: StoredEntry[], after: number, last: number): Promise<void> {
    const { rows } = await this.#pool.query<{
      seq: string;
      name: string;
      salt: Buffer | null;
      content: Buffer;
    }>(
      `SELECT seq, name, salt, content FROM ${this.#schema}.attachment WHERE seq > $1 AND seq <= $2 ORDER BY seq, name`,
      [after, last],
    );
    const leaves = new Map(entries.map(({ seq, leaf }) => [seq, leaf]));
    const bySeq = await openRows(
      rows.map((row) => ({ ...row, seq: Number(row.seq) })),
      (seq) => peekBinding(leaves.get(seq) ?? ""),
      this.#opener,
      async (text, values) => (await this.#pool.query(text, values)).rows,
      this.#schema,
    );
    for (const entry of entries) entry.attachments = bySeq.get(entry.seq) ?? [];
  }

  /** Without its row in `outcome` a second outcome could be written for the transaction. */
  async #checkOutcomes(responses: readonly OutcomeCheck[], verifier: LedgerVerifier): Promise<[]> {
    if (responses.length === 0) return [];
    const { rows } = await this.#pool.query<{ txn: string; seq: string }>(
      `SELECT txn, seq FROM ${this.#schema}.outcome WHERE txn = ANY($1::uuid[])`,
      [responses.map(({ claims }) => claims.txn)],
    );
    const seqOf = new Map(rows.map((row) => [row.txn, Number(row.seq)]));
    for (const { seq, claims } of responses) {
      if (seqOf.get(claims.txn) !== seq) {
        verifier.findings.push({
          seq,
          code: "outcome_index",
          detail: "table outcome does not name this entry as the outcome",
        });
      }
    }
    return [];
  }

  /**
   * Rows that belong to no entry: left by a deletion, or planted. Entries are committed together with their rows, and
   * one statement sees one moment, so this holds beside a living writer and beyond the newest entry too.
   */
  async #checkStrays(verifier: LedgerVerifier): Promise<void> {
    const { rows } = await this.#pool.query<{ seq: string; kind: string }>(
      `SELECT DISTINCT a.seq, 'attachment' AS kind FROM ${this.#schema}.attachment a WHERE NOT EXISTS (SELECT FROM ${this.#schema}.entry e WHERE e.seq = a.seq)
       UNION ALL
       SELECT o.seq, 'outcome' FROM ${this.#schema}.outcome o WHERE NOT EXISTS (SELECT FROM ${this.#schema}.entry e WHERE e.seq = o.seq AND e.type = 'response' AND e.txn = o.txn)`,
    );
    const known = new Set(verifier.findings.map((finding) => finding.seq));
    for (const row of rows) {
      const seq = Number(row.seq);
      if (known.has(seq)) continue;
      verifier.findings.push({
        seq,
        code: row.kind === "outcome" ? "outcome_index" : "attachment_unknown",
        detail: `a row of table ${row.kind} belongs to no such entry`,
      });
    }
  }
}

interface EntryRow {
  seq: string;
  leaf: string;
  leaf_hash: Buffer;
  type: string;
  txn: string | null;
  instance: string;
}

interface OutcomeCheck {
  seq: number;
  claims: Extract<Entry, { type: "response" }>;
}

function toStored(row: EntryRow): StoredEntry {
  return {
    seq: Number(row.seq),
    leaf: row.leaf,
    leafHash: row.leaf_hash,
    type: row.type,
    txn: row.txn,
    instance: row.instance,
  };
}

/** Leaf hash of a stored row and whether the column agrees; for pages shown to people. */
export function describeRow(row: StoredEntry): {
  leafHash: string;
  claims: Entry | undefined;
  intact: boolean;
} {
  const hash = hashLeaf(Buffer.from(row.leaf, "latin1"));
  const parsed = parseLeaf(row.leaf);
  return {
    leafHash: Buffer.from(hash).toString("base64url"),
    claims: typeof parsed === "string" ? undefined : parsed.claims,
    intact: typeof parsed !== "string" && (row.leafHash === undefined || equalBytes(row.leafHash, hash)),
  };
}
