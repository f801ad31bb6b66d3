// An operation of the API: its path, its schemas, who may call it, and what it does, in one value. The router serves these
// values and the OpenAPI document describes them, so that neither can have what the other has not.

import type { Request } from "express";
import type { z } from "zod";
import { isStillKnown, openLedger, openPublished, requireAuditor } from "../access.ts";
import type { Audience, AuditContext, Auditor, NamedLedger, Role } from "../context.ts";
import { parseGiven } from "./parameter.ts";
import type { ProblemCode } from "./problem.ts";

/** An answer: a JSON body; text or bytes with their media type; or bytes of any length as they are made. */
export type Reply<Json> =
  | { kind: "json"; body: Json; cacheControl?: string }
  | { kind: "raw"; mediaType: string; body: string | Uint8Array; cacheControl?: string }
  | {
      kind: "stream";
      mediaType: string;
      fileName: string;
      chunks: AsyncIterable<Uint8Array>;
      cacheControl?: string;
    }
  /** Server-sent events, text as it goes out, until the signal fires: then the reader has gone. */
  | { kind: "events"; events(signal: AbortSignal): AsyncIterable<string>; cacheControl?: string }
  | { kind: "empty"; setCookie?: string };

/**
 * Who may call: anyone; whoever has a token or a session; such a one who may read the ledger in the path; whoever that part
 * is published for. What role he needs is said by `role`.
 */
export type Access = "anyone" | "auditor" | "ledger" | "tiles" | "entries";

/** What is said of an operation in public. */
export interface Description {
  method: "get" | "post" | "delete";
  /** An OpenAPI path template. */
  path: `/${string}`;
  /** The last parameter of the path may hold slashes. */
  wildcard?: string;
  id: string;
  tag: string;
  summary: string;
  description?: string;
  /** The least role it needs; left out: auditor. An operator may call only what says `operator`; an admin may call all. */
  role?: Role;
  /**
   * `connectors`: the handler shows nothing of connectors that `auditor.connectors` lacks, so whoever is scoped to some may
   * call it. Left out: it shows a whole ledger, and such a caller is refused.
   */
  scope?: "connectors";
  /** Media types of a request body, with the schema of each that is JSON. */
  body?: Readonly<Record<string, { description: string; schema?: z.ZodType }>>;
  /** Media types of answers that are not JSON, and what they hold. */
  raw?: Readonly<Record<string, string>>;
  /** It answers 204 without a body. */
  isEmpty?: true;
  /** Problems beside those that its access and its parameters bring. */
  problems?: readonly ProblemCode[];
}

/** An operation as the router and the document see it. */
export interface Operation extends Description {
  readonly access: Access;
  readonly params: z.ZodObject;
  readonly query: z.ZodObject;
  /** Schema of the JSON answer, if there is one. */
  readonly answer?: z.ZodType;
  /** @throws {Problem} */
  run(context: AuditContext, request: Request): Promise<Reply<unknown>>;
}

interface Schemas<Params extends z.ZodObject, Query extends z.ZodObject, Answer extends z.ZodType> {
  params: Params;
  query: Query;
  answer?: Answer;
}

/** What every handler gets: parsed parameters, and the request for what is not one. */
export interface Call<Params, Query> {
  readonly context: AuditContext;
  readonly request: Request;
  /** Whether the caller's token or session still counts: to be asked now and then while an answer goes on. */
  isStillAllowed(): boolean;
  readonly params: Params;
  readonly query: Query;
}

type Handler<Params extends z.ZodObject, Query extends z.ZodObject, Answer extends z.ZodType, Right> = (
  call: Call<z.output<Params>, z.output<Query>> & Right,
) => Promise<Reply<z.input<Answer>>>;

/** An operation that anyone may call. */
export function openOperation<P extends z.ZodObject, Q extends z.ZodObject, A extends z.ZodType>(
  description: Description & Schemas<P, Q, A>,
  handle: Handler<P, Q, A, object>,
): Operation {
  return { ...description, access: "anyone", run: prepare(description, () => ({}), handle) };
}

/** An operation for whoever has the role; which ledgers he may read is for the handler to ask. */
export function auditorOperation<P extends z.ZodObject, Q extends z.ZodObject, A extends z.ZodType>(
  description: Description & Schemas<P, Q, A>,
  handle: Handler<P, Q, A, { readonly auditor: Auditor }>,
): Operation {
  const admit = (context: AuditContext, request: Request) => ({
    auditor: requireAuditor(context, request, description),
  });
  return { ...description, access: "auditor", run: prepare(description, admit, handle) };
}

/** An operation on the ledger in the path, for whoever has the role and may read it. */
export function ledgerOperation<P extends z.ZodObject, Q extends z.ZodObject, A extends z.ZodType>(
  description: Description & Schemas<P, Q, A>,
  handle: Handler<P, Q, A, { readonly ledger: NamedLedger; readonly auditor: Auditor }>,
): Operation {
  const admit = (context: AuditContext, request: Request) => {
    const auditor = requireAuditor(context, request, description);
    return { auditor, ledger: openLedger(context, auditor, pathText(request, "ledger")) };
  };
  return { ...description, access: "ledger", run: prepare(description, admit, handle) };
}

/** An operation on the published log of the ledger in the path, for whoever that part of it is published for. */
export function publishedOperation<P extends z.ZodObject, Q extends z.ZodObject, A extends z.ZodType>(
  part: "tiles" | "entries",
  description: Description & Schemas<P, Q, A>,
  handle: Handler<P, Q, A, { readonly ledger: NamedLedger; readonly audience: Audience }>,
): Operation {
  const admit = (context: AuditContext, request: Request) =>
    openPublished(context, request, description, pathText(request, "ledger"), part);
  return { ...description, access: part, run: prepare(description, admit, handle) };
}

/** The right first, then the parameters: whoever may not read learns nothing about what there is to ask for. */
function prepare<P extends z.ZodObject, Q extends z.ZodObject, A extends z.ZodType, Right>(
  schemas: Schemas<P, Q, A>,
  admit: (context: AuditContext, request: Request) => Right,
  handle: Handler<P, Q, A, Right>,
): Operation["run"] {
  return async (context, request) => {
    const right = admit(context, request);
    const path = Object.fromEntries(
      Object.keys(request.params).map((name) => [name, pathText(request, name)]),
    );
    const params = parseGiven(schemas.params, path, "query");
    const query = parseGiven(schemas.query, request.query, "query");
    const isStillAllowed = () => isStillKnown(context, request);
    return handle({ context, request, isStillAllowed, params, query, ...right });
  };
}

/** A parameter of the path, decoded; one that may hold slashes comes in pieces. */
function pathText(request: Request, name: string): string {
  const value = request.params[name];
  return Array.isArray(value) ? value.join("/") : (value ?? "");
}
