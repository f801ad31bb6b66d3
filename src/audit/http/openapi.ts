// The OpenAPI 3.1 document of the audit API, made from the operations and schemas that serve it: JSON Schema 2020-12 is what
// both speak, so nothing is said twice. Parameters are described by their values (an integer), not by their spelling.

import { z } from "zod";
import type { Role } from "../context.ts";
import type { Operation } from "./operation.ts";
import { PROBLEMS, type ProblemCode, problemSchema } from "./problem.ts";

/** A JSON Schema, or any other part of the document. */
export type Json = Record<string, unknown>;

/** One operation of the document. */
export interface DocumentedOperation {
  operationId: string;
  tags: readonly string[];
  summary: string;
  description?: string;
  /** The least role that may call it. */
  "x-role"?: Role;
  security: readonly Json[];
  parameters: readonly {
    name: string;
    in: "path" | "query";
    required: boolean;
    description?: string;
    schema: Json;
  }[];
  requestBody?: { required: true; content: Record<string, Json> };
  responses: Record<string, { description: string; content?: Record<string, Json> }>;
}

/** The document. */
export interface OpenApiDocument {
  openapi: "3.1.0";
  info: { title: string; version: string; description: string };
  tags: readonly { name: string }[];
  paths: Record<string, Partial<Record<Operation["method"], DocumentedOperation>>>;
  components: { schemas: Record<string, Json>; securitySchemes: Json };
}

const ABOUT =
  "Read a ledger, and prove to an outsider what is in it. Integers are JSON numbers; hashes are base64 with padding " +
  "unless a description says otherwise; sizes and seqs count from 0. Every error is a problem document (RFC 9457) with " +
  "a `code` to act on. What an answer says is worth nothing without a check against keys that were pinned by another way.";

/** Makes the document. */
export function makeDocument(operations: readonly Operation[]): OpenApiDocument {
  const schemas = new Schemas();
  const paths: OpenApiDocument["paths"] = {};
  for (const operation of operations) {
    const path = paths[operation.path] ?? {};
    path[operation.method] = describe(operation, schemas);
    paths[operation.path] = path;
  }
  return {
    openapi: "3.1.0",
    info: { title: "scimseal audit API", version: "1", description: ABOUT },
    tags: [...new Set(operations.map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: {
      schemas: schemas.named,
      securitySchemes: {
        auditorToken: {
          type: "http",
          scheme: "bearer",
          description: "Minted by `scimseal token mint --auditor`, `--operator` or `--admin`.",
        },
        session: {
          type: "apiKey",
          in: "cookie",
          name: "__Host-scimseal",
          description:
            "Given by `POST /session` to whoever brings a sign-in link; `scimseal` on plain HTTP at localhost.",
        },
      },
    },
  };
}

/** Every problem that an operation may answer with. */
export function problemsOf({ access, body, problems = [] }: Operation): ProblemCode[] {
  const codes = new Set<ProblemCode>(problems);
  codes.add("rate_limited");
  // Also where there are no parameters: then every one is unknown.
  codes.add("invalid_parameter");
  if (access !== "anyone")
    for (const code of ["unauthenticated", "cross_site", "forbidden", "ledger_unreadable"] as const)
      codes.add(code);
  if (access !== "anyone" && access !== "auditor") codes.add("ledger_unknown");
  if (body) for (const code of ["body_too_large", "media_type_unsupported"] as const) codes.add(code);
  return (Object.keys(PROBLEMS) as ProblemCode[]).filter((code) => codes.has(code));
}

function describe(operation: Operation, schemas: Schemas): DocumentedOperation {
  const { id, tag, summary, description, access, params, query, body } = operation;
  const proofs: readonly Json[] = [{ auditorToken: [] }, { session: [] }];
  const security = {
    anyone: [],
    auditor: proofs,
    ledger: proofs,
    tiles: [{}, ...proofs],
    entries: [{}, ...proofs],
  };
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(access !== "anyone" && { "x-role": operation.role ?? "auditor" }),
    ...(description !== undefined && { description }),
    security: security[access],
    parameters: [...parametersOf(params, "path", schemas), ...parametersOf(query, "query", schemas)],
    ...(body && { requestBody: { required: true, content: bodyContent(body, schemas) } }),
    responses: {
      ...(operation.isEmpty
        ? { "204": { description: operation.summary } }
        : { "200": answerOf(operation, schemas) }),
      ...problemAnswers(operation, schemas),
    },
  };
}

function parametersOf(
  schema: z.ZodObject,
  place: "path" | "query",
  schemas: Schemas,
): DocumentedOperation["parameters"] {
  // The value as the handler gets it; whether it may be left out as the request has it.
  const { properties } = schemas.convert(schema) as { properties?: Record<string, Json> };
  return Object.entries(properties ?? {}).map(([name, { description, ...value }]) => ({
    name,
    in: place,
    required: place === "path" || schema.shape[name]?.safeParse(undefined).success === false,
    ...(typeof description === "string" && { description }),
    schema: value,
  }));
}

function bodyContent(body: NonNullable<Operation["body"]>, schemas: Schemas): Record<string, Json> {
  return Object.fromEntries(
    Object.entries(body).map(([mediaType, { description, schema }]) => [
      mediaType,
      { schema: schema ? schemas.convert(schema) : { description } },
    ]),
  );
}

function answerOf({ summary, answer, raw = {} }: Operation, schemas: Schemas) {
  const content: Record<string, Json> = answer
    ? { "application/json": { schema: schemas.convert(answer) } }
    : {};
  for (const [mediaType, description] of Object.entries(raw))
    content[mediaType] = { schema: { description } };
  return { description: summary, content };
}

/** One answer a status: it lists the codes that it may have. */
function problemAnswers(operation: Operation, schemas: Schemas): DocumentedOperation["responses"] {
  const byStatus = Map.groupBy(problemsOf(operation), (code) => String(PROBLEMS[code][0]));
  const schema = schemas.convert(z.strictObject({ problem: problemSchema }));
  const { problem } = (schema as { properties: Record<string, Json> }).properties;
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [
      status,
      {
        description: codes.map((code) => `\`${code}\`: ${PROBLEMS[code][2]}`).join(" "),
        content: { "application/problem+json": { schema: problem ?? {} } },
      },
    ]),
  );
}

/** Converts schemas; those with an id are kept once, under components. */
class Schemas {
  readonly named: Record<string, Json> = {};

  convert(schema: z.ZodType): Json {
    const { $schema: _, $defs = {}, ...converted } = z.toJSONSchema(schema, { io: "output" }) as Json;
    for (const [name, definition] of Object.entries($defs as Record<string, Json>)) {
      const { id: __, ...rest } = repoint(definition);
      this.named[name] = rest;
    }
    return repoint(converted);
  }
}

/** References within one schema become references into the document. */
function repoint(schema: Json): Json {
  const text = JSON.stringify(schema).replaceAll('"$ref":"#/$defs/', '"$ref":"#/components/schemas/');
  return JSON.parse(text) as Json;
}
