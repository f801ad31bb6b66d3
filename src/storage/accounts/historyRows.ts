// The entries of transactions, with those attachments that tell what a resource became: bodies, and a request's facts
// where its leaf has only a token of the id, or there was a query.
// Memory: the database adds up sizes before it sends anything, so that no call holds more than it was allowed, nor more
// than 8 MiB of leaves or of attachments, but for the first transaction, which is always read whole.

import type pg from "pg";
import { SEALED_TOGETHER } from "../../ledger/sealedAttachment.ts";
import type { StoredAttachment } from "../../ledger/verify.ts";
import { type AttachmentOpener, type AttachmentRow, openRows } from "../attachmentSealer.ts";
import { encodeInt8Array } from "../binary.ts";
import { peekClaims, type TransactionClaims } from "../peekLeaf.ts";

const BODY = "body";
const FACTS = "facts";
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
  const { rows: stored } = await pool.query<Stored>(rowsSql(schema), [
    encodeInt8Array(groups.flat()),
    BATCH_BYTES,
    Math.min(maxBytes, BATCH_BYTES),
    groups[0]?.length ?? 0,
  ]);
  const taken = wholeGroups(groups, stored);
  const kept = new Set(taken.flat());
  const rows = new Map<number, HistoryRow>();
  const attachments: AttachmentRow[] = [];
  let bytes = 0;
  for (const { seq: text, leaf, name, salt, content } of stored) {
    const seq = Number(text);
    if (leaf === null || !kept.has(seq)) continue;
    const claims = rows.get(seq)?.claims ?? peekClaims(leaf);
    if (claims === undefined) continue;
    if (!rows.has(seq)) rows.set(seq, { claims, attachments: [] });
    if (name === null || content === null || !isWanted(name, claims)) continue;
    bytes += content.length;
    attachments.push({ seq, name, salt, content });
  }
  const opened = await openRows(
    attachments,
    (seq) => rows.get(seq)?.claims,
    opener,
    async (text, values) => (await pool.query(text, values)).rows,
    schema,
  );
  for (const [seq, list] of opened) {
    const row = rows.get(seq);
    if (row) row.attachments = list;
  }
  return { rows, taken: taken.length, bytes };
}

/** One attachment as it is stored, with its entry; an entry without one has none. */
interface Stored {
  seq: string;
  /** Null, and the content too: too much, with those before it. */
  leaf: string | null;
  name: string | null;
  salt: Buffer | null;
  content: Buffer | null;
}

/**
 * One question for leaves and attachments, since the answer to each is waited for. $1: seqs in the order in which they are
 * wanted; $2, $3: most bytes of leaves and of attachments; $4: how many of the first are read in any case.
 */
function rowsSql(schema: string): string {
  return `SELECT seq, CASE WHEN fits THEN leaf END AS leaf, name, salt, CASE WHEN fits THEN content END AS content FROM (
  SELECT e.seq, e.leaf, a.name, a.salt, a.content, w.at,
    w.at <= $4 OR (sum(octet_length(e.leaf)) OVER upto <= $2 AND coalesce(sum(octet_length(a.content)) OVER upto, 0) <= $3) AS fits
  FROM unnest($1::bigint[]) WITH ORDINALITY w (seq, at) JOIN ${schema}.entry e ON e.seq = w.seq
  LEFT JOIN ${schema}.attachment a ON a.seq = w.seq AND a.name = ANY('{${SEALED_TOGETHER},${BODY},${FACTS}}')
  WINDOW upto AS (ORDER BY w.at)) found ORDER BY at, name`;
}

function seqsOf({ seq, closedSeq }: TransactionPlace): number[] {
  return closedSeq === undefined ? [seq] : [seq, closedSeq];
}

/** The first of these groups, up to the one of which something is left out. */
function wholeGroups(groups: readonly number[][], stored: readonly Stored[]): readonly number[][] {
  const out = new Set<number>();
  for (const { seq, leaf } of stored) if (leaf === null) out.add(Number(seq));
  const at = groups.findIndex((group) => group.some((seq) => out.has(seq)));
  return at === -1 ? groups : groups.slice(0, at);
}

/** What was sealed together comes together. Of single ones: opening those that tell nothing would be half of the work. */
function isWanted(name: string, claims: TransactionClaims): boolean {
  if (claims.type === "refusal") return false;
  if (name !== FACTS) return true;
  if (claims.type === "response") return false;
  const { resourceId } = claims.scim;
  return resourceId?.startsWith("t:") === true || claims.http.query !== undefined;
}
