// The second part of checking an evidence pack: its entries, group by group: leaves, their proofs, their attachments.
// Signatures are checked in batches that may take their time elsewhere (threads, WebCrypto); what depends on a verdict
// is settled in the order of the entries. Memory holds a few groups of at most 256 entries. Pure.

import { decodeBase64url, encodeBase64url } from "../base64url.ts";
import type { AttachmentRef, Entry } from "../entry.ts";
import { commitTo, equalBytes, hashLeaf, SALT_BYTES, type Sha256 } from "../hash.ts";
import { type ParsedLeaf, parseLeaf } from "../leaf.ts";
import { parseTlogProof } from "../note/tlogProof.ts";
import { climb } from "../tree/proof.ts";
import { TreeBuilder } from "../tree/tree.ts";
import { ENTRIES_A_MEMBER, type MemberPlace } from "./layout.ts";
import type { PackFinding, PackFindingCode, PackFindings } from "./packFinding.ts";
import { findProofProblem, type OpenedHead } from "./packHead.ts";
import { TarError } from "./tar.ts";

/** One signature to check. */
export interface SignatureJob {
  readonly publicKey: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

/** Checks signatures; the verdicts in the order of the jobs, each that of `verifySignature`. */
export type VerifyBatch = (jobs: readonly SignatureJob[]) => Promise<readonly boolean[]>;

/** What was found about one entry; given in the order of the entries. */
export interface EntryVerdict {
  readonly seq: number;
  /** What the entry says, if a trusted key signed it. */
  readonly claims: Entry | undefined;
  readonly leafHash: Uint8Array;
  readonly findings: readonly PackFinding[];
}

export interface BodyOptions {
  verifyBatch: VerifyBatch;
  digest: Sha256;
  onEntry: (verdict: EntryVerdict) => void;
}

/** One entry under examination. */
interface Row {
  readonly leaf: Uint8Array;
  readonly hash: Uint8Array;
  readonly parsed: ParsedLeaf | string;
  seq: number;
  hasKey: boolean;
  proof?: Uint8Array;
  isProved: boolean;
  readonly attachments: Set<string>;
  readonly findings: PackFinding[];
}

interface Group {
  readonly rows: Row[];
  readonly proofs: { seq: number; bytes: Uint8Array }[];
  /** The attachment whose salt must come next. */
  held?: { row: Row; name: string; bytes: Uint8Array };
  verdicts?: Promise<readonly boolean[]>;
}

/** Groups whose signatures may be under way at once. */
const MAX_PENDING = 8;

export class PackBody {
  entries = 0;
  proofs = 0;
  attachments = 0;
  firstSeq: number | undefined;
  lastSeq: number | undefined;
  /** `time` of the first and the last entry, as far as a trusted key signed them. */
  readonly period: { from: string | undefined; to: string | undefined } = { from: undefined, to: undefined };
  /** The verifier's earlier checkpoint was found to be, or not to be, a beginning of this tree. */
  isEarlierSettled: boolean;
  readonly #head: OpenedHead;
  readonly #options: BodyOptions;
  readonly #findings: PackFindings;
  #group: Group | undefined;
  readonly #pending: Group[] = [];
  /** Of the entry settled last. */
  #previous: { seq: number; hash: Uint8Array; isBad: boolean } | undefined;
  readonly #open = new Map<string, number>();
  #tree: TreeBuilder | undefined;
  #nextSeq = 0;

  constructor(head: OpenedHead, options: BodyOptions, findings: PackFindings) {
    this.#head = head;
    this.#options = options;
    this.#findings = findings;
    this.isEarlierSettled = head.isEarlierSettled;
  }

  /** @throws {TarError} if the member stands where none of its kind may stand. */
  async add(place: MemberPlace, bytes: Uint8Array): Promise<void> {
    const group = this.#group;
    switch (place.kind) {
      case "entries":
        await this.#closeGroup();
        this.#group = this.#readEntries(place.seq, bytes);
        return;
      case "proof": {
        const last = group?.proofs.at(-1)?.seq ?? this.#nextSeq - 1;
        if (!group || group.verdicts || place.seq <= last || group.proofs.length >= ENTRIES_A_MEMBER)
          throw new TarError(`the proof of entry ${place.seq} is out of order`);
        group.proofs.push({ seq: place.seq, bytes });
        return;
      }
      case "attachment":
      case "salt":
        if (!group) throw new TarError("an attachment stands before any entry");
        this.#assignOnce(group);
        this.#addAttachment(group, place, bytes);
        return;
      default:
        throw new TarError("a member of the pack's beginning stands among the entries");
    }
  }

  /** Settles all that was added. */
  async end(): Promise<void> {
    try {
      await this.#closeGroup();
    } finally {
      while (this.#pending.length > 0) await this.#settleNext();
    }
  }

  #readEntries(first: number, bytes: Uint8Array): Group {
    const rows: Row[] = [];
    for (let at = 0; at < bytes.length; ) {
      const end = bytes.indexOf(0x0a, at);
      if (end < 0 || rows.length === ENTRIES_A_MEMBER)
        throw new TarError(`the entries from ${first} on are not 1 to ${ENTRIES_A_MEMBER} whole lines`);
      const leaf = bytes.subarray(at, end);
      rows.push({
        leaf,
        hash: hashLeaf(leaf, this.#options.digest),
        parsed: parseLeaf(new TextDecoder().decode(leaf)),
        seq: first,
        hasKey: false,
        isProved: false,
        attachments: new Set(),
        findings: [],
      });
      at = end + 1;
    }
    if (rows.length === 0 || first < this.#nextSeq)
      throw new TarError(`the entries from ${first} on are none, or out of order`);
    this.#nextSeq = first;
    return { rows, proofs: [] };
  }

  /** Gives each row its place and its proof, and sends the signatures off. */
  #assignOnce(group: Group): void {
    if (group.verdicts) return;
    const { rows, proofs } = group;
    const isPaired = rows.length === proofs.length;
    for (const [i, row] of rows.entries()) {
      // As many proofs as leaves: then the n-th proof says where the n-th leaf stands, whatever a forged leaf says.
      const claimed = typeof row.parsed === "string" ? this.#nextSeq : row.parsed.claims.seq;
      row.seq = (isPaired ? proofs[i]?.seq : undefined) ?? Math.max(claimed, this.#nextSeq);
      const proof = proofs.find(({ seq }) => seq === row.seq)?.bytes;
      if (proof) row.proof = proof;
      this.#nextSeq = row.seq + 1;
    }
    const jobs = rows.flatMap((row) => this.#checkRow(row) ?? []);
    const verdicts = this.#options.verifyBatch(jobs);
    // It is awaited later; a rejection until then must not count as one that nobody handles.
    verdicts.catch(() => {});
    group.verdicts = verdicts;
    if (!isPaired)
      this.#findings.add("pack_malformed", `${rows.length} entries and ${proofs.length} proofs in one group`);
  }

  #checkRow(row: Row): SignatureJob | undefined {
    const { seq, parsed, hash, proof } = row;
    const { origin, last, lastNote, timeline } = this.#head;
    const { digest } = this.#options;
    if (!proof) this.#find(row, "proof_missing", "there is no proof that the entry is in the tree");
    const problem = proof && last && findProofProblem(proof, { seq, hash, last, lastNote, digest });
    if (problem !== undefined) this.#find(row, "proof_invalid", problem);
    row.isProved = proof !== undefined && last !== undefined && problem === undefined;
    if (typeof parsed === "string") {
      this.#find(row, "malformed", `the leaf is unreadable: ${parsed}`);
      return undefined;
    }
    const key = timeline.keyAt(seq);
    if (key?.kid !== parsed.kid) {
      this.#find(row, "key_not_trusted", `signed by key ${parsed.kid}, which is not the trusted key here`);
      return undefined;
    }
    row.hasKey = true;
    const { claims, signingInput, signature } = parsed;
    if (claims.seq !== seq) this.#find(row, "seq_mismatch", `the leaf says that it is entry ${claims.seq}`);
    if (claims.log !== origin) this.#find(row, "origin_mismatch", "the leaf belongs to another ledger");
    return { publicKey: key.bytes, message: signingInput, signature };
  }

  #addAttachment(
    group: Group,
    place: { kind: string; seq: number; attachment: string },
    bytes: Uint8Array,
  ): void {
    const { seq, attachment: name } = place;
    if (place.kind === "attachment") {
      const row = group.rows.find((one) => one.seq === seq);
      if (!row || group.held || row.attachments.has(name))
        throw new TarError(`attachment ${name} of entry ${seq} is out of order`);
      row.attachments.add(name);
      group.held = { row, name, bytes };
      return;
    }
    const { held } = group;
    if (!held || held.row.seq !== seq || held.name !== name)
      throw new TarError(`the salt of attachment ${name} of entry ${seq} is out of order`);
    delete group.held;
    this.attachments++;
    const ref = refsOf(held.row).find((one) => one.name === name);
    if (!ref) {
      this.#find(
        held.row,
        "attachment_unknown",
        `attachment ${name} is in the pack but the leaf does not commit to it`,
      );
    } else if (!isCommitted(ref, bytes, held.bytes, this.#options.digest)) {
      this.#find(held.row, "attachment_mismatch", `attachment ${name} is not what the leaf commits to`);
    }
  }

  async #closeGroup(): Promise<void> {
    const group = this.#group;
    if (!group) return;
    this.#group = undefined;
    this.#assignOnce(group);
    this.#pending.push(group);
    if (group.held) throw new TarError(`the salt of attachment ${group.held.name} is missing`);
    while (this.#pending.length >= MAX_PENDING) await this.#settleNext();
  }

  async #settleNext(): Promise<void> {
    const group = this.#pending.shift();
    const verdicts = (await group?.verdicts) ?? [];
    let at = 0;
    for (const row of group?.rows ?? []) this.#settle(row, row.hasKey ? verdicts[at++] === true : false);
  }

  #settle(row: Row, isSigned: boolean): void {
    const { seq, parsed, hash } = row;
    const claims = isSigned && typeof parsed !== "string" ? parsed.claims : undefined;
    if (row.hasKey && !isSigned)
      this.#find(row, "signature_invalid", "the signature does not match the leaf");
    const isGapFree = this.#head.statement?.gapFree === true;
    const previous = this.#previous;
    if (isGapFree && previous && seq > previous.seq + 1)
      this.#find(row, "missing", `entries ${previous.seq + 1} to ${seq - 1} are not in the pack`);
    if (
      claims &&
      previous?.seq === seq - 1 &&
      !previous.isBad &&
      claims.prev !== encodeBase64url(previous.hash)
    )
      this.#find(row, "link_broken", "prev is not the leaf hash of the entry before");
    if (claims && this.#head.statement?.attachments === "included") {
      for (const { name } of refsOf(row))
        if (!row.attachments.has(name))
          this.#find(row, "attachment_missing", `attachment ${name} is not in the pack`);
    }
    if (claims && isGapFree) this.#followTransaction(row, claims);
    if (claims) this.#checkQuery(row, claims);
    this.#growTree(row, isGapFree);
    this.entries++;
    if (row.isProved) this.proofs++;
    this.firstSeq ??= seq;
    this.lastSeq = seq;
    if (this.entries === 1) this.period.from = claims?.time;
    this.period.to = claims?.time;
    this.#previous = { seq, hash, isBad: row.findings.length > 0 };
    this.#options.onEntry({ seq, claims, leafHash: hash, findings: row.findings });
  }

  /** As LedgerVerifier does, except that a transaction may have begun before the pack does. */
  #followTransaction(row: Row, claims: Entry): void {
    if (claims.type === "request") {
      if (this.#open.has(claims.txn))
        this.#find(row, "outcome_duplicate", "a second request entry for one transaction");
      this.#open.set(claims.txn, row.seq);
    } else if (claims.type === "response") {
      const requestSeq = this.#open.get(claims.txn);
      const isBefore = claims.requestSeq < (this.firstSeq ?? row.seq);
      if (requestSeq === undefined ? !isBefore : requestSeq !== claims.requestSeq)
        this.#find(row, "outcome_orphan", "an outcome for a transaction that is not open");
      this.#open.delete(claims.txn);
    }
  }

  #checkQuery(row: Row, claims: Entry): void {
    const query = this.#head.statement?.query;
    if (query?.kind === "transaction" && (claims.type === "event" || claims.txn !== query.txn))
      this.#find(row, "statement_mismatch", "the entry is not of the transaction that the statement names");
  }

  /** A gap-free pack holds its own tree: the left side comes with the first proof, the rest are the leaves. */
  #growTree(row: Row, isGapFree: boolean): void {
    const { earlier, last } = this.#head;
    if (this.isEarlierSettled || !earlier || !last || !isGapFree) return;
    if (!this.#previous) {
      const proof = row.isProved && row.proof ? parseTlogProof(row.proof) : undefined;
      if (typeof proof !== "object") return;
      const steps = [...climb(0, row.seq, last.size)];
      const left = proof.hashes.filter((_, i) => steps[i]?.side === "left");
      this.#tree = TreeBuilder.restore(row.seq, left.reverse(), this.#options.digest);
      this.#compareEarlier();
    }
    if (this.#tree?.size !== row.seq) return;
    this.#tree.append(row.hash);
    this.#compareEarlier();
  }

  #compareEarlier(): void {
    const { earlier } = this.#head;
    if (!earlier || this.#tree?.size !== earlier.size) return;
    this.isEarlierSettled = true;
    if (equalBytes(this.#tree.root(), earlier.root)) return;
    this.#findings.add(
      "earlier_mismatch",
      `the first ${earlier.size} entries are not those of the tree that your checkpoint signs`,
    );
  }

  #find(row: Row, code: PackFindingCode, detail: string): void {
    row.findings.push(this.#findings.addAt(row.seq, code, detail));
  }
}

function refsOf(row: Row): readonly AttachmentRef[] {
  return typeof row.parsed === "string" ? [] : row.parsed.claims.attachments;
}

function isCommitted(ref: AttachmentRef, salt: Uint8Array, bytes: Uint8Array, digest: Sha256): boolean {
  const expected = decodeBase64url(ref.commitment);
  return (
    salt.length === SALT_BYTES &&
    expected !== undefined &&
    equalBytes(expected, commitTo(salt, bytes, digest))
  );
}
