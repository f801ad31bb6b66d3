// The index of a running system: what goes through the proxy to a real SCIM server is in it a moment later, by its name.

import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createIndexKey } from "../../src/keys/indexKey.ts";
import { loadSealingKey } from "../../src/keys/sealingKey.ts";
import { startTokens } from "../../src/scim/search/tokens.ts";
import { querySql, until } from "../storage/writerHarness.ts";
import { ORIGIN, type System, startSystem } from "../support/system.ts";

let system: System;
beforeAll(async () => {
  system = await startSystem();
});
afterAll(() => system.stop());

const USER = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group";

test("a user, a second one of that name, and a group are found", async () => {
  const create = async (path: string, body: object) => {
    const response = await system.request("POST", path, { body: JSON.stringify(body) });
    return { status: response.status, id: ((await response.json()) as { id?: string }).id };
  };
  const user = await create("/Users", { schemas: [USER], userName: "grace.hopper@navy.example" });
  const again = await create("/Users", { schemas: [USER], userName: "grace.hopper@navy.example" });
  const group = await create("/Groups", {
    schemas: [GROUP],
    displayName: "Compilers",
    members: [{ value: user.id }],
  });
  expect([user.status, again.status, group.status]).toEqual([201, 409, 201]);

  const key = createIndexKey(loadSealingKey(join(system.dataDir, "keys/main.sealing.jwks"), ORIGIN).derive);
  const find = (name: string) => {
    const tokens = startTokens(name).map(({ kind, text }) => `'${key.token(kind, text)}'`);
    return querySql(
      system.superuserUrl,
      `SELECT DISTINCT t.seq, t.status, t.resource_id, ta.role FROM ledger_main.account_name n
         JOIN ledger_main.txn_account ta USING (account) JOIN ledger_main.txn t ON t.seq = ta.seq
       WHERE n.tokens @> ARRAY[${tokens}]::bigint[] ORDER BY t.seq`,
    );
  };
  await until(async () => (await find("compilers")).length > 0, "the index has the group", 15_000);
  expect(await find("compilers")).toMatchObject([{ status: 201, resource_id: group.id, role: "s" }]);
  for (const name of ["Grace", "hopper", "navy.ex", "grace.hopper@navy.example"]) {
    expect(await find(name)).toMatchObject([
      { status: 201, resource_id: user.id, role: "s" },
      { status: 409, resource_id: null, role: "s" },
      { status: 201, resource_id: group.id, role: "m" },
    ]);
  }
  expect(await find("race")).toEqual([]);
});
