// Before an account's first create: where the ledger shows that it was new then, it did not exist; else nobody knows.

import type { Server } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import { operations } from "../../../src/audit/api.ts";
import { intentOf, outcomeOf, pass } from "../../indexer/indexHarness.ts";
import { dropDatabase, makeDatabase, type TestDatabase } from "../../storage/writerHarness.ts";
import { get, serve } from "../harness.ts";
import { group, join, leave, makeSearched, type SearchedLedger } from "../search/searchLedger.ts";

const BULK = ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"];

let database: TestDatabase;
let ledger: SearchedLedger;
let server: Server;
/** Entries before each account's create, and the seq of its request and its outcome. */
const createdAt = new Map<string, { opened: number; closed: number }>();

beforeAll(async () => {
  database = await makeDatabase();
  ledger = await makeSearched(database, "before");
  await ledger.write(async (writer) => {
    const create = async (path: string, id: string, status = 201) => {
      const body = path === "/Users" ? { userName: `${id}@example.com` } : { displayName: id };
      const intent = await writer.append(intentOf({ method: "POST", path, body }));
      const outcome = await writer.append(outcomeOf(intent, { status, body: { ...body, id } }));
      createdAt.set(id, { opened: intent.seq, closed: outcome.seq });
    };
    await group(writer, "g-0", "Named before", "u-member");
    await leave(writer, "u-patched");
    await pass(writer, { method: "GET", path: "/Users/u-read" }, { status: 404, body: {} });
    for (const id of ["u-new", "u-member", "u-patched", "u-read", "7"]) await create("/Users", id);
    await create("/Users", "u-200", 200);
    await create("/Groups", "g-new");
    await join(writer, { id: "u-new", userName: "again@example.com" });
    const sent = [
      { method: "POST", path: "/Users", bulkId: "a", data: { userName: "bulk-a@example.com" } },
      { method: "POST", path: "/Users", bulkId: "b", data: { userName: "bulk-b@example.com" } },
    ];
    const told = [
      { method: "POST", bulkId: "a", location: "/Users/bulk-201", status: "201" },
      { method: "POST", bulkId: "b", location: "/Users/bulk-200", status: "200" },
    ];
    const intent = await writer.append(
      intentOf({ method: "POST", path: "/Bulk", body: { schemas: BULK, Operations: sent } }),
    );
    const outcome = await writer.append(outcomeOf(intent, { status: 200, body: { Operations: told } }));
    for (const id of ["bulk-201", "bulk-200"]) createdAt.set(id, { opened: intent.seq, closed: outcome.seq });
  });
  await ledger.index();
  server = serve([ledger]).server;
});
afterAll(async () => {
  await ledger.close();
  await dropDatabase(database);
});

async function at(id: string, moment: string) {
  const { body } = await get(
    server,
    `/audit/v1/accounts/${id.startsWith("g-") ? "Group" : "User"}/${id}?at=${moment}`,
  ).expect(200);
  operations.find((one) => one.id === "getAccount")?.answer?.parse(body);
  const { exists, state, unknown } = body as { exists: string; state: unknown; unknown: string[] };
  return { exists, state, unknown };
}

const NOT_YET = { exists: "no", state: null, unknown: [] };
const NOBODY_KNOWS = { exists: "unknown", state: null, unknown: ["*"] };

function placesOf(id: string) {
  const found = createdAt.get(id);
  if (!found) throw new Error(`no ${id} was made`);
  return found;
}

test.each(["u-new", "7", "g-new", "bulk-201"])(
  "%s did not exist before the create that was answered with 201",
  async (id) => {
    const { opened, closed } = placesOf(id);
    expect(await at(id, `seq:${opened - 1}`)).toEqual(NOT_YET);
    expect(await at(id, "2001-01-01")).toEqual(NOT_YET);
    // Under way, it may be made already.
    expect((await at(id, `seq:${opened}`)).exists).toBe("unknown");
    expect((await at(id, `seq:${closed}`)).exists).toBe("yes");
  },
);

test.each(["u-member", "u-patched", "u-read", "u-200", "bulk-200"])(
  "%s may have existed: the answer was no 201, or an earlier entry says its id",
  async (id) => {
    expect(await at(id, "2001-01-01")).toEqual(NOBODY_KNOWS);
    expect((await at(id, "seq:99999")).exists).toBe("yes");
  },
);

test("a group that was not made yet has no members, and no others that the ledger never heard of", async () => {
  const { opened } = placesOf("g-new");
  const members = async (id: string, moment: string) => {
    const { body } = await get(server, `/audit/v1/groups/${id}/members?at=${moment}`).expect(200);
    return [body.exists, body.members, body.isWhole];
  };
  expect(await members("g-new", `seq:${opened - 1}`)).toEqual(["no", [], true]);
});

test("what is not told of the whole history is not told: of a history that is cut, nobody knows", async () => {
  const { accounts } = ledger.audit;
  const transactionsOf = accounts.transactionsOf.bind(accounts);
  // As if so many had come since that the first are not looked at.
  accounts.transactionsOf = async (account, limit) => (await transactionsOf(account, limit)).slice(1);
  try {
    expect(await at("u-new", "2001-01-01")).toEqual(NOBODY_KNOWS);
  } finally {
    accounts.transactionsOf = transactionsOf;
  }
});
