// Signed notes: what others signed opens here, one spelling is read, and trust comes from pinned keys alone.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fastVerify } from "../../../src/keys/fastVerify.ts";
import {
  formatNote,
  formatSignatures,
  MAX_NOTE_BYTES,
  MAX_NOTE_SIGNATURES,
  type NoteSignature,
  openNote,
  parseNote,
  parseSignatures,
  signNote,
} from "../../../src/ledger/note/note.ts";
import { makeLogKey, parseVerifierKey, type VerifierKey } from "../../../src/ledger/note/verifierKey.ts";
import { makeLogSigner, makeNoteVectors, makeWitnessSigner } from "../../vectors/makeNote.ts";
import vectors from "../../vectors/note.json" with { type: "json" };

const log = makeLogSigner();
const witness = makeWitnessSigner(1);

function read(vkey: string): VerifierKey {
  const key = parseVerifierKey(vkey);
  if (typeof key === "string") throw new Error(key);
  return key;
}

function opened(note: string | Uint8Array, keys: readonly VerifierKey[]) {
  const found = openNote(note, keys);
  if (typeof found === "string") throw new Error(found);
  return found;
}

function parsed(note: string) {
  const found = parseNote(note);
  if (typeof found === "string") throw new Error(found);
  return found;
}

test("the vectors are what their maker makes", () => {
  expect(makeNoteVectors()).toEqual(vectors);
});

describe("notes that others signed", () => {
  test.each(vectors.published)("$source", ({ keys, note, verified, unverified }) => {
    for (const verify of [undefined, fastVerify]) {
      const found = openNote(note, keys.map(read), verify);
      if (typeof found === "string") throw new Error(found);
      const names = found.verified.map(({ key, ...rest }) => ({ name: key.name, ...rest }));
      expect(names).toEqual(verified);
      expect(found.unverified.map(({ name }) => name)).toEqual(unverified);
    }
  });

  test.each(vectors.published)("with another text: $source", ({ keys, note }) => {
    expect(openNote(note.replace(/[a-z]/, "A"), keys.map(read))).toMatch(/not good/);
  });
});

test.each(vectors.refused.notes)("refused: $desc", ({ text }) => {
  expect(parseNote(text)).toBeTypeOf("string");
  expect(openNote(text, [log.key])).toBeTypeOf("string");
});

test("bytes that are no UTF-8 are refused; a byte order mark belongs to the text", () => {
  const note = signNote("\ufeffx\n", log);
  expect(opened(Buffer.from(note), [log.key]).text).toBe("\ufeffx\n");
  expect(openNote(Buffer.concat([Buffer.of(0xff), Buffer.from(note)]), [log.key])).toMatch(/UTF-8/);
  // An overlong newline, a half of a surrogate pair, a character cut at the end.
  for (const bad of [
    [0xc0, 0x8a],
    [0xed, 0xa0, 0x80],
    [0xe2, 0x80],
  ])
    expect(parseNote(Buffer.concat([Buffer.from(bad), Buffer.from(note)]))).toMatch(/UTF-8/);
  expect(parseNote(`\ud800${note}`)).toMatch(/UTF-8/);
});

test("the last empty line ends the text, which may hold others and look like signatures", () => {
  const text = `a\n\n\nb\n\n${formatSignatures(parsed(vectors.checkpoint).signatures)}\n`;
  expect(opened(signNote(text, log), [log.key]).text).toBe(text);
});

test("as many signatures as are allowed, and no longer than allowed", () => {
  const { text, signatures } = parsed(vectors.checkpoint);
  const many = Array<NoteSignature[]>(MAX_NOTE_SIGNATURES)
    .fill([...signatures])
    .flat();
  expect(parseNote(formatNote({ text, signatures: many }))).toBeTypeOf("object");
  expect(parseNote(formatNote({ text, signatures: [...many, ...signatures] }))).toMatch(/more than 100/);
  const line = `\n${formatSignatures(signatures)}`;
  const length = MAX_NOTE_BYTES - Buffer.byteLength(line) - 1;
  expect(parseNote(`${"x".repeat(length)}\n${line}`)).toBeTypeOf("object");
  expect(parseNote(`${"x".repeat(length + 1)}\n${line}`)).toMatch(/longer/);
  // A character is one here and three bytes there.
  expect(parseNote(`${"\u20ac".repeat(length / 2)}\n${line}`)).toMatch(/longer/);
});

test("texts that notes do not allow are not signed, nor is anything with a broken signer", () => {
  for (const text of ["", "x", "x\ty\n", "x\r\n", "\0\n", "\ud800\n"])
    expect(() => signNote(text, log)).toThrow(RangeError);
  expect(() => signNote("x\n", { key: log.key, sign: () => new Uint8Array(63) })).toThrow(RangeError);
});

test("nothing is believed without a pinned key", () => {
  expect(openNote(vectors.checkpoint, [])).toMatch(/no trusted key/);
  expect(openNote(vectors.checkpoint, [witness.key])).toMatch(/no trusted key/);
  // The same public key under another name is another key.
  const renamed = makeLogKey("other.example", log.key.publicKey);
  expect(openNote(vectors.checkpoint, [renamed])).toMatch(/no trusted key/);
});

test("a signature of an unknown key is kept apart, even if it takes the name or the id of a known one", () => {
  const line = (name: string, keyId: number): NoteSignature => ({
    name,
    keyId,
    signature: new Uint8Array(64),
  });
  const [good] = parsed(vectors.checkpoint).signatures;
  if (!good) throw new Error("no signature");
  const strangers = [line(log.key.name, log.key.id + 1), line("stranger", log.key.id)];
  const { text } = parsed(vectors.checkpoint);
  const found = opened(formatNote({ text, signatures: [...strangers, good] }), [log.key]);
  expect(found.verified).toEqual([{ key: log.key }]);
  expect(found.unverified).toEqual(strangers);
});

test("one wrong signature in a known key's name makes the whole note invalid, before or after the good one", () => {
  const { text, signatures } = parsed(vectors.checkpoint);
  for (const length of [1, 63, 64, 65, 72]) {
    const wrong = { name: log.key.name, keyId: log.key.id, signature: new Uint8Array(length) };
    expect(openNote(formatNote({ text, signatures: [wrong, ...signatures] }), [log.key])).toMatch(/not good/);
    expect(openNote(formatNote({ text, signatures: [...signatures, wrong] }), [log.key])).toMatch(/not good/);
  }
});

test("a key that signed twice is one key", () => {
  const { text, signatures } = parsed(vectors.cosigned);
  const twice = formatNote({ text, signatures: [...signatures, ...signatures] });
  const keys = [vectors.logKey, ...vectors.witnesses].map(read);
  expect(opened(twice, keys).verified).toEqual(opened(vectors.cosigned, keys).verified);
  expect(opened(twice, [...keys, ...keys]).verified).toHaveLength(4);
});

test("two pinned keys that cannot be told apart are the caller's mistake", () => {
  const { publicKey } = makeWitnessSigner(2).key;
  expect(() => openNote(vectors.checkpoint, [log.key, { ...log.key, publicKey }])).toThrow(RangeError);
  expect(() => openNote(vectors.checkpoint, [log.key, { ...log.key, type: "witness" }])).toThrow(RangeError);
});

test("signature lines alone are read and written again; none at all is refused", () => {
  const { signatures } = parsed(vectors.cosigned);
  expect(parseSignatures(formatSignatures(signatures))).toEqual(signatures);
  expect(parseSignatures("")).toBeTypeOf("string");
  expect(parseSignatures("\n")).toBeTypeOf("string");
});

test("any text that can be signed opens again, and any other spelling of the note does not", () => {
  const line = fc
    .string({ unit: "grapheme", maxLength: 12 })
    .filter((text) => [...text].every((c) => c >= " "));
  fc.assert(
    fc.property(fc.array(line, { minLength: 1, maxLength: 4 }), fc.nat(), fc.nat(127), (lines, at, code) => {
      const text = lines.map((one) => `${one}\n`).join("");
      const note = signNote(text, log);
      const found = openNote(note, [log.key], fastVerify);
      expect(found).toEqual({ text, verified: [{ key: log.key }], unverified: [] });
      const bytes = Buffer.from(note);
      const place = at % bytes.length;
      if (bytes[place] === code) return;
      bytes[place] = code;
      // A change of the name or the id makes it a stranger's; of anything else, a wrong or unreadable note.
      expect(openNote(bytes, [log.key], fastVerify)).toBeTypeOf("string");
    }),
    { numRuns: 500 },
  );
});
