// The requests of one connection, one at a time and in the order they came (RFC 9112 §9.3.2 lets only safe methods run
// side by side). Node hands pipelined requests over as fast as it parses them: without this, "deactivate" and then
// "activate" could reach the target the other way round, and what is wrong with the second request could be answered
// in the place of the first, so that a client reads a refusal for a write that is being forwarded.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** Requests of one connection that may wait behind the one at work. No known SCIM client pipelines at all. */
const MAX_WAITING = 16;

interface Turn {
  request: IncomingMessage;
  response: ServerResponse;
  done: Promise<void>;
}

interface Line {
  turns: Set<Turn>;
  tail: Promise<void>;
  isClosing: boolean;
}

export class RequestOrder {
  readonly #lines = new WeakMap<Socket, Line>();

  /**
   * Handles a request after those before it on its connection were answered. It is dropped, never handled, if one of
   * them was answered with "close", if the connection is gone, or if too many are waiting: then the connection ends
   * after the last one that was let in. `handle` must answer or destroy the response, and must not throw.
   */
  async run(
    request: IncomingMessage,
    response: ServerResponse,
    handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
  ): Promise<void> {
    const { socket } = request;
    const line = this.#lineOf(socket);
    if (line.isClosing) return;
    if (line.turns.size > MAX_WAITING) {
      await this.close(socket);
      socket.destroySoon();
      return;
    }
    const before = line.tail;
    const turn: Turn = { request, response, done: Promise.resolve() };
    turn.done = (async () => {
      if (line.turns.size > 0) await before;
      if (socket.destroyed || socket.writableEnded || (line.isClosing && !request.complete)) return;
      await handle(request, response);
      await closed(response);
    })().finally(() => line.turns.delete(turn));
    line.turns.add(turn);
    line.tail = turn.done;
    await turn.done;
  }

  /** Whether a request of this connection is being handled. */
  isBusy(socket: Socket): boolean {
    return this.#lineOf(socket).turns.size > 0;
  }

  /**
   * Lets no further request of this connection begin; resolves when those that had wholly arrived are answered. True
   * if the connection's next answer is still to be given; false if an answer to a half-sent request has begun, or if
   * this was called before.
   */
  async close(socket: Socket): Promise<boolean> {
    const line = this.#lineOf(socket);
    if (line.isClosing) return false;
    line.isClosing = true;
    const turns = [...line.turns];
    await Promise.all(turns.filter(({ request }) => request.complete).map(({ done }) => done));
    return !turns.some(({ request, response }) => !request.complete && response.headersSent);
  }

  #lineOf(socket: Socket): Line {
    const known = this.#lines.get(socket);
    if (known) return known;
    const line: Line = { turns: new Set(), tail: Promise.resolve(), isClosing: false };
    this.#lines.set(socket, line);
    return line;
  }
}

/** A response's end; also the end of its connection. */
function closed(response: ServerResponse): Promise<void> {
  if (response.closed || response.destroyed) return Promise.resolve();
  return new Promise((resolve) => response.once("close", () => resolve()));
}
