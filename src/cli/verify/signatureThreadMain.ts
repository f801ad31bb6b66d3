// What a thread of SignatureThreads runs: one message of jobs in, one array of verdicts out (1: good). Jobs travel as
// one buffer, since a view of a larger buffer would be copied whole: for each job the length of the message (4 bytes,
// big-endian), key (32), signature (64), message. A signature of another length is no signature and is sent as zeros.

import { parentPort } from "node:worker_threads";
import { fastVerify } from "../../keys/fastVerify.ts";
import { PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from "../../ledger/ed25519.ts";
import type { SignatureJob } from "../../ledger/evidence/packBody.ts";

const LENGTH_BYTES = 4;
const FIXED_BYTES = LENGTH_BYTES + PUBLIC_KEY_BYTES + SIGNATURE_BYTES;

/** Jobs as bytes. */
export function formatJobs(jobs: readonly SignatureJob[]): Uint8Array<ArrayBuffer> {
  const size = jobs.reduce((sum, { message }) => sum + FIXED_BYTES + message.length, 0);
  const packed = new Uint8Array(size);
  const view = new DataView(packed.buffer);
  let at = 0;
  for (const { publicKey, message, signature } of jobs) {
    view.setUint32(at, message.length);
    // Zeros are no key and no signature that anything accepts.
    if (publicKey.length === PUBLIC_KEY_BYTES) packed.set(publicKey, at + LENGTH_BYTES);
    if (signature.length === SIGNATURE_BYTES) packed.set(signature, at + LENGTH_BYTES + PUBLIC_KEY_BYTES);
    packed.set(message, at + FIXED_BYTES);
    at += FIXED_BYTES + message.length;
  }
  return packed;
}

/** The verdicts over jobs as bytes, in their order. */
export function verifyJobs(packed: Uint8Array): Uint8Array {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const verdicts: number[] = [];
  for (let at = 0; at < packed.length; ) {
    const end = at + FIXED_BYTES + view.getUint32(at);
    const key = packed.subarray(at + LENGTH_BYTES, at + LENGTH_BYTES + PUBLIC_KEY_BYTES);
    const signature = packed.subarray(at + LENGTH_BYTES + PUBLIC_KEY_BYTES, at + FIXED_BYTES);
    verdicts.push(fastVerify(key, packed.subarray(at + FIXED_BYTES, end), signature) ? 1 : 0);
    at = end;
  }
  return Uint8Array.from(verdicts);
}

parentPort?.on("message", (packed: Uint8Array) => parentPort?.postMessage(verifyJobs(packed)));
