// Which key may sign what, over a ledger's whole life (docs/FORMAT.md, "Keys"): the pinned key until a `key-rotated`
// entry that it signed, then the key which that entry introduces, and so on. A checkpoint is signed by the key of the
// newest entry in its tree. Made from rotations in ascending order. Pure; whether a rotation's leaf is really in the
// ledger, and its signature good, is for the caller to see first.

import type { VerifySignature } from "../ed25519.ts";
import type { Entry } from "../entry.ts";
import type { PublicKey } from "../key.ts";
import { type LogPolicy, openCheckpoint, type SignedCheckpoint } from "../note/logPolicy.ts";
import { type LogKey, makeLogKey } from "../note/verifierKey.ts";
import { rotatedKey } from "../rotation.ts";

/** A rotation: `by` signed entry `seq`, and `to` signs from `seq + 1` on. */
export interface Rotation {
  readonly seq: number;
  readonly by: string;
  readonly to: PublicKey;
}

/** The rotation that an entry is; undefined if it is none or introduces nothing that could be a key. */
export function readRotation(claims: Entry, kid: string): Rotation | undefined {
  const to = rotatedKey(claims);
  return to && { seq: claims.seq, by: kid, to };
}

/** Trusted keys by seq. */
export class KeyTimeline {
  readonly #pinned: readonly PublicKey[];
  /** Ascending: from entry `from` on it is `key`. */
  readonly #eras: { from: number; key: PublicKey }[] = [];

  constructor(pinned: readonly PublicKey[]) {
    this.#pinned = pinned;
  }

  /** The keys of which one may have signed the next rotation: the newest one known, or before any all pinned ones. */
  get candidates(): readonly PublicKey[] {
    const newest = this.#eras.at(-1);
    return newest ? [newest.key] : this.#pinned;
  }

  /**
   * Settles which pinned key is the first one. The first that proves itself is; the others are no longer trusted, since
   * two keys at once would let either be replaced by the other.
   */
  begin(key: PublicKey): void {
    if (this.#eras.length === 0) this.#eras.push({ from: 0, key });
  }

  /**
   * A rotation whose signature by one of `candidates` was verified; or, as long as no key is settled, one by an unknown
   * key that introduces a pinned one: then trust begins there. False if it changes nothing.
   */
  follow(rotation: Rotation): boolean {
    const newest = this.#eras.at(-1);
    const by = this.candidates.find(({ kid }) => kid === rotation.by);
    if (newest && (newest.from > rotation.seq || !by)) return false;
    if (!newest && by) this.#eras.push({ from: 0, key: by });
    if (!by && !this.#pinned.some(({ kid }) => kid === rotation.to.kid)) return false;
    this.#eras.push({ from: rotation.seq + 1, key: rotation.to });
    return true;
  }

  /** The key that must have signed this entry; undefined if none is trusted there. */
  keyAt(seq: number): PublicKey | undefined {
    return this.#eras.findLast(({ from }) => from <= seq)?.key;
  }

  /**
   * Opens the checkpoint of a tree of this size, with the keys of that time; a string says why it is not believed. One
   * key at a time: two keys of one ledger may have the same short id, which their holder could bring about.
   */
  openCheckpoint(
    note: string,
    size: number,
    policy: Omit<LogPolicy, "logKeys">,
    verify?: VerifySignature,
  ): SignedCheckpoint | string {
    let problem = "no key is trusted for a tree of this size";
    for (const key of this.#keysOfCheckpoint(policy.origin, size)) {
      const opened = openCheckpoint(note, { ...policy, logKeys: [key] }, verify);
      if (typeof opened !== "string") return opened;
      problem = opened;
    }
    return problem;
  }

  #keysOfCheckpoint(origin: string, size: number): LogKey[] {
    // A tree that ends with a rotation may be signed by the old key, which knew of it, or by the new one.
    const keys = [this.keyAt(Math.max(0, size - 1)), this.keyAt(size)].flatMap((key) => key ?? []);
    const distinct = new Map((keys.length > 0 ? keys : this.#unsettled()).map((key) => [key.kid, key]));
    return [...distinct.values()].map(({ bytes }) => makeLogKey(origin, bytes));
  }

  #unsettled(): readonly PublicKey[] {
    return this.#eras.length === 0 ? this.#pinned : [];
  }
}
