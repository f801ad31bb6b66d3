// Reads: GET, HEAD and `POST …/.search`. They need no record and so they go on while the ledger is away, unless the
// connector audits reads: then a read is recorded, and refused, like a write. This is a read's way; how its bytes
// stream to the target and back is in relay.ts.

import type { IncomingMessage, ServerResponse } from "node:http";
import { understand } from "../../scim/operation.ts";
import { mentionsSecret, secretsOf } from "../../scim/secret.ts";
import { AppendError } from "../../storage/writer/appendError.ts";
import { letContinue } from "../client/body.ts";
import { headerText, type Passage } from "../client/passage.ts";
import type { Connector, ProxyContext } from "../connector.ts";
import { type Arrival, draftRequest, draftResponse } from "../draft.ts";
import { requestHeaders } from "../header.ts";
import { Refusal } from "../refusal.ts";
import { breakOff, type ReadEnd, relay } from "./relay.ts";

/** Proxies one read to its end. */
export async function proxyRead(
  context: ProxyContext,
  connector: Connector,
  arrival: Arrival,
  { request, response: reply, protocol }: Passage,
): Promise<void> {
  const secrets = secretsOf(connector.redact);
  const watch = watchSearch(request, reply, context.limits.bodyBytes, secrets.words);
  const authorization = await connector.target.authorization();
  const close = connector.auditReads ? await recordRead(context, connector, arrival) : undefined;
  // Before the headers are replaced: the allow-list has no Expect.
  letContinue(request, reply);
  const { headers } = request;
  request.headers = {
    ...requestHeaders(headers, {
      address: arrival.address,
      protocol,
      host: headers.host ?? "",
    }),
    ...(authorization === undefined ? {} : { authorization }),
    // Framing of a search's body: how it came is how it goes.
    ...(headers["content-length"] === undefined ? {} : { "content-length": headers["content-length"] }),
    ...(headers["transfer-encoding"] === undefined ? {} : { "transfer-encoding": "chunked" }),
  };
  request.url =
    arrival.query === undefined ? arrival.resourcePath : `${arrival.resourcePath}?${arrival.query}`;
  const startedAt = performance.now();
  const isSecretQuery = arrival.query !== undefined && mentionsSecret(secrets, arrival.query);
  const end = await relay(connector, request, reply, () => isSecretQuery || watch.mayHoldSecret());
  const durationMs = performance.now() - startedAt;
  context.observer.forwarded(connector.connector, end.outcome, durationMs);
  if (end.refused) context.observer.refused(connector.connector, end.refused, end.refused);
  await close?.(end, reply.statusCode, durationMs);
}

/**
 * Watches a search's body as it streams: breaks it off above the limit, and notices a secret's name. Escapes could spell
 * one, so any makes it a suspect; a compressed body is refused, since nothing could be noticed in it.
 */
function watchSearch(
  request: IncomingMessage,
  reply: ServerResponse,
  limitBytes: number,
  words: readonly string[],
): { mayHoldSecret(): boolean } {
  if (request.method !== "POST") return { mayHoldSecret: () => false };
  const encoding = headerText(request, "content-encoding") ?? "identity";
  if (encoding.toLowerCase() !== "identity") throw new Refusal("encoding_unsupported");
  if (Number(request.headers["content-length"] ?? 0) > limitBytes) throw new Refusal("body_too_large");
  const overlap = Math.max(...words.map((word) => word.length));
  let size = 0;
  let tail = "";
  let isSuspect = false;
  request.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size > limitBytes) {
      breakOff(request, reply, "body_too_large");
      return;
    }
    const text = tail + chunk.toString("latin1").toLowerCase();
    isSuspect ||= text.includes("\\u") || words.some((word) => text.includes(word));
    tail = text.slice(-overlap);
  });
  // Listening starts the flow; it must wait until the middleware pipes it.
  request.pause();
  return { mayHoldSecret: () => isSuspect };
}

/** Records a read; returns what records its end. */
async function recordRead(
  context: ProxyContext,
  connector: Connector,
  arrival: Arrival,
): Promise<(end: ReadEnd, replied: number, durationMs: number) => Promise<void>> {
  const meaning = understand({
    method: arrival.method,
    resourcePath: arrival.resourcePath,
    ...(arrival.query === undefined ? {} : { query: arrival.query }),
    secretAttributes: connector.redact,
  });
  const none = Buffer.alloc(0);
  const append = connector.ledger.append.bind(connector.ledger);
  try {
    const intent = await append(draftRequest(connector, arrival, meaning, none, undefined, undefined));
    return async (end, replied, durationMs) => {
      const answer = { ...end, headers: {}, body: none, durationMs };
      const recorded = { stored: undefined, sent: none, replied, facts: {} };
      try {
        await append(draftResponse(connector, { txn: arrival.txn, seq: intent.seq }, answer, recorded));
      } catch (cause) {
        // The answer has streamed already. The writer closes the transaction as unknown by itself.
        if (!(cause instanceof AppendError)) throw cause;
        context.log.warn(
          { connector: connector.connector, code: cause.code },
          "the end of a read was not recorded",
        );
      }
    };
  } catch (cause) {
    if (!(cause instanceof AppendError)) throw cause;
    throw Refusal.ledgerUnavailable(cause, context.failClosed.status);
  }
}
