// The text of a checkpoint (C2SP tlog-checkpoint): origin, tree size and root hash, one a line. Strict: only the
// canonical spelling is read, and what is read is written again and compared. Our own checkpoints have no extension
// lines; those of others are kept. The text alone proves nothing: see openCheckpoint in logPolicy.ts. Pure.

import { decodeBase64, encodeBase64 } from "../base64.ts";
import { HASH_BYTES } from "../hash.ts";
import { isNoteLine, parseDecimal } from "./noteText.ts";

/** A log's tree at one moment. */
export interface Checkpoint {
  /** The log's identity. Not a URL that must answer. */
  readonly origin: string;
  /** Number of leaves; a safe integer. */
  readonly size: number;
  /** RFC 6962 root hash of that many leaves. */
  readonly root: Uint8Array;
  /** Further lines, opaque. Absent when there are none. */
  readonly extensions?: readonly string[];
}

/** The text of a checkpoint, what gets signed. @throws {RangeError} for an origin, size, root or line that cannot be. */
export function formatCheckpoint(checkpoint: Checkpoint): string {
  const { origin, size, root, extensions = [] } = checkpoint;
  if (![origin, ...extensions].every(isNoteLine))
    throw new RangeError("a line of a checkpoint is empty or holds a control character");
  if (!Number.isSafeInteger(size) || size < 0)
    throw new RangeError(`a tree cannot have ${size} leaves: not a safe integer from 0`);
  if (root.length !== HASH_BYTES)
    throw new RangeError(`a root hash is ${HASH_BYTES} bytes, not ${root.length}`);
  return [origin, String(size), encodeBase64(root), ...extensions].map((line) => `${line}\n`).join("");
}

/** Reads the text of a checkpoint; a string names what is wrong with it. Signatures are not part of it. */
export function parseCheckpoint(text: string): Checkpoint | string {
  if (!text.endsWith("\n")) return "the last line of the checkpoint is not ended";
  const [origin, sizeText, rootText, ...extensions] = text.slice(0, -1).split("\n");
  if (origin === undefined || sizeText === undefined || rootText === undefined)
    return "a checkpoint has at least three lines";
  if (![origin, ...extensions].every(isNoteLine))
    return "a line of the checkpoint is empty or holds a control character";
  const size = parseDecimal(sizeText);
  if (size === undefined) return "the tree size is not a plain decimal number below 2^53";
  const root = decodeBase64(rootText);
  if (root?.length !== HASH_BYTES) return `the root hash is not ${HASH_BYTES} bytes in base64`;
  const checkpoint = { origin, size, root, ...(extensions.length > 0 && { extensions }) };
  return formatCheckpoint(checkpoint) === text ? checkpoint : "the checkpoint is not spelled canonically";
}
