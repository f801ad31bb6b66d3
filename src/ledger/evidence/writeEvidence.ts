// Makes an evidence pack (docs/FORMAT.md, "Evidence packs") as a stream of bytes: memory holds one page of entries with
// their attachments, whatever the pack's size. Proofs are for the tree of the pack's last checkpoint. Everything read
// is taken as it is: a damaged ledger gives a pack that does not verify, which is what an auditor should get. Pure: the
// ledger is a source with few methods, time and version are given.

import type { Entry } from "../entry.ts";
import type { Sha256 } from "../hash.ts";
import { formatPublicJwk, type PublicKey } from "../key.ts";
import { parseLeaf } from "../leaf.ts";
import { formatTlogProof } from "../note/tlogProof.ts";
import type { TileReader } from "../tree/tile.ts";
import { proveConsistency } from "../tree/tileProof.ts";
import type { StoredAttachment } from "../verify.ts";
import { InclusionRun } from "./inclusionRun.ts";
import { type Rotation, readRotation } from "./keyTimeline.ts";
import { ENTRIES_A_MEMBER, formatMemberName, isAttachmentName } from "./layout.ts";
import { formatReadme } from "./readme.ts";
import { findOfAccount, isGapFree, type Selection } from "./selection.ts";
import {
  type EvidenceQuery,
  formatConsistency,
  formatStatement,
  PACK_FORMAT,
  type Statement,
} from "./statement.ts";
import { formatTarEnd, formatTarMember } from "./tar.ts";

/** A signed checkpoint as the source has it. */
export interface SourceCheckpoint {
  readonly size: number;
  readonly note: string;
}

/** A row as it is stored; nobody has looked at the leaf yet. */
export interface SourceEntry {
  readonly seq: number;
  readonly leaf: string;
}

/** What a pack is made from: one ledger, read only. */
export interface EvidenceSource extends TileReader {
  readonly origin: string;
  /** Keys the exporter trusts; a hint for the reader of the pack. */
  readonly keys: readonly PublicKey[];
  /** The leaves from `from` to before `to` that there are, in order. */
  entries(from: number, to: number): Promise<readonly SourceEntry[]>;
  /** The leaves with these ascending seqs that there are. */
  entriesAt(seqs: readonly number[]): Promise<readonly SourceEntry[]>;
  /** What is stored with the entries with these ascending seqs, in that order; entries without any may be left out. */
  attachments(
    seqs: readonly number[],
  ): AsyncIterable<{ seq: number; attachments: readonly StoredAttachment[] }>;
  /** Seqs of a transaction's entries, ascending. */
  seqsOfTransaction(txn: string): Promise<readonly number[]>;
  /** Event entries before `to`, in order. */
  events(to: number): AsyncIterable<SourceEntry>;
  latestCheckpoint(): Promise<SourceCheckpoint | undefined>;
  /** The checkpoint of the smallest tree that has this entry. */
  checkpointCovering(seq: number): Promise<SourceCheckpoint | undefined>;
}

export interface EvidenceOptions {
  query: EvidenceQuery;
  /** Name and version of the program. */
  madeBy: string;
  /** Milliseconds since 1970. */
  now: number;
  /** Leave attachments out, and why: a sentence for people. */
  withoutAttachments?: string;
  /** Sizes of checkpoints that the auditor already has; the pack proves that they are its beginning. */
  earlierSizes?: readonly number[];
  digest?: Sha256;
  /** Hears what the pack will say of itself, before its first byte. */
  onStatement?: (statement: Statement) => void;
}

/** There can be no such pack; the message says why and what to do. */
export class EvidenceError extends Error {
  override name = "EvidenceError";
  readonly code: "nothing_found" | "not_published" | "bad_query";

  constructor(code: EvidenceError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * The pack's bytes. Rejects with EvidenceError before the first byte if there is nothing to make it of; an error later
 * leaves a pack without its end, which no verifier takes.
 */
export async function* writeEvidence(
  source: EvidenceSource,
  options: EvidenceOptions,
): AsyncGenerator<Uint8Array> {
  const { digest } = options;
  const selection = await selectEntries(source, options.query);
  const { first, last } = await findCheckpoints(source, selection);
  const tree = { size: last.size, reader: source };
  const rotations = await findRotations(source, last.size);
  const statement = await describe(source, selection, options, { first, last });
  options.onStatement?.(statement);
  const run = new InclusionRun(tree, digest);
  const sizes = new Set([first.size, ...(options.earlierSizes ?? [])].filter((size) => size < last.size));
  const consistency = [];
  for (const oldSize of sizes) {
    const hashes = await proveConsistency(tree, oldSize, last.size, digest);
    consistency.push({ oldSize, newSize: last.size, hashes });
  }
  const proofOf = async (seq: number): Promise<string> =>
    formatTlogProof({ index: seq, hashes: await run.prove(seq), checkpoint: last.note });

  yield* text("README.txt", formatReadme(statement));
  yield* text("statement.json", formatStatement(statement));
  const keys = [...source.keys, ...rotations.map(({ to }) => to)];
  yield* text("keys.json", formatKeys(keys));
  yield* text("checkpoints/first.txt", first.note);
  yield* text("checkpoints/last.txt", last.note);
  yield* text("consistency.json", formatConsistency(consistency));
  for (const { seq, leaf } of rotations) {
    yield* text(formatMemberName({ kind: "rotation", seq }), leaf);
    yield* text(formatMemberName({ kind: "rotationProof", seq }), await proofOf(seq));
  }
  for await (const page of readPages(source, selection)) {
    const [start] = page;
    if (!start) break;
    const lines = page.map(({ leaf }) => `${leaf}\n`).join("");
    yield* text(formatMemberName({ kind: "entries", seq: start.seq }), lines);
    for (const { seq } of page) yield* text(formatMemberName({ kind: "proof", seq }), await proofOf(seq));
    if (options.withoutAttachments === undefined) yield* writeAttachments(source, page);
  }
  yield formatTarEnd();
}

async function selectEntries(source: EvidenceSource, query: EvidenceQuery): Promise<Selection> {
  if (query.kind === "transaction") {
    const seqs = await source.seqsOfTransaction(query.txn);
    if (seqs.length === 0) throw new EvidenceError("nothing_found", `there is no transaction ${query.txn}`);
    return { kind: "some", seqs, notSearched: 0 };
  }
  const latest = await source.latestCheckpoint();
  const from = query.from ?? 0;
  const to = query.to ?? (latest?.size ?? 0) - 1;
  if (!latest || latest.size === 0)
    throw new EvidenceError(
      "not_published",
      "the ledger has no signed checkpoint yet: `scimseal serve` publishes one within a second",
    );
  if (to >= latest.size)
    throw new EvidenceError(
      "not_published",
      `the newest signed checkpoint covers entries up to ${latest.size - 1}, not ${to}`,
    );
  if (from > to) throw new EvidenceError("nothing_found", `there are no entries from ${from} to ${to}`);
  if (query.kind === "range") return { kind: "all", from, to };
  const { resourceType, resourceId } = query;
  const found = await findOfAccount(readRange(source, from, to), { resourceType, resourceId });
  if (found.seqs.length === 0)
    throw new EvidenceError(
      "nothing_found",
      `entries ${from} to ${to} name no ${resourceType} ${resourceId}: give the id as it stands in the ledger, which may be a token (t:…)`,
    );
  return { kind: "some", ...found };
}

async function findCheckpoints(source: EvidenceSource, selection: Selection) {
  const { firstSeq, lastSeq } = endsOf(selection);
  const first = await source.checkpointCovering(firstSeq);
  // The newest tree, wherever the selection ends: a smaller one could not be compared with what the auditor has kept.
  const last = await source.latestCheckpoint();
  if (!first || !last || last.size <= lastSeq)
    throw new EvidenceError(
      "not_published",
      `no signed checkpoint covers entry ${lastSeq} yet: \`scimseal serve\` publishes one within a second`,
    );
  return { first, last };
}

async function findRotations(source: EvidenceSource, size: number): Promise<(Rotation & { leaf: string })[]> {
  const found: (Rotation & { leaf: string })[] = [];
  for await (const { seq, leaf } of source.events(size)) {
    const parsed = parseLeaf(leaf);
    const rotation = typeof parsed === "string" ? undefined : readRotation(parsed.claims, parsed.kid);
    if (rotation) found.push({ ...rotation, seq, leaf });
  }
  return found;
}

async function describe(
  source: EvidenceSource,
  selection: Selection,
  { query, madeBy, now, withoutAttachments }: EvidenceOptions,
  checkpoints: { first: SourceCheckpoint; last: SourceCheckpoint },
): Promise<Statement> {
  const { firstSeq, lastSeq, count } = endsOf(selection);
  const times = (await source.entriesAt(firstSeq === lastSeq ? [firstSeq] : [firstSeq, lastSeq])).map(
    ({ leaf }) => readClaims(leaf)?.time ?? "",
  );
  const leftOut = withoutAttachments === undefined ? [] : [`attachments: ${withoutAttachments}`];
  if (query.kind === "account") {
    leftOut.push(
      "entries that name the account only inside attachments, such as a group's members: search those in a whole range",
    );
  }
  if (selection.kind === "some" && selection.notSearched > 0) {
    leftOut.push(
      `${selection.notSearched} Bulk request(s) with too many operations for a leaf: their operations are attachments and were not searched`,
    );
  }
  return {
    format: PACK_FORMAT,
    origin: source.origin,
    madeBy,
    madeAt: new Date(now).toISOString(),
    query,
    period: { from: times[0] ?? "", to: times.at(-1) ?? "" },
    firstSeq,
    lastSeq,
    count,
    gapFree: isGapFree(firstSeq, lastSeq, count),
    checkpoints: { first: checkpoints.first.size, last: checkpoints.last.size },
    attachments: withoutAttachments === undefined ? "included" : "left_out",
    leftOut,
  };
}

function endsOf(selection: Selection): { firstSeq: number; lastSeq: number; count: number } {
  if (selection.kind === "all") {
    const { from, to } = selection;
    return { firstSeq: from, lastSeq: to, count: to - from + 1 };
  }
  const { seqs } = selection;
  return { firstSeq: seqs[0] ?? 0, lastSeq: seqs.at(-1) ?? 0, count: seqs.length };
}

/** Pages begin at multiples of their size, so that packs of neighbouring ranges have the same members. */
async function* readPages(
  source: EvidenceSource,
  selection: Selection,
): AsyncGenerator<readonly SourceEntry[]> {
  if (selection.kind === "some") {
    for (let at = 0; at < selection.seqs.length; at += ENTRIES_A_MEMBER)
      yield await source.entriesAt(selection.seqs.slice(at, at + ENTRIES_A_MEMBER));
    return;
  }
  yield* readRangePages(source, selection.from, selection.to);
}

async function* readRangePages(
  source: EvidenceSource,
  from: number,
  to: number,
): AsyncGenerator<readonly SourceEntry[]> {
  for (let at = from; at <= to; ) {
    const end = Math.min(to + 1, (Math.floor(at / ENTRIES_A_MEMBER) + 1) * ENTRIES_A_MEMBER);
    const page = await source.entries(at, end);
    if (page.length > 0) yield page;
    at = end;
  }
}

async function* readRange(source: EvidenceSource, from: number, to: number): AsyncGenerator<SourceEntry> {
  for await (const page of readRangePages(source, from, to)) yield* page;
}

/** In the order of the leaf, so that a reader meets them as the leaf names them; what the leaf does not name, last. */
async function* writeAttachments(
  source: EvidenceSource,
  page: readonly SourceEntry[],
): AsyncGenerator<Uint8Array> {
  const leaves = new Map(page.map(({ seq, leaf }) => [seq, leaf]));
  for await (const { seq, attachments } of source.attachments([...leaves.keys()])) {
    const order = readClaims(leaves.get(seq) ?? "")?.attachments.map(({ name }) => name) ?? [];
    const rank = (name: string): number => (order.includes(name) ? order.indexOf(name) : order.length);
    for (const { name, salt, content, sealed } of [...attachments].sort(
      (a, b) => rank(a.name) - rank(b.name),
    )) {
      // A planted row could have any name; one that no pack can hold is one that no leaf of ours commits to.
      if (!isAttachmentName(name)) continue;
      // What cannot be opened cannot be checked by anybody: its absence is what the auditor should see.
      if (sealed) continue;
      yield* formatTarMember(formatMemberName({ kind: "attachment", seq, attachment: name }), content);
      yield* formatTarMember(formatMemberName({ kind: "salt", seq, attachment: name }), salt);
    }
  }
}

function readClaims(leaf: string): Entry | undefined {
  const parsed = parseLeaf(leaf);
  return typeof parsed === "string" ? undefined : parsed.claims;
}

function formatKeys(keys: readonly PublicKey[]): string {
  const distinct = new Map(keys.map((key) => [key.kid, key]));
  const jwks = [...distinct.values()].map(({ kid, bytes }) => ({
    ...formatPublicJwk(bytes),
    kid,
    alg: "EdDSA",
  }));
  const hint =
    "A hint only: a key that travels with the evidence proves nothing. Pin the ledger's key by a way of its own.";
  return `${JSON.stringify({ hint, keys: jwks }, null, 2)}\n`;
}

function text(name: string, content: string): Generator<Uint8Array> {
  return formatTarMember(name, new TextEncoder().encode(content));
}
