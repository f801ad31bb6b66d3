// Streams one read to the target and its answer back, by http-proxy-middleware. It gets a request whose headers are
// already the allow-listed ones, follows no redirect, adds no X-Forwarded-* of its own, and what it would answer by
// itself is replaced by SCIM errors. An answer's body is rewritten on its way (see rewriteStream.ts), never collected.

import type { ClientRequest, IncomingMessage, ServerResponse } from "node:http";
import { createProxyMiddleware, type RequestHandler } from "http-proxy-middleware";
import type { Outcome } from "../../ledger/entry.ts";
import { formatScimError } from "../../scim/error.ts";
import { rewriteLocation } from "../../scim/rewrite.ts";
import type { Connector } from "../connector.ts";
import { isScimMediaType, responseHeaders } from "../header.ts";
import { Refusal, type RefusalCode } from "../refusal.ts";
import { sendRefusal } from "../reply.ts";
import { cleanHeaders, isBelow } from "./answer.ts";
import { LocationRewriter } from "./rewriteStream.ts";
import { SecretMask } from "./scrub.ts";
import type { Target } from "./target.ts";

/** How a read ended; the target's status if it gave one. */
export interface ReadEnd {
  outcome: Outcome;
  status?: number;
  /** What the client was told by the proxy itself, in the target's place. */
  refused?: RefusalCode;
}

interface Relay {
  end: ReadEnd;
  mayHoldSecret(): boolean;
  toTarget?: ClientRequest;
}

const middlewares = new WeakMap<Target, RequestHandler>();
/** By reply: all that the middleware's listeners are given. */
const relays = new WeakMap<ServerResponse, Relay>();

/** Relays one read; resolves when the reply is over, whoever ended it. `mayHoldSecret`: asked when the answer comes. */
export async function relay(
  connector: Connector,
  request: IncomingMessage,
  reply: ServerResponse,
  mayHoldSecret: () => boolean,
): Promise<ReadEnd> {
  // A client that left while its read was being recorded: no event would come any more.
  if (reply.closed || reply.destroyed) return { outcome: "not_sent" };
  const state: Relay = { end: { outcome: "unknown" }, mayHoldSecret };
  relays.set(reply, state);
  const closed = new Promise<void>((resolve) => reply.once("close", resolve));
  await middlewareOf(connector)(request, reply, () => {});
  await closed;
  // The target said it all, but not all of it reached the client.
  const isCut = state.end.outcome === "answered" && !reply.writableFinished;
  return isCut ? { ...state.end, outcome: "incomplete" } : state.end;
}

/**
 * Ends a read whose request is still coming: the target never gets the whole of it, and the client is told why, if it
 * was told nothing yet.
 */
export function breakOff(request: IncomingMessage, reply: ServerResponse, code: RefusalCode): void {
  const state = relays.get(reply);
  if (!state || state.end.refused) return;
  request.unpipe();
  request.pause();
  refuse(reply, { outcome: "unknown" }, new Refusal(code));
  state.toTarget?.destroy();
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
        proxy.on("proxyReq", (proxyRequest, _request, reply) => {
          proxyRequest.removeHeader("expect");
          const state = relays.get(reply);
          if (state?.end.refused) proxyRequest.destroy();
          else if (state) state.toTarget = proxyRequest;
        });
        proxy.on("proxyRes", (answer, _request, reply) => passAnswer(connector, answer, reply));
        proxy.on("error", (error, _request, reply) => {
          if (reply && "writeHead" in reply) passError(error, reply);
        });
      },
    ],
  });
  middlewares.set(target, middleware);
  return middleware;
}

function passAnswer(connector: Connector, answer: IncomingMessage, reply: ServerResponse): void {
  if (relays.get(reply)?.end.refused) {
    answer.destroy();
    return;
  }
  const { target, publicBase } = connector;
  const status = answer.statusCode ?? 502;
  const { location, "content-type": contentType, "content-length": length } = answer.headers;
  const rewritten = location && rewriteLocation(location, target.baseUrl, publicBase);
  const inside = rewritten && isBelow(rewritten, publicBase) ? rewritten : undefined;
  const isRedirect = [301, 302, 303, 307, 308].includes(status) && inside === undefined;
  if (isRedirect || status > 599 || isEncoded(answer)) {
    const outcome = isRedirect ? "redirected" : "protocol_error";
    answer.destroy();
    refuse(reply, { outcome, status }, new Refusal(`target_${outcome}`));
    return;
  }
  if (status === 401) {
    target.forgetAccessToken();
    answer.destroy();
    refuse(reply, { outcome: "answered", status }, new Refusal("target_credential_refused"));
    return;
  }
  const headers = {
    ...cleanHeaders(responseHeaders(answer.headers), target.secrets),
    ...(inside === undefined ? {} : { location: inside }),
  };
  if (status >= 400 && relays.get(reply)?.mayHoldSecret()) {
    settle(reply, { outcome: "answered", status });
    answer.destroy();
    sendPlainError(reply, status, headers);
    return;
  }
  settle(reply, { outcome: "incomplete", status });
  answer.once("end", () => {
    if (answer.complete) settle(reply, { outcome: "answered", status });
  });
  const isJson = isScimMediaType(contentType);
  // A rewritten body has another length; it goes out chunked, and a HEAD must not say the length of another one.
  reply.writeHead(status, {
    ...headers,
    ...(isJson || length === undefined ? {} : { "content-length": length }),
  });
  const masked = target.secrets.length > 0 ? answer.pipe(new SecretMask(target.secrets)) : answer;
  const source = isJson ? masked.pipe(new LocationRewriter(target.baseUrl, publicBase)) : masked;
  source.pipe(reply);
  // A target that breaks off must not look like a whole answer: the client's connection breaks off too.
  answer.once("close", () => {
    if (!answer.complete) reply.destroy();
  });
}

/** Targets quote a filter they refuse. Where it may hold a password, only the status of the refusal is passed on. */
function sendPlainError(reply: ServerResponse, status: number, headers: Record<string, string>): void {
  const detail =
    "The target refused the query. Its text is left out, since the query names a secret attribute.";
  const body = Buffer.from(formatScimError(status, detail));
  reply.writeHead(status, {
    ...headers,
    "content-type": "application/scim+json; charset=utf-8",
    "content-length": body.length,
  });
  reply.end(body);
}

/** A coding that was not asked for: locations in it could not be rewritten. */
function isEncoded({ headers }: IncomingMessage): boolean {
  const coding = headers["content-encoding"] ?? "identity";
  return coding !== "" && coding.toLowerCase() !== "identity";
}

const REFUSALS = {
  not_sent: "target_unreachable",
  protocol_error: "target_protocol_error",
  unknown: "target_timeout",
} as const;

function passError(error: Error, reply: ServerResponse): void {
  const outcome = outcomeOf(error);
  const refusal = new Refusal(REFUSALS[outcome], undefined, { cause: error });
  if (relays.get(reply)?.end.refused) return;
  // After an answer began, the middleware's error tells nothing new.
  if (reply.headersSent) sendRefusal(reply, refusal);
  else refuse(reply, { outcome }, refusal);
}

/** The proxy's own word in the target's place; breaks the answer off if one had begun. */
function refuse(reply: ServerResponse, end: ReadEnd, refusal: Refusal): void {
  settle(reply, { ...end, refused: refusal.code });
  sendRefusal(reply, refusal);
}

function outcomeOf(error: Error): keyof typeof REFUSALS {
  const code = "code" in error ? String(error.code) : "";
  if (code.startsWith("HPE_")) return "protocol_error";
  // The middleware ends a silent connection itself, which looks like a reset.
  return ["ECONNRESET", "EPIPE", "ETIMEDOUT"].includes(code) ? "unknown" : "not_sent";
}

function settle(reply: ServerResponse, end: ReadEnd): void {
  const state = relays.get(reply);
  if (state) state.end = end;
}
