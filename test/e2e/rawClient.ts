// An HTTP/1.1 client that says exactly the bytes it is told to, right or wrong, and reads what comes back with a strict
// parser of its own: it must not share a mistake with the server under test.

import net, { type Socket } from "node:net";
import tls from "node:tls";

/** One whole response. Header names are lower-case; a header that came twice is joined with a newline. */
export interface RawResponse {
  version: string;
  status: number;
  headers: ReadonlyMap<string, string>;
  body: string;
}

export interface RawConnection {
  readonly socket: Socket;
  write(bytes: string | Uint8Array): void;
  /** The next response, informational ones included; undefined once the connection is closed. Throws after 10 s. */
  next(): Promise<RawResponse | undefined>;
  /** Resolves when the server has closed; throws after the time given. */
  closed(withinMs?: number): Promise<void>;
  /** Everything that was received. */
  received(): string;
}

const connections = new Set<Socket>();

/** Connects to a listener given by its URL; TLS without verification for https. */
export async function connectRaw(url: string): Promise<RawConnection> {
  const { hostname, port, protocol } = new URL(url);
  const isEncrypted = protocol === "https:";
  const socket = isEncrypted
    ? tls.connect({ host: hostname, port: Number(port), rejectUnauthorized: false })
    : net.connect({ host: hostname, port: Number(port) });
  connections.add(socket);
  let buffer = Buffer.alloc(0);
  let log = "";
  let isOver = false;
  const waiting = new Set<() => void>();
  const wake = () => {
    for (const resume of waiting) resume();
    waiting.clear();
  };
  socket.on("data", (chunk) => {
    log += chunk.toString("latin1");
    buffer = Buffer.concat([buffer, chunk]);
    wake();
  });
  // A reset is one way to be closed.
  socket.on("error", () => socket.destroy());
  socket.on("end", () => socket.end());
  socket.on("close", () => {
    isOver = true;
    connections.delete(socket);
    wake();
  });
  await new Promise<void>((resolve) =>
    socket.once(isEncrypted ? "secureConnect" : "connect", resolve).once("close", resolve),
  );
  const change = (withinMs: number, what: string) =>
    new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`${what} within ${withinMs} ms; received: ${log.slice(0, 300)}`)),
        withinMs,
      );
      waiting.add(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  return {
    socket,
    write: (bytes) => {
      if (!socket.destroyed) socket.write(bytes);
    },
    next: async () => {
      for (;;) {
        const parsed = parseResponse(buffer, isOver);
        if (parsed) {
          buffer = buffer.subarray(parsed.size);
          return parsed.response;
        }
        if (isOver) return undefined;
        await change(10_000, "no response");
      }
    },
    closed: async (withinMs = 5_000) => {
      const end = performance.now() + withinMs;
      while (!isOver) await change(Math.max(1, end - performance.now()), "not closed");
    },
    received: () => log,
  };
}

/** Sends bytes on a connection of their own and reads until the server closes; throws if it does not. */
export async function sendRaw(url: string, bytes: string | Uint8Array): Promise<readonly RawResponse[]> {
  const connection = await connectRaw(url);
  connection.write(bytes);
  const responses: RawResponse[] = [];
  for (;;) {
    const response = await connection.next();
    if (!response) return responses;
    responses.push(response);
  }
}

/** Sends bytes and reads this many final responses; then closes. */
export async function exchangeRaw(
  url: string,
  bytes: string | Uint8Array,
  count = 1,
): Promise<readonly RawResponse[]> {
  const connection = await connectRaw(url);
  connection.write(bytes);
  const responses: RawResponse[] = [];
  while (responses.length < count) {
    const response = await connection.next();
    if (!response) break;
    if (response.status >= 200) responses.push(response);
  }
  connection.socket.destroy();
  return responses;
}

/** Ends every connection that a test left open. */
export function closeConnections(): void {
  for (const socket of connections) socket.destroy();
}

function parseResponse(buffer: Buffer, isOver: boolean): { response: RawResponse; size: number } | undefined {
  const headEnd = buffer.indexOf("\r\n\r\n");
  if (headEnd < 0) return undefined;
  const [statusLine = "", ...lines] = buffer.subarray(0, headEnd).toString("latin1").split("\r\n");
  const [, version = "", code = ""] = /^HTTP\/(\d\.\d) (\d{3}) /.exec(statusLine) ?? [];
  if (code === "") throw new Error(`not a status line: ${statusLine}`);
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name = "", value = ""] = /^([^\s:]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    const key = name.toLowerCase();
    headers.set(key, headers.has(key) ? `${headers.get(key)}\n${value}` : value);
  }
  const status = Number(code);
  const from = headEnd + 4;
  const whole = (body: Buffer, size: number) => ({
    response: { version, status, headers, body: body.toString("utf8") },
    size,
  });
  if (status < 200 || status === 204 || status === 304) return whole(Buffer.alloc(0), from);
  if (headers.get("transfer-encoding") === "chunked") {
    const chunked = parseChunks(buffer.subarray(from));
    return chunked && whole(chunked.body, from + chunked.size);
  }
  const length = headers.get("content-length");
  if (length === undefined) return isOver ? whole(buffer.subarray(from), buffer.length) : undefined;
  const size = from + Number(length);
  return buffer.length < size ? undefined : whole(buffer.subarray(from, size), size);
}

function parseChunks(bytes: Buffer): { body: Buffer; size: number } | undefined {
  const parts: Buffer[] = [];
  for (let at = 0; ; ) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(bytes.subarray(at, lineEnd).toString("latin1"), 16);
    const next = lineEnd + 2 + size + 2;
    if (bytes.length < next) return undefined;
    if (size === 0) return { body: Buffer.concat(parts), size: next };
    parts.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = next;
  }
}
