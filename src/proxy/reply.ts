// Answers. `reply` takes nothing but a recorded outcome (I2): there is no other way to give a client a target's answer.

import type { ServerResponse } from "node:http";
import type { Recorded, ResponseDraft } from "../storage/recorded.ts";
import type { Refusal } from "./refusal.ts";
import type { Reply } from "./target/answer.ts";

/** Gives the client its answer, with the proof in hand that the outcome is recorded. */
export function reply(response: ServerResponse, _proof: Recorded<ResponseDraft>, answer: Reply): void {
  if (response.destroyed) return;
  const { status, headers, body } = answer;
  const isBodyless = status === 204 || status === 304;
  response.writeHead(status, { ...headers, ...(isBodyless ? {} : { "content-length": body.length }) });
  response.end(isBodyless ? undefined : body);
}

/** Answers with the SCIM error of a refusal. */
export function sendRefusal(response: ServerResponse, refusal: Refusal): void {
  if (response.destroyed) return;
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const body = Buffer.from(refusal.body());
  response.writeHead(refusal.status, {
    "content-type": "application/scim+json; charset=utf-8",
    "content-length": body.length,
    ...refusal.headers,
    ...(refusal.status === 401
      ? { "www-authenticate": 'Bearer realm="scimseal", Basic realm="scimseal"' }
      : {}),
    ...(refusal.retryAfterSeconds === undefined ? {} : { "retry-after": String(refusal.retryAfterSeconds) }),
    ...(refusal.close || !response.req.complete ? { connection: "close" } : {}),
  });
  response.end(body);
}
