// A target that writes down every header, trailer and byte it receives, in the order of their arrival. The demo target
// keeps only what an operator may see; a test about what must not arrive has to see everything.

import { createHash } from "node:crypto";
import http, { type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Arrived {
  method: string;
  path: string;
  /** As on the wire, names lower-cased, in order. */
  headers: readonly (readonly [string, string])[];
  trailers: readonly string[];
  body: Buffer;
  sha256: string;
  size: number;
}

export interface RecordingTarget {
  url: string;
  /** Everything that came, reads and searches of users too. */
  arrived: Arrived[];
  writes(): Arrived[];
  /** How the next requests are answered; the default is 201 with an id to POST, 204 to DELETE, else 200. */
  answer: (arrived: Arrived, response: ServerResponse) => void;
  close(): Promise<void>;
}

export async function startRecordingTarget(): Promise<RecordingTarget> {
  const target: Omit<RecordingTarget, "url" | "close"> = {
    arrived: [],
    writes: () =>
      target.arrived.filter(
        ({ method, path }) => method !== "GET" && method !== "HEAD" && !path.endsWith("/Users/.search"),
      ),
    answer,
  };
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks);
      const headers: [string, string][] = [];
      for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
        headers.push([(request.rawHeaders[i] ?? "").toLowerCase(), request.rawHeaders[i + 1] ?? ""]);
      }
      const arrived = {
        method: request.method ?? "",
        path: request.url ?? "",
        headers,
        trailers: request.rawTrailers,
        body,
        sha256: createHash("sha256").update(body).digest("hex"),
        size: body.length,
      };
      target.arrived.push(arrived);
      target.answer(arrived, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return Object.assign(target, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/scim/v2`,
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  });
}

function answer({ method }: Arrived, response: ServerResponse): void {
  if (method === "DELETE") {
    response.writeHead(204).end();
    return;
  }
  response.writeHead(method === "POST" ? 201 : 200, { "content-type": "application/scim+json" });
  response.end(
    method === "HEAD" ? undefined : JSON.stringify({ id: "2819c223", userName: "ada@example.com" }),
  );
}
