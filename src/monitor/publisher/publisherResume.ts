// How a publisher takes up a ledger's tree: from the newest checkpoint, the tiles and the entries, with nothing remembered
// elsewhere. Before the first signature it must be sure that the tree it restored is the one that was signed last, and
// the one this process saw; what is not is a finding. Whether the tiles below the right edge are the entries' is the
// monitor's to check, not a start's.

import { equalBytes, type Sha256 } from "../../ledger/hash.ts";
import type { PublicKey } from "../../ledger/key.ts";
import type { VerifySignature } from "../../ledger/leaf.ts";
import { openCheckpoint } from "../../ledger/note/logPolicy.ts";
import { makeLogKey } from "../../ledger/note/verifierKey.ts";
import type { KeyTrail } from "../../ledger/rotation.ts";
import { partialTilesOf } from "../../ledger/tree/tile.ts";
import { TileBuilder } from "../../ledger/tree/tileBuilder.ts";
import { readRoot } from "../../ledger/tree/tileProof.ts";
import type { DatabaseAddress } from "../../storage/postgres.ts";
import { type StoredCheckpoint, TreeIncompleteError, TreeStore } from "../../storage/tree/treeStore.ts";
import type { TreeWriter } from "../../storage/tree/treeWriter.ts";
import type { Finding } from "../alarm/alarm.ts";

/** A tree to go on with. */
export interface ResumedTree {
  tree: TileBuilder;
  /** The keys of the tree's newest entry, of which one signs its checkpoint: those after all entries before it. */
  keys: KeyTrail;
  last: StoredCheckpoint | undefined;
}

export interface ResumeOptions {
  ledger: string;
  origin: string;
  database: DatabaseAddress;
  pinned: readonly PublicKey[];
  verify: VerifySignature;
  digest: Sha256;
  timeoutMs: number;
}

/** Takes up the tree where the last checkpoint left it. `known`: the newest one that this process saw stored. */
export async function resumeTree(
  writer: TreeWriter,
  known: StoredCheckpoint | undefined,
  options: ResumeOptions,
): Promise<ResumedTree | Finding> {
  const { pinned, verify, digest } = options;
  const latest = await writer.latestCheckpoint();
  const last = latest?.checkpoint;
  const size = last?.size ?? 0;
  if (latest && latest.newestId !== latest.checkpoint.id) {
    return {
      code: "checkpoint_order",
      detail: `checkpoint ${latest.newestId} is newer than ${latest.checkpoint.id} and covers fewer entries: one of them was not published by scimseal`,
    };
  }
  const keys = await writer.followKeys({ current: pinned, all: pinned }, 0, newestOf(size), verify);
  const unsigned = last && checkStored(last, keys, options);
  if (unsigned) return unsigned;
  const { size: entries } = await writer.readLeaves(size, 0);
  if (entries < size) return lostEntries(entries, size);
  const tree = await readTree(options, async (store) =>
    TileBuilder.restore(size, await store.readTiles(partialTilesOf(size)), digest),
  );
  if ("code" in tree) return tree;
  if (last && !equalBytes(tree.root(), last.root)) return otherTree(last);
  return (known && (await checkKnown(known, entries, options))) ?? { tree, keys, last };
}

/** Whether a stored checkpoint is the log's: its note signed by the key of its newest entry, its columns as the note. */
export function checkStored(
  { id, size, root, note }: StoredCheckpoint,
  { current }: KeyTrail,
  { origin, verify }: Pick<ResumeOptions, "origin" | "verify">,
): Finding | undefined {
  const logKeys = current.map(({ bytes }) => makeLogKey(origin, bytes));
  const opened = openCheckpoint(note, { origin, logKeys, threshold: 0, witnesses: [] }, verify);
  const invalid = (problem: string): Finding => ({
    code: "checkpoint_invalid",
    detail: `checkpoint ${id} of ${size} entries: ${problem}`,
  });
  if (typeof opened === "string") return invalid(opened);
  const { checkpoint } = opened;
  const agrees = checkpoint.size === size && equalBytes(checkpoint.root, root);
  return agrees ? undefined : invalid("its columns are not what the note says");
}

/** The place of the newest entry of a tree of this size; 0 for the empty one. */
export function newestOf(size: number): number {
  return Math.max(0, size - 1);
}

/** The ledger holds fewer entries than it did. */
export function lostEntries(entries: number, size: number): Finding {
  return {
    code: "entries_lost",
    seq: entries,
    detail: `the ledger holds ${entries} entries, but ${size} were there before: the newest were removed, or an older database was restored`,
  };
}

/** What this process saw stored before must still be the beginning of the ledger. */
async function checkKnown(
  known: StoredCheckpoint,
  entries: number,
  options: ResumeOptions,
): Promise<Finding | undefined> {
  const { size } = known;
  if (entries < size) return lostEntries(entries, size);
  const root = await readTree(options, (reader) => readRoot({ size, reader }, size, options.digest));
  if ("code" in root) return root;
  return equalBytes(root, known.root) ? undefined : otherTree(known);
}

/** Reads the stored tree; a gap among the entries it needs is a finding. */
async function readTree<T extends object>(
  { ledger, database, timeoutMs, digest }: ResumeOptions,
  read: (store: TreeStore) => Promise<T>,
): Promise<T | Finding> {
  const store = new TreeStore(ledger, database, { connections: 1, timeoutMs, digest });
  try {
    return await read(store);
  } catch (cause) {
    if (cause instanceof TreeIncompleteError) return { code: "entry_missing", detail: cause.message };
    throw cause;
  } finally {
    await store.close();
  }
}

function otherTree({ id, size }: StoredCheckpoint): Finding {
  return {
    code: "checkpoint_mismatch",
    seq: newestOf(size),
    detail: `the stored tiles and entries do not make the tree of ${size} entries that checkpoint ${id} was signed over`,
  };
}
