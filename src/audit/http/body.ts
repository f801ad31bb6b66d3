// Request bodies: read as they come and never beyond a limit. A body that is refused is not read to its end.

import type { Request } from "express";
import { Problem } from "./problem.ts";

/** The media type of the body, without parameters, in lower case. @throws {Problem} media_type_unsupported if encoded */
export function mediaTypeOf(request: Request): string {
  const encoding = request.headers["content-encoding"] ?? "identity";
  if (encoding.toLowerCase() !== "identity")
    throw new Problem("media_type_unsupported", "Send the body as it is, without a content encoding.");
  return (request.headers["content-type"] ?? "").split(";", 1).join("").trim().toLowerCase();
}

/** The body's chunks; rejects with body_too_large once there are more than `limit` bytes. */
export async function* readChunks(request: Request, limit: number): AsyncGenerator<Uint8Array> {
  const tooLarge = () => new Problem("body_too_large", `At most ${limit} bytes are accepted here.`);
  if (Number(request.headers["content-length"] ?? 0) > limit) throw tooLarge();
  let read = 0;
  // Left early, the stream must live on: the problem is answered over the same socket.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    read += chunk.length;
    if (read > limit) throw tooLarge();
    yield chunk;
  }
}

/** The body as text. @throws {Problem} body_too_large; invalid_parameter if it is no UTF-8 */
export async function readText(request: Request, limit: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of readChunks(request, limit)) chunks.push(chunk);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks));
  } catch (cause) {
    throw new Problem("invalid_parameter", "The body is not UTF-8.", { cause });
  }
}
