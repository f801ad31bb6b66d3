// Sealed attachments in a real ledger: the keys that come with them, another key file, reading with and without the key.

import { createHmac } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createAttachmentSealer } from "../../src/keys/attachmentSeal.ts";
import { createSealingKey } from "../../src/keys/sealingKey.ts";
import type { SealingTask, SealSubject } from "../../src/ledger/sealing.ts";
import { drawRandomBytes, newUuid } from "../../src/nodeCrypto.ts";
import { DatabaseEvidence } from "../../src/storage/evidenceSource.ts";
import { LedgerReader } from "../../src/storage/reader.ts";
import { TreeStore } from "../../src/storage/tree/treeStore.ts";
import type { LedgerWriter } from "../../src/storage/writer/writer.ts";
import { testOpener, testSealingKey } from "../support/sealing.ts";
import { storeAsBefore } from "./rowsOfBefore.ts";
import {
  dropDatabase,
  expectSound,
  intentDraft,
  makeDatabase,
  makeLedger,
  outcomeDraft,
  passOne,
  querySql,
  type TestDatabase,
  type TestLedger,
} from "./writerHarness.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await makeDatabase();
});
afterAll(() => dropDatabase(database));

async function countRows(ledger: TestLedger, table: string): Promise<number> {
  const [row] = await querySql(
    database.urls.reader,
    `SELECT count(*)::int AS n FROM ${ledger.schema}.${table}`,
  );
  return Number(row?.n);
}

/** Whose key it is, as docs/FORMAT.md ("Sealed at rest") says to read them, in hexadecimal. */
async function accountsOf(ledger: TestLedger): Promise<{ account: string; key: string }[]> {
  const rows = await querySql(
    database.urls.reader,
    `SELECT encode(account, 'hex') AS accounts, encode(key, 'hex') AS keys FROM ${ledger.schema}.data_key_account`,
  );
  return rows.flatMap(({ accounts, keys }) =>
    (String(accounts).match(/.{32}/g) ?? []).map((account, i) => ({
      account,
      key: String(keys).slice(66 * i, 66 * (i + 1)),
    })),
  );
}

/** The row of `data_key` that tells which sealing key a ledger has. */
const MARK = 1;
/** By docs/FORMAT.md, "Sealed at rest". */
const MARK_ID = createHmac("sha256", Buffer.alloc(32)).update("scimseal data key").digest("hex");

async function change(writer: LedgerWriter, subject: SealSubject, named?: string): Promise<void> {
  const recorded = await writer.append({ ...intentDraft(newUuid()), subject });
  const facts = { name: "facts", mediaType: "application/json", bytes: Buffer.from('{"answer":true}') };
  await writer.append({
    ...outcomeDraft(recorded),
    attachments: [facts],
    ...(named === undefined ? {} : { subject: { resourceId: named } }),
  });
}

test("an account has one key from its create on; it is stored once, with the entries that need it", async () => {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  await change(writer, { resourceType: "User" }, "2819");
  expect([await countRows(ledger, "data_key"), (await accountsOf(ledger)).length]).toEqual([1 + MARK, 1]);
  for (let i = 0; i < 3; i++) await change(writer, { resourceType: "User", resourceId: "2819" }, "2819");
  expect([await countRows(ledger, "data_key"), (await accountsOf(ledger)).length]).toEqual([1 + MARK, 1]);
  // Another account has a key of its own, of the same block.
  await change(writer, { resourceType: "Group", resourceId: "2819" });
  expect([await countRows(ledger, "data_key"), (await accountsOf(ledger)).length]).toEqual([1 + MARK, 2]);
  // Another run begins with a block of its own, and so a key of its own, for the same account.
  const other = await ledger.writer();
  await change(other, { resourceType: "User", resourceId: "2819" });
  expect(await countRows(ledger, "data_key")).toBe(2 + MARK);
  const accounts = await accountsOf(ledger);
  const [user, group, userAgain] = accounts;
  expect(accounts).toHaveLength(3);
  expect([userAgain?.account, group?.account === user?.account]).toEqual([user?.account, false]);
  expect(new Set(accounts.map(({ key }) => key)).size).toBe(3);
  expect(user?.key.slice(0, 64)).toBe(group?.key.slice(0, 64));
  await expectSound(ledger);
});

test("a key file that cannot open what was recorded last is refused at the start, and nothing is written", async () => {
  const ledger = await makeLedger(database);
  const before = await ledger.writer();
  await passOne(before);
  await before.stop();
  const size = await countRows(ledger, "entry");
  const strange = createSealingKey([new Uint8Array(32).fill(9)], ledger.origin);
  const sealer = createAttachmentSealer(strange, ledger.origin, drawRandomBytes);
  await expect(ledger.writer({ sealer })).rejects.toThrow(
    /the sealing key file cannot open what was recorded last \(wrapped under key [0-9a-f]{16}.*put the ledger's own key file back/,
  );
  expect(await countRows(ledger, "entry")).toBe(size);
  await passOne(await ledger.writer());
  await expectSound(ledger);
});

test("of two that open an empty ledger with two sealing keys, one is refused, before anything is sealed", async () => {
  for (const first of ["one after the other", "at once"]) {
    const ledger = await makeLedger(database);
    const open = (fill: number) => {
      const key = createSealingKey([new Uint8Array(32).fill(fill)], ledger.origin);
      return ledger.writer({ sealer: createAttachmentSealer(key, ledger.origin, drawRandomBytes) });
    };
    const opened =
      first === "at once"
        ? await Promise.allSettled([open(7), open(9)])
        : [(await Promise.allSettled([open(7)]))[0], (await Promise.allSettled([open(9)]))[0]];
    const refused = opened.flatMap((one) => (one?.status === "rejected" ? [String(one.reason)] : []));
    expect(refused).toEqual([
      expect.stringMatching(
        /the sealing key file is not the one that the ledger was opened with \(wrapped under key [0-9a-f]{16}; .*put the ledger's own key file there/,
      ),
    ]);
    // Each start but the refused one is an entry.
    const { length } = await ledger.entries();
    const fill = opened[0]?.status === "fulfilled" ? 7 : 9;
    await expect(open(fill === 7 ? 9 : 7)).rejects.toThrow("the sealing key file is not the one");
    expect(await ledger.entries()).toHaveLength(length);
    await open(fill);
    expect(await countRows(ledger, "data_key")).toBe(MARK);
  }
});

test("a ledger of before the mark gets it from whoever can open what was recorded; a new key may come in front", async () => {
  const ledger = await makeLedger(database);
  const key = (...fills: number[]) =>
    createAttachmentSealer(
      createSealingKey(
        fills.map((fill) => new Uint8Array(32).fill(fill)),
        ledger.origin,
      ),
      ledger.origin,
      drawRandomBytes,
    );
  await passOne(await ledger.writer({ sealer: key(7) }));
  const mark = `${ledger.schema}.data_key WHERE id = '\\x${MARK_ID}'`;
  const isThere = async () => (await querySql(database.urls.reader, `SELECT 1 FROM ${mark}`)).length;
  expect(await isThere()).toBe(1);
  await ledger.tamper(`DELETE FROM ${mark}`);
  await expect(ledger.writer({ sealer: key(9) })).rejects.toThrow("cannot open what was recorded last");
  expect(await isThere()).toBe(0);
  await passOne(await ledger.writer({ sealer: key(7) }));
  expect(await isThere()).toBe(1);
  await ledger.writer({ sealer: key(8, 7) });
  await expect(ledger.writer({ sealer: key(8) })).rejects.toThrow("put the ledger's own key file");
});

test("without the key attachments are given as sealed, and counted; with it, as they were", async () => {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  await passOne(writer);
  await passOne(writer);
  const { origin, pinned } = ledger;
  const address = { connectionString: database.urls.reader, requireSync: [] };
  const timeouts = { connections: 1, timeoutMs: 30_000 };
  const reader = new LedgerReader(ledger.name, address, timeouts);
  const tree = new TreeStore(ledger.name, address, timeouts);
  const opener = testOpener(origin);
  const evidence = new DatabaseEvidence(ledger.name, address, {
    origin,
    keys: pinned,
    tree,
    opener,
    ...timeouts,
  });
  try {
    const page = await reader.page(0, 1, true);
    expect(page.entries[0]?.attachments).toEqual(
      ["facts", "body"].map((name) => ({
        name,
        salt: new Uint8Array(0),
        content: new Uint8Array(0),
        sealed: { isDamaged: false, detail: expect.any(String) },
      })),
    );
    expect(await reader.verify({ origin, pinned })).toMatchObject({ ok: true, sealed: 4, findings: [] });
    expect(await ledger.verify()).toMatchObject({ ok: true, sealed: 0 });
    const bodies: string[] = [];
    for await (const { attachments } of evidence.attachments([1]))
      for (const { name, content } of attachments)
        if (name === "body") bodies.push(Buffer.from(content).toString());
    expect(bodies).toEqual(['{"userName":"ada@example.com"}']);
    // What was moved to another entry opens nowhere; without the key it cannot be told.
    await ledger.tamper(
      `UPDATE ${ledger.schema}.attachment SET content = (SELECT content FROM ${ledger.schema}.attachment WHERE seq = 1) WHERE seq = 3`,
    );
    expect((await reader.verify({ origin, pinned })).findings).toEqual([]);
    const detail = (name: string) => expect.stringContaining(`attachment ${name} cannot be opened`);
    expect((await ledger.verify()).findings).toEqual(
      ["facts", "body"].map((name) => ({ seq: 3, code: "attachment_mismatch", detail: detail(name) })),
    );
  } finally {
    await Promise.all([reader.close(), evidence.close(), tree.close()]);
  }
});

test("many accounts of one batch stand in one row, and several blocks beside them", async () => {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  const ids = Array.from({ length: 40 }, (_, i) => `${i}`);
  await Promise.all(ids.map((id) => change(writer, { resourceType: "User", resourceId: id })));
  const accounts = await accountsOf(ledger);
  expect(new Set(accounts.map(({ account }) => account)).size).toBe(ids.length);
  expect(new Set(accounts.map(({ key }) => key)).size).toBe(ids.length);
  expect(accounts.every(({ key }) => key.length === 66)).toBe(true);
  expect(await countRows(ledger, "data_key_account")).toBeLessThan(ids.length);
  expect(await countRows(ledger, "data_key")).toBe(3 + MARK);
  await expectSound(ledger);
});

test("a block whose proof was lost comes again with other accounts' entries, and stands there once", async () => {
  const ledger = await makeLedger(database);
  const sealer = createAttachmentSealer(testSealingKey(ledger.origin), ledger.origin, drawRandomBytes);
  // As after a commit that was not proved: nobody told the sealer that its rows are there.
  const forgetful = {
    closed: (txn: string) => sealer.closed(txn),
    mark: () => sealer.mark(),
    assertOpens: (row: Parameters<typeof sealer.assertOpens>[0]) => sealer.assertOpens(row),
    seal: (task: SealingTask) => {
      const sealed = sealer.seal(task);
      for (const block of sealed.blocks) block.isStored = false;
      return sealed;
    },
  };
  const writer = await ledger.writer({ sealer: forgetful });
  for (const id of ["1", "2", "1"]) await change(writer, { resourceType: "User", resourceId: id });
  expect(await countRows(ledger, "data_key")).toBe(1 + MARK);
  await expectSound(ledger);
});

test("attachments of an entry that were sealed under keys with a row each are opened as ever, and written on beside", async () => {
  const ledger = await makeLedger(database);
  const before = await ledger.writer();
  await passOne(before);
  await before.stop();
  const entries = await ledger.entries();
  await storeAsBefore(ledger, 5);
  expect(await ledger.entries()).toEqual(entries);
  await passOne(await ledger.writer());
  await expectSound(ledger);
  // The start looks at what was recorded last, whichever kind it is.
  await storeAsBefore(ledger, 5);
  const strange = createSealingKey([new Uint8Array(32).fill(9)], ledger.origin);
  const sealer = createAttachmentSealer(strange, ledger.origin, drawRandomBytes);
  await expect(ledger.writer({ sealer })).rejects.toThrow("cannot open what was recorded last");
  await ledger.tamper(
    `UPDATE ${ledger.schema}.attachment SET content = set_byte(content, 60, get_byte(content, 60) # 1) WHERE seq = 1`,
  );
  expect((await ledger.verify()).findings).toEqual(
    ["facts", "body"].map(() => ({ seq: 1, code: "attachment_mismatch", detail: expect.any(String) })),
  );
});

test("attachments that were sealed one by one are opened as ever, and written on beside", async () => {
  const ledger = await makeLedger(database);
  const before = await ledger.writer();
  await passOne(before);
  await before.stop();
  const entries = await ledger.entries();
  await storeAsBefore(ledger, 3);
  expect(await countRows(ledger, "attachment")).toBe(2);
  const names = ({ row }: (typeof entries)[number]) => row.attachments?.map(({ name }) => name).sort();
  const opened = await ledger.entries();
  expect(opened.map(names)).toEqual(entries.map(names));
  expect(opened[1]?.row.attachments).toEqual(
    expect.arrayContaining([...(entries[1]?.row.attachments ?? [])]),
  );
  await passOne(await ledger.writer());
  await expectSound(ledger);
  expect(await countRows(ledger, "attachment")).toBe(3);
  // Each in its own place, and the one kind of row is none of the other.
  await ledger.tamper(`UPDATE ${ledger.schema}.attachment SET name = '*' WHERE seq = 1 AND name = 'body'`);
  expect((await ledger.verify()).findings).toEqual(
    expect.arrayContaining([
      { seq: 1, code: "attachment_mismatch", detail: expect.stringContaining("not sealed as it should be") },
    ]),
  );
});

test("a row in clear is believed only if the leaf commits to it, with the key and without", async () => {
  const ledger = await makeLedger(database);
  await passOne(await ledger.writer());
  const { origin, pinned, schema } = ledger;
  const address = { connectionString: database.urls.reader, requireSync: [] };
  const timeouts = { connections: 1, timeoutMs: 30_000 };
  const opening = new LedgerReader(ledger.name, address, { ...timeouts, opener: testOpener(origin) });
  const blind = new LedgerReader(ledger.name, address, timeouts);
  try {
    const bodyBy = async (reader: LedgerReader) =>
      (await reader.page(0, 1, true)).entries[0]?.attachments?.find(({ name }) => name === "body");
    await storeAsBefore(ledger, 2);
    const put = (salt: Uint8Array, content: Uint8Array) =>
      ledger.tamper(
        `UPDATE ${schema}.attachment SET salt = '\\x${Buffer.from(salt).toString("hex")}', content = '\\x${Buffer.from(content).toString("hex")}' WHERE seq = 1 AND name = 'body'`,
      );
    const before = await bodyBy(opening);
    if (!before) throw new Error("the entry has no body");
    for (const reader of [opening, blind]) {
      const body = await bodyBy(reader);
      expect(Buffer.from(body?.content ?? []).toString()).toBe('{"userName":"ada@example.com"}');
      expect(body?.sealed).toBeUndefined();
    }
    expect((await opening.verify({ origin, pinned })).findings).toEqual([]);
    for (const salt of [before.salt, new Uint8Array(32)]) {
      await put(salt, Buffer.from('{"userName":"eve@example.com"}'));
      for (const reader of [opening, blind])
        expect(await bodyBy(reader)).toEqual({
          name: "body",
          salt: new Uint8Array(0),
          content: new Uint8Array(0),
          sealed: { isDamaged: true, detail: expect.stringContaining("not what the leaf commits to") },
        });
    }
    const findings = [{ seq: 1, code: "attachment_mismatch", detail: expect.any(String) }];
    expect((await opening.verify({ origin, pinned })).findings).toEqual(findings);
    expect((await blind.verify({ origin, pinned })).findings).toEqual(findings);
  } finally {
    await Promise.all([opening.close(), blind.close()]);
  }
});
