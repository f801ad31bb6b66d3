// The tables of a ledger's index: derived from the entries and the key, so that they may be dropped and made again at
// any time. Unlike the ledger's own tables they change. No personal value stands in clear in any of them: ids are the
// leaf's form, names are keyed tokens and sealed bytes.

import pg from "pg";
import type { LedgerRoles } from "../schema.ts";

/** The tables, each after those whose rows it names. */
export const INDEX_TABLES = [
  "index_state",
  "account",
  "account_name",
  "txn",
  "txn_account",
  "event",
] as const;

/** The statements that make the index's tables in a ledger's (quoted) schema. Run once, by a migration. */
export function indexSchema(schema: string, roles: LedgerRoles): string {
  const writer = pg.escapeIdentifier(roles.writer);
  const reader = pg.escapeIdentifier(roles.reader);
  const tables = INDEX_TABLES.map((table) => `${schema}.${table}`).join(", ");
  return `
-- Entries with seq < next are in. version: the index's format and its key's id; another one is rebuilt from 0.
-- head: leaf hash of entry next - 1, by which a ledger that was put back to an earlier state is told.
-- skipped: entries that could not be read (tampered with, malformed) or taken at all, and are in no table.
CREATE TABLE ${schema}.index_state (
  version text COLLATE "C" NOT NULL PRIMARY KEY,
  next bigint NOT NULL CHECK (next >= 0),
  head bytea,
  skipped bigint NOT NULL DEFAULT 0
);

-- One row a resource that an entry was ever about. ref: its id as it stands in the leaf, opaque or a token.
-- Or '?' and a transaction (and an operation's index): names that were asked for and that no resource is known to have.
-- changes: closed transactions that it was the subject of and that the target carried out, or may have; no reads.
-- is_met: the target was asked about it and did not say that there is none, or it was made a member: somebody may have
-- been there.
CREATE TABLE ${schema}.account (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  connector text COLLATE "C" NOT NULL,
  type text COLLATE "C" NOT NULL,
  ref text COLLATE "C" NOT NULL,
  first_seq bigint NOT NULL,
  last_seq bigint NOT NULL,
  changes integer NOT NULL,
  is_met boolean NOT NULL DEFAULT true,
  UNIQUE (connector, type, ref)
) WITH (fillfactor = 80);
CREATE INDEX account_ref ON ${schema}.account (ref);

-- Each distinct value that the ledger ever knew for an account's name attributes: userName, externalId, displayName,
-- formattedName, email. digest: keyed digest of the exact value. tokens: keyed tokens of what may be asked for.
CREATE TABLE ${schema}.account_name (
  account bigint NOT NULL,
  attribute text COLLATE "C" NOT NULL,
  digest bytea NOT NULL CHECK (octet_length(digest) = 16),
  tokens bigint[] NOT NULL,
  sealed bytea NOT NULL,
  seq bigint NOT NULL,
  last_seq bigint NOT NULL,
  PRIMARY KEY (account, attribute, digest)
) WITH (fillfactor = 80);
-- What was inserted last waits in a list that every search walks: a short one.
CREATE INDEX account_name_tokens ON ${schema}.account_name USING gin (tokens) WITH (gin_pending_list_limit = 512);

-- One row a transaction: request and outcome as one; a refusal too. seq: of the request or the refusal.
-- operations_refused, operations_unknown, effects_undone: of a Bulk that was answered, by its operations' own statuses.
-- outcome: NULL while it is open; 'refused' for a refusal. is_cut: it may have names that are not in the
-- index, being too many, or in attachments that could not be opened, or not taken by its tables.
CREATE TABLE ${schema}.txn (
  seq bigint NOT NULL PRIMARY KEY,
  txn uuid NOT NULL UNIQUE,
  closed_seq bigint UNIQUE,
  time timestamptz NOT NULL,
  connector text COLLATE "C" NOT NULL,
  client text COLLATE "C" NOT NULL,
  method text COLLATE "C" NOT NULL,
  verb text COLLATE "C" NOT NULL,
  action text COLLATE "C" NOT NULL,
  resource_type text COLLATE "C" NOT NULL,
  resource_id text COLLATE "C",
  account bigint,
  effects text[] COLLATE "C" NOT NULL,
  operations integer,
  outcome text COLLATE "C",
  status integer,
  replied integer,
  duration_ms real,
  reason text COLLATE "C",
  is_cut boolean NOT NULL DEFAULT false,
  operations_refused integer,
  operations_unknown integer,
  effects_undone text[] COLLATE "C"
);
CREATE INDEX txn_time ON ${schema}.txn (time, seq);
CREATE INDEX txn_connector ON ${schema}.txn (connector, seq);
CREATE INDEX txn_client ON ${schema}.txn (client, seq);
CREATE INDEX txn_action ON ${schema}.txn (action, seq);
CREATE INDEX txn_resource_id ON ${schema}.txn (resource_id, seq) WHERE resource_id IS NOT NULL;
CREATE INDEX txn_outcome ON ${schema}.txn (outcome, seq);
CREATE INDEX txn_status ON ${schema}.txn (status, seq) WHERE status IS NOT NULL;
CREATE INDEX txn_effects ON ${schema}.txn USING gin (effects);
CREATE INDEX txn_reason ON ${schema}.txn (reason, seq) WHERE reason IS NOT NULL;
CREATE INDEX txn_duration ON ${schema}.txn (duration_ms) WHERE duration_ms IS NOT NULL;
CREATE INDEX txn_unclosed ON ${schema}.txn (seq) WHERE closed_seq IS NULL;
CREATE INDEX txn_open ON ${schema}.txn (seq) WHERE outcome IS NULL;

-- Which accounts a transaction touches. role 's': the resource itself, or one of a Bulk's; 'm': a group's member that
-- was added or removed.
CREATE TABLE ${schema}.txn_account (
  account bigint NOT NULL,
  seq bigint NOT NULL,
  role "char" NOT NULL CHECK (role IN ('s', 'm')),
  PRIMARY KEY (account, seq, role)
);
CREATE INDEX txn_account_seq ON ${schema}.txn_account (seq);

-- Entries of type event. detail: the event's claims but its name; they stand in the leaf, so nothing is personal.
CREATE TABLE ${schema}.event (
  seq bigint NOT NULL PRIMARY KEY,
  time timestamptz NOT NULL,
  name text COLLATE "C" NOT NULL,
  detail jsonb NOT NULL
);
CREATE INDEX event_name ON ${schema}.event (name, seq);

REVOKE ALL ON ${tables} FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ${tables} TO ${writer};
GRANT SELECT ON ${tables} TO ${reader};
`;
}

/** What version 5 of the tables added to the index. Its format is another one since: all rows are made anew. */
export function indexUpgrade(schema: string): string {
  return `
ALTER TABLE ${schema}.account ADD COLUMN is_met boolean NOT NULL DEFAULT true;
ALTER TABLE ${schema}.txn ADD COLUMN operations_refused integer, ADD COLUMN operations_unknown integer,
  ADD COLUMN effects_undone text[] COLLATE "C";
`;
}
