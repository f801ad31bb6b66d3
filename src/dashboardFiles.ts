// The dashboard on the admin listener: the one page under every path of its own, and its scripts and styles under names
// that hold their digest, so those may be cached for good and the page never. Only files that were there when this
// started are served: a name that a request brings is looked up, never opened. The adversary is a value in the ledger
// that wants to be script: the Content-Security-Policy lets nothing run but these files, and nothing be fetched but here.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { NextFunction, Request, RequestHandler, Response } from "express";

/** Where the build puts it. */
const DASHBOARD_DIR = fileURLToPath(new URL("../dist/dashboard", import.meta.url));

/** What the browser may do with these pages. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

/** The dashboard's own paths; every other one belongs to the API or to nobody. */
const PAGES = /^\/(?:$|(?:activity|transactions|accounts|ledger|connectors)(?:\/.*)?$)/;

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
};
const YEAR_SECONDS = 31_536_000;

interface ServedFile {
  readonly type: string;
  readonly plain: Buffer;
  readonly gzip: Buffer | undefined;
  readonly brotli: Buffer | undefined;
}

/** Serves the dashboard that is in a directory; all of it is read once, now (about half a megabyte). */
export function dashboardFiles(directory: string = DASHBOARD_DIR): RequestHandler {
  const files = readFiles(directory);
  const page = files.get("/index.html");
  return (request: Request, response: Response, next: NextFunction) => {
    const isPage = PAGES.test(request.path);
    const file = isPage ? page : files.get(request.path);
    if (!isPage && (!file || request.path === "/index.html")) return next();
    if (request.method !== "GET" && request.method !== "HEAD") return next();
    response.setHeader("content-security-policy", POLICY);
    response.setHeader("cross-origin-opener-policy", "same-origin");
    response.setHeader("permissions-policy", "camera=(), geolocation=(), microphone=()");
    response.setHeader("cache-control", isPage ? "no-cache" : `public, max-age=${YEAR_SECONDS}, immutable`);
    if (!file) {
      response
        .status(503)
        .type("text/plain")
        .send("The dashboard was not built: run npm run build:dashboard.\n");
      return;
    }
    response.vary("accept-encoding");
    const coding = file.brotli && request.acceptsEncodings("br") ? "br" : "gzip";
    const packed = coding === "br" ? file.brotli : request.acceptsEncodings("gzip") ? file.gzip : undefined;
    if (packed) response.setHeader("content-encoding", coding);
    response.setHeader("content-type", file.type);
    response.end(request.method === "HEAD" ? undefined : (packed ?? file.plain));
  };
}

function readFiles(directory: string): ReadonlyMap<string, ServedFile> {
  if (!existsSync(directory)) return new Map();
  const names = readdirSync(directory, { recursive: true, encoding: "utf8" }).map((name) =>
    name.replaceAll("\\", "/"),
  );
  const present = new Set(names);
  const read = (name: string) => (present.has(name) ? readFileSync(join(directory, name)) : undefined);
  const served = new Map<string, ServedFile>();
  for (const name of names) {
    const type = TYPES[name.slice(name.lastIndexOf(".") + 1)];
    if (!type) continue;
    const plain = readFileSync(join(directory, name));
    served.set(`/${name}`, { type, plain, gzip: read(`${name}.gz`), brotli: read(`${name}.br`) });
  }
  return served;
}
