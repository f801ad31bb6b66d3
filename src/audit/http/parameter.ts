// Parameters as zod schemas: what parses a request is what the OpenAPI document is made of. Integers are plain decimal
// digits only: what another reader would take for another number is refused.

import type { Request } from "express";
import { z } from "zod";
import { Problem } from "./problem.ts";

/** No parameters at all: an unknown one is an error, since it would be a wish that nobody hears. */
export const NO_PARAMETERS = z.strictObject({});

/** A whole number from `min` to `max` in plain decimal digits. */
export function integer(description: string, min = 0, max: number = Number.MAX_SAFE_INTEGER) {
  return z
    .string()
    .regex(/^(?:-1|0|[1-9][0-9]{0,15})$/, "must be a whole number, in at most 16 decimal digits")
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

/**
 * The parameters of a query or a path, or the members of a body, as the schema has them. What is wrong first is told in words
 * of this API: which one, what, and what to do. @throws {Problem} invalid_parameter
 */
export function parseGiven<Schema extends z.ZodType>(
  schema: Schema,
  given: unknown,
  place: "query" | "body",
): z.output<Schema> {
  // What a schema says of itself goes before these words.
  const parsed = schema.safeParse(given, { error: (issue) => describeIssue(issue, place) });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  if (issue?.code !== "unrecognized_keys")
    throw new Problem("invalid_parameter", `${issue?.path.join(".") || place}: ${issue?.message}`);
  const known = schema instanceof z.ZodObject ? Object.keys(schema.shape).join(", ") : "";
  throw new Problem("invalid_parameter", `${issue.keys[0]}: ${describeUnknown(known, place)}`);
}

function describeIssue(issue: z.core.$ZodRawIssue, place: "query" | "body"): string {
  const { input } = issue;
  switch (issue.code) {
    case "invalid_type":
    case "invalid_value": {
      const name = issue.path?.at(-1);
      if (name === undefined) return "must be a JSON object";
      if (input === undefined)
        return place === "body"
          ? "is missing; the body must have it"
          : `is missing; add ${String(name)}= and a value to the query`;
      if (place === "query" && Array.isArray(input)) return `is given ${input.length} times; give it once`;
      if (issue.code === "invalid_value") return `must be ${issue.values.join(" or ")}`;
      return issue.expected === "string" ? "must be a text" : "must be a whole number, without quotes";
    }
    case "too_big":
    case "too_small": {
      const [bound, word] =
        issue.code === "too_big" ? [issue.maximum, "at most"] : [issue.minimum, "at least"];
      return issue.origin === "string" ? `must have ${word} ${bound} characters` : `must be ${word} ${bound}`;
    }
    default:
      return "is not what is documented";
  }
}

function describeUnknown(known: string, place: "query" | "body"): string {
  if (place === "body") return `the body must not have it; it may have ${known}`;
  return known === ""
    ? "there is no such parameter here, nor any other"
    : `there is no such parameter here; there are ${known}`;
}
