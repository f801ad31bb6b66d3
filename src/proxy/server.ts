// The SCIM listener: an express application with one handler, on a server whose limits are set, not defaulted. What
// Node's parser refuses is answered here too, in SCIM's form where a response can still be written.

import http, { type IncomingMessage, type Server, type ServerResponse } from "node:http";
import https from "node:https";
import type { Socket } from "node:net";
import express from "express";
import type { Limits } from "../config/schema.ts";
import { Refusal, type RefusalCode } from "./refusal.ts";

export type Handle = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

export interface ScimServerOptions {
  handle: Handle;
  /** POST /oauth2/token. */
  tokenEndpoint: Handle;
  limits: Limits;
  tls?: { cert: string; key: string };
  onParserRefusal(code: RefusalCode): void;
}

/** Builds the listener; the caller binds it. */
export function createScimServer(options: ScimServerOptions): Server {
  const { limits, tls } = options;
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.post("/oauth2/token", (request, response) => options.tokenEndpoint(request, response));
  app.use((request, response) => options.handle(request, response));
  const serverOptions = {
    maxHeaderSize: limits.maxHeaderBytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    // How often slow senders are looked for; Node's default of 30 s would stretch every time-out by as much.
    connectionsCheckingInterval: 1_000,
    requireHostHeader: true,
    insecureHTTPParser: false,
  };
  const server = tls
    ? https.createServer({ ...serverOptions, ...tls }, app)
    : http.createServer(serverOptions, app);
  server.maxConnections = limits.maxConnections;
  // Node drops headers above this number silently; the head check counts them instead.
  server.maxHeadersCount = 0;
  server.on("checkContinue", app);
  server.on("connect", (_request: IncomingMessage, socket: Socket) =>
    refuseOnSocket(socket, new Refusal("method_not_allowed")),
  );
  server.on("upgrade", (_request: IncomingMessage, socket: Socket) =>
    refuseOnSocket(socket, new Refusal("framing_invalid")),
  );
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    const code = parserRefusal(error.code ?? "");
    options.onParserRefusal(code);
    refuseOnSocket(socket, new Refusal(code));
  });
  return server;
}

function parserRefusal(code: string): RefusalCode {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return "headers_too_large";
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return "body_too_large";
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return "request_timeout";
    default:
      return "framing_invalid";
  }
}

function refuseOnSocket(socket: Socket, refusal: Refusal): void {
  // A reset peer has nobody to answer to, and an answer that already began cannot be followed by another.
  const answering = (socket as Socket & { _httpMessage?: ServerResponse })._httpMessage;
  if (!socket.writable || answering?.headersSent) {
    socket.destroy();
    return;
  }
  const body = refusal.body();
  const reason = http.STATUS_CODES[refusal.status] ?? "Error";
  socket.end(
    `HTTP/1.1 ${refusal.status} ${reason}\r\nContent-Type: application/scim+json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}
