// Cosignatures: the signed bytes are the specification's, the time is under the signature, only checkpoints count.

import { expect, test } from "vitest";
import { fastVerify } from "../../../src/keys/fastVerify.ts";
import { verifySignature } from "../../../src/ledger/ed25519.ts";
import { checkCosignature, cosign } from "../../../src/ledger/note/cosignature.ts";
import { openNote, signNote } from "../../../src/ledger/note/note.ts";
import { makeLogSigner, makeWitnessSigner } from "../../vectors/makeNote.ts";
import vectors from "../../vectors/note.json" with { type: "json" };

const witness = makeWitnessSigner(1);
const text = `${vectors.checkpoint.split("\n\n")[0]}\n`;
const TIME = 1_772_438_400;

test("the bytes are time and signature, over header, time and text", () => {
  const { name, keyId, signature } = cosign(text, TIME, witness);
  expect({ name, keyId }).toEqual({ name: witness.key.name, keyId: witness.key.id });
  expect(Buffer.from(signature.subarray(0, 8)).readBigUInt64BE()).toBe(BigInt(TIME));
  const message = Buffer.from(`cosignature/v1\ntime ${TIME}\n${text}`);
  expect(verifySignature(witness.key.publicKey, message, signature.subarray(8))).toBe(true);
  expect(checkCosignature(text, witness.key, signature)).toBe(TIME);
  expect(checkCosignature(text, witness.key, signature, fastVerify)).toBe(TIME);
});

test("another time, text, key or length is not good", () => {
  const { signature } = cosign(text, TIME, witness);
  for (let i = 0; i < signature.length; i++) {
    const bent = Uint8Array.from(signature);
    bent[i] = (bent[i] ?? 0) ^ 1;
    expect(checkCosignature(text, witness.key, bent, fastVerify)).toBeUndefined();
  }
  expect(checkCosignature(text.replace("\n10\n", "\n11\n"), witness.key, signature)).toBeUndefined();
  expect(checkCosignature(`${text}x\n`, witness.key, signature)).toBeUndefined();
  expect(checkCosignature(text, makeWitnessSigner(2).key, signature)).toBeUndefined();
  expect(checkCosignature(text, witness.key, signature.subarray(8))).toBeUndefined();
  expect(checkCosignature(text, witness.key, Uint8Array.from([...signature, 0]))).toBeUndefined();
  expect(checkCosignature(text, witness.key, new Uint8Array())).toBeUndefined();
});

test("times at the edges", () => {
  for (const time of [0, Number.MAX_SAFE_INTEGER])
    expect(checkCosignature(text, witness.key, cosign(text, time, witness).signature)).toBe(time);
  for (const time of [-1, 0.5, 2 ** 53, Number.NaN])
    expect(() => cosign(text, time, witness)).toThrow(RangeError);
  // 2^53 is a time of the format, signed well, but no exact number here.
  const time = 2n ** 53n;
  const signature = Buffer.alloc(72);
  signature.writeBigUInt64BE(time);
  signature.set(witness.sign(Buffer.from(`cosignature/v1\ntime ${time}\n${text}`)), 8);
  expect(checkCosignature(text, witness.key, signature)).toBeUndefined();
});

test("only checkpoints are cosigned, and only cosignatures of checkpoints are good", () => {
  expect(() => cosign("hello\n", TIME, witness)).toThrow(/checkpoints only/);
  const signature = Buffer.alloc(72);
  signature.writeBigUInt64BE(BigInt(TIME));
  signature.set(witness.sign(Buffer.from(`cosignature/v1\ntime ${TIME}\nhello\n`)), 8);
  expect(checkCosignature("hello\n", witness.key, signature)).toBeUndefined();
  expect(() => cosign(text, TIME, { key: witness.key, sign: () => new Uint8Array(65) })).toThrow(RangeError);
});

test("a witness's plain signature is no cosignature, and its cosignature no log's signature", () => {
  const asLog = { key: { ...makeLogSigner().key, ...witness.key, type: "log" as const }, sign: witness.sign };
  expect(openNote(signNote(text, asLog), [witness.key])).toMatch(/not good/);
  const { signature } = cosign(text, TIME, witness);
  expect(verifySignature(witness.key.publicKey, Buffer.from(text), signature.subarray(8))).toBe(false);
});
