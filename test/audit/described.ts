// Whether a listener answers only what its OpenAPI document says that it may answer: every status with its media type, and
// for problems the code too. Put beside tests that ask all sorts of things.

import type { Server } from "node:http";
import { openApiDocument, operations } from "../../src/audit/api.ts";
import { problemsOf } from "../../src/audit/http/openapi.ts";
import type { Operation } from "../../src/audit/http/operation.ts";

/** Watches a listener from now on; the list grows by every answer that is not in the document. */
export function watchAnswers(server: Server): string[] {
  const undescribed: string[] = [];
  // Before Express, which changes the URL on its way.
  server.prependListener("request", (request, response) => {
    const [path = ""] = (request.url ?? "").split("?");
    const method = request.method === "HEAD" ? "get" : request.method?.toLowerCase();
    const operation = operations.find((one) => one.method === method && patternOf(one).test(path));
    if (!operation) return;
    let text = "";
    const end = response.end.bind(response);
    response.end = ((chunk: unknown, ...rest: []) => {
      text += typeof chunk === "string" || Buffer.isBuffer(chunk) ? String(chunk) : "";
      return end(chunk, ...rest);
    }) as typeof response.end;
    response.on("finish", () => {
      const problem = describe(
        operation,
        response.statusCode,
        String(response.getHeader("content-type")),
        text,
      );
      if (problem) undescribed.push(`${request.method} ${path}: ${problem}`);
    });
  });
  return undescribed;
}

function patternOf({ path, wildcard }: Operation): RegExp {
  const pattern = path
    .replace(/[.]/g, "\\.")
    .replace(/\{(\w+)\}/g, (_, name) => (name === wildcard ? ".+" : "[^/]+"));
  return new RegExp(path.startsWith("/ledgers/") ? `^${pattern}(?<!/)$` : `^${pattern}/?$`);
}

function describe(
  operation: Operation,
  status: number,
  contentType: string,
  text: string,
): string | undefined {
  // To whoever asks whether his copy is still good (RFC 9110 §13).
  if (status === 304) return undefined;
  const answer = openApiDocument.paths[operation.path]?.[operation.method]?.responses[String(status)] as
    | { content?: Record<string, unknown> }
    | undefined;
  if (!answer) return `${status} is not described`;
  if (status === 204) return undefined;
  const [mediaType = ""] = contentType.split(";");
  if (!answer.content?.[mediaType]) return `${status} as ${mediaType} is not described`;
  if (mediaType !== "application/problem+json" || text === "") return undefined;
  const { code } = JSON.parse(text) as { code: string };
  return problemsOf(operation).some((one) => one === code) ? undefined : `${status} ${code} is not described`;
}
