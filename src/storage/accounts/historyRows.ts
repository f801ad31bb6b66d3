// The entries of transactions, with those attachments that tell what a resource became: bodies, and a request's facts
// where its leaf has only a token of the id, or there was a query. Opening the others would be half of the work.
// Memory: about 8 MiB of attachments are read at a time; one alone may be larger.

import type pg from "pg";
import type { StoredEntry } from "../../ledger/verify.ts";
import { type AttachmentOpener, openRows } from "../attachmentSealer.ts";
import { peekClaims } from "./peekLeaf.ts";

const BATCH_BYTES = 8 * 1024 * 1024;

/** The rows of these seqs, by seq; what is not there is left out. Nothing is verified. */
export async function readHistoryRows(
  pool: pg.Pool,
  schema: string,
  opener: AttachmentOpener | undefined,
  seqs: readonly number[],
): Promise<Map<number, StoredEntry>> {
  const { rows: leaves } = await pool.query<{ seq: string; leaf: string }>(
    `SELECT seq, leaf FROM ${schema}.entry WHERE seq = ANY($1::bigint[])`,
    [seqs],
  );
  const rows = new Map<number, StoredEntry>();
  const wanted: { seq: number; name: string }[] = [];
  for (const { seq: text, leaf } of leaves) {
    const seq = Number(text);
    rows.set(seq, { seq, leaf, attachments: [] });
    for (const name of namesWanted(leaf)) wanted.push({ seq, name });
  }
  const places = "FROM unnest($1::bigint[], $2::text[]) w (seq, name) JOIN";
  const { rows: sizes } = await pool.query<{ seq: string; name: string; size: number }>(
    `SELECT a.seq, a.name, octet_length(a.content) AS size ${places} ${schema}.attachment a ON a.seq = w.seq AND a.name = w.name ORDER BY a.seq, a.name`,
    [wanted.map(({ seq }) => seq), wanted.map(({ name }) => name)],
  );
  for (let from = 0; from < sizes.length; ) {
    let to = from;
    for (let bytes = 0; to < sizes.length && (to === from || bytes + sizeAt(sizes, to) <= BATCH_BYTES); to++)
      bytes += sizeAt(sizes, to);
    const batch = sizes.slice(from, to);
    const { rows: stored } = await pool.query<{
      seq: string;
      name: string;
      salt: Buffer | null;
      content: Buffer;
    }>(
      `SELECT a.seq, a.name, a.salt, a.content ${places} ${schema}.attachment a ON a.seq = w.seq AND a.name = w.name ORDER BY a.seq, a.name`,
      [batch.map(({ seq }) => seq), batch.map(({ name }) => name)],
    );
    const opened = await openRows(
      stored.map((row) => ({ ...row, seq: Number(row.seq) })),
      (seq) => rows.get(seq)?.leaf,
      opener,
      async (text, values) => (await pool.query(text, values)).rows,
      schema,
    );
    for (const [seq, attachments] of opened) {
      const row = rows.get(seq);
      if (row) row.attachments = [...(row.attachments ?? []), ...attachments];
    }
    from = to;
  }
  return rows;
}

function sizeAt(sizes: readonly { size: number }[], at: number): number {
  return sizes[at]?.size ?? 0;
}

function namesWanted(leaf: string): string[] {
  const claims = peekClaims(leaf);
  if (claims === undefined || claims.type === "refusal") return [];
  if (claims.type === "response") return ["body"];
  const { resourceId } = claims.scim;
  const isClear = resourceId === undefined || !resourceId.startsWith("t:");
  return isClear && claims.http.query === undefined ? ["body"] : ["body", "facts"];
}
