// The target's answer: what the client gets of it and what is kept. Locations below the target's base URL become the
// connector's own, or clients would go around the proxy; a password that a target sends back (RFC 7643 §7 says it
// never should) goes nowhere; everything else stays byte for byte.

import type { OperationOutcome } from "../ledger/entry.ts";
import { indexBulkAnswer } from "../scim/bulk.ts";
import { type JsonDocument, parseStrictJson } from "../scim/json.ts";
import { understandAnswer } from "../scim/operation.ts";
import { redact } from "../scim/redact.ts";
import { rewriteLocation, rewriteLocations } from "../scim/rewrite.ts";
import type { Connector } from "./connector.ts";
import type { RecordedAnswer } from "./draft.ts";
import { recordedId } from "./draft.ts";
import type { Answer } from "./forward.ts";
import { isScimMediaType, mediaTypeOf, responseHeaders } from "./header.ts";
import { Refusal, type RefusalCode } from "./refusal.ts";

/** What goes back to the client once its record is durable. */
export interface Reply {
  status: number;
  headers: Record<string, string>;
  body: Uint8Array;
}

const FAILURES: Readonly<Record<Answer["outcome"], RefusalCode | undefined>> = {
  answered: undefined,
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
  secrets: readonly string[],
): ReadAnswer {
  const location = rewriteHeader(connector, received.headers.location);
  const contentLocation = rewriteHeader(connector, received.headers["content-location"]);
  const answer = judgeRedirect(received, location);
  const contentType = textHeader(answer.headers["content-type"]);
  const { document, sent, stored } = readBody(connector, answer, contentType, secrets);
  const reply = passes(answer)
    ? {
        status: answer.status ?? 502,
        headers: {
          ...responseHeaders(answer.headers),
          ...(location === undefined ? {} : { location }),
          ...(contentLocation === undefined ? {} : { "content-location": contentLocation }),
        },
        body: sent,
      }
    : failureReply(answer);
  const understood = understandAnswer(document, connector.redact);
  const { version = textHeader(answer.headers.etag), facts, resourceId } = understood;
  const operations = request && document && bulkOperations(connector, request, document);
  return {
    answer,
    reply,
    recorded: {
      stored,
      sent: reply.body,
      replied: reply.status,
      ...(resourceId === undefined ? {} : { resourceId }),
      ...(version === undefined ? {} : { version }),
      facts,
      ...(operations?.length ? { operations } : {}),
    },
  };
}

/** A whole answer passes; an early one only as the error that explains it: an early 2xx cannot be true. */
function passes(answer: Answer): boolean {
  return answer.outcome === "answered" || (answer.outcome === "early" && (answer.status ?? 0) >= 400);
}

function judgeRedirect(answer: Answer, location: string | undefined): Answer {
  const isRedirect = answer.outcome === "answered" && [301, 302, 303, 307, 308].includes(answer.status ?? 0);
  // Below the target's base: passed on, rewritten. Elsewhere: the client would take its credential there.
  return isRedirect && location === undefined ? { ...answer, outcome: "redirected" } : answer;
}

function failureReply(answer: Answer): Reply {
  const isTimeout = answer.outcome === "unknown" && answer.reason === "timeout";
  const refusal = new Refusal(isTimeout ? "target_timeout" : (FAILURES[answer.outcome] ?? "target_unknown"));
  return {
    status: refusal.status,
    headers: { "content-type": "application/scim+json" },
    body: Buffer.from(refusal.body()),
  };
}

function readBody(
  connector: Connector,
  answer: Answer,
  contentType: string | undefined,
  secrets: readonly string[],
): { document?: JsonDocument; sent: Uint8Array; stored: RecordedAnswer["stored"] } {
  const exact = answer.body;
  if (exact.length === 0) return { sent: exact, stored: undefined };
  const parsed = isScimMediaType(contentType) ? parseStrictJson(exact, { topLevel: "any" }) : undefined;
  // What cannot be read cannot be redacted, so it is passed on but not kept; its size and a keyed digest are.
  if (!parsed?.ok) return { sent: scrub(exact, secrets), stored: undefined };
  const { document } = parsed;
  const kept = redact(document, connector.redact);
  const mediaType = mediaTypeOf(contentType);
  const keptBytes = scrub(kept.bytes, secrets);
  const stored = {
    bytes: keptBytes,
    mediaType,
    redacted: keptBytes === kept.bytes ? kept.redacted : [...kept.redacted, "(quoted secret)"],
  };
  return { document, sent: scrub(toClient(connector, document), secrets), stored };
}

function toClient(connector: Connector, document: JsonDocument): Uint8Array {
  const shown = redact(document, []);
  if (shown.redacted.length === 0)
    return rewriteLocations(document, connector.target.baseUrl, connector.publicBase);
  const again = parseStrictJson(shown.bytes, { topLevel: "any" });
  if (!again.ok) throw new Error("a redacted document is no longer JSON");
  return rewriteLocations(again.document, connector.target.baseUrl, connector.publicBase);
}

const HIDDEN = Buffer.from("[redacted]");

/** Takes out secrets of the request that the target quotes in free text, such as an error's detail. */
export function scrub(bytes: Uint8Array, secrets: readonly string[]): Uint8Array {
  let clean: Buffer | undefined;
  for (const secret of secrets) {
    const needle = Buffer.from(secret);
    const parts: Buffer[] = [];
    const from: Buffer = clean ?? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = 0;
    for (let hit = from.indexOf(needle); hit >= 0; hit = from.indexOf(needle, at)) {
      parts.push(from.subarray(at, hit), HIDDEN);
      at = hit + needle.length;
    }
    if (at > 0) clean = Buffer.concat([...parts, from.subarray(at)]);
  }
  return clean ?? bytes;
}

function bulkOperations(
  connector: Connector,
  request: JsonDocument,
  answer: JsonDocument,
): OperationOutcome[] {
  return indexBulkAnswer(request, answer).map(({ index, status, resourceId }) => ({
    index,
    ...(resourceId === undefined ? {} : { resourceId: recordedId(connector, resourceId) }),
    ...(status === undefined ? {} : { status }),
  }));
}

/** A location outside the target's base leads past the proxy, so the client does not get it. */
function rewriteHeader(connector: Connector, value: string | string[] | undefined): string | undefined {
  const text = textHeader(value);
  if (text === undefined) return undefined;
  const rewritten = rewriteLocation(text, connector.target.baseUrl, connector.publicBase);
  return rewritten.startsWith(connector.publicBase) ? rewritten : undefined;
}

function textHeader(value: string | string[] | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}
