// The admin listener: audit API, published log, health and metrics. Kept apart from the SCIM listener, so that it need
// never be reachable from where identity providers are. An address that keeps coming with wrong tokens is slowed down,
// and so is one that asks for more than anybody reads; health and metrics are never limited.

import http, { type Server } from "node:http";
import https from "node:https";
import express, { type NextFunction, type Request, type RequestHandler, type Response } from "express";
import { rateLimit } from "express-rate-limit";
import helmet from "helmet";
import type { Registry } from "prom-client";
import { auditRouter } from "./audit/api.ts";
import type { AuditContext } from "./audit/context.ts";
import { PAGE_STYLE_SOURCE } from "./audit/http/page.ts";
import { problemOf, sendProblem } from "./audit/http/problem.ts";

/** Requests that one address may make in a minute before it is answered 429. */
export interface AdminLimits {
  /** Requests answered 401. */
  authFailures: number;
  /** Requests of any kind to the audit API and the published log. */
  requests: number;
  /** Requests to verify something. */
  verifications: number;
  /** Sign-in links that did not work. */
  signIns: number;
}

export interface AdminServerOptions {
  audit: AuditContext;
  registry: Registry;
  /** Why this instance is not ready; empty when it is. */
  readiness(): readonly { reason: string; ledger?: string; detail?: string }[];
  tls?: { cert: string; key: string };
  limits?: AdminLimits;
  /** Serves the dashboard's files at the root; what it does not have is passed on. */
  dashboard?: RequestHandler;
}

/** A monitor that reads a large ledger's tiles makes a few thousand requests a minute. */
const LIMITS: AdminLimits = { authFailures: 120, requests: 12_000, verifications: 120, signIns: 10 };
const MINUTE_MS = 60_000;

/** Builds the listener; the caller binds it. */
export function createAdminServer(options: AdminServerOptions): Server {
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
  app.use(["/audit/", "/ledgers/", "/session"], limitRequests(options.limits ?? LIMITS));
  app.use(auditRouter(options.audit));
  if (options.dashboard) app.use(options.dashboard);
  app.use((_request: Request, response: Response) =>
    sendProblem(response, "not_found", "There is nothing here."),
  );
  app.use((error: unknown, _request: Request, response: Response, next: NextFunction) => {
    if (response.headersSent) return next(error);
    const { code, message } = problemOf(error);
    sendProblem(response, code, message);
  });
  const limits = { headersTimeout: 10_000, requestTimeout: 30_000, connectionsCheckingInterval: 1_000 };
  return options.tls
    ? https.createServer({ ...limits, ...options.tls }, app)
    : http.createServer(limits, app);
}

/** Nothing is fetched, sent or framed by what this listener shows; one style sheet is known by its digest. */
const CONTENT_SECURITY = {
  "default-src": ["'none'"],
  "style-src": [PAGE_STYLE_SOURCE],
  "base-uri": ["'none'"],
  "form-action": ["'none'"],
  "frame-ancestors": ["'none'"],
};

function limitRequests({ authFailures, requests, verifications, signIns }: AdminLimits): RequestHandler[] {
  const isSignIn = ({ method, baseUrl }: Request): boolean => method === "POST" && baseUrl === "/session";
  const isVerification = (request: Request): boolean => request.method === "POST" && !isSignIn(request);
  return [
    limit(authFailures, {
      skipSuccessfulRequests: true,
      requestWasSuccessful: (_request, response) => response.statusCode !== 401,
    }),
    limit(requests, {}),
    limit(verifications, { skip: (request) => !isVerification(request) }),
    limit(signIns, { skip: (request) => !isSignIn(request), skipSuccessfulRequests: true }),
  ];
}

function limit(limitPerMinute: number, options: Parameters<typeof rateLimit>[0]): RequestHandler {
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
      sendProblem(response, "rate_limited", "Too many requests from this address within a minute.");
    },
  });
}
