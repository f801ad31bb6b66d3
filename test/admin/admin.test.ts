// The admin listener's own answers: alive, ready or why not, metrics, and problem documents for everything else.

import { Registry } from "prom-client";
import request from "supertest";
import { beforeEach, expect, test } from "vitest";
import { createAdminServer } from "../../src/admin.ts";
import { serve } from "../audit/harness.ts";

let reasons: { reason: string; ledger?: string; detail?: string }[] = [];
const server = createAdminServer({
  audit: serve([]).context,
  registry: new Registry(),
  readiness: () => reasons,
});

beforeEach(() => {
  reasons = [];
});

test("it is alive whatever the ledgers are", async () => {
  reasons = [{ reason: "database_unreachable", ledger: "main" }];
  await request(server).get("/healthz").expect(200, { status: "alive" });
});

test("ready is 200, unready is 503 with every reason", async () => {
  await request(server).get("/readyz").expect(200, { ready: true, reasons: [] });
  reasons = [{ reason: "database_slow", ledger: "main", detail: "late" }, { reason: "stopping" }];
  await request(server).get("/readyz").expect(503, { ready: false, reasons });
});

test("metrics come in Prometheus' format", async () => {
  const answer = await request(server).get("/metrics").expect(200);
  expect(answer.headers["content-type"]).toContain("text/plain");
});

test("without an auditor's token the audit API tells nothing but how to get one", async () => {
  const answer = await request(server).get("/audit/v1/entries").expect(401);
  expect(answer.headers["content-type"]).toContain("application/problem+json");
  expect(answer.headers["www-authenticate"]).toContain("Bearer");
  expect(JSON.parse(answer.text)).toMatchObject({ status: 401, code: "unauthenticated" });
});

test("anything else is a problem document, with headers that keep a browser from guessing", async () => {
  const answer = await request(server).get("/nothing/here").expect(404);
  expect(JSON.parse(answer.text)).toMatchObject({ code: "not_found" });
  expect(answer.headers["x-content-type-options"]).toBe("nosniff");
  expect(answer.headers["x-powered-by"]).toBeUndefined();
});
