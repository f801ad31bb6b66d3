// Follows the head of a ledger: every new entry is verified as it comes (hash, link, columns, outcome rules, and the signature
// unless this process is known to have made it), the tree that the entries give is compared with every new checkpoint, and the
// newest entry known must still be there. Begins at the newest checkpoint, since what lies before is the rolling pass's. A look
// that finds the newest entries gone is repeated before it counts: it may have been a standby that lags.

import type { Entry } from "../ledger/entry.ts";
import { equalBytes, hashLeaf, type Sha256 } from "../ledger/hash.ts";
import type { LogKey } from "../ledger/note/verifierKey.ts";
import type { TileBuilder } from "../ledger/tree/tileBuilder.ts";
import { readRoot } from "../ledger/tree/tileProof.ts";
import { LedgerVerifier, type VerifierOptions } from "../ledger/verify.ts";
import { type EntryReader, readEntry } from "../storage/reader.ts";
import { type StoredCheckpoint, TreeIncompleteError, type TreeStore } from "../storage/tree/treeStore.ts";
import type { Finding } from "./alarm/alarm.ts";
import { type CheckedEntry, EntryChecker } from "./monitorEntries.ts";
import { placeVerifier } from "./monitorPlace.ts";
import { ahead, mismatch, openStored, restoreTiles } from "./monitorTree.ts";

export interface HeadOptions {
  reader: EntryReader;
  store: TreeStore;
  origin: string;
  verifier: VerifierOptions;
  digest: Sha256;
  /** Keys that may have signed checkpoints; grows with rotations. */
  logKeys(): readonly LogKey[];
  /** Where the rotations known so far stand. */
  rotations(): readonly number[];
  /** Told of every new entry that a trusted key signed. */
  onEntry?(claims: Entry): void;
  /** Called after every 50 entries: gives others their turn. False: this look ends here, the next one goes on. */
  breathe(): Promise<boolean>;
}

const PAGE = 1_000;
const CHECKPOINTS = 200;
/** How far back an entry that can be stood on is looked for before everything is read from the first one. */
const MAX_BACK = 20;
/** Entries between two breaths. */
const BREATH = 50;
/** Leaf hashes that wait for a checkpoint, some 12 MiB of them. Beyond, checkpoints on the way are compared by tiles. */
const MAX_PENDING = 100_000;

export class HeadFollower {
  readonly #options: HeadOptions;
  #checker: EntryChecker | undefined;
  /** Where it began: requests before it were not read. */
  #from = 0;
  /** What the entries give, up to the newest checkpoint; undefined once it and a checkpoint were found to differ. */
  #tree: TileBuilder | undefined;
  /** Leaf hashes beyond the tree, in order. */
  #pending: Uint8Array[] = [];
  #checkpointId = -1;
  #agreesTo = 0;
  #suspicion: string | undefined;

  constructor(options: HeadOptions) {
    this.#options = options;
  }

  /** Entries up to here are verified, or their findings told. */
  get verified(): number {
    return this.#checker?.verifier.size ?? 0;
  }

  /** One look: all entries and checkpoints that are new. Rejects if the database cannot be read; look again then. */
  async look(): Promise<Finding[]> {
    const { store } = this.#options;
    const findings: Finding[] = [];
    if (!this.#checker) await this.#begin(await store.latestCheckpoint());
    const checkpoints = await store.checkpointsById(this.#checkpointId, CHECKPOINTS);
    // Checkpoints first, entries after: so every entry that a checkpoint covers must be among those read now.
    const isWhole = await this.#readEntries(findings);
    if (isWhole) await this.#compare(checkpoints, findings);
    return findings;
  }

  async #begin(newest: StoredCheckpoint | undefined): Promise<void> {
    const { reader, store, digest, rotations, verifier: options } = this.#options;
    const end = Math.min(newest?.size ?? 0, await store.size());
    let verifier: LedgerVerifier | undefined;
    for (let back = 0; !verifier && back <= Math.min(end, MAX_BACK); back++)
      verifier = await placeVerifier(reader, options, { next: end - back, rotations: rotations() });
    verifier ??= new LedgerVerifier(options);
    this.#from = verifier.size;
    this.#checker = new EntryChecker(verifier, digest);
    this.#tree = await restoreTiles(store, verifier.size, digest);
    this.#pending = [];
    this.#agreesTo = 0;
    this.#checkpointId = newest ? newest.id - 1 : -1;
  }

  /** Reads on to the end. False if it did not get there, or the newest entry known is not there any more. */
  async #readEntries(findings: Finding[]): Promise<boolean> {
    const { reader } = this.#options;
    const checker = this.#checker;
    if (!checker) return false;
    const { size, hash } = checker.verifier.head;
    let isFirst = size > 0;
    for (let after: number | undefined = size - (isFirst ? 2 : 1); after !== undefined; ) {
      const page = await reader.page(after, PAGE, false);
      after = page.next;
      let sinceBreath = 0;
      if (isFirst) {
        const known = page.entries.shift();
        isFirst = false;
        if (
          known?.seq !== size - 1 ||
          !equalBytes(hashLeaf(Buffer.from(known.leaf), this.#options.digest), hash)
        ) {
          const detail = `entry ${size - 1}, verified before, is gone or another: the newest entries were cut off or exchanged`;
          if (this.#confirm(findings, { code: "head_changed", seq: size - 1, detail }))
            this.#checker = undefined;
          return false;
        }
      }
      for (const row of page.entries) {
        const checked = checker.check(row);
        if (!checked) {
          const detail = `after entry ${checker.verifier.size - 1} comes entry ${row.seq}`;
          findings.push({ code: "missing", seq: checker.verifier.size, detail });
          return true;
        }
        await this.#take(checked, findings);
        if (++sinceBreath % BREATH === 0 && !(await this.#options.breathe())) return false;
      }
    }
    return true;
  }

  async #take({ findings, claims, leafHash, isNext }: CheckedEntry, to: Finding[]): Promise<void> {
    for (const finding of findings)
      if (!(finding.code === "outcome_orphan" && (await this.#isEarlier(claims)))) to.push(finding);
    // Across a gap nothing can be said of the tree.
    if (!isNext) this.#tree = undefined;
    if (this.#tree) this.#pending.push(leafHash);
    if (this.#pending.length > MAX_PENDING) this.#grow(Number.POSITIVE_INFINITY);
    if (claims) this.#options.onEntry?.(claims);
  }

  /** An outcome whose request stands before the place where the follower began is no orphan. */
  async #isEarlier(claims: Entry | undefined): Promise<boolean> {
    if (claims?.type !== "response" || claims.requestSeq >= this.#from) return false;
    const row = await readEntry(this.#options.reader, claims.requestSeq);
    return row?.type === "request" && row.txn === claims.txn;
  }

  async #compare(checkpoints: readonly StoredCheckpoint[], findings: Finding[]): Promise<void> {
    for (const stored of checkpoints) {
      const opened = openStored(stored, this.#options.origin, this.#options.logKeys());
      if ("finding" in opened) findings.push(opened.finding);
      else {
        const { size, root } = opened.checkpoint;
        const entries = this.verified;
        // Not told yet: the same checkpoint is looked at again.
        if (size > entries && !this.#confirm(findings, ahead(size, entries))) return;
        if (size <= entries && this.#tree) {
          const own = await this.#rootAt(size);
          if (own && equalBytes(own, root)) this.#agreesTo = Math.max(this.#agreesTo, size);
          else if (own) {
            findings.push(mismatch(size, this.#agreesTo));
            // Every later checkpoint would differ too, and say nothing new.
            this.#tree = undefined;
          }
        }
      }
      this.#checkpointId = stored.id;
    }
  }

  async #rootAt(size: number): Promise<Uint8Array | undefined> {
    this.#grow(size);
    const tree = this.#tree;
    if (!tree || tree.size === size) return tree?.root();
    // A checkpoint of an earlier size than one before it: from the stored tiles.
    const { store: reader, digest } = this.#options;
    try {
      return await readRoot({ size: tree.size, reader }, size, digest);
    } catch (cause) {
      if (cause instanceof TreeIncompleteError) return undefined;
      throw cause;
    }
  }

  #grow(size: number): void {
    const tree = this.#tree;
    if (!tree) {
      this.#pending = [];
      return;
    }
    const count = Math.min(this.#pending.length, Math.max(0, size - tree.size));
    for (const hash of this.#pending.splice(0, count)) tree.append(hash);
  }

  /** True, and the finding told, when the look before suspected the same. */
  #confirm(findings: Finding[], finding: Finding): boolean {
    const suspicion = `${finding.code} ${finding.seq}`;
    const isConfirmed = this.#suspicion === suspicion;
    this.#suspicion = isConfirmed ? undefined : suspicion;
    if (isConfirmed) findings.push(finding);
    return isConfirmed;
  }
}
