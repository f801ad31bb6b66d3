// Keeps the anchors of one ledger: checks the ledger against each of them, and writes every newer checkpoint to each.
// An anchor is replaced only by a checkpoint of a tree that extends what the anchor holds; else a restored database
// would wipe out the one thing that tells of it. A place that cannot be reached is no finding: it is told in the status.

import type { Sha256 } from "../../ledger/hash.ts";
import type { VerifySignature } from "../../ledger/leaf.ts";
import type { LogKey } from "../../ledger/note/verifierKey.ts";
import type { StoredCheckpoint } from "../../storage/tree/treeStore.ts";
import type { Finding } from "../alarm/alarm.ts";
import { type Anchor, type AnchoredTree, checkAnchor } from "./anchor.ts";
import type { AnchorMark } from "./anchorMark.ts";

/** What is known of one anchor. */
export interface AnchorStatus {
  name: string;
  /** Leaves under the checkpoint that was last written there, or read and found good; undefined: none so far. */
  size: number | undefined;
  /** Epoch milliseconds of that. */
  keptAt: number | undefined;
  /** Why it could not be read, believed or written the last time; undefined if it could. */
  problem: string | undefined;
}

export interface AnchorKeeperOptions {
  anchors: readonly Anchor[];
  tree: AnchoredTree;
  /** All keys that ever signed the ledger, named by its origin. */
  keys(): Promise<readonly LogKey[]>;
  verify?: VerifySignature;
  digest?: Sha256;
  /** Epoch milliseconds. */
  now(): number;
  log: { warn(fields: object, message: string): void };
  onFinding(finding: Finding): void;
  /** How far the ledger reached when a finding was told. */
  mark?: Pick<AnchorMark, "isNews" | "clear" | "since">;
  /** Before a finding that differs from what was told: whatever was acknowledged of anchors, it was not this. */
  onNews?(): void;
}

/** `size`: leaves under the note that it is about. */
type PlaceFinding = Pick<Finding, "code" | "detail"> & { size?: number };

type Kept = Pick<StoredCheckpoint, "size" | "root" | "note">;

interface Place extends AnchorStatus {
  anchor: Anchor;
  /** The note that stands there, if it was read or written by this process and is good. */
  note: string | undefined;
  /** Nothing is written before a first check. */
  isChecked: boolean;
  /** It was read at the last check. */
  isRead: boolean;
  /** What was found there, until it is read and well. */
  finding: PlaceFinding | undefined;
}

export class AnchorKeeper {
  readonly #options: AnchorKeeperOptions;
  readonly #places: Place[];
  #next: Kept | undefined;
  #work: Promise<void> = Promise.resolve();
  #isQueued = false;

  constructor(options: AnchorKeeperOptions) {
    this.#options = options;
    this.#places = options.anchors.map((anchor) => ({
      anchor,
      name: anchor.name,
      size: undefined,
      keptAt: undefined,
      problem: undefined,
      note: undefined,
      isChecked: false,
      isRead: false,
      finding: undefined,
    }));
  }

  /** One for each anchor, in their order. */
  get status(): AnchorStatus[] {
    return this.#places.map(({ name, size, keptAt, problem }) => ({ name, size, keptAt, problem }));
  }

  /** The ledger is anchored up to this size: the largest that stands in some anchor. 0: not at all. */
  get size(): number {
    return Math.max(0, ...this.#places.map(({ size }) => size ?? 0));
  }

  /**
   * Reads every anchor and checks the ledger against it. The first finding; all of them go to `onFinding`. One that cannot
   * be read is none, unless it had one before.
   */
  async check(): Promise<Finding | undefined> {
    return this.#inTurn(async () => {
      const keys = await this.#options.keys();
      let first: Finding | undefined;
      for (const place of this.#places) {
        const found = await this.#checkPlace(place, keys);
        if (!found) continue;
        const finding = await this.#found(found);
        first ??= finding;
      }
      // Of one that cannot be read now nothing is known, and so nothing is over.
      if (!first && this.#places.every(({ isRead }) => isRead)) await this.#options.mark?.clear();
      return first;
    });
  }

  /** Has a checkpoint written to every anchor, soon; of several that wait only the last is. Never throws. */
  keep(checkpoint: Kept): void {
    this.#next = checkpoint;
    if (this.#isQueued) return;
    this.#isQueued = true;
    void this.#inTurn(async () => {
      this.#isQueued = false;
      const kept = this.#next;
      if (kept) await Promise.all(this.#places.map((place) => this.#write(place, kept)));
    });
  }

  /** Resolves when everything asked for so far is done. */
  async settled(): Promise<void> {
    await this.#work;
  }

  async #checkPlace(place: Place, keys: readonly LogKey[]): Promise<PlaceFinding | undefined> {
    let note: string | undefined;
    try {
      note = await place.anchor.read();
    } catch (cause) {
      place.isRead = false;
      this.#report(place, cause);
      return place.finding;
    }
    place.isRead = true;
    place.finding = await this.#judge(place, note, keys);
    return place.finding;
  }

  async #judge(
    place: Place,
    note: string | undefined,
    keys: readonly LogKey[],
  ): Promise<PlaceFinding | undefined> {
    if (note === undefined) {
      place.isChecked = true;
      // An anchor that this process saw before and that is gone was taken away.
      if (place.note === undefined) return undefined;
      return { code: "anchor_missing", detail: `${place.name}: the note that was there is gone` };
    }
    const result = await checkAnchor(note, keys, this.#options.tree, this.#options);
    place.isChecked = result.ok;
    if (!result.ok) {
      place.problem = result.detail;
      return { ...result, detail: `${place.name}: ${result.detail}` };
    }
    this.#kept(place, note, result.size);
    return undefined;
  }

  async #write(place: Place, { size, root, note }: Kept): Promise<void> {
    if (place.note === note) return;
    try {
      if (!place.isChecked) {
        // Unreachable until now, or its note is not the ledger's: look before anything there is replaced.
        const finding = await this.#checkPlace(place, await this.#options.keys());
        if (finding) await this.#found(finding);
        if (finding || !place.isChecked) return;
      } else if (
        place.note !== undefined &&
        !(await this.#extends(place.note, place.size ?? 0, { size, root }))
      ) {
        return;
      }
      if (size < (place.size ?? 0)) return;
      await place.anchor.write(note);
      this.#kept(place, note, size);
    } catch (cause) {
      this.#report(place, cause);
    }
  }

  /** Does the database still hold the tree of the last note? Asked before that note is replaced. */
  async #extends(note: string, size: number, next: Pick<Kept, "size" | "root">): Promise<boolean> {
    const { tree } = this.#options;
    if (size === next.size && note.includes(Buffer.from(next.root).toString("base64"))) return true;
    // By tiles, since this happens once a second; a check reads the leaf hashes.
    const options = { ...this.#options, recomputeBelow: 0 };
    const result = await checkAnchor(note, await this.#options.keys(), tree, options);
    if (!result.ok) await this.#found(result);
    return result.ok;
  }

  /** Tells of it, and gives it as it was told. */
  async #found({ code, size, detail }: PlaceFinding): Promise<Finding> {
    const { mark, onNews, onFinding, log } = this.#options;
    const finding: Finding = { code, detail };
    try {
      if (await mark?.isNews()) onNews?.();
      // What was cut off and written anew since is the same cut: the ledger was too short for this note when that was told.
      else if (code === "anchor_mismatch" && size !== undefined && size > (mark?.since ?? size))
        finding.code = "anchor_ahead";
    } catch (cause) {
      // A full disk, or the database went away: then what was acknowledged cannot be told from this.
      log.warn({ err: cause }, "cannot keep how far the ledger reached");
      onNews?.();
    }
    onFinding(finding);
    return finding;
  }

  #kept(place: Place, note: string, size: number): void {
    place.note = note;
    place.size = size;
    place.keptAt = this.#options.now();
    place.problem = undefined;
  }

  #report(place: Place, cause: unknown): void {
    place.problem = cause instanceof Error ? cause.message : String(cause);
    this.#options.log.warn({ anchor: place.name, err: cause }, "an anchor could not be checked or written");
  }

  /** One thing at a time: a check must not read what a write is replacing. */
  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#work.then(work);
    this.#work = done.then(
      () => {},
      () => {}, // The caller of `check` gets it.
    );
    return done;
  }
}
