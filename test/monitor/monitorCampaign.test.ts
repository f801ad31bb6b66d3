// The superuser campaign: a ledger of ten thousand entries with its published tree, and one harm a test. The rolling
// pass, or the follower where only memory can tell, must name what and where.

import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { fastVerify } from "../../src/keys/fastVerify.ts";
import { encodeBase64url } from "../../src/ledger/base64url.ts";
import type { Entry } from "../../src/ledger/entry.ts";
import { TreeAudit } from "../../src/ledger/evidence/treeAudit.ts";
import { hashLeaf } from "../../src/ledger/hash.ts";
import { formatHeader, formatSigningInput, parseLeaf } from "../../src/ledger/leaf.ts";
import { hashLevels } from "../../src/ledger/tree/treeLevels.ts";
import { nodeSha256 } from "../../src/nodeCrypto.ts";
import { dropDatabase, makeDatabase, type TestDatabase } from "../storage/writerHarness.ts";
import {
  beginPass,
  checkpointSql,
  followerOf,
  makeCopy,
  named,
  ORIGIN,
  passMany,
  publish,
  runPass,
  type TestCopy,
} from "./monitorHarness.ts";

const TRANSACTIONS = 5_000;
let server: TestDatabase;
let base: TestCopy;
let size = 0;

beforeAll(async () => {
  server = await makeDatabase();
  base = await makeCopy(server);
  await base.write((writer) => passMany(writer, TRANSACTIONS));
  size = await publish(base, [1, 200, 1_000, 2_000]);
}, 60_000);
afterAll(() => dropDatabase(server));

async function harmed(statement?: string): Promise<TestCopy> {
  const copy = await base.copy();
  onTestFinished(() => copy.drop());
  if (statement) await copy.tamper(statement);
  return copy;
}

async function found(copy: TestCopy): Promise<string[]> {
  const opened = copy.open();
  try {
    return await runPass(await beginPass(copy, opened));
  } finally {
    await opened.close();
  }
}

test("nothing is found where nothing was done, by the pass and by the follower", async () => {
  expect(size).toBe(2 * TRANSACTIONS + 1);
  const copy = await harmed();
  expect(await found(copy)).toEqual([]);
  const opened = copy.open();
  const follower = followerOf(copy, opened);
  expect(await follower.look()).toEqual([]);
  expect(follower.verified).toBe(size);
  await opened.close();
});

const FLIP = "overlay(leaf placing (CASE substr(leaf, 300, 1) WHEN 'A' THEN 'B' ELSE 'A' END) from 300)";
const flipByte = (column: string, at = 5) =>
  `${column} = set_byte(${column}, ${at}, get_byte(${column}, ${at}) # 1)`;

// Harms that have nothing to do with each other: all in one ledger, each named.
const APART: [string, string, RegExp][] = [
  [
    "a bit of a leaf",
    `UPDATE entry SET leaf = ${FLIP} WHERE seq = 1345`,
    /^1345 (signature_invalid|malformed)$/,
  ],
  [
    "a bit of the column leaf_hash",
    `UPDATE entry SET ${flipByte("leaf_hash")} WHERE seq = 2345`,
    /^2345 column_mismatch$/,
  ],
  [
    "a bit of a tile of leaf hashes",
    `UPDATE tile SET ${flipByte("hashes", 4000)} WHERE level = 0 AND index = 7`,
    /^1792 tile_mismatch$/,
  ],
  ["a tile deleted", "DELETE FROM tile WHERE level = 0 AND index = 3", /^768 tile_missing$/],
  [
    "a bit of an attachment",
    `UPDATE attachment SET ${flipByte("content")} WHERE seq = (SELECT min(seq) FROM attachment WHERE seq > 100)`,
    /^1\d\d attachment_mismatch$/,
  ],
  [
    "letters of a checkpoint's root",
    "UPDATE checkpoint SET note = overlay(note placing 'AAAA' from position(E'\\n1000\\n' in note) + 10) WHERE size = 1000",
    /^999 checkpoint_invalid$/,
  ],
  [
    "a bit of a checkpoint's column",
    `UPDATE checkpoint SET ${flipByte("root")} WHERE size = 2000`,
    /^1999 checkpoint_column$/,
  ],
  [
    "an outcome's row deleted",
    "DELETE FROM outcome WHERE seq = (SELECT min(seq) FROM outcome WHERE seq > 2400)",
    /^2\d\d\d outcome_index$/,
  ],
  [
    "an outcome's row planted beyond the end",
    "INSERT INTO outcome VALUES ('00000000-0000-4000-8000-000000000001', 18000)",
    /^18000 outcome_index$/,
  ],
  [
    "an outcome's row planted for a transaction that has none, naming another's outcome",
    "INSERT INTO outcome SELECT '00000000-0000-4000-8000-000000000002', min(seq) FROM outcome WHERE seq > 3000",
    /^3\d\d\d outcome_index$/,
  ],
  [
    "an outcome's row planted that names a request",
    "INSERT INTO outcome SELECT txn, seq FROM (SELECT 'ffffffff-ffff-4fff-8fff-ffffffffffff'::uuid AS txn, min(seq) AS seq FROM entry WHERE type = 'request' AND seq > 4000) e",
    /^4\d\d\d outcome_index$/,
  ],
  [
    "an outcome's row planted that names no place",
    "INSERT INTO outcome VALUES ('ffffffff-ffff-4fff-8fff-fffffffffffe', -9000000000000000000)",
    /^0 outcome_index$/,
  ],
  [
    "an attachment planted beyond the end",
    "INSERT INTO attachment VALUES (19000, 'x', sha256(''), '')",
    /^19000 attachment_unknown$/,
  ],
];

test("harms apart from each other are all named in one pass, and nothing else", async () => {
  const names = await found(await harmed(APART.map(([, statement]) => statement).join("; ")));
  for (const [what, , expected] of APART) expect(names, what).toContainEqual(expect.stringMatching(expected));
  // What is sealed together is damaged together: one harm, as many attachments as the entry has.
  expect(new Set(names).size).toBe(APART.length);
});

const HARMS: [string, string, RegExp[]][] = [
  [
    "a bit of a leaf together with its hash",
    `UPDATE entry SET leaf = ${FLIP} WHERE seq = 1345; UPDATE entry SET leaf_hash = sha256('\\x00' || convert_to(leaf, 'UTF8')) WHERE seq = 1345`,
    [/^1345 (signature_invalid|malformed)$/, /^1280 tile_mismatch$/, /^1999 checkpoint_mismatch$/],
  ],
  [
    "two entries swapped",
    "UPDATE entry SET seq = 999990 WHERE seq = 501; UPDATE entry SET seq = 501 WHERE seq = 2001; UPDATE entry SET seq = 2001 WHERE seq = 999990",
    [/^501 seq_mismatch$/, /^2001 seq_mismatch$/],
  ],
  ["the middle deleted", "DELETE FROM entry WHERE seq BETWEEN 1100 AND 1199", [/^1100 missing$/]],
  [
    "renumbered to close a gap",
    "DELETE FROM entry WHERE seq = 2500; UPDATE entry SET seq = seq + 500000 WHERE seq > 2500; UPDATE entry SET seq = seq - 500001 WHERE seq > 500000",
    [/^2500 seq_mismatch$/],
  ],
  [
    "the newest five deleted",
    "DELETE FROM entry WHERE seq > (SELECT max(seq) FROM entry) - 5",
    [/^9996 checkpoint_ahead$/],
  ],
];

test.for(HARMS)("found and named by the pass: %s", async ([, statement, expected]) => {
  const names = await found(await harmed(statement));
  for (const one of expected) expect(names).toContainEqual(expect.stringMatching(one));
});

test("the newest five deleted together with every checkpoint that covers them: the follower remembers", async () => {
  const copy = await harmed();
  const opened = copy.open();
  const follower = followerOf(copy, opened);
  expect(await follower.look()).toEqual([]);
  await copy.tamper(
    `DELETE FROM attachment WHERE seq > ${size - 6}; DELETE FROM outcome WHERE seq > ${size - 6}; DELETE FROM entry WHERE seq > ${size - 6}; DELETE FROM checkpoint WHERE size > ${size - 5}`,
  );
  // Once may be a standby that lags; twice is not.
  expect(await follower.look()).toEqual([]);
  expect((await follower.look()).map(named)).toEqual([`${size - 1} head_changed`]);
  await opened.close();
});

test("the newest five deleted under a new follower: the checkpoint remembers", async () => {
  const copy = await harmed(`DELETE FROM entry WHERE seq > ${size - 6}`);
  const opened = copy.open();
  const follower = followerOf(copy, opened);
  const names = [...(await follower.look()), ...(await follower.look())].map(named);
  expect(names).toEqual([`${size - 5} checkpoint_ahead`]);
  await opened.close();
});

/** Entries from `from` on, signed anew with the real key, so that chain, columns and tiles are all in order. */
async function rewrite(copy: TestCopy, from: number): Promise<Uint8Array> {
  const { signer } = copy.keys;
  const rows = await copy.query(`SELECT seq, leaf FROM entry WHERE seq >= ${from - 1} ORDER BY seq`);
  let prev = "";
  const updates: string[] = [];
  for (const { seq, leaf } of rows) {
    const parsed = parseLeaf(String(leaf));
    if (typeof parsed === "string") throw new Error(parsed);
    let text = String(leaf);
    if (Number(seq) >= from) {
      const claims = {
        ...parsed.claims,
        prev,
        time: new Date(Date.parse(parsed.claims.time) + 1).toISOString(),
      } as Entry;
      const input = formatSigningInput(formatHeader(signer.kid), claims);
      text = `${input}.${encodeBase64url(signer.sign(Buffer.from(input)))}`;
      updates.push(
        `UPDATE entry SET leaf = '${text}', leaf_hash = sha256('\\x00' || convert_to('${text}', 'UTF8')) WHERE seq = ${seq}`,
      );
    }
    prev = encodeBase64url(hashLeaf(Buffer.from(text)));
  }
  await copy.tamper(updates.join(";"));
  const opened = copy.open();
  const { levels, root } = hashLevels(await opened.store.leafHashes(0, size), nodeSha256);
  await opened.close();
  const tiles = levels.flatMap((hashes, level) =>
    Array.from({ length: Math.floor(hashes.length / 8192) }, (_, index) => {
      const hex = Buffer.from(hashes.subarray(index * 8192, (index + 1) * 8192)).toString("hex");
      return `UPDATE tile SET hashes = '\\x${hex}' WHERE level = ${level} AND index = ${index}`;
    }),
  );
  await copy.tamper(tiles.join(";"));
  return root;
}

test("rewritten from k on with the real key, tiles too: the published checkpoint tells", async () => {
  const copy = await harmed();
  await rewrite(copy, size - 300);
  expect(await found(copy)).toEqual([`${size - 1} checkpoint_mismatch`]);
  const opened = copy.open();
  // A new follower stands on the stored tree, which is not what the checkpoint signs.
  expect((await followerOf(copy, opened).look()).map(named)).toEqual([`${size - 1} checkpoint_mismatch`]);
  await opened.close();
});

test("rewritten from k on, tiles and checkpoints too, all with the real key: who followed before still tells", async () => {
  const copy = await harmed();
  const opened = copy.open();
  const follower = followerOf(copy, opened);
  await follower.look();
  const root = await rewrite(copy, size - 300);
  await copy.tamper(`DELETE FROM checkpoint WHERE size = ${size}; ${checkpointSql(size, root, copy.keys)}`);
  await follower.look();
  expect((await follower.look()).map(named)).toEqual([`${size - 1} head_changed`]);
  // Nothing in the database is wrong now; this is what anchors and witnesses are for.
  expect(await runPass(await beginPass(copy, opened))).toEqual([]);
  await opened.close();
});

test("an older backup is restored and written on with the real key: who looked before tells, monitor or auditor", async () => {
  const copy = await harmed();
  const backup = await harmed();
  await copy.write((writer) => passMany(writer, 50));
  const lost = await publish(copy, []);
  const opened = copy.open();
  const follower = followerOf(copy, opened);
  expect(await follower.look()).toEqual([]);
  const [taken] = await copy.query("SELECT note FROM checkpoint ORDER BY id DESC LIMIT 1");
  await copy.restore(backup);
  await copy.write((writer) => passMany(writer, 80));
  const now = await publish(copy, []);
  expect(now).toBeGreaterThan(lost);
  await follower.look();
  expect((await follower.look()).map(named)).toEqual([`${lost - 1} head_changed`]);
  // By itself the ledger is in order: entries, tiles and checkpoints are all made with the real key.
  expect(await runPass(await beginPass(copy, opened))).toEqual([]);
  const { pinned } = copy.keys;
  const audit = new TreeAudit({ origin: ORIGIN, pinned, verify: fastVerify, digest: nodeSha256 });
  for (const { leaf } of await copy.query(`SELECT leaf FROM entry WHERE seq < ${lost} ORDER BY seq`))
    audit.append(hashLeaf(Buffer.from(String(leaf)), nodeSha256));
  audit.compare({ name: "the auditor's checkpoint", note: String(taken?.note) });
  expect(audit.findings.map(({ seq, code }) => `${seq} ${code}`)).toEqual([
    `${lost - 1} checkpoint_mismatch`,
  ]);
  await opened.close();
});

test("a seq far off does not make the monitor count up to it", async () => {
  const copy = await harmed(
    `CREATE TABLE far PARTITION OF entry FOR VALUES FROM (4000000000000000) TO (4000000001000000);
     INSERT INTO entry SELECT 4000000000000001, leaf, leaf_hash, type, txn, instance FROM entry WHERE seq = 5;
     GRANT SELECT ON far TO scimseal_reader`,
  );
  expect(await found(copy)).toContainEqual(`${size} missing`);
  const opened = copy.open();
  expect((await followerOf(copy, opened).look()).map(named)).toContainEqual(`${size} missing`);
  await opened.close();
});
