// How a ledger is said to be: what the monitor has not verified yet is trouble only when it waits for long.

import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { LedgerHealth } from "../../../src/audit/context.ts";
import { dropDatabase, makeDatabase, type TestDatabase } from "../../storage/writerHarness.ts";
import { get, makePublished, serve } from "../harness.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await makeDatabase();
});
afterAll(() => dropDatabase(database));

let count = 0;
async function makeDesk() {
  const ledger = await makePublished(database, `status${++count}`);
  onTestFinished(() => ledger.close());
  await ledger.grow(2);
  const size = await ledger.size();
  const { server } = serve([ledger]);
  const stateOf = async (health: Partial<LedgerHealth>) => {
    const given = { size, verified: size, published: size, isWritable: true, alarms: [], ...health };
    Object.assign(ledger.audit, { health: () => given });
    return (await get(server, "/audit/v1/status").expect(200)).body.ledgers[0].state;
  };
  return { ledger, size, stateOf };
}

test("a ledger that just grew is verified as far as it was, and not in doubt", async () => {
  const { size, stateOf } = await makeDesk();
  expect(await stateOf({})).toBe("verified");
  expect(await stateOf({ verified: size - 1 })).toBe("verified");
  expect(await stateOf({ verified: size - 1, acknowledged: 1 })).toBe("acknowledged");
  expect(await stateOf({ verified: 0 })).toBe("verifying");
});

test.each([
  ["waits for a minute", -60],
  ["is said to be of tomorrow", 86_400],
])("an entry that %s is behind", async (_, seconds) => {
  const { ledger, size, stateOf } = await makeDesk();
  const time = new Date(Date.now() + seconds * 1000).toISOString();
  await ledger.tamper(
    `UPDATE ledger_${ledger.name}.entry SET leaf = split_part(leaf, '.', 1) || '.' ||
       translate(rtrim(replace(encode(convert_to(regexp_replace(convert_from(decode(
         rpad(translate(split_part(leaf, '.', 2), '-_', '+/'), 4 * ((length(split_part(leaf, '.', 2)) + 3) / 4), '='), 'base64'), 'UTF8'),
         '"time":"[^"]*"', '"time":"${time}"'), 'UTF8'), 'base64'), E'\\n', ''), '='), '+/', '-_') || '.' || split_part(leaf, '.', 3)
     WHERE seq = ${size - 1}`,
  );
  expect(await stateOf({ verified: size - 1 })).toBe("verifying");
});

test("what cannot be read is behind", async () => {
  const { ledger, size, stateOf } = await makeDesk();
  await ledger.tamper(`UPDATE ledger_${ledger.name}.entry SET leaf = 'x' WHERE seq = ${size - 1}`);
  expect(await stateOf({ verified: size - 1 })).toBe("verifying");
  expect(await stateOf({ verified: size, published: size + 5 })).toBe("verifying");
});
