// The database side of evidence packs: leaves, attachments and checkpoints of one ledger, read as the reader's role
// through a pool of its own. Memory: one page of leaves, and attachments up to about 8 MiB at a time (one alone may be
// larger). Nothing is verified here; what is damaged goes into the pack as it is.

import type pg from "pg";
import type { EvidenceSource, SourceCheckpoint, SourceEntry } from "../ledger/evidence/writeEvidence.ts";
import type { PublicKey } from "../ledger/key.ts";
import { parseLeaf } from "../ledger/leaf.ts";
import type { Tile } from "../ledger/tree/tile.ts";
import type { StoredAttachment } from "../ledger/verify.ts";
import { type AttachmentOpener, openRows } from "./attachmentSealer.ts";
import { peekBinding } from "./peekLeaf.ts";
import { type DatabaseAddress, openPool, type PoolOptions } from "./postgres.ts";
import { schemaOf } from "./schema.ts";
import { seqOfTime, timeOfUuid } from "./seqOfTime.ts";
import type { TreeStore } from "./tree/treeStore.ts";

export interface EvidenceSourceOptions extends PoolOptions {
  origin: string;
  /** Keys the exporter trusts. */
  keys: readonly PublicKey[];
  /** Of the same ledger; the caller's to close. */
  tree: TreeStore;
  /** Opens attachments; without it they are given as sealed. */
  opener?: AttachmentOpener;
  /** Entries on each side that a transaction is looked for in where no index leads to it; 50,000 unless told otherwise. */
  searchAround?: number;
}

/** Ten seconds at 5,000 entries each: clocks differ by less, and an append takes less. Read in a fraction of a second. */
const SEARCH_AROUND = 50_000;
const BATCH_BYTES = 8 * 1024 * 1024;
const EVENTS_A_PAGE = 500;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export class DatabaseEvidence implements EvidenceSource {
  readonly origin: string;
  readonly keys: readonly PublicKey[];
  readonly #tree: TreeStore;
  readonly #pool: pg.Pool;
  readonly #schema: string;
  readonly #opener: AttachmentOpener | undefined;
  readonly #searchAround: number;

  constructor(ledger: string, address: DatabaseAddress, options: EvidenceSourceOptions) {
    const { origin, keys, tree, opener, connections, timeoutMs, searchAround = SEARCH_AROUND } = options;
    this.#opener = opener;
    this.#searchAround = searchAround;
    this.origin = origin;
    this.keys = keys;
    this.#tree = tree;
    this.#schema = schemaOf(ledger);
    this.#pool = openPool(address, `scimseal ${ledger} evidence`, { connections, timeoutMs });
  }

  async entries(from: number, to: number): Promise<readonly SourceEntry[]> {
    return this.#leaves("seq >= $1 AND seq < $2 ORDER BY seq", [from, to]);
  }

  async entriesAt(seqs: readonly number[]): Promise<readonly SourceEntry[]> {
    return this.#leaves("seq = ANY($1::bigint[]) ORDER BY seq", [seqs]);
  }

  async *attachments(
    seqs: readonly number[],
  ): AsyncGenerator<{ seq: number; attachments: readonly StoredAttachment[] }> {
    const { rows } = await this.#pool.query<{ seq: string; bytes: string }>(
      `SELECT seq, sum(octet_length(content)) AS bytes FROM ${this.#schema}.attachment WHERE seq = ANY($1::bigint[]) GROUP BY seq ORDER BY seq`,
      [seqs],
    );
    let batch: number[] = [];
    let size = 0;
    for (const { seq, bytes } of rows) {
      if (batch.length > 0 && size + Number(bytes) > BATCH_BYTES) {
        yield* await this.#attachmentsOf(batch);
        batch = [];
        size = 0;
      }
      batch.push(Number(seq));
      size += Number(bytes);
    }
    yield* await this.#attachmentsOf(batch);
  }

  async seqsOfTransaction(txn: string): Promise<readonly number[]> {
    if (!UUID.test(txn)) return [];
    const outcome = await this.#leaves(
      `seq = (SELECT o.seq FROM ${this.#schema}.outcome o WHERE o.txn = $1)`,
      [txn],
    );
    const parsed = parseLeaf(outcome[0]?.leaf ?? "");
    if (typeof parsed !== "string" && parsed.claims.type === "response")
      return [parsed.claims.requestSeq, parsed.claims.seq];
    // Open, or refused: no index by transaction stands on the entries, since it would cost every append. The search
    // index leads there; what is too new for it lies at the end.
    const seqsOf = async (query: { text: string; values: unknown[] }) =>
      (await this.#pool.query<{ seq: string }>(query)).rows.map(({ seq }) => Number(seq));
    const indexed = await seqsOf(indexedQuery(this.#schema, txn));
    if (indexed.length > 0) return indexed;
    const { rows } = await this.#pool.query<{ next: string | null; size: string | null }>(
      `SELECT (SELECT max(next) FROM ${this.#schema}.index_state) AS next, (SELECT max(seq) + 1 FROM ${this.#schema}.entry) AS size`,
    );
    const [next, size] = [Number(rows[0]?.next ?? 0), Number(rows[0]?.size ?? 0)];
    const end = Math.max(next, size - this.#searchAround);
    const newer = await seqsOf(entriesQuery(this.#schema, txn, end, Number.MAX_SAFE_INTEGER));
    return newer.length > 0 ? newer : this.#searchNear(txn, size, seqsOf);
  }

  /**
   * Nobody signed the index: that a transaction is not there, only entries can say. Those around the time in its id, not
   * all: else whoever asks for what never was would have the whole ledger read.
   */
  async #searchNear(
    txn: string,
    size: number,
    seqsOf: (query: { text: string; values: unknown[] }) => Promise<number[]>,
  ): Promise<number[]> {
    const time = timeOfUuid(txn);
    if (time === undefined) return [];
    const leavesFrom = async (seq: number, limit: number) =>
      (await this.#leaves("seq >= $1 ORDER BY seq LIMIT $2", [seq, limit])).map(({ leaf }) => leaf);
    const center = await seqOfTime(leavesFrom, time, size);
    const around = this.#searchAround;
    return seqsOf(entriesQuery(this.#schema, txn, center - around, center + around));
  }

  async *events(to: number): AsyncGenerator<SourceEntry> {
    let after = -1;
    for (;;) {
      const page = await this.#leaves(
        `type = 'event' AND seq > $1 AND seq < $2 ORDER BY seq LIMIT ${EVENTS_A_PAGE}`,
        [after, to],
      );
      yield* page;
      const last = page.at(-1);
      if (!last || page.length < EVENTS_A_PAGE) return;
      after = last.seq;
    }
  }

  /** Event entries with a lower seq, the newest first. */
  eventsBefore(seq: number, limit: number): Promise<readonly SourceEntry[]> {
    return this.#leaves("type = 'event' AND seq < $1 ORDER BY seq DESC LIMIT $2", [seq, limit]);
  }

  readTiles(tiles: readonly Tile[]): Promise<readonly Uint8Array[]> {
    return this.#tree.readTiles(tiles);
  }

  latestCheckpoint(): Promise<SourceCheckpoint | undefined> {
    return this.#tree.latestCheckpoint();
  }

  checkpointCovering(seq: number): Promise<SourceCheckpoint | undefined> {
    return this.#tree.checkpointCovering(seq);
  }

  /** Closes the pool; the tree stays open. */
  async close(): Promise<void> {
    await this.#pool.end();
  }

  async #leaves(where: string, values: readonly unknown[]): Promise<SourceEntry[]> {
    const { rows } = await this.#pool.query<{ seq: string; leaf: string }>(
      `SELECT seq, leaf FROM ${this.#schema}.entry WHERE ${where}`,
      [...values],
    );
    return rows.map(({ seq, leaf }) => ({ seq: Number(seq), leaf }));
  }

  async #attachmentsOf(
    seqs: readonly number[],
  ): Promise<{ seq: number; attachments: readonly StoredAttachment[] }[]> {
    if (seqs.length === 0) return [];
    const { rows } = await this.#pool.query<{
      seq: string;
      leaf: string;
      name: string;
      salt: Buffer | null;
      content: Buffer;
    }>(
      `SELECT a.seq, a.name, a.salt, a.content, e.leaf FROM ${this.#schema}.attachment a LEFT JOIN ${this.#schema}.entry e ON e.seq = a.seq WHERE a.seq = ANY($1::bigint[]) ORDER BY a.seq, a.name`,
      [seqs],
    );
    const leaves = new Map(rows.map(({ seq, leaf }) => [Number(seq), leaf]));
    const bySeq = await openRows(
      rows.map((row) => ({ ...row, seq: Number(row.seq) })),
      (seq) => peekBinding(leaves.get(seq) ?? ""),
      this.#opener,
      async (text, values) => (await this.#pool.query(text, values)).rows,
      this.#schema,
    );
    return [...bySeq].map(([seq, attachments]) => ({ seq, attachments }));
  }
}

/** The request or refusal of a transaction by the search index, if the entry there is the transaction's. */
export function indexedQuery(schema: string, txn: string): { text: string; values: unknown[] } {
  return {
    text: `SELECT e.seq FROM ${schema}.txn t JOIN ${schema}.entry e ON e.seq = t.seq WHERE t.txn = $1 AND e.txn = $1`,
    values: [txn],
  };
}

/** The entries of a transaction from a seq on and before another: reads all that lie there. */
export function entriesQuery(
  schema: string,
  txn: string,
  from: number,
  to: number,
): { text: string; values: unknown[] } {
  return {
    text: `SELECT seq FROM ${schema}.entry WHERE txn = $1 AND seq >= $2 AND seq < $3 ORDER BY seq`,
    values: [txn, from, to],
  };
}
