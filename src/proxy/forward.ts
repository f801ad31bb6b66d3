// One try, exactly those bytes. `forward` takes nothing but a recorded request (I1) and sends the buffer whose digest
// was recorded. What happened is told as precisely as it can be known: before undici starts writing, nothing was sent;
// after that only a whole answer is certain. Never retried, never redirected (RFC 9110 §9.2.2).

import type { Dispatcher } from "undici";
import type { Outcome } from "../ledger/entry.ts";
import type { Recorded, RequestDraft } from "../storage/recorded.ts";
import type { Target } from "./target.ts";

/** Larger bodies get a connection of their own: one flush may not empty them. */
const SHARED_CONNECTION_BODY_BYTES = 16 * 1024;

export interface ForwardOptions {
  path: string;
  headers: Record<string, string>;
  maxResponseBytes: number;
  /** Called with the size of each piece of the answer before it is kept; throws to shed it. */
  hold(bytes: number): void;
}

/** What is known of the target's answer. `body` is whole only for `answered`, `early` and `redirected`. */
export interface Answer {
  outcome: Outcome;
  reason?: string;
  status?: number;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  body: Buffer;
  durationMs: number;
}

/** Sends a recorded request to its target. Never throws: whatever goes wrong is an outcome. */
export async function forward(
  recorded: Recorded<RequestDraft>,
  target: Target,
  options: ForwardOptions,
): Promise<Answer> {
  const { wire, body: entry } = recorded.draft;
  const startedAt = performance.now();
  const single = wire.length > SHARED_CONNECTION_BODY_BYTES ? target.openSingle() : undefined;
  const dispatcher: Dispatcher = single?.client ?? target.shared;
  const exchange = new Exchange(options, () => {
    const socket = single?.socket();
    return socket !== undefined && socket.writableLength > 0;
  });
  const timer = setTimeout(() => exchange.expire(), target.timeoutMs);
  try {
    dispatcher.dispatch(
      {
        origin: target.origin,
        path: `${target.basePath}${options.path}`,
        method: entry.http.method,
        headers: options.headers,
        body: wire.length > 0 ? wire : null,
        reset: single !== undefined,
      },
      exchange,
    );
    const answer = await exchange.done;
    return { ...answer, durationMs: performance.now() - startedAt };
  } finally {
    clearTimeout(timer);
    // Never used again, whatever state it is in.
    if (single) void single.client.destroy();
  }
}

/** Gives up before a connection exists; told apart from errors of the connection by its class. */
class DeadlineReached extends Error {
  override name = "DeadlineReached";
}
class AnswerTooLarge extends Error {
  override name = "AnswerTooLarge";
}
class AnswerInvalid extends Error {
  override name = "AnswerInvalid";
}

class Exchange implements Dispatcher.DispatchHandler {
  readonly done: Promise<Omit<Answer, "durationMs">>;
  readonly #options: ForwardOptions;
  readonly #isUnsent: () => boolean;
  #settle: (answer: Omit<Answer, "durationMs">) => void = () => {};
  #controller: Dispatcher.DispatchController | undefined;
  #started = false;
  #early = false;
  #expired = false;
  #status: number | undefined;
  #headers: Answer["headers"] = {};
  #chunks: Buffer[] = [];
  #size = 0;

  constructor(options: ForwardOptions, isUnsent: () => boolean) {
    this.#options = options;
    this.#isUnsent = isUnsent;
    this.done = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  /** The deadline passed. Without a connection yet there is nothing to abort but the wait. */
  expire(): void {
    this.#expired = true;
    if (this.#controller) this.#controller.abort(new DeadlineReached("the target did not answer in time"));
    else this.#end(this.#started ? "unknown" : "not_sent", "timeout");
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#expired) {
      // It waited in the queue past its deadline and was reported as not sent: it must stay so.
      controller.abort(new DeadlineReached("expired before a connection was free"));
      return;
    }
    this.#started = true;
  }

  onRequestUpgrade(controller: Dispatcher.DispatchController): void {
    controller.abort(new AnswerInvalid("the target switched protocols"));
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Answer["headers"],
  ): void {
    if (status < 200) {
      if (status === 101) controller.abort(new AnswerInvalid("the target switched protocols"));
      return;
    }
    this.#status = status;
    this.#headers = headers;
    this.#early = this.#isUnsent();
    if (status > 599) controller.abort(new AnswerInvalid("no such status"));
    else if (headers["content-length"] !== undefined && headers["transfer-encoding"] !== undefined) {
      controller.abort(new AnswerInvalid("both Content-Length and Transfer-Encoding"));
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#size += chunk.length;
    if (this.#size > this.#options.maxResponseBytes) {
      controller.abort(new AnswerTooLarge("the answer is above the limit"));
      return;
    }
    try {
      this.#options.hold(chunk.length);
    } catch (cause) {
      controller.abort(new AnswerTooLarge("no memory is left for the answer", { cause }));
      return;
    }
    this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    this.#end(this.#early ? "early" : "answered");
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (error instanceof AnswerTooLarge) this.#end("too_large");
    else if (error instanceof AnswerInvalid || isParserError(error))
      this.#end("protocol_error", reasonOf(error));
    else if (!this.#started)
      this.#end("not_sent", error instanceof DeadlineReached ? "timeout" : reasonOf(error));
    else if (this.#status !== undefined) this.#end("incomplete", reasonOf(error));
    else this.#end("unknown", error instanceof DeadlineReached ? "timeout" : reasonOf(error));
  }

  #end(outcome: Outcome, reason?: string): void {
    this.#settle({
      outcome,
      ...(reason === undefined ? {} : { reason }),
      ...(this.#status === undefined ? {} : { status: this.#status }),
      headers: this.#headers,
      body: Buffer.concat(this.#chunks),
    });
  }
}

function isParserError(error: Error): boolean {
  const code = "code" in error ? String(error.code) : "";
  return error.name === "HTTPParserError" || code.startsWith("HPE_") || code === "UND_ERR_HEADERS_OVERFLOW";
}

/** A short code for the record and the log; never the message, which may quote what the target sent. */
function reasonOf(error: Error): string {
  const code = "code" in error && typeof error.code === "string" ? error.code : error.name;
  return /^[A-Za-z0-9_]{1,64}$/.test(code) ? code : "error";
}
