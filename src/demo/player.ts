// Plays shapes against a SCIM base URL and tells what came back, one line a request. It uses node:http, which sends path,
// headers and body as they are given; fetch would normalise the URL and add headers of its own.
// A request that gets no answer becomes a line with status 0, so that a day goes on while the proxy or its database is away.

import { createHash, randomInt } from "node:crypto";
import { Agent, request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest, Agent as TlsAgent } from "node:https";
import { gunzipSync } from "node:zlib";
import { fillShape, type IdpShape, type ShapeValues } from "./shape.ts";

/** One request of the day, for printing. */
export interface DayLine {
  readonly idp: string;
  /** A sentence for a person, such as "Okta · joiner · created Ada Example". */
  readonly what: string;
  readonly method: string;
  /** Below the SCIM base URL, without the query, whose filters hold names. */
  readonly path: string;
  /** The answer's status, or 0 when there was none. */
  readonly status: number;
  /** Whether the status was one that this request should get. */
  readonly expected: boolean;
}

/** What one step needs beyond its shape. */
export interface StepOptions extends ShapeValues {
  readonly wrongToken?: true;
}

/** An identity provider at work. */
export interface Player {
  /** Sends one shape, yields its line, and returns the id of the resource in the answer ("missing" when there is none). */
  step(
    what: string,
    shape: string,
    options?: StepOptions,
    expected?: readonly number[],
  ): AsyncGenerator<DayLine, string>;
}

/** Which connector to play against. The same seed gives the same passwords and user names. */
export interface PlayerOptions {
  readonly idp: string;
  readonly baseUrl: string;
  readonly token: string;
  readonly seed: number;
  readonly shapes: readonly IdpShape[];
}

const ANSWER_TIMEOUT_MS = 70_000;
const ANSWER_LIMIT_BYTES = 16 * 1024 * 1024;
const GOOD: readonly number[] = [200, 201, 204];
const MISSING_ID = "missing";

/** A seed nobody chose. */
export function randomSeed(): number {
  return randomInt(2 ** 32);
}

/** Opens a player with one kept-alive connection; the caller ends it with `using` or `[Symbol.dispose]()`. */
export function openPlayer(options: PlayerOptions): Player & Disposable {
  const base = new URL(options.baseUrl);
  const secure = base.protocol === "https:";
  const agent = secure ? new TlsAgent({ keepAlive: true }) : new Agent({ keepAlive: true });
  const send = secure ? httpsRequest : httpRequest;
  const shapes = new Map(options.shapes.map((shape) => [shape.name, shape]));
  let passwords = 0;

  const ask = (target: string, method: string, headers: Record<string, string>, body?: Buffer) =>
    new Promise<Answer>((resolve) => {
      // No answer is an outcome of its own here, not an error: the day must be playable against a broken proxy.
      const noAnswer = () => resolve({ status: 0 });
      const request = send(
        {
          agent,
          protocol: base.protocol,
          // URL keeps the brackets of an IPv6 literal, and a socket address has none.
          hostname: base.hostname.replace(/^\[|\]$/g, ""),
          port: base.port,
          path: base.pathname.replace(/\/$/, "") + target,
          method,
          headers,
          timeout: ANSWER_TIMEOUT_MS,
        },
        (response) => readAnswer(response).then(resolve, noAnswer),
      );
      request.once("error", noAnswer);
      request.once("timeout", () => request.destroy());
      request.end(body);
    });

  return {
    async *step(what, name, { wrongToken, ...values } = {}, expected = GOOD) {
      const shape = shapes.get(name);
      if (shape === undefined) throw new Error(`the day names a shape that the catalogue lacks: ${name}`);
      const password = passwordFor(options.seed, passwords++);
      const filled = fillShape(shape, { run: options.seed.toString(36), password, ...values });
      const { body } = filled;
      const token = wrongToken ? "wrong" : options.token;
      const headers = {
        ...filled.headers,
        Authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { "Content-Length": String(body.length) }),
      };
      const answer = await ask(filled.target, filled.method, headers, body);
      const [path = ""] = filled.target.split("?");
      yield {
        idp: options.idp,
        what: `${options.idp} · ${what}`,
        method: filled.method,
        path,
        status: answer.status,
        expected: expected.includes(answer.status),
      };
      return answer.id ?? MISSING_ID;
    },
    [Symbol.dispose]: () => agent.destroy(),
  };
}

interface Answer {
  readonly status: number;
  readonly id?: string;
}

async function readAnswer(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    sizeBytes += chunk.length;
    if (sizeBytes > ANSWER_LIMIT_BYTES)
      throw new Error("the answer is larger than any of this day should be");
  }
  const status = response.statusCode ?? 0;
  const body = Buffer.concat(chunks);
  const isGzip = response.headers["content-encoding"] === "gzip";
  const plain = isGzip ? gunzipSync(body, { maxOutputLength: ANSWER_LIMIT_BYTES }) : body;
  const id = idOf(plain.toString("utf8"));
  return id === undefined ? { status } : { status, id };
}

function idOf(text: string): string | undefined {
  if (!text.startsWith("{")) return undefined;
  const body: unknown = JSON.parse(text);
  if (typeof body !== "object" || body === null || !("id" in body)) return undefined;
  return typeof body.id === "string" ? body.id : undefined;
}

/** Looks like what Okta makes, and can be made again by a test that searches for it. */
export function passwordFor(seed: number, index: number): string {
  return `Pw-${createHash("sha256").update(`${seed}:${index}`).digest("base64url").slice(0, 20)}`;
}
