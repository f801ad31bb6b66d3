// The storage side of sealing: the rows that go with a batch's sealed attachments, and the reading of attachments, which
// are opened where the reader was given an opener (src/ledger/sealing.ts) and reported as sealed where it was not. One row
// holds all attachments of an entry, sealed together. Until version 4 each had a row of its own; one with a salt is of the
// time before version 3 and stands in clear: nobody sealed it, so it is believed only if the leaf commits to it, else
// whoever can change rows could show anything in place of what is sealed.

import { createHash } from "node:crypto";
import { decodeBase64url } from "../ledger/base64url.ts";
import { commitTo, equalBytes, SALT_BYTES, type Sha256 } from "../ledger/hash.ts";
import { SEALED_TOGETHER } from "../ledger/sealedAttachment.ts";
import type {
  AccountKeyRow,
  AttachmentOpener,
  KeyBlockRow,
  Opening,
  SealedEntry,
} from "../ledger/sealing.ts";
import type { StoredAttachment } from "../ledger/verify.ts";
import type { Binding } from "./peekLeaf.ts";

export type { AttachmentOpener, AttachmentSealer } from "../ledger/sealing.ts";

/** A row of table `attachment`. salt: null when it is sealed. */
export interface AttachmentRow {
  seq: number;
  name: string;
  salt: Uint8Array | null;
  content: Uint8Array;
}

/** Runs a query on whatever the caller reads with. */
type Query = <Row extends object>(text: string, values: unknown[]) => Promise<Row[]>;

const NO_BYTES = new Uint8Array(0);

/** The data keys and their accounts that a batch must bring along: each once, none that the ledger has already. */
export function rowsToStore(sealed: readonly SealedEntry[]): {
  blocks: KeyBlockRow[];
  accounts: AccountKeyRow[];
} {
  const blocks = new Set<KeyBlockRow>();
  const accounts = new Set<AccountKeyRow>();
  for (const entry of sealed) {
    for (const block of entry.blocks) if (!block.isStored) blocks.add(block);
    for (const row of entry.accounts) if (!row.isStored) accounts.add(row);
  }
  return { blocks: [...blocks], accounts: [...accounts] };
}

/** After the batch's commit was proved: from now on entries may lean on its keys without bringing them. */
export function markStored(sealed: readonly SealedEntry[]): void {
  for (const { blocks, accounts } of sealed) {
    for (const block of blocks) block.isStored = true;
    for (const row of accounts) row.isStored = true;
  }
}

/** The data keys of the newest sealed attachment; undefined if there is none, or it names some that are not there. */
export async function readNewestKeys(
  query: Query,
  schema: string,
): Promise<{ id: Uint8Array; wrapped: Uint8Array } | undefined> {
  // A ledger of before version 3 has none, and may have a million attachments to look through for it.
  const [any] = await query(`SELECT 1 FROM ${schema}.data_key LIMIT 1`, []);
  if (!any) return undefined;
  const [row] = await query<{ id: Buffer; wrapped: Buffer }>(
    `SELECT k.id, k.wrapped FROM (SELECT substring(content FROM 6 FOR 32) AS id FROM ${schema}.attachment WHERE salt IS NULL ORDER BY seq DESC, name DESC LIMIT 1) a JOIN ${schema}.data_key k ON k.id = a.id`,
    [],
  );
  return row;
}

/**
 * The attachments of entries, by seq, in the order of the rows. `bindingOf` gives what an entry's leaf binds them to, and
 * is asked once for an entry. Without an opener sealed ones come as `sealed` with neither salt nor content.
 */
export async function openRows(
  rows: readonly AttachmentRow[],
  bindingOf: (seq: number) => Binding | undefined,
  opener: AttachmentOpener | undefined,
  query: Query,
  schema: string,
): Promise<Map<number, StoredAttachment[]>> {
  const sealed = opener ? rows.filter(({ salt }) => salt === null) : [];
  const opening = sealed.length > 0 ? opener?.begin(sealed.map(({ content }) => content)) : undefined;
  if (opening && opening.missing.length > 0) {
    const keys = await query<{ id: Buffer; wrapped: Buffer }>(
      `SELECT id, wrapped FROM ${schema}.data_key WHERE id = ANY($1::bytea[])`,
      [opening.missing.map((id) => Buffer.from(id))],
    );
    for (const key of keys) opening.add(key);
  }
  const found = new Map<number, StoredAttachment[]>();
  let bound: { seq: number; to: Binding | undefined } | undefined;
  const boundTo = (seq: number) => {
    if (bound?.seq !== seq) bound = { seq, to: bindingOf(seq) };
    return bound.to;
  };
  for (const { seq, name, salt, content } of rows) {
    const stored =
      salt !== null
        ? [takeClear(boundTo(seq), name, salt, content)]
        : name === SEALED_TOGETHER
          ? takeTogether(boundTo(seq), content, opening)
          : [takeOne(boundTo(seq), name, content, opening)];
    const list = found.get(seq);
    if (!list) found.set(seq, stored);
    else for (const one of stored) list.push(list.some(({ name }) => name === one.name) ? twice(one) : one);
  }
  return found;
}

function stillSealed(name: string): StoredAttachment {
  const sealed = { isDamaged: false, detail: "the sealing key is not here" };
  return { name, salt: NO_BYTES, content: NO_BYTES, sealed };
}

function damaged(name: string, detail: string): StoredAttachment {
  return { name, salt: NO_BYTES, content: NO_BYTES, sealed: { isDamaged: true, detail } };
}

/** Somebody put a row beside the one that holds it: what was read first stands, and whoever verifies is told. */
function twice({ name }: StoredAttachment): StoredAttachment {
  return damaged(name, "it is stored twice");
}

function takeTogether(
  binding: Binding | undefined,
  content: Uint8Array,
  opening: Opening | undefined,
): StoredAttachment[] {
  if (!binding || binding.attachments.length === 0)
    return [damaged(SEALED_TOGETHER, "its entry names no attachment")];
  const { id, attachments } = binding;
  if (!opening) return attachments.map(({ name }) => stillSealed(name));
  const opened = opening.openAll(id, attachments, content);
  return typeof opened === "string" ? attachments.map(({ name }) => damaged(name, opened)) : opened;
}

function takeOne(
  binding: Binding | undefined,
  name: string,
  content: Uint8Array,
  opening: Opening | undefined,
): StoredAttachment {
  if (!opening) return stillSealed(name);
  const opened = opening.openOne(binding?.id ?? "", name, content);
  return typeof opened === "string" ? damaged(name, opened) : opened;
}

function takeClear(
  binding: Binding | undefined,
  name: string,
  salt: Uint8Array,
  content: Uint8Array,
): StoredAttachment {
  const commitment = binding?.attachments.find((ref) => ref.name === name)?.commitment;
  if (isCommitted(commitment, salt, content)) return { name, salt, content };
  return damaged(name, "it stands in clear and is not what the leaf commits to");
}

function isCommitted(commitment: string | undefined, salt: Uint8Array, content: Uint8Array): boolean {
  const expected = commitment === undefined ? undefined : decodeBase64url(commitment);
  return (
    expected !== undefined &&
    salt.length === SALT_BYTES &&
    equalBytes(expected, commitTo(salt, content, digest))
  );
}

const digest: Sha256 = (...parts) => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
};
