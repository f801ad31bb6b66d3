// A Bulk as the desk shows it: its row by what became of its operations, the timeline of each account by its own, the names
// of members beside their ids, and no account where the target said that there is none.

import type { Server } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import { operations } from "../../../src/audit/api.ts";
import { pass } from "../../indexer/indexHarness.ts";
import { dropDatabase, makeDatabase, type TestDatabase } from "../../storage/writerHarness.ts";
import { get, serve } from "../harness.ts";
import { join, leave, makeSearched, refuse, type SearchedLedger } from "../search/searchLedger.ts";

const SCHEMAS = ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"];
const ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const MANY = 300;

let database: TestDatabase;
let ledger: SearchedLedger;
let server: Server;

const patch = (...Operations: object[]) => ({
  schemas: ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
  Operations,
});

beforeAll(async () => {
  database = await makeDatabase();
  ledger = await makeSearched(database, "bulks");
  await ledger.write(async (writer) => {
    await join(writer, { id: "u-1", userName: "ada@example.com" });
    await join(writer, { id: "u-2", userName: "bob@example.com" });
    const password = patch({ op: "replace", path: "password", value: "x" });
    const off = patch({ op: "replace", path: "active", value: false });
    const sent = [
      { method: "PATCH", path: "/Users/u-1", data: password },
      { method: "PATCH", path: "/Users/u-2", data: off },
      { method: "DELETE", path: "/Users/gone-1" },
    ];
    const told = [
      { method: "PATCH", location: "/Users/u-1", status: "204" },
      { method: "PATCH", location: "/Users/u-2", status: "412" },
      { method: "DELETE", location: "/Users/gone-1", status: "404" },
    ];
    await pass(
      writer,
      { method: "POST", path: "/Bulk", body: { schemas: SCHEMAS, Operations: sent } },
      { status: 200, body: { Operations: told } },
    );
    const many = Array.from({ length: MANY }, (_, n) => `/Users/many-${n}`);
    await pass(
      writer,
      {
        method: "POST",
        path: "/Bulk",
        body: { schemas: SCHEMAS, Operations: many.map((path) => ({ method: "DELETE", path })) },
      },
      {
        status: 200,
        body: { Operations: many.map((location) => ({ method: "DELETE", location, status: "404" })) },
      },
    );
    const crew = (members: string[]) => ({
      schemas: ["urn:ietf:params:scim:schemas:core:2.0:Group"],
      displayName: "Crew",
      members: members.map((value) => ({ value })),
    });
    await pass(
      writer,
      { method: "POST", path: "/Groups", body: crew(["u-1", "never-seen"]) },
      { status: 201, body: { ...crew(["u-1", "never-seen"]), id: "g-1" } },
    );
    const swap = patch(
      { op: "remove", path: 'members[value eq "u-1"]' },
      { op: "add", path: "members", value: [{ value: "u-2" }] },
    );
    await pass(writer, { method: "PATCH", path: "/Groups/g-1", body: swap }, { status: 204 });
    const boss = patch({ op: "add", path: `${ENTERPRISE}:manager`, value: { value: "u-2" } });
    await pass(writer, { method: "PATCH", path: "/Users/u-1", body: boss }, { status: 204 });
    await leave(writer, "gone-2", 404);
    await leave(writer, "odd-1", 400);
    await refuse(writer);
  });
  await ledger.index();
  server = serve([ledger]).server;
});
afterAll(async () => {
  await ledger.close();
  await dropDatabase(database);
});

test("a row says how many operations were not done, and which effects none of them had", async () => {
  const { body } = await get(server, "/audit/v1/transactions?filter=action%20eq%20%22bulk%22&order=oldest");
  operations.find(({ id }) => id === "listTransactions")?.answer?.parse(body);
  expect(body.transactions).toMatchObject([
    {
      operations: 3,
      operationsRefused: 2,
      operationsUnknown: 0,
      effects: ["deactivate", "delete", "password", "update"],
      effectsUndone: ["deactivate", "delete"],
    },
    { operations: MANY, operationsRefused: MANY, effects: ["delete"], effectsUndone: ["delete"] },
  ]);
  const csv = await get(server, "/audit/v1/transactions.csv?filter=action%20eq%20%22bulk%22&order=oldest");
  const [header, first] = csv.text.split("\r\n");
  expect(header).toMatch(/,isCut,operationsRefused,operationsUnknown,effectsUndone$/);
  expect(first).toMatch(/,2,0,deactivate delete$/);
});

interface Told {
  changes: { action: string; effects: string[]; verdict: string }[];
  names: Record<string, string>;
}
async function account(type: string, id: string): Promise<Told> {
  const { body } = await get(server, `/audit/v1/accounts/${type}/${id}`).expect(200);
  operations.find((one) => one.id === "getAccount")?.answer?.parse(body);
  return body;
}

test("an account's timeline has of a Bulk what concerns the account", async () => {
  const bulkOf = async (id: string) =>
    (await account("User", id)).changes
      .filter(({ action }) => action === "bulk")
      .map(({ effects, verdict }) => [verdict, ...effects]);
  expect(await bulkOf("u-1")).toEqual([["applied", "password", "update"]]);
  expect(await bulkOf("u-2")).toEqual([["refused", "deactivate", "update"]]);
  expect(await bulkOf("gone-1")).toEqual([["refused", "delete"]]);
  expect(await bulkOf("many-299")).toEqual([["refused", "delete"]]);
});

test("members and managers in a timeline have the names that the ledger knows", async () => {
  expect((await account("Group", "g-1")).names).toEqual({
    "u-1": "ada@example.com",
    "u-2": "bob@example.com",
  });
  expect((await account("User", "u-1")).names).toEqual({ "u-2": "bob@example.com" });
  expect((await account("User", "gone-1")).names).toEqual({});
});

test("ids that the target did not know are no accounts, and are found by their id", async () => {
  const list = async (query = "") => {
    const { body } = await get(server, `/audit/v1/accounts${query}`).expect(200);
    return body.accounts.map(({ id }: { id: string }) => id).sort();
  };
  expect(await list()).toEqual(["g-1", "never-seen", "odd-1", "u-1", "u-2"]);
  expect(await list("?filter=resourceType%20eq%20%22Group%22%20or%20not%20(name%20pr)")).toEqual([
    "g-1",
    "never-seen",
    "odd-1",
  ]);
  expect(await list("?text=gone-1")).toEqual(["gone-1"]);
  expect(await list("?filter=id%20sw%20%22gone%22")).toEqual(["gone-1", "gone-2"]);
});
