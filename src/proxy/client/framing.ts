// What must be true of a request's head before anybody looks at its meaning (RFC 9112 §6, RFC 9110 §7.2). Node's
// parser already refuses most ambiguous framing; this refuses what it lets through and what two parsers could read
// differently: the adversary is whoever can put bytes on the identity provider's network path. Nothing here is
// recorded: with a broken head nobody can be authenticated for certain.

import type { IncomingMessage } from "node:http";
import { connectionOptions } from "../header.ts";
import { Refusal } from "../refusal.ts";

const SINGLETONS = new Set([
  "authorization",
  "content-encoding",
  "content-length",
  "content-type",
  "expect",
  "host",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-unmodified-since",
  "transfer-encoding",
  "upgrade",
]);

const HOST = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?$/;

export interface HeadLimits {
  maxHeaders: number;
  maxUrlBytes: number;
}

/** Throws a Refusal unless the head is unambiguous and within its limits. */
export function checkHead(request: IncomingMessage, limits: HeadLimits): void {
  const { rawHeaders } = request;
  if (rawHeaders.length / 2 > limits.maxHeaders) throw new Refusal("headers_too_large");
  if ((request.url?.length ?? 0) > limits.maxUrlBytes) throw new Refusal("url_too_long");
  const seen = new Set<string>();
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] ?? "").toLowerCase();
    if (!SINGLETONS.has(name)) continue;
    if (seen.has(name)) throw new Refusal("header_duplicate", `Header: ${name}.`);
    seen.add(name);
  }
  checkConnection(request.headers.connection);
  const { host, "transfer-encoding": coding, "content-length": length } = request.headers;
  if (!host || !HOST.test(host)) throw new Refusal("host_invalid");
  if (request.httpVersion !== "1.1" && request.httpVersion !== "1.0") throw new Refusal("framing_invalid");
  if (coding !== undefined) {
    // RFC 9112 §6.1: chunked alone, never beside Content-Length, never from an HTTP/1.0 client.
    if (coding.toLowerCase() !== "chunked" || length !== undefined || request.httpVersion === "1.0") {
      throw new Refusal("framing_invalid");
    }
  }
  if (length !== undefined && (!/^[0-9]{1,15}$/.test(length) || !Number.isSafeInteger(Number(length)))) {
    throw new Refusal("framing_invalid");
  }
}

/**
 * `Connection` takes the headers that it names away at the next hop (RFC 9110 §7.6.1). Of those that decide what a
 * request means it must name none: a conditional write would go out unconditional, or a body without its type.
 */
function checkConnection(connection: string | undefined): void {
  for (const option of connectionOptions(connection)) {
    if (SINGLETONS.has(option) && option !== "upgrade" && option !== "transfer-encoding") {
      throw new Refusal("framing_invalid", `Connection names ${option}.`);
    }
  }
}
