// Where sealing and storing meet: what the store hands over to be sealed, what it must keep beside it, and how sealed
// attachments are opened again. Types only; src/keys/attachmentSeal.ts and attachmentOpen.ts are the implementations,
// docs/FORMAT.md ("Sealed at rest") says what the bytes are.

import type { Attachment, NamedSize } from "./sealedAttachment.ts";

/** Whom bytes are about, within the connector of the entry. */
export interface SealSubject {
  resourceType?: string;
  /** As the target spells it; absent while nobody knows it (a create before its answer). */
  resourceId?: string;
  /** In a Bulk: the operation that makes the resource which this one is about. */
  sameAs?: number;
}

/** A stretch of an attachment's bytes that is about one operation of a Bulk; `end` is exclusive. */
export interface SealSpan {
  start: number;
  end: number;
  operation: number;
}

/** A block of data keys as the ledger keeps it: some that were made together, wrapped as one. */
export interface KeyBlockRow {
  readonly id: Uint8Array;
  readonly wrapped: Uint8Array;
  /** The ledger has it, provably. Set by whoever proved the commit. */
  isStored: boolean;
}

/** Which account a data key is for. */
export interface AccountKeyRow {
  /** Keyed digest of connector, resource type and id. */
  readonly account: Uint8Array;
  /** Where the key stands: its block's id and its slot. */
  readonly key: Uint8Array;
  isStored: boolean;
}

/** One entry's attachments, to be sealed together. */
export interface SealingTask {
  entryId: string;
  /** `request` begins a transaction, whose keys its `response` uses too. */
  type: "request" | "response" | "refusal" | "event";
  txn?: string;
  connector?: string;
  subject?: SealSubject;
  /** A Bulk's, by index. */
  operations?: readonly (SealSubject | undefined)[];
  /** In the leaf's order. */
  attachments: readonly {
    name: string;
    salt: Uint8Array;
    content: Uint8Array;
    spans?: readonly SealSpan[];
  }[];
}

export interface SealedEntry {
  /** All attachments together; absent if there are none. */
  content?: Uint8Array;
  /** What the ledger must hold together with the entry; rows that it may have already are marked. */
  blocks: readonly KeyBlockRow[];
  accounts: readonly AccountKeyRow[];
}

export interface AttachmentSealer {
  seal(task: SealingTask): SealedEntry;
  /** The transaction has its outcome in the ledger: its keys are let go of. */
  closed(txn: string): void;
  /**
   * The data key that everybody knows, and that seals nothing, wrapped. Its id is the same everywhere, so that a ledger
   * has one such row: by it the first instance says which sealing key is the ledger's.
   */
  mark(): { id: Uint8Array; wrapped: Uint8Array };
  /** Throws if these data keys of the ledger cannot be unwrapped: then it was sealed with another key file. */
  assertOpens(row: { id: Uint8Array; wrapped: Uint8Array }): void;
}

/** Opens sealed attachments of one ledger. */
export interface AttachmentOpener {
  /** Begins to open these; what is in `missing` must be given to `add` before. */
  begin(contents: readonly Uint8Array[]): Opening;
}

/** Some attachments about to be opened. */
export interface Opening {
  /** Ids of rows of data keys that the ledger has to be asked for. */
  readonly missing: readonly Uint8Array[];
  add(row: { id: Uint8Array; wrapped: Uint8Array }): void;
  /** The attachments of an entry that are sealed together, as its leaf names them; or why there are none. */
  openAll(entryId: string, named: readonly NamedSize[], content: Uint8Array): Attachment[] | string;
  /** One that is sealed by itself, as version 1 did. */
  openOne(entryId: string, name: string, content: Uint8Array): Attachment | string;
}
