// The index thread as the application uses it: key files, a real database, a thread of its own.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { NOTHING_INDEXED } from "../../src/indexer/indexer.ts";
import { type IndexSettings, IndexThread } from "../../src/indexThread.ts";
import { createIndexKey } from "../../src/keys/indexKey.ts";
import { saveKey } from "../../src/keys/keyFile.ts";
import { loadSealingKey } from "../../src/keys/sealingKey.ts";
import { generateTokenKey, loadTokenKey } from "../../src/keys/tokenKey.ts";
import {
  dropDatabase,
  makeDatabase,
  makeLedger,
  quiet,
  type TestDatabase,
  type TestLedger,
  until,
} from "../storage/writerHarness.ts";
import { TEST_SEALING_JWKS } from "../support/sealing.ts";
import { contentOf, namesIn, pass } from "./indexHarness.ts";

let database: TestDatabase;
let directory: string;
beforeAll(async () => {
  database = await makeDatabase();
  directory = await mkdtemp(join(tmpdir(), "scimseal-index-"));
  await saveKey(join(directory, "sealing.json"), TEST_SEALING_JWKS);
  await saveKey(join(directory, "token.key"), generateTokenKey());
});
afterAll(async () => {
  await dropDatabase(database);
  await rm(directory, { recursive: true, force: true });
});

function settingsOf({ name, origin, address }: TestLedger): IndexSettings {
  return {
    ledger: name,
    origin,
    writer: address,
    reader: { connectionString: database.urls.reader, requireSync: [] },
    sealingKeyFile: join(directory, "sealing.json"),
    tokenKeyFile: join(directory, "token.key"),
    connectors: { okta: "opaque" },
    coreShare: 0.9,
  };
}

test("indexes every ledger, each under its own key, and ends when told", async () => {
  const ledgers = [await makeLedger(database), await makeLedger(database)];
  const thread = new IndexThread({ ledgers: ledgers.map(settingsOf), log: quiet });
  onTestFinished(() => thread.stop());
  expect(thread.positionOf("nobody's")).toEqual(NOTHING_INDEXED);
  thread.start();
  const members = [{ value: "u-7" }, { value: "eve@example.com" }];
  const contents = [];
  for (const ledger of ledgers) {
    const writer = await ledger.writer();
    await pass(
      writer,
      { method: "POST", path: "/Groups", body: { displayName: "Engineers", members } },
      { status: 201, body: { id: "g-1" } },
    );
    const { name, origin } = ledger;
    await until(() => thread.positionOf(name).next === 3, "the thread has indexed it", 15_000);
    const key = createIndexKey(loadSealingKey(join(directory, "sealing.json"), origin).derive);
    const content = await contentOf(database, ledger, key);
    expect(namesIn(content, "okta/Group/g-1")).toEqual(["displayName=Engineers"]);
    const token = loadTokenKey(join(directory, "token.key"), origin).token("id", "eve@example.com");
    expect(content.accounts.map(({ account }) => account)).toEqual(
      ["okta/Group/g-1", "okta/User/u-7", `okta/User/${token}`].sort(),
    );
    contents.push(content);
  }
  expect(contents[0]?.names[0]?.tokens).not.toEqual(contents[1]?.names[0]?.tokens);
  await thread.stop();
  for (const { name } of ledgers)
    expect(thread.positionOf(name)).toMatchObject({ next: 3, state: "stopped" });
});

test("a ledger whose key cannot be used has no index, and the others have", async () => {
  const [blind, seeing] = [await makeLedger(database), await makeLedger(database)];
  await (await seeing.writer()).stop();
  const thread = new IndexThread({
    ledgers: [{ ...settingsOf(blind), sealingKeyFile: join(directory, "missing.json") }, settingsOf(seeing)],
    log: quiet,
  });
  onTestFinished(() => thread.stop());
  thread.start();
  await until(() => thread.positionOf(seeing.name).next === 1, "the other is indexed", 15_000);
  expect(thread.positionOf(blind.name)).toMatchObject({ state: "failing", error: "key_unusable" });
});
