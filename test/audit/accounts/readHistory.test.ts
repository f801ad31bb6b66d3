// Histories from a real ledger: how much of them is read at most, and that an index somebody changed shows nobody the
// bodies of another connector.

import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { readHistory } from "../../../src/audit/accounts/readHistory.ts";
import { indexVersion } from "../../../src/indexer/indexer.ts";
import { createIndexKey } from "../../../src/keys/indexKey.ts";
import { recordedId } from "../../../src/proxy/draft.ts";
import { AccountReader, type AccountSummary } from "../../../src/storage/accounts/accountReader.ts";
import { connectors, pass } from "../../indexer/indexHarness.ts";
import { dropDatabase, makeDatabase, runSql, type TestDatabase } from "../../storage/writerHarness.ts";
import { testOpener, testSealingKey } from "../../support/sealing.ts";
import { get, makeAuditor, serve } from "../harness.ts";
import { group, join, leave, makeSearched, type SearchedLedger } from "../search/searchLedger.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await makeDatabase();
});
afterAll(() => dropDatabase(database));

let count = 0;
async function makeDesk(): Promise<SearchedLedger & { accounts: AccountReader }> {
  const ledger = await makeSearched(database, `history${++count}`);
  const key = createIndexKey(testSealingKey(ledger.origin).derive);
  const accounts = new AccountReader(
    ledger.name,
    { connectionString: database.urls.reader, requireSync: [] },
    {
      opener: {
        version: indexVersion(key.id),
        token: key.token,
        open: key.open,
        recordedIds: (id) => Object.values(connectors).map((context) => recordedId(context, id)),
      },
      attachments: testOpener(ledger.origin),
      connections: 2,
      timeoutMs: 5_000,
    },
  );
  onTestFinished(async () => {
    await Promise.all([accounts.close(), ledger.close()]);
  });
  Object.assign(ledger.audit, { accounts });
  return Object.assign(ledger, { accounts });
}

async function accountOf(accounts: AccountReader, type: string, id: string): Promise<AccountSummary> {
  const [account] = await accounts.byId(type, id, undefined);
  if (!account) throw new Error(`there is no ${type} ${id}`);
  return account;
}

test("the newest transactions are read whole, until there are enough bytes", async () => {
  const { accounts, write, index } = await makeDesk();
  await write(async (writer) => {
    await join(writer, { id: "u-1", userName: "a".repeat(20_000) });
    for (let n = 0; n < 4; n++) await leave(writer, "u-1");
  });
  await index();
  const account = await accountOf(accounts, "User", "u-1");
  const places = await accounts.transactionsOf(account.account, 100);
  expect(places).toHaveLength(5);
  const newest = [...places].reverse();
  const one = (await accounts.entriesAt(newest.slice(0, 1), 1e9)).bytes;
  expect(one).toBeGreaterThan(50);
  const read = async (bytes: number) => {
    const { rows, taken } = await accounts.entriesAt(newest, bytes);
    return { rows: rows.size, taken };
  };
  // Something is always read, and never half a transaction.
  expect(await read(0)).toEqual({ rows: 2, taken: 1 });
  expect(await read(2 * one - 1)).toEqual({ rows: 2, taken: 1 });
  expect(await read(2 * one)).toEqual({ rows: 4, taken: 2 });
  expect(await read(1e9)).toEqual({ rows: 10, taken: 5 });
  expect(await accounts.entriesAt([], 1e9)).toEqual({ rows: new Map(), taken: 0, bytes: 0 });

  const history = async (bytes: number) => {
    const allowance = { bytes };
    const { happenings, isCut } = await readHistory({ accounts }, "okta", places, allowance);
    return { seqs: happenings.map(({ seq }) => seq), isCut, left: allowance.bytes };
  };
  const seqs = places.map(({ seq }) => seq);
  expect(await history(4 * one)).toEqual({ seqs: seqs.slice(1), isCut: true, left: 0 });
  expect(await history(0)).toEqual({ seqs: [], isCut: true, left: 0 });
  // The last may be more than what is left.
  const all = await history(4 * one + 1);
  expect([all.seqs, all.isCut, all.left < 0]).toEqual([seqs, false, true]);
});

test("an index that was changed shows nobody what another connector did", async () => {
  const ledger = await makeDesk();
  const { accounts, write, index, name } = ledger;
  await write(async (writer) => {
    await join(writer, { id: "u-1", userName: "ada@example.com" });
    await join(writer, { id: "u-2", userName: "secret@hr.example", displayName: "Secret" }, "hr");
    await group(writer, "g-1", "Engineering", "u-1");
  });
  await index();
  const { server, context, errors } = serve([ledger]);
  onTestFinished(() => expect(errors).toEqual([]));
  context.authenticate = () => makeAuditor("okta-only", { connectors: new Set(["okta"]) });
  const ask = async (path: string) => (await get(server, `/audit/v1/${path}`).expect(200)).body;
  const before = await ask("accounts/User/u-1");
  expect([before.changes.length, before.state.userName, before.memberships.length]).toEqual([
    1,
    "ada@example.com",
    1,
  ]);
  await get(server, "/audit/v1/accounts/User/u-2").expect(404);

  // The account of another connector is said to be ours, and so are its transactions.
  const schema = `ledger_${name}`;
  await runSql(
    database.urls.superuser,
    `UPDATE ${schema}.account SET connector = 'okta' WHERE connector = 'hr'; UPDATE ${schema}.txn SET connector = 'okta' WHERE connector = 'hr'`,
  );
  const user = await ask("accounts/User/u-2");
  expect([user.changes, user.state, user.exists]).toEqual([[], null, "unknown"]);
  // Its transaction is hung on our account.
  const [own, foreign] = [await accountOf(accounts, "User", "u-1"), await accountOf(accounts, "User", "u-2")];
  await runSql(
    database.urls.superuser,
    `UPDATE ${schema}.txn_account SET account = ${own.account} WHERE account = ${foreign.account}`,
  );
  const after = await ask("accounts/User/u-1");
  expect(after.changes.map(({ seq }: { seq: number }) => seq)).toEqual([before.changes[0].seq]);
  expect(after.state).toEqual(before.state);
  // And our group is said to be theirs.
  await runSql(database.urls.superuser, `UPDATE ${schema}.account SET connector = 'hr' WHERE type = 'Group'`);
  expect((await ask("accounts/User/u-1")).memberships).toEqual([]);
  context.authenticate = () => makeAuditor("hr-only", { connectors: new Set(["hr"]) });
  const members = await ask("groups/g-1/members");
  expect([members.members, members.exists]).toEqual([[], "unknown"]);
});

test("of a group's transactions only those are read for one member that may say something about it", async () => {
  const { accounts, write, index } = await makeDesk();
  const remove = (path: string, value?: object[]) => ({ op: "remove", path, ...(value && { value }) });
  const patches: Record<string, object[]> = {
    "adds another": [{ op: "add", path: "members", value: [{ value: "u-2" }] }],
    "removes another": [remove('members[value eq "u-2"]')],
    "removes both": [remove("members", [{ value: "u-1" }, { value: "u-2" }])],
    "removes another, and some": [remove('members[value eq "u-2"]'), remove('members[display co "a"]')],
    "removes all but one": [remove('members[not (value eq "u-2")]')],
    "removes whom nobody can read": [remove("members", [{ value: "u-2" }, { display: "Ada" }])],
    "removes all": [remove("members")],
    renames: [{ op: "replace", path: "displayName", value: "Engineers" }],
  };
  await write(async (writer) => {
    await join(writer, { id: "u-1", userName: "ada@example.com" });
    await group(writer, "g-1", "Engineering", "u-1");
    for (const Operations of Object.values(patches)) {
      const body = { schemas: ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], Operations };
      await pass(writer, { method: "PATCH", path: "/Groups/g-1", body }, { status: 204, body: undefined });
    }
  });
  await index();
  const [user, its] = [await accountOf(accounts, "User", "u-1"), await accountOf(accounts, "Group", "g-1")];
  const all = await accounts.transactionsOf(its.account, 100);
  const names = ["creates", ...Object.keys(patches)];
  expect(all).toHaveLength(names.length);
  const read = new Set((await accounts.membershipTransactions(its, user, 100)).map(({ seq }) => seq));
  expect(names.filter((_, at) => read.has(all[at]?.seq ?? -1))).toEqual([
    "creates",
    "removes both",
    "removes another, and some",
    "removes all but one",
    "removes whom nobody can read",
    "removes all",
  ]);
  // What stands for everybody is nobody's account.
  const { accounts: listed } = await accounts.find({}, { after: undefined, limit: 100 });
  expect(listed.map(({ ref }) => ref).sort()).toEqual(["g-1", "u-1", "u-2"]);
});
