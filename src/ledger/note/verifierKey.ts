// Verifier keys (C2SP signed-note, "Verifier keys"): `name+id+base64(type ‖ public key)`, the form in which people pin
// the key of a log or a witness. Two types of signature are known here: Ed25519 (0x01), by which a log signs, and
// cosignature/v1 (0x04, C2SP tlog-cosignature), by which a witness does. Parsing is strict: a key id that does not
// belong to its key, or a key that no signature should be believed for, is refused. Pure.

import { decodeBase64, encodeBase64 } from "../base64.ts";
import { isStrictPublicKey } from "../ed25519.ts";
import { sha256 } from "../hash.ts";
import { isNoteLine } from "./noteText.ts";

/** A key that signs notes, such as a log's checkpoints (signature type 0x01). */
export interface LogKey {
  readonly type: "log";
  readonly name: string;
  /** The 32-bit key id, computed from the rest. With the name it says whose a signature claims to be. */
  readonly id: number;
  readonly publicKey: Uint8Array;
}

/** A key that cosigns checkpoints it has seen (signature type 0x04). */
export interface WitnessKey {
  readonly type: "witness";
  readonly name: string;
  readonly id: number;
  readonly publicKey: Uint8Array;
}

export type VerifierKey = LogKey | WitnessKey;

const TYPE_BYTE = { log: 0x01, witness: 0x04 } as const;

/** The verifier key of a log. @throws {RangeError} for what is no key name or no usable Ed25519 key. */
export function makeLogKey(name: string, publicKey: Uint8Array): LogKey {
  return { type: "log", ...makeKey("log", name, publicKey) };
}

/** The verifier key of a witness. @throws {RangeError} for what is no key name or no usable Ed25519 key. */
export function makeWitnessKey(name: string, publicKey: Uint8Array): WitnessKey {
  return { type: "witness", ...makeKey("witness", name, publicKey) };
}

/** Reads a vkey; a string names what is wrong with it. */
export function parseVerifierKey(text: string): VerifierKey | string {
  // The base64 may hold further plus signs, the name and the id may not.
  const [name = "", id = "", ...rest] = text.split("+");
  const material = decodeBase64(rest.join("+"));
  if (rest.length === 0 || material === undefined) return "not of the form name+id+base64";
  if (!isKeyName(name)) return "the name is empty or holds a space or a control character";
  const type = material[0];
  if (type !== TYPE_BYTE.log && type !== TYPE_BYTE.witness)
    return `signature type ${type ?? "missing"} is neither Ed25519 (1) nor cosignature/v1 (4)`;
  const publicKey = material.subarray(1);
  if (!isStrictPublicKey(publicKey)) return "the public key is no usable Ed25519 key";
  const key = type === TYPE_BYTE.log ? makeLogKey(name, publicKey) : makeWitnessKey(name, publicKey);
  return formatKeyId(key.id) === id ? key : "the key id does not belong to the name and the key";
}

/** The vkey of a key. */
export function formatVerifierKey(key: VerifierKey): string {
  const material = Uint8Array.of(TYPE_BYTE[key.type], ...key.publicKey);
  return `${key.name}+${formatKeyId(key.id)}+${encodeBase64(material)}`;
}

/** A key's name as notes allow it: not empty, well-formed, no space of any script, no control character, no plus. */
export function isKeyName(name: string): boolean {
  return isNoteLine(name) && !/[\p{White_Space}+]/u.test(name);
}

function makeKey(type: VerifierKey["type"], name: string, publicKey: Uint8Array) {
  if (!isKeyName(name)) throw new RangeError("the name of a key holds a space, a plus, or nothing");
  if (!isStrictPublicKey(publicKey)) throw new RangeError(`the key of ${name} is no usable Ed25519 key`);
  return { name, id: computeKeyId(name, TYPE_BYTE[type], publicKey), publicKey: Uint8Array.from(publicKey) };
}

/** The first four bytes of SHA-256(name ‖ 0x0A ‖ type ‖ key), a big-endian number. */
function computeKeyId(name: string, type: number, publicKey: Uint8Array): number {
  const hash = sha256(new TextEncoder().encode(`${name}\n`), Uint8Array.of(type), publicKey);
  return new DataView(hash.buffer, hash.byteOffset).getUint32(0);
}

function formatKeyId(id: number): string {
  return id.toString(16).padStart(8, "0");
}
