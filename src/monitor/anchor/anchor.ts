// Anchors: the last signed checkpoint, kept where the owner of the database has no hand. A chain in a database cannot
// show that its newest entries were cut off or that yesterday's backup was restored; a note from outside it can.
// Here: what an anchor is, and the check of a ledger against one. Files are in anchorFile.ts, the HTTP endpoint in
// anchorUrl.ts, and who writes when in anchorKeeper.ts.

import { equalBytes, HASH_BYTES, type Sha256, sha256 } from "../../ledger/hash.ts";
import type { VerifySignature } from "../../ledger/leaf.ts";
import { openCheckpoint } from "../../ledger/note/logPolicy.ts";
import type { LogKey } from "../../ledger/note/verifierKey.ts";
import { readRoot } from "../../ledger/tree/tileProof.ts";
import { TreeBuilder } from "../../ledger/tree/tree.ts";
import { TreeIncompleteError, type TreeStore } from "../../storage/tree/treeStore.ts";

/** A place outside the database that holds one signed note. */
export interface Anchor {
  /** For people: a path, or a URL without its secrets. */
  readonly name: string;
  /** The note as it stands there; undefined if there is none yet. Rejects if the place cannot be read. */
  read(): Promise<string | undefined>;
  /** Replaces the note. When it resolves, the new note is durable; if it fails, the old or the new one stands there. */
  write(note: string): Promise<void>;
}

export type AnchorCode = "anchor_unreadable" | "anchor_ahead" | "anchor_mismatch";

/** `size`: leaves under the anchor's checkpoint, all of them in the ledger if it is well; undefined if it cannot be read. */
export type AnchorCheck =
  | { ok: true; size: number }
  | { ok: false; code: AnchorCode; size?: number; detail: string };

/** What of the tree's storage the check reads; a TreeStore is one. */
export type AnchoredTree = Pick<TreeStore, "size" | "leafHashes" | "readTiles">;

export interface AnchorCheckOptions {
  verify?: VerifySignature;
  digest?: Sha256;
  /** A tree of at most so many leaves is made again from its leaf hashes; 100,000 unless told otherwise. */
  recomputeBelow?: number;
}

/** So many leaf hashes make a tree in less than a second. */
const RECOMPUTE_BELOW = 100_000;
const LEAVES_A_READ = 8_192;

/**
 * Is the stored tree the anchor's or its extension? `keys` are all keys that ever signed the ledger, named by its
 * origin. A large ledger is judged by its upper tiles: they must make the anchor's root, but whether the tiles below
 * are the entries' is the monitor's to say. Rejects only if the database cannot be read.
 */
export async function checkAnchor(
  note: string,
  keys: readonly LogKey[],
  tree: AnchoredTree,
  options: AnchorCheckOptions = {},
): Promise<AnchorCheck> {
  const origin = keys[0]?.name ?? "";
  const opened = openCheckpoint(note, { origin, logKeys: keys, threshold: 0, witnesses: [] }, options.verify);
  if (typeof opened === "string") return { ok: false, code: "anchor_unreadable", detail: opened };
  const { size, root } = opened.checkpoint;
  const entries = await tree.size();
  if (entries < size) {
    return {
      ok: false,
      code: "anchor_ahead",
      size,
      detail: `the anchor holds a checkpoint of ${size} entries and the ledger has ${entries}: the newest were removed, or an older database was restored`,
    };
  }
  const found = await rootOf(tree, size, options);
  if (typeof found !== "string" && equalBytes(found, root)) return { ok: true, size };
  return {
    ok: false,
    code: "anchor_mismatch",
    size,
    detail: `the ledger's first ${size} entries are not those that the anchor's checkpoint was signed over${typeof found === "string" ? `: ${found}` : ""}`,
  };
}

/** Root of the first leaves; a text if some of them are missing. */
async function rootOf(
  tree: AnchoredTree,
  size: number,
  { digest = sha256, recomputeBelow = RECOMPUTE_BELOW }: AnchorCheckOptions,
): Promise<Uint8Array | string> {
  try {
    if (size > recomputeBelow) return await readRoot({ size, reader: tree }, size, digest);
    const builder = new TreeBuilder(digest);
    for (let from = 0; from < size; from += LEAVES_A_READ) {
      const hashes = await tree.leafHashes(from, Math.min(size, from + LEAVES_A_READ));
      for (let at = 0; at < hashes.length; at += HASH_BYTES) {
        builder.append(hashes.subarray(at, at + HASH_BYTES));
      }
    }
    return builder.root();
  } catch (cause) {
    // A missing entry is what an anchor is there to find.
    if (cause instanceof TreeIncompleteError) return cause.message;
    throw cause;
  }
}
