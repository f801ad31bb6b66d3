// One try, exactly those bytes. `forward` takes nothing but a recorded request (I1) and sends the buffer whose digest
// was recorded. What happened is told as precisely as it can be known: before undici starts writing, nothing was sent;
// after that only a whole answer is certain. Never retried, never redirected (RFC 9110 §9.2.2).

import type { Dispatcher } from "undici";
import type { Outcome } from "../../ledger/entry.ts";
import type { Recorded, RequestDraft } from "../../storage/writer/recorded.ts";
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
  const exchange = new Exchange(options, entry.http.method === "DELETE", () => {
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
  /** Stands in the record as the reason. */
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

class Exchange implements Dispatcher.DispatchHandler {
  readonly done: Promise<Omit<Answer, "durationMs">>;
  readonly #options: ForwardOptions;
  readonly #mayBeBare: boolean;
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

  constructor(options: ForwardOptions, mayBeBare: boolean, isUnsent: () => boolean) {
    this.#options = options;
    this.#mayBeBare = mayBeBare;
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
    controller.abort(new AnswerInvalid("upgrade", "the target switched protocols"));
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Answer["headers"],
  ): void {
    if (status >= 100 && status < 200) return;
    this.#status = status;
    this.#headers = headers;
    this.#early = this.#isUnsent();
    const invalid = findInvalid(status, headers);
    if (invalid) controller.abort(invalid);
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
    if (this.#early) this.#end("early");
    else if (this.#isProvedWhole()) this.#end("answered");
    else this.#end("incomplete", "no_length");
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (error instanceof AnswerTooLarge) this.#end("too_large");
    else if (error instanceof AnswerInvalid || isInvalidHttp(error, this.#status))
      this.#end("protocol_error", reasonOf(error));
    else if (!this.#started)
      this.#end("not_sent", error instanceof DeadlineReached ? "timeout" : reasonOf(error));
    else if (this.#status !== undefined) this.#end("incomplete", reasonOf(error));
    else this.#end("unknown", error instanceof DeadlineReached ? "timeout" : reasonOf(error));
  }

  /**
   * Without a length only the end of the connection ends an answer, and a crash of the target looks the same (RFC 9112
   * §8). A success is believed when the document in it is whole; an error promises nothing, and a deletion may be bare.
   */
  #isProvedWhole(): boolean {
    const status = this.#status ?? 0;
    const { "content-length": length, "transfer-encoding": coding } = this.#headers;
    if (length !== undefined || coding !== undefined || status === 204 || status >= 300) return true;
    if (this.#size === 0) return this.#mayBeBare;
    return isWholeDocument(Buffer.concat(this.#chunks));
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

/** What no answer to a write may be, though a parser lets it pass. */
function findInvalid(status: number, headers: Answer["headers"]): AnswerInvalid | undefined {
  if (status < 100 || status > 599) return new AnswerInvalid("status", "no such status");
  if (headers["content-length"] !== undefined && headers["transfer-encoding"] !== undefined)
    return new AnswerInvalid("framing", "both Content-Length and Transfer-Encoding");
  const coding = headers["content-encoding"];
  // Only identity was accepted. What cannot be read can be neither redacted nor rewritten.
  if (coding !== undefined && coding !== "" && String(coding).toLowerCase() !== "identity")
    return new AnswerInvalid("content_encoding", "a content coding that was not asked for");
  return undefined;
}

function isInvalidHttp(error: Error, status: number | undefined): boolean {
  const code = "code" in error ? String(error.code) : "";
  // The connection ended inside the answer: no breach of the grammar. The parser gives it no code of its own.
  if (error.message.includes("Invalid EOF state")) return false;
  if (error.name === "HTTPParserError" || code.startsWith("HPE_") || code === "UND_ERR_HEADERS_OVERFLOW")
    return true;
  // undici's parser reports a bad head that way too, when a length had been read already.
  if (code === "UND_ERR_RES_CONTENT_LENGTH_MISMATCH") return status === undefined;
  // An upgrade, or 100 Continue without an Expect: undici tells these by the message alone.
  return code === "UND_ERR_SOCKET" && /^bad (?:upgrade|response)$/.test(error.message);
}

/** Whether bytes are one JSON object or array: such a document shows its own end. */
function isWholeDocument(bytes: Buffer): boolean {
  const text = bytes.toString("utf8").trim();
  if (!text.startsWith("{") && !text.startsWith("[")) return false;
  try {
    JSON.parse(text);
    return true;
  } catch (cause) {
    if (cause instanceof SyntaxError) return false;
    throw cause;
  }
}

/** A short code for the record and the log; never the message, which may quote what the target sent. */
function reasonOf(error: Error): string {
  const code = "code" in error && typeof error.code === "string" ? error.code : error.name;
  return /^[A-Za-z0-9_]{1,64}$/.test(code) ? code : "error";
}
