// Where a connector's ids are personal, leaves hold keyed tokens of them: an account is found by its clear id, and its
// answer names the recorded one, by which an evidence pack is asked for.

import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { indexVersion } from "../../../src/indexer/indexer.ts";
import { createIndexKey } from "../../../src/keys/indexKey.ts";
import { type RecordContext, recordedId } from "../../../src/proxy/draft.ts";
import { AccountReader } from "../../../src/storage/accounts/accountReader.ts";
import { connectors } from "../../indexer/indexHarness.ts";
import { dropDatabase, makeDatabase, type TestDatabase } from "../../storage/writerHarness.ts";
import { testOpener, testSealingKey } from "../../support/sealing.ts";
import { get, serve } from "../harness.ts";
import { join, makeSearched } from "./searchLedger.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await makeDatabase();
});
afterAll(() => dropDatabase(database));

const inLeaves = (connector: string, id: string) => recordedId(connectors[connector] as RecordContext, id);

test("an account with a personal id is found by it, and its evidence by the recorded id in the answer", async () => {
  const ledger = await makeSearched(database, "personal", inLeaves);
  onTestFinished(() => ledger.close());
  await ledger.write(async (writer) => {
    await join(writer, { id: "alan@hr.example", userName: "alan@hr.example" }, "hr");
    await join(writer, { id: "u-1", userName: "ada@example.com" });
  });
  await ledger.index();
  await ledger.publish();
  const key = createIndexKey(testSealingKey(ledger.origin).derive);
  const recordedIds = (id: string) => [id, inLeaves("hr", id)];
  const accounts = new AccountReader(
    "personal",
    { connectionString: database.urls.reader, requireSync: [] },
    {
      opener: { version: indexVersion(key.id), token: key.token, open: key.open, recordedIds },
      attachments: testOpener(ledger.origin),
      connections: 2,
      timeoutMs: 5_000,
    },
  );
  onTestFinished(() => accounts.close());
  const { server } = serve([{ ...ledger, audit: { ...ledger.audit, accounts } }]);
  const evidenceOf = (account: string) =>
    get(
      server,
      `/audit/v1/ledgers/personal/evidence?account=${encodeURIComponent(account)}&include=attachments`,
    );

  const { account } = (await get(server, "/audit/v1/accounts/User/alan%40hr.example").expect(200)).body;
  expect(account).toMatchObject({ id: "alan@hr.example", recordedId: inLeaves("hr", "alan@hr.example") });
  expect(account.recordedId).toMatch(/^t:/);
  await evidenceOf(`User/${account.recordedId}`).expect(200).expect("content-type", /x-tar/);
  // The clear id stands in no leaf.
  await evidenceOf(`User/${account.id}`).expect(404);

  const opaque = (await get(server, "/audit/v1/accounts/User/u-1").expect(200)).body.account;
  expect(opaque).toMatchObject({ id: "u-1", recordedId: "u-1" });
  await evidenceOf(`User/${opaque.recordedId}`).expect(200);
});
