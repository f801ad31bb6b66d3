// The entries of transactions, with those attachments that tell what a resource became: bodies, and a request's facts
// where its leaf has only a token of the id, or there was a query. Opening the others would be half of the work.
// Memory: sizes are asked for before anything is read, so that no call holds more than it was allowed but for the first
// transaction, which is always read whole. About 8 MiB are read at a time; one attachment alone may be larger.

import type pg from "pg";
import type { StoredAttachment } from "../../ledger/verify.ts";
import { type AttachmentOpener, openRows } from "../attachmentSealer.ts";
import { peekClaims, type TransactionClaims } from "../peekLeaf.ts";

const BATCH_BYTES = 8 * 1024 * 1024;

/** Where a transaction's entries stand. */
export interface TransactionPlace {
  seq: number;
  closedSeq: number | undefined;
}

/** One entry of a transaction; nothing in it is verified. */
export interface HistoryRow {
  readonly claims: TransactionClaims;
  /** Those that tell what a resource became. */
  attachments: readonly StoredAttachment[];
}

/** What was read of some transactions. */
export interface HistoryRows {
  /** By seq; what is not there, or is no part of a transaction, is left out. */
  rows: Map<number, HistoryRow>;
  /** How many of the transactions were read, from the first on; one at least, if there is one. */
  taken: number;
  /** Bytes of their attachments, as stored. */
  bytes: number;
}

/** The rows of the first of these transactions, as many as fit into so many bytes of attachments. Nothing is verified. */
export async function readHistoryRows(
  pool: pg.Pool,
  schema: string,
  opener: AttachmentOpener | undefined,
  places: readonly TransactionPlace[],
  maxBytes: number,
): Promise<HistoryRows> {
  const groups = places.map(seqsOf);
  const { rows: lengths } = await pool.query<{ seq: string; size: number }>(
    `SELECT seq, octet_length(leaf) AS size FROM ${schema}.entry WHERE seq = ANY($1::bigint[])`,
    [groups.flat()],
  );
  // Leaves are small, but for those of large Bulks.
  const near = fitting(groups, sumBySeq(lengths), BATCH_BYTES).groups;
  const { rows: leaves } = await pool.query<{ seq: string; leaf: string }>(
    `SELECT seq, leaf FROM ${schema}.entry WHERE seq = ANY($1::bigint[])`,
    [near.flat()],
  );
  const rows = new Map<number, HistoryRow>();
  const wanted: { seq: number; name: string }[] = [];
  for (const { seq: text, leaf } of leaves) {
    const claims = peekClaims(leaf);
    if (claims === undefined) continue;
    const seq = Number(text);
    rows.set(seq, { claims, attachments: [] });
    for (const name of namesWanted(claims)) wanted.push({ seq, name });
  }
  const attached = `FROM unnest($1::bigint[], $2::text[]) w (seq, name) JOIN ${schema}.attachment a ON a.seq = w.seq AND a.name = w.name ORDER BY a.seq, a.name`;
  const { rows: sizes } = await pool.query<{ seq: string; name: string; size: number }>(
    `SELECT a.seq, a.name, octet_length(a.content) AS size ${attached}`,
    [wanted.map(({ seq }) => seq), wanted.map(({ name }) => name)],
  );
  const { groups: taken, bytes } = fitting(near, sumBySeq(sizes), maxBytes);
  const kept = new Set(taken.flat());
  for (const seq of rows.keys()) if (!kept.has(seq)) rows.delete(seq);
  const reading = sizes.filter(({ seq }) => kept.has(Number(seq)));
  for (let from = 0; from < reading.length; ) {
    let to = from;
    for (let sum = 0; to < reading.length && (to === from || sum + sizeAt(reading, to) <= BATCH_BYTES); to++)
      sum += sizeAt(reading, to);
    const batch = reading.slice(from, to);
    const { rows: stored } = await pool.query<{
      seq: string;
      name: string;
      salt: Buffer | null;
      content: Buffer;
    }>(`SELECT a.seq, a.name, a.salt, a.content ${attached}`, [
      batch.map(({ seq }) => seq),
      batch.map(({ name }) => name),
    ]);
    const opened = await openRows(
      stored.map((row) => ({ ...row, seq: Number(row.seq) })),
      (seq) => rows.get(seq)?.claims,
      opener,
      async (text, values) => (await pool.query(text, values)).rows,
      schema,
    );
    for (const [seq, attachments] of opened) {
      const row = rows.get(seq);
      if (row) row.attachments = [...row.attachments, ...attachments];
    }
    from = to;
  }
  return { rows, taken: taken.length, bytes };
}

function seqsOf({ seq, closedSeq }: TransactionPlace): number[] {
  return closedSeq === undefined ? [seq] : [seq, closedSeq];
}

/** The first of these groups, as many as have no more bytes together; one at least. */
function fitting(
  groups: readonly number[][],
  sizeOf: ReadonlyMap<number, number>,
  maxBytes: number,
): { groups: readonly number[][]; bytes: number } {
  let bytes = 0;
  for (const [index, group] of groups.entries()) {
    const more = group.reduce((sum, seq) => sum + (sizeOf.get(seq) ?? 0), 0);
    if (index > 0 && bytes + more > maxBytes) return { groups: groups.slice(0, index), bytes };
    bytes += more;
  }
  return { groups, bytes };
}

function sumBySeq(rows: readonly { seq: string; size: number }[]): Map<number, number> {
  const sums = new Map<number, number>();
  for (const { seq, size } of rows) sums.set(Number(seq), (sums.get(Number(seq)) ?? 0) + size);
  return sums;
}

function sizeAt(sizes: readonly { size: number }[], at: number): number {
  return sizes[at]?.size ?? 0;
}

function namesWanted(claims: TransactionClaims): string[] {
  if (claims.type === "refusal") return [];
  if (claims.type === "response") return ["body"];
  const { resourceId } = claims.scim;
  const isClear = resourceId === undefined || !resourceId.startsWith("t:");
  return isClear && claims.http.query === undefined ? ["body"] : ["body", "facts"];
}
