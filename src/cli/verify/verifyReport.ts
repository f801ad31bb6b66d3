// What the verifying commands report, in words and as JSON. A verdict says what it stands on: "OK" alone would hide
// that nothing from outside was compared.

import type { PackJudgement, PackReport } from "../../ledger/evidence/verifyPack.ts";
import { printable } from "../printable.ts";

/** Something found; without `seq` it concerns the whole. */
export interface ReportFinding {
  seq?: number;
  code: string;
  detail: string;
}

/** A ledger read from its first entry on. */
export interface LedgerReport {
  ok: boolean;
  size: number;
  /** base64url leaf hash of the newest entry. */
  head: string;
  /** Transactions without an outcome. */
  open: number;
  /** Attachments that are sealed and were not checked, for want of the key. */
  sealed: number;
  findings: readonly ReportFinding[];
}

/** A ledger with its tree. */
export interface TreeReport extends LedgerReport {
  /** Root of the tree of all entries, padded base64. */
  root: string;
  /** Signed checkpoints that agreed. */
  checkpoints: number;
  /** Tiles that agreed. */
  tiles: number;
  /** Size of the largest agreeing checkpoint from outside the place that was verified. */
  comparedUpTo: number | undefined;
  /** Why a checkpoint that was given says nothing about this ledger; empty if none did. */
  notCompared: readonly string[];
}

/** A ledger with its tree, of which not every signature was checked. */
export interface LinkReport extends Omit<TreeReport, "open" | "sealed"> {
  signaturesChecked: number;
  /** Size of the largest signed checkpoint: the entries under it have its signature. */
  vouchedFor: number;
}

/** Writes a report to standard output and sets the exit status: 0 if all is well, 1 if not, 2 if that is not decided. */
export function printReport(
  report: {
    ok: boolean;
    judgement?: PackJudgement;
    findings?: readonly unknown[];
    notCompared?: readonly string[];
  },
  words: string,
  asJson: boolean,
): void {
  process.stdout.write(asJson ? `${JSON.stringify(report, null, 2)}\n` : words);
  const { judgement, findings = [], notCompared = [] } = report;
  const isUndecided = judgement === "not_compared" || (findings.length === 0 && notCompared.length > 0);
  process.exitCode = report.ok ? 0 : isUndecided ? 2 : 1;
}

export function describeLedger(report: LedgerReport | TreeReport): string {
  const { ok, size, findings, head, open, sealed } = report;
  const opened = open > 0 ? ` ${open} transaction(s) have no outcome yet.` : "";
  const checked = sealed > 0 ? "every signature and link" : "every signature, link and attachment";
  const unchecked =
    sealed > 0
      ? `SEALED: ${sealed} attachment(s) are sealed and were not checked. Give the key: --sealing-key FILE.\n`
      : "";
  const good = `${size} entries, ${checked} checked. Head ${head}.${opened}\n`;
  const broken = `BROKEN: ${findings.length} finding(s) in ${size} entries.${opened}\n`;
  const notCompared = "notCompared" in report ? describeNotCompared(report) : "";
  const verdict = ok
    ? `OK: ${good}`
    : findings.length > 0
      ? broken
      : `In the ledger itself nothing is wrong: ${good}`;
  return `${describeFindings(findings)}${notCompared}${verdict}${unchecked}${"root" in report ? describeTree(report) : ""}`;
}

export function describeLinks(report: LinkReport): string {
  const { ok, size, findings, head, signaturesChecked, vouchedFor } = report;
  const good = `${size} entries, every hash and link checked, and ${signaturesChecked} signature(s). Head ${head}.\n`;
  const broken = `BROKEN: ${findings.length} finding(s) in ${size} entries.\n`;
  const verdict = ok
    ? `OK: ${good}`
    : findings.length > 0
      ? broken
      : `Apart from that nothing was found: ${good}`;
  const stands =
    vouchedFor === 0
      ? "NOT CHECKED: signatures, attachments and outcomes.\n"
      : `For entries 0 to ${vouchedFor - 1} the signature of a checkpoint stands. NOT CHECKED: attachments and outcomes.\n`;
  return `${describeFindings(findings)}${describeNotCompared(report)}${verdict}${findings.length === 0 ? stands : ""}${describeTree(report)}`;
}

function describeNotCompared({ notCompared }: Pick<TreeReport, "notCompared">): string {
  return notCompared.map((why) => `NOT COMPARED: ${printable(why)}.\n`).join("");
}

function describeTree({
  size,
  root,
  checkpoints,
  tiles,
  comparedUpTo,
}: Omit<TreeReport, "open" | "sealed">): string {
  const compared = `Tree: root ${root}; ${checkpoints} checkpoint(s) and ${tiles} stored tile(s) agree.\n`;
  if (comparedUpTo === undefined)
    return `${compared}NOT ANCHORED: no checkpoint from outside agrees with it, so entries cut off at the end would not show. Give an earlier one: --checkpoint FILE.\n`;
  const since = size > comparedUpTo ? ` Not anchored: entries ${comparedUpTo} to ${size - 1}.` : "";
  return `${compared}Anchored up to entry ${comparedUpTo - 1} by a checkpoint from outside.${since}\n`;
}

export function describePack(report: PackReport): string {
  const { judgement, entries, proved, attachments, firstSeq, lastSeq, origin, sizes, root } = report;
  // Told by a line of its own: it is nothing that is wrong with the pack.
  const apart = report.findings.find(({ code }) => code === "earlier_not_compared");
  const findings = report.findings.filter((finding) => finding !== apart);
  const good = `${entries} entries of ${printable(origin)}, from ${firstSeq} to ${lastSeq}: every signature checked, ${proved} proved to be in the tree, ${attachments} attachment(s) checked.`;
  const notCompared = apart && `NOT COMPARED: ${apart.detail}.`;
  const verdicts: Record<PackJudgement, string> = {
    ok: `OK: ${good}`,
    broken: `BROKEN: ${findings.length + report.findingsLeftOut} finding(s) in ${entries} entries.`,
    not_compared: `${notCompared}\nIn the pack itself nothing is wrong: ${good}`,
  };
  const lines = [verdicts[judgement]];
  if (sizes.last !== undefined)
    lines.push(`Tree: ${sizes.last} entries, root ${root}, signed by a pinned key.`);
  lines.push(
    report.completeness === "gap_free"
      ? "Complete: no entry is left out between the first and the last."
      : "A selection: that no other entry belongs to it is the exporter's word.",
  );
  for (const line of report.statement?.leftOut ?? []) lines.push(`Not in it: ${printable(line)}`);
  const { witnesses, earlier } = report;
  if (witnesses.threshold > 0)
    lines.push(`Witnesses: ${witnesses.cosigned} of yours cosigned it, you ask for ${witnesses.threshold}.`);
  if (judgement === "broken" && notCompared !== undefined) lines.push(notCompared);
  else if (notCompared === undefined)
    lines.push(
      earlier
        ? `${earlier.isContinued ? "It continues" : "NOT SHOWN to continue"} your checkpoint of ${earlier.size} entries.`
        : "NOT ANCHORED: compared with no checkpoint of yours; give an earlier one: --checkpoint FILE.",
    );
  const more = report.findingsLeftOut > 0 ? `… and ${report.findingsLeftOut} finding(s) more\n` : "";
  return `${describeFindings(findings)}${more}${lines.join("\n")}\n`;
}

/** A line a finding; only the first of the checkpoints that no longer match, since one edit spoils all that come after. */
function describeFindings(findings: readonly ReportFinding[]): string {
  const [first, ...others] = findings.filter(({ code }) => code === "checkpoint_mismatch");
  const folded = new Set(others);
  return findings
    .filter((finding) => !folded.has(finding))
    .map((finding) => {
      const { seq, code, detail } = finding;
      const isFolded = finding === first && others.length > 0;
      const more = isFolded ? `; and ${others.length} more checkpoint(s) no longer match from here on` : "";
      return `${seq === undefined ? "the whole" : `entry ${seq}`}: ${code}: ${printable(detail)}${more}\n`;
    })
    .join("");
}
