// What an evidence pack says about itself: `statement.json` (what was asked for, what is in it, what is not) and
// `consistency.json` (proofs between tree sizes). Nothing of either is signed: a verifier compares what it can, and
// repeats the rest as the exporter's word. Reading is by shape; unknown members are ignored. Pure.

import { decodeBase64, encodeBase64 } from "../base64.ts";
import { HASH_BYTES } from "../hash.ts";
import { MAX_PROOF_HASHES } from "../note/tlogProof.ts";
import type { Proof } from "../tree/proof.ts";

export const PACK_FORMAT = "scimseal-evidence/1";

/** What a pack is asked for. `to` is the last seq, itself included; left out: as far as the latest checkpoint goes. */
export type EvidenceQuery =
  | { kind: "range"; from: number; to?: number }
  | { kind: "transaction"; txn: string }
  | {
      kind: "account";
      resourceType: string;
      /** As it stands in the leaves: the id, or its keyed token. */
      resourceId: string;
      from?: number;
      to?: number;
    };

export interface Statement {
  format: typeof PACK_FORMAT;
  origin: string;
  /** The version of the program that made the pack. */
  madeBy: string;
  /** RFC 3339, by the exporter's clock. */
  madeAt: string;
  query: EvidenceQuery;
  /** `time` of the first and of the last entry, as their leaves have it. */
  period: { from: string; to: string };
  firstSeq: number;
  lastSeq: number;
  count: number;
  /** Every entry from the first to the last is here. A verifier counts for itself. */
  gapFree: boolean;
  /** Sizes of the trees of the two checkpoints. */
  checkpoints: { first: number; last: number };
  attachments: "included" | "left_out";
  /** What is not in the pack although one might expect it, and why; sentences for people. */
  leftOut: readonly string[];
}

/** A proof that the first `oldSize` entries are the beginning of the first `newSize`. */
export interface ConsistencyProof {
  oldSize: number;
  newSize: number;
  hashes: Proof;
}

/** A pack has few: between its checkpoints, and from those that whoever asked already had. */
export const MAX_CONSISTENCY_PROOFS = 16;

/** The text of `statement.json`. */
export function formatStatement(statement: Statement): string {
  return `${JSON.stringify(statement, null, 2)}\n`;
}

/** Reads `statement.json`; a string names what is wrong with it. */
export function parseStatement(text: string): Statement | string {
  const value = parseObject(text);
  if (!value) return "statement.json is not a JSON object";
  if (value.format !== PACK_FORMAT) return `statement.json is not of format ${PACK_FORMAT}`;
  const { origin, madeBy, madeAt, query, period, checkpoints, attachments, leftOut } = value;
  const { firstSeq, lastSeq, count, gapFree } = value;
  const isShaped =
    areTexts(origin, madeBy, madeAt) &&
    areSizes(firstSeq, lastSeq, count) &&
    typeof gapFree === "boolean" &&
    isQuery(query) &&
    isRecord(period) &&
    areTexts(period.from, period.to) &&
    isRecord(checkpoints) &&
    areSizes(checkpoints.first, checkpoints.last) &&
    (attachments === "included" || attachments === "left_out") &&
    Array.isArray(leftOut) &&
    areTexts(...leftOut);
  // The check above is the type.
  return isShaped
    ? (value as unknown as Statement)
    : "statement.json lacks a member or has one of a wrong type";
}

/** The text of `consistency.json`; hashes are padded base64, as in proof files. */
export function formatConsistency(proofs: readonly ConsistencyProof[]): string {
  const plain = proofs.map(({ hashes, ...sizes }) => ({ ...sizes, hashes: hashes.map(encodeBase64) }));
  return `${JSON.stringify({ proofs: plain }, null, 2)}\n`;
}

/** Reads `consistency.json`; a string names what is wrong with it. Nothing is checked. */
export function parseConsistency(text: string): ConsistencyProof[] | string {
  const proofs = parseObject(text)?.proofs;
  if (!Array.isArray(proofs)) return "consistency.json is not an object with proofs";
  if (proofs.length > MAX_CONSISTENCY_PROOFS) return "consistency.json has too many proofs";
  const read: ConsistencyProof[] = [];
  for (const proof of proofs) {
    if (!isRecord(proof) || !Array.isArray(proof.hashes)) return "a proof of consistency.json has no hashes";
    const { oldSize, newSize, hashes } = proof;
    if (!isSize(oldSize) || !isSize(newSize)) return "a proof of consistency.json has no sizes";
    const decoded = hashes.flatMap((hash) => (typeof hash === "string" ? (decodeBase64(hash) ?? []) : []));
    const isWhole = decoded.length === hashes.length && decoded.every(({ length }) => length === HASH_BYTES);
    if (!isWhole || hashes.length > MAX_PROOF_HASHES)
      return "a hash of consistency.json is not 32 bytes in base64";
    read.push({ oldSize, newSize, hashes: decoded });
  }
  return read;
}

function isQuery(query: unknown): query is EvidenceQuery {
  if (!isRecord(query)) return false;
  const { kind, from, to } = query;
  const isBounded = (from === undefined || isSize(from)) && (to === undefined || isSize(to));
  if (kind === "range") return isSize(from) && isBounded;
  if (kind === "transaction") return areTexts(query.txn);
  return kind === "account" && isBounded && areTexts(query.resourceType, query.resourceId);
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch (cause) {
    // This is how the parser says that the text is no JSON.
    if (cause instanceof SyntaxError) return undefined;
    throw cause;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function areSizes(...values: unknown[]): boolean {
  return values.every(isSize);
}

function areTexts(...values: unknown[]): boolean {
  return values.every((value) => typeof value === "string");
}
