// The stored tree against the one that the entries give: full tiles byte by byte, checkpoints by signature and root
// (C2SP tlog-tiles, tlog-checkpoint). If every checkpoint signs the root that the entries have at its size, then all
// checkpoints are consistent with each other and with what is there now.

import { fastVerify } from "../keys/fastVerify.ts";
import { equalBytes, type Sha256 } from "../ledger/hash.ts";
import type { Checkpoint } from "../ledger/note/checkpoint.ts";
import { openCheckpoint } from "../ledger/note/logPolicy.ts";
import type { LogKey } from "../ledger/note/verifierKey.ts";
import { type FilledTile, partialTilesOf, TILE_WIDTH } from "../ledger/tree/tile.ts";
import { TileBuilder } from "../ledger/tree/tileBuilder.ts";
import { formatTilePath } from "../ledger/tree/tilePath.ts";
import { type StoredCheckpoint, TreeIncompleteError, type TreeStore } from "../storage/tree/treeStore.ts";
import type { Finding } from "./alarm/alarm.ts";

/** The stored tree at a size; undefined if not all is there. Only a root that is compared shows whether it is right. */
export async function restoreTiles(
  store: TreeStore,
  size: number,
  digest: Sha256,
): Promise<TileBuilder | undefined> {
  try {
    return TileBuilder.restore(size, await store.readTiles(partialTilesOf(size)), digest);
  } catch (cause) {
    if (cause instanceof TreeIncompleteError) return undefined;
    throw cause;
  }
}

/**
 * Compares tiles made from the entries with the stored ones. A tile must be stored if a checkpoint covers all of it:
 * tiles are written before the checkpoint that needs them.
 */
export async function compareTiles(
  store: TreeStore,
  full: readonly FilledTile[],
  coveredSize: number,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const [level, tiles] of Map.groupBy(full, ({ tile }) => tile.level)) {
    const [first] = tiles;
    if (!first) continue;
    const stored = await store.storedTiles(level, first.tile.index, tiles.length);
    const bytesOf = new Map(stored.map(({ index, bytes }) => [index, bytes]));
    for (const { tile, bytes } of tiles) {
      const found = bytesOf.get(tile.index);
      const leaves = TILE_WIDTH ** (level + 1);
      const seq = tile.index * leaves;
      if (found && !equalBytes(found, bytes)) {
        const detail = `the stored ${formatTilePath(tile)} is not what entries ${seq} to ${seq + leaves - 1} give`;
        findings.push({ code: "tile_mismatch", seq, detail });
      } else if (!found && seq + leaves <= coveredSize) {
        findings.push({ code: "tile_missing", seq, detail: `${formatTilePath(tile)} is not stored` });
      }
    }
  }
  return findings;
}

/** Opens a stored checkpoint; a finding if nobody trusted signed it, or its columns say something else. */
export function openStored(
  stored: StoredCheckpoint,
  origin: string,
  logKeys: readonly LogKey[],
): { checkpoint: Checkpoint } | { finding: Finding } {
  const opened = openCheckpoint(stored.note, { origin, logKeys, threshold: 0, witnesses: [] }, fastVerify);
  if (typeof opened === "string") {
    const detail = `checkpoint ${stored.id} of size ${stored.size}: ${opened}`;
    return { finding: { code: "checkpoint_invalid", seq: newestOf(stored.size), detail } };
  }
  const { checkpoint } = opened;
  if (checkpoint.size !== stored.size || !equalBytes(checkpoint.root, stored.root)) {
    const detail = `the columns of checkpoint ${stored.id} are not what its note says`;
    return { finding: { code: "checkpoint_column", seq: newestOf(checkpoint.size), detail } };
  }
  return { checkpoint };
}

/** A checkpoint signs another tree than the entries give. `agreesTo`: the last size at which one did agree. */
export function mismatch(size: number, agreesTo: number): Finding {
  const detail = `the signed checkpoint of size ${size} has another root than the entries give; up to entry ${agreesTo - 1} the two agree`;
  return { code: "checkpoint_mismatch", seq: newestOf(size), detail };
}

/** A checkpoint signs more entries than there are. */
export function ahead(size: number, entries: number): Finding {
  const detail = `a signed checkpoint covers ${size} entries and the ledger ends after ${entries}: the newest were cut off`;
  return { code: "checkpoint_ahead", seq: entries, detail };
}

function newestOf(size: number): number {
  return Math.max(0, size - 1);
}
