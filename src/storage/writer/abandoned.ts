// Transactions that a dead instance left open. An instance is dead when its advisory lock can be had exclusively: the
// session that held it is gone. While we hold that lock nobody else recovers it and it cannot come back under its id.

import type { QueryResultRow } from "pg";
import type { Entry } from "../../ledger/entry.ts";
import { parseLeaf } from "../../ledger/leaf.ts";
import { connect, type DatabaseAddress, destroy, endWithin, queryWithin } from "../postgres.ts";
import { schemaOf } from "../schema.ts";
import type { SessionScope } from "./session.ts";

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
  const scope: SessionScope = { client, schema, timeoutMs: TIMEOUT_MS };
  try {
    await ask(scope, `SET statement_timeout = ${TIMEOUT_MS}`);
    const rows = await ask<{ id: string; lock_key: string }>(
      scope,
      `SELECT i.id, i.lock_key FROM ${schema}.instance i WHERE NOT EXISTS (SELECT FROM ${schema}.instance_mark m WHERE m.id = i.id AND m.ended)`,
    );
    for (const { id, lock_key: key } of rows) {
      const [lock] = await ask<{ ok: boolean }>(scope, "SELECT pg_try_advisory_lock($1) AS ok", [key]);
      if (!lock?.ok) continue;
      await bury(scope, id, close);
      await ask(scope, "SELECT pg_advisory_unlock($1)", [key]);
    }
  } catch (cause) {
    destroy(client);
    throw cause;
  }
  await endWithin(client, TIMEOUT_MS);
}

/** Runs with the instance's lock held. Only now is what the tables say of it final: another recovery may have been here. */
async function bury(
  scope: SessionScope,
  id: string,
  close: (instance: string, open: readonly OpenRequest[]) => Promise<void>,
): Promise<void> {
  const { schema } = scope;
  const [mark] = await ask<{ from_seq: string; ended: boolean }>(
    scope,
    `SELECT greatest(i.from_seq, max(m.closed_below)) AS from_seq, coalesce(bool_or(m.ended), false) AS ended
     FROM ${schema}.instance i LEFT JOIN ${schema}.instance_mark m ON m.id = i.id WHERE i.id = $1 GROUP BY i.from_seq`,
    [id],
  );
  if (!mark || mark.ended) return;
  await close(id, await readOpen(scope, id, Number(mark.from_seq)));
  await ask(
    scope,
    `INSERT INTO ${schema}.instance_mark (id, closed_below, ended) VALUES ($1, $2, true) ON CONFLICT DO NOTHING`,
    [id, mark.from_seq],
  );
}

async function ask<Row extends QueryResultRow>(
  { client, timeoutMs }: SessionScope,
  text: string,
  values: unknown[] = [],
): Promise<Row[]> {
  const { rows } = await queryWithin<Row>(client, { text, values }, timeoutMs);
  return rows;
}

async function readOpen(scope: SessionScope, instance: string, from: number): Promise<OpenRequest[]> {
  const { schema } = scope;
  const rows = await ask<{ seq: string; leaf: string }>(
    scope,
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
