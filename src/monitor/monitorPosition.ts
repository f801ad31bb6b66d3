// Where the rolling pass stands, in a small file of the data directory, so that a restart goes on instead of beginning
// again. The file need not be trusted: from what it says the state is verified again, and if it does not fit, the pass
// begins at the first entry. Losing it costs time only.

import { readFile } from "node:fs/promises";
import { decodeBase64, encodeBase64 } from "../ledger/base64.ts";
import { HASH_BYTES } from "../ledger/hash.ts";
import { systemCode, writeDurably } from "../storage/embedded/file.ts";

export interface Position {
  /** The next entry to read. */
  next: number;
  /** Root over the entries before it. */
  root: Uint8Array;
  rotations: readonly number[];
  open: readonly number[];
  /** The last checkpoint that was compared. */
  checkpointId: number;
}

/** Reads it; undefined if there is none, or none of this format. */
export async function readPosition(file: string): Promise<Position | undefined> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(file, "utf8"));
  } catch (cause) {
    if (cause instanceof SyntaxError || systemCode(cause) !== undefined) return undefined;
    throw cause;
  }
  if (typeof value !== "object" || value === null) return undefined;
  // Each member is narrowed below.
  const { next, root, rotations, open, checkpointId } = value as Record<string, unknown>;
  const rootBytes = typeof root === "string" ? decodeBase64(root) : undefined;
  if (!isCount(next) || rootBytes?.length !== HASH_BYTES || !Number.isSafeInteger(checkpointId))
    return undefined;
  if (!areCounts(rotations) || !areCounts(open)) return undefined;
  return { next, root: rootBytes, rotations, open, checkpointId: Number(checkpointId) };
}

/** Replaces the file. */
export async function writePosition(file: string, position: Position): Promise<void> {
  await writeDurably(file, `${JSON.stringify({ ...position, root: encodeBase64(position.root) })}\n`);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function areCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every(isCount);
}
