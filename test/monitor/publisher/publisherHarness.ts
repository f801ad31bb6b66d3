// What the tests of publisher and anchors share: publishers on a test's ledger, and what they told.

import { expect, onTestFinished } from "vitest";
import { fastVerify } from "../../../src/keys/fastVerify.ts";
import { hashLeaf } from "../../../src/ledger/hash.ts";
import { openCheckpoint } from "../../../src/ledger/note/logPolicy.ts";
import { makeLogKey } from "../../../src/ledger/note/verifierKey.ts";
import { checkConsistency } from "../../../src/ledger/tree/proof.ts";
import { TILE_BYTES, tilesOf } from "../../../src/ledger/tree/tile.ts";
import { proveConsistency } from "../../../src/ledger/tree/tileProof.ts";
import { hashLevels, readLevels } from "../../../src/ledger/tree/treeLevels.ts";
import type { Finding } from "../../../src/monitor/alarm/alarm.ts";
import { Publisher, type PublisherOptions } from "../../../src/monitor/publisher/publisher.ts";
import { nodeSha256 } from "../../../src/nodeCrypto.ts";
import { type StoredCheckpoint, TreeStore } from "../../../src/storage/tree/treeStore.ts";
import type { LedgerWriter } from "../../../src/storage/writer/writer.ts";
import { passOne, quiet, type TestDatabase, type TestLedger, until } from "../../storage/writerHarness.ts";

/** A publisher and all it told. */
export interface TestPublisher {
  publisher: Publisher;
  checkpoints: StoredCheckpoint[];
  findings: Finding[];
  /** Resolves when it knows a checkpoint of at least this size. */
  reaches(size: number): Promise<void>;
  /** Resolves with the first finding. */
  finds(): Promise<Finding>;
}

/** A started publisher, fast enough for a test; stopped when the test ends. */
export async function publish(
  ledger: TestLedger,
  overrides: Partial<PublisherOptions> = {},
): Promise<TestPublisher> {
  const checkpoints: StoredCheckpoint[] = [];
  const findings: Finding[] = [];
  const publisher = new Publisher({
    ledger: ledger.name,
    origin: ledger.origin,
    database: ledger.address,
    signer: ledger.signer,
    reloadSigner: async () => ledger.signer,
    pinned: ledger.pinned,
    verify: fastVerify,
    digest: nodeSha256,
    intervalMs: 20,
    heartbeatMs: 60_000,
    retryMs: 50,
    now: Date.now,
    log: quiet,
    onCheckpoint: (checkpoint) => checkpoints.push(checkpoint),
    onFinding: (finding) => findings.push(finding),
    ...overrides,
  });
  await publisher.start();
  onTestFinished(() => publisher.stop());
  return {
    publisher,
    checkpoints,
    findings,
    reaches: (size) => until(() => publisher.status.size >= size, `a checkpoint of ${size}`, 15_000),
    finds: async () => {
      await until(() => findings.length > 0, "a finding", 15_000);
      const [finding] = findings;
      return finding ?? expect.fail("no finding");
    },
  };
}

/** The tree of a ledger, closed when the test ends. */
export function treeOf(ledger: TestLedger, database: TestDatabase): TreeStore {
  const address = { connectionString: database.urls.reader, requireSync: [] };
  const store = new TreeStore(ledger.name, address, {
    connections: 2,
    timeoutMs: 10_000,
    digest: nodeSha256,
  });
  onTestFinished(() => store.close());
  return store;
}

/** Passes so many transactions at once: two entries each. */
export async function passMany(writer: LedgerWriter, transactions: number): Promise<void> {
  await Promise.all(Array.from({ length: transactions }, () => passOne(writer)));
}

/**
 * Everything that is published is right: every stored tile is the one that the leaves make, none is missing under the
 * newest checkpoint, and every checkpoint is signed, of its size's root, and consistent with the one before.
 */
export async function expectPublished(ledger: TestLedger, store: TreeStore): Promise<StoredCheckpoint[]> {
  const entries = await ledger.entries();
  const leaves = entries.map(({ row }) => hashLeaf(Buffer.from(row.leaf, "latin1"), nodeSha256));
  const flat = new Uint8Array(Buffer.concat(leaves));
  const all = await store.checkpointsById(0, 10_000);
  const keys = await store.keys(ledger.pinned, fastVerify);
  const logKeys = keys.all.map(({ bytes }) => makeLogKey(ledger.origin, bytes));
  let last: StoredCheckpoint | undefined;
  for (const checkpoint of all) {
    const { size, root, note } = checkpoint;
    const opened = openCheckpoint(note, { origin: ledger.origin, logKeys, threshold: 0, witnesses: [] });
    if (typeof opened === "string") expect.fail(opened);
    expect(opened.checkpoint).toEqual({ origin: ledger.origin, size, root: new Uint8Array(root) });
    const whole = hashLevels(flat.subarray(0, size * 32), nodeSha256);
    expect(Buffer.from(whole.root)).toEqual(root);
    if (last) {
      const proof = await proveConsistency({ size, reader: store }, last.size, size, nodeSha256);
      expect(checkConsistency(proof, last.size, size, last.root, root, nodeSha256)).toBe(true);
    }
    last = checkpoint;
  }
  if (last) {
    const whole = readLevels(hashLevels(flat.subarray(0, last.size * 32), nodeSha256));
    const full = [...tilesOf(last.size)].filter(({ width }) => width * 32 === TILE_BYTES);
    for (const [i, bytes] of (await whole.readTiles(full)).entries()) {
      const tile = full[i] ?? expect.fail("no tile");
      const [stored] = await store.storedTiles(tile.level, tile.index, 1);
      expect(stored?.index).toBe(tile.index);
      expect(stored?.bytes).toEqual(Buffer.from(bytes));
    }
  }
  return all;
}
