// The demo target: a small, real SCIM 2.0 server (RFC 7643, RFC 7644) made of scimmy on express, with a journal of its own.
// It plays the application behind the proxy in the demo and in the system tests; run as a process of its own it outlives
// a killed proxy. It promises that a write is in its journal before it is applied, and that nothing survives its process.
// It is no product: one token, no TLS, no persistence.

import { createHash, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";
import express, { type NextFunction, type Request, type Response } from "express";
import SCIMMY from "scimmy";
import { SCIMMYRouters } from "scimmy-routers";
import { normaliseBody } from "./dialect.ts";
import { createDirectory, type Directory, declareResources } from "./directory.ts";
import { type Journal, type JournalLine, openJournal } from "./journal.ts";

const BASE_PATH = "/scim/v2";
const BODY_LIMIT_BYTES = 16 * 1024 * 1024;
const ERROR_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:Error";

/** A running target. */
export interface Target {
  /** The SCIM base URL, such as http://127.0.0.1:41234/scim/v2. */
  readonly url: string;
  /** Every write that arrived so far, authenticated or not, oldest first. */
  journal(): JournalLine[];
  /** Ends open connections too; resolves when the port is free. */
  close(): Promise<void>;
}

/** Where a target listens and what it asks for. Port 0 or none: any free one. */
export interface TargetOptions {
  readonly port?: number;
  readonly host?: string;
  readonly token: string;
  readonly journalFile?: string;
}

/** Starts a target in this process and resolves when it listens; rejects when the port is taken. Several may run side by side. */
export async function startTarget(options: TargetOptions): Promise<Target> {
  const host = options.host ?? "127.0.0.1";
  let origin = "";
  const journal = openJournal(options.journalFile);
  const directory = createDirectory(() => `${origin}${BASE_PATH}`);
  const server = createServer(buildApp(options.token, journal, directory, () => origin));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, host, resolve);
  });
  // A listening TCP server's address is an object; only a pipe's is a string.
  const { port } = server.address() as AddressInfo;
  origin = `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
  return {
    url: `${origin}${BASE_PATH}`,
    journal: journal.lines,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/**
 * Runs a target as a process: `--port N --token-file FILE --journal FILE [--host H]`. Prints one JSON line `{"url":…}` when it
 * listens and ends on SIGTERM or SIGINT. The token comes from a file, since arguments are visible to every user of a machine.
 */
export async function runTarget(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      port: { type: "string", default: "0" },
      host: { type: "string", default: "127.0.0.1" },
      "token-file": { type: "string" },
      journal: { type: "string" },
    },
  });
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw new Error(`--port ${values.port} is not a port: give a number from 0 to 65535`);
  }
  const tokenFile = values["token-file"];
  if (tokenFile === undefined)
    throw new Error("--token-file is missing: give a file that holds the bearer token");
  const token = readFileSync(tokenFile, "utf8").trim();
  if (token === "") throw new Error(`${tokenFile} is empty: write the bearer token into it`);
  const journalFile = values.journal;
  const target = await startTarget({
    port,
    host: values.host,
    token,
    ...(journalFile === undefined ? {} : { journalFile }),
  });
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => void target.close());
  }
  process.stdout.write(`${JSON.stringify({ url: target.url })}\n`);
}

function buildApp(token: string, journal: Journal, directory: Directory, origin: () => string) {
  declareResources();
  // Every SCIMMYRouters adds its scheme to a process-wide list; start it over.
  SCIMMY.Config.set({ authenticationSchemes: [], etag: true });
  const app = express();
  app.disable("x-powered-by");
  // RFC 7644 §3.14: the ETag is the resource's version, not a digest of this answer.
  app.disable("etag");
  app.use(BASE_PATH, receive(token, journal, directory));
  app.use(
    BASE_PATH,
    new SCIMMYRouters({
      type: "bearer",
      // Authenticated already, before the body was looked at.
      handler: () => "",
      context: () => directory,
      // scimmy keeps the base in static fields. Everything it awaits is settled already, so from here to the answer no other
      // request gets in between, and two targets in one process do not mix.
      baseUri: origin,
    }),
  );
  app.use((_request: Request, response: Response) => sendError(response, 404, "no such endpoint"));
  app.use(reportFailure);
  return app;
}

/** Takes the raw body, journals it, and only then looks at it. */
function receive(token: string, journal: Journal, directory: Directory) {
  const isRight = tokenCheck(token);
  return async (request: Request, response: Response, next: NextFunction): Promise<void> => {
    const { body, complete } = await readBody(request);
    let line: JournalLine | undefined;
    if (isWrite(request)) {
      line = journal.record({
        method: request.method,
        path: request.originalUrl,
        headers: request.headers,
        body,
        complete,
      });
    }
    // If we crash here the journal has a write that was never applied: the same as a crash inside a real target.
    response.once("finish", () => {
      if (line !== undefined) line.status = response.statusCode;
    });
    if (!complete) {
      if (!response.destroyed) sendError(response, 413, "body too large");
      return;
    }
    if (!isRight(request.headers.authorization)) {
      sendError(
        response.setHeader("WWW-Authenticate", 'Bearer realm="target"'),
        401,
        "token missing or wrong",
      );
      return;
    }
    if (body.length > 0) {
      try {
        const parsed: unknown = JSON.parse(body.toString("utf8"));
        request.body = normaliseBody(request.method, request.path, parsed, directory);
      } catch {
        // The parser's own message quotes the body, and a body may hold a password.
        sendError(response, 400, "the body is not JSON", "invalidSyntax");
        return;
      }
    }
    if (!matchesVersion(request, directory)) {
      sendError(response, 412, "the resource has another version");
      return;
    }
    // Express 5 parses the query again at every look; scimmy's router wants to leave numbers in it.
    Object.defineProperty(request, "query", { value: { ...request.query }, writable: true });
    addResourceHeaders(response);
    next();
  };
}

/** Express knows an error handler by its four parameters; its own one would send the stack. */
function reportFailure(cause: unknown, request: Request, response: Response, _next: NextFunction): void {
  // The name alone: a message may quote the body.
  const name = cause instanceof Error ? cause.name : typeof cause;
  process.stderr.write(`demo target: ${request.method} failed with ${name}\n`);
  if (!response.headersSent) sendError(response, 500, "the target failed");
}

function isWrite(request: Request): boolean {
  if (request.method === "POST") return !request.path.endsWith("/.search");
  return ["PUT", "PATCH", "DELETE"].includes(request.method);
}

/** Resolves in any case: with `complete` false when the connection broke or the limit was passed. */
function readBody(request: IncomingMessage): Promise<{ body: Buffer; complete: boolean }> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  return new Promise((resolve) => {
    const finish = () => {
      const complete = request.complete && sizeBytes <= BODY_LIMIT_BYTES;
      resolve({ body: Buffer.concat(chunks), complete });
    };
    request.on("data", (chunk: Buffer) => {
      sizeBytes += chunk.length;
      // The rest is read and dropped, so that a client that does not listen while it sends gets its answer.
      if (sizeBytes <= BODY_LIMIT_BYTES) chunks.push(chunk);
    });
    // A client that hangs up inside the body makes "error" and "close"; the journal says what came.
    for (const event of ["end", "error", "close"]) request.once(event, finish);
  });
}

/** Compares digests, so that neither content nor length of the token shows in the time taken. */
function tokenCheck(token: string): (header: string | undefined) => boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  const expected = digest(`Bearer ${token}`);
  return (header) => timingSafeEqual(expected, digest((header ?? "").replace(/^bearer /i, "Bearer ")));
}

/** If-Match of RFC 7644 §3.14; a missing resource is left to scimmy's 404. */
function matchesVersion(request: Request, directory: Directory): boolean {
  const wanted = request.headers["if-match"];
  if (wanted === undefined || wanted === "*") return true;
  const [, kind, id = ""] = /^\/(User|Group)s\/([^/]+)$/.exec(request.path) ?? [];
  if (kind === undefined) return true;
  const current = directory[kind === "User" ? "User" : "Group"].get(id);
  return current === undefined || wanted.split(",").some((tag) => tag.trim() === current.meta.version);
}

/** scimmy's router leaves out the Location of a created resource (RFC 7644 §3.3) and the ETag (§3.14). */
function addResourceHeaders(response: Response): void {
  const json = response.json.bind(response);
  response.json = (body: { meta?: { location?: string; version?: string } } | undefined) => {
    const { location, version } = body?.meta ?? {};
    if (version !== undefined) response.setHeader("ETag", version);
    if (location !== undefined && response.statusCode === 201) response.setHeader("Location", location);
    return json(body);
  };
}

function sendError(response: Response, status: number, detail: string, scimType?: string): void {
  response.status(status).type("application/scim+json");
  response.send(
    JSON.stringify({
      schemas: [ERROR_SCHEMA],
      status: String(status),
      ...(scimType === undefined ? {} : { scimType }),
      detail,
    }),
  );
}

if (import.meta.main) {
  runTarget(process.argv.slice(2)).catch((cause: unknown) => {
    process.stderr.write(`${cause instanceof Error ? cause.message : String(cause)}\n`);
    process.exitCode = 1;
  });
}
