// What the page says: a verdict, facts and entries in words. Everything is plain text; nothing of a pack is ever HTML.

import type { Entry } from "../ledger/entry.ts";
import type { PackReport } from "../ledger/evidence/verifyPack.ts";

/** The heading. */
export function describeVerdict({ judgement, entries, findings, findingsLeftOut }: PackReport): string {
  if (judgement === "ok") return `All is well: ${count(entries, "entry", "entries")} checked.`;
  if (judgement === "not_compared")
    return `Not compared with your checkpoint. In the pack itself nothing is wrong: ${count(entries, "entry", "entries")} checked.`;
  const found = findings.length + findingsLeftOut;
  return `Not in order: ${count(found, "finding", "findings")} in ${count(entries, "entry", "entries")}.`;
}

/** What the verdict stands on, and what it does not say. */
export function describeFacts(report: PackReport, verifierName: string): string[] {
  const { origin, firstSeq, lastSeq, proved, attachments, sizes, root, earlier, rotations } = report;
  const isApart = report.findings.some(({ code }) => code === "earlier_not_compared");
  const facts = [`Ledger: ${origin || "unknown"}.`];
  if (firstSeq !== undefined)
    facts.push(`Entries ${firstSeq} to ${lastSeq}; ${proved} are proved to be in the tree.`);
  facts.push(
    report.completeness === "gap_free"
      ? "Complete: no entry is left out between the first and the last."
      : "A selection: that no other entry belongs to it is the exporter's word.",
  );
  facts.push(
    sizes.last === undefined
      ? "The last checkpoint is not signed by your key."
      : `The last checkpoint is signed by the ledger: a tree of ${count(sizes.last, "entry", "entries")}, root ${root}.`,
  );
  facts.push(
    earlier === undefined
      ? isApart
        ? "What you gave as an earlier checkpoint is none that this ledger signed, so nothing was compared."
        : "Not compared with an earlier checkpoint: newer entries may have been cut off, or the ledger rewritten by whoever holds its key."
      : earlier.isContinued
        ? `It continues your checkpoint of ${count(earlier.size, "entry", "entries")}.`
        : isApart
          ? `It could not be compared with your checkpoint of ${count(earlier.size, "entry", "entries")}.`
          : `It is not shown to continue your checkpoint of ${count(earlier.size, "entry", "entries")}.`,
  );
  facts.push(`${count(attachments, "attachment", "attachments")} checked.`);
  if (rotations > 0)
    facts.push(
      `The ledger's key was replaced ${count(rotations, "time", "times")}; each new key was introduced by the one before.`,
    );
  for (const line of report.statement?.leftOut ?? []) facts.push(`Not in the pack: ${line}`);
  facts.push(
    `Signatures were checked by ${verifierName === "WebCrypto" ? "this browser (WebCrypto)" : "this page's own code"}.`,
  );
  return facts;
}

/** One line about an entry that a trusted key signed. A leaf holds no personal data. */
export function describeEntry(claims: Entry | undefined): string {
  if (!claims) return "nothing that a trusted key signed";
  switch (claims.type) {
    case "request":
      return `${textOf(claims.http.method)} ${textOf(claims.http.path)}: ${listOf(claims.scim.effects)} by ${textOf(claims.actor.client)}`;
    case "response":
      return `outcome of entry ${claims.requestSeq}: ${claims.outcome}${claims.status === undefined ? "" : ` (${claims.status})`}`;
    case "refusal":
      return `${textOf(claims.http.method)} ${textOf(claims.http.path)} refused: ${textOf(claims.refusal.code)}`;
    case "event":
      return `event ${claims.event.name}`;
  }
}

/** A leaf's parser promises less than its type says: what is no text is shown as JSON. */
function textOf(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "?");
}

function listOf(value: unknown): string {
  return Array.isArray(value) && value.length > 0 ? value.map(textOf).join(", ") : "no effect";
}

function count(number: number, one: string, many: string): string {
  return `${number} ${number === 1 ? one : many}`;
}
