// Inclusion proofs (RFC 6962 §2.1.1) for many entries of one tree, in ascending order. A sibling at height h serves
// 2^h neighbouring entries, so the last one of each height is kept, and a proof costs a few hashes instead of some
// hundred; likewise the last tiles are kept. Pure but for the reader. As with all proofs over tiles, whether the tiles
// are right shows when the proof is checked.

import { HASH_BYTES, type Sha256, sha256 } from "../hash.ts";
import { climb, type Proof, type Step } from "../tree/proof.ts";
import { TILE_WIDTH, type Tile, tileWidthAt } from "../tree/tile.ts";
import { type TiledTree, TileError } from "../tree/tileProof.ts";
import { bitsOf, hashNode, hashRun, TILE_HEIGHT } from "../tree/tree.ts";

/** Tiles in memory: 64 of 8 KiB. */
const MAX_TILES = 64;

export class InclusionRun {
  readonly #tree: TiledTree;
  readonly #digest: Sha256;
  /** By place in the proof, from the leaf upwards. */
  readonly #siblings: { begin: number; end: number; hash: Uint8Array }[] = [];
  readonly #tiles = new Map<string, Uint8Array>();

  /** Proofs for the tree of all `tree.size` leaves. */
  constructor(tree: TiledTree, digest: Sha256 = sha256) {
    this.#tree = tree;
    this.#digest = digest;
  }

  /** The proof of one leaf. Any order is right, an ascending one fast. @throws {RangeError} if it is not in the tree. */
  async prove(index: number): Promise<Proof> {
    const { size } = this.#tree;
    if (!(index < size)) throw new RangeError(`leaf ${index} is not in a tree of ${size} leaves`);
    const proof: Uint8Array[] = [];
    let at = 0;
    for (const { begin, end } of climb(0, index, size)) {
      const known = this.#siblings[at];
      const isKnown = known?.begin === begin && known.end === end;
      const hash = isKnown ? known.hash : await this.#hashOf({ begin, end });
      if (!isKnown) this.#siblings[at] = { begin, end, hash };
      proof.push(hash);
      at++;
    }
    return proof;
  }

  /** Tree hash of leaves that are a full subtree, or the ragged end of the tree: full subtrees from large to small. */
  async #hashOf({ begin, end }: Pick<Step, "begin" | "end">): Promise<Uint8Array> {
    const hashes: Uint8Array[] = [];
    let at = begin;
    for (const height of bitsOf(end - begin).reverse()) {
      const level = Math.floor(height / TILE_HEIGHT);
      const first = at / TILE_WIDTH ** level;
      const index = Math.floor(first / TILE_WIDTH);
      const bytes = await this.#read({ level, index, width: tileWidthAt(level, index, this.#tree.size) });
      hashes.push(hashRun(bytes, first % TILE_WIDTH, 2 ** (height % TILE_HEIGHT), this.#digest));
      at += 2 ** height;
    }
    return hashes.reduceRight((right, left) => hashNode(left, right, this.#digest));
  }

  async #read(tile: Tile): Promise<Uint8Array> {
    const place = `${tile.level}/${tile.index}`;
    const known = this.#tiles.get(place);
    if (known) return known;
    const [bytes] = await this.#tree.reader.readTiles([tile]);
    if (bytes?.length !== tile.width * HASH_BYTES)
      throw new TileError(tile, "the reader gave another number of bytes");
    if (this.#tiles.size >= MAX_TILES) this.#tiles.clear();
    this.#tiles.set(place, bytes);
    return bytes;
  }
}
