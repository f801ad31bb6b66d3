// The first part of checking an evidence pack: its statement, checkpoints, consistency proofs and key rotations, from
// which the keys and the tree follow that every entry is held against. Keys are the verifier's own; from the pack come
// only rotations, and each must be signed by the key before it and be in the tree. Pure.

import { decodeBase64 } from "../base64.ts";
import { isStrictPublicKey, type VerifySignature, verifySignature } from "../ed25519.ts";
import { equalBytes, HASH_BYTES, hashLeaf, type Sha256, sha256 } from "../hash.ts";
import type { PublicKey } from "../key.ts";
import { parseLeaf } from "../leaf.ts";
import type { Checkpoint } from "../note/checkpoint.ts";
import {
  describeForeign,
  readCheckpoint,
  type SignedCheckpoint,
  type WitnessPolicy,
} from "../note/logPolicy.ts";
import { parseTlogProof } from "../note/tlogProof.ts";
import { isKeyName } from "../note/verifierKey.ts";
import { checkConsistency, checkInclusion, type Proof } from "../tree/proof.ts";
import { KeyTimeline, readRotation } from "./keyTimeline.ts";
import { HEAD_MEMBERS, type HeadMember, MAX_ROTATIONS, type MemberPlace } from "./layout.ts";
import type { PackFindings } from "./packFinding.ts";
import { type ConsistencyProof, parseConsistency, parseStatement, type Statement } from "./statement.ts";
import { TarError } from "./tar.ts";

export interface HeadOptions {
  /** The only keys that are believed. */
  pinned: readonly PublicKey[];
  /** The ledger the pack should be of; without it, the one whose checkpoints the pinned key signed. */
  origin?: string;
  /** A signed checkpoint the verifier got earlier or elsewhere: the pack's tree must be its continuation. */
  earlier?: string;
  /** Witnesses that the verifier believes, and how many must have cosigned the last checkpoint. */
  witnesses?: WitnessPolicy;
  verify?: VerifySignature;
  digest?: Sha256;
}

/** What entries are held against. */
export interface OpenedHead {
  readonly origin: string;
  readonly timeline: KeyTimeline;
  readonly statement: Statement | undefined;
  /** Of the pack's last checkpoint; undefined if it cannot even be read. */
  readonly last: Checkpoint | undefined;
  readonly first: Checkpoint | undefined;
  /** The exact text that every proof must carry. */
  readonly lastNote: string;
  /** Present if its signature is good: then `last` is not just claimed. */
  readonly lastSigned: SignedCheckpoint | undefined;
  /** The verifier's own checkpoint as long as nothing has shown yet whether it is a beginning of the last tree. */
  readonly earlier: Checkpoint | undefined;
  readonly isEarlierSettled: boolean;
  readonly rotations: number;
}

const NO_WITNESSES: WitnessPolicy = { threshold: 0, witnesses: [] };

/** Takes the members in order, then opens them. */
export class PackHead {
  readonly #options: HeadOptions;
  /** Those that can be believed at all. */
  readonly #pinned: readonly PublicKey[];
  readonly #findings: PackFindings;
  readonly #members = new Map<HeadMember, string>();
  readonly #rotations: { seq: number; leaf: string; proof?: Uint8Array }[] = [];

  constructor(options: HeadOptions, findings: PackFindings) {
    this.#options = options;
    this.#pinned = options.pinned.filter(({ bytes }) => isStrictPublicKey(bytes));
    this.#findings = findings;
  }

  /** @throws {TarError} if the member stands where none of its kind may stand. */
  add(place: MemberPlace, bytes: Uint8Array): void {
    const text = new TextDecoder().decode(bytes);
    const expected = HEAD_MEMBERS[this.#members.size];
    if (place.kind === "head") {
      if (place.name !== expected)
        throw new TarError(`${place.name} stands where ${expected ?? "an entry"} belongs`);
      this.#members.set(place.name, text);
      return;
    }
    if (expected !== undefined) throw new TarError(`${expected} is missing`);
    const last = this.#rotations.at(-1);
    if (place.kind === "rotation" && this.#rotations.length < MAX_ROTATIONS) {
      if (last && (last.seq >= place.seq || !last.proof)) throw new TarError("rotations are out of order");
      this.#rotations.push({ seq: place.seq, leaf: text });
    } else if (place.kind === "rotationProof" && last && last.seq === place.seq && !last.proof) {
      last.proof = bytes;
    } else {
      throw new TarError(`the members of rotation ${"seq" in place ? place.seq : ""} are out of order`);
    }
  }

  /** Checks what was added. @throws {TarError} if members are missing. */
  open(): OpenedHead {
    const missing = HEAD_MEMBERS[this.#members.size];
    if (missing !== undefined) throw new TarError(`${missing} is missing`);
    const findings = this.#findings;
    const statement = this.#read("statement.json", parseStatement);
    const lastNote = this.#members.get("checkpoints/last.txt") ?? "";
    const lastRead = this.#read("checkpoints/last.txt", readCheckpoint);
    const origin = this.#options.origin ?? lastRead?.origin ?? "";
    if (!isKeyName(origin)) findings.add("origin_mismatch", "the pack's origin cannot be a ledger's name");
    const timeline = this.#followRotations(origin);
    const lastSigned = this.#openCheckpoint("checkpoints/last.txt", origin, timeline);
    const [signer] = lastSigned?.signedBy ?? [];
    const settled = this.#pinned.find((key) => signer && equalBytes(key.bytes, signer.publicKey));
    const [only, another] = this.#pinned;
    // A checkpoint that cannot be read must not make every entry look forged.
    const beginner = settled ?? (another ? undefined : only);
    if (beginner) timeline.begin(beginner);
    const first = this.#openCheckpoint("checkpoints/first.txt", origin, timeline)?.checkpoint;
    const last = lastSigned?.checkpoint ?? lastRead;
    this.#checkWitnesses(lastSigned);
    this.#proveRotations(last, lastNote);
    const proofs = this.#read("consistency.json", parseConsistency) ?? [];
    if (first && last) this.#checkConsistency(first, last, proofs);
    if (statement && statement.origin !== origin)
      findings.add("statement_mismatch", "the statement names another ledger than the checkpoints");
    const sizes = statement?.checkpoints;
    if (sizes && ((first && sizes.first !== first.size) || (last && sizes.last !== last.size)))
      findings.add("statement_mismatch", "the statement names other tree sizes than the checkpoints");
    const earlier = this.#openEarlier(origin, timeline, last);
    const isEarlierSettled = !earlier || (last !== undefined && this.#compareEarlier(earlier, last, proofs));
    const rotations = this.#rotations.length;
    return {
      origin,
      timeline,
      statement,
      last,
      first,
      lastNote,
      lastSigned,
      earlier,
      isEarlierSettled,
      rotations,
    };
  }

  #read<T extends object>(name: HeadMember, parse: (text: string) => T | string): T | undefined {
    const read = parse(this.#members.get(name) ?? "");
    if (typeof read !== "string") return read;
    this.#findings.add("pack_malformed", `${name}: ${read}`);
    return undefined;
  }

  #followRotations(origin: string): KeyTimeline {
    const timeline = new KeyTimeline(this.#pinned);
    const verify = this.#options.verify ?? verifySignature;
    for (const { seq, leaf } of this.#rotations) {
      const parsed = parseLeaf(leaf);
      const rotation = typeof parsed === "string" ? undefined : readRotation(parsed.claims, parsed.kid);
      if (typeof parsed === "string" || !rotation) {
        this.#findings.addAt(seq, "malformed", "the member under rotations/ is no key rotation");
        continue;
      }
      if (parsed.claims.seq !== seq || parsed.claims.log !== origin) {
        this.#findings.addAt(seq, "seq_mismatch", "the rotation belongs to another place or ledger");
        continue;
      }
      const key = timeline.candidates.find(({ kid }) => kid === parsed.kid);
      if (key && !verify(key.bytes, parsed.signingInput, parsed.signature))
        this.#findings.addAt(seq, "signature_invalid", "the signature does not match the rotation");
      else if (!timeline.follow(rotation) && timeline.keyAt(seq))
        this.#findings.addAt(
          seq,
          "key_not_trusted",
          `the rotation is signed by key ${parsed.kid}, not the one of then`,
        );
    }
    return timeline;
  }

  #openCheckpoint(
    name: "checkpoints/first.txt" | "checkpoints/last.txt",
    origin: string,
    timeline: KeyTimeline,
  ): SignedCheckpoint | undefined {
    const opened = this.#openNote(this.#members.get(name) ?? "", origin, timeline);
    if (typeof opened !== "string") return opened;
    this.#findings.add("checkpoint_untrusted", `${name}: ${opened}`);
    return undefined;
  }

  #openNote(note: string, origin: string, timeline: KeyTimeline): SignedCheckpoint | string {
    const claimed = readCheckpoint(note);
    if (typeof claimed === "string") return claimed;
    if (!isKeyName(origin)) return "it names no ledger";
    const { witnesses = NO_WITNESSES, verify } = this.#options;
    return timeline.openCheckpoint(note, claimed.size, { origin, ...witnesses }, verify);
  }

  #checkWitnesses(signed: SignedCheckpoint | undefined): void {
    if (!signed || signed.isWitnessed) return;
    const { threshold = 0 } = this.#options.witnesses ?? {};
    this.#findings.add(
      "not_witnessed",
      `${signed.cosignatures.length} of your witnesses cosigned the last checkpoint, and you ask for ${threshold}`,
    );
  }

  #proveRotations(last: Checkpoint | undefined, lastNote: string): void {
    for (const { seq, leaf, proof } of this.#rotations) {
      const hash = hashLeaf(new TextEncoder().encode(leaf), this.#options.digest);
      const problem = last
        ? findProofProblem(proof, { seq, hash, last, lastNote, digest: this.#options.digest })
        : "the last checkpoint cannot be read";
      if (problem !== undefined) this.#findings.addAt(seq, "proof_invalid", problem);
    }
  }

  #checkConsistency(first: Checkpoint, last: Checkpoint, proofs: readonly ConsistencyProof[]): void {
    if (provesPrefix(first, last, proofs, this.#options.digest)) return;
    this.#findings.add(
      "consistency_invalid",
      `consistency.json does not show that the first checkpoint's tree of ${first.size} is the beginning of the last one's of ${last.size}`,
    );
  }

  #openEarlier(origin: string, timeline: KeyTimeline, last: Checkpoint | undefined): Checkpoint | undefined {
    const { earlier } = this.#options;
    if (earlier === undefined) return undefined;
    const opened = this.#openNote(earlier, origin, timeline);
    if (typeof opened !== "string") return opened.checkpoint;
    const claimed = readCheckpoint(earlier);
    // Of a later tree, and perhaps signed by a key that came after this pack's: neither can be judged by what is here.
    if (last && typeof claimed !== "string" && claimed.origin === origin && claimed.size > last.size)
      return claimed;
    // Then it says nothing about this pack, good or bad.
    this.#findings.add("earlier_not_compared", describeForeign(earlier, origin, opened));
    return undefined;
  }

  /** True if it is settled, for good or for bad. Otherwise the entries may still tell. */
  #compareEarlier(earlier: Checkpoint, last: Checkpoint, proofs: readonly ConsistencyProof[]): boolean {
    const { size } = earlier;
    if (size > last.size) {
      this.#findings.add(
        "earlier_not_compared",
        `your checkpoint is of ${size} entries, and the pack's tree has ${last.size}: ask for a pack of a later tree. If the ledger has none, its newest entries were cut off`,
      );
      return true;
    }
    if (size !== last.size && !proofs.some((proof) => proof.oldSize === size)) return false;
    if (provesPrefix(earlier, last, proofs, this.#options.digest)) return true;
    this.#findings.add(
      "earlier_mismatch",
      `the pack's tree is not a continuation of the tree of ${size} entries that your checkpoint signs`,
    );
    return true;
  }
}

/** What is wrong with an entry's proof file; undefined if it proves that the entry is in the last checkpoint's tree. */
export function findProofProblem(
  file: Uint8Array | undefined,
  entry: { seq: number; hash: Uint8Array; last: Checkpoint; lastNote: string; digest: Sha256 | undefined },
): string | undefined {
  const { seq, hash, last, lastNote, digest = sha256 } = entry;
  const usual = file && readUsualProof(file, seq, lastNote);
  if (usual && checkInclusion(usual, seq, last.size, hash, last.root, digest)) return undefined;
  const proof = file ? parseTlogProof(file) : "it is missing";
  if (typeof proof === "string") return `the proof cannot be read: ${proof}`;
  if (proof.index !== seq) return `the proof is that of entry ${proof.index}`;
  // Verbatim, so the one verification of the last checkpoint's signatures serves for all proofs.
  if (proof.checkpoint !== lastNote) return "the proof carries another checkpoint than checkpoints/last.txt";
  if (checkInclusion(proof.hashes, seq, last.size, hash, last.root, digest)) return undefined;
  return `the entry is not entry ${seq} of the tree of ${last.size} that the last checkpoint signs`;
}

/**
 * The hashes of a proof file that is spelled as each of a pack is: this index, no extra data, this checkpoint. Exactly
 * what `parseTlogProof` takes of such a file, without reading the same checkpoint again for every entry.
 */
function readUsualProof(file: Uint8Array, seq: number, lastNote: string): Proof | undefined {
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(file);
  const start = `c2sp.org/tlog-proof@v1\nindex ${seq}\n`;
  const end = `\n${lastNote}`;
  if (!text.startsWith(start) || !text.endsWith(end) || text.length < start.length + end.length)
    return undefined;
  const lines = text.slice(start.length, text.length - end.length);
  if (lines === "") return [];
  if (!lines.endsWith("\n")) return undefined;
  const hashes = lines.slice(0, -1).split("\n").map(decodeBase64);
  const whole = hashes.flatMap((hash) => (hash?.length === HASH_BYTES ? [hash] : []));
  return whole.length === hashes.length ? whole : undefined;
}

function provesPrefix(
  old: Checkpoint,
  last: Checkpoint,
  proofs: readonly ConsistencyProof[],
  digest: Sha256 = sha256,
): boolean {
  const isWanted = (proof: ConsistencyProof): boolean =>
    proof.oldSize === old.size && proof.newSize === last.size;
  const hashes = old.size === last.size ? [] : proofs.find(isWanted)?.hashes;
  return hashes !== undefined && checkConsistency(hashes, old.size, last.size, old.root, last.root, digest);
}
