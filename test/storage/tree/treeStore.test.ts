// Tiles, leaf hashes and checkpoints from the real tables, against the whole tree made in memory from the same entries.

import { createHash } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fastVerify } from "../../../src/keys/fastVerify.ts";
import { createSigner, generateKey } from "../../../src/keys/signer.ts";
import { parsePublicJwk } from "../../../src/ledger/key.ts";
import { checkConsistency, checkInclusion } from "../../../src/ledger/tree/proof.ts";
import { TILE_BYTES, TILE_WIDTH, tilesOf } from "../../../src/ledger/tree/tile.ts";
import { proveConsistency, proveInclusion, readRoot } from "../../../src/ledger/tree/tileProof.ts";
import { hashLevels, readLevels } from "../../../src/ledger/tree/treeLevels.ts";
import { TreeIncompleteError, TreeStore } from "../../../src/storage/tree/treeStore.ts";
import { TreeWriter } from "../../../src/storage/tree/treeWriter.ts";
import {
  dropDatabase,
  makeDatabase,
  makeLedger,
  type TestDatabase,
  type TestLedger,
} from "../writerHarness.ts";

/** More than one full tile of level 1, so that there are tiles of three levels. */
const ENTRIES = TILE_WIDTH * TILE_WIDTH + 3 * TILE_WIDTH + 7;

let database: TestDatabase;
beforeAll(async () => {
  database = await makeDatabase();
});
afterAll(() => dropDatabase(database));

/** Rows that only the tree looks at: the leaf hash of entry i is SHA-256 of i. */
async function fill(ledger: TestLedger, from: number, to: number): Promise<void> {
  await ledger.sql(
    `INSERT INTO ${ledger.schema}.entry SELECT i, 'x', sha256(int8send(i)), 'request', NULL, '00000000-0000-7000-8000-000000000000'
      FROM generate_series(${from}::bigint, ${to - 1}) AS i`,
  );
}

function hashesOf(size: number): Uint8Array {
  const hashes = new Uint8Array(size * 32);
  const place = Buffer.alloc(8);
  for (let i = 0; i < size; i++) {
    place.writeBigInt64BE(BigInt(i));
    hashes.set(createHash("sha256").update(place).digest(), i * 32);
  }
  return hashes;
}

function open(ledger: TestLedger): TreeStore {
  return new TreeStore(
    ledger.name,
    { connectionString: database.urls.reader, requireSync: [] },
    { connections: 2, timeoutMs: 10_000 },
  );
}

async function storeFull(ledger: TestLedger, levels: readonly Uint8Array[]): Promise<void> {
  const writer = await TreeWriter.open({
    ledger: ledger.name,
    origin: ledger.origin,
    database: ledger.address,
    timeoutMs: 10_000,
  });
  const tiles = levels.flatMap((hashes, level) =>
    Array.from({ length: Math.floor(hashes.length / TILE_BYTES) }, (_, index) => ({
      tile: { level, index, width: TILE_WIDTH },
      bytes: hashes.subarray(index * TILE_BYTES, (index + 1) * TILE_BYTES),
    })),
  );
  expect(await writer.storeTiles(tiles)).toEqual([]);
  await writer.close();
}

test("every tile is the tree's, whether it is stored or worked out", async () => {
  const ledger = await makeLedger(database);
  await fill(ledger, 0, ENTRIES);
  const whole = hashLevels(hashesOf(ENTRIES));
  const tiles = [...tilesOf(ENTRIES)];
  const expected = await readLevels(whole).readTiles(tiles);
  const derived = open(ledger);
  expect((await derived.readTiles(tiles)).map(toPlain)).toEqual(expected.map(toPlain));
  await derived.close();
  await storeFull(ledger, whole.levels);
  const stored = open(ledger);
  const read = await stored.readTiles(tiles);
  expect(read.map(toPlain)).toEqual(expected.map(toPlain));
  expect((await stored.storedTiles(0, 2, 3)).map(({ index }) => index)).toEqual([2, 3, 4]);
  expect((await stored.storedTiles(1, 0, 9)).map(({ bytes }) => toPlain(bytes))).toEqual([
    toPlain(expected[Math.ceil(ENTRIES / TILE_WIDTH)] ?? new Uint8Array()),
  ]);
  // A narrower tile is the beginning of the stored one.
  const [narrow] = await stored.readTiles([{ level: 0, index: 1, width: 3 }]);
  expect(toPlain(narrow ?? new Uint8Array())).toEqual(
    toPlain((expected[1] ?? new Uint8Array()).subarray(0, 96)),
  );
  await stored.close();
});

test("proofs and roots over the tables pass, also while the tree grows past what was remembered", async () => {
  const ledger = await makeLedger(database);
  const hashes = hashesOf(5 * TILE_WIDTH);
  const store = open(ledger);
  let old: { size: number; root: Uint8Array } | undefined;
  for (const size of [1, 255, 256, 257, 600, 1100, 5 * TILE_WIDTH]) {
    await fill(ledger, await store.size(), size);
    expect(await store.size()).toBe(size);
    const { root } = hashLevels(hashes.subarray(0, size * 32));
    const tree = { size, reader: store };
    expect(toPlain(await readRoot(tree, size))).toEqual(toPlain(root));
    for (const index of new Set([0, Math.floor(size / 2), size - 1])) {
      const leaf = hashes.subarray(index * 32, index * 32 + 32);
      expect(checkInclusion(await proveInclusion(tree, index, size), index, size, leaf, root)).toBe(true);
    }
    if (old) {
      const proof = await proveConsistency(tree, old.size, size);
      expect(checkConsistency(proof, old.size, size, old.root, root)).toBe(true);
    }
    old = { size, root };
  }
  await store.close();
});

test("what is not there is an error, not a shorter answer", async () => {
  const ledger = await makeLedger(database);
  await fill(ledger, 0, 10);
  await fill(ledger, 11, 300);
  const store = open(ledger);
  await expect(store.leafHashes(0, 300)).rejects.toThrow(TreeIncompleteError);
  await expect(store.leafHashes(290, 301)).rejects.toThrow("10 of 11");
  await expect(store.readTiles([{ level: 0, index: 0, width: 256 }])).rejects.toThrow(TreeIncompleteError);
  await expect(store.readTiles([{ level: 1, index: 0, width: 1 }])).rejects.toThrow(TreeIncompleteError);
  expect(await store.leafHashes(5, 5)).toHaveLength(0);
  expect(await store.leafHashes(11, 300)).toHaveLength(289 * 32);
  await store.close();
});

test("checkpoints are found by size, by an entry under them, and in order", async () => {
  const ledger = await makeLedger(database);
  const store = open(ledger);
  expect(await store.latestCheckpoint()).toBeUndefined();
  const sizes = [3, 3, 8, 20, 20];
  for (const [i, size] of sizes.entries()) {
    await ledger.sql(
      `INSERT INTO ${ledger.schema}.checkpoint (size, root, note) VALUES (${size}, decode(repeat('0${i}', 32), 'hex'), 'note ${i}')`,
    );
  }
  const note = (checkpoint: { note: string } | undefined) => checkpoint?.note;
  expect(note(await store.latestCheckpoint())).toBe("note 4");
  expect(note(await store.checkpointOf(3))).toBe("note 1");
  expect(note(await store.checkpointOf(4))).toBeUndefined();
  expect(note(await store.checkpointCovering(2))).toBe("note 1");
  expect(note(await store.checkpointCovering(3))).toBe("note 2");
  expect(note(await store.checkpointCovering(20))).toBeUndefined();
  expect((await store.checkpoints(-1, 2)).map(note)).toEqual(["note 1", "note 2"]);
  expect((await store.checkpoints(8, 9)).map(note)).toEqual(["note 4"]);
  const all = await store.checkpointsById(0, 9);
  expect(all.map(note)).toEqual(sizes.map((_, i) => `note ${i}`));
  expect((await store.checkpointsById(all[2]?.id ?? 0, 1)).map(note)).toEqual(["note 3"]);
  expect(all[0]?.publishedAt.getTime()).toBeGreaterThan(Date.now() - 60_000);
  await store.close();
});

test("keys are followed from the pinned one, and a rotation that another key signed introduces nobody", async () => {
  const ledger = await makeLedger(database);
  const rotate = async (signer: typeof ledger.signer, next: typeof ledger.signer) => {
    const writer = await ledger.writer({ signer, reloadSigner: async () => signer });
    await writer.append({
      body: { type: "event", event: { name: "key-rotated", kid: next.kid, jwk: next.publicJwk } },
      attachments: [],
    });
    await writer.stop();
  };
  const second = createSigner(generateKey());
  const third = createSigner(generateKey());
  await rotate(ledger.signer, second);
  await rotate(second, third);
  const store = open(ledger);
  const kids = ({ current, all }: Awaited<ReturnType<typeof store.keys>>) => ({
    current: current.map(({ kid }) => kid),
    all: all.map(({ kid }) => kid),
  });
  expect(kids(await store.keys(ledger.pinned, fastVerify))).toEqual({
    current: [third.kid],
    all: [ledger.signer.kid, second.kid, third.kid],
  });
  const stranger = parsePublicJwk(createSigner(generateKey()).publicJwk);
  if (!stranger) throw new Error("no key");
  expect(kids(await store.keys([stranger], fastVerify))).toEqual({
    current: [stranger.kid],
    all: [stranger.kid],
  });
  await store.close();
});

/** Buffers and views of one content are equal. */
function toPlain(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}
