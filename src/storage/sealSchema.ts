// Versions 3 and 6 of a ledger's tables, the part about sealing: attachments are sealed (their salt is in the sealed bytes), and
// the data keys that open them stand beside them, wrapped. Rows of before stay as they are and can still be read.

/** The statements. Run once, by a migration, after those of version 2. */
export function sealSchema(schema: string): string {
  return `
-- Without a salt the content is sealed. Ciphertext does not compress: EXTERNAL saves the attempt.
ALTER TABLE ${schema}.attachment ALTER COLUMN salt DROP NOT NULL;
ALTER TABLE ${schema}.attachment ALTER COLUMN content SET STORAGE EXTERNAL;
DO $$ DECLARE part regclass; BEGIN
  FOR part IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = '${schema.replaceAll("'", "''")}.attachment'::regclass LOOP
    EXECUTE format('ALTER TABLE %s ALTER COLUMN salt DROP NOT NULL', part);
    EXECUTE format('ALTER TABLE %s ALTER COLUMN content SET STORAGE EXTERNAL', part);
  END LOOP;
END $$;

-- Keys that attachments are sealed with, wrapped under the sealing key, which is not here. Before version 6 one a row, and
-- its id commits to it; since then a block of them.
CREATE TABLE ${schema}.data_key (
  id bytea NOT NULL PRIMARY KEY CHECK (octet_length(id) = 32),
  wrapped bytea NOT NULL
);

-- Whose keys they are; an account may have several. account: keyed digest of connector, resource type and id; since version
-- 6 of all the accounts that one batch brings. Without an index: only an erasure asks, which can read it all.
CREATE TABLE ${schema}.data_key_account (
  account bytea NOT NULL,
  key bytea NOT NULL
);

SELECT ${schema}.make_append_only(name) FROM unnest(ARRAY['data_key', 'data_key_account']) AS name;
INSERT INTO ${schema}.ledger (version, origin) SELECT 3, origin FROM ${schema}.ledger WHERE version = 1;
`;
}

/**
 * Version 6: several data keys in a row of `data_key`, several accounts in one of `data_key_account`, sealed attachments that
 * say which key is theirs. Nothing that is there changes. Digests and ids do not compress: EXTERNAL saves the attempt.
 */
export function sealUpgrade(schema: string): string {
  return `
ALTER TABLE ${schema}.data_key_account ALTER COLUMN account SET STORAGE EXTERNAL, ALTER COLUMN key SET STORAGE EXTERNAL;
INSERT INTO ${schema}.ledger (version, origin) SELECT 6, origin FROM ${schema}.ledger WHERE version = 1;
`;
}
