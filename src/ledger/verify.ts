// Verification of a ledger, entry by entry, in order. What it proves: every leaf was signed by the pinned key or by a
// key that the pinned key's chain of `key-rotated` entries introduced, stands where it says it stands, and follows
// exactly the leaf before it; attachments are the bytes committed to; every transaction has at most one outcome.
// What it cannot prove alone: that the newest entries were not cut off. Findings are values and all are collected:
// nothing here throws because of what it reads. Pure: rows come in, findings come out.

import { decodeBase64url, encodeBase64url } from "./base64url.ts";
import type { Entry } from "./entry.ts";
import { commitTo, equalBytes, GENESIS_PREV, hashLeaf, type Sha256, sha256 } from "./hash.ts";
import type { PublicKey } from "./key.ts";
import {
  type Base64urlDecoder,
  type Base64urlEncoder,
  type ParsedLeaf,
  parseLeaf,
  type VerifySignature,
  verifySignature,
} from "./leaf.ts";
import { rotatedKey } from "./rotation.ts";

export type FindingCode =
  | "attachment_mismatch"
  | "attachment_missing"
  | "attachment_unknown"
  | "column_mismatch"
  | "key_not_trusted"
  | "ledger_empty"
  | "link_broken"
  | "malformed"
  | "missing"
  | "origin_mismatch"
  | "outcome_duplicate"
  | "outcome_index"
  | "outcome_orphan"
  | "seq_mismatch"
  | "signature_invalid";

/** Something that is not as it must be. `seq` is the place in the ledger where it was found. */
export interface Finding {
  seq: number;
  code: FindingCode;
  detail: string;
}

export interface StoredAttachment {
  name: string;
  salt: Uint8Array;
  content: Uint8Array;
  /** It could not be opened, so salt and content are empty: for want of the key, or, `isDamaged`, in spite of it. */
  sealed?: { isDamaged: boolean; detail: string };
}

/** One stored row. What a source cannot know (an export has no columns) it leaves out. */
export interface StoredEntry {
  seq: number;
  leaf: string;
  leafHash?: Uint8Array;
  type?: string;
  txn?: string | null;
  instance?: string;
  attachments?: readonly StoredAttachment[];
}

export interface VerifierOptions {
  origin?: string;
  /** Keys the verifier trusts from the start; a key that arrives with the evidence proves nothing. */
  pinned: readonly PublicKey[];
  verify?: VerifySignature;
  /**
   * Whether the leaf with this hash is known to be signed by the key that it names, so that `verify` is not asked. For whoever
   * signed it; nobody else can know. Default: nothing is known.
   */
  isSigned?(seq: number, leafHash: Uint8Array): boolean;
  digest?: Sha256;
  /** base64url; default: the portable one. */
  encode?: Base64urlEncoder;
  decode?: Base64urlDecoder;
}

export interface VerifiedHead {
  size: number;
  hash: Uint8Array;
}

/** Missing entries of one gap that are named one by one. */
const MAX_NAMED_GAP = 10_000;

/** Feed rows in ascending seq order; findings accumulate in `findings`. */
export class LedgerVerifier {
  readonly findings: Finding[] = [];
  #next = 0;
  /** Leaf hash of the row before, or undefined when it is unknown (missing, unreadable). */
  #previous: Uint8Array | undefined = GENESIS_PREV;
  #previousBad = false;
  #current: PublicKey | undefined;
  #sealed = 0;
  readonly #origin: string | undefined;
  readonly #pinned: readonly PublicKey[];
  readonly #verify: VerifySignature;
  readonly #isSigned: NonNullable<VerifierOptions["isSigned"]>;
  readonly #digest: Sha256;
  readonly #encode: Base64urlEncoder;
  readonly #decode: Base64urlDecoder;
  /** Open transactions: txn → seq of the request entry. Closed ones are kept as their request's seq only while open. */
  readonly #open = new Map<string, number>();

  constructor(options: VerifierOptions) {
    this.#origin = options.origin;
    this.#pinned = options.pinned;
    this.#verify = options.verify ?? verifySignature;
    this.#isSigned = options.isSigned ?? (() => false);
    this.#digest = options.digest ?? sha256;
    this.#encode = options.encode ?? encodeBase64url;
    this.#decode = options.decode ?? decodeBase64url;
  }

  /** Number of entries seen so far, counted by seq: the next seq expected. */
  get size(): number {
    return this.#next;
  }

  /** Transactions without an outcome so far, by request seq. Not a finding: they may be in flight. */
  get open(): ReadonlyMap<string, number> {
    return this.#open;
  }

  /** Attachments that are there and were not checked: they are sealed, and the source had no key to open them. */
  get sealed(): number {
    return this.#sealed;
  }

  get head(): VerifiedHead {
    return { size: this.#next, hash: this.#previous ?? GENESIS_PREV };
  }

  /** Leaves out what lies before this seq, on purpose: no finding, and the next row's link is not checked. */
  skipTo(seq: number): void {
    this.#next = seq;
    this.#previous = undefined;
    this.#previousBad = true;
  }

  /** Checks one row; returns its claims when a trusted key signed them: nobody may act on others. */
  push(row: StoredEntry): Entry | undefined {
    if (this.#next < row.seq) this.#missUntil(row.seq);
    if (row.seq < this.#next) {
      this.#find(row.seq, "seq_mismatch", "a second row for a seq that was already read");
      return undefined;
    }
    const before = this.findings.length;
    const parsed = parseLeaf(row.leaf, this.#decode);
    const bytes = typeof parsed === "string" ? new TextEncoder().encode(row.leaf) : parsed.bytes;
    const hash = hashLeaf(bytes, this.#digest);
    const claims = this.#checkLeaf(row, parsed, hash);
    this.#previous = hash;
    this.#previousBad = this.findings.length > before;
    this.#next = row.seq + 1;
    return claims;
  }

  /** A gap: each place by name, unless somebody planted a row so far away that the names would have no end. */
  #missUntil(seq: number): void {
    const named = Math.min(seq, this.#next + MAX_NAMED_GAP);
    for (; this.#next < named; this.#next++)
      this.#find(this.#next, "missing", "there is no entry with this seq");
    if (named < seq) this.#find(named, "missing", `there are no entries ${named} to ${seq - 1}`);
    this.skipTo(seq);
  }

  #checkLeaf(row: StoredEntry, parsed: ParsedLeaf | string, hash: Uint8Array): Entry | undefined {
    const { seq } = row;
    if (typeof parsed === "string") {
      this.#find(seq, "malformed", `the leaf is unreadable: ${parsed}`);
      return undefined;
    }
    const { claims } = parsed;
    if (!this.#checkSignature(seq, parsed, hash)) return undefined;
    if (claims.seq !== seq) this.#find(seq, "seq_mismatch", `the leaf says that it is entry ${claims.seq}`);
    if (this.#origin !== undefined && claims.log !== this.#origin) {
      this.#find(seq, "origin_mismatch", "the leaf belongs to another ledger");
    }
    // A bad entry is named once: its successor's link is broken by it, not by itself.
    if (this.#previous && !this.#previousBad && claims.prev !== this.#encode(this.#previous)) {
      this.#find(seq, "link_broken", "prev is not the leaf hash of the entry before");
    }
    this.#checkColumns(row, claims, hash);
    if (row.attachments) this.#checkAttachments(seq, claims, row.attachments);
    this.#followTransaction(seq, claims);
    this.#followRotation(claims);
    return claims;
  }

  #checkSignature(
    seq: number,
    leaf: { kid: string; signingInput: Uint8Array; signature: Uint8Array },
    hash: Uint8Array,
  ): boolean {
    const trusted = this.#current ? [this.#current] : this.#pinned;
    const key = trusted.find((candidate) => candidate.kid === leaf.kid);
    if (!key) {
      this.#find(seq, "key_not_trusted", `signed by key ${leaf.kid}, which is not the trusted key here`);
      return false;
    }
    if (!this.#isSigned(seq, hash) && !this.#verify(key.bytes, leaf.signingInput, leaf.signature)) {
      this.#find(seq, "signature_invalid", "the signature does not match the leaf");
      return false;
    }
    this.#current = key;
    return true;
  }

  /** The table's own columns must say what the signed leaf says, or a query could be lied to. */
  #checkColumns(row: StoredEntry, claims: Entry, hash: Uint8Array): void {
    if (row.leafHash && !equalBytes(row.leafHash, hash)) {
      this.#find(row.seq, "column_mismatch", "column leaf_hash is not the hash of the leaf");
    }
    if (row.type !== undefined && row.type !== claims.type) {
      this.#find(row.seq, "column_mismatch", "column type differs from the leaf");
    }
    const txn = claims.type === "event" ? null : claims.txn;
    if (row.txn !== undefined && row.txn !== txn) {
      this.#find(row.seq, "column_mismatch", "column txn differs from the leaf");
    }
    if (row.instance !== undefined && row.instance !== claims.instance) {
      this.#find(row.seq, "column_mismatch", "column instance differs from the leaf");
    }
  }

  #checkAttachments(seq: number, claims: Entry, stored: readonly StoredAttachment[]): void {
    const byName = new Map(stored.map((attachment) => [attachment.name, attachment]));
    for (const ref of claims.attachments) {
      const attachment = byName.get(ref.name);
      byName.delete(ref.name);
      if (!attachment) {
        this.#find(seq, "attachment_missing", `attachment ${ref.name} is not stored`);
        continue;
      }
      if (attachment.sealed) {
        if (attachment.sealed.isDamaged)
          this.#find(
            seq,
            "attachment_mismatch",
            `attachment ${ref.name} cannot be opened: ${attachment.sealed.detail}`,
          );
        else this.#sealed++;
        continue;
      }
      const expected = this.#decode(ref.commitment);
      const matches =
        attachment.salt.length === 32 &&
        expected !== undefined &&
        equalBytes(expected, commitTo(attachment.salt, attachment.content, this.#digest));
      if (!matches) {
        this.#find(seq, "attachment_mismatch", `attachment ${ref.name} is not what the leaf commits to`);
      }
    }
    for (const name of byName.keys()) {
      this.#find(
        seq,
        "attachment_unknown",
        `attachment ${name} is stored but the leaf does not commit to it`,
      );
    }
  }

  #followTransaction(seq: number, claims: Entry): void {
    if (claims.type === "request") {
      if (this.#open.has(claims.txn)) {
        this.#find(seq, "outcome_duplicate", "a second request entry for one transaction");
      }
      this.#open.set(claims.txn, seq);
    } else if (claims.type === "response") {
      const requestSeq = this.#open.get(claims.txn);
      if (requestSeq === undefined || requestSeq !== claims.requestSeq) {
        this.#find(seq, "outcome_orphan", "an outcome for a transaction that is not open");
      }
      this.#open.delete(claims.txn);
    }
  }

  #followRotation(claims: Entry): void {
    const next = rotatedKey(claims);
    if (next) this.#current = next;
  }

  #find(seq: number, code: FindingCode, detail: string): void {
    this.findings.push({ seq, code, detail });
  }
}
