// Entries for an auditor: one entry by its seq or its id, and a transaction's request with its
// outcome. Each carries the exact leaf, so that what is shown can be checked without trusting what shows it.

import { z } from "zod";
import type { Entry } from "../ledger/entry.ts";
import type { StoredEntry } from "../ledger/verify.ts";
import { byIndex, operationsIn, textAt } from "../scim/extract/claims.ts";
import { accountType } from "../scim/resource.ts";
import { IndexNotReadyError, SearchTimeoutError } from "../storage/search/searchReader.ts";
import { maySee } from "./access.ts";
import { entryAnswer, showEntry, transactionAnswer } from "./answers.ts";
import type { AuditContext, Auditor, NamedLedger } from "./context.ts";
import { type FoundEntry, findNear, MAX_SCANNED } from "./findEntry.ts";
import { ledgerOperation, type Operation } from "./http/operation.ts";
import { include, integer, ledgerName, uuid } from "./http/parameter.ts";
import { Problem } from "./http/problem.ts";
import { claimsOf } from "./storedLeaf.ts";

const TAG = "Entries";
/** Resources of a Bulk whose names are looked up. */
const MAX_NAMED = 2_000;

const getEntry = ledgerOperation(
  {
    method: "get",
    path: "/audit/v1/ledgers/{ledger}/entries/{seq}",
    id: "getEntry",
    tag: TAG,
    summary: "One entry by its place",
    scope: "connectors",
    params: z.strictObject({ ledger: ledgerName, seq: integer("The entry's seq.") }),
    query: z.strictObject({ include }),
    answer: entryAnswer,
    problems: ["entry_unknown", "ledger_inconsistent"],
  },
  async ({ context, auditor, ledger, params: { seq }, query }) => {
    const caller = { context, auditor };
    const row = await readEntryFor(caller, ledger, seq, query.include === "attachments");
    noteLook(context, auditor, ledger, [row], query.include);
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
    scope: "connectors",
    description: `Found by the time in the id: the ${MAX_SCANNED} entries around it are searched.`,
    params: z.strictObject({ ledger: ledgerName, id: uuid("The entry's id, a UUID of version 7.") }),
    query: z.strictObject({ include }),
    answer: entryAnswer,
    problems: ["entry_unknown", "ledger_inconsistent"],
  },
  async ({ context, auditor, ledger, params: { id }, query }) => {
    const found = await findNear(ledger.reader, id, await sizeOf(ledger), (claims) => claims.id === id);
    if (!found || !maySee(auditor, connectorOf(found.claims))) {
      if (found) context.denied({ auditor, ledger: ledger.name, reason: "entry_unknown" });
      const problem = `No entry with this id is near the time in it; the ${MAX_SCANNED} entries around were searched.`;
      throw new Problem("entry_unknown", problem);
    }
    const row = query.include === "attachments" ? await readEntry(ledger, found.row.seq, true) : found.row;
    noteLook(context, auditor, ledger, [row], query.include);
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
    scope: "connectors",
    params: z.strictObject({ ledger: ledgerName, txn: uuid("The transaction's id, `txn` in its entries.") }),
    query: z.strictObject({ include }),
    answer: transactionAnswer,
    problems: ["transaction_unknown", "ledger_inconsistent"],
  },
  async ({ context, auditor, ledger, params: { txn }, query }) => {
    const { request, outcome } = await readTransactionFor({ context, auditor }, ledger, txn);
    const rows = [request, outcome].flatMap((found) => found?.row ?? []);
    noteLook(context, auditor, ledger, rows, query.include, "transaction");
    const read = async (found: FoundEntry | undefined) =>
      found && query.include === "attachments" ? readEntry(ledger, found.row.seq, true) : found?.row;
    const [asked, answered] = [await read(request), await read(outcome)];
    const body: z.input<typeof transactionAnswer> = {
      ledger: ledger.name,
      txn,
      state: outcome ? "closed" : request?.claims.type === "refusal" ? "refused" : "open",
      request: asked ? showEntry(asked) : null,
      outcome: answered ? showEntry(answered) : null,
      names: await namesIn(ledger, asked, answered),
    };
    return { kind: "json", body };
  },
);

/** The names of what a Bulk's operations are about; none while the index cannot tell. */
async function namesIn(
  { accounts }: NamedLedger,
  asked: StoredEntry | undefined,
  answered: StoredEntry | undefined,
): Promise<Record<string, string>> {
  const claims = asked && claimsOf(asked);
  if (!asked || claims?.type !== "request" || claims.scim.action !== "bulk") return {};
  const results = byIndex(operationsOf(answered));
  const resources = [...byIndex(operationsOf(asked))].flatMap(([index, operation]) => {
    const ref = textAt(operation, "resourceId") ?? textAt(results.get(index), "resourceId");
    return ref === undefined ? [] : [{ type: accountType(textAt(operation, "resourceType")), ref }];
  });
  if (resources.length === 0) return {};
  try {
    return Object.fromEntries(await accounts.namesOf(claims.connector, resources.slice(0, MAX_NAMED)));
  } catch (cause) {
    // The record is whole without them.
    if (cause instanceof IndexNotReadyError || cause instanceof SearchTimeoutError) return {};
    throw cause;
  }
}

function operationsOf(row: StoredEntry | undefined) {
  const stored = row?.attachments?.find(({ name }) => name === "operations");
  return row ? operationsIn(claimsOf(row), stored && !stored.sealed ? stored.content : undefined) : [];
}

/** Notes that rows were shown, with their attachments or without. */
function noteLook(
  context: AuditContext,
  auditor: Auditor,
  ledger: NamedLedger,
  rows: readonly StoredEntry[],
  include: "attachments" | undefined,
  kind = "entries",
): void {
  const seqs = rows.map(({ seq }) => seq);
  context.looked(ledger.name, {
    auditor,
    kind: include === "attachments" ? "bodies" : kind,
    count: rows.length,
    ...(seqs.length > 0 && { from: Math.min(...seqs), to: Math.max(...seqs) }),
  });
}

/** Who asks, and where to note that he was refused. */
interface Caller {
  readonly context: AuditContext;
  readonly auditor: Auditor;
}

/**
 * Reads one entry for somebody. One of a connector that is not his is not there, in the same words.
 * @throws {Problem} entry_unknown, ledger_inconsistent
 */
export async function readEntryFor(
  { context, auditor }: Caller,
  ledger: NamedLedger,
  seq: number,
  withAttachments: boolean,
): Promise<StoredEntry> {
  if (auditor.connectors === "*") return readEntry(ledger, seq, withAttachments);
  // Attachments are opened only for whoever may see them: the time must not tell that there are any.
  const row = (await ledger.reader.page(seq - 1, 1, false)).entries[0];
  if (row?.seq === seq) {
    if (maySee(auditor, connectorOf(claimsOf(row))))
      return withAttachments ? readEntry(ledger, seq, true) : row;
    context.denied({ auditor, ledger: ledger.name, reason: "entry_unknown" });
  }
  throw new Problem("entry_unknown", `There is no entry ${seq} for this token.`);
}

/** The connector that an entry is of; none for an event, or for what cannot be read. */
export function connectorOf(claims: Entry | undefined): string | undefined {
  return claims === undefined || claims.type === "event" ? undefined : claims.connector;
}

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

/** The same for somebody: one of a connector that is not his is not there. @throws as readTransaction */
export async function readTransactionFor(
  { context, auditor }: Caller,
  ledger: NamedLedger,
  txn: string,
): ReturnType<typeof readTransaction> {
  const found = await readTransaction(ledger, txn).catch(async (error: unknown) => {
    // As much work as for one that is there, so that the time does not tell which it was.
    if (auditor.connectors !== "*") await ledger.reader.page(-1, 1, false);
    throw error;
  });
  if (maySee(auditor, connectorOf((found.request ?? found.outcome)?.claims))) return found;
  // As long as for one that is not there, so that the time does not tell that it is.
  await ledger.evidence.seqsOfTransaction(neverMade(txn));
  context.denied({ auditor, ledger: ledger.name, reason: "transaction_unknown" });
  throw new Problem("transaction_unknown", "No entry of this transaction was found.");
}

/** An id of the same time that no transaction has: of another variant than ours (RFC 9562 §4.1). */
function neverMade(txn: string): string {
  return `${txn.slice(0, 19)}0${txn.slice(20)}`;
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
  throw new Problem("transaction_unknown", "No entry of this transaction was found.");
}

function withClaims(row: StoredEntry): FoundEntry | undefined {
  const claims = claimsOf(row);
  return claims && { row, claims };
}

async function sizeOf({ tree }: NamedLedger): Promise<number> {
  return (await tree.latestCheckpoint())?.size ?? 0;
}

/** In the order of the documentation; what stands first is matched first. */
export const entryOperations: readonly Operation[] = [getEntryById, getEntry, getTransaction];
