// What to do about a batch that the database refused. Only a refusal of the data itself (SQLSTATE classes 21 to 23 and 54)
// is worth another try with less; anything else is about the database and passes with time.
// Promises: what a client writes is never invisible for what it is called. An entry that the tables refuse is tried again
// without its names, then without its resources, and only then is it passed by.

import type { IndexedTransaction } from "../storage/index/indexBatch.ts";
import type { ReadPage } from "./indexReading.ts";

/** `smaller`: try its entries one by one; `less`: it is one entry, try what is left of it. */
export type BatchFate = "throw" | "smaller" | "less";

export function fateOfBatch(cause: unknown, entries: number): BatchFate {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  if (typeof code !== "string" || !/^(?:21|22|23|54)[0-9A-Z]{3}$/.test(code)) return "throw";
  return entries > 1 ? "smaller" : "less";
}

/** What may be written in place of one entry's rows, the most first; the last is nothing but that it was passed by. */
export function lesserPages({ transactions, events, skipped }: ReadPage): ReadPage[] {
  const bareEvents = events.map((event) => ({ ...event, detail: {} }));
  return [
    { transactions: transactions.map(withoutNames), events: bareEvents, skipped },
    { transactions: transactions.map(withoutResources), events: bareEvents, skipped },
    { transactions: [], events: [], skipped: 1 },
  ];
}

function withoutNames(row: IndexedTransaction): IndexedTransaction {
  const touched = row.touched.map((resource) => ({ ...resource, names: [] }));
  const about = row.about && touched[row.touched.indexOf(row.about)];
  return { ...row, touched, ...(about && { about }), isCut: true };
}

function withoutResources({ about: _, ...row }: IndexedTransaction): IndexedTransaction {
  return { ...row, touched: [], isCut: true };
}
