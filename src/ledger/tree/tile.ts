// Tiles of a Merkle tree (https://c2sp.org/tlog-tiles): 256 consecutive tree hashes of one level, where each hash of
// level l stands for 256^l leaves. A full tile never changes; the rightmost one of a level may be partial and is then
// not hashed into the level above. Here: coordinates, which tiles a tree has, a tile's bytes, and the right edge that the
// partial tiles hold. Pure.

import { HASH_BYTES, type Sha256, sha256 } from "../hash.ts";
import { assertSize, bitsOf, hashRun, TILE_HEIGHT } from "./tree.ts";

/** Hashes in a full tile, and entries in a full entry bundle. */
export const TILE_WIDTH: number = 2 ** TILE_HEIGHT;
/** Bytes of a full tile. */
export const TILE_BYTES: number = TILE_WIDTH * HASH_BYTES;

/** A tile's place and its number of hashes, 1 to 256; 256 is a full tile. */
export interface Tile {
  readonly level: number;
  readonly index: number;
  readonly width: number;
}

/** A tile with its bytes: the hashes one after another. */
export interface FilledTile {
  readonly tile: Tile;
  readonly bytes: Uint8Array;
}

/** All that a proof needs to know of where tiles are kept. */
export interface TileReader {
  /**
   * The bytes of these tiles, in this order; no tile is asked for twice in a call. May answer a partial tile with the
   * first hashes of a fuller one, cut to its width. Rejects if a tile cannot be had.
   */
  readTiles(tiles: readonly Tile[]): Promise<readonly Uint8Array[]>;
}

/** How many hashes the tile at this place has in a tree of `size` leaves; 0 if the tree has no such tile. */
export function tileWidthAt(level: number, index: number, size: number): number {
  assertSize(level, "a tile's level");
  assertSize(index, "a tile's index");
  return Math.max(0, Math.min(TILE_WIDTH, hashesAt(level, size) - index * TILE_WIDTH));
}

/** All tiles of a tree, level by level from the leaves, each level from the left; the partial ones come last in theirs. */
export function* tilesOf(size: number): Generator<Tile> {
  for (let level = 0; hashesAt(level, size) > 0; level++) {
    const hashes = hashesAt(level, size);
    for (let index = 0; index * TILE_WIDTH < hashes; index++) {
      yield { level, index, width: Math.min(TILE_WIDTH, hashes - index * TILE_WIDTH) };
    }
  }
}

/** The partial tiles of a tree, at most one a level, from the leaves upwards. They and the full ones are the tree. */
export function partialTilesOf(size: number): Tile[] {
  const tiles: Tile[] = [];
  for (let level = 0; hashesAt(level, size) > 0; level++) {
    const hashes = hashesAt(level, size);
    const width = hashes % TILE_WIDTH;
    if (width > 0) tiles.push({ level, index: (hashes - width) / TILE_WIDTH, width });
  }
  return tiles;
}

/**
 * The tiles that are full in a tree of `newSize` leaves and were not in its beginning of `oldSize`, level by level from
 * the leaves. Throws RangeError if the tree would shrink.
 */
export function* tilesCompleted(oldSize: number, newSize: number): Generator<Tile> {
  assertSize(oldSize, "the old tree size");
  assertSize(newSize, "the new tree size");
  if (oldSize > newSize) throw new RangeError(`a tree does not shrink from ${oldSize} to ${newSize} leaves`);
  for (let level = 0; hashesAt(level + 1, newSize) > 0; level++) {
    // A full tile of a level is one hash of the level above.
    for (let index = hashesAt(level + 1, oldSize); index < hashesAt(level + 1, newSize); index++) {
      yield { level, index, width: TILE_WIDTH };
    }
  }
}

/** A tile's bytes; throws RangeError unless these are 1 to 256 hashes of 32 bytes. */
export function formatTile(hashes: readonly Uint8Array[]): Uint8Array {
  if (hashes.length < 1 || hashes.length > TILE_WIDTH || hashes.some((hash) => hash.length !== HASH_BYTES)) {
    throw new RangeError(`a tile holds 1 to ${TILE_WIDTH} hashes of ${HASH_BYTES} bytes`);
  }
  const bytes = new Uint8Array(hashes.length * HASH_BYTES);
  hashes.forEach((hash, i) => {
    bytes.set(hash, i * HASH_BYTES);
  });
  return bytes;
}

/** The hashes of a tile of this width, as views of its bytes; undefined if the bytes are not exactly that many hashes. */
export function parseTile(bytes: Uint8Array, width: number): Uint8Array[] | undefined {
  if (!Number.isInteger(width) || width < 1 || width > TILE_WIDTH) return undefined;
  if (bytes.length !== width * HASH_BYTES) return undefined;
  return Array.from({ length: width }, (_, i) => bytes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES));
}

/**
 * The right edge of a tree (largest full subtree first) from the bytes of its partial tiles in the order of
 * `partialTilesOf`: the width's bits say how a tile's hashes group into full subtrees. Throws RangeError if the tiles
 * are not as many and as long as the size says.
 */
export function edgeOf(size: number, partials: readonly Uint8Array[], digest: Sha256 = sha256): Uint8Array[] {
  assertSize(size, "a tree size");
  const tiles = partialTilesOf(size);
  if (partials.length !== tiles.length) {
    throw new RangeError(
      `a tree of ${size} leaves has ${tiles.length} partial tiles, not ${partials.length}`,
    );
  }
  return tiles
    .map(({ level, width }, i) => {
      const bytes = partials[i] ?? new Uint8Array(0);
      if (bytes.length !== width * HASH_BYTES) {
        throw new RangeError(
          `the partial tile of level ${level} has ${width} hashes, not ${bytes.length} bytes`,
        );
      }
      let from = 0;
      return bitsOf(width)
        .reverse()
        .map((bit) => {
          const hash = hashRun(bytes, from, 2 ** bit, digest);
          from += 2 ** bit;
          return hash;
        });
    })
    .reverse()
    .flat();
}

/** How many hashes a level has: only full subtrees of 256^level leaves have one. */
function hashesAt(level: number, size: number): number {
  assertSize(size, "a tree size");
  return Math.floor(size / TILE_WIDTH ** level);
}
