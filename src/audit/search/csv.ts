// Transactions as CSV (RFC 4180). The adversary is whoever chose a userName that a spreadsheet takes for a formula: a
// text that begins like one gets an apostrophe before it, also in the middle where a spreadsheet that separates by `;` or
// by tabs would begin a cell there; and numbers are numbers.

import type { TransactionSummary } from "../../storage/search/searchReader.ts";

const COLUMNS = [
  "txn",
  "seq",
  "closedSeq",
  "time",
  "connector",
  "client",
  "method",
  "verb",
  "action",
  "resourceType",
  "resourceId",
  "name",
  "effects",
  "operations",
  "outcome",
  "status",
  "replied",
  "durationMs",
  "reason",
  "isCut",
  "operationsRefused",
  "operationsUnknown",
  "effectsUndone",
] as const satisfies readonly (keyof TransactionSummary)[];

export const CSV_HEADER = `${COLUMNS.join(",")}\r\n`;

/** One line a transaction; a list stands in one field, its items apart by spaces. */
export function formatCsv(rows: readonly TransactionSummary[]): string {
  let text = "";
  for (const row of rows) text += `${COLUMNS.map((name) => formatField(row[name])).join(",")}\r\n`;
  return text;
}

/** Spreadsheets look behind white space, and some take the wide forms of these characters too. */
const FORMULA = /^\s*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;
/** Where the separator is `;` or a tab, quotes in the middle of a field do not count: what follows begins a cell or a line. */
const INNER_FORMULA = /([;\t\r\n][\s"]*)([=+\-@\uff1d\uff0b\uff0d\uff20])/g;

/** What most fields are: nothing in it is a separator, a quote or a line break, and neither end is anything to look at. */
const PLAIN = /^[A-Za-z0-9](?:[^;",\t\r\n]*[^\s;",])?$/;

function formatField(value: TransactionSummary[keyof TransactionSummary]): string {
  if (value === null) return "";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const text = typeof value === "string" ? value : value.join(" ");
  if (PLAIN.test(text)) return text;
  const inner = text.replaceAll(INNER_FORMULA, "$1'$2");
  const safe = FORMULA.test(inner) ? `'${inner}` : inner;
  return /[",\t\r\n]|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
