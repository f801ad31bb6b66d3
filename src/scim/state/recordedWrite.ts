// From a transaction as recorded (its request, its outcome, both bodies) to what it does to each resource: one for a plain
// write, one an operation for a Bulk, whose `bulkId:` references are resolved from the answer (RFC 7644 §3.7.2).
// Promises: total; a body that cannot be read leaves doubt, never an error; only a 2xx that says "done" counts as done.
import { indexBulkAnswer, readBulkOperations } from "../bulk.ts";
import { type JsonDocument, type JsonNode, memberOf, parseStrictJson, stringMember } from "../json.ts";
import { accountType, parseResourcePath } from "../resource.ts";
import { resolveText } from "./learn.ts";
import type { ResourceWrite } from "./resourceState.ts";

/** A body as stored. */
export interface RecordedBody {
  readonly bytes: Uint8Array;
  /** Whether something was taken out before it was stored. */
  readonly isRedacted: boolean;
}

/** One transaction, with ids in clear as far as they can be had. */
export interface RecordedWrite {
  readonly action: string;
  readonly resourceType: string;
  /** Of the path. */
  readonly resourceId?: string;
  /** Of the answer, as its leaf has it: where its body cannot be read. */
  readonly answeredId?: string;
  /** Of the outcome; undefined while the transaction is open. `refused`: never forwarded. */
  readonly outcome?: string;
  /** The target's. */
  readonly status?: number;
  /** As sent, without the question mark. */
  readonly query?: string;
  readonly request?: RecordedBody;
  readonly answer?: RecordedBody;
}

/** Stands for the type and the id of whatever resource the transaction is filed under. */
export const anyResource = "*";

/** What a transaction does to one resource. */
export interface ResourceChange {
  /** `User` for `/Me` (RFC 7644 §3.11). */
  readonly resourceType: string;
  readonly resourceId: string;
  readonly write: ResourceWrite;
}

/** Every resource that a transaction changes or may have changed, in the order in which it does. */
export function changesOf(recorded: RecordedWrite): ResourceChange[] {
  const verdict = verdictOf(recorded.outcome, recorded.status);
  if (verdict === "refused") return [];
  const answer = read(recorded.answer);
  if (recorded.action === "bulk") return bulkChanges(recorded, verdict, read(recorded.request), answer);
  const { action } = recorded;
  if (!isWriteAction(action)) return [];
  const answeredId = stringMember(answer?.root, "id") ?? recorded.answeredId;
  const resourceId = action === "create" ? answeredId : (recorded.resourceId ?? answeredId);
  if (resourceId === undefined) return [];
  let body: { root: JsonNode | undefined } | undefined;
  const write: ResourceWrite = {
    action,
    verdict,
    isNew: recorded.status === 201,
    get body() {
      body ??= { root: read(recorded.request)?.root };
      return body.root;
    },
    saysMore: saysMore(recorded.request),
    isGroup: recorded.resourceType === "Group",
    reading: { isRedacted: recorded.request?.isRedacted === true },
    ...(answer === undefined ? {} : { answer: answer.root }),
    answerReading: { isRedacted: recorded.answer?.isRedacted === true },
    ...shownBy(recorded.query),
  };
  return [{ resourceType: accountType(recorded.resourceType), resourceId, write }];
}

/** What an outcome and the target's status say about whether a write took place. */
export function verdictOf(outcome: string | undefined, status: number | undefined): ResourceWrite["verdict"] {
  if (outcome === "not_sent" || outcome === "refused" || outcome === "redirected") return "refused";
  const isWhole = outcome === "answered" || (outcome === "early" && status !== undefined && status >= 400);
  if (!isWhole || status === undefined) return "unknown";
  // 202 accepts and promises nothing (RFC 9110 §15.3.3); a 5xx but 501 and 503 may come from half-way.
  if (status >= 200 && status < 300) return status === 202 ? "unknown" : "applied";
  return status < 500 || status === 501 || status === 503 ? "refused" : "unknown";
}

function bulkChanges(
  recorded: RecordedWrite,
  verdict: ResourceWrite["verdict"],
  request: JsonDocument | undefined,
  answer: JsonDocument | undefined,
): ResourceChange[] {
  if (request === undefined) {
    // It was sealed for somebody else, or is gone: what it did to whom, nobody can tell.
    const write: ResourceWrite = { action: "any", verdict: "unknown", reading: { isRedacted: false } };
    return [{ resourceType: anyResource, resourceId: anyResource, write }];
  }
  const operations = readBulkOperations(request.root) ?? [];
  const outcomes = answer === undefined || verdict !== "applied" ? [] : indexBulkAnswer(request, answer);
  const ids = new Map<string, string>();
  operations.forEach(({ bulkId }, index) => {
    const id = outcomes[index]?.resourceId;
    if (bulkId !== undefined && id !== undefined) ids.set(bulkId, id);
  });
  const reading = {
    isRedacted: recorded.request?.isRedacted === true,
    resolve: (bulkId: string) => ids.get(bulkId),
  };
  const responses = responsesByBulkId(answer);
  const changes = operations.flatMap(({ method, path, bulkId, data }, index): ResourceChange[] => {
    const outcome = outcomes[index];
    const done = verdictOf(outcome?.status === undefined ? undefined : "answered", outcome?.status);
    const action = bulkActions.get(method ?? "");
    if (done === "refused" || action === undefined) return [];
    const place = parseResourcePath(path ?? "/");
    const named = place.resourceId === undefined ? undefined : resolveText(place.resourceId, reading);
    const isOwn = place.resourceType === "Me" && named === undefined;
    const resourceId = action === "create" || isOwn ? outcome?.resourceId : named;
    if (resourceId === undefined) return [];
    const shown = bulkId === undefined ? undefined : responses.get(bulkId);
    const write: ResourceWrite = {
      action,
      verdict: done,
      isNew: outcome?.status === 201,
      reading,
      isGroup: place.resourceType === "Group",
      ...(data === undefined ? {} : { body: data }),
      ...(stringMember(shown, "id") === resourceId && shown !== undefined ? { answer: shown } : {}),
      answerReading: { isRedacted: recorded.answer?.isRedacted === true },
    };
    return [{ resourceType: accountType(place.resourceType), resourceId, write }];
  });
  // A server may take the operations in another order (RFC 7644 §3.7.2), but none before its resource is made.
  return [
    ...changes.filter(({ write }) => write.action === "create"),
    ...changes.filter(({ write }) => write.action !== "create"),
  ];
}

const bulkActions: ReadonlyMap<string, ResourceWrite["action"]> = new Map([
  ["POST", "create"],
  ["PUT", "replace"],
  ["PATCH", "update"],
  ["DELETE", "delete"],
]);

/** The resources that a Bulk answer shows, where a bulkId names exactly one. */
function responsesByBulkId(answer: JsonDocument | undefined): Map<string, JsonNode> {
  const operations = memberOf(answer?.root, "operations");
  const responses = new Map<string, JsonNode>();
  const seen = new Set<string>();
  for (const node of operations?.kind === "array" ? operations.items : []) {
    const bulkId = stringMember(node, "bulkid");
    const response = memberOf(node, "response");
    if (bulkId === undefined) continue;
    if (seen.has(bulkId)) responses.delete(bulkId);
    else if (response !== undefined) responses.set(bulkId, response);
    seen.add(bulkId);
  }
  return responses;
}

/** Whether a body names what an answer may be silent about, or cannot be read. Escapes may spell anything. */
function saysMore(body: RecordedBody | undefined): boolean {
  return body === undefined || body.isRedacted || /members|\\u/i.test(decoder.decode(body.bytes));
}

const decoder = new TextDecoder();

function isWriteAction(action: string): action is ResourceWrite["action"] {
  return action === "create" || action === "replace" || action === "update" || action === "delete";
}

function read(body: RecordedBody | undefined): JsonDocument | undefined {
  if (body === undefined || body.bytes.length === 0) return undefined;
  const parsed = parseStrictJson(body.bytes, { topLevel: "any" });
  return parsed.ok ? parsed.document : undefined;
}

/** `attributes` and `excludedAttributes` of a query (RFC 7644 §3.9). */
function shownBy(query: string | undefined): Pick<ResourceWrite, "attributes" | "excludedAttributes"> {
  if (query === undefined || !/attributes=/i.test(query)) return {};
  const lists = new Map<string, string[]>();
  for (const pair of query.split("&", 64)) {
    const [name = "", value] = pair.split("=", 2);
    const key = name.toLowerCase();
    if (value === undefined || (key !== "attributes" && key !== "excludedattributes")) continue;
    lists.set(
      key,
      decode(value)
        .split(",")
        .map((path) => path.trim())
        .filter((path) => path !== ""),
    );
  }
  const attributes = lists.get("attributes");
  const excludedAttributes = lists.get("excludedattributes");
  return { ...(attributes ? { attributes } : {}), ...(excludedAttributes ? { excludedAttributes } : {}) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    // URIError: a percent sign that encodes nothing stays as it is.
    return text;
  }
}
