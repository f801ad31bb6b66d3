// The publisher's one session with the database, as the writer's role: the lock that makes it the only publisher of its
// ledger, the leaf hashes it follows, and the two appends, full tiles and checkpoints. Everything goes over the session
// that holds the lock: once the server has ended it, the lock is free and nothing of this publisher can be stored any
// more. What is true of the tree is decided in src/monitor/publisher.ts.

import type { Client } from "pg";
import { equalBytes, HASH_BYTES } from "../../ledger/hash.ts";
import type { VerifySignature } from "../../ledger/leaf.ts";
import { followRotations, type KeyTrail } from "../../ledger/rotation.ts";
import { type FilledTile, TILE_BYTES, type Tile } from "../../ledger/tree/tile.ts";
import { encodeByteaArray, encodeInt8Array } from "../binary.ts";
import {
  checkDurability,
  connect,
  type DatabaseAddress,
  destroy,
  endWithin,
  queryWithin,
} from "../postgres.ts";
import { checkSchema, schemaOf } from "../schema.ts";
import {
  CHECKPOINT_COLUMNS,
  type CheckpointRow,
  eventsQuery,
  leafHashesQuery,
  parseCheckpointRow,
  type StoredCheckpoint,
} from "./treeStore.ts";

/** A checkpoint was perhaps not stored durably, or another publisher stored one in between. Begin anew. */
export class CheckpointUnprovedError extends Error {
  override name = "CheckpointUnprovedError";
}

/** What the ledger holds from a place on. */
export interface LeafRun {
  /** Number of entries by the newest seq, read before the hashes. */
  size: number;
  /** Leaf hashes of the entries from the place asked for, without a gap. */
  hashes: Uint8Array;
  /** Where the first missing entry is, if an entry after it was read. */
  gapAt: number | undefined;
}

export interface TreeWriterOptions {
  ledger: string;
  origin: string;
  /** The writer's role. */
  database: DatabaseAddress;
  /** Deadline of each statement. */
  timeoutMs: number;
}

const TILES_A_STATEMENT = 64;
const END_TIMEOUT_MS = 1_000;

/** One session. After any error close it and open another: only a new one knows where it stands. */
export class TreeWriter {
  readonly #client: Client;
  readonly #ledger: string;
  readonly #schema: string;
  readonly #timeoutMs: number;
  /** A WARNING arrived: what was committed since is visible, but perhaps not replicated. */
  #warned = false;
  #closing = false;

  private constructor(client: Client, { ledger, timeoutMs }: TreeWriterOptions) {
    this.#client = client;
    this.#ledger = ledger;
    this.#schema = schemaOf(ledger);
    this.#timeoutMs = timeoutMs;
    client.on("notice", (notice) => {
      if (notice.code !== "00000") this.#warned = true;
    });
  }

  /** Connects and checks the tables and the database's durability; throws what a writer's start would throw. */
  static async open(options: TreeWriterOptions): Promise<TreeWriter> {
    const { ledger, origin, database, timeoutMs } = options;
    const client = await connect(database, `scimseal ${ledger} publisher`, timeoutMs);
    const writer = new TreeWriter(client, options);
    try {
      await writer.#query({ text: `SET statement_timeout = ${Math.round(timeoutMs)}` });
      await checkDurability(client, database, timeoutMs);
      await checkSchema(client, ledger, origin, timeoutMs);
    } catch (cause) {
      destroy(client);
      throw cause;
    }
    return writer;
  }

  /** Takes the ledger's publisher lock for as long as this session lives; false while another session has it. */
  async tryLock(): Promise<boolean> {
    const { rows } = await this.#query<{ ok: boolean }>({
      text: "SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS ok",
      values: [`scimseal publisher ${this.#ledger}`],
    });
    return rows[0]?.ok === true;
  }

  /** The newest note of the largest size, and the newest id of all: they are one row unless somebody planted another. */
  async latestCheckpoint(): Promise<{ checkpoint: StoredCheckpoint; newestId: number } | undefined> {
    const { rows } = await this.#query<CheckpointRow & { newest: string }>({
      name: "scimseal_latest_checkpoint",
      text: `SELECT ${CHECKPOINT_COLUMNS}, (SELECT max(id) FROM ${this.#schema}.checkpoint) AS newest
        FROM ${this.#schema}.checkpoint ORDER BY size DESC, id DESC LIMIT 1`,
    });
    return rows[0] && { checkpoint: parseCheckpointRow(rows[0]), newestId: Number(rows[0].newest) };
  }

  /** At most `limit` leaf hashes from seq `from` on. Entries become visible in the order of seq, so a gap is a loss. */
  async readLeaves(from: number, limit: number): Promise<LeafRun> {
    const { rows: heads } = await this.#query<{ size: string }>({
      name: "scimseal_size",
      text: `SELECT coalesce(max(seq) + 1, 0) AS size FROM ${this.#schema}.entry`,
    });
    const size = Number(heads[0]?.size ?? 0);
    if (size <= from) return { size, hashes: new Uint8Array(0), gapAt: undefined };
    const end = Math.min(size, from + limit);
    const { rows } = await this.#query<{ hashes: Buffer | null }>(leafHashesQuery(this.#schema, from, end));
    const hashes = rows[0]?.hashes ?? new Uint8Array(0);
    if (hashes.length === (end - from) * HASH_BYTES) return { size, hashes, gapAt: undefined };
    return { size, hashes: new Uint8Array(0), gapAt: await this.#findGap(from, end) };
  }

  /** The keys after the entries from seq `from` to before `to`. */
  async followKeys(trail: KeyTrail, from: number, to: number, verify: VerifySignature): Promise<KeyTrail> {
    const { rows } = await this.#query<{ leaf: string }>(eventsQuery(this.#schema, from, to));
    return rows.length === 0 ? trail : followRotations(trail, rows, verify);
  }

  /**
   * Appends full tiles. A place that is taken stays as it is: a crash after this and before the checkpoint leaves tiles
   * that come again. Returns the places where another tile stands than the one given: nobody but a fault or a
   * forger puts one there.
   */
  async storeTiles(tiles: readonly FilledTile[]): Promise<Tile[]> {
    const different: Tile[] = [];
    for (let at = 0; at < tiles.length; at += TILES_A_STATEMENT) {
      const some = tiles.slice(at, at + TILES_A_STATEMENT);
      const places = [
        some.map(({ tile }) => tile.level),
        encodeInt8Array(some.map(({ tile }) => tile.index)),
      ];
      const { rowCount } = await this.#query({
        name: "scimseal_store_tiles",
        text: `INSERT INTO ${this.#schema}.tile (level, index, hashes)
          SELECT unnest($1::smallint[]), unnest($2::bigint[]), unnest($3::bytea[]) ON CONFLICT DO NOTHING`,
        values: [...places, encodeByteaArray(some.map(({ bytes }) => bytes))],
      });
      if (rowCount === some.length) continue;
      different.push(...(await this.#findDifferent(some, places)));
    }
    return different;
  }

  /**
   * Appends a checkpoint behind the one with the id `after` (0: the first). Returns only when the commit is proved, and
   * with it the commit of every entry and tile that was read or written before on this session.
   */
  async storeCheckpoint(
    { size, root, note }: Pick<StoredCheckpoint, "size" | "root" | "note">,
    after: number,
  ): Promise<StoredCheckpoint> {
    this.#warned = false;
    const { rows } = await this.#query<CheckpointRow>({
      name: "scimseal_store_checkpoint",
      text: `INSERT INTO ${this.#schema}.checkpoint (size, root, note)
        SELECT $1::bigint, $2::bytea, $3::text WHERE NOT EXISTS (SELECT FROM ${this.#schema}.checkpoint WHERE id > $4)
        RETURNING ${CHECKPOINT_COLUMNS}`,
      values: [size, Buffer.from(root), note, after],
    });
    const [row] = rows;
    if (!row) throw new CheckpointUnprovedError("another publisher stored a checkpoint meanwhile");
    if (this.#warned) {
      throw new CheckpointUnprovedError("the database warned that the checkpoint may not be replicated");
    }
    return parseCheckpointRow(row);
  }

  /** Ends the session, and with it the lock. */
  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    await endWithin(this.#client, END_TIMEOUT_MS);
  }

  async #findGap(from: number, end: number): Promise<number> {
    const { rows } = await this.#query<{ seq: string }>({
      text: `SELECT wanted AS seq FROM generate_series($1::bigint, $2::bigint) AS wanted
        WHERE NOT EXISTS (SELECT FROM ${this.#schema}.entry WHERE seq = wanted) ORDER BY wanted LIMIT 1`,
      values: [from, end - 1],
    });
    return Number(rows[0]?.seq ?? from);
  }

  async #findDifferent(tiles: readonly FilledTile[], places: readonly unknown[]): Promise<Tile[]> {
    const { rows } = await this.#query<{ level: number; index: string; hashes: Buffer }>({
      text: `SELECT level, index, hashes FROM ${this.#schema}.tile
        JOIN unnest($1::smallint[], $2::bigint[]) AS wanted (level, index) USING (level, index)`,
      values: [...places],
    });
    const stored = new Map(rows.map((row) => [`${row.level}/${row.index}`, row.hashes]));
    return tiles.flatMap(({ tile, bytes }) => {
      const there = stored.get(`${tile.level}/${tile.index}`);
      return there?.length === TILE_BYTES && equalBytes(there, bytes) ? [] : [tile];
    });
  }

  async #query<Row extends object>(query: Parameters<typeof queryWithin>[1]) {
    return queryWithin<Row & Record<string, unknown>>(this.#client, query, this.#timeoutMs);
  }
}
