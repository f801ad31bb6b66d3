// Whom a verifier believes about a log: the pinned keys of the log itself, and the witnesses of which at least so many
// must have cosigned before a checkpoint counts as witnessed. A policy is the verifier's own; one that arrives with
// the evidence proves nothing. Opening a checkpoint needs the log's signature always; whether witnesses are enough is
// answered apart, since "signed" and "witnessed" are different statements. Pure.

import type { VerifySignature } from "../ed25519.ts";
import { equalBytes } from "../hash.ts";
import { type Checkpoint, parseCheckpoint } from "./checkpoint.ts";
import { type NoteSignature, openNote, parseNote, type VerifiedSignature } from "./note.ts";
import { type LogKey, parseVerifierKey, type VerifierKey, type WitnessKey } from "./verifierKey.ts";

/** At least `threshold` of these distinct witnesses. 0 asks for none. */
export interface WitnessPolicy {
  readonly threshold: number;
  readonly witnesses: readonly WitnessKey[];
}

/** A log, by the first line of its checkpoints, the keys that may sign them, and its witnesses. */
export interface LogPolicy extends WitnessPolicy {
  readonly origin: string;
  readonly logKeys: readonly LogKey[];
}

/** A checkpoint that the log signed. */
export interface SignedCheckpoint {
  readonly checkpoint: Checkpoint;
  /** The exact signed text. */
  readonly text: string;
  readonly signedBy: readonly LogKey[];
  /** One for each of the policy's witnesses that cosigned; the time is in POSIX seconds, by the witness's clock. */
  readonly cosignatures: readonly { readonly key: WitnessKey; readonly time: number }[];
  /** Whether there are as many cosignatures as the policy asks for. */
  readonly isWitnessed: boolean;
  /** Signatures of keys outside the policy: they prove nothing. */
  readonly unverified: readonly NoteSignature[];
}

/** Makes a policy from vkeys as text; a string names what is wrong with it. */
export function parseLogPolicy(policy: {
  origin: string;
  logKeys: readonly string[];
  threshold?: number;
  witnesses?: readonly string[];
}): LogPolicy | string {
  const { origin, threshold = 0, witnesses = [] } = policy;
  const logKeys: LogKey[] = [];
  for (const [i, text] of policy.logKeys.entries()) {
    const key = parseVerifierKey(text);
    if (typeof key === "string") return `key ${i + 1} of the log is no verifier key: ${key}`;
    if (key.type !== "log") return `key ${i + 1} of the log is a witness's`;
    logKeys.push(key);
  }
  if (logKeys.length === 0) return "no key of the log is given, and without one nothing can be believed";
  const witnessing = parseWitnessPolicy({ threshold, witnesses });
  if (typeof witnessing === "string") return witnessing;
  // A log that cosigns its own checkpoints is not a second pair of eyes.
  const own = witnessing.witnesses.find((witness) => logKeys.some((key) => isSameKey(key, witness)));
  if (own) return `witness ${own.name} has a key of the log itself`;
  return { origin, logKeys, ...witnessing };
}

/** Makes a witness policy from vkeys as text; a string names what is wrong with it. */
export function parseWitnessPolicy(policy: {
  threshold: number;
  witnesses: readonly string[];
}): WitnessPolicy | string {
  const witnesses: WitnessKey[] = [];
  for (const [i, text] of policy.witnesses.entries()) {
    const key = parseVerifierKey(text);
    if (typeof key === "string") return `witness ${i + 1} is no verifier key: ${key}`;
    if (key.type !== "witness") return `witness ${i + 1} is the key of a log, not of a witness`;
    // One key under two names would count twice.
    if (witnesses.some((other) => isSameKey(other, key))) return `witness ${i + 1} has the key of another`;
    witnesses.push(key);
  }
  const { threshold } = policy;
  if (!Number.isSafeInteger(threshold) || threshold < 0 || threshold > witnesses.length)
    return `the threshold ${threshold} is not a whole number from 0 to ${witnesses.length}, the number of witnesses`;
  return { threshold, witnesses };
}

/**
 * Opens a signed checkpoint of the policy's log; a string says why it is not to be believed: unreadable, of another
 * log, not signed by a key of the log, or with a wrong signature by the log or a witness of the policy.
 */
export function openCheckpoint(
  note: string | Uint8Array,
  policy: LogPolicy,
  verify?: VerifySignature,
): SignedCheckpoint | string {
  const opened = openNote(note, [...policy.logKeys, ...policy.witnesses], verify);
  if (typeof opened === "string") return opened;
  const { text, verified, unverified } = opened;
  const checkpoint = parseCheckpoint(text);
  if (typeof checkpoint === "string") return checkpoint;
  if (checkpoint.origin !== policy.origin) return "the checkpoint is of another log";
  const signedBy = verified.flatMap(({ key }) => (key.type === "log" ? [key] : []));
  if (signedBy.length === 0) return "the checkpoint is not signed by the log";
  const cosignatures = selectCosignatures(verified, policy);
  const isWitnessed = cosignatures.length >= policy.threshold;
  return { checkpoint, text, signedBy, cosignatures, isWitnessed, unverified };
}

/** What a person should give where a checkpoint is asked for. */
export const WHOLE_NOTE =
  "the whole signed note, as /ledgers/NAME/checkpoint, an anchor's file or checkpoints/last.txt of an earlier pack has it: the ledger's name, a number, a root, an empty line, and the line that begins with a dash";

/** The checkpoint that a note claims; a string says why it is none. Nothing is verified. */
export function readCheckpoint(note: string): Checkpoint | string {
  const read = parseNote(note);
  return typeof read === "string" ? read : parseCheckpoint(read.text);
}

/** Why a checkpoint that a person gave says nothing about this ledger, and what to do. `problem`: of `openCheckpoint`. */
export function describeForeign(note: string, origin: string, problem: string): string {
  const read = readCheckpoint(note);
  if (typeof read === "string") return `what you gave is no checkpoint (${read}): give ${WHOLE_NOTE}`;
  if (read.origin !== origin)
    return `the checkpoint you gave is of the ledger ${read.origin}, and this is ${origin}: give one of this ledger`;
  return `the checkpoint you gave, of ${read.size} entries, has no good signature by a key that this ledger had then (${problem}): give ${WHOLE_NOTE}. If that is what it is, this is another ledger of the same name, or it was rewritten with another key`;
}

/** How many distinct witnesses of the policy are among verified signatures. */
export function countWitnesses(verified: readonly VerifiedSignature[], policy: WitnessPolicy): number {
  return selectCosignatures(verified, policy).length;
}

function selectCosignatures(verified: readonly VerifiedSignature[], { witnesses }: WitnessPolicy) {
  const cosignatures = verified.filter((signature) => "time" in signature);
  return witnesses.flatMap((witness) => {
    const found = cosignatures.find(({ key }) => isSameKey(key, witness));
    return found ? [found] : [];
  });
}

function isSameKey(a: VerifierKey, b: VerifierKey): boolean {
  return equalBytes(a.publicKey, b.publicKey);
}
