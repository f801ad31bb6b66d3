// The document and the routes are one: nothing is served that is not described, and nothing described that is not served.

import { createHash } from "node:crypto";
import type express from "express";
import request from "supertest";
import { expect, test } from "vitest";
import { auditRouter, openApiDocument, operations } from "../../../src/audit/api.ts";
import { PROBLEM_CODES, PROBLEM_TYPE_PREFIX } from "../../../src/audit/http/problem.ts";
import { expressPath } from "../../../src/audit/http/router.ts";
import { serve } from "../harness.ts";

const { server, context } = serve([]);

/** Routes as Express has them: `get /audit/v1/entries`. A route for all methods answers with what there is. */
function routesOf(router: express.Router): string[] {
  return router.stack.flatMap(({ route }) => {
    if (!route) return [];
    const methods = Object.keys((route as unknown as { methods: Record<string, boolean> }).methods);
    return methods.filter((method) => method !== "_all").map((method) => `${method} ${route.path}`);
  });
}

test("every route is in the document, and every operation of the document is a route", () => {
  const documented = Object.entries(openApiDocument.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => {
      const operation = operations.find((one) => one.path === path && one.method === method);
      return `${method} ${operation ? expressPath(operation) : path}`;
    }),
  );
  const routes = routesOf(auditRouter(context));
  expect(routes.length).toBeGreaterThan(15);
  expect(documented.sort()).toEqual(routes.sort());
});

test("beside the audit API the listener has health and metrics only", () => {
  const [app] = server.listeners("request") as [express.Express];
  expect(routesOf(app.router as express.Router).sort()).toEqual([
    "get /healthz",
    "get /metrics",
    "get /readyz",
  ]);
});

test("the document is OpenAPI 3.1 with what it refers to", async () => {
  const { body } = await request(server).get("/audit/v1/openapi.json").expect(200);
  expect(body).toEqual(JSON.parse(JSON.stringify(openApiDocument)));
  expect(body.openapi).toBe("3.1.0");
  const text = JSON.stringify(body);
  const names = [...text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name ?? "");
  expect(new Set(names)).toEqual(new Set(Object.keys(body.components.schemas)));
  expect(text).not.toContain("$defs");
  const ids = operations.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
});

test("every parameter of a path is described, and integers are integers", () => {
  for (const [path, methods] of Object.entries(openApiDocument.paths)) {
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    for (const { parameters, responses } of Object.values(methods)) {
      expect(parameters.filter((one) => one.in === "path").map(({ name }) => name)).toEqual(inPath);
      expect(parameters.every(({ description }) => description !== undefined)).toBe(true);
      expect(Object.keys(responses)).toContain("429");
    }
  }
  const proof = openApiDocument.paths["/audit/v1/ledgers/{ledger}/entries/{seq}/proof"]?.get;
  expect(proof?.parameters.map(({ name, required, schema }) => [name, required, schema.type])).toEqual([
    ["ledger", true, "string"],
    ["seq", true, "integer"],
    ["size", false, "integer"],
    ["format", false, "string"],
  ]);
  expect(Object.keys(proof?.responses ?? {})).toEqual([
    "200",
    "400",
    "401",
    "403",
    "404",
    "429",
    "500",
    "503",
  ]);
});

test("a token is asked for by everything but the two documents, the sign-in, and who asks whether he is signed in", () => {
  const open = operations.filter(({ access }) => access === "anyone").map(({ path }) => path);
  expect(open).toEqual(["/audit/v1/", "/audit/v1/openapi.json", "/session", "/session/current"]);
  expect(openApiDocument.paths["/audit/v1/verify"]?.post?.security).toEqual([
    { auditorToken: [] },
    { session: [] },
  ]);
});

test("the page has every operation and every problem, runs no script and fetches nothing", async () => {
  const { text, headers } = await request(server).get("/audit/v1/").expect(200);
  expect(headers["content-type"]).toContain("text/html");
  const policy = headers["content-security-policy"] ?? "";
  expect(policy).toMatch(/^default-src 'none';style-src 'sha256-[A-Za-z0-9+/]+=*';/);
  const [, style = ""] = /<style>(.*)<\/style>/s.exec(text) ?? [];
  expect(policy).toContain(createHash("sha256").update(style).digest("base64"));
  for (const { id } of operations) expect(text).toContain(`id="${id}"`);
  for (const code of PROBLEM_CODES)
    expect(text).toContain(`id="${PROBLEM_TYPE_PREFIX.split("#")[1]}${code}"`);
  expect(text).not.toMatch(/<script|<link|src=|https?:\/\//);
});
