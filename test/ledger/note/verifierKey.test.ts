// Verifier keys: those that people published are read, everything that is not exactly one is refused.

import { expect, test } from "vitest";
import {
  formatVerifierKey,
  isKeyName,
  makeLogKey,
  makeWitnessKey,
  parseVerifierKey,
} from "../../../src/ledger/note/verifierKey.ts";
import vectors from "../../vectors/note.json" with { type: "json" };

test.each([...vectors.published.flatMap(({ keys }) => keys), vectors.logKey, ...vectors.witnesses])(
  "%s is read and written again",
  (vkey) => {
    const key = parseVerifierKey(vkey);
    if (typeof key === "string") throw new Error(key);
    expect(formatVerifierKey(key)).toBe(vkey);
  },
);

test.each(vectors.refused.keys)("refused: $desc", ({ text }) => {
  expect(parseVerifierKey(text)).toBeTypeOf("string");
});

test("the same name and public key is another key as a log's and as a witness's", () => {
  const key = parseVerifierKey(vectors.logKey);
  if (typeof key === "string") throw new Error(key);
  const [log, witness] = [makeLogKey(key.name, key.publicKey), makeWitnessKey(key.name, key.publicKey)];
  expect(log).toEqual(key);
  expect(witness.id).not.toBe(log.id);
  expect(parseVerifierKey(formatVerifierKey(witness))).toEqual(witness);
});

test("a key is made of a name and of a key that can be trusted only", () => {
  const { publicKey } = makeLogKey("a", Buffer.from(`58${"66".repeat(31)}`, "hex"));
  expect(() => makeLogKey("a b", publicKey)).toThrow(RangeError);
  expect(() => makeWitnessKey("", publicKey)).toThrow(RangeError);
  expect(() => makeLogKey("a", new Uint8Array(32))).toThrow(/no usable Ed25519 key/);
  expect(() => makeWitnessKey("a", publicKey.subarray(1))).toThrow(/no usable Ed25519 key/);
});

test("a key keeps its bytes, whatever its maker does with his", () => {
  const bytes = Uint8Array.from(Buffer.from(`58${"66".repeat(31)}`, "hex"));
  const key = makeLogKey("a", bytes);
  bytes.fill(0);
  expect(Buffer.from(key.publicKey).toString("hex")).toBe(`58${"66".repeat(31)}`);
});

test("names of any script, without spaces, plus signs or half characters", () => {
  expect(["example.com/log", "журнал", "a\u2014b", "😀"].every(isKeyName)).toBe(true);
  expect(["", "a b", "a+b", "a\u2028b", "a\ud800", "a\r"].some(isKeyName)).toBe(false);
});
