// A whole tree at once, for a verifier that has all leaf hashes: the hashes of every tile level, each as one flat
// array, and the root. A tile of level l is a slice of that level's array. Costs one node hash a leaf and 32 bytes a
// leaf beside the input. Pure. For a tree that grows, see TreeBuilder; for the root alone, `hashRun`.

import { HASH_BYTES, type Sha256, sha256 } from "../hash.ts";
import { edgeOf, partialTilesOf, TILE_BYTES, TILE_WIDTH, type Tile, type TileReader } from "./tile.ts";
import { hashRun, TreeBuilder } from "./tree.ts";

/** The tile hashes of a tree, by level, 32 bytes each; level 0 are the leaf hashes given, not copied. */
export interface TreeLevels {
  readonly size: number;
  readonly levels: readonly Uint8Array[];
  readonly root: Uint8Array;
}

/** Hashes all levels over the leaf hashes, 32 bytes each in one array; throws RangeError at a part of a hash. */
export function hashLevels(leafHashes: Uint8Array, digest: Sha256 = sha256): TreeLevels {
  const size = leafHashes.length / HASH_BYTES;
  if (!Number.isInteger(size)) throw new RangeError(`${leafHashes.length} bytes are not whole hashes`);
  const levels: Uint8Array[] = [];
  for (let level = leafHashes; level.length > 0; level = hashLevelAbove(level, digest)) levels.push(level);
  const partials = partialTilesOf(size).map((tile) => sliceTile(levels, tile));
  const root = TreeBuilder.restore(size, edgeOf(size, partials, digest), digest).root();
  return { size, levels, root };
}

/** The level above: one hash for each full tile of this one; a partial tile is left out. */
export function hashLevelAbove(level: Uint8Array, digest: Sha256 = sha256): Uint8Array {
  const tiles = Math.floor(level.length / TILE_BYTES);
  const above = new Uint8Array(tiles * HASH_BYTES);
  for (let i = 0; i < tiles; i++) {
    above.set(hashRun(level, i * TILE_WIDTH, TILE_WIDTH, digest), i * HASH_BYTES);
  }
  return above;
}

/** A reader of the tree's own tiles; it rejects with a RangeError for a tile that the tree does not have. */
export function readLevels({ levels }: Pick<TreeLevels, "levels">): TileReader {
  return { readTiles: async (tiles) => tiles.map((tile) => sliceTile(levels, tile)) };
}

function sliceTile(levels: readonly Uint8Array[], { level, index, width }: Tile): Uint8Array {
  const begin = index * TILE_BYTES;
  const bytes = levels[level]?.subarray(begin, begin + width * HASH_BYTES);
  if (bytes?.length !== width * HASH_BYTES) {
    throw new RangeError(`there is no tile of level ${level} at ${index} with ${width} hashes`);
  }
  return bytes;
}
