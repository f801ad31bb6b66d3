// The SCIM listener: one handler on a server whose limits are set, not defaulted. No router stands before it: it would
// normalise paths before they are judged. What Node's parser refuses is answered here too, in SCIM's form where a
// response can still be written. The adversary is anybody who can open a connection: nothing here has been authenticated.

import http, { type IncomingMessage, type Server, type ServerResponse } from "node:http";
import https from "node:https";
import type { Socket } from "node:net";
import type { Limits } from "../../config/schema.ts";
import { Refusal, type RefusalCode } from "../refusal.ts";
import { sendRefusal } from "../reply.ts";
import { checkHead } from "./framing.ts";
import { RequestOrder } from "./requestOrder.ts";

export type Handle = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

export interface ScimServerOptions {
  handle: Handle;
  /** POST /oauth2/token. */
  tokenEndpoint: Handle;
  limits: Limits;
  tls?: { cert: string; key: string };
  onParserRefusal(code: RefusalCode): void;
  /** A handler broke its promise not to throw: its client's connection was closed, nobody else's. */
  onFault(cause: unknown): void;
}

/** How long a connection that was refused is still read from, so that its client gets to read the answer. */
const LINGER_MS = 1_000;
/** Exactly this path: what another spelling means is for the route check to refuse. */
const TOKEN_ENDPOINT = /^\/oauth2\/token(?:\?|$)/;

/** Builds the listener; the caller binds it. */
export function createScimServer(options: ScimServerOptions): Server {
  const { limits, tls } = options;
  const order = new RequestOrder();
  const listener = async (request: IncomingMessage, response: ServerResponse) => {
    try {
      await order.run(request, response, (first, answer) => dispatch(options, first, answer));
    } catch (cause) {
      options.onFault(cause);
      response.destroy();
    }
  };
  const serverOptions = {
    maxHeaderSize: limits.maxHeaderBytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    // How often slow senders are looked for; Node's default of 30 s would stretch every time-out by as much.
    connectionsCheckingInterval: Math.min(1_000, limits.headersTimeoutMs),
    requireHostHeader: false,
    insecureHTTPParser: false,
  };
  const server = tls
    ? https.createServer({ ...serverOptions, ...tls, handshakeTimeout: limits.headersTimeoutMs }, listener)
    : http.createServer(serverOptions, listener);
  server.maxConnections = limits.maxConnections;
  // Node drops headers above this number silently; the head check counts them instead.
  server.maxHeadersCount = 0;
  refuseStalledReaders(server, order, limits);
  server.on("checkContinue", listener);
  server.on("checkExpectation", (request: IncomingMessage, response: ServerResponse) =>
    order.run(request, response, (_request, answer) => {
      options.onParserRefusal("expectation_failed");
      return refuse(answer, new Refusal("expectation_failed"));
    }),
  );
  const refuseSocket = async (socket: Socket, code: RefusalCode) => {
    options.onParserRefusal(code);
    if (await order.close(socket)) refuseOnSocket(socket, new Refusal(code));
  };
  server.on("connect", (_request: IncomingMessage, socket: Socket) => {
    ownSocket(socket);
    return refuseSocket(socket, "method_not_allowed");
  });
  server.on("upgrade", (_request: IncomingMessage, socket: Socket) => {
    ownSocket(socket);
    return refuseSocket(socket, "upgrade_refused");
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    const code = parserRefusal(error.code ?? "");
    if (code !== undefined) return refuseSocket(socket, code);
    // A reset, or TLS that did not come about: there is nobody to answer.
    socket.destroy();
  });
  return server;
}

async function dispatch(
  options: ScimServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method !== "POST" || !TOKEN_ENDPOINT.test(request.url ?? "")) {
    return options.handle(request, response);
  }
  try {
    checkHead(request, options.limits);
  } catch (cause) {
    if (!(cause instanceof Refusal)) throw cause;
    options.onParserRefusal(cause.code);
    return refuse(response, cause);
  }
  return options.tokenEndpoint(request, response);
}

async function refuse(response: ServerResponse, refusal: Refusal): Promise<void> {
  sendRefusal(response, refusal);
}

/**
 * A client that asks and does not read would hold an answer in memory for as long as it likes. A connection that is
 * only waiting for the target is left alone: the target's own deadline ends that.
 */
function refuseStalledReaders(server: Server, order: RequestOrder, limits: Limits): void {
  server.timeout = limits.requestTimeoutMs;
  server.on("timeout", (socket: Socket) => {
    if (socket.writableLength > 0 || !order.isBusy(socket)) socket.destroy();
  });
}

/** Node lets go of a socket at CONNECT and at an upgrade: without a listener a reset would end the process. */
function ownSocket(socket: Socket): void {
  socket.on("error", () => socket.destroy());
  // An end is read, or the socket would never close.
  socket.resume();
}

/** The refusal for what Node's parser or its clock says; undefined if there is no peer left to tell. */
function parserRefusal(code: string): RefusalCode | undefined {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return "headers_too_large";
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return "body_too_large";
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return "request_timeout";
    default:
      return code.startsWith("HPE_") ? "framing_invalid" : undefined;
  }
}

function refuseOnSocket(socket: Socket, refusal: Refusal): void {
  if (!socket.writable) return;
  const body = refusal.body();
  const reason = http.STATUS_CODES[refusal.status] ?? "Error";
  const headers = {
    ...refusal.headers,
    "content-type": "application/scim+json; charset=utf-8",
    "content-length": Buffer.byteLength(body),
    connection: "close",
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${refusal.status} ${reason}\r\n${lines.join("")}\r\n${body}`);
  // Closing with bytes unread would reset the connection, and with it the answer the client has not read yet.
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once("close", () => clearTimeout(timer));
}
