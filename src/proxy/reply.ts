// Answers. `reply` takes nothing but a recorded outcome (I2): there is no other way to give a client a target's answer.

import type { ServerResponse } from "node:http";
import type { Recorded, ResponseDraft } from "../storage/writer/recorded.ts";
import type { Refusal } from "./refusal.ts";
import type { Reply } from "./target/answer.ts";

/** Larger bodies are not worth a copy. */
const ONE_WRITE_BYTES = 16 * 1024;

/** Gives the client its answer, with the proof in hand that the outcome is recorded. */
export function reply(response: ServerResponse, _proof: Recorded<ResponseDraft>, answer: Reply): void {
  if (response.destroyed) return;
  const { status, headers, body } = answer;
  const isBodyless = status === 204 || status === 304;
  response.writeHead(status, { ...headers, ...(isBodyless ? {} : { "content-length": body.length }) });
  if (isBodyless) response.end();
  else if (body.length > ONE_WRITE_BYTES) response.end(body);
  else response.end(latin1(body), "latin1");
}

/** Bytes as text of as many characters: head and body then go out in one write instead of two pieces. */
function latin1(body: Uint8Array): string {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("latin1");
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
