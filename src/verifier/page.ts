// The page on which an auditor drops an evidence pack and a public key and sees the verdict, entry by entry. It runs
// the same code as the command line, reads the file piece by piece, and has no network: its Content-Security-Policy
// allows nothing but its own script and style. What it shows is put in as text.

import type { PackFinding } from "../ledger/evidence/packFinding.ts";
import { type PackJudgement, type PackReport, verifyPack } from "../ledger/evidence/verifyPack.ts";
import { readCheckpoint, WHOLE_NOTE } from "../ledger/note/logPolicy.ts";
import type { PageDocument, PageElement, PageEvent, PageFile } from "./dom.ts";
import { parsePinned } from "./pinned.ts";
import { chooseVerifier } from "./signatures.ts";
import { describeEntry, describeFacts, describeVerdict } from "./words.ts";

declare const document: PageDocument;

interface Row {
  seq: number;
  time: string;
  what: string;
  findings: readonly PackFinding[];
}

/** Rows kept for the table; a larger pack is checked all the same. */
const MAX_ROWS = 100_000;
const ROWS_A_PAGE = 250;
/** How a verdict looks. */
const KIND_OF = { ok: "good", broken: "bad", not_compared: "unsettled" } as const satisfies Record<
  PackJudgement,
  string
>;

let dropped: PageFile | undefined;
let rows: Row[] = [];
let shown = 0;

function element(id: string): PageElement {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no ${id}`);
  return found;
}

function make(tag: string, text: string, className = ""): PageElement {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className;
  return made;
}

/** A file goes where it was dropped, or chosen. */
function takeFile(area: string, take: (file: PageFile) => void): void {
  const box = element(area);
  const mark = (isOver: boolean) => (event: PageEvent) => {
    event.preventDefault();
    box.className = isOver ? "drop over" : "drop";
  };
  box.addEventListener("dragover", mark(true));
  box.addEventListener("dragleave", mark(false));
  box.addEventListener("drop", (event) => {
    mark(false)(event);
    const file = event.dataTransfer?.files[0];
    if (file) take(file);
  });
}

function fillFrom(field: string): (file: PageFile) => void {
  return (file) => {
    void file.text().then((text) => {
      element(field).value = text;
    });
  };
}

function chosen(id: string): PageFile | undefined {
  return element(id).files?.[0];
}

async function* readPieces(file: PageFile, onBytes: (done: number) => void): AsyncGenerator<Uint8Array> {
  const reader = file.stream().getReader();
  let done = 0;
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    done += piece.value.length;
    onBytes(done);
    yield piece.value;
  }
}

async function check(): Promise<void> {
  const file = dropped ?? chosen("pack");
  if (!file) return showProblem("Choose an evidence pack first.");
  const pinned = parsePinned(String(element("key").value));
  if (typeof pinned === "string") return showProblem(pinned);
  const earlierText = String(element("earlier").value);
  // A text field has its own idea of line ends, and a checkpoint ends in a newline.
  const earlier =
    earlierText.trim() === "" ? undefined : `${earlierText.replaceAll("\r\n", "\n").trimEnd()}\n`;
  const given = earlier === undefined ? undefined : readCheckpoint(earlier);
  if (typeof given === "string")
    return showProblem(`What you gave as an earlier checkpoint is none: ${given}. Paste ${WHOLE_NOTE}.`);
  const progress = element("progress");
  progress.hidden = false;
  element("check").disabled = true;
  rows = [];
  try {
    const { name, verifyBatch } = await chooseVerifier(globalThis.crypto?.subtle);
    const pieces = readPieces(file, (done) => {
      progress.value = file.size === 0 ? 1 : done / file.size;
    });
    const report = await verifyPack(pieces, {
      pinned: pinned.keys,
      verifyBatch,
      onEntry: ({ seq, claims, findings }) => {
        if (rows.length < MAX_ROWS)
          rows.push({ seq, time: claims?.time ?? "", what: describeEntry(claims), findings });
      },
      ...(pinned.origin !== undefined && { origin: pinned.origin }),
      ...(earlier !== undefined && { earlier }),
    });
    showReport(report, name);
  } catch (cause) {
    showProblem(`The pack could not be checked: ${cause instanceof Error ? cause.message : "unknown error"}`);
  } finally {
    progress.hidden = true;
    element("check").disabled = false;
  }
}

function showProblem(problem: string): void {
  showVerdict(problem, "bad");
  for (const id of ["facts", "findings", "rows"]) element(id).replaceChildren();
  rows = [];
  showRows(true);
}

function showReport(report: PackReport, verifierName: string): void {
  showVerdict(describeVerdict(report), KIND_OF[report.judgement]);
  element("facts").replaceChildren(...describeFacts(report, verifierName).map((fact) => make("li", fact)));
  const findings = report.findings.map(({ seq, code, detail }) =>
    make("li", `${seq === undefined ? "The whole" : `Entry ${seq}`}: ${code}: ${detail}`),
  );
  if (report.findingsLeftOut > 0) findings.push(make("li", `… and ${report.findingsLeftOut} more`));
  element("findings").replaceChildren(...findings);
  element("findings-area").hidden = findings.length === 0;
  showRows(true);
}

function showVerdict(text: string, kind: (typeof KIND_OF)[PackJudgement]): void {
  const verdict = element("verdict");
  element("result").hidden = false;
  verdict.textContent = text;
  verdict.className = kind;
  verdict.focus();
}

function showRows(fromStart: boolean): void {
  if (fromStart) {
    shown = 0;
    element("rows").replaceChildren();
  }
  const wanted = element("only-bad").checked ? rows.filter(({ findings }) => findings.length > 0) : rows;
  const next = wanted.slice(shown, shown + ROWS_A_PAGE);
  element("rows").append(...next.map(makeRow));
  shown += next.length;
  element("more").hidden = shown >= wanted.length;
  element("shown").textContent = `${shown} of ${wanted.length} shown`;
}

function makeRow({ seq, time, what, findings }: Row): PageElement {
  const row = make("tr", "", findings.length > 0 ? "bad" : "good");
  const heading = make("th", String(seq));
  heading.setAttribute("scope", "row");
  const verdict = findings.length > 0 ? findings.map(({ code }) => code).join(", ") : "good";
  row.append(heading, make("td", verdict), make("td", time), make("td", what));
  return row;
}

takeFile("pack-area", (file) => {
  dropped = file;
  element("pack-title").textContent = `1. The pack: ${file.name}`;
});
takeFile("key-area", fillFrom("key"));
takeFile("earlier-area", fillFrom("earlier"));
element("pack").addEventListener("change", () => {
  dropped = undefined;
  element("pack-title").textContent = "1. The pack";
});
for (const field of ["key", "earlier"]) {
  element(`${field}-file`).addEventListener("change", () => {
    const file = chosen(`${field}-file`);
    if (file) fillFrom(field)(file);
  });
}
element("check").addEventListener("click", () => void check());
element("more").addEventListener("click", () => showRows(false));
element("only-bad").addEventListener("change", () => showRows(true));
