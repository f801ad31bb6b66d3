// What the audit rooms need of the application: who asks, and for each ledger its entries, its tree, its keys and what is
// known about its anchors. All of it reads; nothing here can write a ledger.

import type { EvidenceSource } from "../ledger/evidence/writeEvidence.ts";
import { type LogKey, makeLogKey } from "../ledger/note/verifierKey.ts";
import type { KeyTrail } from "../ledger/rotation.ts";
import type { EntryReader } from "../storage/reader.ts";
import type { TreeStore } from "../storage/treeStore.ts";

/** Who reads, and what he may see. */
export interface Auditor {
  auditor: string;
  ledgers: "*" | ReadonlySet<string>;
}

/** Reads a ledger's tree and checkpoints. */
export type PublishedTree = Pick<
  TreeStore,
  "readTiles" | "latestCheckpoint" | "checkpointOf" | "checkpointCovering" | "checkpoints"
>;

/** A ledger's keys, named by its origin. */
export interface LedgerKeys {
  /** One of these signs the next entry and checkpoint: exactly one after the first rotation, before it all pinned. */
  readonly current: readonly LogKey[];
  /** These and every key before them, the oldest first. */
  readonly all: readonly LogKey[];
}

/** What is known of checkpoints kept outside the database. */
export interface AnchorStatus {
  /** The tree of this size counts as anchored by the ledger's policy; 0: none does. */
  readonly size: number;
}

/** Who may read a part of the published log. */
export type Audience = "public" | "auditors";

/** One ledger as the audit API sees it. */
export interface AuditLedger {
  readonly origin: string;
  readonly reader: EntryReader;
  readonly tree: PublishedTree;
  /** Finds the entries of a transaction, and makes evidence packs. */
  readonly evidence: EvidenceSource;
  readonly publish: { readonly tiles: Audience; readonly entries: Audience };
  /** As of now: a rotation changes them. */
  keys(): Promise<LedgerKeys>;
  anchored(): AnchorStatus;
}

/** One thing that a check found not to be as it must be. Says nothing personal. */
export interface AuditFinding {
  readonly seq?: number;
  readonly code: string;
  readonly detail: string;
}

/** Everything that the audit API is made of. */
export interface AuditContext {
  /** The auditor behind an Authorization header, or undefined. */
  authenticate(authorization: string | undefined): Auditor | undefined;
  /** Every ledger by its name. */
  readonly ledgers: ReadonlyMap<string, AuditLedger>;
  /** Name and version of the program, for the packs it makes. */
  readonly madeBy: string;
  /** Learns of errors that are not the caller's, for the log. */
  onError?(error: unknown): void;
}

/** A ledger together with its name. */
export interface NamedLedger extends AuditLedger {
  readonly name: string;
}

/** The keys of a ledger from the trail of its rotations. */
export function nameKeys(origin: string, { current, all }: KeyTrail): LedgerKeys {
  const name = (keys: KeyTrail["all"]) => keys.map(({ bytes }) => makeLogKey(origin, bytes));
  return { current: name(current), all: name(all) };
}
