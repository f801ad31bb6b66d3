// A changed configuration is an event of the ledger at the next start: which parts differ, by name, and no value of them.
// Unchanged, or changed in its comments only, there is nothing to name; another ledger's parts are not this one's affair.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { saveKey } from "../../src/keys/keyFile.ts";
import { generateSealingKey } from "../../src/keys/sealingKey.ts";
import { formatPinnedJwk, formatPrivateJwk, generateKey } from "../../src/keys/signer.ts";
import { generateTokenKey } from "../../src/keys/tokenKey.ts";
import type { Entry } from "../../src/ledger/entry.ts";
import { LedgerReader } from "../../src/storage/reader.ts";
import { ALL_WELL, checkInvariants, ORIGIN, ofType, readEntries, startSystem } from "../support/system.ts";

const ledgerAt = (name: string, origin = ORIGIN) => ({
  origin,
  signingKey: { file: `keys/${name}.jwk` },
  pinnedKeys: [`keys/${name}.genesis.pub.jwk`],
  tokenKey: { file: `keys/${name}.token.key` },
  sealingKey: { file: `keys/${name}.sealing.jwks` },
});

let dataDir: string;
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "scimseal-test-configuration-"));
  return () => rm(dataDir, { recursive: true, force: true });
});

type Event = Extract<Entry, { type: "event" }>["event"];

/** Runs an instance with this configuration; the events of its start, and of ledger `other` if there is one. */
async function run(
  options: Omit<Parameters<typeof startSystem>[0] & object, "dataDir">,
): Promise<{ main: Event[]; other: Event[] }> {
  const system = await startSystem({ ...options, dataDir });
  try {
    const main = ofType(await system.entries(), "event").map(({ claims }) => claims.event);
    const report = await checkInvariants({ ...system, journal: system.journal() });
    expect(report).toEqual(ALL_WELL);
    let other: Event[] = [];
    if (JSON.stringify(options.config?.ledgers ?? {}).includes("keys/other.jwk")) {
      const address = { connectionString: system.superuserUrl, requireSync: [] };
      const reader = new LedgerReader("other", address, { connections: 1, timeoutMs: 10_000 });
      other = ofType(await readEntries(reader), "event").map(({ claims }) => claims.event);
      await reader.close();
    }
    const start = main.findLastIndex(({ name }) => name === "instance-stopped");
    return { main: main.slice(start + 1), other };
  } finally {
    await system.stop();
  }
}

const changes = (events: readonly Event[]) =>
  events.filter(({ name }) => String(name) === "configuration-changed");

test("a changed configuration is named part by part, before the start is recorded", async () => {
  const target = { targetUrl: "http://127.0.0.1:9/scim/v2" };
  const first = await run(target);
  expect(changes(first.main)).toEqual([]);
  const [started] = first.main.filter(({ name }) => name === "instance-started");
  expect(started).toMatchObject({ configuration: expect.stringMatching(/^[0-9a-f]{64}$/) });
  expect(changes((await run(target)).main)).toEqual([]);

  // Another target, an option of one connector, a key that was not there, and one that is gone.
  const second = await run({
    targetUrl: "http://127.0.0.1:9/canary-of-a-value",
    connector: { auditReads: true },
    config: { failClosed: { status: 429 } },
  });
  expect(changes(second.main)).toEqual([
    {
      name: "configuration-changed",
      configuration: expect.stringMatching(/^[0-9a-f]{64}$/),
      before: started?.configuration,
      added: ["failClosed"],
      changed: ["connectors.entra", "connectors.okta"],
    },
  ]);
  expect(second.main.map(({ name }) => String(name)).filter((name) => /^(conf|instance)/.test(name))).toEqual(
    ["configuration-changed", "instance-started"],
  );
  // A digest may hold the digits 429 by chance.
  expect(JSON.stringify(second.main).replaceAll(/"[0-9a-f]{16,64}"/g, '"digest"')).not.toMatch(
    /canary|429|127\.0\.0\.1/,
  );
  expect(changes((await run(target)).main)).toMatchObject([
    { removed: ["failClosed"], changed: ["connectors.entra", "connectors.okta"] },
  ]);
});

test("an override of the environment counts, and a ledger is told of its own parts only", async () => {
  const key = generateKey();
  await saveKey(join(dataDir, "keys/other.jwk"), formatPrivateJwk(key));
  await saveKey(join(dataDir, "keys/other.genesis.pub.jwk"), formatPinnedJwk(key));
  await saveKey(join(dataDir, "keys/other.token.key"), generateTokenKey());
  await saveKey(join(dataDir, "keys/other.sealing.jwks"), generateSealingKey());
  const target = { targetUrl: "http://127.0.0.1:9/scim/v2" };
  const ledgers = { main: ledgerAt("main"), other: ledgerAt("other", "test.scimseal.example/other") };
  const before = await run({ ...target, config: { ledgers } });
  // Ledger `main` is spelt as before, and `other` is none of its parts: only the file's digest differs.
  const [change, another] = changes(before.main);
  expect(another).toBeUndefined();
  expect(Object.keys(change ?? {}).sort()).toEqual(["before", "configuration", "name"]);
  expect(changes(before.other)).toEqual([]);
  expect(JSON.stringify(before.other)).not.toContain("okta");
  process.env.SCIMSEAL_APPEND_DEADLINE_MS = "2500";
  onTestFinished(() => {
    delete process.env.SCIMSEAL_APPEND_DEADLINE_MS;
  });
  const after = await run({
    ...target,
    config: {
      ledgers: { ...ledgers, other: { ...ledgers.other, monitor: { entriesPerSecond: 100 } } },
    },
  });
  expect(changes(after.main)).toMatchObject([{ added: ["appendDeadlineMs"] }]);
  expect(changes(after.main)[0]).not.toHaveProperty("changed");
  expect(changes(after.other)).toMatchObject([{ added: ["appendDeadlineMs"], changed: ["ledgers.other"] }]);
});
