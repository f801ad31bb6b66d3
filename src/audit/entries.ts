// Entries for an auditor: pages of a ledger, one entry by its seq or its id, and a transaction's request with its
// outcome. Each carries the exact leaf, so that what is shown can be checked without trusting what shows it.

import { z } from "zod";
import type { StoredEntry } from "../ledger/verify.ts";
import { describeRow } from "../storage/reader.ts";
import { ledgersOf } from "./access.ts";
import { entriesAnswer, entryAnswer, showEntry, transactionAnswer } from "./answers.ts";
import type { NamedLedger } from "./context.ts";
import { type FoundEntry, findNear, MAX_SCANNED } from "./findEntry.ts";
import { auditorOperation, ledgerOperation, type Operation } from "./http/operation.ts";
import { include, integer, ledgerName, uuid } from "./http/parameter.ts";
import { Problem } from "./http/problem.ts";
import { claimsOf } from "./storedLeaf.ts";

const TAG = "Entries";

const listEntries = auditorOperation(
  {
    method: "get",
    path: "/audit/v1/entries",
    id: "listEntries",
    tag: TAG,
    summary: "Pages of a ledger's entries, in order",
    params: z.strictObject({}),
    query: z.strictObject({
      ledger: z.string().describe("Left out: the first ledger that the token may read.").optional(),
      after: integer("Entries after this seq; -1: from the first on.", -1).default(-1),
      limit: integer("Entries in the page.", 1, 1000).default(100),
      include,
    }),
    answer: entriesAnswer,
    problems: ["ledger_unknown"],
  },
  async ({ context, auditor, query: { ledger: wanted, after, limit, include } }) => {
    const readable = ledgersOf(context, auditor);
    const ledger = wanted === undefined ? readable[0] : readable.find(({ name }) => name === wanted);
    // Another tenant's ledger and one that does not exist are the same to this auditor.
    if (!ledger) throw new Problem("ledger_unknown", "There is no such ledger for this token.");
    const page = await ledger.reader.page(after, limit, include === "attachments");
    const entries = page.entries.map(showListed);
    return { kind: "json", body: { ledger: ledger.name, entries, next: page.next ?? null } };
  },
);

function showListed(row: StoredEntry): z.input<typeof entriesAnswer>["entries"][number] {
  const { leafHash, claims, intact } = describeRow(row);
  return {
    seq: row.seq,
    leaf: row.leaf,
    leafHash,
    intact,
    ...(claims && { entry: { ...claims } }),
    ...(row.attachments && {
      attachments: row.attachments.map(({ name, salt, content }) => ({
        name,
        salt: Buffer.from(salt).toString("base64url"),
        content: Buffer.from(content).toString("base64"),
      })),
    }),
  };
}

const getEntry = ledgerOperation(
  {
    method: "get",
    path: "/audit/v1/ledgers/{ledger}/entries/{seq}",
    id: "getEntry",
    tag: TAG,
    summary: "One entry by its place",
    params: z.strictObject({ ledger: ledgerName, seq: integer("The entry's seq.") }),
    query: z.strictObject({ include }),
    answer: entryAnswer,
    problems: ["entry_unknown"],
  },
  async ({ ledger, params: { seq }, query }) => {
    const row = await readEntry(ledger, seq, query.include === "attachments");
    return { kind: "json", body: { ledger: ledger.name, entry: showEntry(row) } };
  },
);

const getEntryById = ledgerOperation(
  {
    method: "get",
    path: "/audit/v1/ledgers/{ledger}/entries/by-id/{id}",
    id: "getEntryById",
    tag: TAG,
    summary: "One entry by its id",
    description: `Found by the time in the id: the ${MAX_SCANNED} entries around it are searched.`,
    params: z.strictObject({ ledger: ledgerName, id: uuid("The entry's id, a UUID of version 7.") }),
    query: z.strictObject({ include }),
    answer: entryAnswer,
    problems: ["entry_unknown"],
  },
  async ({ ledger, params: { id }, query }) => {
    const found = await findNear(ledger.reader, id, await sizeOf(ledger), (claims) => claims.id === id);
    if (!found) {
      const problem = `No entry with this id is near the time in it; the ${MAX_SCANNED} entries around were searched.`;
      throw new Problem("entry_unknown", problem);
    }
    const row = query.include === "attachments" ? await readEntry(ledger, found.row.seq, true) : found.row;
    return { kind: "json", body: { ledger: ledger.name, entry: showEntry(row) } };
  },
);

const getTransaction = ledgerOperation(
  {
    method: "get",
    path: "/audit/v1/ledgers/{ledger}/transactions/{txn}",
    id: "getTransaction",
    tag: TAG,
    summary: "A transaction: its request and its outcome",
    params: z.strictObject({ ledger: ledgerName, txn: uuid("The transaction's id, `txn` in its entries.") }),
    query: z.strictObject({ include }),
    answer: transactionAnswer,
    problems: ["transaction_unknown", "ledger_inconsistent"],
  },
  async ({ ledger, params: { txn }, query }) => {
    const { request, outcome } = await readTransaction(ledger, txn);
    const show = async (found: FoundEntry | undefined) => {
      if (!found) return null;
      return showEntry(
        query.include === "attachments" ? await readEntry(ledger, found.row.seq, true) : found.row,
      );
    };
    const body: z.input<typeof transactionAnswer> = {
      ledger: ledger.name,
      txn,
      state: outcome ? "closed" : request?.claims.type === "refusal" ? "refused" : "open",
      request: await show(request),
      outcome: await show(outcome),
    };
    return { kind: "json", body };
  },
);

/** Reads one entry. @throws {Problem} entry_unknown, ledger_inconsistent */
export async function readEntry(
  { reader, tree }: NamedLedger,
  seq: number,
  withAttachments: boolean,
): Promise<StoredEntry> {
  const row = (await reader.page(seq - 1, 1, withAttachments)).entries[0];
  if (row?.seq === seq) return row;
  const latest = await tree.latestCheckpoint();
  // A later entry, or a checkpoint over it, proves that there was one.
  if (row || (latest && latest.size > seq))
    throw new Problem("ledger_inconsistent", `Entry ${seq} is missing: it was written and is not there.`);
  throw new Problem("entry_unknown", `The ledger has no entry ${seq} yet.`);
}

/** The entries of a transaction. @throws {Problem} transaction_unknown, ledger_inconsistent */
async function readTransaction(
  ledger: NamedLedger,
  txn: string,
): Promise<{ request: FoundEntry | undefined; outcome: FoundEntry | undefined }> {
  let request: FoundEntry | undefined;
  let outcome: FoundEntry | undefined;
  for (const seq of (await ledger.evidence.seqsOfTransaction(txn)).slice(0, 2)) {
    const found = withClaims(await readEntry(ledger, seq, false));
    // The index is not signed; the leaf is. Whoever could turn an index could hide an outcome behind another's.
    if (!found || found.claims.type === "event" || found.claims.txn !== txn) {
      const problem = `By its index, entry ${seq} is of this transaction; by its leaf, it is not.`;
      throw new Problem("ledger_inconsistent", problem);
    }
    if (found.claims.type === "response") outcome = found;
    else request = found;
  }
  if (request || outcome) return { request, outcome };
  throw new Problem("transaction_unknown", "The ledger has no entry of this transaction.");
}

function withClaims(row: StoredEntry): FoundEntry | undefined {
  const claims = claimsOf(row);
  return claims && { row, claims };
}

async function sizeOf({ tree }: NamedLedger): Promise<number> {
  return (await tree.latestCheckpoint())?.size ?? 0;
}

/** In the order of the documentation; what stands first is matched first. */
export const entryOperations: readonly Operation[] = [listEntries, getEntryById, getEntry, getTransaction];
