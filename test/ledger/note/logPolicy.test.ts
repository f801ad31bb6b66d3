// Policies: what is pinned decides. Signed, witnessed and enough witnesses are three statements.

import { expect, test } from "vitest";
import { cosign } from "../../../src/ledger/note/cosignature.ts";
import {
  countWitnesses,
  type LogPolicy,
  openCheckpoint,
  parseLogPolicy,
} from "../../../src/ledger/note/logPolicy.ts";
import { formatSignatures, openNote, signNote } from "../../../src/ledger/note/note.ts";
import { formatVerifierKey, makeLogKey, makeWitnessKey } from "../../../src/ledger/note/verifierKey.ts";
import { makeLogSigner, makeWitnessSigner } from "../../vectors/makeNote.ts";
import vectors from "../../vectors/note.json" with { type: "json" };

const log = makeLogSigner();
const base = { origin: vectors.origin, logKeys: [vectors.logKey] };
const [one = "", two = ""] = vectors.witnesses;
const text = `${vectors.checkpoint.split("\n\n")[0]}\n`;

function policy(changes: Partial<Parameters<typeof parseLogPolicy>[0]> = {}): LogPolicy {
  const parsed = parseLogPolicy({ ...base, ...changes });
  if (typeof parsed === "string") throw new Error(parsed);
  return parsed;
}

function open(note: string, by: LogPolicy) {
  const signed = openCheckpoint(note, by);
  if (typeof signed === "string") throw new Error(signed);
  return signed;
}

test("a checkpoint that the log signed and all witnesses cosigned", () => {
  const signed = open(vectors.cosigned, policy({ threshold: 3, witnesses: vectors.witnesses }));
  expect(signed).toMatchObject({ checkpoint: { size: 10 }, text, isWitnessed: true, unverified: [] });
  expect(signed.signedBy).toEqual([log.key]);
  expect(signed.cosignatures.map(({ time }) => time)).toEqual(vectors.times);
});

test("fewer witnesses than asked for: signed, but not witnessed", () => {
  const signed = open(vectors.checkpoint, policy({ threshold: 1, witnesses: vectors.witnesses }));
  expect(signed).toMatchObject({ isWitnessed: false, cosignatures: [] });
  const both = policy({ threshold: 2, witnesses: [one, two] });
  const onceEach = vectors.checkpoint + formatSignatures([cosign(text, 1, makeWitnessSigner(1))]);
  expect(open(onceEach, both)).toMatchObject({ isWitnessed: false });
});

test("one witness that cosigns often is one witness", () => {
  const lines = [1, 2, 3].map((time) => cosign(text, time, makeWitnessSigner(1)));
  const signed = open(
    vectors.checkpoint + formatSignatures(lines),
    policy({ threshold: 2, witnesses: [one, two] }),
  );
  expect(signed.cosignatures.map(({ time }) => time)).toEqual([1]);
  expect(signed.isWitnessed).toBe(false);
});

test("witnesses that nobody pinned do not count, nor does one key by two names", () => {
  const signed = open(vectors.cosigned, policy({ threshold: 1, witnesses: [one] }));
  expect(signed.cosignatures).toHaveLength(1);
  expect(signed.unverified).toHaveLength(2);
  const first = makeWitnessSigner(1);
  const alias = { ...first, key: makeWitnessKey("alias.example/w", first.key.publicKey) };
  const note = vectors.checkpoint + formatSignatures([first, alias].map((signer) => cosign(text, 1, signer)));
  const opened = openNote(note, [log.key, first.key, alias.key]);
  if (typeof opened === "string") throw new Error(opened);
  expect(opened.verified).toHaveLength(3);
  expect(countWitnesses(opened.verified, { threshold: 1, witnesses: [first.key] })).toBe(1);
});

test("witnesses cannot stand in for the log, nor a log key for a witness", () => {
  const witnesses = [makeWitnessSigner(1)].map((signer) => cosign(text, 1, signer));
  const note = `${text}\n${formatSignatures(witnesses)}`;
  expect(openCheckpoint(note, policy({ threshold: 1, witnesses: [one] }))).toBe(
    "the checkpoint is not signed by the log",
  );
  const first = makeWitnessSigner(1);
  const asLog = { key: makeLogKey("witness1.example/w", first.key.publicKey), sign: first.sign };
  const both = openNote(signNote(text, asLog), [asLog.key]);
  if (typeof both === "string") throw new Error(both);
  expect(countWitnesses(both.verified, { threshold: 1, witnesses: [first.key] })).toBe(0);
});

test("a checkpoint of another log, and a note that is no checkpoint", () => {
  expect(openCheckpoint(vectors.checkpoint, policy({ origin: "other" }))).toBe(
    "the checkpoint is of another log",
  );
  expect(openCheckpoint(signNote("hello\n", log), policy())).toMatch(/three lines/);
});

test("a wrong line in a pinned witness's name makes the checkpoint invalid", () => {
  const wrong = { ...cosign(text, 1, makeWitnessSigner(1)), signature: new Uint8Array(72) };
  const note = vectors.checkpoint + formatSignatures([wrong]);
  expect(openCheckpoint(note, policy({ threshold: 0, witnesses: [one] }))).toMatch(/not good/);
  expect(open(note, policy()).unverified).toHaveLength(1);
});

const ownWitness = formatVerifierKey(makeWitnessKey("me", log.key.publicKey));
const alias = formatVerifierKey(makeWitnessKey("alias", makeWitnessSigner(1).key.publicKey));
test.each([
  ["no key of the log", { logKeys: [] }, /no key of the log/],
  ["a key that is none", { logKeys: ["x"] }, /key 1 of the log/],
  ["a witness's key as the log's", { logKeys: [one] }, /is a witness's/],
  ["the log's key as a witness", { threshold: 1, witnesses: [vectors.logKey] }, /not of a witness/],
  ["a witness that is none", { threshold: 1, witnesses: [one, "x"] }, /witness 2/],
  ["a witness with the log's own key", { threshold: 1, witnesses: [ownWitness] }, /key of the log itself/],
  ["a witness twice", { threshold: 1, witnesses: [one, one] }, /witness 2 has the key/],
  ["a witness under two names", { threshold: 2, witnesses: [one, alias] }, /witness 2 has the key/],
  ["a threshold above the number of witnesses", { threshold: 3, witnesses: [one, two] }, /from 0 to 2/],
  ["a threshold below 0", { threshold: -1 }, /from 0 to 0/],
  ["a threshold that is no whole number", { threshold: 0.5, witnesses: [one] }, /from 0 to 1/],
  ["a threshold that is no number", { threshold: Number.NaN, witnesses: [one] }, /from 0 to 1/],
] as const)("refused: %s", (_desc, changes, message) => {
  expect(parseLogPolicy({ ...base, ...changes })).toMatch(message);
});
