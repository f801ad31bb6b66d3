// Evidence packs over HTTP: a range, a transaction or an account's entries as one tar, made while it is sent, in constant
// memory. Resumed by asking for the next seq on. What is in a pack and how to check it: docs/FORMAT.md.

import { z } from "zod";
import type { EvidenceQuery } from "../ledger/evidence/statement.ts";
import { EvidenceError, writeEvidence } from "../ledger/evidence/writeEvidence.ts";
import type { AuditContext, Auditor, Look, NamedLedger } from "./context.ts";
import { exportTurns, requireStillAllowed } from "./desk/turns.ts";
import { readTransactionFor } from "./entries.ts";
import { ledgerOperation, type Operation } from "./http/operation.ts";
import { include, integer, LEDGER_PATH, uuid } from "./http/parameter.ts";
import { Problem, type ProblemCode } from "./http/problem.ts";

const getEvidence = ledgerOperation(
  {
    method: "get",
    path: "/audit/v1/ledgers/{ledger}/evidence",
    id: "getEvidence",
    tag: "Evidence",
    summary: "An evidence pack, to be checked offline",
    description:
      "Of a range, or of a transaction (`txn`), or of the entries of an account (`account`) in a range.",
    params: LEDGER_PATH,
    query: z.strictObject({
      from: integer("seq of the first entry; left out: 0.").optional(),
      to: integer(
        "seq of the last entry, itself included; left out: all that a checkpoint covers.",
      ).optional(),
      txn: uuid("A transaction; neither a range nor an account goes with it.").optional(),
      account: z
        .string()
        .regex(/^[^/]+\/.+$/s, "must be TYPE/ID, such as User/2819c223")
        .describe("TYPE/ID as they stand in the leaves: the resource's id, or its keyed token.")
        .optional(),
      include,
    }),
    scope: "connectors",
    raw: { "application/x-tar": "The pack." },
    problems: [
      "evidence_empty",
      "entry_not_covered",
      "ledger_inconsistent",
      "transaction_unknown",
      "not_recorded",
    ],
  },
  async ({ context, auditor, ledger, request, isStillAllowed, query: { include, ...wanted } }) => {
    const query = readQuery(wanted);
    await requireReach(context, auditor, ledger, query);
    await exportTurns.holdUntilAnswered(context, auditor, request);
    const pack = writeEvidence(ledger.evidence, {
      query,
      madeBy: context.madeBy,
      now: Date.now(),
      ...(include === undefined && { withoutAttachments: "they were not asked for" }),
    });
    // A HEAD gives nothing out.
    const isExport = request.method !== "HEAD";
    return {
      kind: "stream",
      mediaType: "application/x-tar",
      fileName: `${ledger.name}-evidence.tar`,
      chunks: recordFirst(refuseAsProblem(pack), isStillAllowed, async () => {
        if (isExport) await context.exporting(ledger.name, lookOf(auditor, query, include));
      }),
    };
  },
);

/** Whoever is scoped to some connectors gets packs of their transactions only: a range holds everybody's entries. */
async function requireReach(
  context: AuditContext,
  auditor: Auditor,
  ledger: NamedLedger,
  query: EvidenceQuery,
): Promise<void> {
  if (auditor.connectors === "*") return;
  if (query.kind === "transaction") await readTransactionFor({ context, auditor }, ledger, query.txn);
  else
    throw new Problem(
      "forbidden",
      "The token or session is for some connectors only: ask for a transaction by `txn`.",
    );
}

function lookOf(auditor: Auditor, query: EvidenceQuery, include: "attachments" | undefined): Look {
  const facts: Record<string, string> = { attachments: include === undefined ? "no" : "yes" };
  if (query.kind === "transaction") facts.txn = query.txn;
  if (query.kind === "account") facts.account = `${query.resourceType}/${query.resourceId}`;
  const { from, to } = query.kind === "transaction" ? {} : query;
  return {
    auditor,
    kind: "evidence",
    count: 0,
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    facts,
  };
}

/** An export that cannot be recorded is none; one that cannot be made is not recorded; one that is not allowed any more ends. */
async function* recordFirst(
  chunks: AsyncIterable<Uint8Array>,
  isStillAllowed: () => boolean,
  record: () => Promise<void>,
): AsyncGenerator<Uint8Array> {
  let isRecorded = false;
  for await (const chunk of chunks) {
    requireStillAllowed(isStillAllowed);
    if (!isRecorded) await record();
    isRecorded = true;
    yield chunk;
  }
}

function readQuery({
  from,
  to,
  txn,
  account,
}: {
  from?: number | undefined;
  to?: number | undefined;
  txn?: string | undefined;
  account?: string | undefined;
}): EvidenceQuery {
  const range = { ...(from !== undefined && { from }), ...(to !== undefined && { to }) };
  if (txn !== undefined) {
    if (account !== undefined || from !== undefined || to !== undefined)
      throw new Problem("invalid_parameter", "txn: goes with neither a range nor an account");
    return { kind: "transaction", txn };
  }
  if (account === undefined) return { kind: "range", from: 0, ...range };
  const slash = account.indexOf("/");
  return {
    kind: "account",
    resourceType: account.slice(0, slash),
    resourceId: account.slice(slash + 1),
    ...range,
  };
}

const CODES: Readonly<Record<EvidenceError["code"], ProblemCode>> = {
  nothing_found: "evidence_empty",
  not_published: "entry_not_covered",
  bad_query: "invalid_parameter",
};

async function* refuseAsProblem(pack: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* pack;
  } catch (cause) {
    if (cause instanceof EvidenceError) throw new Problem(CODES[cause.code], cause.message, { cause });
    throw cause;
  }
}

export const evidenceOperations: readonly Operation[] = [getEvidence];
