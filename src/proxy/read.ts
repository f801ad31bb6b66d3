// Reads stream through http-proxy-middleware: GET, HEAD and `POST …/.search`. They need no record and so they go on
// while the ledger is away, unless the connector audits reads: then a read is recorded, and refused, like a write.
// The middleware gets a request whose headers are already the allow-listed ones; it follows no redirect, adds no
// X-Forwarded-* of its own, and what it would answer by itself is replaced by SCIM errors.

import type { IncomingMessage, ServerResponse } from "node:http";
import { createProxyMiddleware, type RequestHandler } from "http-proxy-middleware";
import type { Outcome } from "../ledger/entry.ts";
import { understand } from "../scim/operation.ts";
import { rewriteLocation } from "../scim/rewrite.ts";
import { AppendError } from "../storage/appendError.ts";
import type { Connector, ProxyContext } from "./connector.ts";
import { type Arrival, draftRequest, draftResponse } from "./draft.ts";
import { isScimMediaType, requestHeaders, responseHeaders } from "./header.ts";
import { Refusal } from "./refusal.ts";
import { sendRefusal } from "./reply.ts";
import { LocationRewriter } from "./rewriteStream.ts";
import type { Target } from "./target.ts";

const middlewares = new WeakMap<Target, RequestHandler>();

/** Proxies one read to its end. */
export async function proxyRead(
  context: ProxyContext,
  connector: Connector,
  arrival: Arrival,
  request: IncomingMessage,
  reply: ServerResponse,
): Promise<void> {
  checkSearchSize(request, context.limits.bodyBytes);
  const authorization = await connector.target.authorization();
  const close = connector.auditReads ? await recordRead(context, connector, arrival) : undefined;
  const { headers } = request;
  request.headers = {
    ...requestHeaders(headers, {
      address: arrival.address,
      protocol: context.isEncrypted ? "https" : "http",
      host: headers.host ?? "",
    }),
    ...(authorization === undefined ? {} : { authorization }),
    // Framing of a search's body: how it came is how it goes.
    ...(headers["content-length"] === undefined ? {} : { "content-length": headers["content-length"] }),
    ...(headers["transfer-encoding"] === undefined ? {} : { "transfer-encoding": "chunked" }),
  };
  if (headers.expect !== undefined) reply.writeContinue();
  request.url =
    arrival.query === undefined ? arrival.resourcePath : `${arrival.resourcePath}?${arrival.query}`;
  const startedAt = performance.now();
  const ended = new Promise<void>((resolve) => reply.once("close", resolve));
  await middlewareOf(connector)(request, reply, () => {});
  await ended;
  const durationMs = performance.now() - startedAt;
  context.observer.forwarded(
    connector.connector,
    reply.writableFinished ? "answered" : "incomplete",
    durationMs,
  );
  await close?.(reply.writableFinished ? "answered" : "incomplete", reply.statusCode, durationMs);
}

function checkSearchSize(request: IncomingMessage, limitBytes: number): void {
  if (request.method !== "POST") return;
  if (Number(request.headers["content-length"] ?? 0) > limitBytes) throw new Refusal("body_too_large");
  let size = 0;
  request.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size > limitBytes) request.destroy();
  });
  // Listening starts the flow; it must wait until the middleware pipes it.
  request.pause();
}

/** Records a read; returns what records its end. */
async function recordRead(
  context: ProxyContext,
  connector: Connector,
  arrival: Arrival,
): Promise<(outcome: Outcome, status: number, durationMs: number) => Promise<void>> {
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
    return async (outcome, status, durationMs) => {
      const answer = { outcome, status, headers: {}, body: none, durationMs };
      const recorded = { stored: undefined, sent: none, replied: status, facts: {} };
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
    throw new Refusal("ledger_unavailable", undefined, { cause, status: context.failClosed.status });
  }
}

function middlewareOf(connector: Connector): RequestHandler {
  const known = middlewares.get(connector.target);
  if (known) return known;
  const { target } = connector;
  const middleware = createProxyMiddleware({
    target: target.baseUrl,
    changeOrigin: true,
    xfwd: false,
    followRedirects: false,
    agent: target.readAgent,
    proxyTimeout: target.timeoutMs,
    selfHandleResponse: true,
    // Its own plugins answer errors in plain text and log request paths; these listeners stand in their place.
    ejectPlugins: true,
    plugins: [
      (proxy) => {
        proxy.on("proxyReq", (proxyRequest) => proxyRequest.removeHeader("expect"));
        proxy.on("proxyRes", (answer, _request, reply) => passAnswer(connector, answer, reply));
        proxy.on("error", (error, _request, reply) => {
          if (reply && "writeHead" in reply) sendRefusal(reply, toRefusal(error));
        });
      },
    ],
  });
  middlewares.set(target, middleware);
  return middleware;
}

function passAnswer(connector: Connector, answer: IncomingMessage, reply: ServerResponse): void {
  const { target, publicBase } = connector;
  const status = answer.statusCode ?? 502;
  const contentType = answer.headers["content-type"];
  const location = answer.headers.location;
  const rewritten =
    location === undefined ? undefined : rewriteLocation(location, target.baseUrl, publicBase);
  const isInside = rewritten?.startsWith(publicBase) ?? false;
  if ([301, 302, 303, 307, 308].includes(status) && !isInside) {
    answer.destroy();
    sendRefusal(reply, new Refusal("target_redirected"));
    return;
  }
  if (status === 401) target.forgetAccessToken();
  const isJson = isScimMediaType(contentType) && reply.req.method !== "HEAD";
  const length = answer.headers["content-length"];
  reply.writeHead(status, {
    ...responseHeaders(answer.headers),
    ...(isInside && rewritten !== undefined ? { location: rewritten } : {}),
    // A rewritten body has another length; it goes out chunked.
    ...(isJson || length === undefined ? {} : { "content-length": length }),
  });
  const source = isJson ? answer.pipe(new LocationRewriter(target.baseUrl, publicBase)) : answer;
  source.pipe(reply);
  // A target that breaks off must not look like a whole answer: the client's connection breaks off too.
  answer.once("close", () => {
    if (!answer.complete) reply.destroy();
  });
}

function toRefusal(error: Error): Refusal {
  const code = "code" in error ? String(error.code) : "";
  if (code === "ECONNRESET" || code === "ETIMEDOUT")
    return new Refusal("target_timeout", undefined, { cause: error });
  return new Refusal("target_unreachable", undefined, { cause: error });
}
