// Signed notes (C2SP signed-note): a text, a blank line, and lines `— name base64(key id ‖ signature)`. Strict: one
// spelling only, and what is read is written again and compared. A parsed note is *not* a verified one; an opened
// note keeps verified and other signatures in separate fields, so that a caller cannot mistake one for the other.
// The adversary may add any signature lines: those of unknown keys say nothing, those that claim to be a pinned key's
// and are not make the whole note invalid. Pure.

import { decodeBase64, encodeBase64 } from "../base64.ts";
import { SIGNATURE_BYTES, type VerifySignature, verifySignature } from "../ed25519.ts";
import { equalBytes } from "../hash.ts";
import { checkCosignature } from "./cosignature.ts";
import { isNoteText, readUtf8 } from "./noteText.ts";
import { isKeyName, type LogKey, type VerifierKey, type WitnessKey } from "./verifierKey.ts";

/** One signature line, unverified: what it claims. */
export interface NoteSignature {
  readonly name: string;
  readonly keyId: number;
  /** The bytes after the key id; what they are depends on the type of the key. */
  readonly signature: Uint8Array;
}

/** A note that was read and not verified. `text` ends in a newline. */
export interface Note {
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

/** Whose signature was verified. A witness's has the time of the cosignature, in POSIX seconds, by its own clock. */
export type VerifiedSignature =
  | { readonly key: LogKey }
  | { readonly key: WitnessKey; readonly time: number };

/** A note that at least one pinned key signed. */
export interface OpenedNote {
  readonly text: string;
  /** One for each pinned key that signed, however often it did. Never empty. */
  readonly verified: readonly VerifiedSignature[];
  /** Signatures of keys that nobody pinned: they prove nothing. */
  readonly unverified: readonly NoteSignature[];
}

/** A log's private key at work: `sign` returns the 64 bytes of an Ed25519 signature over exactly these bytes. */
export interface NoteSigner {
  readonly key: LogKey;
  sign(message: Uint8Array): Uint8Array;
}

/** Limits of what is read: far above any note of ours, and above what a verifier must accept (16 signatures). */
export const MAX_NOTE_BYTES = 1_000_000;
export const MAX_NOTE_SIGNATURES = 100;

const DASH = "\u2014 ";
const KEY_ID_BYTES = 4;

/** Signs a text, which must end in a newline. @throws {RangeError} for a text that notes do not allow. */
export function signNote(text: string, signer: NoteSigner): string {
  if (!isNoteText(text))
    throw new RangeError("a note's text must end in a newline and hold no control character");
  const signature = signer.sign(new TextEncoder().encode(text));
  if (signature.length !== SIGNATURE_BYTES)
    throw new RangeError(`an Ed25519 signature is ${SIGNATURE_BYTES} bytes, not ${signature.length}`);
  return formatNote({ text, signatures: [{ name: signer.key.name, keyId: signer.key.id, signature }] });
}

/** Writes a note; the inverse of `parseNote`. */
export function formatNote(note: Note): string {
  return `${note.text}\n${formatSignatures(note.signatures)}`;
}

/** Reads a note; a string names what is wrong with it. Nothing is verified. */
export function parseNote(input: string | Uint8Array): Note | string {
  const note = readUtf8(input, MAX_NOTE_BYTES);
  if (note === undefined) return `the note is not UTF-8, or longer than ${MAX_NOTE_BYTES} bytes`;
  // The text may hold empty lines itself: the last one ends it.
  const end = note.lastIndexOf("\n\n");
  if (end < 0) return "the note has no empty line between text and signatures";
  const text = note.slice(0, end + 1);
  if (!isNoteText(text)) return "the note's text holds a control character";
  const signatures = parseSignatures(note.slice(end + 2));
  if (typeof signatures === "string") return signatures;
  return formatNote({ text, signatures }) === note
    ? { text, signatures }
    : "the note is not spelled canonically";
}

/** Writes signature lines alone, as a witness answers them. */
export function formatSignatures(signatures: readonly NoteSignature[]): string {
  return signatures.map((signature) => `${DASH}${signature.name} ${formatSignature(signature)}\n`).join("");
}

/** Reads signature lines alone, at least one; a string names what is wrong with them. Nothing is verified. */
export function parseSignatures(lines: string): NoteSignature[] | string {
  if (!lines.endsWith("\n")) return "the note has no signature, or its last line is not ended";
  const texts = lines.slice(0, -1).split("\n", MAX_NOTE_SIGNATURES + 1);
  if (texts.length > MAX_NOTE_SIGNATURES) return `the note has more than ${MAX_NOTE_SIGNATURES} signatures`;
  const signatures: NoteSignature[] = [];
  for (const [i, line] of texts.entries()) {
    const signature = parseSignature(line);
    if (signature === undefined) return `signature ${i + 1} of the note is not of the form — name base64`;
    signatures.push(signature);
  }
  return signatures;
}

/**
 * Reads a note and verifies it with the keys that the caller trusts; a string says why it is not to be believed.
 * @throws {RangeError} if two different trusted keys share name and id: whose a signature is could not be told.
 */
export function openNote(
  input: string | Uint8Array,
  trusted: readonly VerifierKey[],
  verify: VerifySignature = verifySignature,
): OpenedNote | string {
  const keys = indexKeys(trusted);
  const note = parseNote(input);
  if (typeof note === "string") return note;
  const verified = new Map<VerifierKey, VerifiedSignature>();
  const unverified: NoteSignature[] = [];
  for (const signature of note.signatures) {
    const key = keys.get(nameOf(signature.name, signature.keyId));
    if (key === undefined) {
      unverified.push(signature);
      continue;
    }
    const checked = checkSignature(note.text, key, signature.signature, verify);
    if (checked === undefined) return `the signature of ${key.name} is not good for this note`;
    // A second good signature of one key adds nothing, and whoever counts must not count it.
    if (!verified.has(key)) verified.set(key, checked);
  }
  if (verified.size === 0) return "no trusted key signed the note";
  return { text: note.text, verified: [...verified.values()], unverified };
}

function checkSignature(
  text: string,
  key: VerifierKey,
  signature: Uint8Array,
  verify: VerifySignature,
): VerifiedSignature | undefined {
  if (key.type === "log")
    return verify(key.publicKey, new TextEncoder().encode(text), signature) ? { key } : undefined;
  const time = checkCosignature(text, key, signature, verify);
  return time === undefined ? undefined : { key, time };
}

function indexKeys(trusted: readonly VerifierKey[]): Map<string, VerifierKey> {
  const keys = new Map<string, VerifierKey>();
  for (const key of trusted) {
    const name = nameOf(key.name, key.id);
    const other = keys.get(name) ?? key;
    if (other.type !== key.type || !equalBytes(other.publicKey, key.publicKey))
      throw new RangeError(`two trusted keys are both called ${key.name} and have the same key id`);
    keys.set(name, other);
  }
  return keys;
}

/** Names hold no plus, so that this text is one name and one id only. */
function nameOf(name: string, id: number): string {
  return `${name}+${id}`;
}

function parseSignature(line: string): NoteSignature | undefined {
  const space = line.indexOf(" ", DASH.length);
  if (!line.startsWith(DASH) || space < 0) return undefined;
  const name = line.slice(DASH.length, space);
  const bytes = decodeBase64(line.slice(space + 1));
  if (!isKeyName(name) || bytes === undefined || bytes.length <= KEY_ID_BYTES) return undefined;
  const keyId = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  return { name, keyId, signature: bytes.subarray(KEY_ID_BYTES) };
}

function formatSignature({ keyId, signature }: NoteSignature): string {
  const bytes = new Uint8Array(KEY_ID_BYTES + signature.length);
  new DataView(bytes.buffer).setUint32(0, keyId);
  bytes.set(signature, KEY_ID_BYTES);
  return encodeBase64(bytes);
}
