// The rolling pass: the whole ledger once more, from the first entry to the last, in small steps that somebody else
// paces. Entries with their attachments and outcomes, the tiles that they give against the stored ones, and every
// checkpoint against the root that the entries have at its size. Goes on after a restart where it stood.

import { equalBytes, type Sha256 } from "../ledger/hash.ts";
import type { LogKey } from "../ledger/note/verifierKey.ts";
import { rotatedKey } from "../ledger/rotation.ts";
import type { FilledTile } from "../ledger/tree/tile.ts";
import { TileBuilder } from "../ledger/tree/tileBuilder.ts";
import { readRoot } from "../ledger/tree/tileProof.ts";
import { LedgerVerifier, type StoredEntry, type VerifierOptions } from "../ledger/verify.ts";
import type { MonitorDatabase } from "../storage/monitorDatabase.ts";
import type { EntryReader } from "../storage/reader.ts";
import { type StoredCheckpoint, TreeIncompleteError, type TreeStore } from "../storage/tree/treeStore.ts";
import type { Finding } from "./alarm/alarm.ts";
import { EntryChecker } from "./monitorEntries.ts";
import { placeVerifier } from "./monitorPlace.ts";
import type { Position } from "./monitorPosition.ts";
import { ahead, compareTiles, mismatch, openStored, restoreTiles } from "./monitorTree.ts";

export interface PassOptions {
  reader: EntryReader;
  store: TreeStore;
  database: Pick<MonitorDatabase, "outcomes" | "strayOutcomes" | "strayAttachment">;
  origin: string;
  verifier: VerifierOptions;
  digest: Sha256;
  logKeys(): readonly LogKey[];
}

/** What one step did. */
export interface Step {
  /** Entries and checkpoints looked at. */
  count: number;
  findings: Finding[];
  /** The pass is over. */
  isDone: boolean;
}

const MAX_PAGE = 200;
const CHECKPOINTS = 200;
/** Rows of table `outcome` in one step: no fewer than a page of entries adds. */
const OUTCOMES = 500;
/** Rows of it that a pass names: where thousands are wrong, the first ones say so. */
const MAX_STRAYS = 20;
/** Attachments of one page: above it the pages shrink, far below they grow again. */
const PAGE_BYTES = 8 * 1024 * 1024;
const MAX_OPEN = 10_000;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** One pass; make a new one for the next. */
export class RollingPass {
  readonly #options: PassOptions;
  #checker: EntryChecker;
  /** What the entries give; undefined after a gap, across which nothing can be said of the tree. */
  #tiles: TileBuilder | undefined;
  #rotations: number[] = [];
  #isLastSound = true;
  #checkpointId = -1;
  #queue: StoredCheckpoint[] = [];
  #queueIsAll = false;
  #agreesTo = 0;
  #hasMismatch = false;
  #coveredSize = 0;
  #page = 16;
  #areEntriesDone = false;
  /** How far table `outcome` was gone through. */
  #outcomesTo: string | undefined;
  #areOutcomesDone = false;
  #strays = 0;
  /** The lowest seq of a row of it beyond the newest entry. */
  #outcomeBeyond = Number.POSITIVE_INFINITY;
  /** Whether it began at the first entry: only then it has seen all there is. */
  readonly isWhole: boolean;

  private constructor(options: PassOptions, isWhole: boolean, verifier: LedgerVerifier, tiles: TileBuilder) {
    this.#options = options;
    this.isWhole = isWhole;
    this.#checker = new EntryChecker(verifier, options.digest);
    this.#tiles = tiles;
  }

  /** A pass from the position on, if the ledger still leads there; else from the first entry. */
  static async begin(options: PassOptions, position?: Position): Promise<RollingPass> {
    const { reader, store, digest, verifier } = options;
    if (position && position.next > 0) {
      const placed = await placeVerifier(reader, verifier, position);
      const tiles = placed && (await restoreTiles(store, position.next, digest));
      if (placed && tiles && equalBytes(tiles.root(), position.root)) {
        const pass = new RollingPass(options, false, placed, tiles);
        pass.#rotations = [...position.rotations];
        pass.#checkpointId = position.checkpointId;
        return pass;
      }
    }
    return new RollingPass(options, true, new LedgerVerifier(verifier), new TileBuilder(digest));
  }

  /** Entries read so far, from the first one of the ledger. */
  get next(): number {
    return this.#checker.verifier.size;
  }

  /** Where a later pass can go on; undefined if nothing can be stood on here. */
  get position(): Position | undefined {
    const { verifier } = this.#checker;
    const tiles = this.#tiles;
    if (!tiles || !this.#isLastSound || this.#hasMismatch || verifier.open.size > MAX_OPEN) return undefined;
    return {
      next: verifier.size,
      root: tiles.root(),
      rotations: this.#rotations,
      open: [...verifier.open.values()],
      checkpointId: this.#checkpointId,
    };
  }

  /** One page. Rejects if the database cannot be read; then the pass is of no further use. */
  async step(): Promise<Step> {
    const findings: Finding[] = [];
    const count = this.#areEntriesDone ? 0 : await this.#stepEntries(findings);
    const outcomes = this.#areOutcomesDone ? 0 : await this.#stepOutcomes(findings);
    const isDone = this.#areEntriesDone && this.#areOutcomesDone;
    if (isDone) await this.#finish(findings);
    return { count: count + outcomes, findings, isDone };
  }

  async #stepEntries(findings: Finding[]): Promise<number> {
    const { reader, store } = this.#options;
    this.#coveredSize = (await store.latestCheckpoint())?.size ?? 0;
    const page = await reader.page(this.next - 1, this.#page, true);
    let count = await this.#judge(findings);
    const full: FilledTile[] = [];
    const outcomes = new Map<string, number>();
    let isReadable = true;
    for (const row of page.entries) {
      isReadable = this.#take(row, findings, full, outcomes);
      if (!isReadable) break;
      count += 1 + (await this.#judge(findings));
    }
    if (this.#tiles) findings.push(...(await compareTiles(store, full, this.#coveredSize)));
    if (outcomes.size > 0) await this.#checkOutcomes(outcomes, findings);
    this.#adapt(page.entries);
    this.#areEntriesDone = page.next === undefined || !isReadable;
    return count;
  }

  /**
   * One page of table `outcome`, from its side: a planted row would keep the true outcome of its transaction from ever
   * being recorded, and no entry leads to it.
   */
  async #stepOutcomes(findings: Finding[]): Promise<number> {
    const { database } = this.#options;
    const { count, last, stray, beyond } = await database.strayOutcomes(this.#outcomesTo, OUTCOMES);
    this.#outcomesTo = last;
    this.#areOutcomesDone = count < OUTCOMES;
    for (const seq of stray.slice(0, MAX_STRAYS - this.#strays)) {
      this.#strays++;
      const detail = `a row of table outcome names entry ${seq}, which is not the outcome of its transaction`;
      findings.push({ code: "outcome_index", seq: placeOf(seq), detail });
    }
    this.#outcomeBeyond = Math.min(this.#outcomeBeyond, ...beyond);
    return count;
  }

  #take(row: StoredEntry, findings: Finding[], full: FilledTile[], outcomes: Map<string, number>): boolean {
    const checked = this.#checker.check(row);
    if (!checked) {
      findings.push({
        code: "missing",
        seq: this.next,
        detail: `after entry ${this.next - 1} comes entry ${row.seq}`,
      });
      return false;
    }
    const { claims, leafHash, isNext } = checked;
    findings.push(...checked.findings);
    this.#isLastSound = checked.findings.length === 0;
    if (!isNext) this.#tiles = undefined;
    if (this.#tiles) full.push(...this.#tiles.append(leafHash));
    if (claims?.type === "response" && UUID.test(claims.txn)) outcomes.set(claims.txn, claims.seq);
    if (claims && rotatedKey(claims)) this.#rotations.push(row.seq);
    return true;
  }

  /** Compares every checkpoint of the size reached, and of smaller ones; how many. */
  async #judge(findings: Finding[]): Promise<number> {
    let count = 0;
    for (;;) {
      if (this.#queue.length === 0 && !this.#queueIsAll) await this.#refill();
      const [stored] = this.#queue;
      if (!stored || stored.size > this.next) return count;
      this.#queue.shift();
      this.#checkpointId = stored.id;
      count++;
      const opened = openStored(stored, this.#options.origin, this.#options.logKeys());
      if ("finding" in opened) findings.push(opened.finding);
      else await this.#compareRoot(opened.checkpoint, findings);
    }
  }

  async #refill(): Promise<void> {
    const last = this.#queue.at(-1)?.id ?? this.#checkpointId;
    this.#queue = await this.#options.store.checkpointsById(last, CHECKPOINTS);
    this.#queueIsAll = this.#queue.length < CHECKPOINTS;
  }

  async #compareRoot({ size, root }: { size: number; root: Uint8Array }, findings: Finding[]): Promise<void> {
    // Once two trees differ, every later checkpoint differs as well and says nothing new.
    if (!this.#tiles || this.#hasMismatch) return;
    const own = await this.#rootAt(size, this.#tiles);
    if (own && equalBytes(own, root)) this.#agreesTo = Math.max(this.#agreesTo, size);
    else if (own) {
      this.#hasMismatch = true;
      findings.push(mismatch(size, this.#agreesTo));
    }
  }

  async #rootAt(size: number, tiles: TileBuilder): Promise<Uint8Array | undefined> {
    if (tiles.size === size) return tiles.root();
    // Signed after a larger one: from the stored tiles, which this pass has compared up to here.
    const { store: reader, digest } = this.#options;
    try {
      return await readRoot({ size: tiles.size, reader }, size, digest);
    } catch (cause) {
      if (cause instanceof TreeIncompleteError) return undefined;
      throw cause;
    }
  }

  /** Without its row in table `outcome` a second outcome could be written for a transaction. */
  async #checkOutcomes(outcomes: ReadonlyMap<string, number>, findings: Finding[]): Promise<void> {
    const stored = await this.#options.database.outcomes([...outcomes.keys()]);
    for (const [txn, seq] of outcomes) {
      if (stored.get(txn) === seq) continue;
      const detail = "table outcome does not name this entry as the outcome of its transaction";
      findings.push({ code: "outcome_index", seq, detail });
    }
  }

  async #finish(findings: Finding[]): Promise<void> {
    const { database } = this.#options;
    await this.#judgeBeyond(findings);
    const stray = await database.strayAttachment();
    if (stray !== undefined) {
      const detail = "an attachment beyond the newest entry: its entry was removed, or it was planted";
      findings.push({ code: "attachment_unknown", seq: stray, detail });
    }
    if (Number.isFinite(this.#outcomeBeyond)) {
      const detail =
        "a row of table outcome beyond the newest entry: its entry was removed, or it was planted";
      findings.push({ code: "outcome_index", seq: placeOf(this.#outcomeBeyond), detail });
    }
    if (this.next === 0) findings.push({ code: "ledger_empty", seq: 0, detail: "the ledger has no entries" });
  }

  /**
   * Checkpoints that were read before the ledger's size is asked for now: if one is larger, entries are gone. All of them,
   * since what is written now may have reached the first.
   */
  async #judgeBeyond(findings: Finding[]): Promise<void> {
    if (this.#queue.length === 0) return;
    const { store, origin, logKeys } = this.#options;
    const entries = await store.size();
    for (const stored of this.#queue) {
      if (stored.size <= entries) continue;
      const opened = openStored(stored, origin, logKeys());
      findings.push("finding" in opened ? opened.finding : ahead(stored.size, entries));
      if (!("finding" in opened)) return;
    }
  }

  #adapt(entries: readonly StoredEntry[]): void {
    let bytes = 0;
    for (const { attachments } of entries)
      for (const { content } of attachments ?? []) bytes += content.length;
    if (bytes > PAGE_BYTES) this.#page = Math.max(1, Math.floor(this.#page / 4));
    else if (bytes * 4 < PAGE_BYTES) this.#page = Math.min(MAX_PAGE, this.#page * 2);
  }
}

/** What stands in a planted row may be no place at all; an alarm's is one. */
function placeOf(seq: number): number {
  return Math.min(Math.max(0, seq), Number.MAX_SAFE_INTEGER);
}
