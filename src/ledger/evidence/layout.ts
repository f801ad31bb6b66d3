// What is in an evidence pack and where (docs/FORMAT.md, "Evidence packs"): names of members, their order, how large
// each may be. Places in the ledger are written with 16 digits, so that the order of names is the order of entries and
// `cat entries/*.jws` gives the leaves. A name has one spelling; parsing accepts no other. Pure.

import { MAX_LEAF_BYTES } from "../entry.ts";
import { SALT_BYTES } from "../hash.ts";
import { TLOG_PROOF_EXTENSION } from "../note/tlogProof.ts";

/** The members before all others, in this order; each pack has every one of them. */
export const HEAD_MEMBERS = [
  "README.txt",
  "statement.json",
  "keys.json",
  "checkpoints/first.txt",
  "checkpoints/last.txt",
  "consistency.json",
] as const;

export type HeadMember = (typeof HEAD_MEMBERS)[number];

/**
 * Where a member belongs. `rotation`: a key-rotated entry, leaf or proof. `entries`: leaves, one a line, the first of
 * which is `seq`. `proof`, `attachment`, `salt`: of entry `seq`.
 */
export type MemberPlace =
  | { kind: "head"; name: HeadMember }
  | { kind: "rotation" | "rotationProof" | "entries" | "proof"; seq: number }
  | { kind: "attachment" | "salt"; seq: number; attachment: string };

/** Entries in one member `entries/…`, each of which is followed by their proofs and attachments. */
export const ENTRIES_A_MEMBER = 256;
/** Key rotations in one pack; a ledger has a handful. */
export const MAX_ROTATIONS = 1_000;

const MAX_TEXT_BYTES = 1_000_000;
/** A checkpoint with a hundred signatures has a quarter of that; a group of entries has up to 256 proofs with it. */
const MAX_CHECKPOINT_BYTES = 65_536;
const MAX_PROOF_BYTES = MAX_CHECKPOINT_BYTES + 4_096;
/** A stored body is at most 256 MiB; taking secrets out may make it a little longer. */
const MAX_ATTACHMENT_BYTES = 300 * 1024 * 1024;
const SEQ = /^\d{16}$/;
const ATTACHMENT = /^[a-z][a-z0-9-]{0,31}$/;

/** The one name of a member. */
export function formatMemberName(place: MemberPlace): string {
  if (place.kind === "head") return place.name;
  const seq = String(place.seq).padStart(16, "0");
  switch (place.kind) {
    case "rotation":
      return `rotations/${seq}.jws`;
    case "rotationProof":
      return `rotations/${seq}${TLOG_PROOF_EXTENSION}`;
    case "entries":
      return `entries/${seq}.jws`;
    case "proof":
      return `proofs/${seq}${TLOG_PROOF_EXTENSION}`;
    case "attachment":
      return `attachments/${seq}/${place.attachment}`;
    case "salt":
      return `attachments/${seq}/${place.attachment}.salt`;
  }
}

/** Where a member belongs; undefined for a name that no pack has. */
export function parseMemberName(name: string): MemberPlace | undefined {
  const head = HEAD_MEMBERS.find((one) => one === name);
  if (head !== undefined) return { kind: "head", name: head };
  const [room = "", file = "", attachmentFile, ...rest] = name.split("/");
  if (rest.length > 0) return undefined;
  const place =
    attachmentFile === undefined ? parseFile(room, file) : parseAttachment(room, file, attachmentFile);
  return place && formatMemberName(place) === name ? place : undefined;
}

/** How many bytes a member may have; undefined for a name that no pack has. */
export function limitMember(name: string): number | undefined {
  const place = parseMemberName(name);
  switch (place?.kind) {
    case undefined:
      return undefined;
    case "head":
      return place.name.startsWith("checkpoints/") ? MAX_CHECKPOINT_BYTES : MAX_TEXT_BYTES;
    case "rotation":
      return MAX_LEAF_BYTES;
    case "entries":
      return ENTRIES_A_MEMBER * (MAX_LEAF_BYTES + 1);
    case "rotationProof":
    case "proof":
      return MAX_PROOF_BYTES;
    case "salt":
      return SALT_BYTES;
    case "attachment":
      return MAX_ATTACHMENT_BYTES;
  }
}

/** Whether a pack can hold an attachment of this name. */
export function isAttachmentName(name: string): boolean {
  return ATTACHMENT.test(name);
}

function parseFile(room: string, file: string): MemberPlace | undefined {
  const dot = file.indexOf(".");
  const seq = parseSeq(file.slice(0, dot));
  if (dot < 0 || seq === undefined) return undefined;
  const isProof = file.slice(dot) === TLOG_PROOF_EXTENSION;
  switch (room) {
    case "rotations":
      return { kind: isProof ? "rotationProof" : "rotation", seq };
    case "entries":
      return { kind: "entries", seq };
    case "proofs":
      return { kind: "proof", seq };
    default:
      return undefined;
  }
}

function parseAttachment(room: string, directory: string, file: string): MemberPlace | undefined {
  const seq = parseSeq(directory);
  const isSalt = file.endsWith(".salt");
  const attachment = isSalt ? file.slice(0, -".salt".length) : file;
  if (room !== "attachments" || seq === undefined || !isAttachmentName(attachment)) return undefined;
  return { kind: isSalt ? "salt" : "attachment", seq, attachment };
}

function parseSeq(digits: string): number | undefined {
  const seq = SEQ.test(digits) ? Number(digits) : Number.NaN;
  return Number.isSafeInteger(seq) ? seq : undefined;
}
