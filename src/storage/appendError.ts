// Why an entry was not recorded. The code is the metric label and the reason shown by /readyz. `durable: "no"` means
// that the entry is certainly not in the ledger; "unknown" that it may be, and that the writer settles it by itself.

export type AppendCode =
  | "database_unreachable"
  | "database_slow"
  | "database_error"
  | "not_durable"
  | "already_closed"
  | "entry_too_large"
  | "key_superseded"
  | "overloaded"
  | "stopped";

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
