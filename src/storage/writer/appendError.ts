// Why an entry was not recorded. The code is the metric label and the reason shown by /readyz. `durable: "no"` means
// that the entry is certainly not in the ledger; "unknown" that it may be, and that the writer settles it by itself.

import { DeadlineError, DurabilityError, provesNoEffect } from "../postgres.ts";
import { SchemaError } from "../schema.ts";
import { LedgerUnreadableError } from "./session.ts";

export type AppendCode =
  | "database_unreachable"
  | "database_slow"
  | "database_error"
  | "not_durable"
  | "already_closed"
  | "entry_too_large"
  | "key_superseded"
  | "overloaded"
  | "stopped"
  | "tampered";

export class AppendError extends Error {
  override name = "AppendError";
  readonly code: AppendCode;
  readonly durable: "no" | "unknown";

  constructor(code: AppendCode, message: string, durable: "no" | "unknown", options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.durable = durable;
  }
}

/** What an error of a session means for the appends that it was working for. */
export function toAppendError(cause: unknown): AppendError {
  if (cause instanceof AppendError) return cause;
  if (cause instanceof DeadlineError) {
    return new AppendError("database_slow", cause.message, "unknown", { cause });
  }
  if (cause instanceof DurabilityError) return new AppendError("not_durable", cause.message, "no", { cause });
  if (cause instanceof SchemaError || cause instanceof LedgerUnreadableError) {
    return new AppendError("database_error", cause.message, "no", { cause });
  }
  if (provesNoEffect(cause)) {
    const detail = `the database refused the entry (SQLSTATE ${cause.code})`;
    return new AppendError("database_error", detail, "no", { cause });
  }
  const code = cause instanceof Error && "code" in cause ? ` (${String(cause.code)})` : "";
  return new AppendError("database_unreachable", `the database is not reachable${code}`, "unknown", {
    cause,
  });
}
