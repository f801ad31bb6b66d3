// The entries of transactions, with those attachments that tell what a resource became: bodies, and a request's facts
// where its leaf has only a token of the id, or there was a query. Opening the others would be half of the work.
// Memory: the database adds up sizes before it sends anything, so that no call holds more than it was allowed, nor more
// than 8 MiB of leaves or of attachments, but for the first transaction, which is always read whole.

import type pg from "pg";
import { SEALED_TOGETHER } from "../../ledger/sealedAttachment.ts";
import type { StoredAttachment } from "../../ledger/verify.ts";
import { type AttachmentOpener, openRows } from "../attachmentSealer.ts";
import { encodeInt8Array, encodeTextArray } from "../binary.ts";
import { peekClaims, type TransactionClaims } from "../peekLeaf.ts";

const BODY = "body";
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
  const { rows: leaves } = await pool.query<LeafRow>(leavesSql(schema), [
    encodeInt8Array(groups.flat()),
    BATCH_BYTES,
    groups[0]?.length ?? 0,
  ]);
  const rows = new Map<number, HistoryRow>();
  const wanted: { seq: number; name: string }[] = [];
  const near = wholeGroups(groups, leaves);
  for (const { seq: text, leaf } of leaves) {
    const claims = leaf === null ? undefined : peekClaims(leaf);
    if (claims === undefined) continue;
    const seq = Number(text);
    rows.set(seq, { claims, attachments: [] });
    for (const name of namesWanted(claims)) wanted.push({ seq, name });
  }
  const { rows: contents } = await pool.query<ContentRow>(contentsSql(schema), [
    encodeInt8Array(wanted.map(({ seq }) => seq)),
    encodeTextArray(wanted.map(({ name }) => name)),
    Math.min(maxBytes, BATCH_BYTES),
    encodeInt8Array(groups[0] ?? []),
  ]);
  const taken = wholeGroups(near, contents);
  const kept = new Set(taken.flat());
  for (const seq of rows.keys()) if (!kept.has(seq)) rows.delete(seq);
  let bytes = 0;
  const stored = contents.flatMap(({ seq: text, content, ...row }) => {
    const seq = Number(text);
    if (content === null || !kept.has(seq)) return [];
    bytes += content.length;
    return [{ ...row, seq, content }];
  });
  const opened = await openRows(
    stored,
    (seq) => rows.get(seq)?.claims,
    opener,
    async (text, values) => (await pool.query(text, values)).rows,
    schema,
  );
  for (const [seq, attachments] of opened) {
    const row = rows.get(seq);
    if (row) row.attachments = attachments;
  }
  return { rows, taken: taken.length, bytes };
}

interface LeafRow {
  seq: string;
  /** Null: too much, with those before it. */
  leaf: string | null;
}

interface ContentRow {
  seq: string;
  name: string;
  salt: Buffer | null;
  /** Null: too much, with those before it. */
  content: Buffer | null;
}

/** $1: seqs in the order in which they are wanted; $2: most bytes; $3: how many of the first are read in any case. */
function leavesSql(schema: string): string {
  return `SELECT seq, CASE WHEN upto <= $2 OR at <= $3 THEN leaf END AS leaf FROM (
  SELECT e.seq, e.leaf, w.at, sum(octet_length(e.leaf)) OVER (ORDER BY w.at) AS upto
  FROM unnest($1::bigint[]) WITH ORDINALITY w (seq, at) JOIN ${schema}.entry e ON e.seq = w.seq) found ORDER BY at`;
}

/**
 * $1, $2: seqs and names in the order in which they are wanted, a body first; $3: most bytes; $4: seqs that are read in any
 * case. What is sealed together is read in place of the body, once.
 */
function contentsSql(schema: string): string {
  return `SELECT seq, name, salt, CASE WHEN upto <= $3 OR seq = ANY($4::bigint[]) THEN content END AS content FROM (
  SELECT a.seq, a.name, a.salt, a.content, w.at, sum(octet_length(a.content)) OVER (ORDER BY w.at) AS upto
  FROM unnest($1::bigint[], $2::text[]) WITH ORDINALITY w (seq, name, at) JOIN ${schema}.attachment a ON a.seq = w.seq AND (a.name = w.name OR a.name = '${SEALED_TOGETHER}' AND w.name = '${BODY}')) found ORDER BY at`;
}

function seqsOf({ seq, closedSeq }: TransactionPlace): number[] {
  return closedSeq === undefined ? [seq] : [seq, closedSeq];
}

/** The first of these groups, up to the one of which something is left out. */
function wholeGroups(
  groups: readonly number[][],
  rows: readonly (LeafRow | ContentRow)[],
): readonly number[][] {
  const out = new Set<number>();
  for (const row of rows) if (("leaf" in row ? row.leaf : row.content) === null) out.add(Number(row.seq));
  const at = groups.findIndex((group) => group.some((seq) => out.has(seq)));
  return at === -1 ? groups : groups.slice(0, at);
}

function namesWanted(claims: TransactionClaims): string[] {
  if (claims.type === "refusal") return [];
  if (claims.type === "response") return [BODY];
  const { resourceId } = claims.scim;
  const isClear = resourceId === undefined || !resourceId.startsWith("t:");
  return isClear && claims.http.query === undefined ? [BODY] : [BODY, "facts"];
}
