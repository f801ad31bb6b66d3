// How the demo's tests talk to a target: fetch for ordinary requests, and a started target that ends with its test.

import { onTestFinished } from "vitest";
import { startTarget, type Target, type TargetOptions } from "../../src/demo/target.ts";

export const TOKEN = "a-token-for-tests-only";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The parsed body, or {} when it was empty. */
  readonly body: Record<string, unknown>;
}

/** A target on a free port, closed after the test. */
export async function openTarget(options: Partial<TargetOptions> = {}): Promise<Target> {
  const target = await startTarget({ token: TOKEN, ...options });
  onTestFinished(() => target.close());
  return target;
}

/** One request with the right token, unless `headers` says otherwise. */
export async function ask(
  url: string,
  method: string,
  path: string,
  body?: string | Buffer | object,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const payload = typeof body === "object" && !Buffer.isBuffer(body) ? JSON.stringify(body) : body;
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { Authorization: `Bearer ${TOKEN}`, "Content-Type": "application/scim+json", ...headers },
    ...(payload === undefined ? {} : { body: payload }),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: text === "" ? {} : (JSON.parse(text) as Record<string, unknown>),
  };
}

export function user(userName: string, more: object = {}): object {
  return { schemas: ["urn:ietf:params:scim:schemas:core:2.0:User"], userName, ...more };
}
