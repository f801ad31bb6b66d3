// Where the transactions of an account stand: those that may have changed it, however many only read it.

import { afterAll, beforeAll, expect, test } from "vitest";
import { indexVersion } from "../../../src/indexer/indexer.ts";
import { createIndexKey } from "../../../src/keys/indexKey.ts";
import { AccountReader } from "../../../src/storage/accounts/accountReader.ts";
import { join, leave, makeSearched } from "../../audit/search/searchLedger.ts";
import { pass } from "../../indexer/indexHarness.ts";
import { testOpener, testSealingKey } from "../../support/sealing.ts";
import { dropDatabase, makeDatabase, type TestDatabase } from "../writerHarness.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await makeDatabase();
});
afterAll(() => dropDatabase(database));

test("reads crowd out no writes", async () => {
  const ledger = await makeSearched(database, "reads");
  const key = createIndexKey(testSealingKey(ledger.origin).derive);
  const accounts = new AccountReader(
    ledger.name,
    { connectionString: database.urls.reader, requireSync: [] },
    {
      opener: {
        version: indexVersion(key.id),
        token: key.token,
        open: key.open,
        recordedIds: (id) => [id],
      },
      attachments: testOpener(ledger.origin),
      connections: 1,
      timeoutMs: 5_000,
    },
  );
  try {
    await ledger.write(async (writer) => {
      await join(writer, { id: "u-1", userName: "ada" });
      for (let n = 0; n < 4; n++)
        await pass(
          writer,
          { method: "GET", path: "/Users/u-1", body: undefined },
          { status: 200, body: undefined },
        );
      await leave(writer, "u-1");
    });
    await ledger.index();
    const [account] = await accounts.byId("User", "u-1", undefined);
    const places = await accounts.transactionsOf(account?.account ?? "", 2);
    const seqs = places.map(({ seq }) => seq);
    // The first and the last of six transactions.
    expect(seqs).toHaveLength(2);
    expect((seqs[1] ?? 0) - (seqs[0] ?? 0)).toBe(10);
  } finally {
    await Promise.all([accounts.close(), ledger.close()]);
  }
});
