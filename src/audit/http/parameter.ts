// Parameters as zod schemas: what parses a request is what the OpenAPI document is made of. Integers are plain decimal
// digits only: what another reader would take for another number is refused.

import type { Request } from "express";
import { z } from "zod";

/** No parameters at all: an unknown one is an error, since it would be a wish that nobody hears. */
export const NO_PARAMETERS = z.strictObject({});

/** A whole number from `min` to `max` in plain decimal digits. */
export function integer(description: string, min = 0, max: number = Number.MAX_SAFE_INTEGER) {
  return z
    .string()
    .regex(/^(?:-1|0|[1-9][0-9]{0,15})$/, "must be a decimal number")
    .transform(Number)
    .pipe(z.int().min(min).max(max).describe(description));
}

/** A UUID in its one spelling: lower case, with hyphens. */
export function uuid(description: string) {
  return z
    .string()
    .regex(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, "must be a UUID in lower case with hyphens")
    .describe(description);
}

/** The name of a ledger in a path; whether there is one is answered by the access check. */
export const ledgerName = z.string().describe("The ledger's name in the configuration.");

/** The path parameters of everything that belongs to one ledger. */
export const LEDGER_PATH = z.strictObject({ ledger: ledgerName });

/** Whether attachments are wanted; they may hold personal data. */
export const include = z
  .literal("attachments")
  .describe("Also the attachments with their salts; they may hold personal data.")
  .optional();

/** Whether JSON is wanted, or the same as a text of this kind. */
export function formatOf<Kind extends string>(kind: Kind) {
  return z
    .enum(["json", kind])
    .describe("Overrides Accept: `Accept: text/plain` asks for the text too.")
    .optional();
}

/** Whether a request wants the text: by its parameter, or else by its Accept header. */
export function wantsText(request: Request, format: string | undefined): boolean {
  return format === undefined ? request.accepts("json", "text/plain") === "text/plain" : format !== "json";
}

/** What is wrong first, in words: the parameter, or the whole that it stands in, and why. */
export function describeIssue({ issues: [issue] }: z.ZodError, whole: "query" | "body" = "query"): string {
  return `${issue?.path.join(".") || whole}: ${issue?.message}`;
}
