// Cosignatures, version 1 (C2SP tlog-cosignature, signature type 0x04): a witness says that at this time this was the
// largest consistent tree it had seen of the log. What is signed is a header, the time and the whole text of the
// checkpoint; what is sent is the time (8 bytes) and the Ed25519 signature (64). The header keeps it from ever being
// a log's own signature. Leaves out whether the tree is consistent: that is for the witness to check before. Pure.

import { SIGNATURE_BYTES, type VerifySignature, verifySignature } from "../ed25519.ts";
import { parseCheckpoint } from "./checkpoint.ts";
import type { NoteSignature } from "./note.ts";
import type { WitnessKey } from "./verifierKey.ts";

/** A witness's private key at work: `sign` returns the 64 bytes of an Ed25519 signature over exactly these bytes. */
export interface WitnessSigner {
  readonly key: WitnessKey;
  sign(message: Uint8Array): Uint8Array;
}

const TIME_BYTES = 8;

/**
 * Cosigns a checkpoint's text at a time in POSIX seconds. Only after the tree was found consistent with every earlier
 * one, and that it was seen is durable. @throws {RangeError} if the text is no checkpoint or the time no whole number.
 */
export function cosign(text: string, time: number, signer: WitnessSigner): NoteSignature {
  const checkpoint = parseCheckpoint(text);
  if (typeof checkpoint === "string") throw new RangeError(`a witness signs checkpoints only: ${checkpoint}`);
  if (!Number.isSafeInteger(time) || time < 0)
    throw new RangeError(`the time ${time} is not a number of whole seconds since 1970`);
  const ed25519 = signer.sign(formatCosignedMessage(text, time));
  if (ed25519.length !== SIGNATURE_BYTES)
    throw new RangeError(`an Ed25519 signature is ${SIGNATURE_BYTES} bytes, not ${ed25519.length}`);
  const signature = new Uint8Array(TIME_BYTES + SIGNATURE_BYTES);
  new DataView(signature.buffer).setBigUint64(0, BigInt(time));
  signature.set(ed25519, TIME_BYTES);
  return { name: signer.key.name, keyId: signer.key.id, signature };
}

/**
 * Checks the bytes of a cosignature of a checkpoint's text; the time it was made, in POSIX seconds, or undefined if it
 * is not good. The time is the witness's word: whether it is too old or in the future is for the caller to judge.
 */
export function checkCosignature(
  text: string,
  key: WitnessKey,
  signature: Uint8Array,
  verify: VerifySignature = verifySignature,
): number | undefined {
  if (signature.length !== TIME_BYTES + SIGNATURE_BYTES) return undefined;
  if (typeof parseCheckpoint(text) === "string") return undefined;
  // Times from 2^53 on are allowed by the format up to 2^63, but no number here says them exactly: not believed.
  const time = Number(new DataView(signature.buffer, signature.byteOffset).getBigUint64(0));
  if (!Number.isSafeInteger(time)) return undefined;
  const message = formatCosignedMessage(text, time);
  return verify(key.publicKey, message, signature.subarray(TIME_BYTES)) ? time : undefined;
}

function formatCosignedMessage(text: string, time: number): Uint8Array {
  return new TextEncoder().encode(`cosignature/v1\ntime ${time}\n${text}`);
}
