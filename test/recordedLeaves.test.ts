// What one thread notes another finds, in the place that it was noted for, until newer ones took the room.

import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { RecordedLeaves } from "../src/recordedLeaves.ts";

/** More than are kept. */
const MANY = 100_000;

test("a hash is found over the shared memory, in its place only", () => {
  const noted = new RecordedLeaves();
  const seen = new RecordedLeaves(noted.memory);
  const [hash, other] = [randomBytes(32), randomBytes(32)];
  expect(seen.has(7, hash)).toBe(false);
  noted.note(7, hash);
  expect(seen.has(7, hash)).toBe(true);
  expect([seen.has(8, hash), seen.has(7, other), seen.has(7, hash.subarray(0, 31))]).toEqual([
    false,
    false,
    false,
  ]);
  // Where nothing was noted even a hash of zeros is nobody's.
  expect(seen.has(9, new Uint8Array(32).fill(1))).toBe(false);
});

test("the newest are kept, the oldest make room", () => {
  const leaves = new RecordedLeaves();
  const hashOf = (seq: number) => {
    const hash = Buffer.alloc(32, 1);
    hash.writeUInt32BE(seq);
    return hash;
  };
  for (let seq = 0; seq < MANY; seq++) leaves.note(seq, hashOf(seq));
  for (const seq of [MANY - 1, MANY - 1_000, MANY - 60_000])
    expect(leaves.has(seq, hashOf(seq)), String(seq)).toBe(true);
  for (const seq of [0, 1_000, MANY - 70_000]) expect(leaves.has(seq, hashOf(seq)), String(seq)).toBe(false);
});
