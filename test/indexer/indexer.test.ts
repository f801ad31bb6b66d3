// The index against the ledger it is made from: a real database, entries written by the real writer. What must hold: the
// rows say what the entries say, whenever the pages ended and however often the indexer was torn away.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newUuid } from "../../src/nodeCrypto.ts";
import type { LedgerWriter } from "../../src/storage/writer/writer.ts";
import {
  dropDatabase,
  makeDatabase,
  makeLedger,
  querySql,
  type TestDatabase,
  until,
} from "../storage/writerHarness.ts";
import {
  contentOf,
  indexAll,
  indexKeyOf,
  intentOf,
  makeIndex,
  namesIn,
  outcomeOf,
  pass,
  readerOf,
  refusalOf,
  tokenKey,
} from "./indexHarness.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await makeDatabase();
});
afterAll(() => dropDatabase(database));

const ADA = {
  schemas: ["urn:ietf:params:scim:schemas:core:2.0:User"],
  userName: "ada@example.com",
  externalId: "00u1",
  displayName: "Ada L.",
  name: { givenName: "Ada", familyName: "Lovelace" },
  emails: [{ value: "ada@example.com", type: "work" }, { value: "ada@home.example" }],
  password: "correct horse battery",
};
const group = (id: string, displayName: string, members: string[] = []) => ({
  id,
  displayName,
  members: members.map((value) => ({ value })),
});

/** A day in small: creates, changes, failures, groups, a Bulk, a refusal, an event. */
async function passDay(writer: LedgerWriter): Promise<void> {
  await pass(
    writer,
    { method: "POST", path: "/Users", body: ADA },
    { status: 201, body: { ...ADA, id: "u-1" } },
  );
  await pass(
    writer,
    { method: "POST", path: "/Users", body: ADA },
    { status: 409, body: { scimType: "uniqueness" } },
  );
  await pass(
    writer,
    {
      method: "PATCH",
      path: "/Users/u-1",
      body: { Operations: [{ op: "replace", value: { displayName: "Countess" } }] },
    },
    { status: 204 },
  );
  await pass(
    writer,
    { method: "PUT", path: "/Users/u-1", body: { userName: "refused@example.com" } },
    { status: 400, body: { detail: "no" } },
  );
  await pass(
    writer,
    { method: "POST", path: "/Groups", body: { displayName: "Engineers", members: [{ value: "u-1" }] } },
    { status: 201, body: group("g-1", "Engineers", ["u-1"]) },
  );
  await pass(
    writer,
    {
      method: "PATCH",
      path: "/Groups/g-1",
      body: {
        Operations: [
          { op: "remove", path: 'members[value eq "u-1"]' },
          { op: "add", path: "members", value: [{ value: "eve@example.com" }] },
        ],
      },
    },
    { status: 204 },
  );
  await pass(
    writer,
    {
      method: "POST",
      path: "/Bulk",
      body: {
        Operations: [
          { method: "POST", path: "/Users", bulkId: "b1", data: { userName: "bea@example.com" } },
          { method: "POST", path: "/Users", bulkId: "b2", data: { userName: "bob@example.com" } },
          {
            method: "PATCH",
            path: "/Groups/g-1",
            data: { Operations: [{ op: "add", path: "members", value: [{ value: "bulkId:b1" }] }] },
          },
          { method: "DELETE", path: "/Users/u-9" },
        ],
      },
    },
    {
      status: 200,
      body: {
        Operations: [
          { method: "PATCH", location: "https://target.example/Groups/g-1", status: "200" },
          {
            method: "POST",
            bulkId: "b1",
            location: "https://target.example/Users/u-2",
            status: "201",
            response: { id: "u-2", userName: "bea@example.com", displayName: "Bea" },
          },
          { method: "POST", bulkId: "b2", status: "409", response: { detail: "taken" } },
          { method: "DELETE", location: "https://target.example/Users/u-9", status: "204" },
        ],
      },
    },
  );
  await pass(
    writer,
    { method: "POST", path: "/Users", body: { userName: "lost@example.com" }, connector: "hr" },
    undefined,
  );
  await pass(writer, { method: "DELETE", path: "/Users/ada", connector: "hr" }, { status: 204 });
  await writer.append(refusalOf({ method: "PUT", path: "/Users/u-1", body: { id: "u-2" } }));
  await writer.append({
    body: { type: "event", event: { name: "instance-started", runtime: "v24", odd: "\u0000\ud800" } },
    attachments: [],
  });
}

describe("a day", () => {
  test("becomes rows", async () => {
    const ledger = await makeLedger(database);
    const writer = await ledger.writer();
    await passDay(writer);
    await indexAll(database, ledger);
    const content = await contentOf(database, ledger);
    const size = (await ledger.entries()).length;
    expect(content.state).toMatchObject([{ next: String(size), skipped: "0" }]);
    expect(
      content.txns.map((row) => [
        row.verb,
        row.action,
        row.resource_type,
        row.resource_id,
        row.outcome,
        row.status,
        row.account,
      ]),
    ).toMatchObject([
      ["POST", "create", "User", "u-1", "answered", 201, "okta/User/u-1"],
      [
        "POST",
        "create",
        "User",
        null,
        "answered",
        409,
        expect.stringMatching(/^okta\/User\/\?[0-9a-f-]{36}$/),
      ],
      ["PATCH", "update", "User", "u-1", "answered", 204, "okta/User/u-1"],
      ["PUT", "replace", "User", "u-1", "answered", 400, "okta/User/u-1"],
      ["POST", "create", "Group", "g-1", "answered", 201, "okta/Group/g-1"],
      ["PATCH", "update", "Group", "g-1", "answered", 204, "okta/Group/g-1"],
      ["POST", "bulk", "Bulk", null, "answered", 200, null],
      ["POST", "create", "User", null, "unknown", null, expect.stringMatching(/^hr\/User\/\?/)],
      [
        "DELETE",
        "delete",
        "User",
        tokenKey.token("id", "ada"),
        "answered",
        204,
        `hr/User/${tokenKey.token("id", "ada")}`,
      ],
      ["PUT", "replace", "User", "u-1", "refused", null, "okta/User/u-1"],
    ]);
    const entries = await ledger.entries();
    for (const row of content.txns) {
      const request = entries[Number(row.seq)];
      expect(request?.claims).toMatchObject({ txn: row.txn, connector: row.connector });
      expect(Number(row.ms)).toBe(Date.parse(request?.claims.time ?? ""));
      expect(row).toMatchObject({ client: "okta-test", method: "bearer", is_cut: false });
    }
    expect(content.txns[6]).toMatchObject({ operations: 4 });
    expect(content.txns[7]).toMatchObject({ reason: "timeout", replied: 504 });
    expect(content.txns[9]).toMatchObject({ reason: "id_mismatch", replied: 400, closed_seq: null });
    expect(Number(content.txns[0]?.duration_ms)).toBeCloseTo(12.346, 3);
    expect(content.txns[5]?.effects).toEqual(["membership-add", "membership-remove", "update"]);
    expect(content.events).toMatchObject(
      [
        { name: "ledger-opened" },
        { name: "instance-started", detail: { runtime: "v24", odd: "\ufffd\ufffd" } },
      ].slice(-content.events.length),
    );
  });

  test("finds names where they came to stand", async () => {
    const ledger = await makeLedger(database);
    const writer = await ledger.writer();
    await passDay(writer);
    await indexAll(database, ledger);
    const content = await contentOf(database, ledger);
    expect(namesIn(content, "okta/User/u-1")).toEqual([
      "displayName=Ada L.",
      "displayName=Countess",
      "email=ada@example.com",
      "email=ada@home.example",
      "externalId=00u1",
      "formattedName=Ada Lovelace",
      "userName=ada@example.com",
    ]);
    const [, again, , refused] = content.txns;
    expect(namesIn(content, String(again?.account))).toContain("userName=ada@example.com");
    expect(namesIn(content, `okta/User/?${refused?.txn}`)).toEqual(["userName=refused@example.com"]);
    expect(namesIn(content, "okta/Group/g-1")).toEqual(["displayName=Engineers"]);
    expect(namesIn(content, "okta/User/u-2")).toEqual(["displayName=Bea", "userName=bea@example.com"]);
    expect(namesIn(content, `okta/User/?${content.txns[6]?.txn}/1`)).toEqual(["userName=bob@example.com"]);
    expect(namesIn(content, `hr/User/?${content.txns[7]?.txn}`)).toEqual(["userName=lost@example.com"]);
  });

  test("says who was touched as what, and how often changed", async () => {
    const ledger = await makeLedger(database);
    const writer = await ledger.writer();
    await passDay(writer);
    await indexAll(database, ledger);
    const content = await contentOf(database, ledger);
    const seqs = content.txns.map((row) => Number(row.seq));
    const eve = tokenKey.token("id", "eve@example.com");
    expect(content.touches).toEqual(
      expect.arrayContaining([
        `${seqs[4]} m okta/User/u-1`,
        `${seqs[4]} s okta/Group/g-1`,
        `${seqs[5]} m okta/User/${eve}`,
        `${seqs[5]} m okta/User/u-1`,
        `${seqs[6]} m okta/User/u-2`,
        `${seqs[6]} s okta/Group/g-1`,
        `${seqs[6]} s okta/User/u-2`,
        `${seqs[6]} s okta/User/u-9`,
      ]),
    );
    const of = (account: string) => content.accounts.find((row) => row.account === account);
    expect(of("okta/User/u-1")).toMatchObject({
      first_seq: String(seqs[0]),
      last_seq: String(seqs[9]),
      changes: 2,
    });
    expect(of("okta/Group/g-1")).toMatchObject({ changes: 3 });
    expect(of(`okta/User/${eve}`)).toMatchObject({ changes: 0 });
  });

  test("leaves nothing personal in clear", async () => {
    const ledger = await makeLedger(database);
    const writer = await ledger.writer();
    await passDay(writer);
    await indexAll(database, ledger);
    const { schema } = ledger;
    const tables = ["index_state", "account", "account_name", "txn", "txn_account", "event"];
    const dump = JSON.stringify(
      await Promise.all(
        tables.map((table) => querySql(database.urls.superuser, `SELECT t::text FROM ${schema}.${table} t`)),
      ),
    ).toLowerCase();
    expect(dump).toContain("u-1");
    for (const word of [
      "lovelace",
      "countess",
      "@example.com",
      "@home.example",
      "engineers",
      "lost@example",
    ]) {
      expect(dump).not.toContain(word);
      // A bytea shows as hexadecimal.
      expect(dump).not.toContain(Buffer.from(word).toString("hex"));
      expect(dump).not.toContain(Buffer.from(word, "utf16le").toString("hex"));
    }
  });
});

test("a Bulk of a thousand operations, too many for a leaf", async () => {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  const numbers = Array.from({ length: 1_000 }, (_, index) => index);
  await pass(
    writer,
    {
      method: "POST",
      path: "/Bulk",
      body: {
        Operations: numbers.map((n) => ({
          method: "POST",
          path: "/Users",
          bulkId: `b${n}`,
          data: { userName: `user${n}@example.com`, displayName: `User Number ${n}` },
        })),
      },
    },
    {
      status: 200,
      body: {
        Operations: numbers.map((n) => ({
          method: "POST",
          bulkId: `b${n}`,
          status: "201",
          response: { id: `u-${n}`, externalId: `ext-${n}` },
        })),
      },
    },
  );
  await indexAll(database, ledger);
  const content = await contentOf(database, ledger);
  expect(content.txns).toMatchObject([{ action: "bulk", operations: 1_000, is_cut: false }]);
  expect(content.accounts.length).toBe(1_000);
  expect(content.names.length).toBe(3_000);
  expect(namesIn(content, "okta/User/u-999")).toEqual([
    "displayName=User Number 999",
    "externalId=ext-999",
    "userName=user999@example.com",
  ]);
});

describe("the same index, whatever happened on the way", () => {
  test("in pages of one entry, anew, and behind the writer", async () => {
    const ledger = await makeLedger(database);
    const writer = await ledger.writer();
    // Beside the day: it looks at every entry as soon as it is there.
    const { indexer } = makeIndex(database, ledger, { indexer: { pollMs: 1 } });
    indexer.start();
    await passDay(writer);
    const size = (await ledger.entries()).length;
    await until(() => indexer.position().next === size, "the day is indexed");
    await indexer.stop();
    const behind = await contentOf(database, ledger);
    const reader = readerOf(database, ledger);
    const empty = () => ledger.sql(`DELETE FROM ${ledger.schema}.index_state`);
    await empty();
    await indexAll(database, ledger, {
      indexer: {
        reader: { page: (after, _limit, withAttachments) => reader.page(after, 1, withAttachments) },
      },
    });
    const single = await contentOf(database, ledger);
    await empty();
    await indexAll(database, ledger);
    const whole = await contentOf(database, ledger);
    expect(single).toEqual(whole);
    expect(behind).toEqual(whole);
    expect(whole.txns.length).toBe(10);
  });

  test("in pages as large as the bodies allow", async () => {
    const ledger = await makeLedger(database);
    const writer = await ledger.writer();
    const large = { ...ADA, note: "n".repeat(900_000) };
    for (let n = 0; n < 12; n++) {
      await pass(writer, { method: "PUT", path: `/Users/u-${n}`, body: large }, { status: 204 });
    }
    const reader = readerOf(database, ledger);
    const sizes: number[] = [];
    const page: typeof reader.page = async (after, limit, withAttachments) => {
      const read = await reader.page(after, limit, withAttachments);
      if (withAttachments)
        sizes.push(
          read.entries
            .flatMap(({ attachments }) => attachments ?? [])
            .reduce((sum, { content }) => sum + content.length, 0),
        );
      return read;
    };
    await indexAll(database, ledger, { indexer: { reader: { page } } });
    expect(sizes.length).toBe(2);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(8 * 1024 * 1024);
    expect((await contentOf(database, ledger)).txns.length).toBe(12);
  });

  test("torn away in the middle of batches, at every table", async () => {
    const ledger = await makeLedger(database);
    const writer = await ledger.writer();
    for (let round = 0; round < 3; round++) await passDay(writer);
    const size = (await ledger.entries()).length;
    const { schema } = ledger;
    const tables = ["account", "account_name", "txn", "txn_account", "event", "index_state"];
    // The server ends the session behind these of its statements; what it had written goes with it.
    await ledger.sql(
      `CREATE SEQUENCE ${schema}.statements;
       CREATE FUNCTION ${schema}.tear() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
         IF nextval('${schema}.statements') IN (2, 4, 7, 11, 16, 22, 29, 37) THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
         RETURN NULL;
       END $$;
       ${tables.map((table) => `CREATE TRIGGER tear AFTER INSERT OR UPDATE ON ${schema}.${table} FOR EACH STATEMENT EXECUTE FUNCTION ${schema}.tear();`).join("\n")}`,
    );
    const { indexer, writer: index } = makeIndex(database, ledger, { indexer: { retryMs: 1 } });
    indexer.start();
    await until(() => indexer.position().next === size, "all is indexed", 20_000);
    await indexer.stop();
    expect(index.mark.next).toBe(size);
    const [statements] = await querySql(
      database.urls.superuser,
      `SELECT last_value FROM ${schema}.statements`,
    );
    expect(Number(statements?.last_value)).toBeGreaterThan(37);
    const torn = await contentOf(database, ledger);
    await ledger.sql(
      [
        ...tables.map((table) => `DROP TRIGGER tear ON ${schema}.${table}`),
        `DELETE FROM ${schema}.index_state`,
      ].join("; "),
    );
    await indexAll(database, ledger);
    expect(torn).toEqual(await contentOf(database, ledger));
  });

  test("stopped between a request and its outcome", async () => {
    const ledger = await makeLedger(database);
    const writer = await ledger.writer();
    const intents = [
      await writer.append(intentOf({ method: "POST", path: "/Users", body: ADA })),
      await writer.append(
        intentOf({ method: "POST", path: "/Users", body: { userName: "second@example.com" } }),
      ),
    ];
    await indexAll(database, ledger);
    const open = await contentOf(database, ledger);
    expect(open.txns.map((row) => [row.outcome, row.account])).toEqual(
      intents.map(({ draft }) => [null, `okta/User/?${draft.body.txn}`]),
    );
    expect(namesIn(open, `okta/User/?${intents[1]?.draft.body.txn}`)).toEqual([
      "userName=second@example.com",
    ]);
    for (const [index, intent] of intents.entries()) {
      const told = index === 0 ? { status: 201, body: { ...ADA, id: "u-1" } } : { status: 409, body: {} };
      await writer.append(outcomeOf(intent, told));
    }
    await indexAll(database, ledger);
    const closed = await contentOf(database, ledger);
    expect(closed.accounts.map((row) => row.account)).toEqual([
      `okta/User/?${intents[1]?.draft.body.txn}`,
      "okta/User/u-1",
    ]);
    expect(closed.accounts[1]).toMatchObject({ changes: 1 });
    await ledger.sql(`DELETE FROM ${ledger.schema}.index_state`);
    await indexAll(database, ledger);
    expect(closed).toEqual(await contentOf(database, ledger));
  });
});

describe("what begins anew", () => {
  test("an index under another key", async () => {
    const ledger = await makeLedger(database);
    const writer = await ledger.writer();
    await passDay(writer);
    await indexAll(database, ledger);
    const before = await contentOf(database, ledger);
    await indexAll(database, ledger, { key: indexKeyOf(2) });
    const after = await contentOf(database, ledger, indexKeyOf(2));
    expect(namesIn(after, "okta/User/u-1")).toEqual(namesIn(before, "okta/User/u-1"));
    const tokens = (content: typeof before) => new Set(content.names.map((row) => row.tokens));
    expect([...tokens(after)].filter((text) => tokens(before).has(text))).toEqual([]);
  });

  test("the index of a ledger that was put back to an earlier state", async () => {
    const ledger = await makeLedger(database);
    const writer = await ledger.writer();
    await passDay(writer);
    await indexAll(database, ledger);
    const size = (await ledger.entries()).length;
    await writer.stop();
    await ledger.tamper(
      ["entry", "attachment"]
        .map((table) => `DELETE FROM ${ledger.schema}.${table} WHERE seq >= ${size - 4}`)
        .join(";"),
    );
    await indexAll(database, ledger);
    const content = await contentOf(database, ledger);
    expect(content.state).toMatchObject([{ next: String(size - 4) }]);
    expect(content.txns.every((row) => Number(row.seq) < size - 4)).toBe(true);
  });
});

describe("two instances", () => {
  test("one indexes, the other takes its place", async () => {
    const ledger = await makeLedger(database);
    const writer = await ledger.writer();
    await passDay(writer);
    const size = (await ledger.entries()).length;
    const first = makeIndex(database, ledger);
    first.indexer.start();
    await until(() => first.indexer.position().state === "caught_up", "the first has caught up");
    const second = makeIndex(database, ledger);
    second.indexer.start();
    await until(() => second.indexer.position().state === "standby", "the second waits");
    await pass(writer, { method: "DELETE", path: "/Users/u-1" }, { status: 204 });
    await until(() => first.indexer.position().next === size + 2, "the first goes on");
    expect(second.indexer.position().state).toBe("standby");
    await first.indexer.stop();
    await until(() => second.indexer.position().next === size + 2, "the second has the place");
    await pass(writer, { method: "DELETE", path: "/Users/u-2" }, { status: 204 });
    await until(() => second.indexer.position().next === size + 4, "the second goes on");
    const content = await contentOf(database, ledger);
    expect(content.txns.length).toBe(12);
  });
});

describe("what somebody did to the ledger", () => {
  test("rows that cannot be read are counted and passed by", async () => {
    const ledger = await makeLedger(database);
    const writer = await ledger.writer();
    await passDay(writer);
    const entries = await ledger.entries();
    const seqOf = (type: string, nth: number) =>
      entries.filter(({ claims }) => claims.type === type)[nth]?.row.seq;
    const { schema } = ledger;
    await writer.stop();
    await ledger.tamper(
      [
        // A leaf that is none; then its outcome belongs to nothing.
        `UPDATE ${schema}.entry SET leaf = 'rubbish' WHERE seq = ${seqOf("request", 0)}`,
        // A gap.
        `DELETE FROM ${schema}.entry WHERE seq = ${seqOf("response", 1)}`,
        // Attachments that nobody can open.
        `UPDATE ${schema}.attachment SET content = '\\x7b22ff' WHERE seq >= ${seqOf("request", 2)}`,
        // A request a second time.
        `UPDATE ${schema}.entry SET leaf = (SELECT leaf FROM ${schema}.entry WHERE seq = ${seqOf("request", 3)}) WHERE seq = ${seqOf("request", 5)}`,
      ].join(";"),
    );
    await indexAll(database, ledger);
    const content = await contentOf(database, ledger);
    // The leaf, its outcome, the second request, the outcome of the one it stands in place of.
    expect(content.state).toMatchObject([{ skipped: "4" }]);
    expect(content.txns.length).toBe(8);
    const cut = content.txns.filter((row) => row.is_cut).map((row) => Number(row.seq));
    expect(cut).toEqual(content.txns.slice(1).map((row) => Number(row.seq)));
    expect(content.txns.filter((row) => row.outcome === null).map((row) => Number(row.seq))).toEqual([
      seqOf("request", 1),
    ]);
  });

  test("attachments that are no JSON give no names, and the transaction is there", async () => {
    const ledger = await makeLedger(database);
    const writer = await ledger.writer();
    const garbage = (bytes: string | Buffer) =>
      ["facts", "body", "operations"].map((name) => ({
        name,
        mediaType: "application/json",
        bytes: Buffer.from(bytes),
      }));
    const kinds = [
      "",
      "null",
      "[]",
      '{"userName":7,"emails":{},"operations":[1]}',
      "[".repeat(100_000),
      Buffer.from([0x7b, 0xff]),
    ];
    for (const bytes of kinds) {
      for (const path of ["/Users", "/Bulk"]) {
        const intent = await writer.append({
          ...intentOf({ method: "POST", path, body: {} }),
          attachments: garbage(bytes),
        });
        const outcome = outcomeOf(intent, { status: 201, body: { id: "u-1" } });
        await writer.append({ ...outcome, attachments: garbage(bytes) });
      }
    }
    await indexAll(database, ledger);
    const content = await contentOf(database, ledger);
    expect(content.txns.length).toBe(2 * kinds.length);
    expect(content.txns.every((row) => row.outcome === "answered")).toBe(true);
    expect(content.names).toEqual([]);
    expect(content.state).toMatchObject([{ skipped: "0" }]);
  });

  test("names that differ in lone surrogates only hide nothing", async () => {
    const ledger = await makeLedger(database);
    const writer = await ledger.writer();
    const emails = [{ value: "a\ud800" }, { value: "a\ud801" }];
    const body = { userName: "x\ud800", emails };
    const txn = await pass(
      writer,
      { method: "POST", path: "/Users", body },
      { status: 201, body: { userName: "x\ufffd", emails: [{ value: "a\udc00" }], id: "u-1" } },
    );
    const refused = await pass(writer, { method: "POST", path: "/Users", body }, { status: 409, body: {} });
    const operation = { method: "POST", path: "/Users", bulkId: "b", data: body };
    await pass(
      writer,
      { method: "POST", path: "/Bulk", body: { Operations: [operation] } },
      {
        status: 200,
        body: {
          Operations: [
            {
              method: "POST",
              bulkId: "b",
              status: "201",
              response: { ...body, id: "u-2" },
              location: "/Users/u-2",
            },
          ],
        },
      },
    );
    const faults: object[] = [];
    const log = { info() {}, warn() {}, error: (fields: object) => faults.push(fields) };
    await indexAll(database, ledger, { indexer: { log } });
    const content = await contentOf(database, ledger);
    expect([content.state, faults]).toMatchObject([[{ skipped: "0" }], []]);
    expect(content.txns.map((row) => [row.outcome, row.is_cut])).toEqual(Array(3).fill(["answered", false]));
    for (const account of ["u-1", `?${refused}`, "u-2"])
      expect(namesIn(content, `okta/User/${account}`)).toEqual(["email=a\ufffd", "userName=x\ufffd"]);
    expect(content.txns[0]).toMatchObject({ txn, account: "okta/User/u-1" });
  });

  test("what the tables do not take of an entry is left out, and the transaction is there", async () => {
    const ledger = await makeLedger(database);
    const writer = await ledger.writer();
    // Constraints stand for whatever the tables refuse of data that nobody foresaw.
    const refuse = (table: string) =>
      ledger.sql(`ALTER TABLE ${ledger.schema}.${table} ADD CONSTRAINT refused CHECK (false) NOT VALID`);
    const member = { op: "add", path: "members", value: [{ value: "u-1" }] };
    const write = async () => {
      await pass(
        writer,
        { method: "POST", path: "/Users", body: ADA },
        { status: 201, body: { ...ADA, id: "u-1" } },
      );
      await pass(
        writer,
        { method: "PATCH", path: "/Groups/g-1", body: { Operations: [member] } },
        { status: 204 },
      );
    };
    const faults: string[] = [];
    const log = { info() {}, warn() {}, error: (_: object, message: string) => faults.push(message) };
    await refuse("account_name");
    await write();
    await indexAll(database, ledger, { indexer: { log } });
    const nameless = await contentOf(database, ledger);
    expect(nameless.txns.map((row) => [row.outcome, row.account, row.is_cut])).toEqual([
      ["answered", "okta/User/u-1", true],
      ["answered", "okta/Group/g-1", false],
    ]);
    expect([nameless.names, nameless.state]).toMatchObject([[], [{ skipped: "0" }]]);
    await refuse("txn_account");
    await write();
    await indexAll(database, ledger, { indexer: { log } });
    const bare = await contentOf(database, ledger);
    expect(bare.txns.slice(2).map((row) => [row.outcome, row.resource_id, row.account, row.is_cut])).toEqual([
      ["answered", "u-1", null, true],
      ["answered", "g-1", null, true],
    ]);
    expect([bare.touches, bare.state]).toMatchObject([nameless.touches, [{ skipped: "0" }]]);
    expect(new Set(faults)).toEqual(new Set(["an entry is indexed without its names"]));
  });

  test("a leaf that no table can hold does not stop the others", async () => {
    const ledger = await makeLedger(database);
    const writer = await ledger.writer();
    const refused = newUuid();
    await pass(writer, { method: "DELETE", path: "/Users/u-1" }, { status: 204 });
    await pass(writer, { method: "DELETE", path: "/Users/u-2", txn: refused }, { status: 204 });
    await pass(writer, { method: "DELETE", path: "/Users/u-3" }, { status: 204 });
    // Stands for whatever the tables refuse of data that nobody foresaw.
    await ledger.sql(`ALTER TABLE ${ledger.schema}.txn ADD CONSTRAINT refused CHECK (txn <> '${refused}')`);
    const faults: object[] = [];
    const log = { info() {}, warn() {}, error: (fields: object) => faults.push(fields) };
    await indexAll(database, ledger, { indexer: { log } });
    const content = await contentOf(database, ledger);
    expect(content.txns.map((row) => row.resource_id)).toEqual(["u-1", "u-3"]);
    expect(content.state).toMatchObject([{ skipped: "2" }]);
    expect(faults).toMatchObject([{ error: "23514" }]);
  });
});
