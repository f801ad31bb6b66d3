// Refusals: what the proxy answers by itself. The code is one closed union; it begins the SCIM error's `detail`, it
// labels the metric, it is recorded in refusal entries, and it is the row of the status table in the documentation.
// The proxy makes no 404, 409 or 2xx of its own for a write by a client of the connector: authentik, for one, takes a
// 404 as "gone" and creates the account again.

import { formatScimError, type ScimType } from "../scim/error.ts";
import type { AppendError } from "../storage/writer/appendError.ts";

interface RefusalKind {
  status: number;
  scimType?: ScimType;
  /** For the admin who reads it in the identity provider's log: what is wrong and what to do. */
  text: string;
  /** The rest of the connection cannot be trusted or was not read. */
  close?: true;
  /** Further headers of the answer. */
  headers?: Readonly<Record<string, string>>;
}

const KINDS = {
  framing_invalid: {
    status: 400,
    text: "The HTTP framing of the request is ambiguous or malformed.",
    close: true,
  },
  header_duplicate: { status: 400, text: "A header that may stand only once stands twice.", close: true },
  host_invalid: { status: 400, text: "The Host header is missing or malformed.", close: true },
  headers_too_large: { status: 431, text: "The request has too many headers or too long ones.", close: true },
  url_too_long: { status: 414, text: "The request target is too long.", close: true },
  expectation_failed: {
    status: 417,
    text: "The only expectation that can be met is 100-continue.",
    close: true,
  },
  upgrade_refused: {
    status: 400,
    text: "The connection cannot be upgraded to another protocol.",
    close: true,
  },
  request_timeout: { status: 408, text: "The request was not sent in time.", close: true },
  authentication_failed: {
    status: 401,
    text: "No valid credential. Check the token that is set in the identity provider's provisioning settings.",
  },
  authentication_rate_limited: {
    status: 429,
    text: "Too many failed authentications from this address. Retry in a minute.",
    headers: { "retry-after": "60" },
  },
  connector_unknown: {
    status: 404,
    text: "There is no such connector for this credential. Check the base URL.",
  },
  path_invalid: { status: 400, text: "The request path is not canonical; nothing was forwarded." },
  method_not_allowed: {
    status: 405,
    text: "This method is not part of SCIM.",
    // RFC 9110 §15.5.6: a 405 says what would do.
    headers: { allow: "GET, HEAD, POST, PUT, PATCH, DELETE" },
  },
  method_override: { status: 400, text: "Method override headers are not accepted: send the method itself." },
  body_on_read: { status: 400, text: "A GET or HEAD request must not have a body.", close: true },
  media_type_unsupported: {
    status: 415,
    text: "The body must be application/scim+json or application/json in UTF-8.",
  },
  encoding_unsupported: { status: 415, text: "Compressed request bodies are not accepted.", close: true },
  body_too_large: {
    status: 413,
    scimType: "tooMany",
    text: "The request body is above the configured limit.",
    close: true,
  },
  bulk_too_many: {
    status: 413,
    scimType: "tooMany",
    text: "The Bulk request has more operations than configured.",
  },
  body_invalid: { status: 400, scimType: "invalidSyntax", text: "The body is not a strict JSON object." },
  id_mismatch: {
    status: 400,
    scimType: "invalidValue",
    text: "The id in the body is not the id in the path; nothing was forwarded.",
  },
  overloaded: { status: 503, text: "Too many writes are in progress. Retry later; nothing was forwarded." },
  shutting_down: { status: 503, text: "The proxy is stopping. Retry; nothing was forwarded." },
  ledger_unavailable: {
    status: 503,
    text: "The audit record could not be written, so nothing was forwarded.",
  },
  outcome_not_recorded: {
    status: 503,
    text: "The change was sent to the target, but its outcome could not be recorded. Check the account before a retry.",
  },
  target_unreachable: {
    status: 502,
    text: "The target could not be reached; nothing was sent. Retry later.",
  },
  target_credential_refused: {
    status: 502,
    text: "The target refused the proxy's own credential, so nothing was changed. The identity provider's token is good: renew the target's credential in the proxy's configuration.",
  },
  target_timeout: {
    status: 504,
    text: "The target did not answer in time; whether it applied the change is unknown.",
  },
  target_unknown: {
    status: 502,
    text: "The connection to the target broke; whether it applied the change is unknown.",
  },
  target_incomplete: {
    status: 502,
    text: "The target's answer broke off; whether it applied the change is unknown.",
  },
  target_protocol_error: { status: 502, text: "The target's answer was not valid HTTP." },
  target_too_large: { status: 502, text: "The target's answer was above the configured limit." },
  target_redirected: { status: 502, text: "The target redirected elsewhere; redirects are not followed." },
  target_early: { status: 502, text: "The target answered success before it had the whole request." },
  internal_error: { status: 500, text: "The proxy failed; see its log.", close: true },
} as const satisfies Record<string, RefusalKind>;

const RETRY = "Retry later.";
const UNTIL_ACKNOWLEDGED =
  "An alarm about the ledger is open, and no change is taken until whoever runs the proxy has looked into it and acknowledged it; before that every retry gets this answer.";

export type RefusalCode = keyof typeof KINDS;
export const REFUSAL_CODES = Object.keys(KINDS) as readonly RefusalCode[];

/** Thrown by any step of the pipeline; answered in one place. */
export class Refusal extends Error {
  override name = "Refusal";
  readonly code: RefusalCode;
  readonly status: number;
  readonly close: boolean;
  readonly scimType: ScimType | undefined;
  retryAfterSeconds: number | undefined;
  /** To be sent with the answer, besides what every refusal has. */
  readonly headers: Readonly<Record<string, string>>;

  /** `note` is appended for people; it must hold nothing that came from the request's body. */
  constructor(code: RefusalCode, note?: string, options?: ErrorOptions & { status?: number }) {
    const kind: RefusalKind = KINDS[code];
    super(`${code}: ${kind.text}${note ? ` ${note}` : ""}`, options);
    this.code = code;
    this.status = options?.status ?? kind.status;
    this.close = kind.close ?? false;
    this.scimType = kind.scimType;
    this.headers = kind.headers ?? {};
  }

  /** For what the ledger did not take before anything was forwarded. An open alarm does not go away by itself. */
  static ledgerUnavailable(cause: AppendError, status: number): Refusal {
    const note = cause.code === "tampered" ? UNTIL_ACKNOWLEDGED : RETRY;
    return new Refusal("ledger_unavailable", note, { cause, status });
  }

  /** The SCIM error message (RFC 7644 §3.12). */
  body(): string {
    return formatScimError(this.status, this.message, this.scimType);
  }
}
