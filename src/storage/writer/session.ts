// What a writer does with its one database session besides appending: taking its place among the instances, reading
// the head and the signing key that the ledger expects, and settling batches whose fate was unknown when an earlier
// session broke. Everything here runs before the first append of a session.

import type { Client } from "pg";
import { equalBytes, GENESIS_PREV } from "../../ledger/hash.ts";
import type { PublicKey } from "../../ledger/key.ts";
import { parseLeaf, type VerifySignature } from "../../ledger/leaf.ts";
import { followRotations } from "../../ledger/rotation.ts";
import { queryWithin } from "../postgres.ts";
import type { Head, SignedEntry } from "./batch.ts";

export const EMPTY_HEAD: Head = { seq: -1, leafHash: GENESIS_PREV, timeMs: 0 };

/** The stored ledger is not what this instance can continue. Refuses to start, or stays unready. */
export class LedgerUnreadableError extends Error {
  override name = "LedgerUnreadableError";
}

export interface SessionScope {
  client: Client;
  schema: string;
  timeoutMs: number;
}

/**
 * The newest entry. Throws LedgerUnreadableError if `known`, which was proved committed, no longer stands in the ledger:
 * a backup was restored, a fail-over lost commits, or somebody removed entries. To go on would hide it.
 */
export async function readHead({ client, schema, timeoutMs }: SessionScope, known: Head): Promise<Head> {
  const { rows } = await queryWithin<{ seq: string; leaf: string; leaf_hash: Buffer; known: Buffer | null }>(
    client,
    {
      name: "scimseal_head",
      text: `SELECT seq, leaf, leaf_hash, (SELECT leaf_hash FROM ${schema}.entry WHERE seq = $1::bigint) AS known
        FROM ${schema}.entry ORDER BY seq DESC LIMIT 1`,
      values: [known.seq],
    },
    timeoutMs,
  );
  const [row] = rows;
  if (known.seq >= 0 && !(row?.known && equalBytes(row.known, known.leafHash))) {
    throw new LedgerUnreadableError(
      `the ledger lost entry ${known.seq}, which was committed; run scimseal verify and restore the ledger, or restart to go on from what is there`,
    );
  }
  if (!row) return EMPTY_HEAD;
  const parsed = parseLeaf(row.leaf);
  if (typeof parsed === "string") {
    throw new LedgerUnreadableError(
      `the newest entry, ${row.seq}, cannot be read: ${parsed}; run scimseal verify`,
    );
  }
  return {
    seq: Number(row.seq),
    leafHash: row.leaf_hash,
    timeMs: Date.parse(parsed.claims.time),
  };
}

/**
 * The key that must sign the next entry: the pinned one, or the last that a `key-rotated` entry after `afterSeq`
 * introduced. Only an entry signed by the key before it counts.
 */
export async function readCurrentKey(
  { client, schema, timeoutMs }: SessionScope,
  start: { afterSeq: number; trusted: readonly PublicKey[] },
  verify: VerifySignature,
): Promise<readonly PublicKey[]> {
  const { rows } = await queryWithin<{ leaf: string }>(
    client,
    {
      text: `SELECT leaf FROM ${schema}.entry WHERE type = 'event' AND seq > $1 ORDER BY seq`,
      values: [start.afterSeq],
    },
    Math.max(timeoutMs, 10_000),
  );
  return followRotations({ current: start.trusted, all: start.trusted }, rows, verify).current;
}

/** The advisory lock of an instance, derived from its id. */
export function lockKeyOf(instance: string): bigint {
  return BigInt.asIntN(64, BigInt(`0x${instance.replaceAll("-", "").slice(16)}`));
}

/**
 * Says "this instance lives" for as long as the session does: a *shared* lock, so that a new session can take it while
 * a broken one still holds it, whereas a recovery needs it exclusively. Returns false if a recovery already closed
 * this instance's transactions: then it must go on under a new id.
 */
export async function joinInstances(
  scope: SessionScope,
  instance: string,
  fromSeq: number,
): Promise<boolean> {
  const { client, schema, timeoutMs } = scope;
  const key = lockKeyOf(instance).toString();
  const locked = await queryWithin<{ ok: boolean }>(
    client,
    { text: "SELECT pg_try_advisory_lock_shared($1) AS ok", values: [key] },
    timeoutMs,
  );
  if (!locked.rows[0]?.ok) return false;
  const ended = await queryWithin(
    client,
    { text: `SELECT 1 FROM ${schema}.instance_mark WHERE id = $1 AND ended`, values: [instance] },
    timeoutMs,
  );
  if (ended.rows.length > 0) return false;
  await queryWithin(
    client,
    {
      text: `INSERT INTO ${schema}.instance (id, lock_key, from_seq) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
      values: [instance, key, fromSeq],
    },
    timeoutMs,
  );
  return true;
}

/** Which of the entries stand in the ledger, compared by place and leaf hash. */
export async function findCommitted(
  { client, schema, timeoutMs }: SessionScope,
  entries: readonly SignedEntry[],
): Promise<Set<SignedEntry>> {
  const { rows } = await queryWithin<{ seq: string; leaf_hash: Buffer }>(
    client,
    {
      text: `SELECT seq, leaf_hash FROM ${schema}.entry WHERE seq = ANY($1::bigint[])`,
      values: [entries.map((entry) => entry.seq)],
    },
    timeoutMs,
  );
  const stored = new Map(rows.map((row) => [Number(row.seq), row.leaf_hash]));
  return new Set(
    entries.filter((entry) => {
      const hash = stored.get(entry.seq);
      return hash !== undefined && equalBytes(hash, entry.leafHash);
    }),
  );
}

/** Which of these transactions already have an outcome. */
export async function findClosed(
  { client, schema, timeoutMs }: SessionScope,
  txns: readonly string[],
): Promise<Set<string>> {
  const { rows } = await queryWithin<{ txn: string }>(
    client,
    { text: `SELECT txn FROM ${schema}.outcome WHERE txn = ANY($1::uuid[])`, values: [txns] },
    timeoutMs,
  );
  return new Set(rows.map((row) => row.txn));
}
