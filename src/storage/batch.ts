// From drafts to signed rows: places a batch of entries behind a head, links, signs and commits to attachments, and
// shapes them as the parameters of the one insert statement. The statement inserts all rows or none, and none unless
// the head is still the one the batch was computed on; the primary key on seq makes two successors impossible.

import type { Client, QueryConfig } from "pg";
import type { EntryBody, EntryFrame } from "../ledger/entry.ts";
import { FORMAT_VERSION, MAX_LEAF_BYTES } from "../ledger/entry.ts";
import { commitTo, hashLeaf, type Sha256 } from "../ledger/hash.ts";
import { type Base64urlEncoder, formatHeader, formatSigningInput } from "../ledger/leaf.ts";
import { encodeArray, encodeInt8Array, encodeTextArray, encodeUuidArray, OID } from "./binary.ts";
import { queryWithin } from "./postgres.ts";
import type { Draft } from "./recorded.ts";
import { partitionName, roomInPartition } from "./schema.ts";

/** The newest entry, or `EMPTY_HEAD`. */
export interface Head {
  seq: number;
  leafHash: Uint8Array;
  /** Epoch milliseconds that the newest entry claims. */
  timeMs: number;
}

export interface EntrySigner {
  readonly kid: string;
  sign(bytes: Uint8Array): Uint8Array;
}

export interface BatchContext {
  origin: string;
  instance: string;
  signer: EntrySigner;
  digest: Sha256;
  base64url: Base64urlEncoder;
  randomBytes(size: number): Uint8Array;
  uuid(): string;
  now(): number;
}

export interface SignedEntry {
  draft: Draft;
  seq: number;
  id: string;
  timeMs: number;
  leaf: Buffer;
  leafHash: Uint8Array;
  txn: string | null;
  attachments: { name: string; salt: Uint8Array; content: Uint8Array }[];
}

/** An entry that no leaf can hold. Its author must put more into attachments. */
export class EntryTooLargeError extends Error {
  override name = "EntryTooLargeError";
}

/** Signs one entry as the successor of `head`. Throws EntryTooLargeError. */
export function signEntry(draft: Draft, head: Head, context: BatchContext): SignedEntry {
  const seq = head.seq + 1;
  const id = context.uuid();
  const timeMs = context.now();
  const attachments = draft.attachments.map((attachment) => {
    const salt = context.randomBytes(32);
    const commitment = commitTo(salt, attachment.bytes, context.digest);
    return { attachment, salt, commitment };
  });
  const frame: EntryFrame = {
    v: FORMAT_VERSION,
    log: context.origin,
    seq,
    prev: context.base64url(head.leafHash),
    id,
    time: new Date(timeMs).toISOString(),
    instance: context.instance,
  };
  const refs = attachments.map(({ attachment, commitment }) => ({
    name: attachment.name,
    size: attachment.bytes.length,
    mediaType: attachment.mediaType,
    commitment: context.base64url(commitment),
    ...(attachment.redacted?.length ? { redacted: attachment.redacted } : {}),
  }));
  const header = formatHeader(context.signer.kid);
  const input = formatSigningInput(header, { ...frame, ...draft.body, attachments: refs }, context.base64url);
  const signature = context.base64url(context.signer.sign(Buffer.from(input, "latin1")));
  const leaf = Buffer.from(`${input}.${signature}`, "latin1");
  if (leaf.length > MAX_LEAF_BYTES) {
    throw new EntryTooLargeError(
      `a ${draft.body.type} entry of ${leaf.length} bytes; a leaf holds ${MAX_LEAF_BYTES}`,
    );
  }
  return {
    draft,
    seq,
    id,
    timeMs,
    leaf,
    leafHash: hashLeaf(leaf, context.digest),
    txn: txnOf(draft.body),
    attachments: attachments.map(({ attachment, salt }) => ({
      name: attachment.name,
      salt,
      content: attachment.bytes,
    })),
  };
}

function txnOf(body: EntryBody): string | null {
  return body.type === "event" ? null : body.txn;
}

/** The head after a signed entry. */
export function headOf(entry: SignedEntry): Head {
  return { seq: entry.seq, leafHash: entry.leafHash, timeMs: entry.timeMs };
}

/**
 * Names the partitions themselves, so that a statement touches and locks those it needs and not every one there is.
 * `$1` and `$2` are the head that the batch was computed on.
 */
function insertSql(schema: string, headSeq: number, firstSeq: number): string {
  const table = (name: string, seq: number) => `${schema}.${partitionName(name, seq)}`;
  const head =
    headSeq < 0
      ? `SELECT 1 WHERE $1::bigint < 0 AND $2::bytea IS NOT NULL AND NOT EXISTS (SELECT FROM ${schema}.entry)`
      : `SELECT 1 FROM ${table("entry", headSeq)} WHERE seq = $1::bigint AND leaf_hash = $2::bytea`;
  return `
WITH head AS MATERIALIZED (${head}), written AS (
  INSERT INTO ${table("entry", firstSeq)} (seq, leaf, leaf_hash, type, txn, instance)
  SELECT u.seq, u.leaf, u.leaf_hash, u.type, u.txn, $8::uuid
  FROM head, unnest($3::bigint[], $4::text[], $5::bytea[], $6::text[], $7::uuid[]) AS u(seq, leaf, leaf_hash, type, txn)
  RETURNING 1
), outcomes AS (
  INSERT INTO ${schema}.outcome (txn, seq)
  SELECT u.txn, u.seq FROM head, unnest($7::uuid[], $3::bigint[], $6::text[]) AS u(txn, seq, type) WHERE u.type = 'response'
), attachments AS (
  INSERT INTO ${table("attachment", firstSeq)} (seq, name, salt, content)
  SELECT u.seq, u.name, u.salt, u.content
  FROM head, unnest($9::bigint[], $10::text[], $11::bytea[], $12::bytea[]) AS u(seq, name, salt, content)
)
SELECT count(*)::int AS written FROM written`;
}

/**
 * Sends the batch as one statement, one implicit transaction. Returns how many rows it wrote: all, or 0 if the head had
 * moved. The entries must lie in one partition (see `roomInPartition`).
 */
export async function insertBatch(
  client: Client,
  schema: string,
  head: Head,
  entries: readonly SignedEntry[],
  instance: string,
  timeoutMs: number,
): Promise<number> {
  const firstSeq = head.seq + 1;
  if (entries.length > roomInPartition(firstSeq))
    throw new Error("a batch reaches over the end of its partition");
  const attachments = entries.flatMap((entry) => entry.attachments.map((a) => ({ seq: entry.seq, ...a })));
  const query: QueryConfig = {
    name: `scimseal_append_${head.seq < 0 ? "genesis" : partitionName("after", head.seq)}_${partitionName("in", firstSeq)}`,
    text: insertSql(schema, head.seq, firstSeq),
    values: [
      head.seq,
      Buffer.from(head.leafHash),
      encodeInt8Array(entries.map((entry) => entry.seq)),
      encodeArray(
        OID.text,
        entries.map((entry) => entry.leaf),
      ),
      encodeArray(
        OID.bytea,
        entries.map((entry) => entry.leafHash),
      ),
      encodeTextArray(entries.map((entry) => entry.draft.body.type)),
      encodeUuidArray(entries.map((entry) => entry.txn)),
      instance,
      encodeInt8Array(attachments.map((attachment) => attachment.seq)),
      encodeTextArray(attachments.map((attachment) => attachment.name)),
      encodeArray(
        OID.bytea,
        attachments.map((attachment) => attachment.salt),
      ),
      encodeArray(
        OID.bytea,
        attachments.map((attachment) => attachment.content),
      ),
    ],
  };
  const { rows } = await queryWithin<{ written: number }>(client, query, timeoutMs);
  return rows[0]?.written ?? 0;
}
