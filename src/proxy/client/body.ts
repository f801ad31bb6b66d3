// The exact bytes of a request. Read once into one buffer; that buffer is what gets recorded and forwarded. Memory is
// bounded over all requests by one budget, taken before the bytes are: a body that does not fit is shed, not swapped.
// With a body its answer's room is taken (a write that is forwarded must not lose its answer to a crowd), and the heap
// that its JSON will fill as a tree: a few bytes such as `{},` become a hundred there.

import type { IncomingMessage, ServerResponse } from "node:http";
import { getHeapStatistics } from "node:v8";
import { Refusal } from "../refusal.ts";

const MIB = 1024 * 1024;
/** Room for an answer besides that for an echo of the request. */
const ANSWER_BYTES = 16 * 1024;
/** V8 counts its young generation into the heap's limit; trees of bodies live in what is left. */
const YOUNG_GENERATION_BYTES = 192 * MIB;
/** Heap of one value and of one member's name, in the tree and in what `JSON.parse` makes; measured, the worst shapes. */
const HEAP_PER_VALUE = 96;
const HEAP_PER_NAME = 256;

/** Memory that bodies may take at one time. */
export class BodyBudget {
  readonly limitBytes: number;
  /** Heap for trees: a quarter of it all, so that the collector has room to work. */
  readonly heapLimitBytes: number;
  #used = 0;
  #heapUsed = 0;

  constructor(
    limitBytes: number,
    heapLimitBytes = Math.max(getHeapStatistics().heap_size_limit - YOUNG_GENERATION_BYTES, 64 * MIB) / 4,
  ) {
    this.limitBytes = limitBytes;
    this.heapLimitBytes = heapLimitBytes;
  }

  get usedBytes(): number {
    return this.#used;
  }

  get usedHeapBytes(): number {
    return this.#heapUsed;
  }

  /** Takes bytes from the budget; throws `overloaded` if they are not there. */
  take(bytes: number, heapBytes = 0): void {
    if (this.#used + bytes > this.limitBytes || this.#heapUsed + heapBytes > this.heapLimitBytes) {
      throw new Refusal("overloaded");
    }
    this.#used += bytes;
    this.#heapUsed += heapBytes;
  }

  release(bytes: number, heapBytes = 0): void {
    this.#used -= bytes;
    this.#heapUsed -= heapBytes;
  }
}

/** Bytes held for one request; `release` gives back what was taken, once. */
export class BodyHold {
  readonly #budget: BodyBudget;
  #bytes = 0;
  #heapBytes = 0;
  #reserved = 0;

  constructor(budget: BodyBudget) {
    this.#budget = budget;
  }

  /** Takes from what was reserved and then from the budget; throws `overloaded`. */
  take(bytes: number): void {
    const fresh = Math.max(0, bytes - this.#reserved);
    this.#budget.take(fresh);
    this.#reserved -= bytes - fresh;
    this.#bytes += fresh;
  }

  /** Takes bytes for later; no more than the whole budget could ever give. Throws `overloaded`. */
  reserve(bytes: number): void {
    const possible = Math.max(0, Math.min(bytes, this.#budget.limitBytes - this.#bytes));
    this.#budget.take(possible);
    this.#bytes += possible;
    this.#reserved += possible;
  }

  /** Takes heap for a body's tree; throws `body_too_large` if it can never fit, `overloaded` if it does not now. */
  takeHeap(heapBytes: number): void {
    if (heapBytes > this.#budget.heapLimitBytes)
      throw new Refusal("body_too_large", "It holds too many values for the memory this server has.");
    this.#budget.take(0, heapBytes);
    this.#heapBytes += heapBytes;
  }

  release(): void {
    this.#budget.release(this.#bytes, this.#heapBytes);
    this.#bytes = 0;
    this.#heapBytes = 0;
    this.#reserved = 0;
  }
}

/** The client went away before its request was complete: nothing is recorded, nothing is forwarded. */
export class ClientGoneError extends Error {
  override name = "ClientGoneError";
}

/** The client of `Expect: 100-continue` waits until its head was looked at; call this when it was. HTTP/1.0 knows no 1xx. */
export function letContinue(request: IncomingMessage, reply: ServerResponse): void {
  if (request.headers.expect !== undefined && request.httpVersion !== "1.0") reply.writeContinue();
}

/**
 * Reads the whole body. Throws `body_too_large` (for a declared length before reading a byte), `overloaded`, or
 * ClientGoneError. Bytes, room for the answer and heap for the tree are taken from the hold. The caller releases the hold when the request is over.
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
  if (expected !== undefined) {
    hold.take(expected);
    hold.reserve(expected + ANSWER_BYTES);
  }
  // Authentication takes time; a client that left meanwhile sends no further event to wait for.
  if (request.destroyed)
    throw new ClientGoneError("the client closed the connection before its body was read");
  letContinue(request, reply);
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
  if (expected === undefined) hold.reserve(size + ANSWER_BYTES);
  const [only] = chunks;
  const body = chunks.length === 1 && only ? only : Buffer.concat(chunks, size);
  hold.takeHeap(heapOf(body));
  return body;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;

/**
 * Heap bytes, from above, that a JSON body takes once it is parsed. One pass over the bytes; strings are stepped over.
 * What is no JSON is estimated as if it were: it will be refused anyway.
 */
export function heapOf(body: Uint8Array): number {
  let values = 0;
  let names = 0;
  for (let i = 0; i < body.length; i++) {
    switch (body[i]) {
      case QUOTE:
        i = closingQuote(body, i);
        break;
      case COMMA:
      case OPEN_BRACKET:
      case OPEN_BRACE:
        values++;
        break;
      case COLON:
        names++;
        break;
    }
  }
  return 2 * body.length + values * HEAP_PER_VALUE + names * HEAP_PER_NAME;
}

function closingQuote(body: Uint8Array, open: number): number {
  let i = open + 1;
  while (i < body.length && body[i] !== QUOTE) i += body[i] === BACKSLASH ? 2 : 1;
  return i;
}
