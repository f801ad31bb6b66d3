// The admin listener: audit API, health and metrics. Kept apart from the SCIM listener, so that it need never be
// reachable from where identity providers are.

import http, { type Server } from "node:http";
import https from "node:https";
import express from "express";
import helmet from "helmet";
import type { Registry } from "prom-client";
import { type AuditContext, listEntries, sendProblem } from "./audit/entries.ts";

export interface AdminServerOptions {
  audit: AuditContext;
  registry: Registry;
  /** Why this instance is not ready; empty when it is. */
  readiness(): readonly { reason: string; ledger?: string; detail?: string }[];
  tls?: { cert: string; key: string };
}

/** Builds the listener; the caller binds it. */
export function createAdminServer(options: AdminServerOptions): Server {
  const app = express();
  app.disable("x-powered-by");
  app.use(helmet());
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
  app.get("/audit/v1/entries", listEntries(options.audit));
  app.use((_request: express.Request, response: express.Response) =>
    sendProblem(response, 404, "not_found", "There is nothing here."),
  );
  app.use(
    (error: unknown, _request: express.Request, response: express.Response, next: express.NextFunction) => {
      if (response.headersSent) return next(error);
      sendProblem(
        response,
        503,
        "ledger_unreadable",
        "The ledger could not be read; see the log and /readyz.",
      );
    },
  );
  const limits = { headersTimeout: 10_000, requestTimeout: 30_000, connectionsCheckingInterval: 1_000 };
  return options.tls
    ? https.createServer({ ...limits, ...options.tls }, app)
    : http.createServer(limits, app);
}
