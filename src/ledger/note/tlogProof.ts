// Proof files (C2SP tlog-proof): all that is needed, with the leaf and pinned keys, to check offline that an entry is
// in a log: its index, the inclusion proof, and the signed checkpoint, verbatim. Strict: one spelling only. The file
// comes from whoever wants to be believed; its `extra` line is under no signature at all. Pure.

import { decodeBase64, encodeBase64 } from "../base64.ts";
import type { VerifySignature } from "../ed25519.ts";
import { HASH_BYTES, type Sha256 } from "../hash.ts";
import { checkInclusion } from "../tree/proof.ts";
import { parseCheckpoint } from "./checkpoint.ts";
import { type LogPolicy, openCheckpoint, type SignedCheckpoint } from "./logPolicy.ts";
import { MAX_NOTE_BYTES, parseNote } from "./note.ts";
import { parseDecimal, readUtf8 } from "./noteText.ts";

/** What a proof file says; nothing of it is verified. */
export interface TlogProof {
  /** Of the entry, from 0; a safe integer. */
  readonly index: number;
  /** From the leaf's sibling up to the root's child, 32 bytes each. */
  readonly hashes: readonly Uint8Array[];
  /** The signed checkpoint, verbatim. */
  readonly checkpoint: string;
  /** The application's own bytes; not authenticated. Absent when there are none. */
  readonly extra?: Uint8Array;
}

/** What a proof file proves, once checked. */
export interface CheckedTlogProof extends SignedCheckpoint {
  readonly index: number;
}

/** Faster or other parts for the check; the portable ones where absent. */
export interface TlogProofOptions {
  verify?: VerifySignature;
  digest?: Sha256;
}

/** File name extension of proof files. */
export const TLOG_PROOF_EXTENSION = ".tlog-proof";
/** Limits of what is read. No tree below 2^53 leaves has longer proofs. */
export const MAX_TLOG_PROOF_BYTES = 2 * MAX_NOTE_BYTES;
export const MAX_PROOF_HASHES = 53;

const HEADER = "c2sp.org/tlog-proof@v1";

/** Writes a proof file. @throws {RangeError} for an index, hash, checkpoint or extra that no such file can hold. */
export function formatTlogProof(proof: TlogProof): string {
  const { index, hashes, checkpoint, extra } = proof;
  if (!Number.isSafeInteger(index) || index < 0)
    throw new RangeError(`${index} is no index of an entry: not a safe integer from 0`);
  if (hashes.length > MAX_PROOF_HASHES || hashes.some(({ length }) => length !== HASH_BYTES))
    throw new RangeError(`a proof is at most ${MAX_PROOF_HASHES} hashes of ${HASH_BYTES} bytes`);
  if (extra?.length === 0) throw new RangeError("extra data, if there is any, is not empty");
  const problem = findCheckpointProblem(checkpoint);
  if (problem !== undefined) throw new RangeError(`the proof's checkpoint cannot be read: ${problem}`);
  const lines = [HEADER, ...(extra ? [`extra ${encodeBase64(extra)}`] : []), `index ${index}`];
  return `${[...lines, ...hashes.map(encodeBase64)].join("\n")}\n\n${checkpoint}`;
}

/** Reads a proof file; a string names what is wrong with it. Nothing is verified. */
export function parseTlogProof(file: string | Uint8Array): TlogProof | string {
  const text = readUtf8(file, MAX_TLOG_PROOF_BYTES);
  if (text === undefined) return `the proof is not UTF-8, or longer than ${MAX_TLOG_PROOF_BYTES} bytes`;
  const end = text.indexOf("\n\n");
  if (end < 0) return "the proof has no empty line before its checkpoint";
  const [header, ...lines] = text.slice(0, end).split("\n", MAX_PROOF_HASHES + 4);
  if (header !== HEADER) return `the first line of the proof is not ${HEADER}`;
  const extraText = lines[0]?.startsWith("extra ") ? lines.shift()?.slice("extra ".length) : undefined;
  const extra = extraText === undefined ? undefined : decodeBase64(extraText);
  if (extraText !== undefined && !extra?.length) return "the extra data of the proof is empty or not base64";
  const indexLine = lines.shift() ?? "";
  const index = indexLine.startsWith("index ") ? parseDecimal(indexLine.slice("index ".length)) : undefined;
  if (index === undefined) return "the proof's index is missing or not a plain decimal number below 2^53";
  if (lines.length > MAX_PROOF_HASHES) return `the proof has more than ${MAX_PROOF_HASHES} hashes`;
  const hashes: Uint8Array[] = [];
  for (const [i, line] of lines.entries()) {
    const hash = decodeBase64(line);
    if (hash?.length !== HASH_BYTES) return `hash ${i + 1} of the proof is not ${HASH_BYTES} bytes in base64`;
    hashes.push(hash);
  }
  const checkpoint = text.slice(end + 2);
  const problem = findCheckpointProblem(checkpoint);
  if (problem !== undefined) return problem;
  const proof = { index, hashes, checkpoint, ...(extra && { extra }) };
  return formatTlogProof(proof) === text ? proof : "the proof is not spelled canonically";
}

/**
 * Checks a proof file: the checkpoint is signed by the policy's log and by enough witnesses, and the tree it signs has
 * a leaf of this hash at the file's index. The leaf hash is the caller's, computed from the entry itself, never taken
 * from the file. A string says why the file proves nothing.
 */
export function checkTlogProof(
  file: string | Uint8Array,
  leafHash: Uint8Array,
  policy: LogPolicy,
  options: TlogProofOptions = {},
): CheckedTlogProof | string {
  const proof = parseTlogProof(file);
  if (typeof proof === "string") return proof;
  const signed = openCheckpoint(proof.checkpoint, policy, options.verify);
  if (typeof signed === "string") return signed;
  const { cosignatures, checkpoint } = signed;
  if (!signed.isWitnessed)
    return `${cosignatures.length} of the witnesses cosigned the checkpoint, and the policy asks for ${policy.threshold}`;
  const { index, hashes } = proof;
  if (!checkInclusion(hashes, index, checkpoint.size, leafHash, checkpoint.root, options.digest))
    return `the entry is not entry ${index} of the tree of ${checkpoint.size} that the checkpoint signs`;
  return { ...signed, index };
}

function findCheckpointProblem(checkpoint: string): string | undefined {
  const note = parseNote(checkpoint);
  if (typeof note === "string") return note;
  const parsed = parseCheckpoint(note.text);
  return typeof parsed === "string" ? parsed : undefined;
}
