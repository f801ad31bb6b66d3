// Reading the tree of a ledger: tiles, leaf hashes and checkpoints, as the reader's role through a pool of its own.
// Full tiles come from table `tile`; what is not stored there, the right edge above all, is worked out from
// `entry.leaf_hash` and the tiles below. Nothing is verified here: a stored tile may lie. A root or a proof made over
// this reader says something only when it agrees with a signed checkpoint (C2SP tlog-tiles, tlog-checkpoint).

import type pg from "pg";
import type { VerifySignature } from "../../ledger/ed25519.ts";
import { HASH_BYTES, type Sha256, sha256 } from "../../ledger/hash.ts";
import type { PublicKey } from "../../ledger/key.ts";
import { followRotations, type KeyTrail } from "../../ledger/rotation.ts";
import { TILE_BYTES, TILE_WIDTH, type Tile, type TileReader } from "../../ledger/tree/tile.ts";
import { formatTilePath } from "../../ledger/tree/tilePath.ts";
import { hashRun } from "../../ledger/tree/tree.ts";
import { type DatabaseAddress, openPool, type PoolOptions } from "../postgres.ts";
import { schemaOf } from "../schema.ts";

/** One signed checkpoint as the database holds it; nobody has checked that size and root are the note's. */
export interface StoredCheckpoint {
  /** Ascends in the order of publication. */
  id: number;
  /** Leaves of the tree. */
  size: number;
  root: Uint8Array;
  /** The signed note, verbatim. */
  note: string;
  /** By the database's clock. */
  publishedAt: Date;
}

/** A full tile as table `tile` holds it. */
export interface StoredTile {
  level: number;
  index: number;
  bytes: Uint8Array;
}

export interface TreeStoreOptions extends PoolOptions {
  /** Hashes what is worked out; the portable SHA-256 unless told otherwise. */
  digest?: Sha256;
}

/** The ledger does not hold what a tile or a range of leaf hashes needs: too few entries, or a gap among them. */
export class TreeIncompleteError extends Error {
  override name = "TreeIncompleteError";
}

/** Tiles in one query: 512 KiB of hashes. */
const TILES_A_QUERY = 64;
/** Leaf hashes in one query: 256 KiB. */
const HASHES_A_QUERY = 8_192;
/** Places whose derived hashes are remembered; the right edge of a tree has at most six. */
const MAX_DERIVED = 64;

/** The tree of one ledger, for whoever proves, publishes or checks. */
export class TreeStore implements TileReader {
  readonly #pool: pg.Pool;
  readonly #schema: string;
  readonly #digest: Sha256;
  /**
   * By place, the hashes of a tile above level 0 that is not stored yet. They stand for full tiles, which never change,
   * so a longer tile begins with them; without this every proof in a large tree would hash up to 255 tiles again.
   */
  readonly #derived = new Map<string, Uint8Array>();

  constructor(ledger: string, address: DatabaseAddress, options: TreeStoreOptions) {
    const { connections, timeoutMs, digest = sha256 } = options;
    this.#schema = schemaOf(ledger);
    this.#digest = digest;
    this.#pool = openPool(address, `scimseal ${ledger} tree`, { connections, timeoutMs });
  }

  /** Number of entries by the newest seq; gaps below it are not looked for. */
  async size(): Promise<number> {
    const { rows } = await this.#pool.query<{ size: string }>(
      `SELECT coalesce(max(seq) + 1, 0) AS size FROM ${this.#schema}.entry`,
    );
    return Number(rows[0]?.size ?? 0);
  }

  /**
   * Tiles by place, in this order. A full tile comes from table `tile` if it is there. All else is worked out from the
   * tiles and leaf hashes below. Rejects with TreeIncompleteError if the ledger has not the entries for it.
   */
  async readTiles(tiles: readonly Tile[]): Promise<readonly Uint8Array[]> {
    const stored = await this.#readStored(tiles);
    return Promise.all(
      tiles.map((tile) => {
        const bytes = stored.get(placeOf(tile));
        return bytes ? bytes.subarray(0, tile.width * HASH_BYTES) : this.#derive(tile);
      }),
    );
  }

  /** The stored tiles of a level from an index on, ascending by index, as they are: gaps are the caller's to find. */
  async storedTiles(level: number, fromIndex: number, limit: number): Promise<StoredTile[]> {
    const { rows } = await this.#pool.query<{ index: string; hashes: Buffer }>(
      `SELECT index, hashes FROM ${this.#schema}.tile WHERE level = $1 AND index >= $2 ORDER BY index LIMIT $3`,
      [level, fromIndex, limit],
    );
    return rows.map(({ index, hashes }) => ({ level, index: Number(index), bytes: hashes }));
  }

  /**
   * Leaf hashes of the entries from seq `from` to before `to`, one after another, from column `leaf_hash`. Holds them
   * all in memory: ask for a range that fits. Rejects with TreeIncompleteError if one of them is not there.
   */
  async leafHashes(from: number, to: number): Promise<Uint8Array> {
    const hashes = new Uint8Array(Math.max(0, to - from) * HASH_BYTES);
    for (let at = from; at < to; at += HASHES_A_QUERY) {
      const end = Math.min(to, at + HASHES_A_QUERY);
      const { rows } = await this.#pool.query<{ hashes: Buffer | null; count: string }>(
        leafHashesQuery(this.#schema, at, end),
      );
      const read = rows[0]?.hashes;
      // As many distinct places as the range has: then none is missing.
      if (read?.length !== (end - at) * HASH_BYTES) {
        throw new TreeIncompleteError(
          `entries ${at} to ${end - 1} are not all there: ${rows[0]?.count ?? 0} of ${end - at}`,
        );
      }
      hashes.set(read, (at - from) * HASH_BYTES);
    }
    return hashes;
  }

  /** The newest note of the largest size; undefined if nothing was published yet. */
  async latestCheckpoint(): Promise<StoredCheckpoint | undefined> {
    return this.#oneCheckpoint("true ORDER BY size DESC, id DESC", []);
  }

  /** The newest note of exactly this size. */
  async checkpointOf(size: number): Promise<StoredCheckpoint | undefined> {
    return this.#oneCheckpoint("size = $1 ORDER BY id DESC", [size]);
  }

  /** The newest note of the smallest size whose tree has the entry. */
  async checkpointCovering(seq: number): Promise<StoredCheckpoint | undefined> {
    return this.#oneCheckpoint("size > $1 ORDER BY size, id DESC", [seq]);
  }

  /** At most `limit` checkpoints of sizes above `after`, ascending by size, the newest note of each size. */
  async checkpoints(after: number, limit: number): Promise<StoredCheckpoint[]> {
    const { rows } = await this.#pool.query<CheckpointRow>(
      `SELECT DISTINCT ON (size) ${CHECKPOINT_COLUMNS} FROM ${this.#schema}.checkpoint WHERE size > $1 ORDER BY size, id DESC LIMIT $2`,
      [after, limit],
    );
    return rows.map(parseCheckpointRow);
  }

  /** At most `limit` of all checkpoints, heartbeats too, with an id above `after`, ascending by id; start with 0. */
  async checkpointsById(after: number, limit: number): Promise<StoredCheckpoint[]> {
    const { rows } = await this.#pool.query<CheckpointRow>(
      `SELECT ${CHECKPOINT_COLUMNS} FROM ${this.#schema}.checkpoint WHERE id > $1 ORDER BY id LIMIT $2`,
      [after, limit],
    );
    return rows.map(parseCheckpointRow);
  }

  /** The keys that sign the ledger, followed from the pinned ones through all entries there are. */
  async keys(pinned: readonly PublicKey[], verify: VerifySignature): Promise<KeyTrail> {
    const { rows } = await this.#pool.query<{ leaf: string }>(eventsQuery(this.#schema, 0, MAX_SEQ));
    return followRotations({ current: pinned, all: pinned }, rows, verify);
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }

  async #oneCheckpoint(where: string, values: readonly number[]): Promise<StoredCheckpoint | undefined> {
    const { rows } = await this.#pool.query<CheckpointRow>(
      `SELECT ${CHECKPOINT_COLUMNS} FROM ${this.#schema}.checkpoint WHERE ${where} LIMIT 1`,
      [...values],
    );
    return rows[0] && parseCheckpointRow(rows[0]);
  }

  async #readStored(tiles: readonly Tile[]): Promise<Map<string, Uint8Array>> {
    const found = new Map<string, Uint8Array>();
    for (let at = 0; at < tiles.length; at += TILES_A_QUERY) {
      const some = tiles.slice(at, at + TILES_A_QUERY);
      const { rows } = await this.#pool.query<{ level: number; index: string; hashes: Buffer }>({
        name: "scimseal_tiles",
        text: `SELECT level, index, hashes FROM ${this.#schema}.tile
          JOIN unnest($1::smallint[], $2::bigint[]) AS wanted (level, index) USING (level, index)`,
        values: [some.map(({ level }) => level), some.map(({ index }) => index)],
      });
      for (const { level, index, hashes } of rows)
        found.set(placeOf({ level, index: Number(index) }), hashes);
    }
    return found;
  }

  async #derive(tile: Tile): Promise<Uint8Array> {
    const { level, index, width } = tile;
    const from = index * TILE_WIDTH;
    if (level === 0) return this.leafHashes(from, from + width);
    const key = placeOf(tile);
    const known = this.#derived.get(key) ?? NOTHING;
    const bytes = new Uint8Array(width * HASH_BYTES);
    bytes.set(known.subarray(0, bytes.length));
    for (let at = known.length / HASH_BYTES; at < width; at += TILES_A_QUERY) {
      const below = Array.from({ length: Math.min(TILES_A_QUERY, width - at) }, (_, i) => ({
        level: level - 1,
        index: from + at + i,
        width: TILE_WIDTH,
      }));
      for (const [i, hashes] of (await this.readTiles(below)).entries()) {
        if (hashes.length !== TILE_BYTES)
          throw new TreeIncompleteError(`${formatTilePath(tile)}: no tile below`);
        bytes.set(hashRun(hashes, 0, TILE_WIDTH, this.#digest), (at + i) * HASH_BYTES);
      }
    }
    if (bytes.length > known.length) this.#remember(key, bytes);
    return bytes;
  }

  #remember(key: string, bytes: Uint8Array): void {
    // The order of insertion is the order of age: places of the edge that is now are young.
    this.#derived.delete(key);
    this.#derived.set(key, bytes);
    if (this.#derived.size <= MAX_DERIVED) return;
    for (const oldest of this.#derived.keys()) {
      this.#derived.delete(oldest);
      return;
    }
  }
}

/** The event entries from seq `from` to before `to`. */
export function eventsQuery(schema: string, from: number, to: number): pg.QueryConfig {
  return {
    text: `SELECT leaf FROM ${schema}.entry WHERE type = 'event' AND seq >= $1 AND seq < $2 ORDER BY seq`,
    values: [from, to],
  };
}

/** How the tables of checkpoints are read; shared with the publisher's session. */
export const CHECKPOINT_COLUMNS = "id, size, root, note, published";

export interface CheckpointRow {
  id: string;
  size: string;
  root: Buffer;
  note: string;
  published: Date;
}

export function parseCheckpointRow(row: CheckpointRow): StoredCheckpoint {
  const { id, size, root, note, published } = row;
  return { id: Number(id), size: Number(size), root, note, publishedAt: published };
}

/**
 * The leaf hashes from seq `from` to before `to` as one value (`hashes`, null if there is none), with their number,
 * first and last seq. One value, since a row each would cost several times as much.
 */
export function leafHashesQuery(schema: string, from: number, to: number): pg.QueryConfig {
  return {
    name: "scimseal_leaf_hashes",
    text: `SELECT count(*) AS count, min(seq) AS first, max(seq) AS last, string_agg(leaf_hash, ''::bytea ORDER BY seq) AS hashes
      FROM ${schema}.entry WHERE seq >= $1::bigint AND seq < $2::bigint`,
    values: [from, to],
  };
}

const MAX_SEQ = Number.MAX_SAFE_INTEGER;
const NOTHING = new Uint8Array(0);

function placeOf({ level, index }: Pick<Tile, "level" | "index">): string {
  return `${level}/${index}`;
}
