// A write's way through the house, on one page:
//
//   head → client → route → exact bytes → meaning → record the intent → forward once → record the outcome → reply
//
// Each line is one step that either yields what the next one needs or refuses. `forward` takes only a recorded
// request and `reply` only a recorded response, so the order cannot be got wrong. Once the intent is recorded, nothing
// is tied to the client's connection any more: a client that hangs up cancels neither the forward nor the record.

import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { countBulkOperations } from "../scim/bulk.ts";
import { type JsonDocument, parseStrictJson } from "../scim/json.ts";
import { bodyId, isRead, type Understanding, understand } from "../scim/operation.ts";
import { redact } from "../scim/redact.ts";
import { parseResourcePath } from "../scim/resource.ts";
import { AppendError } from "../storage/appendError.ts";
import type { Draft, Recorded, RequestDraft, ResponseDraft } from "../storage/recorded.ts";
import { readAnswer } from "./answer.ts";
import { type BodyBudget, BodyHold, readBody } from "./body.ts";
import { clientAddress } from "./clientAddress.ts";
import type { Connector, Identity, ProxyContext } from "./connector.ts";
import { type Arrival, draftRefusal, draftRequest, draftResponse, type StoredBody } from "./draft.ts";
import { type Answer, forward } from "./forward.ts";
import { checkHead } from "./framing.ts";
import { isScimMediaType, mediaTypeOf, requestHeaders } from "./header.ts";
import { proxyRead } from "./read.ts";
import { Refusal } from "./refusal.ts";
import { reply, sendRefusal } from "./reply.ts";
import { RetryMemory } from "./retryMemory.ts";
import { parseRoute, type Route } from "./route.ts";
import { TargetCredentialError } from "./target.ts";

const WRITE_METHODS = new Set(["POST", "PUT", "PATCH", "DELETE"]);
const OVERRIDES = ["x-http-method-override", "x-http-method", "x-method-override"];

/** Everything known of one request while it is on its way. */
interface Passage {
  request: IncomingMessage;
  response: ServerResponse;
  address: string;
  hold: BodyHold;
  connector?: Connector;
  arrival?: Arrival;
  meaning?: Understanding;
  wire?: Buffer;
  /** Set once the intent is in the ledger: from then on a failure is an outcome, not a refusal. */
  isRecorded?: boolean;
}

export class Pipeline {
  readonly #context: ProxyContext;
  readonly #budget: BodyBudget;
  readonly #retries = new RetryMemory();
  #inFlight = 0;
  #draining = false;

  constructor(context: ProxyContext, budget: BodyBudget) {
    this.#context = context;
    this.#budget = budget;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** From now on new writes are refused; those under way go on to their recorded end. */
  drain(): void {
    this.#draining = true;
  }

  /** Handles one request to its end. Never throws. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const startedAt = performance.now();
    const passage: Passage = {
      request,
      response,
      address: clientAddress(
        request.socket.remoteAddress,
        headerText(request, "x-forwarded-for"),
        this.#context.isTrustedProxy,
      ),
      hold: new BodyHold(this.#budget),
    };
    let kind: "read" | "write" = "write";
    try {
      kind = await this.#pass(passage);
    } catch (cause) {
      await this.#refuse(passage, cause);
    } finally {
      passage.hold.release();
      const { observer } = this.#context;
      observer.answered(
        passage.connector?.connector ?? "none",
        kind,
        response.statusCode,
        performance.now() - startedAt,
      );
    }
  }

  async #pass(passage: Passage): Promise<"read" | "write"> {
    const { request } = passage;
    checkHead(request, this.#context.limits);
    const identity = await this.#authenticate(passage);
    const route = this.#route(passage, identity);
    if (isRead(request.method ?? "", route.resourcePath)) {
      await proxyRead(
        this.#context,
        this.#connectorOf(passage),
        this.#arrivalOf(passage),
        request,
        passage.response,
      );
      return "read";
    }
    await this.#write(passage, route);
    return "write";
  }

  async #write(passage: Passage, route: Route): Promise<void> {
    this.#admit();
    try {
      const connector = this.#connectorOf(passage);
      const { wire, document, meaning } = await this.#readWrite(passage, route);
      const { draft, secrets, retryKey } = this.#prepare(passage, wire, document, meaning);
      const authorization = await connector.target.authorization();
      const intent = await this.#record(passage, draft);
      passage.isRecorded = true;
      const answer = await this.#forward(passage, intent, route, authorization);
      const read = readAnswer(connector, answer, document, secrets);
      if (["unknown", "incomplete"].includes(read.answer.outcome))
        this.#retries.remember(retryKey, intent.draft.body.txn);
      const outcome = await this.#record(
        passage,
        draftResponse(connector, { txn: intent.draft.body.txn, seq: intent.seq }, read.answer, read.recorded),
      );
      reply(passage.response, outcome, read.reply);
    } finally {
      this.#inFlight--;
    }
  }

  #admit(): void {
    const code = this.#draining
      ? "shutting_down"
      : this.#inFlight >= this.#context.limits.inFlight
        ? "overloaded"
        : undefined;
    if (code) throw new Refusal(code);
    this.#inFlight++;
  }

  async #authenticate({ request, address }: Passage): Promise<Identity> {
    const identity = await this.#context.authenticate(headerText(request, "authorization"));
    if (identity) return identity;
    if (await this.#context.tooManyFailures(address)) throw new Refusal("authentication_rate_limited");
    throw new Refusal("authentication_failed");
  }

  /**
   * Finds the connector. A credential of another connector gets the same 404 as a connector that does not exist. A
   * path that leads nowhere is recorded where the client belongs, if that is one connector.
   */
  #route(passage: Passage, identity: Identity): Route {
    const { request } = passage;
    const home = identity.connectors.size === 1 ? [...identity.connectors][0] : undefined;
    this.#arrive(passage, identity, home, { connector: home ?? "", resourcePath: "/", query: undefined });
    if (OVERRIDES.some((name) => request.headers[name] !== undefined)) throw new Refusal("method_override");
    const method = request.method ?? "";
    if (!WRITE_METHODS.has(method) && method !== "GET" && method !== "HEAD")
      throw new Refusal("method_not_allowed");
    const route = parseRoute(request.url ?? "");
    if (!identity.connectors.has(route.connector) || !this.#context.connectors.has(route.connector)) {
      delete passage.arrival;
      delete passage.connector;
      throw new Refusal("connector_unknown");
    }
    this.#arrive(passage, identity, route.connector, route);
    const isBodyless = method === "GET" || method === "HEAD";
    if (
      isBodyless &&
      (request.headers["transfer-encoding"] !== undefined ||
        Number(request.headers["content-length"] ?? 0) > 0)
    ) {
      throw new Refusal("body_on_read");
    }
    return route;
  }

  #arrive(passage: Passage, identity: Identity, connector: string | undefined, route: Route): void {
    const found = connector === undefined ? undefined : this.#context.connectors.get(connector);
    if (!found) return;
    const { request } = passage;
    const contentType = headerText(request, "content-type");
    passage.connector = found;
    passage.arrival = {
      txn: this.#context.uuid(),
      actor: { client: identity.client, method: identity.method },
      method: request.method ?? "",
      resourcePath: route.resourcePath,
      query: route.query,
      mediaType: contentType === undefined ? undefined : mediaTypeOf(contentType),
      ifMatch: request.headers["if-match"] !== undefined,
      address: passage.address,
      userAgent: headerText(request, "user-agent"),
    };
  }

  /** Reads and understands the body. What a strict reader and a lax target could read differently is refused here. */
  async #readWrite(
    passage: Passage,
    route: Route,
  ): Promise<{ wire: Buffer; document: JsonDocument | undefined; meaning: Understanding }> {
    const { request, response, hold } = passage;
    const { limits } = this.#context;
    const encoding = headerText(request, "content-encoding");
    if (encoding !== undefined && encoding.toLowerCase() !== "identity")
      throw new Refusal("encoding_unsupported");
    const contentType = headerText(request, "content-type");
    const needsBody = request.method !== "DELETE";
    if ((needsBody || contentType !== undefined) && !isScimMediaType(contentType))
      throw new Refusal("media_type_unsupported");
    const isBulk = parseResourcePath(route.resourcePath).kind === "bulk";
    const wire = await readBody(request, response, isBulk ? limits.bulkBytes : limits.bodyBytes, hold);
    passage.wire = wire;
    if (wire.length > 0 && !isScimMediaType(contentType)) throw new Refusal("media_type_unsupported");
    const document = needsBody || wire.length > 0 ? parseBody(wire) : undefined;
    const connector = this.#connectorOf(passage);
    const meaning = understand({
      method: request.method ?? "",
      resourcePath: route.resourcePath,
      ...(route.query === undefined ? {} : { query: route.query }),
      ...(document ? { document } : {}),
      secretAttributes: connector.redact,
    });
    passage.meaning = meaning;
    if (document && isBulk && countBulkOperations(document) > limits.bulkOperations)
      throw new Refusal("bulk_too_many");
    if (document && request.method === "PUT") checkId(document, meaning);
    return { wire, document, meaning };
  }

  #prepare(
    passage: Passage,
    wire: Buffer,
    document: JsonDocument | undefined,
    meaning: Understanding,
  ): { draft: RequestDraft; secrets: readonly string[]; retryKey: string } {
    const connector = this.#connectorOf(passage);
    const arrival = this.#arrivalOf(passage);
    const redaction = document && redact(document, connector.redact);
    const stored: StoredBody | undefined = redaction && {
      bytes: redaction.bytes,
      mediaType: arrival.mediaType ?? "application/scim+json",
      redacted: redaction.redacted,
    };
    const retryKey = createHash("sha256")
      .update(`${arrival.actor.client}\0${arrival.method}\0${passage.request.url ?? ""}\0`)
      .update(wire)
      .digest("base64");
    const draft = draftRequest(connector, arrival, meaning, wire, stored, this.#retries.take(retryKey));
    return { draft, secrets: redaction?.secrets ?? [], retryKey };
  }

  #forward(
    passage: Passage,
    intent: Recorded<RequestDraft>,
    route: Route,
    authorization: string | undefined,
  ): Promise<Answer> {
    const { target } = this.#connectorOf(passage);
    const { limits, isEncrypted, observer } = this.#context;
    const headers = requestHeaders(passage.request.headers, {
      address: passage.address,
      protocol: isEncrypted ? "https" : "http",
      host: passage.request.headers.host ?? "",
    });
    if (authorization !== undefined) headers.authorization = authorization;
    const path = route.query === undefined ? route.resourcePath : `${route.resourcePath}?${route.query}`;
    return forward(intent, target, {
      path,
      headers,
      maxResponseBytes: limits.responseBytes,
      hold: (bytes) => passage.hold.take(bytes),
    }).then((answer) => {
      observer.forwarded(intent.draft.body.connector, answer.outcome, answer.durationMs);
      if (answer.status === 401) target.forgetAccessToken();
      return answer;
    });
  }

  /** Appends, or refuses with the fail-closed answer. */
  async #record<D extends RequestDraft | ResponseDraft | Draft>(
    passage: Passage,
    draft: D,
  ): Promise<Recorded<D>> {
    const connector = this.#connectorOf(passage);
    try {
      return await connector.ledger.append(draft);
    } catch (cause) {
      if (!(cause instanceof AppendError)) throw cause;
      const refusal = new Refusal(
        passage.isRecorded ? "outcome_not_recorded" : "ledger_unavailable",
        undefined,
        {
          cause,
          status: this.#context.failClosed.status,
        },
      );
      refusal.retryAfterSeconds = this.#context.failClosed.retryAfterSeconds;
      throw refusal;
    }
  }

  /** Answers a refusal; records it first if the client is known. */
  async #refuse(passage: Passage, cause: unknown): Promise<void> {
    if (passage.response.destroyed || (passage.request.destroyed && !passage.request.complete)) return;
    let refusal = this.#toRefusal(passage, cause);
    const { connector, arrival } = passage;
    if (connector && arrival && isRecordable(passage, refusal)) {
      try {
        await this.#record(
          passage,
          draftRefusal(
            connector,
            arrival,
            { code: refusal.code, status: refusal.status },
            passage.meaning,
            passage.wire,
          ),
        );
      } catch (failure) {
        refusal = this.#toRefusal(passage, failure);
      }
    }
    const reason = refusal.cause instanceof AppendError ? refusal.cause.code : refusal.code;
    this.#context.observer.refused(connector?.connector ?? "none", refusal.code, reason);
    sendRefusal(passage.response, refusal);
  }

  #toRefusal({ connector, isRecorded }: Passage, cause: unknown): Refusal {
    if (cause instanceof Refusal) {
      if (cause.code === "overloaded" || cause.code === "shutting_down") {
        cause.retryAfterSeconds = this.#context.failClosed.retryAfterSeconds;
      }
      return cause;
    }
    if (cause instanceof TargetCredentialError) {
      this.#context.log.warn(
        { connector: connector?.connector, detail: cause.message },
        "no credential for the target",
      );
      return new Refusal("target_unreachable", undefined, { cause });
    }
    const name = cause instanceof Error ? cause.name : typeof cause;
    const stack = cause instanceof Error ? cause.stack?.split("\n").slice(1, 6).join("\n") : undefined;
    this.#context.log.error(
      { connector: connector?.connector, error: name, stack },
      "a request failed inside the proxy",
    );
    return new Refusal(isRecorded ? "outcome_not_recorded" : "internal_error", undefined, { cause });
  }

  #connectorOf({ connector }: Passage): Connector {
    if (!connector) throw new Error("a step that needs the connector ran before the route was known");
    return connector;
  }

  #arrivalOf({ arrival }: Passage): Arrival {
    if (!arrival) throw new Error("a step that needs the arrival ran before the route was known");
    return arrival;
  }
}

function parseBody(wire: Buffer): JsonDocument {
  const parsed = parseStrictJson(wire);
  if (parsed.ok) return parsed.document;
  const { code, detail, offset } = parsed.refusal;
  throw new Refusal("body_invalid", `${code}${offset === undefined ? "" : ` at byte ${offset}`}: ${detail}`);
}

function checkId(document: JsonDocument, meaning: Understanding): void {
  const id = bodyId(document);
  if (id !== undefined && meaning.resourceId !== undefined && id !== meaning.resourceId)
    throw new Refusal("id_mismatch");
}

/** Not recorded: what the ledger itself refused, and what was shed to keep the proxy alive. */
function isRecordable({ isRecorded }: Passage, { code }: Refusal): boolean {
  return (
    !isRecorded &&
    code !== "ledger_unavailable" &&
    code !== "overloaded" &&
    code !== "shutting_down" &&
    code !== "internal_error"
  );
}

function headerText(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === "string" ? value : undefined;
}
