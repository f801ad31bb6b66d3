// The target's answer: what the client gets of it and what is kept. Locations below the target's base URL become the
// connector's own, or clients would go around the proxy; a password that a target sends back (RFC 7643 §7 says it
// never should) or quotes goes nowhere; everything else stays byte for byte.

import type { OperationOutcome } from "../../ledger/entry.ts";
import { type BulkOutcome, joinBulkAnswer } from "../../scim/bulk.ts";
import { type JsonDocument, parseStrictJson } from "../../scim/json.ts";
import { understandAnswer } from "../../scim/operation.ts";
import { canSearch, redact } from "../../scim/redact.ts";
import { rewriteLocation, rewriteLocations } from "../../scim/rewrite.ts";
import type { Connector } from "../connector.ts";
import type { RecordedAnswer } from "../draft.ts";
import { recordedId } from "../draft.ts";
import { fieldText, isScimMediaType, mediaTypeOf, responseHeaders } from "../header.ts";
import { Refusal, type RefusalCode } from "../refusal.ts";
import { bulkSpans } from "../sealing.ts";
import type { Answer } from "./forward.ts";
import { rewriteBytes } from "./rewriteStream.ts";
import { quotesAny, scrubBytes, scrubDocument } from "./scrub.ts";

/** What goes back to the client once its record is durable. */
export interface Reply {
  status: number;
  headers: Record<string, string>;
  body: Uint8Array;
  /** The answer is the proxy's own word on the target's, not the target's. */
  refused?: RefusalCode;
}

/** Redaction keeps what it makes of a list by the list itself. */
const NO_ATTRIBUTES: readonly string[] = [];

/** What the client is told where the answer does not pass. A whole one does not if it is about our own credential. */
const FAILURES: Readonly<Record<Answer["outcome"], RefusalCode>> = {
  answered: "target_credential_refused",
  early: "target_early",
  incomplete: "target_incomplete",
  not_sent: "target_unreachable",
  protocol_error: "target_protocol_error",
  redirected: "target_redirected",
  too_large: "target_too_large",
  unknown: "target_unknown",
};

export interface ReadAnswer {
  answer: Answer;
  reply: Reply;
  recorded: RecordedAnswer;
}

/** Turns an answer into a reply and its record. `request` is the request's body, for joining Bulk answers. */
export function readAnswer(
  connector: Connector,
  received: Answer,
  request: JsonDocument | undefined,
  requestSecrets: readonly string[] | undefined,
): ReadAnswer {
  const size = received.body.length;
  const areAllKnown = requestSecrets !== undefined && canSearch(requestSecrets.length, size);
  const secrets = [...(areAllKnown ? requestSecrets : []), ...connector.target.secrets];
  const location = rewriteHeader(connector, received.headers.location, secrets);
  const contentLocation = rewriteHeader(connector, received.headers["content-location"], secrets);
  const answer = judgeRedirect(received, location);
  const { document, sent, stored } = readBody(connector, answer, secrets, areAllKnown);
  const headers = cleanHeaders(responseHeaders(answer.headers), secrets);
  const reply = passes(answer)
    ? {
        status: answer.status ?? 502,
        headers: {
          ...headers,
          ...(location === undefined ? {} : { location }),
          ...(contentLocation === undefined ? {} : { "content-location": contentLocation }),
        },
        body: sent,
      }
    : failureReply(answer);
  const understood = understandAnswer(document, connector.redact);
  const { version = headers.etag, facts, resourceId } = understood;
  const { outcomes, operationAt } = (request && document && joinBulkAnswer(request, document)) ?? {};
  // The answer may be in another order than the request; an item that may belong to several is nobody's.
  const spans =
    operationAt && document && stored && bulkSpans(document, stored.bytes, (at) => operationAt.get(at));
  return {
    answer,
    reply,
    recorded: {
      stored: stored && spans ? { ...stored, spans } : stored,
      sent: reply.body,
      replied: reply.status,
      ...(resourceId === undefined ? {} : { resourceId }),
      ...(version === undefined ? {} : { version }),
      facts,
      ...(outcomes?.length
        ? {
            operations: outcomes.map((outcome) => recordedOutcome(connector, outcome)),
            subjects: outcomes.map(({ resourceId }) =>
              resourceId === undefined ? undefined : { resourceId },
            ),
          }
        : {}),
    },
  };
}

/**
 * A whole answer passes; an early one only as the error that explains it: an early 2xx cannot be true. A 401 is about the
 * proxy's credential: an identity provider would take it for its own, and stop the whole connection.
 */
function passes({ outcome, status = 0 }: Answer): boolean {
  return status !== 401 && (outcome === "answered" || (outcome === "early" && status >= 400));
}

function judgeRedirect(answer: Answer, location: string | undefined): Answer {
  const isRedirect = answer.outcome === "answered" && [301, 302, 303, 307, 308].includes(answer.status ?? 0);
  // Below the target's base: passed on, rewritten. Elsewhere: the client would take its credential there.
  return isRedirect && location === undefined ? { ...answer, outcome: "redirected" } : answer;
}

function failureReply(answer: Answer): Reply {
  const isTimeout = answer.outcome === "unknown" && answer.reason === "timeout";
  const isCredential = answer.outcome === "early" && answer.status === 401;
  const refusal = new Refusal(
    isTimeout ? "target_timeout" : FAILURES[isCredential ? "answered" : answer.outcome],
  );
  return {
    status: refusal.status,
    headers: { "content-type": "application/scim+json; charset=utf-8" },
    body: Buffer.from(refusal.body()),
    refused: refusal.code,
  };
}

function readBody(
  connector: Connector,
  answer: Answer,
  secrets: readonly string[],
  areAllKnown: boolean,
): { document?: JsonDocument; sent: Uint8Array; stored: RecordedAnswer["stored"] } {
  const exact = answer.body;
  if (exact.length === 0) return { sent: exact, stored: undefined };
  const contentType = fieldText("content-type", answer.headers["content-type"]);
  const isJson = isScimMediaType(contentType);
  const isError = (answer.status ?? 0) >= 400;
  const document = isJson ? readDocument(exact, secrets, isError, areAllKnown) : undefined;
  if (!document && !areAllKnown) return { sent: Buffer.alloc(0), stored: undefined };
  if (!document) {
    // What cannot be read cannot be redacted, so it is passed on but not kept; its size and a keyed digest are.
    const sent = scrubBytes(exact, secrets);
    const { baseUrl } = connector.target;
    return { sent: isJson ? rewriteBytes(sent, baseUrl, connector.publicBase) : sent, stored: undefined };
  }
  // Of what could not be searched as a whole nothing is kept but its size and digest.
  if (!areAllKnown) return { document, sent: toClient(connector, document), stored: undefined };
  const kept = redact(document, connector.redact);
  const isScrubbed = document.bytes !== exact;
  const stored = {
    bytes: kept.bytes,
    mediaType: mediaTypeOf(contentType),
    redacted: isScrubbed ? [...kept.redacted, "(quoted secret)"] : kept.redacted,
  };
  return { document, sent: toClient(connector, document), stored };
}

/** The answer without the secrets it quotes; undefined if it is no strict JSON. */
function readDocument(
  exact: Buffer,
  secrets: readonly string[],
  isError: boolean,
  areAllKnown: boolean,
): JsonDocument | undefined {
  const parsed = parseStrictJson(exact, { topLevel: "any" });
  if (!parsed.ok) return undefined;
  const clean = scrubDocument(parsed.document, secrets, isError, areAllKnown);
  if (clean === parsed.document.bytes) return parsed.document;
  // Two names that quoted two secrets are one name now: then nothing of it is kept.
  const again = parseStrictJson(clean, { topLevel: "any" });
  return again.ok ? again.document : undefined;
}

/** Locations first: replacing values leaves strict JSON strict, which cannot be said of redacted names. */
function toClient(connector: Connector, document: JsonDocument): Uint8Array {
  const bytes = rewriteLocations(document, connector.target.baseUrl, connector.publicBase);
  const rewritten = bytes === document.bytes ? document : parsedAgain(bytes);
  return redact(rewritten, NO_ATTRIBUTES).bytes;
}

function parsedAgain(bytes: Uint8Array): JsonDocument {
  const parsed = parseStrictJson(bytes, { topLevel: "any" });
  if (!parsed.ok) throw new Error("an answer with rewritten locations is no longer JSON");
  return parsed.document;
}

function recordedOutcome(connector: Connector, { index, status, resourceId }: BulkOutcome): OperationOutcome {
  return {
    index,
    ...(resourceId === undefined ? {} : { resourceId: recordedId(connector, resourceId) }),
    ...(status === undefined ? {} : { status }),
  };
}

/** A location outside the target's base leads past the proxy, so the client does not get it. */
function rewriteHeader(
  connector: Connector,
  value: string | string[] | undefined,
  secrets: readonly string[],
): string | undefined {
  const text = textHeader(value);
  if (text === undefined || !isHeaderValue(text) || quotesAny(text, secrets)) return undefined;
  const { publicBase } = connector;
  const rewritten = rewriteLocation(text, connector.target.baseUrl, publicBase);
  return isBelow(rewritten, publicBase) ? rewritten : undefined;
}

/** Whether a URL is the base or below it, as spelled. */
export function isBelow(url: string, base: string): boolean {
  return url.startsWith(base) && /^(?:[/?#]|$)/.test(url.slice(base.length));
}

/** Without values that quote a secret or that the client's connection cannot carry. */
export function cleanHeaders(
  headers: Record<string, string>,
  secrets: readonly string[],
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter(([, value]) => isHeaderValue(value) && !quotesAny(value, secrets)),
  );
}

/** RFC 9110 §5.5, obs-text included; anything else would make Node refuse to write the whole answer. */
function isHeaderValue(value: string): boolean {
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(value);
}

function textHeader(value: string | string[] | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}
