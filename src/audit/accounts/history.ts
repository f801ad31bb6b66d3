// From the entries of a transaction to what it did: everything is read from the leaves and the attachments they commit to;
// the index only says where to look. Signatures are not checked here: that is the monitor's and the verifier's.
// Promises: never throws for what it reads; a row that is not what it should be is no part of any history.

import { byIndex, countAt, operationsIn, textAt, textsAt } from "../../scim/extract/claims.ts";
import { parseStrictJson, stringMember } from "../../scim/json.ts";
import { accountType } from "../../scim/resource.ts";
import {
  changesOf,
  type RecordedBody,
  type RecordedWrite,
  type ResourceChange,
  verdictOf,
} from "../../scim/state/recordedWrite.ts";
import type { HistoryRow } from "../../storage/accounts/historyRows.ts";
import type { TransactionClaims } from "../../storage/peekLeaf.ts";

type Request = Extract<TransactionClaims, { type: "request" | "refusal" }>;
type Response = Extract<TransactionClaims, { type: "response" }>;

/** A transaction as an account's history shows it. */
export interface Happening {
  /** Of the request or the refusal. */
  readonly seq: number;
  readonly closedSeq: number | undefined;
  readonly txn: string;
  /** When the request was recorded, and its outcome. */
  readonly time: string;
  readonly closedTime: string | undefined;
  readonly connector: string;
  readonly client: string;
  readonly action: string;
  /** What was asked for; of a Bulk only what concerns the account whose history it is. */
  readonly effects: readonly string[];
  /** `open` without an outcome, `refused` if the proxy refused it. */
  readonly outcome: string;
  readonly status: number | undefined;
  /** Read when asked for: most of a history's cost is its bodies. */
  changes(): readonly ResourceChange[];
}

/** Whose history it is, by the id that stands in the leaves. */
export interface Subject {
  readonly type: string;
  readonly ref: string;
}

/** The transaction of a request and its outcome; undefined if the rows are not that. */
export function happeningOf(
  requestRow: HistoryRow,
  outcomeRow: HistoryRow | undefined,
  subject?: Subject,
): Happening | undefined {
  const request = requestRow.claims;
  if (request.type === "response") return undefined;
  const outcome = outcomeRow?.claims;
  const isOutcome =
    outcome?.type === "response" && outcome.txn === request.txn && outcome.connector === request.connector;
  const response = isOutcome ? outcome : undefined;
  const recorded = recordedOf(request, requestRow, response, outcomeRow);
  let changes: readonly ResourceChange[] | undefined;
  return {
    seq: request.seq,
    closedSeq: response?.seq,
    txn: request.txn,
    time: request.time,
    closedTime: response?.time,
    connector: request.connector,
    client: request.actor.client,
    action: request.scim?.action ?? "other",
    effects:
      subject && request.scim?.action === "bulk"
        ? effectsOn(subject, requestRow, response && outcomeRow)
        : (request.scim?.effects ?? []),
    outcome: request.type === "refusal" ? "refused" : (response?.outcome ?? "open"),
    status: response?.status,
    changes: () => {
      changes ??= recorded ? changesOf(recorded) : [];
      return changes;
    },
  };
}

/** Of a Bulk's operations on a resource: the effects of those that were not refused or, if all were, of all. */
function effectsOn({ type, ref }: Subject, request: HistoryRow, outcome: HistoryRow | undefined): string[] {
  const [operations, results] = [request, outcome].map((row) =>
    byIndex(row ? operationsIn(row.claims, contentOf(row, "operations")) : []),
  );
  const own = [...(operations ?? [])].flatMap(([index, operation]) => {
    const result = results?.get(index);
    const isOwn =
      accountType(textAt(operation, "resourceType")) === type &&
      (textAt(operation, "resourceId") ?? textAt(result, "resourceId")) === ref;
    const isRefused = verdictOf("answered", countAt(result, "status")) === "refused";
    return isOwn ? [{ effects: textsAt(operation, "effects"), isRefused }] : [];
  });
  const taken = own.filter(({ isRefused }) => !isRefused);
  return [...new Set((taken.length > 0 ? taken : own).flatMap(({ effects }) => effects))].sort();
}

/** Only what the changes are read from: thousands of whole leaves would fill the memory. */
function recordedOf(
  request: Request,
  requestRow: HistoryRow,
  response: Response | undefined,
  outcomeRow: HistoryRow | undefined,
): RecordedWrite | undefined {
  if (request.type === "refusal") return undefined;
  // Without facts the id is the leaf's own: they are read only where that is a token, or where there was a query.
  const { resourceId = request.scim.resourceId, query } = factsOf(requestRow);
  const body = bodyOf(request, requestRow);
  const answer = response && outcomeRow && bodyOf(response, outcomeRow);
  const answeredId = response?.scim?.resourceId;
  return {
    action: request.scim.action,
    resourceType: request.scim.resourceType,
    ...(resourceId === undefined ? {} : { resourceId }),
    ...(typeof answeredId === "string" ? { answeredId } : {}),
    ...(query === undefined ? {} : { query }),
    ...(response === undefined ? {} : { outcome: response.outcome }),
    ...(response?.status === undefined ? {} : { status: response.status }),
    ...(body ? { request: body } : {}),
    ...(answer ? { answer } : {}),
  };
}

function bodyOf(claims: TransactionClaims, row: HistoryRow): RecordedBody | undefined {
  const stored = contentOf(row, "body");
  const ref = claims.attachments.find(({ name }) => name === "body");
  return stored && ref && { bytes: stored, isRedacted: (ref.redacted?.length ?? 0) > 0 };
}

function factsOf(row: HistoryRow): { resourceId?: string; query?: string } {
  const stored = contentOf(row, "facts");
  const parsed = stored && parseStrictJson(stored);
  if (!parsed?.ok) return {};
  const resourceId = stringMember(parsed.document.root, "resourceid");
  const query = stringMember(parsed.document.root, "query");
  return { ...(resourceId === undefined ? {} : { resourceId }), ...(query === undefined ? {} : { query }) };
}

function contentOf(row: HistoryRow, name: string): Uint8Array | undefined {
  const found = row.attachments.find((attachment) => attachment.name === name);
  return found === undefined || found.sealed ? undefined : found.content;
}
