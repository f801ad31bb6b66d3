// The API's page for people: the OpenAPI document as plain HTML. No script, nothing fetched; its one style sheet is inline
// and named by its digest in the Content-Security-Policy.

import { createHash } from "node:crypto";
import type { DocumentedOperation, OpenApiDocument } from "./openapi.ts";
import { PROBLEMS } from "./problem.ts";

const STYLE = `
:root { color-scheme: light dark; --edge: #8886; --soft: #8881; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.2; }
article { border: 1px solid var(--edge); border-radius: .4rem; padding: 0 1rem 1rem; margin: 1rem 0; }
code, pre { font: .9em ui-monospace, monospace; background: var(--soft); border-radius: .2rem; padding: .1em .3em; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; border-bottom: 1px solid var(--edge); padding: .3rem .6rem .3rem 0; }
`;

/** The source expression that lets this page have its style (CSP Level 3 §2.3.1). */
export const PAGE_STYLE_SOURCE = `'sha256-${createHash("sha256").update(STYLE).digest("base64")}'`;

/** Renders the page. */
export function renderPage(document: OpenApiDocument): string {
  const { info, tags, paths } = document;
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
  const sections = tags.map(({ name }) => {
    const own = operations.filter(({ operation }) => operation.tags.includes(name));
    return `<section><h2>${escapeHtml(name)}</h2>${own.map(renderOperation).join("")}</section>`;
  });
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(info.title)}</title><style>${STYLE}</style></head>
<body><main>
<h1>${escapeHtml(info.title)}</h1>
<p>${prose(info.description)}</p>
<p>For programs: <a href="/audit/v1/openapi.json">openapi.json</a> (OpenAPI ${escapeHtml(document.openapi)}).</p>
${sections.join("\n")}
${renderProblems()}
</main></body></html>
`;
}

function renderOperation({
  path,
  method,
  operation,
}: {
  path: string;
  method: string;
  operation: DocumentedOperation;
}): string {
  const { operationId, summary, description, parameters, requestBody, responses } = operation;
  const rows = parameters.map((parameter) => [
    `<code>${escapeHtml(parameter.name)}</code>`,
    `${parameter.in}${parameter.required ? "" : ", optional"}`,
    prose(parameter.description ?? ""),
  ]);
  const bodies = Object.keys(requestBody?.content ?? {}).map((type) => `<code>${escapeHtml(type)}</code>`);
  const answers = Object.keys(responses["200"]?.content ?? {}).map(
    (type) => `<code>${escapeHtml(type)}</code>`,
  );
  const statuses = Object.entries(responses)
    .filter(([status]) => status !== "200")
    .map(([status, response]) => [escapeHtml(status), prose(response.description)]);
  return `<article id="${escapeHtml(operationId)}"><h3>${escapeHtml(summary)}</h3>
<p><code>${escapeHtml(method.toUpperCase())} ${escapeHtml(path)}</code></p>
<p>${prose(description ?? "")} ${renderAccess(operation)}</p>
${renderTable(["Parameter", "Where", "What"], rows)}
${bodies.length > 0 ? `<p>Takes ${bodies.join(", ")}.</p>` : ""}
<p>Answers ${answers.join(", ") || "without a body"}.</p>
${renderTable(["Status", "When"], statuses)}</article>`;
}

function renderAccess({ security, "x-role": role = "auditor" }: DocumentedOperation): string {
  if (security.length === 0) return "Needs no token.";
  const isOptional = security.some((scheme) => Object.keys(scheme).length === 0);
  return isOptional
    ? "Needs an auditor's token unless the configuration makes it public."
    : `Needs a token or a session of the role ${role}${role === "admin" ? "" : " or more"}.`;
}

function renderProblems(): string {
  const rows = Object.entries(PROBLEMS).map(([code, [status, title, meaning]]) => [
    `<span id="problem-${code}"><code>${code}</code></span>`,
    String(status),
    escapeHtml(`${title}. ${meaning}`),
  ]);
  return `<section><h2>Problems</h2>${renderTable(["Code", "Status", "Meaning"], rows)}</section>`;
}

/** Cells are HTML already. */
function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return "";
  const heads = head.map((cell) => `<th scope="col">${escapeHtml(cell)}</th>`).join("");
  const body = rows.map((row) => `<tr>${row.map((cell) => `<td>${cell}</td>`).join("")}</tr>`).join("\n");
  return `<table><thead><tr>${heads}</tr></thead><tbody>\n${body}\n</tbody></table>`;
}

/** Text with \`code\` marks. */
function prose(text: string): string {
  return escapeHtml(text).replace(/`([^`]+)`/g, "<code>$1</code>");
}

function escapeHtml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}
