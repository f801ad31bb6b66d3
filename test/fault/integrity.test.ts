// A ledger under attack from inside the database. A superuser can do anything to a table but sign: whatever it changes,
// verification names the place. The roles that scimseal itself uses cannot even try.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { stringify } from "yaml";
import { registerVerify } from "../../src/cli/verify/verify.ts";
import { formatPinnedJwk } from "../../src/keys/signer.ts";
import { verifySignature } from "../../src/ledger/leaf.ts";
import { LedgerReader } from "../../src/storage/reader.ts";
import { runCommand } from "../cli/run.ts";
import {
  disarm,
  dropDatabase,
  makeDatabase,
  makeLedger,
  passOne,
  runSql,
  type TestDatabase,
  type TestLedger,
} from "../storage/writerHarness.ts";
import { TEST_SEALING_JWKS, testOpener } from "../support/sealing.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await makeDatabase();
});
afterAll(() => dropDatabase(database));

/** Entry 0 opens it; then requests at odd places with attachments, responses at even ones: 13 entries. */
async function filledLedger(): Promise<TestLedger> {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  for (let i = 0; i < 6; i++) await passOne(writer);
  await writer.stop();
  return ledger;
}

// cases 57 and 68: what is changed (schema name left out), and the places and codes that must be named
const ATTACKS: [string, string, [number, string][]][] = [
  [
    "one byte of an old leaf",
    "UPDATE entry SET leaf = overlay(leaf placing (CASE substr(leaf, 300, 1) WHEN 'A' THEN 'B' ELSE 'A' END) from 300) WHERE seq = 5",
    [[5, "signature_invalid|malformed"]],
  ],
  [
    "one byte of a signature",
    "UPDATE entry SET leaf = overlay(leaf placing (CASE substr(leaf, length(leaf) - 60, 1) WHEN 'A' THEN 'B' ELSE 'A' END) from length(leaf) - 60) WHERE seq = 5",
    [[5, "signature_invalid"]],
  ],
  [
    "the last byte of a signature, in its unused bits",
    "UPDATE entry SET leaf = left(leaf, -1) || chr(ascii(right(leaf, 1)) + 1) WHERE seq = 5",
    [[5, "malformed"]],
  ],
  [
    "one byte of a leaf together with its leaf_hash",
    `UPDATE entry SET leaf = overlay(leaf placing (CASE substr(leaf, 300, 1) WHEN 'A' THEN 'B' ELSE 'A' END) from 300) WHERE seq = 5;
     UPDATE entry SET leaf_hash = sha256('\\x00' || convert_to(leaf, 'UTF8')) WHERE seq = 5`,
    [[5, "signature_invalid|malformed"]],
  ],
  ["white space after a leaf", "UPDATE entry SET leaf = leaf || ' ' WHERE seq = 5", [[5, "malformed"]]],
  ["an emptied leaf", "UPDATE entry SET leaf = '' WHERE seq = 5", [[5, "malformed"]]],
  [
    "one byte of a leaf_hash",
    "UPDATE entry SET leaf_hash = set_byte(leaf_hash, 0, get_byte(leaf_hash, 0) # 1) WHERE seq = 5",
    [[5, "column_mismatch"]],
  ],
  [
    // The forged txn must reach no query that takes it for a uuid.
    "the transaction of an outcome, forged into something else",
    `UPDATE entry SET leaf = split_part(leaf, '.', 1) || '.' || rtrim(translate(encode(convert_to(regexp_replace(
       convert_from(decode(rpad(translate(p, '-_', '+/'), (length(p) + 3) / 4 * 4, '='), 'base64'), 'UTF8'),
       '"txn":"[^"]+"', '"txn":"x"'), 'UTF8'), 'base64'), '+/' || chr(10), '-_'), '=') || '.' || split_part(leaf, '.', 3)
     FROM (SELECT split_part(leaf, '.', 2) AS p FROM entry WHERE seq = 6) payload WHERE seq = 6`,
    [[6, "signature_invalid"]],
  ],
  ["the type column", "UPDATE entry SET type = 'event' WHERE seq = 5", [[5, "column_mismatch"]]],
  ["the txn column", "UPDATE entry SET txn = gen_random_uuid() WHERE seq = 5", [[5, "column_mismatch"]]],
  [
    "the instance column",
    "UPDATE entry SET instance = gen_random_uuid() WHERE seq = 5",
    [[5, "column_mismatch"]],
  ],
  ["an entry in the middle deleted", "DELETE FROM entry WHERE seq = 5", [[5, "missing"]]],
  ["the first entry deleted", "DELETE FROM entry WHERE seq = 0", [[0, "missing"]]],
  [
    "an outcome deleted with its row in outcome",
    "DELETE FROM entry WHERE seq = 6; DELETE FROM outcome WHERE seq = 6",
    [[6, "missing"]],
  ],
  [
    "a request deleted with its attachments",
    "DELETE FROM entry WHERE seq = 5; DELETE FROM attachment WHERE seq = 5",
    [[5, "missing"]],
  ],
  [
    "two entries swapped",
    "UPDATE entry SET seq = 900 WHERE seq = 5; UPDATE entry SET seq = 5 WHERE seq = 8; UPDATE entry SET seq = 8 WHERE seq = 900",
    [
      [5, "seq_mismatch"],
      [8, "seq_mismatch"],
    ],
  ],
  [
    "renumbered to close the gap of a deleted one",
    `DELETE FROM entry WHERE seq = 5; DELETE FROM attachment WHERE seq = 5; UPDATE entry SET seq = seq + 1000 WHERE seq > 5;
     UPDATE entry SET seq = seq - 1001 WHERE seq > 1000`,
    [[5, "seq_mismatch"]],
  ],
  [
    "an old row inserted again at the end",
    "INSERT INTO entry SELECT 13, leaf, leaf_hash, type, txn, instance FROM entry WHERE seq = 5",
    [[13, "seq_mismatch"]],
  ],
  [
    "an old row over a newer one",
    "UPDATE entry SET (leaf, leaf_hash, type, txn) = (SELECT leaf, leaf_hash, type, txn FROM entry WHERE seq = 5) WHERE seq = 9",
    [[9, "seq_mismatch"]],
  ],
  [
    "an entry of another ledger",
    "UPDATE entry SET (leaf, leaf_hash, type, txn, instance) = (SELECT leaf, leaf_hash, type, txn, instance FROM OTHER.entry WHERE seq = 5) WHERE seq = 5",
    [[5, "key_not_trusted"]],
  ],
  [
    "one byte of an attachment",
    "UPDATE attachment SET content = set_byte(content, 3, get_byte(content, 3) # 1) WHERE seq = 5",
    [[5, "attachment_mismatch"]],
  ],
  [
    "one byte of a sealed salt",
    "UPDATE attachment SET content = set_byte(content, 86, get_byte(content, 86) # 1) WHERE seq = 5",
    [[5, "attachment_mismatch"]],
  ],
  [
    "a salt in clear beside what is sealed",
    "UPDATE attachment SET salt = decode(repeat('00', 32), 'hex') WHERE seq = 5",
    [
      [5, "attachment_missing"],
      [5, "attachment_unknown"],
    ],
  ],
  [
    "one byte of a wrapped block of data keys",
    "UPDATE data_key SET wrapped = set_byte(wrapped, 30, get_byte(wrapped, 30) # 1) WHERE id = (SELECT substring(content FROM 6 FOR 32) FROM attachment WHERE seq = 5)",
    [1, 3, 5, 7, 9, 11].map((seq) => [seq, "attachment_mismatch"]),
  ],
  [
    "a block of data keys deleted",
    "DELETE FROM data_key WHERE id = (SELECT substring(content FROM 6 FOR 32) FROM attachment WHERE seq = 5)",
    [1, 3, 5, 7, 9, 11].map((seq) => [seq, "attachment_mismatch"]),
  ],
  [
    "the first byte of what is sealed taken away",
    "UPDATE attachment SET content = substr(content, 2) WHERE seq = 5",
    [[5, "attachment_mismatch"]],
  ],
  ["an attachment deleted", "DELETE FROM attachment WHERE seq = 5", [[5, "attachment_missing"]]],
  [
    "an attachment of another entry",
    "UPDATE attachment SET (salt, content) = (SELECT salt, content FROM attachment WHERE seq = 3) WHERE seq = 5",
    [[5, "attachment_mismatch"]],
  ],
  [
    "an attachment renamed",
    "UPDATE attachment SET name = 'other' WHERE seq = 5",
    [
      [5, "attachment_missing"],
      [5, "attachment_unknown"],
    ],
  ],
  [
    "an attachment planted beside the one that is sealed",
    "INSERT INTO attachment SELECT 5, 'body', NULL, content FROM attachment WHERE seq = 5",
    [[5, "attachment_mismatch"]],
  ],
  [
    "an attachment planted",
    "INSERT INTO attachment VALUES (6, 'extra', sha256(''), '')",
    [[6, "attachment_unknown"]],
  ],
  [
    "sealed attachments planted for an entry that has none",
    "INSERT INTO attachment SELECT 6, name, salt, content FROM attachment WHERE seq = 5",
    [[6, "attachment_unknown"]],
  ],
  [
    "an attachment planted beyond the end",
    "INSERT INTO attachment VALUES (20, 'extra', sha256(''), '')",
    [[20, "attachment_unknown"]],
  ],
  ["an outcome row deleted", "DELETE FROM outcome WHERE seq = 6", [[6, "outcome_index"]]],
  [
    "an outcome row that names another entry",
    "UPDATE outcome SET seq = 8 WHERE seq = 6",
    [[6, "outcome_index"]],
  ],
  ["an outcome row planted", "INSERT INTO outcome VALUES (gen_random_uuid(), 4)", [[4, "outcome_index"]]],
  [
    "the newest request cut off",
    "DELETE FROM entry WHERE seq >= 11",
    [
      [11, "attachment_unknown"],
      [12, "outcome_index"],
    ],
  ],
  [
    "everything deleted",
    "DELETE FROM entry; DELETE FROM attachment; DELETE FROM outcome",
    [[0, "ledger_empty"]],
  ],
  [
    "a second row for one place, its primary key dropped",
    "ALTER TABLE entry DROP CONSTRAINT entry_pkey CASCADE; INSERT INTO entry SELECT * FROM entry WHERE seq = 5",
    [[5, "seq_mismatch"]],
  ],
];

test.for(ATTACKS)("found and named: %s", async ([, attack, expected]) => {
  const ledger = await filledLedger();
  const other = attack.includes("OTHER") ? await filledLedger() : ledger;
  expect((await ledger.verify()).findings).toEqual([]);
  await ledger.tamper(
    `SET search_path = ${ledger.schema}, pg_catalog; ${attack.replaceAll("OTHER", other.schema)}`,
  );
  const { ok, findings } = await ledger.verify();
  expect(ok).toBe(false);
  const named = findings.map(({ seq, code }) => `${seq} ${code}`);
  for (const [seq, codes] of expected)
    expect(named).toContainEqual(expect.stringMatching(`^${seq} (${codes})$`));
});

test("the portable verifier finds the same as the server's", async () => {
  const ledger = await filledLedger();
  await ledger.tamper(
    `UPDATE ${ledger.schema}.entry SET leaf = overlay(leaf placing 'AA' from 300) WHERE seq IN (3, 7);
     DELETE FROM ${ledger.schema}.attachment WHERE seq = 9`,
  );
  const reader = new LedgerReader(
    ledger.name,
    { connectionString: database.urls.reader, requireSync: [] },
    { connections: 1, timeoutMs: 30_000, opener: testOpener(ledger.origin) },
  );
  try {
    const { origin, pinned } = ledger;
    const portable = await reader.verify({ origin, pinned, verify: verifySignature });
    expect(portable).toEqual(await ledger.verify());
    expect(portable.ok).toBe(false);
  } finally {
    await reader.close();
  }
});

test("scimseal verify exits with 1 and names the place; untouched it exits with 0", async () => {
  const ledger = await filledLedger();
  const dir = join(database.dataDir, ledger.name);
  await mkdir(dir, { mode: 0o700 });
  await writeFile(join(dir, "pinned.jwk"), formatPinnedJwk(ledger.signer.publicJwk));
  await writeFile(join(dir, "sealing.jwks"), TEST_SEALING_JWKS, { mode: 0o600 });
  await writeFile(join(dir, "reader-url"), database.urls.reader, { mode: 0o600 });
  await writeFile(
    join(dir, "scimseal.yaml"),
    stringify({
      dataDir: ".",
      database: { url: { file: "reader-url" } },
      ledgers: {
        [ledger.name]: {
          origin: ledger.origin,
          signingKey: { file: "none.jwk" },
          pinnedKeys: ["pinned.jwk"],
          tokenKey: { file: "none.key" },
          sealingKey: { file: "sealing.jwks" },
        },
      },
      connectors: {
        okta: {
          ledger: ledger.name,
          idp: "okta",
          target: { url: "http://127.0.0.1:9/scim/v2", auth: { bearer: { file: "none" } } },
        },
      },
    }),
  );
  const verify = async () => {
    const written: string[] = [];
    const write = process.stdout.write;
    process.stdout.write = ((text: string) => written.push(text) > 0) as typeof process.stdout.write;
    try {
      const { error, err } = await runCommand(
        registerVerify,
        "verify",
        "--json",
        "--config",
        join(dir, "scimseal.yaml"),
      );
      expect(error, err).toBeUndefined();
    } finally {
      process.stdout.write = write;
    }
    const status = process.exitCode;
    process.exitCode = 0;
    return { status, report: JSON.parse(written.join("")) as { ok: boolean; findings: { seq: number }[] } };
  };
  expect(await verify()).toMatchObject({ status: 0, report: { ok: true } });
  await ledger.tamper(`DELETE FROM ${ledger.schema}.entry WHERE seq = 5`);
  const { status, report } = await verify();
  expect(status).toBe(1);
  expect(report.findings.map(({ seq }) => seq)).toContain(5);
});

const TABLES = [
  "ledger",
  "entry",
  "entry_000000",
  "attachment",
  "attachment_000000",
  "outcome",
  "instance",
  "instance_mark",
];

test.for(["writer", "owner", "reader"] as const)(
  "the %s's role can change, delete and truncate nothing",
  async (role) => {
    const ledger = await filledLedger();
    const columns: Record<string, string> = {
      ledger: "origin = origin",
      entry: "leaf = leaf",
      attachment: "content = content",
      outcome: "seq = seq",
      instance: "from_seq = 0",
      instance_mark: "ended = true",
    };
    for (const table of TABLES) {
      const change = columns[table.replace(/_\d+$/, "")];
      for (const statement of [
        `UPDATE ${ledger.schema}.${table} SET ${change}`,
        `DELETE FROM ${ledger.schema}.${table}`,
        `TRUNCATE ${ledger.schema}.${table} CASCADE`,
      ]) {
        for (const mode of ["", "BEGIN; SET CONSTRAINTS ALL DEFERRED;"]) {
          const attempt = runSql(database.urls[role], `${mode} ${statement}`);
          await expect(attempt, `${role}: ${statement}`).rejects.toMatchObject({ code: "42501" });
        }
      }
    }
    expect((await ledger.verify()).ok).toBe(true);
  },
);

test.for(["writer", "reader"] as const)("the %s's role can disable nothing either", async (role) => {
  const ledger = await filledLedger();
  const { schema } = ledger;
  for (const statement of [
    disarm(schema),
    "SET session_replication_role = replica",
    `ALTER TABLE ${schema}.entry DISABLE TRIGGER append_only_rows`,
    `DROP TRIGGER append_only_rows ON ${schema}.entry`,
    `DROP TABLE ${schema}.entry_000000`,
    `ALTER TABLE ${schema}.entry DETACH PARTITION ${schema}.entry_000000`,
    `CREATE TABLE ${schema}.planted (n int)`,
    `INSERT INTO ${schema}.ledger (version, origin) VALUES (2, 'x')`,
    `SELECT ${schema}.make_append_only('entry')`,
    `DROP SCHEMA ${schema} CASCADE`,
    `GRANT UPDATE ON ${schema}.entry TO ${role === "writer" ? "scimseal_writer" : "scimseal_reader"}`,
  ]) {
    // A GRANT of what one does not have is only a warning; what counts is that nothing was granted.
    const attempt = runSql(database.urls[role], `${statement}; UPDATE ${schema}.entry SET leaf = leaf`);
    await expect(attempt, statement).rejects.toMatchObject({ code: "42501" });
  }
  expect((await ledger.verify()).ok).toBe(true);
});

test("under session_replication_role = replica the triggers fire all the same", async () => {
  const ledger = await filledLedger();
  for (const statement of [
    "UPDATE entry SET leaf = leaf",
    "DELETE FROM outcome",
    "TRUNCATE attachment_000000",
  ]) {
    const attempt = ledger.sql(
      `SET session_replication_role = replica; SET search_path = ${ledger.schema}; ${statement}`,
    );
    await expect(attempt, statement).rejects.toThrow("append-only");
  }
});

test("the reader's role cannot write", async () => {
  const ledger = await filledLedger();
  for (const table of ["entry", "attachment", "outcome", "instance", "instance_mark"]) {
    const attempt = runSql(
      database.urls.reader,
      `INSERT INTO ${ledger.schema}.${table} SELECT * FROM ${ledger.schema}.${table}`,
    );
    await expect(attempt, table).rejects.toMatchObject({ code: "42501" });
  }
});

test("a partition made later is as closed as the first", async () => {
  const ledger = await filledLedger();
  await runSql(database.urls.writer, `SELECT ${ledger.schema}.ensure_partitions(5000000)`);
  for (const role of ["writer", "owner"] as const) {
    const attempt = runSql(database.urls[role], `TRUNCATE ${ledger.schema}.entry_000005`);
    await expect(attempt).rejects.toMatchObject({ code: "42501" });
  }
  await ledger.sql(`INSERT INTO ${ledger.schema}.outcome VALUES (gen_random_uuid(), 0)`);
  await ledger.sql(
    `INSERT INTO ${ledger.schema}.entry SELECT 5000001, leaf, leaf_hash, type, txn, instance FROM ${ledger.schema}.entry WHERE seq = 1`,
  );
  await expect(ledger.sql(`DELETE FROM ${ledger.schema}.entry_000005`)).rejects.toThrow("append-only");
});
