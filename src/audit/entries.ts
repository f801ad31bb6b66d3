// GET /audit/v1/entries: pages of a ledger for an auditor. Each item carries the exact leaf, so that what is shown can
// be checked without trusting what shows it.

import type { Request, Response } from "express";
import { z } from "zod";
import { describeRow, type LedgerReader } from "../storage/reader.ts";

/** Who reads, and what he may see. */
export interface Auditor {
  auditor: string;
  ledgers: "*" | ReadonlySet<string>;
}

export interface AuditContext {
  authenticate(authorization: string | undefined): Auditor | undefined;
  readers: ReadonlyMap<string, LedgerReader>;
}

/** Plain decimal digits only: what another reader would take for another number is refused. */
const count = (fallback: number, max: number) =>
  z
    .string()
    .regex(/^(?:-1|0|[1-9][0-9]{0,15})$/, "must be a decimal number")
    .transform(Number)
    .pipe(z.int().max(max))
    .default(fallback);

const PARAMETERS = z.strictObject({
  ledger: z.string().optional(),
  /** Entries after this seq; left out or -1: from the first on. */
  after: count(-1, Number.MAX_SAFE_INTEGER),
  limit: count(100, 1000).refine((limit) => limit > 0, "must be at least 1"),
  include: z.literal("attachments").optional(),
});

/** Express handler. Errors are RFC 9457 problem documents with a stable `code`. */
export function listEntries(context: AuditContext): (request: Request, response: Response) => Promise<void> {
  return async (request, response) => {
    const auditor = context.authenticate(request.headers.authorization);
    if (!auditor) {
      response.setHeader("www-authenticate", 'Bearer realm="scimseal audit"');
      return sendProblem(
        response,
        401,
        "unauthenticated",
        "An auditor's token is needed: mint one with `scimseal token mint --auditor`.",
      );
    }
    const parsed = PARAMETERS.safeParse(request.query);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      return sendProblem(
        response,
        400,
        "invalid_parameter",
        `${issue?.path.join(".") || "query"}: ${issue?.message}`,
      );
    }
    const { after, limit, include } = parsed.data;
    const names = [...context.readers.keys()].filter(
      (name) => auditor.ledgers === "*" || auditor.ledgers.has(name),
    );
    const name = parsed.data.ledger ?? names[0];
    const reader = name !== undefined && names.includes(name) ? context.readers.get(name) : undefined;
    // Another tenant's ledger and one that does not exist are the same to this auditor.
    if (!reader)
      return sendProblem(response, 404, "ledger_unknown", "There is no such ledger for this token.");
    const page = await reader.page(after, limit, include === "attachments");
    response.json({
      ledger: name,
      entries: page.entries.map((row) => {
        const { leafHash, claims, intact } = describeRow(row);
        return {
          seq: row.seq,
          leaf: row.leaf,
          leafHash,
          intact,
          entry: claims,
          ...(row.attachments
            ? {
                attachments: row.attachments.map(({ name: attachment, salt, content }) => ({
                  name: attachment,
                  salt: Buffer.from(salt).toString("base64url"),
                  content: Buffer.from(content).toString("base64"),
                })),
              }
            : {}),
        };
      }),
      next: page.next ?? null,
    });
  };
}

/** RFC 9457. */
export function sendProblem(response: Response, status: number, code: string, detail: string): void {
  response
    .status(status)
    .type("application/problem+json")
    .send(JSON.stringify({ type: "about:blank", status, code, detail }));
}
