// The names of what a Bulk's operations are about, beside the record itself; and whose name it is where a user and a group
// have the same id.

import type { Server } from "node:http";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { operations } from "../../../src/audit/api.ts";
import { IndexNotReadyError } from "../../../src/storage/search/indexSession.ts";
import { pass } from "../../indexer/indexHarness.ts";
import { dropDatabase, makeDatabase, type TestDatabase } from "../../storage/writerHarness.ts";
import { get, serve } from "../harness.ts";
import { group, join, makeSearched, type SearchedLedger } from "../search/searchLedger.ts";

const SCHEMAS = ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"];

let database: TestDatabase;
let ledger: SearchedLedger;
let server: Server;
let few: string;
let many: string;

beforeAll(async () => {
  database = await makeDatabase();
  ledger = await makeSearched(database, "named");
  await ledger.write(async (writer) => {
    await join(writer, { id: "u-1", userName: "ada@example.com" });
    await join(writer, { id: "7", userName: "seven@example.com" });
    await group(writer, "7", "Group seven", "u-1");
    await group(writer, "g-1", "Crew", "7");
    await group(writer, "8", "Nested", "u-1");
    await group(writer, "g-2", "Outer", "8");
    // Another tenant's, whose name is not for this one.
    await join(writer, { id: "u-other", userName: "other@example.com" }, "entra");
    const data = { Operations: [{ op: "replace", path: "active", value: false }] };
    const paths = ["/Users/7", "/Groups/7", "/Users/u-other"];
    const sent = [
      ...paths.map((path) => ({ method: "PATCH", path, data })),
      { method: "POST", path: "/Users", bulkId: "n", data: { userName: "new@example.com" } },
    ];
    const told = [
      ...paths.map((location) => ({ method: "PATCH", location, status: "204" })),
      { method: "POST", bulkId: "n", location: "/Users/n-1", status: "201" },
    ];
    const bulk = (Operations: object[]) => ({
      method: "POST",
      path: "/Bulk",
      body: { schemas: SCHEMAS, Operations },
    });
    few = await pass(writer, bulk(sent), { status: 200, body: { Operations: told } });
    const deleted = Array.from({ length: 300 }, (_, n) => (n === 299 ? "/Users/u-1" : `/Users/many-${n}`));
    many = await pass(writer, bulk(deleted.map((path) => ({ method: "DELETE", path }))), {
      status: 200,
      body: { Operations: deleted.map((location) => ({ method: "DELETE", location, status: "404" })) },
    });
  });
  await ledger.index();
  server = serve([ledger]).server;
});
afterAll(async () => {
  await ledger.close();
  await dropDatabase(database);
});

async function transaction(txn: string, query = "") {
  const { body } = await get(server, `/audit/v1/ledgers/named/transactions/${txn}${query}`).expect(200);
  operations.find(({ id }) => id === "getTransaction")?.answer?.parse(body);
  return body;
}

test("a Bulk's operations have the names of what they are about, by type and id, and no other connector's", async () => {
  const own = { "User/7": "seven@example.com", "Group/7": "Group seven", "User/n-1": "new@example.com" };
  expect((await transaction(few)).names).toEqual(own);
  expect((await transaction(few, "?include=attachments")).names).toEqual(own);
});

test("a Bulk of more operations than a leaf holds has their names where they are shown", async () => {
  expect((await transaction(many)).names).toEqual({});
  expect((await transaction(many, "?include=attachments")).names).toEqual({ "User/u-1": "ada@example.com" });
});

test("a Bulk is shown without names while the index cannot be asked", async () => {
  const asked = vi
    .spyOn(ledger.audit.accounts, "namesOf")
    .mockRejectedValue(new IndexNotReadyError("made anew"));
  const { state, names } = await transaction(few);
  asked.mockRestore();
  expect([state, names]).toEqual(["closed", {}]);
});

test("a member whose id is a user's and a group's has the user's name; one that is only a group's has that", async () => {
  const namesIn = async (id: string) =>
    (await get(server, `/audit/v1/accounts/Group/${id}`).expect(200)).body.names;
  expect(await namesIn("g-1")).toEqual({ "7": "seven@example.com" });
  expect(await namesIn("g-2")).toEqual({ "8": "Nested" });
  const { body } = await get(server, "/audit/v1/groups/g-1/members").expect(200);
  expect(body.members).toMatchObject([{ id: "7", name: "seven@example.com" }]);
});
