// The exact bytes of a request. Read once into one buffer; that buffer is what gets recorded and forwarded. Memory is
// bounded over all requests by one budget, taken before the bytes are: a body that does not fit is shed, not swapped.

import type { IncomingMessage, ServerResponse } from "node:http";
import { Refusal } from "./refusal.ts";

/** Memory that bodies may take at one time. */
export class BodyBudget {
  readonly #limit: number;
  #used = 0;

  constructor(limitBytes: number) {
    this.#limit = limitBytes;
  }

  get usedBytes(): number {
    return this.#used;
  }

  /** Takes bytes from the budget; throws `overloaded` if they are not there. */
  take(bytes: number): void {
    if (this.#used + bytes > this.#limit) throw new Refusal("overloaded");
    this.#used += bytes;
  }

  release(bytes: number): void {
    this.#used -= bytes;
  }
}

/** Bytes held for one request; `release` gives back what was taken, once. */
export class BodyHold {
  readonly #budget: BodyBudget;
  #bytes = 0;

  constructor(budget: BodyBudget) {
    this.#budget = budget;
  }

  take(bytes: number): void {
    this.#budget.take(bytes);
    this.#bytes += bytes;
  }

  release(): void {
    this.#budget.release(this.#bytes);
    this.#bytes = 0;
  }
}

/** The client went away before its request was complete: nothing is recorded, nothing is forwarded. */
export class ClientGoneError extends Error {
  override name = "ClientGoneError";
}

/**
 * Reads the whole body. Throws `body_too_large` (for a declared length before reading a byte), `overloaded`, or
 * ClientGoneError. The caller releases the hold when the request is over.
 */
export async function readBody(
  request: IncomingMessage,
  reply: ServerResponse,
  limitBytes: number,
  hold: BodyHold,
): Promise<Buffer> {
  const declared = request.headers["content-length"];
  const expected = declared === undefined ? undefined : Number(declared);
  if (expected !== undefined && expected > limitBytes) throw new Refusal("body_too_large");
  if (expected !== undefined) hold.take(expected);
  // Authentication takes time; a client that left meanwhile sends no further event to wait for.
  if (request.destroyed)
    throw new ClientGoneError("the client closed the connection before its body was read");
  // The client of `Expect: 100-continue` waits until we have looked at its head: now we have. HTTP/1.0 knows no 1xx.
  if (request.headers.expect !== undefined && request.httpVersion !== "1.0") reply.writeContinue();
  const chunks: Buffer[] = [];
  let size = 0;
  await new Promise<void>((resolve, reject) => {
    const finish = (error?: Error) => {
      request.off("data", onData).off("end", onEnd).off("error", onGone).off("close", onGone);
      if (error) {
        request.pause();
        reject(error);
      } else resolve();
    };
    const onData = (chunk: Buffer) => {
      size += chunk.length;
      if (size > limitBytes) return finish(new Refusal("body_too_large"));
      if (expected === undefined) {
        try {
          hold.take(chunk.length);
        } catch (cause) {
          return finish(cause instanceof Error ? cause : new Error("budget", { cause }));
        }
      }
      chunks.push(chunk);
    };
    const onEnd = () => finish();
    const onGone = () => finish(new ClientGoneError("the client closed the connection while sending"));
    request.on("data", onData).on("end", onEnd).on("error", onGone).on("close", onGone);
  });
  const [only] = chunks;
  return chunks.length === 1 && only ? only : Buffer.concat(chunks, size);
}
