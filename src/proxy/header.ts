// Which headers cross the proxy. Allow-lists in both directions: hop-by-hop headers (RFC 9110 §7.6.1) fall away because
// they are not on the list, and what `Connection` names falls away even if it is; the client's credential never reaches
// the target and the target's never reaches the client.

import type { IncomingHttpHeaders } from "node:http";

const REQUEST_HEADERS = [
  "accept",
  "accept-language",
  "content-type",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-unmodified-since",
  "prefer",
  "user-agent",
] as const;

const RESPONSE_HEADERS = [
  "cache-control",
  "content-language",
  "content-type",
  "etag",
  "expires",
  "last-modified",
  "retry-after",
  "vary",
] as const;

/** Of the answer's headers, those that are lists. */
const LISTS = new Set(["cache-control", "connection", "content-language", "vary"]);

export interface ClientFacts {
  /** The peer's address, or what a trusted proxy says it is. */
  address: string;
  protocol: "http" | "https";
  host: string;
}

/** Headers for the target: what the client may say, and our own word on where it came from. */
export function requestHeaders(received: IncomingHttpHeaders, client: ClientFacts): Record<string, string> {
  const headers: Record<string, string> = {
    "x-forwarded-for": client.address,
    "x-forwarded-host": client.host,
    "x-forwarded-proto": client.protocol,
    // Answers are read, rewritten and recorded; a compressed one would only be unpacked again.
    "accept-encoding": "identity",
  };
  copy(received, REQUEST_HEADERS, headers);
  return headers;
}

/** Headers for the client, without Location and Content-Location (see `rewriteLocation`) and Content-Length. */
export function responseHeaders(received: Readonly<Record<string, unknown>>): Record<string, string> {
  const headers: Record<string, string> = {};
  copy(received, RESPONSE_HEADERS, headers);
  return headers;
}

function copy(
  from: Readonly<Record<string, unknown>>,
  names: readonly string[],
  to: Record<string, string>,
): void {
  const hopByHop = connectionOptions(from.connection);
  for (const name of names) {
    const value = fieldText(name, from[name]);
    if (value !== undefined && !hopByHop.includes(name)) to[name] = value;
  }
}

/**
 * A header that came in several lines is their list (RFC 9110 §5.3), or what they all say; undefined if they are at odds.
 * undici hands such a header over as an array.
 */
export function fieldText(name: string, value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) return undefined;
  if (LISTS.has(name)) return value.join(", ");
  const [first] = value;
  return typeof first === "string" && value.every((other) => other === first) ? first : undefined;
}

/** The lower-case options of a Connection header: names of headers that end at this hop, `close`, `keep-alive`. */
export function connectionOptions(connection: unknown): readonly string[] {
  const text = fieldText("connection", connection) ?? "";
  return text.split(",").map((option) => option.trim().toLowerCase());
}

/** Whether a Content-Type is one that SCIM bodies have (RFC 7644 §3.1, §8.1) and says nothing but UTF-8. */
export function isScimMediaType(contentType: string | undefined): boolean {
  const [type = "", ...parameters] = (contentType ?? "").toLowerCase().split(";");
  if (!["application/scim+json", "application/json"].includes(type.trim())) return false;
  return parameters.every((parameter) => {
    const [name = "", value = ""] = parameter.split("=").map((part) => part.trim());
    return name !== "charset" || ["utf-8", '"utf-8"', "utf8"].includes(value);
  });
}

/** The bare media type, for the record. */
export function mediaTypeOf(contentType: string | undefined): string {
  const type = (contentType ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
  return /^[a-z0-9!#$&^_.+-]{1,64}\/[a-z0-9!#$&^_.+-]{1,64}$/.test(type) ? type : "application/octet-stream";
}
