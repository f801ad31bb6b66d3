// From drafts to signed rows: places entries behind a head, links, signs and commits to attachments; and shapes a batch of
// them, with what they have sealed, as the parameters of the one insert statement. The statement inserts all rows or none, and
// none unless the head is still the one the batch was computed on; the primary key on seq makes two successors impossible.

import type { Client, QueryConfig } from "pg";
import type { EntryBody, EntryFrame } from "../../ledger/entry.ts";
import { FORMAT_VERSION, MAX_LEAF_BYTES } from "../../ledger/entry.ts";
import { commitTo, hashLeaf, type Sha256 } from "../../ledger/hash.ts";
import { type Base64urlEncoder, formatHeader, formatSigningInput } from "../../ledger/leaf.ts";
import { SEALED_TOGETHER } from "../../ledger/sealedAttachment.ts";
import type { SealedEntry, SealingTask } from "../../ledger/sealing.ts";
import { rowsToStore } from "../attachmentSealer.ts";
import {
  encodeArray,
  encodeByteaArray,
  encodeInt8Array,
  encodeTextArray,
  encodeUuidArray,
  OID,
} from "../binary.ts";
import { queryWithin } from "../postgres.ts";
import { partitionName, roomInPartition } from "../schema.ts";
import type { Draft } from "./recorded.ts";

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
  /** Its attachments in clear, as the leaf commits to them, for whoever seals what the tables get of them. */
  sealing: SealingTask;
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
    sealing: sealingTask(draft, id, attachments),
  };
}

function sealingTask(
  { body, subject, operations }: Draft,
  entryId: string,
  attachments: readonly { attachment: Draft["attachments"][number]; salt: Uint8Array }[],
): SealingTask {
  return {
    entryId,
    type: body.type,
    ...(body.type === "event" ? {} : { txn: body.txn, connector: body.connector }),
    ...(subject ? { subject } : {}),
    ...(operations ? { operations } : {}),
    attachments: attachments.map(({ attachment: { name, bytes, spans }, salt }) => ({
      name,
      salt,
      content: bytes,
      ...(spans ? { spans } : {}),
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
 * Names the partitions themselves, so that a statement touches and locks those it needs and not every one there is;
 * leaves out the tables that the batch has no rows for. `unnest` stands in the select lists, where rows are made one by
 * one; in FROM each array would be spooled into a store of its own first (0.53 ms for a small batch against 0.75).
 * `$1` and `$2` are the head that the batch was computed on.
 */
function insertSql(
  schema: string,
  headSeq: number,
  firstSeq: number,
  parts: { outcomes: boolean; attachments: boolean; blocks: boolean; accounts: boolean },
): string {
  const table = (name: string, seq: number) => `${schema}.${partitionName(name, seq)}`;
  let parameters = 2;
  const rows = (...types: string[]) => types.map((type) => `unnest($${++parameters}::${type}[])`).join(", ");
  const head =
    headSeq < 0
      ? `SELECT 1 WHERE $1::bigint < 0 AND $2::bytea IS NOT NULL AND NOT EXISTS (SELECT FROM ${schema}.entry)`
      : `SELECT 1 FROM ${table("entry", headSeq)} WHERE seq = $1::bigint AND leaf_hash = $2::bytea`;
  const entries = `INSERT INTO ${table("entry", firstSeq)} (seq, leaf, leaf_hash, type, txn, instance)
SELECT ${rows("bigint", "text", "bytea", "text", "uuid")}, $${++parameters}::uuid FROM head`;
  const outcomes = parts.outcomes
    ? `, outcomes AS (INSERT INTO ${schema}.outcome (txn, seq) SELECT ${rows("uuid", "bigint")} FROM head)`
    : "";
  const attachments = parts.attachments
    ? `, attachments AS (INSERT INTO ${table("attachment", firstSeq)} (seq, name, content)
SELECT ${rows("bigint")}, '${SEALED_TOGETHER}', ${rows("bytea")} FROM head)`
    : "";
  // Not there before, unless an earlier try was committed after all and its proof was lost.
  const blocks = parts.blocks
    ? `, blocks AS (INSERT INTO ${schema}.data_key (id, wrapped) SELECT ${rows("bytea", "bytea")} FROM head ON CONFLICT DO NOTHING)`
    : "";
  // All of the batch in one row: whoever asks for them reads the whole table.
  const accounts = parts.accounts
    ? `, accounts AS (INSERT INTO ${schema}.data_key_account (account, key) SELECT $${++parameters}::bytea, $${++parameters}::bytea FROM head)`
    : "";
  return `WITH head AS MATERIALIZED (${head})${outcomes}${attachments}${blocks}${accounts}\n${entries}`;
}

/**
 * Sends the batch, the successors of `head`, as one statement, one implicit transaction; `sealed`: of each entry. Returns how
 * many rows it wrote: all, or 0 if the head had moved. The entries must lie in one partition (see `roomInPartition`).
 */
export async function insertBatch(
  client: Client,
  schema: string,
  head: Head,
  entries: readonly SignedEntry[],
  sealed: readonly SealedEntry[],
  instance: string,
  timeoutMs: number,
): Promise<number> {
  const firstSeq = head.seq + 1;
  if (entries.length > roomInPartition(firstSeq))
    throw new Error("a batch reaches over the end of its partition");
  const outcomes = entries.filter((entry) => entry.draft.body.type === "response");
  const attachments = entries.flatMap(({ seq }, i) => {
    const content = sealed[i]?.content;
    return content ? [{ seq, content }] : [];
  });
  const { blocks, accounts } = rowsToStore(sealed);
  const parts = {
    outcomes: outcomes.length > 0,
    attachments: attachments.length > 0,
    blocks: blocks.length > 0,
    accounts: accounts.length > 0,
  };
  const after = head.seq < 0 ? "genesis" : partitionName("after", head.seq);
  const shape = [parts.outcomes && "o", parts.attachments && "a", parts.blocks && "k", parts.accounts && "s"]
    .filter(Boolean)
    .join("");
  const query: QueryConfig = {
    name: `scimseal_append_${after}_${partitionName("in", firstSeq)}_${shape}`,
    text: insertSql(schema, head.seq, firstSeq, parts),
    values: [
      head.seq,
      Buffer.from(head.leafHash),
      encodeInt8Array(entries.map(({ seq }) => seq)),
      encodeArray(
        OID.text,
        entries.map(({ leaf }) => leaf),
      ),
      encodeByteaArray(entries.map(({ leafHash }) => leafHash)),
      encodeTextArray(entries.map(({ draft }) => draft.body.type)),
      encodeUuidArray(entries.map(({ txn }) => txn)),
      instance,
      ...(parts.outcomes
        ? [encodeUuidArray(outcomes.map(({ txn }) => txn)), encodeInt8Array(outcomes.map(({ seq }) => seq))]
        : []),
      ...(parts.attachments
        ? [
            encodeInt8Array(attachments.map(({ seq }) => seq)),
            encodeByteaArray(attachments.map(({ content }) => content)),
          ]
        : []),
      ...(parts.blocks
        ? [
            encodeByteaArray(blocks.map(({ id }) => id)),
            encodeByteaArray(blocks.map(({ wrapped }) => wrapped)),
          ]
        : []),
      ...(parts.accounts
        ? [
            Buffer.concat(accounts.map(({ account }) => account)),
            Buffer.concat(accounts.map(({ key }) => key)),
          ]
        : []),
    ],
  };
  const { rowCount } = await queryWithin(client, query, timeoutMs);
  return rowCount ?? 0;
}
