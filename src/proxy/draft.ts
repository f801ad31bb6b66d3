// From what was understood to what is recorded. The one place that decides what may stand in a leaf, which can never
// be erased, and what goes to attachments, which can: names, addresses, filters, the query, the peer's address and
// the bodies. An id that is not plainly opaque stands in the leaf as a keyed token and in clear only in `facts`.

import { hash } from "node:crypto";
import type { Actor, HttpFacts, OperationOutcome, ScimFacts } from "../ledger/entry.ts";
import type { SealSpan, SealSubject } from "../ledger/sealing.ts";
import type { Understanding } from "../scim/operation.ts";
import { parseResourcePath } from "../scim/resource.ts";
import type { Draft, DraftAttachment, RequestDraft, ResponseDraft } from "../storage/writer/recorded.ts";
import type { RefusalCode } from "./refusal.ts";
import { factsAttachment, sealingOf } from "./sealing.ts";
import type { Answer } from "./target/forward.ts";

/** Operations of a Bulk that take more JSON than this go to an attachment: a leaf holds 65,535 bytes in all. */
const MAX_OPERATIONS_BYTES = 24_000;
const OPAQUE_ID = /^[A-Za-z0-9._~:-]{1,128}$/;

export interface TokenKey {
  token(kind: "id", value: string): string;
  digest(bytes: Uint8Array): string;
}

/** What belongs to one connector and never changes. */
export interface RecordContext {
  connector: string;
  ids: "opaque" | "personal";
  tokenKey: TokenKey;
}

/** What is known of one request before its meaning. */
export interface Arrival {
  txn: string;
  actor: Actor;
  method: string;
  resourcePath: string;
  query: string | undefined;
  mediaType: string | undefined;
  ifMatch: boolean;
  address: string;
  userAgent: string | undefined;
}

/** Bytes as stored: redacted, with the places that were. */
export interface StoredBody {
  bytes: Uint8Array;
  mediaType: string;
  redacted: readonly string[];
  /** A Bulk's operations in it. */
  spans?: readonly SealSpan[];
}

const encoder = new TextEncoder();

/** The intent. `wire` is the exact body; `stored` what may be kept of it. */
export function draftRequest(
  context: RecordContext,
  arrival: Arrival,
  meaning: Understanding,
  wire: Buffer,
  stored: StoredBody | undefined,
  retryOf: string | undefined,
): RequestDraft {
  const { scim, attachments } = scimFacts(context, meaning);
  return {
    body: {
      type: "request",
      txn: arrival.txn,
      connector: context.connector,
      actor: arrival.actor,
      http: httpFacts(context, arrival),
      scim,
      ...(retryOf === undefined ? {} : { retryOf }),
    },
    attachments: [
      factsAttachment({
        ...arrivalFacts(arrival),
        ...bodyDigest(context, wire, stored),
        ...(meaning.resourceId === undefined ? {} : { resourceId: meaning.resourceId }),
        ...meaning.facts,
      }),
      ...bodyAttachment(stored),
      ...attachments,
    ],
    ...sealingOf(meaning),
    wire,
  };
}

/** What the proxy refused by itself, by an authenticated client. `wire` is absent when the body was not read. */
export function draftRefusal(
  context: RecordContext,
  arrival: Arrival,
  refusal: { code: RefusalCode; status: number },
  meaning: Understanding | undefined,
  wire: Buffer | undefined,
): Draft {
  const understood = meaning && scimFacts(context, meaning);
  return {
    body: {
      type: "refusal",
      txn: arrival.txn,
      connector: context.connector,
      actor: arrival.actor,
      http: httpFacts(context, arrival),
      refusal,
      ...(understood ? { scim: understood.scim } : {}),
    },
    // A body that cannot be read cannot be redacted: only its size and a keyed digest are kept.
    attachments: [
      json("facts", {
        ...arrivalFacts(arrival),
        ...(wire ? { size: wire.length, hmacSha256: context.tokenKey.digest(wire) } : {}),
      }),
    ],
    ...(meaning ? sealingOf(meaning) : {}),
  };
}

export interface RecordedAnswer {
  /** What may be kept of the received body; undefined if there was none or it could not be redacted. */
  stored: StoredBody | undefined;
  /** The bytes for the client. */
  sent: Uint8Array;
  replied: number;
  resourceId?: string;
  version?: string;
  facts: object;
  operations?: readonly OperationOutcome[];
  /** The resources that the answer to a Bulk names, by operation. */
  subjects?: readonly (SealSubject | undefined)[];
}

/** The outcome of a recorded request. */
export function draftResponse(
  context: RecordContext,
  request: { txn: string; seq: number },
  answer: Answer,
  recorded: RecordedAnswer,
): ResponseDraft {
  const operations = recorded.operations && fitOperations(recorded.operations);
  const scim = {
    ...(recorded.resourceId === undefined ? {} : { resourceId: recordedId(context, recorded.resourceId) }),
    ...(operations?.facts ?? {}),
  };
  const received = sizeAndDigest(context, answer.body, recorded.stored);
  return {
    body: {
      type: "response",
      txn: request.txn,
      connector: context.connector,
      requestSeq: request.seq,
      outcome: answer.outcome,
      ...(answer.reason === undefined ? {} : { reason: answer.reason }),
      ...(answer.status === undefined ? {} : { status: answer.status }),
      replied: recorded.replied,
      ...(recorded.version !== undefined && /^[\x21-\x7e]{1,128}$/.test(recorded.version)
        ? { version: recorded.version }
        : {}),
      durationMs: Math.round(answer.durationMs * 1000) / 1000,
      ...(Object.keys(scim).length > 0 ? { scim } : {}),
    },
    attachments: [
      json("facts", {
        received,
        // Most answers pass as they came.
        sent:
          recorded.sent === answer.body ? received : sizeAndDigest(context, recorded.sent, recorded.stored),
        ...(recorded.resourceId === undefined ? {} : { resourceId: recorded.resourceId }),
        ...recorded.facts,
      }),
      ...bodyAttachment(recorded.stored),
      ...(operations?.attachments ?? []),
    ],
    ...(recorded.resourceId === undefined ? {} : { subject: { resourceId: recorded.resourceId } }),
    ...(recorded.subjects ? { operations: recorded.subjects } : {}),
  };
}

/** An id as it may stand in a leaf. */
export function recordedId(context: RecordContext, id: string): string {
  return context.ids === "opaque" && OPAQUE_ID.test(id) ? id : context.tokenKey.token("id", id);
}

function scimFacts(
  context: RecordContext,
  meaning: Understanding,
): { scim: ScimFacts; attachments: DraftAttachment[] } {
  const operations = meaning.operations?.map((operation) => ({
    index: operation.index,
    action: operation.action,
    resourceType: operation.resourceType,
    ...(operation.resourceId === undefined ? {} : { resourceId: recordedId(context, operation.resourceId) }),
    effects: operation.effects,
    ...(operation.paths.length > 0 ? { paths: operation.paths } : {}),
    ...(operation.parsed ? {} : { unparsed: true as const }),
  }));
  const fitted = operations && fitOperations(operations);
  return {
    scim: {
      action: meaning.action,
      resourceType: meaning.resourceType,
      ...(meaning.resourceId === undefined ? {} : { resourceId: recordedId(context, meaning.resourceId) }),
      effects: meaning.effects,
      paths: meaning.paths,
      ...(meaning.unparsed.length > 0 ? { unparsed: meaning.unparsed } : {}),
      ...(fitted?.facts ?? {}),
    },
    attachments: fitted?.attachments ?? [],
  };
}

function fitOperations<T>(operations: readonly T[]): {
  facts: { operations?: readonly T[]; operationCount: number };
  attachments: DraftAttachment[];
} {
  const attachment = json("operations", operations);
  return attachment.bytes.length <= MAX_OPERATIONS_BYTES
    ? { facts: { operations, operationCount: operations.length }, attachments: [] }
    : { facts: { operationCount: operations.length }, attachments: [attachment] };
}

function httpFacts(context: RecordContext, arrival: Arrival): HttpFacts {
  const { resourceType, resourceId } = parseResourcePath(arrival.resourcePath);
  const [collection = ""] = arrival.resourcePath.slice(1).split("/");
  const safe = /^[.A-Za-z][A-Za-z0-9_-]{0,63}$/.test(collection) ? collection : resourceType;
  return {
    method: arrival.method,
    path: resourceId === undefined ? `/${safe}` : `/${safe}/${recordedId(context, resourceId)}`,
    ...(arrival.query === undefined ? {} : { query: true }),
    ...(arrival.mediaType === undefined ? {} : { mediaType: arrival.mediaType }),
    ...(arrival.ifMatch ? { ifMatch: true } : {}),
  };
}

function arrivalFacts(arrival: Arrival): object {
  return {
    address: arrival.address,
    ...(arrival.userAgent === undefined ? {} : { userAgent: arrival.userAgent.slice(0, 256) }),
  };
}

function sizeAndDigest(context: RecordContext, bytes: Uint8Array, stored: StoredBody | undefined): object {
  return { size: bytes.length, ...bodyDigest(context, bytes, stored) };
}

/**
 * The digest of the exact bytes. When something was redacted it is a keyed one: all of a body but the password is
 * known to whoever reads the ledger, so that a plain digest would let him try passwords at leisure.
 */
function bodyDigest(context: RecordContext, exact: Uint8Array, stored: StoredBody | undefined): object {
  if (exact.length === 0) return {};
  const isWhole = stored !== undefined && stored.redacted.length === 0;
  return isWhole ? { sha256: hash("sha256", exact, "hex") } : { hmacSha256: context.tokenKey.digest(exact) };
}

function bodyAttachment(stored: StoredBody | undefined): DraftAttachment[] {
  if (!stored || stored.bytes.length === 0) return [];
  const { mediaType, bytes, redacted, spans } = stored;
  return [{ name: "body", mediaType, bytes, redacted, ...(spans ? { spans } : {}) }];
}

function json(name: string, value: unknown): DraftAttachment {
  return { name, mediaType: "application/json", bytes: encoder.encode(JSON.stringify(value)) };
}
