// The audit API as a whole: every operation there is, in the order in which they are matched, with the document and the page
// that describe all of them, those two included.

import type { Router } from "express";
import { z } from "zod";
import { accountOperations } from "./accounts/operations.ts";
import { checkpointOperations } from "./checkpoints.ts";
import type { AuditContext } from "./context.ts";
import { connectorOperations } from "./desk/connectors.ts";
import { sessionOperations } from "./desk/session.ts";
import { statusOperations } from "./desk/status.ts";
import { entryOperations } from "./entries.ts";
import { evidenceOperations } from "./evidence.ts";
import { makeDocument } from "./http/openapi.ts";
import { type Operation, openOperation } from "./http/operation.ts";
import { renderPage } from "./http/page.ts";
import { NO_PARAMETERS } from "./http/parameter.ts";
import { makeRouter } from "./http/router.ts";
import { proofOperations } from "./proofs.ts";
import { publishedOperations } from "./publishedLog.ts";
import { searchOperations } from "./search/operations.ts";
import { verifyOperations } from "./verification/verify.ts";

const TAG = "About";
const CACHE = "public, max-age=300";

const getPage = openOperation(
  {
    method: "get",
    path: "/audit/v1/",
    id: "getPage",
    tag: TAG,
    summary: "This page",
    params: NO_PARAMETERS,
    query: NO_PARAMETERS,
    raw: { "text/html": "What the OpenAPI document says, for people." },
  },
  async () => ({ kind: "raw", mediaType: "text/html", body: page, cacheControl: CACHE }),
);

const getDocument = openOperation(
  {
    method: "get",
    path: "/audit/v1/openapi.json",
    id: "getDocument",
    tag: TAG,
    summary: "This API as an OpenAPI 3.1 document",
    params: NO_PARAMETERS,
    query: NO_PARAMETERS,
    answer: z.record(z.string(), z.unknown()),
  },
  async () => ({ kind: "json", body: { ...openApiDocument }, cacheControl: CACHE }),
);

/** Every operation, in the order in which they are matched. */
export const operations: readonly Operation[] = [
  getPage,
  getDocument,
  ...statusOperations,
  ...connectorOperations,
  ...searchOperations,
  ...accountOperations,
  ...entryOperations,
  ...proofOperations,
  ...checkpointOperations,
  ...evidenceOperations,
  ...verifyOperations,
  ...publishedOperations,
  ...sessionOperations,
];

/** The document that describes them. */
export const openApiDocument = makeDocument(operations);
const page = renderPage(openApiDocument);

/** The API and the published log, to be mounted at the root of the admin listener. */
export function auditRouter(context: AuditContext): Router {
  return makeRouter(operations, context);
}
