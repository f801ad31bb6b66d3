// The tree of a ledger that is read from its first entry on: held against signed checkpoints as their sizes are
// reached, and against stored tiles as they are completed. It follows key rotations, since a checkpoint is signed by
// the key of the newest entry in its tree. Pure: entries go in, in order; findings accumulate.

import { isStrictPublicKey, type VerifySignature } from "../ed25519.ts";
import { equalBytes, type Sha256 } from "../hash.ts";
import type { PublicKey } from "../key.ts";
import { parseLeaf } from "../leaf.ts";
import { describeForeign, readCheckpoint } from "../note/logPolicy.ts";
import { isKeyName } from "../note/verifierKey.ts";
import type { FilledTile } from "../tree/tile.ts";
import { TileBuilder } from "../tree/tileBuilder.ts";
import { formatTilePath } from "../tree/tilePath.ts";
import { KeyTimeline, readRotation } from "./keyTimeline.ts";

export type TreeFindingCode =
  | "checkpoint_ahead"
  | "checkpoint_mismatch"
  | "checkpoint_untrusted"
  | "tile_mismatch";

export interface TreeFinding {
  /** Where the tree begins to differ, as far as that can be said: the last entry under what was compared. */
  seq?: number;
  code: TreeFindingCode;
  detail: string;
}

/** A checkpoint to compare with: `name` says whose, for people. */
export interface ExpectedCheckpoint {
  name: string;
  /** The signed note. */
  note: string;
  /** What the place it was kept in says besides; must agree with the note. */
  size?: number;
  root?: Uint8Array;
  /** A person brought it: if this ledger did not sign it, that says nothing about the ledger. */
  isGiven?: true;
}

export interface TreeAuditOptions {
  origin: string;
  pinned: readonly PublicKey[];
  verify?: VerifySignature;
  digest?: Sha256;
}

export class TreeAudit {
  readonly findings: TreeFinding[] = [];
  /** Why checkpoints that a person brought could not be compared. */
  readonly notCompared: string[] = [];
  /** Checkpoints that agreed. */
  checkpoints = 0;
  /** Tiles that agreed. */
  tiles = 0;
  readonly #origin: string;
  readonly #timeline: KeyTimeline;
  readonly #builder: TileBuilder;
  readonly #verify: VerifySignature | undefined;

  constructor({ origin, pinned, verify, digest }: TreeAuditOptions) {
    this.#origin = origin;
    this.#timeline = new KeyTimeline(pinned.filter(({ bytes }) => isStrictPublicKey(bytes)));
    this.#builder = new TileBuilder(digest);
    this.#verify = verify;
  }

  /** Entries so far. */
  get size(): number {
    return this.#builder.size;
  }

  root(): Uint8Array {
    return this.#builder.root();
  }

  partialTiles(): FilledTile[] {
    return this.#builder.partialTiles();
  }

  /** The next entry; the tiles that are full now. */
  append(leafHash: Uint8Array): readonly FilledTile[] {
    return this.#builder.append(leafHash);
  }

  /** Tells that a trusted key signed the entry appended last; `isEvent` spares the parsing of all others. */
  followSigned(leaf: string, key: PublicKey, isEvent: boolean): PublicKey | undefined {
    this.#timeline.begin(key);
    const parsed = isEvent ? parseLeaf(leaf) : "not an event";
    const rotation = typeof parsed === "string" ? undefined : readRotation(parsed.claims, parsed.kid);
    return rotation && this.#timeline.follow(rotation) ? rotation.to : undefined;
  }

  /** The size that a note claims; undefined, and a finding, if it cannot be read. */
  readSize(expected: ExpectedCheckpoint): number | undefined {
    const checkpoint = readCheckpoint(expected.note);
    if (typeof checkpoint !== "string" && expected.isGiven && checkpoint.origin !== this.#origin) {
      this.notCompared.push(describeForeign(expected.note, this.#origin, "of another ledger"));
      return undefined;
    }
    if (typeof checkpoint !== "string") return checkpoint.size;
    this.findings.push({ code: "checkpoint_untrusted", detail: `${expected.name}: ${checkpoint}` });
    return undefined;
  }

  /** Compares a checkpoint whose size is the present one. */
  compare(expected: ExpectedCheckpoint): boolean {
    const { name, note } = expected;
    const policy = { origin: this.#origin, threshold: 0, witnesses: [] };
    const signed = isKeyName(this.#origin)
      ? this.#timeline.openCheckpoint(note, this.size, policy, this.#verify)
      : "its ledger's name is none";
    const last = this.size === 0 ? {} : { seq: this.size - 1 };
    if (typeof signed === "string" && expected.isGiven) {
      this.notCompared.push(describeForeign(note, this.#origin, signed));
      return false;
    }
    if (typeof signed === "string") {
      this.findings.push({ ...last, code: "checkpoint_untrusted", detail: `${name}: ${signed}` });
      return false;
    }
    const { size, root } = signed.checkpoint;
    const isStoredAsSigned =
      (expected.size ?? size) === size && (!expected.root || equalBytes(expected.root, root));
    if (size === this.size && isStoredAsSigned && equalBytes(root, this.root())) {
      this.checkpoints++;
      return true;
    }
    const detail = `${name} of ${size} entries: the tree of the entries here is another one`;
    this.findings.push({ ...last, code: "checkpoint_mismatch", detail });
    return false;
  }

  /** A checkpoint whose size was never reached. */
  findAhead(expected: ExpectedCheckpoint, size: number): void {
    this.findings.push({
      seq: this.size,
      code: "checkpoint_ahead",
      detail: `${expected.name} is of ${size} entries, and there are ${this.size}: the newest ones were cut off, or an older state was put back`,
    });
  }

  /** Compares a tile as it is kept with the one that follows from the entries. */
  compareTile({ tile, bytes }: FilledTile, kept: Uint8Array): void {
    if (equalBytes(kept, bytes)) {
      this.tiles++;
      return;
    }
    const span = 256 ** tile.level;
    const at = bytes.findIndex((byte, i) => kept[i] !== byte);
    const first = (tile.index * 256 + Math.floor(Math.max(0, at) / 32)) * span;
    this.findings.push({
      seq: first,
      code: "tile_mismatch",
      detail: `${formatTilePath(tile)} is not the tile of the entries from ${first} on`,
    });
  }
}
