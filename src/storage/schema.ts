// The tables of one ledger: one PostgreSQL schema per ledger, everything append-only. Three things keep it so, each
// for another adversary: grants (the writer's role has INSERT and SELECT, the reader's SELECT), triggers that fire
// even under session_replication_role (a mistake by the owner), and the signed chain (a superuser, who can do
// anything to a table but sign). The owner role holds the DDL and is used for migrations only.

import type { Client } from "pg";
import pg from "pg";
import { LEDGER_NAME_PATTERN, LEDGER_NAME_RULE } from "../config/leaves.ts";
import { TILE_BYTES } from "../ledger/tree/tile.ts";
import { MAX_TILE_LEVEL } from "../ledger/tree/tilePath.ts";
import { indexSchema, indexUpgrade } from "./index/indexSchema.ts";
import { queryWithin } from "./postgres.ts";
import { sealSchema, sealUpgrade } from "./sealSchema.ts";

export const SCHEMA_VERSION = 6;

/** Entries per partition: a partition is a stretch of time that later can be archived and detached as a whole. */
export const PARTITION_ENTRIES = 1_000_000;

const CHECK_TIMEOUT_MS = 5_000;
/** Tables are made in far less; another instance may be making them first. */
const MIGRATION_TIMEOUT_MS = 60_000;

/** The partition of table `entry` or `attachment` that holds this seq; before the first entry: the first. */
export function partitionName(table: string, seq: number): string {
  return `${table}_${String(Math.floor(Math.max(seq, 0) / PARTITION_ENTRIES)).padStart(6, "0")}`;
}

/** How many entries from this seq on lie in the same partition. */
export function roomInPartition(seq: number): number {
  return PARTITION_ENTRIES - (seq % PARTITION_ENTRIES);
}

export class SchemaError extends Error {
  override name = "SchemaError";
}

/** The quoted PostgreSQL schema name of a ledger. Throws SchemaError if the name cannot be one. */
export function schemaOf(ledger: string): string {
  if (!LEDGER_NAME_PATTERN.test(ledger)) {
    throw new SchemaError(
      `ledger ${JSON.stringify(ledger)}: its name ${LEDGER_NAME_RULE}, to name a PostgreSQL schema`,
    );
  }
  return pg.escapeIdentifier(`ledger_${ledger}`);
}

export interface LedgerRoles {
  writer: string;
  reader: string;
}

/**
 * Creates or upgrades a ledger's tables. Runs as the owner role, in one transaction under an advisory lock: two
 * instances that start at once do not race, and a crash in the middle leaves nothing. Refuses a newer schema.
 */
export async function migrate(
  owner: Client,
  ledger: string,
  origin: string,
  roles: LedgerRoles,
): Promise<void> {
  const schema = schemaOf(ledger);
  await owner.query("BEGIN");
  try {
    await owner.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [
      `scimseal migrate ${ledger}`,
    ]);
    const version = await readVersion(owner, ledger, MIGRATION_TIMEOUT_MS);
    if (version > SCHEMA_VERSION) throw newer(ledger, version);
    if (version < 1) {
      await owner.query(firstSchema(schema, roles));
      await owner.query(`INSERT INTO ${schema}.ledger (version, origin) VALUES ($1, $2)`, [1, origin]);
      await owner.query(`SELECT ${schema}.ensure_partitions(0)`);
    }
    if (version < 2) await owner.query(treeSchema(schema));
    if (version < 3) await owner.query(`${sealSchema(schema)}${indexSchema(schema, roles)}`);
    // The same tables, but all attachments of an entry in one row: to an older scimseal that would be a stranger's row.
    if (version < 4)
      await owner.query(
        `INSERT INTO ${schema}.ledger (version, origin) SELECT 4, origin FROM ${schema}.ledger WHERE version = 1`,
      );
    if (version < 5)
      await owner.query(
        `${version < 3 ? "" : indexUpgrade(schema)}INSERT INTO ${schema}.ledger (version, origin) SELECT 5, origin FROM ${schema}.ledger WHERE version = 1`,
      );
    if (version < 6) await owner.query(sealUpgrade(schema));
    await owner.query("COMMIT");
  } catch (cause) {
    await owner.query("ROLLBACK");
    throw cause;
  }
}

/** Throws unless the ledger's tables are there, at this version, and belong to this origin. Each query has the deadline. */
export async function checkSchema(
  client: Client,
  ledger: string,
  origin: string,
  timeoutMs = CHECK_TIMEOUT_MS,
): Promise<void> {
  const version = await readVersion(client, ledger, timeoutMs);
  if (version > SCHEMA_VERSION) throw newer(ledger, version);
  if (version < SCHEMA_VERSION) {
    throw new SchemaError(
      `ledger ${ledger}: its tables are ${version ? `at version ${version}` : "not there"}; set database.ownerUrl once, so that scimseal can ${version ? "upgrade" : "create"} them`,
    );
  }
  const stored = await queryWithin<{ origin: string }>(
    client,
    { text: `SELECT origin FROM ${schemaOf(ledger)}.ledger ORDER BY version LIMIT 1` },
    timeoutMs,
  );
  if (stored.rows[0]?.origin !== origin) {
    throw new SchemaError(
      `ledger ${ledger}: the database holds the ledger of origin ${stored.rows[0]?.origin}, not ${origin}; a ledger's origin never changes`,
    );
  }
}

async function readVersion(client: Client, ledger: string, timeoutMs: number): Promise<number> {
  const table = `${schemaOf(ledger)}.ledger`;
  const found = await queryWithin<{ there: boolean }>(
    client,
    { text: "SELECT to_regclass($1) IS NOT NULL AS there", values: [table] },
    timeoutMs,
  );
  if (!found.rows[0]?.there) return 0;
  const { rows } = await queryWithin<{ version: number | null }>(
    client,
    { text: `SELECT max(version) AS version FROM ${table}` },
    timeoutMs,
  );
  return Number(rows[0]?.version ?? 0);
}

function newer(ledger: string, version: number): SchemaError {
  return new SchemaError(
    `ledger ${ledger}: its tables are at version ${version}, newer than this scimseal knows (${SCHEMA_VERSION}); run the newer scimseal`,
  );
}

function firstSchema(schema: string, roles: LedgerRoles): string {
  const writer = pg.escapeIdentifier(roles.writer);
  const reader = pg.escapeIdentifier(roles.reader);
  return `
CREATE SCHEMA IF NOT EXISTS ${schema};
REVOKE ALL ON SCHEMA ${schema} FROM PUBLIC;
GRANT USAGE ON SCHEMA ${schema} TO ${writer}, ${reader};

CREATE FUNCTION ${schema}.refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  RAISE EXCEPTION 'scimseal: table %.% is append-only: % refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
    USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TABLE ${schema}.ledger (
  version integer PRIMARY KEY,
  origin text NOT NULL,
  created timestamptz NOT NULL DEFAULT now()
);

-- One row a leaf. leaf is the exact compact JWS; the other columns repeat what it says, for queries.
CREATE TABLE ${schema}.entry (
  seq bigint NOT NULL PRIMARY KEY CHECK (seq >= 0),
  leaf text COLLATE "C" NOT NULL,
  leaf_hash bytea NOT NULL CHECK (octet_length(leaf_hash) = 32),
  type text COLLATE "C" NOT NULL CHECK (type IN ('request', 'response', 'refusal', 'event')),
  txn uuid,
  instance uuid NOT NULL
) PARTITION BY RANGE (seq);
CREATE INDEX entry_events ON ${schema}.entry (seq) WHERE type = 'event';

-- Bytes that a leaf commits to but does not hold.
CREATE TABLE ${schema}.attachment (
  seq bigint NOT NULL,
  name text COLLATE "C" NOT NULL,
  salt bytea NOT NULL CHECK (octet_length(salt) = 32),
  content bytea NOT NULL,
  PRIMARY KEY (seq, name)
) PARTITION BY RANGE (seq);

-- At most one outcome a transaction, whoever writes it: the primary key decides between a slow instance and a recovery.
CREATE TABLE ${schema}.outcome (
  txn uuid NOT NULL PRIMARY KEY,
  seq bigint NOT NULL
);

-- Every process that ever wrote here. lock_key: held as a shared session advisory lock while it lives.
CREATE TABLE ${schema}.instance (
  id uuid NOT NULL PRIMARY KEY,
  lock_key bigint NOT NULL,
  from_seq bigint NOT NULL,
  started timestamptz NOT NULL DEFAULT now()
);

-- "All transactions of this instance whose request is below closed_below have an outcome": bounds a recovery's scan.
CREATE TABLE ${schema}.instance_mark (
  id uuid NOT NULL,
  closed_below bigint NOT NULL,
  ended boolean NOT NULL DEFAULT false,
  marked timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (id, closed_below, ended)
);

CREATE FUNCTION ${schema}.make_append_only(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE TRIGGER append_only_rows BEFORE UPDATE OR DELETE ON ${schema}.%I FOR EACH ROW EXECUTE FUNCTION ${schema}.refuse_change()', name);
  EXECUTE format('CREATE TRIGGER append_only_table BEFORE TRUNCATE ON ${schema}.%I FOR EACH STATEMENT EXECUTE FUNCTION ${schema}.refuse_change()', name);
  EXECUTE format('ALTER TABLE ${schema}.%I ENABLE ALWAYS TRIGGER append_only_rows', name);
  EXECUTE format('ALTER TABLE ${schema}.%I ENABLE ALWAYS TRIGGER append_only_table', name);
  EXECUTE format('REVOKE ALL ON ${schema}.%I FROM PUBLIC', name);
  EXECUTE format('GRANT SELECT, INSERT ON ${schema}.%I TO ${writer}', name);
  EXECUTE format('GRANT SELECT ON ${schema}.%I TO ${reader}', name);
END $$;

SELECT ${schema}.make_append_only(name) FROM unnest(ARRAY['ledger', 'entry', 'attachment', 'outcome', 'instance', 'instance_mark']) AS name;
REVOKE INSERT ON ${schema}.ledger FROM ${writer};

-- Makes the partition that holds seq, and the one after it. Attaching takes a weaker lock than CREATE … PARTITION OF,
-- so that appends and reads go on meanwhile.
CREATE FUNCTION ${schema}.ensure_partitions(seq bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  size CONSTANT bigint := ${PARTITION_ENTRIES};
  number bigint;
  parent text;
  child text;
BEGIN
  IF seq < 0 OR seq > 9000000000000000 THEN RAISE EXCEPTION 'scimseal: seq out of range'; END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('${schema.replaceAll("'", "''")} partitions', 0));
  FOR number IN seq / size .. seq / size + 1 LOOP
    FOREACH parent IN ARRAY ARRAY['entry', 'attachment'] LOOP
      child := parent || '_' || lpad(number::text, 6, '0');
      CONTINUE WHEN to_regclass(format('${schema}.%I', child)) IS NOT NULL;
      EXECUTE format('CREATE TABLE ${schema}.%I (LIKE ${schema}.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)', child, parent);
      EXECUTE format('ALTER TABLE ${schema}.%I ATTACH PARTITION ${schema}.%I FOR VALUES FROM (%s) TO (%s)', parent, child, number * size, (number + 1) * size);
      EXECUTE format('CREATE TRIGGER append_only_table BEFORE TRUNCATE ON ${schema}.%I FOR EACH STATEMENT EXECUTE FUNCTION ${schema}.refuse_change()', child);
      EXECUTE format('ALTER TABLE ${schema}.%I ENABLE ALWAYS TRIGGER append_only_rows', child);
      EXECUTE format('ALTER TABLE ${schema}.%I ENABLE ALWAYS TRIGGER append_only_table', child);
      EXECUTE format('REVOKE ALL ON ${schema}.%I FROM PUBLIC', child);
      EXECUTE format('GRANT SELECT, INSERT ON ${schema}.%I TO ${writer}', child);
      EXECUTE format('GRANT SELECT ON ${schema}.%I TO ${reader}', child);
    END LOOP;
  END LOOP;
END $$;
REVOKE ALL ON FUNCTION ${schema}.ensure_partitions(bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION ${schema}.make_append_only(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ${schema}.ensure_partitions(bigint) TO ${writer};
`;
}

/** Version 2: the tree over the entries. Nothing of version 1 changes, so a ledger with entries goes on as it is. */
function treeSchema(schema: string): string {
  return `
-- Full tiles of the tree (C2SP tlog-tiles), each written once. Hashes do not compress: EXTERNAL saves the attempt.
CREATE TABLE ${schema}.tile (
  level smallint NOT NULL CHECK (level BETWEEN 0 AND ${MAX_TILE_LEVEL}),
  index bigint NOT NULL CHECK (index >= 0),
  hashes bytea STORAGE EXTERNAL NOT NULL CHECK (octet_length(hashes) = ${TILE_BYTES}),
  PRIMARY KEY (level, index)
);

-- Every checkpoint that was ever signed: note is the signed note, size and root repeat what it says.
CREATE TABLE ${schema}.checkpoint (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  size bigint NOT NULL CHECK (size >= 0),
  root bytea NOT NULL CHECK (octet_length(root) = 32),
  note text COLLATE "C" NOT NULL,
  published timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX checkpoint_size ON ${schema}.checkpoint (size, id);

SELECT ${schema}.make_append_only(name) FROM unnest(ARRAY['tile', 'checkpoint']) AS name;
INSERT INTO ${schema}.ledger (version, origin) SELECT 2, origin FROM ${schema}.ledger WHERE version = 1;
`;
}
