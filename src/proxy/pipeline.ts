// A write's way through the house, on one page:
//
//   head → client → route → exact bytes → meaning → record the intent → forward once → record the outcome → reply
//
// Each step either yields what the next one needs or refuses. `forward` takes only a recorded request and `reply` only
// a recorded response, so the order cannot be got wrong. Once the intent is recorded nothing is tied to the client's
// connection any more: a client that hangs up cancels neither the forward nor the record.

import type { IncomingMessage, ServerResponse } from "node:http";
import { isRead } from "../scim/operation.ts";
import { AppendError } from "../storage/writer/appendError.ts";
import type { Draft, Recorded, RequestDraft, ResponseDraft } from "../storage/writer/recorded.ts";
import { type BodyBudget, BodyHold } from "./client/body.ts";
import { clientAddress, clientProtocol } from "./client/clientAddress.ts";
import { headerText, type Passage, type Received } from "./client/passage.ts";
import { receive } from "./client/reception.ts";
import type { Connector, ProxyContext } from "./connector.ts";
import { draftRefusal, draftResponse } from "./draft.ts";
import { requestHeaders } from "./header.ts";
import { type Intake, takeIn } from "./intake.ts";
import { Refusal } from "./refusal.ts";
import { reply, sendRefusal } from "./reply.ts";
import { RetryMemory } from "./retryMemory.ts";
import { type Reply, readAnswer } from "./target/answer.ts";
import { type Answer, forward } from "./target/forward.ts";
import { proxyRead } from "./target/read.ts";
import { TargetCredentialError } from "./target/target.ts";

export class Pipeline {
  readonly #context: ProxyContext;
  readonly #budget: BodyBudget;
  readonly #retries = new RetryMemory();
  #inFlight = 0;
  #reads = 0;
  #draining = false;

  constructor(context: ProxyContext, budget: BodyBudget) {
    this.#context = context;
    this.#budget = budget;
  }

  /** Writes between their admission and their recorded end. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** What a stop waits for: those writes, and the reads that began before it, until their answers are out. */
  get underWay(): number {
    return this.#inFlight + this.#reads;
  }

  /** From now on new writes are refused; what is under way goes on to its end. */
  drain(): void {
    this.#draining = true;
  }

  /** Handles one request to its end. Never throws. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { observer, isEncrypted, isTrustedProxy } = this.#context;
    const startedAt = performance.now();
    const passage: Passage = {
      request,
      response,
      address: clientAddress(
        request.socket.remoteAddress,
        headerText(request, "x-forwarded-for"),
        isTrustedProxy,
      ),
      protocol: clientProtocol(
        isEncrypted,
        request.socket.remoteAddress,
        headerText(request, "x-forwarded-proto"),
        isTrustedProxy,
      ),
      hold: new BodyHold(this.#budget),
    };
    let kind: "read" | "write" = "write";
    try {
      const received = await receive(this.#context, passage);
      if (isRead(received.arrival.method, received.route.resourcePath)) {
        kind = "read";
        this.#countRead(response);
        await proxyRead(this.#context, received.connector, received.arrival, passage);
      } else {
        await this.#write(passage, received);
      }
    } catch (cause) {
      await this.#refuse(passage, cause);
    } finally {
      passage.hold.release();
      const connector = passage.connector?.connector ?? "none";
      observer.answered(connector, kind, response.statusCode, performance.now() - startedAt);
    }
  }

  async #write(passage: Passage, received: Received): Promise<void> {
    this.#admit();
    try {
      const { connector } = received;
      const intake = await takeIn(this.#context, passage, received, this.#retries);
      const authorization = await connector.target.authorization();
      const intent = await this.#record(connector, intake.draft, "ledger_unavailable");
      passage.isRecorded = true;
      const carried = await this.#carryOut(passage, received, intake, intent, authorization);
      const outcome = await this.#record(connector, carried.draft, "outcome_not_recorded");
      const { refused } = carried.reply;
      if (refused) this.#context.observer.refused(connector.connector, refused, refused);
      reply(passage.response, outcome, carried.reply);
    } finally {
      this.#inFlight--;
    }
  }

  /** Forwards a recorded intent and drafts its outcome. If the proxy itself fails here, the record says `unknown`. */
  async #carryOut(
    passage: Passage,
    received: Received,
    intake: Intake,
    intent: Recorded<RequestDraft>,
    authorization: string | undefined,
  ): Promise<{ draft: ResponseDraft; reply: Reply }> {
    const { connector } = received;
    try {
      const answer = await this.#forward(passage, received, intent, authorization);
      const read = readAnswer(connector, answer, intake.bulk, intake.secrets);
      if (read.answer.outcome === "unknown" || read.answer.outcome === "incomplete") {
        this.#retries.remember(intake.retryKey(), intent.draft.body.txn);
      }
      return {
        draft: draftResponse(connector, closes(intent), read.answer, read.recorded),
        reply: read.reply,
      };
    } catch (cause) {
      const unknown: Answer = {
        outcome: "unknown",
        reason: "internal_error",
        headers: {},
        body: Buffer.alloc(0),
        durationMs: 0,
      };
      const { answer, recorded } = readAnswer(connector, unknown, undefined, []);
      await this.#record(
        connector,
        draftResponse(connector, closes(intent), answer, recorded),
        "outcome_not_recorded",
      );
      throw cause;
    }
  }

  async #forward(
    passage: Passage,
    { connector: { target }, route }: Received,
    intent: Recorded<RequestDraft>,
    authorization: string | undefined,
  ): Promise<Answer> {
    const { limits, observer } = this.#context;
    const headers = requestHeaders(passage.request.headers, {
      address: passage.address,
      protocol: passage.protocol,
      host: headerText(passage.request, "host") ?? "",
    });
    if (authorization !== undefined) headers.authorization = authorization;
    const answer = await forward(intent, target, {
      path: route.query === undefined ? route.resourcePath : `${route.resourcePath}?${route.query}`,
      headers,
      maxResponseBytes: limits.responseBytes,
      hold: (bytes) => passage.hold.take(bytes),
    });
    observer.forwarded(intent.draft.body.connector, answer.outcome, answer.durationMs);
    if (answer.status === 401) target.forgetAccessToken();
    return answer;
  }

  /** One that begins while all ends is not waited for: a busy client must not hold up the stop. */
  #countRead(response: ServerResponse): void {
    if (this.#draining || response.closed) return;
    this.#reads++;
    response.once("close", () => this.#reads--);
  }

  #admit(): void {
    if (this.#draining) throw new Refusal("shutting_down");
    if (this.#inFlight >= this.#context.limits.inFlight) throw new Refusal("overloaded");
    this.#inFlight++;
  }

  /** Appends, or refuses with the fail-closed answer. */
  async #record<D extends Draft>(
    { ledger }: Connector,
    draft: D,
    code: "ledger_unavailable" | "outcome_not_recorded",
  ): Promise<Recorded<D>> {
    try {
      return await ledger.append(draft);
    } catch (cause) {
      if (!(cause instanceof AppendError)) throw cause;
      const { status } = this.#context.failClosed;
      if (code === "ledger_unavailable") throw Refusal.ledgerUnavailable(cause, status);
      throw new Refusal(code, undefined, { cause, status });
    }
  }

  /** Answers a refusal; records it first if the client is known. */
  async #refuse(passage: Passage, cause: unknown): Promise<void> {
    const { request, response, connector, arrival, meaning, wire } = passage;
    // Gone before its request was complete: nobody to answer, nothing that happened.
    if (!passage.isRecorded && request.destroyed && !request.complete) return;
    let refusal = this.#toRefusal(passage, cause);
    if (connector && arrival && isRecordable(passage, refusal)) {
      const { code, status } = refusal;
      try {
        await this.#record(
          connector,
          draftRefusal(connector, arrival, { code, status }, meaning, wire),
          "ledger_unavailable",
        );
      } catch (failure) {
        refusal = this.#toRefusal(passage, failure);
      }
    }
    const reason = refusal.cause instanceof AppendError ? refusal.cause.code : refusal.code;
    this.#context.observer.refused(connector?.connector ?? "none", refusal.code, reason);
    if (
      ["ledger_unavailable", "outcome_not_recorded", "overloaded", "shutting_down"].includes(refusal.code)
    ) {
      refusal.retryAfterSeconds = this.#context.failClosed.retryAfterSeconds;
    }
    sendRefusal(response, refusal);
  }

  #toRefusal({ connector, isRecorded }: Passage, cause: unknown): Refusal {
    if (cause instanceof Refusal) return cause;
    const { log } = this.#context;
    if (cause instanceof TargetCredentialError) {
      log.warn({ connector: connector?.connector, detail: cause.message }, "no credential for the target");
      return new Refusal("target_unreachable", undefined, { cause });
    }
    const error = cause instanceof Error ? cause.name : typeof cause;
    // The stack without its message, which may quote what a client sent.
    const stack =
      cause instanceof Error ? cause.stack?.split("\n").filter((line) => /^\s+at /.test(line)) : undefined;
    log.error(
      { connector: connector?.connector, error, stack: stack?.slice(0, 5) },
      "a request failed inside the proxy",
    );
    return new Refusal(isRecorded ? "outcome_not_recorded" : "internal_error", undefined, { cause });
  }
}

function closes(intent: Recorded<RequestDraft>): { txn: string; seq: number } {
  return { txn: intent.draft.body.txn, seq: intent.seq };
}

/** Not recorded: what the ledger itself refused, and what was shed to keep the proxy alive. */
function isRecordable({ isRecorded }: Passage, { code }: Refusal): boolean {
  const unrecorded = ["ledger_unavailable", "overloaded", "shutting_down", "internal_error"];
  return !isRecorded && !unrecorded.includes(code);
}
