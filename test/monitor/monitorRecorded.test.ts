// Following the head beside the writer of the same process: what it recorded is known, all else is checked.

import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { fastVerify } from "../../src/keys/fastVerify.ts";
import { nodeSha256 } from "../../src/nodeCrypto.ts";
import { RecordedLeaves } from "../../src/recordedLeaves.ts";
import { dropDatabase, makeDatabase, type TestDatabase } from "../storage/writerHarness.ts";
import { followerOf, makeCopy, named, ORIGIN, passMany } from "./monitorHarness.ts";

const FLIP =
  "leaf = overlay(leaf placing (CASE substr(leaf, 300, 1) WHEN 'A' THEN 'B' ELSE 'A' END) from 300)";

let server: TestDatabase;
beforeAll(async () => {
  server = await makeDatabase();
});
afterAll(() => dropDatabase(server));

test("what this process recorded is known by its hash; a change of it, and what others wrote, is checked", async () => {
  const copy = await makeCopy(server);
  await copy.write((writer) => passMany(writer, 3));
  const leaves = new RecordedLeaves();
  const observer = {
    batchCommitted(entries: readonly { seq: number; leafHash: Uint8Array }[]) {
      for (const { seq, leafHash } of entries) leaves.note(seq, leafHash);
    },
  };
  const opened = copy.open();
  onTestFinished(() => opened.close());
  let checked = 0;
  const { pinned } = copy.keys;
  const follower = followerOf(copy, opened, {
    verifier: {
      origin: ORIGIN,
      pinned,
      digest: nodeSha256,
      isSigned: (seq, leafHash) => leaves.has(seq, leafHash),
      verify(...args) {
        checked++;
        return fastVerify(...args);
      },
    },
  });
  expect(await follower.look()).toEqual([]);
  expect(checked).toBe(7);
  await copy.write((writer) => passMany(writer, 5), { observer });
  expect(await follower.look()).toEqual([]);
  expect([checked, follower.verified]).toEqual([7, 17]);
  // Another instance's, of which this process knows nothing.
  await copy.write((writer) => passMany(writer, 2));
  expect(await follower.look()).toEqual([]);
  expect(checked).toBe(11);
  await copy.write((writer) => passMany(writer, 2), { observer });
  await copy.tamper(`UPDATE entry SET ${FLIP} WHERE seq = 22`);
  expect((await follower.look()).map(named)).toContainEqual(
    expect.stringMatching(/^22 (signature_invalid|malformed)$/),
  );
});
