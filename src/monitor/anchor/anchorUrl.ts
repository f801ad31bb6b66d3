// An anchor at an HTTP endpoint: GET gives the note (404: none yet), PUT replaces it, both as text/plain, with a bearer
// token if there is one (RFC 9110 §9.3.1, §9.3.4; RFC 6750 §2.1). Any object store or web server that knows PUT will do.
// The same address rules as for targets, no redirects, one try, bounded in time and bytes. The token shows in no error.

import { type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { assertAllowedHost, guardedLookup } from "../../config/address.ts";
import { MAX_NOTE_BYTES } from "../../ledger/note/note.ts";
import type { Anchor } from "./anchor.ts";

export interface UrlAnchorOptions {
  /** http or https; the whole URL of the note. */
  url: string;
  /** Read at each request, so that a secret need not be kept. */
  token?: () => string;
  /** For a whole request; 10 s unless told otherwise. */
  timeoutMs?: number;
}

const TIMEOUT_MS = 10_000;

export class UrlAnchor implements Anchor {
  readonly name: string;
  readonly #options: UrlAnchorOptions;

  constructor(options: UrlAnchorOptions) {
    const { origin, pathname } = new URL(options.url);
    this.name = `${origin}${pathname}`;
    this.#options = options;
  }

  async read(): Promise<string | undefined> {
    const { status, body } = await this.#send("GET");
    if (status === 404) return undefined;
    if (status !== 200) throw new Error(`the anchor ${this.name} answered GET with ${status}`);
    return body;
  }

  async write(note: string): Promise<void> {
    const { status } = await this.#send("PUT", note);
    if (![200, 201, 204].includes(status)) {
      throw new Error(`the anchor ${this.name} answered PUT with ${status}`);
    }
  }

  async #send(method: "GET" | "PUT", note?: string): Promise<{ status: number; body: string }> {
    const { url, token, timeoutMs = TIMEOUT_MS } = this.#options;
    const target = new URL(url);
    // A socket to a literal address never asks the lookup function.
    assertAllowedHost(target.hostname);
    const body = note === undefined ? undefined : Buffer.from(note);
    const send = target.protocol === "https:" ? httpsRequest : httpRequest;
    const request = send(target, {
      method,
      agent: false,
      lookup: guardedLookup,
      signal: AbortSignal.timeout(timeoutMs),
      headers: {
        accept: "text/plain",
        ...(token ? { authorization: `Bearer ${token()}` } : {}),
        ...(body ? { "content-type": "text/plain; charset=utf-8", "content-length": body.length } : {}),
      },
    });
    try {
      const response = await answerOf(request, body);
      return { status: response.statusCode ?? 0, body: await readText(response) };
    } catch (cause) {
      throw new Error(`the anchor ${this.name} cannot be reached`, { cause });
    } finally {
      request.destroy();
    }
  }
}

function answerOf(request: ClientRequest, body: Buffer | undefined): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once("response", resolve);
    // It stays after the answer: an abort then must not become an uncaught error.
    request.on("error", reject);
    request.end(body);
  });
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    // No encoding is set, so chunks are bytes.
    length += chunk.length;
    if (length > MAX_NOTE_BYTES) throw new Error(`its answer is longer than ${MAX_NOTE_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
