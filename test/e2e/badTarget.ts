// A target that misbehaves by script, on a raw socket, since no HTTP server can be talked into most of what real ones do.
// It keeps its own journal of what arrived, byte for byte, and shares no code with the proxy. Every request is read
// whole (Content-Length framing only: the proxy sends no other for a write) unless the script acts on the head alone.

import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from "node:tls";

/** One request as it came off the socket. */
export interface Received {
  readonly method: string;
  /** The request target as on the wire. */
  readonly path: string;
  /** The head exactly as on the wire, without the empty line. */
  readonly head: string;
  /** By lower-case name; two of one name are joined by a comma. */
  readonly headers: Readonly<Record<string, string>>;
  /** What arrived of the body before the script acted. */
  readonly body: Buffer;
  readonly sha256: string;
  readonly size: number;
  readonly complete: boolean;
  /** Counts connections from 1. */
  readonly connection: number;
  /** Common name of the client's certificate, if one was asked for and given. */
  readonly peer: string | undefined;
}

/** What to do with one request. The socket is left as it is afterwards. */
export type Play = (socket: Socket, request: Received) => void | Promise<void>;

export interface BadTarget {
  /** SCIM base URL. */
  readonly url: string;
  readonly port: number;
  /** Writes that arrived whole, oldest first. */
  journal(): Received[];
  /** Everything that arrived, reads and broken writes too. */
  received(): Received[];
  /** Connections accepted so far, and those open now. */
  connections(): number;
  open(): number;
  /** Plays this for every request from now on, after its body or, with "head", before it. */
  plays(play: Play, when?: "body" | "head"): void;
  /** Presents another certificate to new connections. */
  present(certificate: Certificate): void;
  /** Refuses new connections and ends open ones; `listen` takes the same port again. */
  hush(): Promise<void>;
  listen(): Promise<void>;
  close(): Promise<void>;
}

export type Certificate = "good" | "expired" | "wrong";

export interface BadTargetOptions {
  /** Speak TLS with this certificate. */
  certificate?: Certificate;
  /** Refuse clients without a certificate of the test authority (mutual TLS). */
  requireClientCertificate?: boolean;
  /** Be an OAuth 2.0 authorization server as well: `POST /token` answers with what this returns. */
  accessToken?: () => string;
}

const TLS_DIR = join(import.meta.dirname, "../support/tls");
export const AUTHORITY_FILE = join(TLS_DIR, "upstream-ca.pem");
/** Certificate and key of a client, in one PEM file. */
export const CLIENT_CERTIFICATE_FILE = join(TLS_DIR, "upstream-client.pem");

/** Starts one on a free loopback port; it creates users until told otherwise. */
export async function startBadTarget(options: BadTargetOptions = {}): Promise<BadTarget> {
  const received: Received[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  let play: Play = created;
  let playWhen: "body" | "head" = "body";
  const onConnection = (socket: Socket) => {
    const connection = ++connections;
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    // A peer that resets the connection is part of the game.
    socket.on("error", () => {});
    readRequests(socket, (request, isWhole) => {
      if (!isWhole && playWhen === "body") return false;
      received.push({ ...request, complete: isWhole, connection, peer: peerOf(socket) });
      const last = received.at(-1);
      const { accessToken } = options;
      if (request.path === "/token" && accessToken) {
        const body = JSON.stringify({ access_token: accessToken(), token_type: "Bearer", expires_in: 3600 });
        socket.write(answer(200, body));
      } else if (last) void play(socket, last);
      return true;
    });
  };
  const { certificate } = options;
  const server: Server | TlsServer =
    certificate === undefined
      ? createServer(onConnection)
      : createTlsServer(
          {
            ...pairOf(certificate),
            requestCert: options.requireClientCertificate ?? false,
            rejectUnauthorized: options.requireClientCertificate ?? false,
          },
          onConnection,
        );
  const listen = async (port: number) => {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
  };
  const hush = async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  await listen(0);
  const { port } = server.address() as AddressInfo;
  return {
    url: certificate === undefined ? `http://127.0.0.1:${port}/scim/v2` : `https://localhost:${port}/scim/v2`,
    port,
    received: () => [...received],
    journal: () => received.filter(({ complete, method, path }) => complete && isWrite(method, path)),
    connections: () => connections,
    open: () => sockets.size,
    plays: (next, when = "body") => {
      play = next;
      playWhen = when;
    },
    present: (next) => {
      if ("setSecureContext" in server) server.setSecureContext(pairOf(next));
    },
    hush,
    listen: () => listen(port),
    close: hush,
  };
}

/** An answer with Content-Length framing. */
export function answer(status: number, body: string | Buffer = "", headers: readonly string[] = []): Buffer {
  const bytes = Buffer.from(body);
  const lines = [
    `HTTP/1.1 ${status} Scripted`,
    "Content-Type: application/scim+json",
    ...headers,
    `Content-Length: ${bytes.length}`,
  ];
  return Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"), bytes]);
}

/** The well-behaved play: every write creates `u-<n>`. */
export const created: Play = (socket) => void socket.write(answer(201, `{"id":"u-1","userName":"scripted"}`));

/** A play that writes these bytes and does nothing more. */
export const says =
  (bytes: string | Buffer): Play =>
  (socket) =>
    void socket.write(Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes, "latin1"));

/** A play that writes these bytes and closes. */
export const saysAndEnds =
  (bytes: string | Buffer): Play =>
  (socket) =>
    void socket.end(Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes, "latin1"));

/** A play that writes these bytes, lets them arrive, and resets the connection. */
export const saysAndResets =
  (bytes: string): Play =>
  async (socket) => {
    if (bytes !== "") {
      socket.write(Buffer.from(bytes, "latin1"));
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    socket.resetAndDestroy();
  };

/** Writes a chunk again and again, up to so many bytes or until the proxy has had enough. Returns the bytes written. */
export async function pour(
  socket: Socket,
  chunk: string | Buffer,
  bytes = Number.POSITIVE_INFINITY,
): Promise<number> {
  let sent = 0;
  while (!socket.destroyed && sent < bytes) {
    sent += chunk.length;
    if (socket.write(chunk)) continue;
    await new Promise<void>((resolve) => {
      const go = () => {
        socket.off("drain", go).off("close", go);
        resolve();
      };
      socket.on("drain", go).on("close", go);
    });
  }
  return sent;
}

type Parsed = Omit<Received, "complete" | "connection" | "peer">;

/** Calls `take` when a head is there and again when its body is; it says whether it acted on the request. */
function readRequests(socket: Socket, take: (request: Parsed, isWhole: boolean) => boolean): void {
  let chunks: Buffer[] = [];
  let size = 0;
  let needed = 0;
  let isActing = false;
  socket.on("data", (chunk: Buffer) => {
    if (isActing) return;
    chunks.push(chunk);
    size += chunk.length;
    while (size > 0 && size >= needed) {
      const buffer = Buffer.concat(chunks, size);
      chunks = [buffer];
      const end = buffer.indexOf("\r\n\r\n");
      if (end < 0) return;
      const head = buffer.subarray(0, end).toString("latin1");
      const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
      needed = end + 4 + length;
      const body = buffer.subarray(end + 4, needed);
      const isWhole = body.length === length;
      // Acting on the head: whatever comes after it is nobody's business any more.
      if (take(parse(head, Buffer.from(body)), isWhole) && !isWhole) {
        isActing = true;
        socket.pause();
      }
      if (!isWhole) return;
      chunks = [buffer.subarray(needed)];
      size -= needed;
      needed = 0;
    }
  });
}

function parse(head: string, body: Buffer): Parsed {
  const [start = "", ...lines] = head.split("\r\n");
  const [method = "", path = ""] = start.split(" ");
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
  }
  const sha256 = createHash("sha256").update(body).digest("hex");
  return { method, path, head, headers, body, sha256, size: body.length };
}

function isWrite(method: string, path: string): boolean {
  const isRead = method === "GET" || method === "HEAD" || path.split("?")[0]?.endsWith("/.search");
  return !isRead && path !== "/token";
}

function pairOf(certificate: Certificate): { cert: Buffer; key: Buffer; ca: Buffer } {
  const pem = readFileSync(join(TLS_DIR, `upstream-${certificate}.pem`));
  return { cert: pem, key: pem, ca: readFileSync(AUTHORITY_FILE) };
}

function peerOf(socket: Socket): string | undefined {
  if (!("getPeerCertificate" in socket)) return undefined;
  const name: unknown = (socket as TLSSocket).getPeerCertificate().subject?.CN;
  return typeof name === "string" ? name : undefined;
}
