// Proof files: one spelling, and nothing proven unless log, witnesses, tree and leaf all agree.

import { expect, test } from "vitest";
import { fastVerify } from "../../../src/keys/fastVerify.ts";
import { type LogPolicy, parseLogPolicy } from "../../../src/ledger/note/logPolicy.ts";
import {
  checkTlogProof,
  formatTlogProof,
  parseTlogProof,
  type TlogProof,
} from "../../../src/ledger/note/tlogProof.ts";
import vectors from "../../vectors/note.json" with { type: "json" };

const { file, fileWithExtra, index } = vectors.proof;
const leafHash = Buffer.from(vectors.proof.leafHash, "hex");

function policy(changes: Partial<Parameters<typeof parseLogPolicy>[0]> = {}): LogPolicy {
  const base = {
    origin: vectors.origin,
    logKeys: [vectors.logKey],
    threshold: 2,
    witnesses: vectors.witnesses,
  };
  const parsed = parseLogPolicy({ ...base, ...changes });
  if (typeof parsed === "string") throw new Error(parsed);
  return parsed;
}

function read(text: string): TlogProof {
  const proof = parseTlogProof(text);
  if (typeof proof === "string") throw new Error(proof);
  return proof;
}

test("the proof of the vectors proves its entry, as text and as bytes, on both paths", () => {
  for (const given of [file, fileWithExtra, Buffer.from(file)]) {
    for (const options of [{}, { verify: fastVerify }]) {
      expect(checkTlogProof(given, leafHash, policy(), options)).toMatchObject({
        index,
        checkpoint: { origin: vectors.origin, size: 10 },
        isWitnessed: true,
      });
    }
  }
});

test("what is read is written again, extra data or not", () => {
  expect(formatTlogProof(read(file))).toBe(file);
  expect(formatTlogProof(read(fileWithExtra))).toBe(fileWithExtra);
  expect(read(file)).not.toHaveProperty("extra");
  expect(Buffer.from(read(fileWithExtra).extra ?? []).toString("hex")).toBe(vectors.proof.extra);
});

test.each(vectors.refused.proofs)("refused: $desc", ({ text }) => {
  expect(parseTlogProof(text)).toBeTypeOf("string");
  expect(checkTlogProof(text, leafHash, policy())).toBeTypeOf("string");
});

test("every bit of every hash counts, and so do the index, the leaf and the number of hashes", () => {
  const proof = read(file);
  const fails = (changed: TlogProof, leaf: Uint8Array = leafHash) =>
    expect(checkTlogProof(formatTlogProof(changed), leaf, policy(), { verify: fastVerify })).toMatch(
      /is not entry/,
    );
  proof.hashes.forEach((hash, at) => {
    for (let bit = 0; bit < 256; bit += 17) {
      const bent = Uint8Array.from(hash);
      bent[bit >> 3] = (bent[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      fails({ ...proof, hashes: proof.hashes.with(at, bent) });
    }
  });
  for (const wrong of [0, index - 1, index + 1, 10, 11, Number.MAX_SAFE_INTEGER])
    fails({ ...proof, index: wrong });
  fails({ ...proof, hashes: proof.hashes.slice(1) });
  fails({ ...proof, hashes: [...proof.hashes, new Uint8Array(32)] });
  fails({ ...proof, hashes: proof.hashes.toReversed() });
  fails(proof, new Uint8Array(32));
  fails(proof, leafHash.subarray(1));
});

test("without the log's signature, its origin or enough witnesses nothing is proven", () => {
  const unsigned = file.replace(/^— scim.*\n/m, "");
  expect(checkTlogProof(unsigned, leafHash, policy())).toMatch(/not signed by the log/);
  expect(checkTlogProof(file, leafHash, policy({ origin: "other" }))).toMatch(/another log/);
  const one = file.replace(/^— witness[23].*\n/gm, "");
  expect(checkTlogProof(one, leafHash, policy())).toMatch(/^1 of the witnesses .* asks for 2$/);
  expect(checkTlogProof(one, leafHash, policy({ threshold: 1 }))).toMatchObject({ isWitnessed: true });
  const stranger = vectors.published[0]?.keys ?? [];
  expect(checkTlogProof(file, leafHash, policy({ logKeys: stranger }))).toMatch(/not signed by the log/);
  expect(checkTlogProof(file.replace("\n10\n", "\n11\n"), leafHash, policy())).toMatch(/not good/);
});

test("what no file can hold is not written", () => {
  const proof = read(file);
  for (const wrong of [-1, 0.5, 2 ** 53, Number.NaN])
    expect(() => formatTlogProof({ ...proof, index: wrong })).toThrow(RangeError);
  expect(() => formatTlogProof({ ...proof, hashes: [new Uint8Array(31)] })).toThrow(RangeError);
  expect(() => formatTlogProof({ ...proof, hashes: Array(54).fill(new Uint8Array(32)) })).toThrow(RangeError);
  expect(() => formatTlogProof({ ...proof, extra: new Uint8Array() })).toThrow(RangeError);
  expect(() => formatTlogProof({ ...proof, checkpoint: "hello\n" })).toThrow(RangeError);
});

test("bytes that are no UTF-8, and files without end, are refused", () => {
  expect(parseTlogProof(Buffer.concat([Buffer.from(file), Buffer.of(0xff)]))).toMatch(/UTF-8/);
  expect(parseTlogProof(file + "x".repeat(2_000_000))).toMatch(/longer/);
});
