// Verification of an evidence pack, offline, with nothing but pinned keys (docs/FORMAT.md, "Checking a pack"). What it
// proves: every entry was signed by the ledger's key of its time and is in the tree that the last checkpoint signs,
// where it says it is; the first checkpoint's tree is the beginning of the last one's; attachments are the bytes
// committed to; a gap-free pack leaves nothing out between its ends. What it cannot: that entries newer than the last
// checkpoint exist, or that a selection is complete. Never throws because of what it reads. Pure.

import { encodeBase64 } from "../base64.ts";
import { verifySignature } from "../ed25519.ts";
import { sha256 } from "../hash.ts";
import { limitMember, parseMemberName } from "./layout.ts";
import { type EntryVerdict, PackBody, type VerifyBatch } from "./packBody.ts";
import { type PackFinding, PackFindings } from "./packFinding.ts";
import { type HeadOptions, type OpenedHead, PackHead } from "./packHead.ts";
import { isGapFree } from "./selection.ts";
import type { Statement } from "./statement.ts";
import { readTar, TarError } from "./tar.ts";

export interface PackOptions extends HeadOptions {
  /** Many signatures at once, by whatever is fast here; `verify` serves for the few of checkpoints and rotations. */
  verifyBatch?: VerifyBatch;
  /** Hears the verdict of each entry, in order. */
  onEntry?: (verdict: EntryVerdict) => void;
}

/**
 * `not_compared`: nothing is wrong with the pack, but it cannot show whether it continues the verifier's own checkpoint.
 * That is neither: nothing was found, and what was asked was not answered.
 */
export type PackJudgement = "ok" | "broken" | "not_compared";

/** What came out. Figures count what was seen, good or bad. */
export interface PackReport {
  /** No finding at all. */
  ok: boolean;
  judgement: PackJudgement;
  origin: string;
  entries: number;
  /** Entries whose inclusion is proved. */
  proved: number;
  attachments: number;
  rotations: number;
  firstSeq: number | undefined;
  lastSeq: number | undefined;
  /** Tree sizes of the checkpoints whose signature is good. */
  sizes: { first: number | undefined; last: number | undefined };
  /** Root of the last checkpoint, padded base64; the one thing to compare with what others have. */
  root: string | undefined;
  /** `gap_free`: nothing is left out from firstSeq to lastSeq. `selection`: that nothing is, is the exporter's word. */
  completeness: "gap_free" | "selection";
  /** How many of the verifier's witnesses cosigned the last checkpoint, and how many it asked for. */
  witnesses: { cosigned: number; threshold: number };
  /** The verifier's own checkpoint: whether the pack continues its tree; undefined if none was given. */
  earlier: { size: number; isContinued: boolean } | undefined;
  /** What the pack says of itself; unsigned. */
  statement: Statement | undefined;
  findings: readonly PackFinding[];
  /** How many findings more there were than the list holds. */
  findingsLeftOut: number;
}

/** Checks a pack. Rejects only with what the chunks or `verifyBatch` reject with: then nothing is decided. */
export async function verifyPack(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: PackOptions,
): Promise<PackReport> {
  const findings = new PackFindings();
  const head = new PackHead(options, findings);
  let opened: OpenedHead | undefined;
  let body: PackBody | undefined;
  const begin = (): PackBody => {
    opened = head.open();
    const { verify = verifySignature, digest = sha256, onEntry = () => {} } = options;
    const verifyBatch: VerifyBatch =
      options.verifyBatch ??
      (async (jobs) => jobs.map((job) => verify(job.publicKey, job.message, job.signature)));
    return new PackBody(opened, { verifyBatch, digest, onEntry }, findings);
  };
  await noteDamage(findings, async () => {
    for await (const { name, bytes } of readTar(chunks, limitMember)) {
      const place = parseMemberName(name);
      if (!place) throw new TarError(`a pack has no member ${name}`);
      const isHead = place.kind === "head" || place.kind === "rotation" || place.kind === "rotationProof";
      if (isHead && !body) {
        head.add(place, bytes);
        continue;
      }
      body ??= begin();
      await body.add(place, bytes);
    }
    body ??= begin();
  });
  // After damage too: what was read until then has its verdict.
  await noteDamage(findings, async () => body?.end());
  if (body && opened) compareStatement(body, opened, findings);
  return makeReport(options, findings, body, opened);
}

function judge({ list, count }: PackFindings): PackJudgement {
  if (count === 0) return "ok";
  return list.every(({ code }) => code === "earlier_not_compared") ? "not_compared" : "broken";
}

async function noteDamage(findings: PackFindings, read: () => Promise<void>): Promise<void> {
  try {
    await read();
  } catch (cause) {
    if (!(cause instanceof TarError)) throw cause;
    findings.add("pack_malformed", cause.message);
  }
}

function compareStatement(body: PackBody, head: OpenedHead, findings: PackFindings): void {
  const { entries, firstSeq, lastSeq, period } = body;
  const { statement, earlier } = head;
  if (entries === 0) findings.add("ledger_empty", "the pack has no entries");
  if (earlier && !body.isEarlierSettled) {
    findings.add(
      "earlier_not_compared",
      `your checkpoint is of ${earlier.size} entries, and the pack has no proof about that tree: ask for a pack that is made with your checkpoint (export --checkpoint)`,
    );
  }
  if (!statement || firstSeq === undefined || lastSeq === undefined) return;
  const isCounted =
    statement.count === entries && statement.firstSeq === firstSeq && statement.lastSeq === lastSeq;
  if (!isCounted)
    findings.add(
      "statement_mismatch",
      `the statement speaks of ${statement.count} entries from ${statement.firstSeq} to ${statement.lastSeq}; there are ${entries} from ${firstSeq} to ${lastSeq}`,
    );
  const { query } = statement;
  const isGapFreeNow = isGapFree(firstSeq, lastSeq, entries);
  if (statement.gapFree !== isGapFreeNow || (query.kind === "range" && !isGapFreeNow))
    findings.add("statement_mismatch", "the statement is wrong about gaps, or a range has one");
  if (query.kind === "range" && (query.from !== firstSeq || (query.to ?? lastSeq) !== lastSeq))
    findings.add("statement_mismatch", "the entries are not the range that the statement says was asked for");
  const { from = statement.period.from, to = statement.period.to } = period;
  if (statement.period.from !== from || statement.period.to !== to)
    findings.add("statement_mismatch", "the statement's period is not that of the entries");
}

function makeReport(
  options: PackOptions,
  findings: PackFindings,
  body: PackBody | undefined,
  head: OpenedHead | undefined,
): PackReport {
  const { firstSeq, lastSeq, entries = 0, proofs = 0, attachments = 0 } = body ?? {};
  const earlier = head?.earlier;
  const isContinued =
    body?.isEarlierSettled === true && !findings.list.some(({ code }) => code.startsWith("earlier_"));
  const isWhole = firstSeq !== undefined && lastSeq !== undefined && isGapFree(firstSeq, lastSeq, entries);
  return {
    ok: findings.count === 0,
    judgement: judge(findings),
    origin: head?.origin ?? options.origin ?? "",
    entries,
    proved: proofs,
    attachments,
    rotations: head?.rotations ?? 0,
    firstSeq,
    lastSeq,
    sizes: { first: head?.first?.size, last: head?.lastSigned?.checkpoint.size },
    root: head?.lastSigned && encodeBase64(head.lastSigned.checkpoint.root),
    completeness: isWhole ? "gap_free" : "selection",
    witnesses: {
      cosigned: head?.lastSigned?.cosignatures.length ?? 0,
      threshold: options.witnesses?.threshold ?? 0,
    },
    earlier: earlier && { size: earlier.size, isContinued },
    statement: head?.statement,
    findings: findings.list,
    findingsLeftOut: findings.leftOut,
  };
}
