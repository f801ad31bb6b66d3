// Looking at a ledger's database from outside, for `scimseal doctor`: facts only, judged by who asks. Writes nothing.

import { readNewestKeys } from "./attachmentSealer.ts";
import { checkDurability, connect, type DatabaseAddress } from "./postgres.ts";
import { checkSchema, SchemaError, schemaOf } from "./schema.ts";

export interface DatabaseFacts {
  /** PostgreSQL's version number, such as 180004. */
  version: number;
  role: string;
  isSuperuser: boolean;
  /** Why the settings do not promise durability; undefined if they do. */
  weakness: string | undefined;
  /** Why the tables cannot be used; undefined if they can. */
  schemaProblem: string | undefined;
  /** Things the role may do to entries that an append-only writer must not, such as UPDATE. */
  excessRights: readonly string[];
  /** The database's clock minus this machine's, milliseconds. */
  clockOffsetMs: number;
  /** The data keys of what was recorded last; undefined if nothing sealed is there. */
  newestKeys: { id: Uint8Array; wrapped: Uint8Array } | undefined;
}

const TIMEOUT_MS = 5_000;

/** Connects as the role of the address and looks. Throws if it cannot connect. */
export async function inspectDatabase(
  address: DatabaseAddress,
  ledger: string,
  origin: string,
): Promise<DatabaseFacts> {
  const client = await connect(address, "scimseal doctor", TIMEOUT_MS);
  try {
    const askedAt = Date.now();
    const { rows } = await client.query<{ version: string; role: string; super: boolean; now_ms: string }>(
      `SELECT current_setting('server_version_num') AS version, current_user AS role,
              (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS super,
              extract(epoch FROM clock_timestamp()) * 1000 AS now_ms`,
    );
    const [row] = rows;
    if (!row) throw new Error("the database did not answer");
    const here = (askedAt + Date.now()) / 2;
    const weakness = await reasonOf(() => checkDurability(client, address, TIMEOUT_MS));
    const schemaProblem = await reasonOf(() => checkSchema(client, ledger, origin));
    const newestKeys =
      schemaProblem === undefined
        ? await readNewestKeys(
            async (text, values) => (await client.query(text, values)).rows,
            schemaOf(ledger),
          )
        : undefined;
    const rights = schemaProblem === undefined ? await readRights(client, ledger) : [];
    return {
      version: Number(row.version),
      role: row.role,
      isSuperuser: row.super,
      weakness,
      schemaProblem,
      excessRights: rights,
      clockOffsetMs: Math.round(Number(row.now_ms) - here),
      newestKeys,
    };
  } finally {
    await client.end();
  }
}

async function readRights(client: Awaited<ReturnType<typeof connect>>, ledger: string): Promise<string[]> {
  const table = `${schemaOf(ledger)}.entry`;
  const { rows } = await client.query<{ right: string }>(
    `SELECT r AS right FROM unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) AS r WHERE has_table_privilege($1, r)`,
    [table],
  );
  return rows.map((row) => row.right);
}

async function reasonOf(check: () => Promise<void>): Promise<string | undefined> {
  try {
    await check();
    return undefined;
  } catch (cause) {
    if (cause instanceof SchemaError || (cause instanceof Error && cause.name === "DurabilityError"))
      return cause.message;
    throw cause;
  }
}
