// A write's body: the exact bytes, what they mean, and the intent to be recorded. What a strict reader and a lax
// target could read differently is refused here; what is merely not understood is recorded as unparsed and passes.

import { createHash } from "node:crypto";
import { countBulkOperations, readBulkOperations } from "../scim/bulk.ts";
import { type JsonDocument, type JsonNode, parseStrictJson } from "../scim/json.ts";
import { namesOtherId, type Understanding, understand } from "../scim/operation.ts";
import { redact } from "../scim/redact.ts";
import { decodeSegment, parseResourcePath } from "../scim/resource.ts";
import type { RequestDraft } from "../storage/writer/recorded.ts";
import { readBody } from "./client/body.ts";
import { headerText, type Passage, type Received } from "./client/passage.ts";
import type { ProxyContext } from "./connector.ts";
import { draftRequest, type StoredBody } from "./draft.ts";
import { isScimMediaType } from "./header.ts";
import { Refusal } from "./refusal.ts";
import type { RetryMemory } from "./retryMemory.ts";
import { bulkSpans } from "./sealing.ts";
import { unspokenSecrets } from "./target/scrub.ts";

export interface Intake {
  draft: RequestDraft;
  /** The Bulk request, for joining its answer; other bodies are not kept as trees. */
  bulk: JsonDocument | undefined;
  /** Texts that must not come back from the target into the record; undefined if they are too many to be looked for. */
  secrets: readonly string[] | undefined;
  /** The same text for a repetition of this request by the same client. */
  retryKey(): string;
}

/** Reads and understands a write. Throws a Refusal. */
export async function takeIn(
  context: ProxyContext,
  passage: Passage,
  received: Received,
  retries: RetryMemory,
): Promise<Intake> {
  const { request, response, hold } = passage;
  const { connector, arrival, route } = received;
  const { limits } = context;
  const encoding = headerText(request, "content-encoding");
  if (encoding !== undefined && encoding.toLowerCase() !== "identity")
    throw new Refusal("encoding_unsupported");
  const contentType = headerText(request, "content-type");
  const needsBody = request.method !== "DELETE";
  const mustBeScim = needsBody || contentType !== undefined;
  if (mustBeScim && !isScimMediaType(contentType)) throw new Refusal("media_type_unsupported");
  const isBulk = parseResourcePath(route.resourcePath).kind === "bulk";
  const wire = await readBody(request, response, isBulk ? limits.bulkBytes : limits.bodyBytes, hold);
  passage.wire = wire;
  if (wire.length > 0 && !mustBeScim) throw new Refusal("media_type_unsupported");
  const document = needsBody || wire.length > 0 ? parseBody(wire) : undefined;
  const meaning = understand({
    method: arrival.method,
    resourcePath: route.resourcePath,
    ...(route.query === undefined ? {} : { query: route.query }),
    ...(document ? { document } : {}),
    secretAttributes: connector.redact,
  });
  passage.meaning = meaning;
  if (document && isBulk && countBulkOperations(document) > limits.bulkOperations)
    throw new Refusal("bulk_too_many");
  if (document) checkIds(document, route.resourcePath, meaning);
  const redaction = document && redact(document, connector.redact);
  const spans = isBulk && document && redaction && bulkSpans(document, redaction.bytes, (at) => at);
  const stored: StoredBody | undefined = redaction && {
    bytes: redaction.bytes,
    mediaType: arrival.mediaType ?? "application/scim+json",
    redacted: redaction.redacted,
    ...(spans ? { spans } : {}),
  };
  // Hashed only when it is asked for: hardly any request has anything to do with a retry.
  const retryKey = () =>
    createHash("sha256")
      .update(`${arrival.actor.client}\0${arrival.method}\0${request.url ?? ""}\0`)
      .update(wire)
      .digest("base64");
  const retryOf = retries.isEmpty ? undefined : retries.take(retryKey());
  const draft = draftRequest(connector, arrival, meaning, wire, stored, retryOf);
  return {
    draft,
    bulk: isBulk ? document : undefined,
    secrets: redaction ? redaction.secrets && unspokenSecrets(redaction.secrets, redaction.bytes) : [],
    retryKey,
  };
}

function parseBody(wire: Buffer): JsonDocument {
  const parsed = parseStrictJson(wire);
  if (parsed.ok) return parsed.document;
  const { code, detail, offset } = parsed.refusal;
  throw new Refusal("body_invalid", `${code}${offset === undefined ? "" : ` at byte ${offset}`}: ${detail}`);
}

/** A target that believes the body would change another account than the one the record names: a PUT's, or a Bulk's. */
function checkIds(
  { root, text }: JsonDocument,
  path: string,
  { action, resourceId, operations }: Understanding,
): void {
  const namesOther = (resource: JsonNode | undefined, at: string, its: string) =>
    idsIn(at, its).every((id) => namesOtherId(resource, text, id));
  if (action === "replace" && resourceId !== undefined && namesOther(root, path, resourceId))
    throw new Refusal("id_mismatch");
  if (!operations?.some((operation) => operation.action === "replace")) return;
  for (const [index, { data, path: at = "" }] of (readBulkOperations(root) ?? []).entries()) {
    const operation = operations[index];
    if (operation?.action !== "replace" || operation.resourceId === undefined) continue;
    if (namesOther(data, at, operation.resourceId))
      throw new Refusal("id_mismatch", `Bulk operation ${index}, counted from 0.`);
  }
}

/** The id; in a path that is not understood, such as one below an organization, any segment may be it. */
function idsIn(path: string, resourceId: string): string[] {
  if (parseResourcePath(path).kind === "resource") return [resourceId];
  return path.split("/").map((segment) => decodeSegment(segment) ?? segment);
}
