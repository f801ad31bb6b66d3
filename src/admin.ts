// The admin listener: audit API, published log, health and metrics. Kept apart from the SCIM listener, so that it need
// never be reachable from where identity providers are. An address that keeps coming with wrong tokens is slowed down,
// and so is one that asks for more than anybody reads; health and metrics are never limited. Many people may come from one
// address, and any page in their browsers can send requests from it: so a failure is counted when it is known to be one,
// and refuses further failures, never a request that proves itself.

import http, { type Server, type ServerResponse } from "node:http";
import https from "node:https";
import type { Socket } from "node:net";
import express, { type NextFunction, type Request, type RequestHandler, type Response } from "express";
import { ipKeyGenerator, rateLimit } from "express-rate-limit";
import helmet from "helmet";
import type { Registry } from "prom-client";
import { auditRouter } from "./audit/api.ts";
import type { AuditContext } from "./audit/context.ts";
import { readCookie } from "./audit/http/ownSite.ts";
import { PAGE_STYLE_SOURCE } from "./audit/http/page.ts";
import { type ProblemCode, problemOf, sendProblem } from "./audit/http/problem.ts";

/** Requests that one address may make in a minute before it is answered 429. */
export interface AdminLimits {
  /** Tokens and sessions that are none. */
  authFailures: number;
  /** Requests of any kind that were let in to the audit API and the published log; and as many that were not. */
  requests: number;
  /** Requests to verify something, of whoever may. */
  verifications: number;
  /** Sign-in links that did not work. */
  signIns: number;
}

/** Bounds on connections. */
export interface AdminConnections {
  /** Open at a time; further ones are closed at once. */
  max: number;
  /** A connection whose client does not read is closed after this, and so is one on which nothing happens. */
  stalledMs: number;
}

export interface AdminServerOptions {
  audit: AuditContext;
  registry: Registry;
  /** Why this instance is not ready; empty when it is. */
  readiness(): readonly { reason: string; ledger?: string; detail?: string }[];
  tls?: { cert: string; key: string };
  limits?: AdminLimits;
  connections?: AdminConnections;
  /** Serves the dashboard's files at the root; what it does not have is passed on. */
  dashboard?: RequestHandler;
}

/** A monitor that reads a large ledger's tiles makes a few thousand requests a minute. */
const LIMITS: AdminLimits = { authFailures: 120, requests: 12_000, verifications: 120, signIns: 10 };
const CONNECTIONS: AdminConnections = { max: 1_000, stalledMs: 60_000 };
const MINUTE_MS = 60_000;

/** Builds the listener; the caller binds it. */
export function createAdminServer(options: AdminServerOptions): Server {
  const { limits = LIMITS, connections = CONNECTIONS } = options;
  const app = express();
  app.disable("x-powered-by");
  app.enable("case sensitive routing");
  app.use(helmet({ contentSecurityPolicy: { useDefaults: false, directives: CONTENT_SECURITY } }));
  app.get("/healthz", (_request, response) => {
    response.json({ status: "alive" });
  });
  app.get("/readyz", (_request, response) => {
    const reasons = options.readiness();
    response.status(reasons.length > 0 ? 503 : 200).json({ ready: reasons.length === 0, reasons });
  });
  app.get("/metrics", async (_request, response) => {
    response.type(options.registry.contentType).send(await options.registry.metrics());
  });
  app.use(["/audit/", "/ledgers/", "/session"], limitRequests(limits));
  app.use(auditRouter(options.audit));
  if (options.dashboard) app.use(options.dashboard);
  app.use((_request: Request, response: Response) =>
    sendProblem(response, "not_found", "There is nothing here."),
  );
  const limitOf = limitFailures(limits);
  app.use(async (error: unknown, request: Request, response: Response, next: NextFunction) => {
    if (response.headersSent) return next(error);
    const { code, message } = problemOf(error);
    const limited = limitOf(code, request);
    if (!limited) return sendProblem(response, code, message);
    response.locals.isFailure = true;
    await limited(request, response, (failure?: unknown) =>
      failure === undefined ? sendProblem(response, code, message) : next(failure),
    );
  });
  const times = { headersTimeout: 10_000, requestTimeout: 30_000, connectionsCheckingInterval: 1_000 };
  const server = options.tls
    ? https.createServer({ ...times, ...options.tls, handshakeTimeout: times.headersTimeout }, app)
    : http.createServer(times, app);
  limitConnections(server, connections);
  return server;
}

/** Nothing is fetched, sent or framed by what this listener shows; one style sheet is known by its digest. */
const CONTENT_SECURITY = {
  "default-src": ["'none'"],
  "style-src": [PAGE_STYLE_SOURCE],
  "base-uri": ["'none'"],
  "form-action": ["'none'"],
  "frame-ancestors": ["'none'"],
};

function limitRequests({ requests, verifications }: AdminLimits): RequestHandler[] {
  const isSignIn = ({ method, baseUrl }: Request): boolean => method === "POST" && baseUrl === "/session";
  const isVerification = (request: Request): boolean => request.method === "POST" && !isSignIn(request);
  // What was not let in is counted where that is known, see below.
  const options = {
    skipFailedRequests: true,
    requestWasSuccessful: (_request: Request, { locals }: Response) => locals.isFailure !== true,
  };
  return [
    limit(requests, {
      ...options,
      // Whoever brings a link has nothing else yet: what does not work is counted below.
      skip: isSignIn,
      // What is public can be asked for by any page of another site: that must not use up what a token or session has.
      keyGenerator: (request) =>
        `${ipKeyGenerator(request.ip ?? "")} ${bringsCredential(request) ? "known" : "anyone"}`,
    }),
    limit(verifications, { ...options, skip: (request) => !isVerification(request) }),
  ];
}

/**
 * What a problem counts against, if it says that a request was not let in. Beyond the limit the same failure is answered
 * 429, and its connection ends.
 */
function limitFailures({ authFailures, requests, signIns }: AdminLimits) {
  const links = limit(signIns, {}, "close");
  const credentials = limit(authFailures, {}, "close");
  const others = limit(requests, {}, "close");
  return (code: ProblemCode, request: Request): ReturnType<typeof rateLimit> | undefined => {
    switch (code) {
      case "link_invalid":
        return links;
      case "unauthenticated":
        return bringsCredential(request) ? credentials : others;
      case "forbidden":
      case "cross_site":
        return others;
      default:
        return undefined;
    }
  };
}

/** A page of another site can make a browser send neither: no header of its choice, and no SameSite cookie. */
function bringsCredential(request: Request): boolean {
  return request.headers.authorization !== undefined || readCookie(request) !== undefined;
}

function limit(
  limitPerMinute: number,
  options: Parameters<typeof rateLimit>[0],
  connection?: "close",
): ReturnType<typeof rateLimit> {
  return rateLimit({
    windowMs: MINUTE_MS,
    limit: limitPerMinute,
    // One header for several limits would say which: the answer of the one that refuses is enough.
    standardHeaders: false,
    legacyHeaders: false,
    // The peer's address counts; a forwarded one is anybody's word here, and its presence no mistake of ours.
    validate: { xForwardedForHeader: false, forwardedHeader: false },
    ...options,
    handler: (_request, response) => {
      response.setHeader("retry-after", MINUTE_MS / 1_000);
      if (connection) response.setHeader("connection", connection);
      sendProblem(response, "rate_limited", "Too many requests from this address within a minute.");
    },
  });
}

/**
 * A client that asks and does not read would hold an answer in memory for as long as it likes. A connection that is only
 * waiting for its answer is left alone: a long verification or a quiet live tail is no stall.
 */
function limitConnections(server: Server, { max, stalledMs }: AdminConnections): void {
  // Answers of a connection are sent in order: while the last one is not out, there is something to wait for.
  const lastOf = new WeakMap<Socket, ServerResponse>();
  server.maxConnections = max;
  server.timeout = stalledMs;
  server.on("request", ({ socket }, response) => lastOf.set(socket, response));
  server.on("timeout", (socket: Socket) => {
    if (socket.writableLength > 0 || (lastOf.get(socket)?.closed ?? true)) socket.destroy();
  });
}
