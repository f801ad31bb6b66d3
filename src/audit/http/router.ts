// Serves operations: answers, HEAD and OPTIONS (RFC 9110 §9.3), 405 with Allow for other methods. Every error is
// passed on as a problem, for the listener to count and answer. Below /audit/v1 a path that leads nowhere needs a token
// too, so that probing tells nothing.

import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import express, { type NextFunction, type Request, type Response, type Router } from "express";
import { requireAuditor } from "../access.ts";
import type { AuditContext } from "../context.ts";
import type { Operation, Reply } from "./operation.ts";
import { Problem, problemOf } from "./problem.ts";

const API = "/audit/v1";
/** Whoever has a valid token or session. */
const ANYBODY = { role: "operator", scope: "connectors" } as const;

/** A router of these operations; of two whose paths both fit, the one that stands first answers. */
export function makeRouter(operations: readonly Operation[], context: AuditContext): Router {
  const router = express.Router({ caseSensitive: true });
  // The published log has one URL for each thing (C2SP tlog-tiles); elsewhere a slash at the end is forgiven.
  router.use("/ledgers", ({ path }, _response, next) => next(path.endsWith("/") ? "router" : undefined));
  const byPath = Map.groupBy(operations, expressPath);
  for (const [path, group] of byPath) {
    for (const operation of group) {
      router[operation.method](path, async (request, response) => {
        await send(request, response, await operation.run(context, request));
      });
    }
    const allow = [...new Set(group.flatMap(({ method }) => METHODS[method])), "OPTIONS"].join(", ");
    const isOpen = group.every(({ access }) => access === "anyone");
    router.all(path, (request, response) => {
      response.setHeader("allow", allow);
      if (request.method === "OPTIONS") {
        response.status(204).end();
        return;
      }
      if (path.startsWith(API) && !isOpen) requireAuditor(context, request, ANYBODY);
      throw new Problem("method_not_allowed", `Here are only ${allow}.`);
    });
  }
  router.use(API, (request) => {
    requireAuditor(context, request, ANYBODY);
    throw new Problem("not_found", "There is nothing here; /audit/v1/ says what there is.");
  });
  router.use((error: unknown, _request: Request, response: Response, next: NextFunction) => {
    const problem = problemOf(error);
    if (problem.code === "ledger_unreadable" || problem.code === "ledger_inconsistent")
      context.onError?.(error);
    // Half an answer must not look like a whole one.
    if (response.headersSent) response.destroy();
    else next(problem);
  });
  return router;
}

/** An operation's path as Express spells it. */
export function expressPath({ path, wildcard }: Operation): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) => (name === wildcard ? `*${name}` : `:${name}`));
}

const METHODS = { get: ["GET", "HEAD"], post: ["POST"], delete: ["DELETE"] } as const;

async function send(request: Request, response: Response, reply: Reply<unknown>): Promise<void> {
  if (reply.kind === "empty") {
    if (reply.setCookie !== undefined) response.setHeader("set-cookie", reply.setCookie);
    response.setHeader("cache-control", "no-store");
    response.status(204).end();
    return;
  }
  const { cacheControl = "no-store" } = reply;
  response.setHeader("cache-control", cacheControl);
  // What a token decides must not come out of a cache for somebody without it.
  if (!cacheControl.startsWith("public")) response.vary("authorization, cookie");
  switch (reply.kind) {
    case "json":
      response.json(reply.body);
      return;
    case "raw":
      response
        .type(reply.mediaType)
        .send(typeof reply.body === "string" ? reply.body : Buffer.from(reply.body));
      return;
    case "stream":
      await sendStream(request, response, reply);
      return;
    case "events":
      await sendEvents(request, response, reply);
      return;
  }
}

/** The head goes out at once: whoever waits for events knows by it that he is heard. */
async function sendEvents(
  request: Request,
  response: Response,
  { events }: Extract<Reply<unknown>, { kind: "events" }>,
): Promise<void> {
  response.setHeader("content-type", "text/event-stream; charset=utf-8");
  // Proxies that would collect a whole answer before they pass it on.
  response.setHeader("x-accel-buffering", "no");
  if (request.method === "HEAD") {
    response.end();
    return;
  }
  response.flushHeaders();
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  await pipeUntilGone(events(gone.signal), response);
}

/** The first chunk is made before the head is sent: what cannot be made at all is still a problem document. */
async function sendStream(
  request: Request,
  response: Response,
  { mediaType, fileName, chunks }: Extract<Reply<unknown>, { kind: "stream" }>,
): Promise<void> {
  const made = chunks[Symbol.asyncIterator]();
  const first = await made.next();
  response.attachment(fileName).type(mediaType);
  if (request.method === "HEAD") {
    await made.return?.();
    response.end();
    return;
  }
  const all = async function* () {
    if (!first.done) yield first.value;
    yield* { [Symbol.asyncIterator]: () => made };
  };
  await pipeUntilGone(all(), response);
}

async function pipeUntilGone(chunks: AsyncIterable<Uint8Array | string>, response: Response): Promise<void> {
  try {
    await pipeline(Readable.from(chunks, { objectMode: false }), response);
  } catch (cause) {
    // Whoever hangs up before the end is no error of ours.
    if (cause instanceof Error && "code" in cause && cause.code === "ERR_STREAM_PREMATURE_CLOSE") return;
    throw cause;
  }
}
