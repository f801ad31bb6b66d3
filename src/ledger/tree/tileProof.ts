// Roots and proofs (RFC 6962 §2.1, §2.1.1, §2.1.2) from tiles, over a reader with one method: which hashes a proof
// needs is worked out first, then all their tiles are asked for in one call, each once. Pure but for the reader.
// The tiles are not checked here: a root from wrong tiles is not the checkpoint's, and a proof from wrong tiles does
// not pass `checkInclusion` or `checkConsistency`. Compare before you rely on either.

import { HASH_BYTES, type Sha256, sha256 } from "../hash.ts";
import { climb, lastSubtree, type Proof } from "./proof.ts";
import { TILE_WIDTH, type Tile, type TileReader, tileWidthAt } from "./tile.ts";
import { formatTilePath } from "./tilePath.ts";
import { assertSize, bitsOf, emptyRoot, hashNode, hashRun, TILE_HEIGHT } from "./tree.ts";

/** A tree that can be read tile by tile. */
export interface TiledTree {
  /** Leaves in the tree that the tiles are of: tiles are asked for with the width they have at this size. */
  readonly size: number;
  readonly reader: TileReader;
}

/** A reader gave bytes that cannot be the tile it was asked for. */
export class TileError extends Error {
  override name = "TileError";
  readonly tile: Tile;

  constructor(tile: Tile, problem: string) {
    super(`${formatTilePath(tile)}: ${problem}`);
    this.tile = tile;
  }
}

/**
 * Root of the first `size` leaves of the tree, read from the uppermost hashes that cover them: it says nothing about
 * the tiles below those. Throws RangeError if it has fewer, TileError if the reader's tiles are
 * not as long as asked; what the reader rejects with passes through. The same holds for the proofs below.
 */
export async function readRoot(tree: TiledTree, size: number, digest: Sha256 = sha256): Promise<Uint8Array> {
  assertWithin(tree, size);
  if (size === 0) return emptyRoot(digest);
  const [root = emptyRoot(digest)] = await readRanges(tree, [{ begin: 0, end: size }], digest);
  return root;
}

/** Proof that the leaf at `index` is in the tree of the first `size` leaves; RangeError if it is not. */
export async function proveInclusion(
  tree: TiledTree,
  index: number,
  size: number,
  digest: Sha256 = sha256,
): Promise<Proof> {
  assertWithin(tree, size);
  assertSize(index, "a leaf's index");
  if (index >= size) throw new RangeError(`leaf ${index} is not in a tree of ${size} leaves`);
  return readRanges(tree, [...climb(0, index, size)], digest);
}

/** Proof that the first `oldSize` leaves are the beginning of the first `newSize`; empty for oldSize 0 or newSize. */
export async function proveConsistency(
  tree: TiledTree,
  oldSize: number,
  newSize: number,
  digest: Sha256 = sha256,
): Promise<Proof> {
  assertWithin(tree, newSize);
  assertSize(oldSize, "the old tree size");
  if (oldSize > newSize) {
    throw new RangeError(`a tree of ${oldSize} leaves is not the beginning of one of ${newSize}`);
  }
  if (oldSize === 0 || oldSize === newSize) return [];
  const { height, index } = lastSubtree(oldSize);
  const span = 2 ** height;
  const own = index === 0 ? [] : [{ begin: index * span, end: (index + 1) * span }];
  return readRanges(tree, [...own, ...climb(height, index, newSize)], digest);
}

/** Leaves from `begin` to before `end`; `begin` is a multiple of a power of two that is not less than their number. */
interface Range {
  begin: number;
  end: number;
}

/** A full subtree as the hashes of one tile that lie under it. */
interface Run {
  key: string;
  from: number;
  count: number;
}

async function readRanges(tree: TiledTree, ranges: readonly Range[], digest: Sha256): Promise<Uint8Array[]> {
  const wanted = new Map<string, Tile>();
  const plan = ranges.map((range) => planRuns(tree, range, wanted));
  const read = await readTiles(tree.reader, wanted);
  return plan.map((runs) =>
    runs
      .map(({ key, from, count }) => hashRun(read.get(key) ?? NOTHING, from, count, digest))
      .reduceRight((right, left) => hashNode(left, right, digest)),
  );
}

/** Divides a range into full subtrees, the largest first, and notes the tiles that they are read from. */
function planRuns(tree: TiledTree, { begin, end }: Range, wanted: Map<string, Tile>): Run[] {
  let at = begin;
  return bitsOf(end - begin)
    .reverse()
    .map((height) => {
      const level = Math.floor(height / TILE_HEIGHT);
      const first = at / TILE_WIDTH ** level;
      const index = Math.floor(first / TILE_WIDTH);
      const key = `${level}/${index}`;
      wanted.set(key, { level, index, width: tileWidthAt(level, index, tree.size) });
      at += 2 ** height;
      return { key, from: first % TILE_WIDTH, count: 2 ** (height % TILE_HEIGHT) };
    });
}

const NOTHING = new Uint8Array(0);

async function readTiles(
  reader: TileReader,
  wanted: ReadonlyMap<string, Tile>,
): Promise<Map<string, Uint8Array>> {
  const read = new Map<string, Uint8Array>();
  if (wanted.size === 0) return read;
  const answers = await reader.readTiles([...wanted.values()]);
  let at = 0;
  for (const [key, tile] of wanted) {
    const bytes = answers[at++];
    if (bytes?.length !== tile.width * HASH_BYTES) {
      throw new TileError(tile, `${bytes?.length ?? "no"} bytes, not ${tile.width * HASH_BYTES}`);
    }
    read.set(key, bytes);
  }
  return read;
}

function assertWithin(tree: TiledTree, size: number): void {
  assertSize(tree.size, "the size of the tree that is read");
  assertSize(size, "a tree size");
  if (size > tree.size) throw new RangeError(`a tree of ${tree.size} leaves has no beginning of ${size}`);
}
