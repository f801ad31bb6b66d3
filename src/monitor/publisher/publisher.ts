// The publisher of a ledger's tree (RFC 6962 §2.1; C2SP tlog-tiles, tlog-checkpoint): follows the committed entries,
// stores full tiles, then signs and stores a checkpoint: at most one an interval when the ledger grew, a heartbeat when it
// did not. One publishes among all instances; the others watch and take over. A tree that does not extend the last
// checkpoint is a finding and is never signed. All state comes from the tables, so a crash anywhere costs nothing.

import { HASH_BYTES, type Sha256 } from "../../ledger/hash.ts";
import { type PublicKey, parsePublicJwk } from "../../ledger/key.ts";
import type { VerifySignature } from "../../ledger/leaf.ts";
import { formatCheckpoint } from "../../ledger/note/checkpoint.ts";
import { signNote } from "../../ledger/note/note.ts";
import { makeLogKey } from "../../ledger/note/verifierKey.ts";
import type { KeyTrail } from "../../ledger/rotation.ts";
import type { FilledTile } from "../../ledger/tree/tile.ts";
import type { DatabaseAddress } from "../../storage/postgres.ts";
import type { StoredCheckpoint } from "../../storage/tree/treeStore.ts";
import { TreeWriter } from "../../storage/tree/treeWriter.ts";
import type { Finding } from "../alarm/alarm.ts";
import { checkStored, lostEntries, newestOf, type ResumedTree, resumeTree } from "./publisherResume.ts";

/** The ledger's signing key at work; `Signer` of the keys room is one. */
export interface PublisherSigner {
  readonly kid: string;
  readonly publicJwk: unknown;
  /** 64 bytes of Ed25519 over exactly these. */
  sign(bytes: Uint8Array): Uint8Array;
}

export interface PublisherLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface PublisherOptions {
  ledger: string;
  origin: string;
  /** The writer's role. */
  database: DatabaseAddress;
  signer: PublisherSigner;
  /** Reads the signing key again, after a rotation: one of the expected keys, if it is to be had. */
  reloadSigner(expected: readonly PublicKey[]): Promise<PublisherSigner>;
  /** Keys trusted from the start; the chain of key-rotated entries leads from them to the signer's. */
  pinned: readonly PublicKey[];
  verify: VerifySignature;
  digest: Sha256;
  /** Pause after a checkpoint, and between two looks at the ledger. */
  intervalMs: number;
  /** Age of a checkpoint after which it is signed again although nothing grew. */
  heartbeatMs: number;
  /** Deadline of each statement; 5 s unless told otherwise. */
  timeoutMs?: number;
  /** Pause after a finding or an error; 5 s unless told otherwise. */
  retryMs?: number;
  /** Epoch milliseconds. */
  now(): number;
  log: PublisherLog;
  /** Asked each time before this instance begins to sign: a finding forbids it. For the anchors (`AnchorKeeper.check`). */
  guard?(): Promise<Finding | undefined>;
  /** Each newer checkpoint that is durably stored and verified, this instance's own or another's. Must not throw. */
  onCheckpoint(checkpoint: StoredCheckpoint): void;
  onFinding(finding: Finding): void;
}

/** `wrong_key`: this instance does not hold the ledger's current key. `halted`: a finding forbids to sign. */
export type PublisherState = "starting" | "waiting" | "publishing" | "wrong_key" | "halted" | "stopped";

export interface PublisherStatus {
  state: PublisherState;
  /** Leaves under the newest checkpoint that this instance knows. */
  size: number;
  /** Epoch milliseconds by the database's clock; undefined before the first. */
  publishedAt: number | undefined;
}

/** One publisher's turn: what it knows of the tree, thrown away with the session that holds the lock. */
interface Turn extends ResumedTree {
  writer: TreeWriter;
}

/** Leaf hashes in one read: 256 KiB, 32 tiles. */
const LEAVES_A_READ = 8_192;

export class Publisher {
  readonly #options: Required<Pick<PublisherOptions, "timeoutMs" | "retryMs">> & PublisherOptions;
  #signer: PublisherSigner;
  #state: PublisherState = "starting";
  /** The newest checkpoint this process saw stored: an anchor in memory against a database that was set back. */
  #known: StoredCheckpoint | undefined;
  #running: Promise<void> | undefined;
  #stopping = false;
  #wake: () => void = () => {};

  constructor(options: PublisherOptions) {
    this.#options = { timeoutMs: 5_000, retryMs: 5_000, ...options };
    this.#signer = options.signer;
  }

  get status(): PublisherStatus {
    return {
      state: this.#state,
      size: this.#known?.size ?? 0,
      publishedAt: this.#known?.publishedAt.getTime(),
    };
  }

  /** Begins; returns at once. What goes wrong from here on is logged or a finding, and tried again. */
  async start(): Promise<void> {
    this.#running ??= this.#run();
  }

  /** Finishes the step under way, then lets go of the lock. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#wake();
    await this.#running;
    this.#state = "stopped";
  }

  async #run(): Promise<void> {
    const { log, ledger, onFinding, retryMs } = this.#options;
    while (!this.#stopping) {
      try {
        const finding = await this.#takeTurn();
        if (finding) {
          this.#state = "halted";
          onFinding(finding);
        }
      } catch (cause) {
        this.#state = "starting";
        log.warn({ ledger, err: cause }, "no checkpoint can be published now; trying again");
      }
      await this.#pause(retryMs);
    }
  }

  /** From the wait for the lock to its loss. Returns a finding that forbids to sign; undefined when it is over. */
  async #takeTurn(): Promise<Finding | undefined> {
    const { ledger, origin, database, timeoutMs, pinned, intervalMs } = this.#options;
    const writer = await TreeWriter.open({ ledger, origin, database, timeoutMs });
    try {
      const watch = { keys: { current: pinned, all: pinned }, before: 0 };
      while (!(await writer.tryLock())) {
        const finding = await this.#watchOther(writer, watch);
        if (finding) return finding;
        await this.#pause(intervalMs);
        if (this.#stopping) return undefined;
      }
      const resumed = await resumeTree(writer, this.#known, this.#options);
      if ("code" in resumed) return resumed;
      const forbidden = await this.#options.guard?.();
      return forbidden ?? (await this.#publish({ writer, ...resumed }));
    } finally {
      await writer.close();
    }
  }

  /** Another instance publishes: its checkpoints are this one's too, once their signature is checked. */
  async #watchOther(
    writer: TreeWriter,
    watch: { keys: KeyTrail; before: number },
  ): Promise<Finding | undefined> {
    this.#state = "waiting";
    const latest = await writer.latestCheckpoint();
    if (!latest || latest.checkpoint.id === this.#known?.id) return undefined;
    const { checkpoint } = latest;
    if (this.#known && checkpoint.size < this.#known.size) {
      return {
        code: "checkpoint_lost",
        seq: checkpoint.size,
        detail: `a checkpoint of ${this.#known.size} entries was stored, and the newest is now of ${checkpoint.size}: an older database was restored`,
      };
    }
    const newest = newestOf(checkpoint.size);
    watch.keys = await writer.followKeys(watch.keys, watch.before, newest, this.#options.verify);
    watch.before = newest;
    const finding = checkStored(checkpoint, watch.keys, this.#options);
    if (!finding) this.#tell(checkpoint);
    return finding;
  }

  async #publish(turn: Turn): Promise<Finding | undefined> {
    const { log, ledger, intervalMs } = this.#options;
    if (turn.last) this.#tell(turn.last);
    log.info({ ledger, size: turn.tree.size }, "this instance publishes the ledger's checkpoints");
    this.#state = "publishing";
    while (!this.#stopping) {
      const result = await this.#advance(turn);
      if (typeof result === "object") return result;
      if (await this.#holdsKey(turn.keys)) await this.#signIfDue(turn);
      else if (result === "all") {
        // Another instance may hold the key: it cannot publish before this one lets go.
        this.#state = "wrong_key";
        log.warn(
          { ledger, kid: this.#signer.kid },
          "this instance does not hold the ledger's current signing key, so it publishes no checkpoints",
        );
        return undefined;
      }
      if (result === "all") await this.#pause(intervalMs);
    }
    return undefined;
  }

  /**
   * Takes up new entries: all there are, or as many as an interval allows when there is much to catch up. Their tiles are
   * stored when it returns. If we crash in between, the tiles come again from the last checkpoint on and are the same.
   */
  async #advance(turn: Turn): Promise<"all" | "some" | Finding> {
    const { writer, tree } = turn;
    const { verify } = this.#options;
    const endAt = performance.now() + this.#options.intervalMs;
    for (;;) {
      const from = tree.size;
      const { size, hashes, gapAt } = await writer.readLeaves(from, LEAVES_A_READ);
      if (size < from) return lostEntries(size, from);
      if (gapAt !== undefined)
        return { code: "entry_missing", seq: gapAt, detail: `there is no entry ${gapAt}` };
      const full: FilledTile[] = [];
      for (let at = 0; at < hashes.length; at += HASH_BYTES) {
        for (const tile of tree.append(hashes.subarray(at, at + HASH_BYTES))) full.push(tile);
      }
      if (tree.size > from) {
        turn.keys = await writer.followKeys(turn.keys, newestOf(from), newestOf(tree.size), verify);
      }
      const [different] = await writer.storeTiles(full);
      if (different) {
        const { level, index } = different;
        return {
          code: "tile_mismatch",
          seq: index * 256 ** (level + 1),
          detail: `the stored tile ${index} of level ${level} is not the one that the entries make`,
        };
      }
      if (tree.size >= size) return "all";
      if (this.#stopping || performance.now() >= endAt) return "some";
    }
  }

  async #holdsKey({ current }: KeyTrail): Promise<boolean> {
    const isCurrent = () => current.some(({ kid }) => kid === this.#signer.kid);
    if (!isCurrent()) this.#signer = await this.#options.reloadSigner(current);
    return isCurrent();
  }

  async #signIfDue(turn: Turn): Promise<void> {
    const { origin, now, heartbeatMs } = this.#options;
    const { tree, last, writer } = turn;
    const { size } = tree;
    if (size === 0) return;
    // The difference may be negative: a clock that was set back must not end the heartbeat.
    const isStale = last === undefined || Math.abs(now() - last.publishedAt.getTime()) >= heartbeatMs;
    if (size === last?.size && !isStale) return;
    const root = tree.root();
    const publicKey = parsePublicJwk(this.#signer.publicJwk);
    if (!publicKey) throw new Error("the signer's public key is no Ed25519 key");
    const note = signNote(formatCheckpoint({ origin, size, root }), {
      key: makeLogKey(origin, publicKey.bytes),
      sign: (bytes) => this.#signer.sign(bytes),
    });
    // If we crash before this, nobody saw the note; after it, the next publisher goes on from it.
    turn.last = await writer.storeCheckpoint({ size, root, note }, last?.id ?? 0);
    this.#tell(turn.last);
  }

  #tell(checkpoint: StoredCheckpoint): void {
    if (checkpoint.id === this.#known?.id) return;
    this.#known = checkpoint;
    this.#options.onCheckpoint(checkpoint);
  }

  async #pause(ms: number): Promise<void> {
    if (this.#stopping) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
