// The built dashboard as the admin listener gives it out: sizes, names, caches, and what a browser is forbidden.

import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import express from "express";
import request from "supertest";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildDashboard, type DashboardSize, FIRST_PAGE_LIMIT_BYTES } from "../../src/dashboard/build.ts";
import { dashboardFiles } from "../../src/dashboardFiles.ts";

let dir: string;
let size: DashboardSize;
let app: express.Express;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "scimseal-dashboard-"));
  size = await buildDashboard(join(dir, "built"));
  app = express();
  app.use(dashboardFiles(join(dir, "built")));
  app.use((_request, response) => {
    response.status(404).send("passed on");
  });
});
afterAll(() => rm(dir, { recursive: true, force: true }));

test("the first page is small, and not for being empty", () => {
  expect(size.firstPageBytes).toBeLessThan(FIRST_PAGE_LIMIT_BYTES);
  expect(size.firstPageBytes).toBeGreaterThan(10_000);
  expect(size.allBytes).toBeGreaterThan(size.firstPageBytes);
});

test("every page of its own is the one page, which no cache keeps", async () => {
  for (const path of [
    "/",
    "/activity",
    "/transactions/main/x",
    "/accounts/User/a%2Fb",
    "/ledger",
    "/connectors",
  ]) {
    const { status, headers, text } = await request(app).get(path);
    expect([path, status, headers["cache-control"]]).toEqual([path, 200, "no-cache"]);
    expect(headers["content-type"]).toBe("text/html; charset=utf-8");
    expect(text).toContain('<div id="app">');
  }
});

test("a browser runs nothing but these files, and asks nobody else", async () => {
  const { headers } = await request(app).get("/");
  const policy = headers["content-security-policy"] ?? "";
  expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'");
  for (const directive of [
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    "trusted-types 'none'",
  ])
    expect(policy).toContain(directive);
  expect(policy).not.toMatch(/unsafe|http:|https:|\*/);
});

test("scripts and styles have names of their own, are cached for good, and come packed", async () => {
  const page = await readFile(join(dir, "built/index.html"), "utf8");
  const names = [...page.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map((match) => match[1] ?? "");
  expect(names.length).toBeGreaterThanOrEqual(3);
  expect(page).not.toMatch(/<style|<script(?![^>]* src=)| style=| on\w+=/);
  for (const name of names) {
    const packed = await request(app).get(name).set("accept-encoding", "br").buffer(false);
    expect(packed.headers["cache-control"]).toBe("public, max-age=31536000, immutable");
    expect(packed.headers["content-encoding"]).toBe("br");
    const plain = await request(app).get(name).set("accept-encoding", "identity");
    expect(plain.headers["content-encoding"]).toBeUndefined();
    expect(plain.headers.vary).toContain("accept-encoding");
  }
});

test("the API's paths, other methods and files elsewhere are passed on", async () => {
  for (const path of [
    "/audit/v1/",
    "/ledgers/main/checkpoint",
    "/session",
    "/healthz",
    "/index.html",
    "/activityx",
    "/%2e%2e/package.json",
    "/assets/../index.html.gz",
  ])
    expect([path, (await request(app).get(path)).text]).toEqual([path, "passed on"]);
  expect((await request(app).post("/activity")).status).toBe(404);
});

test("no source goes out: nothing is named but built files", async () => {
  const names = await readdir(join(dir, "built"), { recursive: true });
  expect(names.filter((name) => /\.(?:ts|tsx|map)$/.test(name))).toEqual([]);
});

test("the browser's part has its types in order, with a browser's names and not the server's", () => {
  const tsc = fileURLToPath(new URL("../../node_modules/.bin/tsc", import.meta.url));
  const project = fileURLToPath(new URL("../../src/dashboard", import.meta.url));
  const { stdout, status } = spawnSync(process.execPath, [tsc, "-p", project], { encoding: "utf8" });
  expect([status, stdout]).toEqual([0, ""]);
});

test("where nothing was built, the page says what to do", async () => {
  const empty = express();
  empty.use(dashboardFiles(join(dir, "nothing")));
  const { status, text } = await request(empty).get("/");
  expect(status).toBe(503);
  expect(text).toContain("npm run build:dashboard");
});
