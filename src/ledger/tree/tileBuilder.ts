// A growing tree together with its open tiles: what a writer of full tiles holds in memory (at most 8 KiB a level,
// seven levels). It gives each full tile once, when its last hash is known. If the writer crashes before it stored
// one, nothing is lost: the builder is restored from the partial tiles of a size, and those can be made again from
// leaf hashes and lower tiles. Pure.

import { HASH_BYTES, type Sha256, sha256 } from "../hash.ts";
import { edgeOf, type FilledTile, partialTilesOf, TILE_BYTES, TILE_WIDTH } from "./tile.ts";
import { TreeBuilder } from "./tree.ts";

const NONE: readonly FilledTile[] = [];

/** Takes leaf hashes in order; gives full tiles, partial tiles and roots. */
export class TileBuilder {
  #tree: TreeBuilder;
  /** By level: a whole tile's bytes, of which as many hashes count as the partial tile of the size has. */
  readonly #open: Uint8Array[] = [];
  #full: FilledTile[] = [];

  /** A tree without leaves. */
  constructor(digest: Sha256 = sha256) {
    this.#tree = new TreeBuilder(digest);
  }

  /**
   * The tree of `size` leaves with these bytes of its partial tiles, in the order of `partialTilesOf(size)`. Throws
   * RangeError if they are not as many and as long as the size says. Whether they are the right bytes shows only when
   * the root is compared with a checkpoint.
   */
  static restore(size: number, partials: readonly Uint8Array[], digest: Sha256 = sha256): TileBuilder {
    const builder = new TileBuilder(digest);
    builder.#tree = TreeBuilder.restore(size, edgeOf(size, partials, digest), digest);
    partialTilesOf(size).forEach(({ level }, i) => {
      builder.#openAt(level).set(partials[i] ?? []);
    });
    return builder;
  }

  /** Number of leaves. */
  get size(): number {
    return this.#tree.size;
  }

  /** Copies of the hashes of the right edge, for `TreeBuilder.restore`. */
  get edge(): Uint8Array[] {
    return this.#tree.edge;
  }

  /** Adds a leaf by its leaf hash; the tiles that are full now, from the leaves upwards: store them in this order. */
  append(leafHash: Uint8Array): readonly FilledTile[] {
    this.#tree.append(leafHash, this.#put);
    if (this.#full.length === 0) return NONE;
    const full = this.#full;
    this.#full = [];
    return full;
  }

  /** The partial tiles of the present size, copied, in the order of `partialTilesOf`. */
  partialTiles(): FilledTile[] {
    return partialTilesOf(this.size).map((tile) => ({
      tile,
      bytes: this.#openAt(tile.level).slice(0, tile.width * HASH_BYTES),
    }));
  }

  /** The tree's root: RFC 6962 MTH of all its leaves. */
  root(): Uint8Array {
    return this.#tree.root();
  }

  readonly #put = (level: number, index: number, hash: Uint8Array): void => {
    const at = index % TILE_WIDTH;
    const bytes = this.#openAt(level);
    bytes.set(hash, at * HASH_BYTES);
    if (at < TILE_WIDTH - 1) return;
    this.#full.push({ tile: { level, index: (index - at) / TILE_WIDTH, width: TILE_WIDTH }, bytes });
    // The full tile's bytes are the receiver's now.
    this.#open[level] = new Uint8Array(TILE_BYTES);
  };

  #openAt(level: number): Uint8Array {
    this.#open[level] ??= new Uint8Array(TILE_BYTES);
    return this.#open[level];
  }
}
