// Alarms told to other systems (https://www.standardwebhooks.com): a JSON body, signed with HMAC-SHA256 over id,
// time and body under the headers webhook-id, webhook-timestamp and webhook-signature; or a body that Slack's incoming
// webhooks take, with the same headers. At least once, in order for each receiver: tried again with growing pauses,
// under the same id. What waits is bounded and lives in memory only: the alarm itself is in the ledger.

import { createHmac } from "node:crypto";
import { decodeBase64 } from "../../ledger/base64.ts";
import { type PostAnswer, reasonOf, type SendPost } from "../post.ts";
import type { Alarm } from "./alarm.ts";

/** A receiver, from the configuration. */
export interface WebhookTarget {
  url: string;
  /** `whsec_` and 24 to 64 bytes in base64 (the prefix may be missing). */
  secret: string;
  format: "standard" | "slack";
}

export interface WebhookLog {
  warn(fields: object, message: string): void;
}

export interface WebhookOptions {
  targets: readonly WebhookTarget[];
  post: SendPost;
  /** Epoch milliseconds. */
  now(): number;
  log: WebhookLog;
  /** Pauses between tries of one message; when they are used up it is dropped, with a line in the log. */
  retryAfterMs?: readonly number[];
  /** Messages that wait for one receiver at most; further ones are dropped, with a line in the log. */
  maxWaiting?: number;
}

/** A message, as it is sent each time it is tried. */
interface Message {
  id: string;
  body: string;
}

const RETRY_AFTER_MS = [5_000, 30_000, 120_000, 600_000, 1_800_000, 7_200_000, 18_000_000];
const MAX_WAITING = 100;
const TIMEOUT_MS = 15_000;
const MAX_ANSWER_BYTES = 64 * 1024;
const SECRET_PREFIX = "whsec_";
/** The receiver says that it is gone and wants nothing more. */
const GONE = 410;

/** Sends alarms to all receivers. @throws {RangeError} in the constructor for a secret that cannot be one. */
export class Webhooks {
  readonly #receivers: readonly Receiver[];

  constructor(options: WebhookOptions) {
    this.#receivers = options.targets.map((target, i) => new Receiver(target, i + 1, options));
  }

  /** Queues the alarm for every receiver; returns at once. */
  raise(alarm: Alarm, ledger: { name: string; origin: string; isBlocked: boolean }): void {
    const data = {
      ledger: ledger.name,
      origin: ledger.origin,
      blocked: ledger.isBlocked,
      ...describe(alarm),
    };
    for (const receiver of this.#receivers) {
      const body =
        receiver.format === "slack"
          ? { text: formatSlack(alarm, ledger) }
          : { type: "scimseal.alarm.raised", timestamp: alarm.raisedAt, data };
      receiver.add({ id: `msg_${alarm.id}`, body: JSON.stringify(body) });
    }
  }

  /** Stops trying. What waits is dropped. */
  stop(): void {
    for (const receiver of this.#receivers) receiver.stop();
  }
}

/** The bytes of a secret; undefined if it is not 24 to 64 bytes in base64. */
export function parseWebhookSecret(secret: string): Uint8Array | undefined {
  const bytes = decodeBase64(secret.startsWith(SECRET_PREFIX) ? secret.slice(SECRET_PREFIX.length) : secret);
  return bytes && bytes.length >= 24 && bytes.length <= 64 ? bytes : undefined;
}

/** The value of webhook-signature for a message at a time in whole seconds since 1970. */
export function signWebhook(secret: Uint8Array, id: string, seconds: number, body: string): string {
  return `v1,${createHmac("sha256", secret).update(`${id}.${seconds}.${body}`).digest("base64")}`;
}

class Receiver {
  readonly format: WebhookTarget["format"];
  readonly #url: string;
  readonly #secret: Uint8Array;
  readonly #options: WebhookOptions;
  /** Which one it is in the configuration. Its URL may be a secret in itself and is never logged. */
  readonly #number: number;
  readonly #waiting: Message[] = [];
  #tries = 0;
  #sending = false;
  #isGone = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(target: WebhookTarget, number: number, options: WebhookOptions) {
    const secret = parseWebhookSecret(target.secret);
    if (!secret)
      throw new RangeError(
        `the secret of webhook ${number} is not whsec_ and 24 to 64 bytes in base64: make one with: openssl rand -base64 32`,
      );
    this.format = target.format;
    this.#url = target.url;
    this.#secret = secret;
    this.#number = number;
    this.#options = options;
  }

  add(message: Message): void {
    if (this.#isGone) return;
    if (this.#waiting.length >= (this.#options.maxWaiting ?? MAX_WAITING)) {
      this.#warn("too many wait", "webhook message dropped");
      return;
    }
    this.#waiting.push(message);
    if (!this.#sending && this.#timer === undefined) void this.#send();
  }

  stop(): void {
    this.#isGone = true;
    this.#waiting.length = 0;
    clearTimeout(this.#timer);
  }

  /** Sends what waits, one after the other, until something fails. Never rejects. */
  async #send(): Promise<void> {
    this.#sending = true;
    for (let [message] = this.#waiting; message; [message] = this.#waiting) {
      const problem = await this.#try(message);
      if (this.#isGone) break;
      if (problem !== undefined && !this.#giveUp(problem)) break;
      this.#tries = 0;
      this.#waiting.shift();
    }
    this.#sending = false;
  }

  /** After a failure: whether this was the last try. If not, the next one is set. */
  #giveUp(problem: string): boolean {
    const pauses = this.#options.retryAfterMs ?? RETRY_AFTER_MS;
    const pauseMs = pauses[this.#tries++];
    if (pauseMs === undefined) {
      this.#warn(problem, "webhook message dropped after the last try");
      return true;
    }
    if (this.#tries === 1) this.#warn(problem, "webhook not delivered; it is tried again");
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#send();
    }, pauseMs);
    this.#timer.unref();
    return false;
  }

  /** One try; why it failed, or undefined. */
  async #try({ id, body }: Message): Promise<string | undefined> {
    // The time is that of the try: a receiver refuses old ones, since they may be replayed.
    const seconds = Math.floor(this.#options.now() / 1000);
    let answer: PostAnswer;
    try {
      answer = await this.#options.post({
        url: this.#url,
        headers: {
          "content-type": "application/json",
          "webhook-id": id,
          "webhook-timestamp": String(seconds),
          "webhook-signature": signWebhook(this.#secret, id, seconds, body),
        },
        body,
        timeoutMs: TIMEOUT_MS,
        maxAnswerBytes: MAX_ANSWER_BYTES,
      });
    } catch (cause) {
      return reasonOf(cause);
    }
    if (answer.status === GONE) {
      this.stop();
      this.#warn("410", "webhook receiver is gone; nothing more is sent to it");
      return undefined;
    }
    return answer.status >= 200 && answer.status < 300 ? undefined : `status ${answer.status}`;
  }

  #warn(reason: string, message: string): void {
    this.#options.log.warn({ webhook: this.#number, reason }, message);
  }
}

function describe({ id, code, seq, detail }: Alarm): object {
  return { alarm: id, code, ...(seq === undefined ? {} : { seq }), detail };
}

function formatSlack({ id, code, seq, detail }: Alarm, ledger: { name: string; isBlocked: boolean }): string {
  const place = seq === undefined ? "" : ` at entry ${seq}`;
  const blocked = ledger.isBlocked
    ? "\nWrites are refused until it is acknowledged: scimseal doctor --acknowledge"
    : "";
  const text = `scimseal: ledger ${ledger.name}: ${code}${place}\n${detail}\nAlarm ${id}${blocked}`;
  // The three characters that Slack's own markup begins with; else a detail could write links and mentions.
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
