// One HTTP POST to an address from the configuration (a witness, a webhook): the address rules of targets at the name
// and again at every socket, one deadline for all of it, a bounded answer, no redirects, no retry. The other side is
// not trusted: it may be slow, endless, or point elsewhere.

import http from "node:http";
import https from "node:https";
import { assertAllowedHost, guardedLookup, type Lookup } from "../config/address.ts";

/** What to send. */
export interface Post {
  url: string;
  headers: Readonly<Record<string, string>>;
  body: string;
  /** For everything from the name's resolution to the answer's last byte. */
  timeoutMs: number;
  /** A longer answer is an error. */
  maxAnswerBytes: number;
}

/** What came back, whole. Redirects are answers like any other. */
export interface PostAnswer {
  status: number;
  contentType: string;
  body: Buffer;
}

/** Sends one POST, as `post` does. */
export type SendPost = (request: Post) => Promise<PostAnswer>;

/**
 * Makes a sender over a connection pool of its own, whose sockets are kept for the next request.
 * It rejects for an address that is refused, a broken or late exchange, and an answer that is too long.
 */
export function createPost(lookup: Lookup = guardedLookup): SendPost & { close(): void } {
  const agents = {
    "http:": new http.Agent({ keepAlive: true, maxSockets: 4 }),
    "https:": new https.Agent({ keepAlive: true, maxSockets: 4 }),
  };
  const send: SendPost = (request) => exchange(request, agents, lookup);
  return Object.assign(send, {
    close: () => {
      agents["http:"].destroy();
      agents["https:"].destroy();
    },
  });
}

/** A short reason without addresses of other machines' insides: the code where there is one. */
export function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return "unknown";
  // Nothing but its deadline aborts an exchange.
  if (cause.name === "AbortError" || cause.name === "TimeoutError") return "timeout";
  return "code" in cause && typeof cause.code === "string" ? cause.code : cause.message;
}

async function exchange(
  { url: address, headers, body, timeoutMs, maxAnswerBytes }: Post,
  agents: { "http:": http.Agent; "https:": https.Agent },
  lookup: Lookup,
): Promise<PostAnswer> {
  const url = new URL(address);
  if (url.protocol !== "https:" && url.protocol !== "http:")
    throw new Error(`${url.protocol} is neither http: nor https:`);
  // A socket to a literal address never asks the lookup function.
  assertAllowedHost(url.hostname);
  const options: https.RequestOptions = {
    method: "POST",
    headers: { ...headers, "content-length": Buffer.byteLength(body), "user-agent": "scimseal" },
    lookup,
    agent: agents[url.protocol],
    signal: AbortSignal.timeout(timeoutMs),
  };
  return await new Promise((resolve, reject) => {
    const request = (url.protocol === "https:" ? https : http).request(url, options, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > maxAnswerBytes) response.destroy(new Error(`the answer is above ${maxAnswerBytes} bytes`));
        else chunks.push(chunk);
      });
      response.on("error", reject);
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          contentType: response.headers["content-type"] ?? "",
          body: Buffer.concat(chunks),
        }),
      );
    });
    request.on("error", reject);
    request.end(body);
  });
}
