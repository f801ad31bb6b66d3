// Transactions that a dead instance left open. An instance is dead when its advisory lock can be had exclusively: the
// session that held it is gone. While we hold that lock nobody else recovers it and it cannot come back under its id.

import type { Client } from "pg";
import type { Entry } from "../ledger/entry.ts";
import { parseLeaf } from "../ledger/leaf.ts";
import { connect, type DatabaseAddress, destroy } from "./postgres.ts";
import { schemaOf } from "./schema.ts";

export type OpenRequest = { seq: number; claims: Extract<Entry, { type: "request" }> };

/** How many open transactions one dead instance may leave: more than any limit on writes in flight. */
const MAX_OPEN = 100_000;
const TIMEOUT_MS = 60_000;

/**
 * Finds every dead instance and hands its open transactions to `close`, which must append their outcomes before it
 * resolves; only then is the instance marked as ended. If we crash in between, the next recovery finds the rest.
 */
export async function recoverAbandoned(
  ledger: string,
  address: DatabaseAddress,
  close: (instance: string, open: readonly OpenRequest[]) => Promise<void>,
): Promise<void> {
  const schema = schemaOf(ledger);
  const client = await connect(address, `scimseal ${ledger} recovery`, 5_000);
  try {
    await client.query(`SET statement_timeout = ${TIMEOUT_MS}`);
    const { rows } = await client.query<{ id: string; lock_key: string; from_seq: string }>(
      `SELECT i.id, i.lock_key, coalesce((SELECT max(m.closed_below) FROM ${schema}.instance_mark m WHERE m.id = i.id), i.from_seq) AS from_seq
       FROM ${schema}.instance i
       WHERE NOT EXISTS (SELECT FROM ${schema}.instance_mark m WHERE m.id = i.id AND m.ended)`,
    );
    for (const { id, lock_key: key, from_seq: from } of rows) {
      const locked = await client.query<{ ok: boolean }>("SELECT pg_try_advisory_lock($1) AS ok", [key]);
      if (!locked.rows[0]?.ok) continue;
      await close(id, await readOpen(client, schema, id, Number(from)));
      await client.query(
        `INSERT INTO ${schema}.instance_mark (id, closed_below, ended) VALUES ($1, $2, true) ON CONFLICT DO NOTHING`,
        [id, from],
      );
      await client.query("SELECT pg_advisory_unlock($1)", [key]);
    }
  } catch (cause) {
    destroy(client);
    throw cause;
  }
  await client.end();
}

async function readOpen(
  client: Client,
  schema: string,
  instance: string,
  from: number,
): Promise<OpenRequest[]> {
  const { rows } = await client.query<{ seq: string; leaf: string }>(
    `SELECT e.seq, e.leaf FROM ${schema}.entry e
     WHERE e.seq >= $1 AND e.instance = $2 AND e.type = 'request'
       AND NOT EXISTS (SELECT FROM ${schema}.outcome o WHERE o.txn = e.txn)
     ORDER BY e.seq LIMIT ${MAX_OPEN}`,
    [from, instance],
  );
  return rows.flatMap(({ seq, leaf }) => {
    const parsed = parseLeaf(leaf);
    // An unreadable request entry cannot be closed by its own words; `scimseal verify` names it.
    if (typeof parsed === "string" || parsed.claims.type !== "request") return [];
    return [{ seq: Number(seq), claims: parsed.claims }];
  });
}
