// A network that misbehaves, between a client and a real PostgreSQL: it cuts after a given byte, delivers byte by byte,
// swallows, holds back and delivers late, and changes single protocol messages (PostgreSQL 18 documentation, §54.7).
// One fault at a time; each counts from the moment it is set. Leaves out TLS: frames could not be read then.

import type { AddressInfo } from "node:net";
import { createConnection, createServer, type Server, type Socket } from "node:net";

export type Direction = "toServer" | "toClient";

/** One message of the protocol after the start-up: type byte, length, payload. `frame` is all of it. */
export interface Frame {
  type: string;
  payload: Buffer;
  frame: Buffer;
}

export type Fault =
  | { kind: "none" }
  /** Ends the connection, both ways, after exactly this many bytes in one direction; then the network is healthy again. */
  | { kind: "cut"; direction: Direction; afterBytes: number }
  /** Every byte travels alone, in both directions. */
  | { kind: "slices" }
  /** Nothing arrives any more, on old connections and new ones; nobody is told. */
  | { kind: "swallow" }
  /**
   * Holds back what the client sends after this many bytes. The client's going away is not passed on either, so that
   * `release` delivers late to a server that still listens. Connections made later are healthy.
   */
  | { kind: "hold"; afterBytes: number }
  /** Replaces messages from the server; return the frame itself to let it pass. */
  | { kind: "rewrite"; toClient(frame: Frame): Buffer };

interface Link {
  client: Socket;
  server: Socket;
  held: Buffer[];
  /** The fault of the kind `hold` that this connection met. */
  holding: boolean;
  frames: FrameReader;
}

export class FaultyPostgres {
  readonly #listener: Server;
  readonly #target: URL;
  readonly #links = new Set<Link>();
  #fault: Fault = { kind: "none" };
  #passed: Record<Direction, number> = { toServer: 0, toClient: 0 };

  private constructor(target: URL, listener: Server) {
    this.#target = target;
    this.#listener = listener;
    listener.on("connection", (client) => this.#connect(client));
  }

  /** Listens on a free port in front of the server of this connection string. */
  static async start(connectionString: string): Promise<FaultyPostgres> {
    const listener = createServer({ noDelay: true });
    const faulty = new FaultyPostgres(new URL(connectionString), listener);
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    return faulty;
  }

  /** The connection string, by way of this network. */
  get url(): string {
    const url = new URL(this.#target);
    // A TCP listener's address is an object.
    url.port = String((this.#listener.address() as AddressInfo).port);
    return url.href;
  }

  /** Bytes that passed in each direction since the fault was set. */
  get passed(): Readonly<Record<Direction, number>> {
    return this.#passed;
  }

  /** Whether a fault of the kind `hold` has met its connection. */
  get isHolding(): boolean {
    return [...this.#links].some((link) => link.holding);
  }

  set(fault: Fault): void {
    this.#fault = fault;
    this.#passed = { toServer: 0, toClient: 0 };
  }

  heal(): void {
    this.set({ kind: "none" });
  }

  /** Delivers what `hold` kept back and ends those connections when the server has answered. */
  release(): void {
    for (const link of this.#links) {
      if (!link.holding) continue;
      for (const chunk of link.held.splice(0)) link.server.write(chunk);
      link.server.end();
    }
  }

  /** Ends the connections that `hold` met, undelivered. */
  dropHeld(): void {
    for (const link of this.#links) if (link.holding) end(link);
  }

  /** Ends every connection, as a restarted switch would. */
  cutAll(): void {
    for (const link of this.#links) end(link);
  }

  async close(): Promise<void> {
    for (const { client, server } of this.#links) {
      client.destroy();
      server.destroy();
    }
    await new Promise<void>((resolve) => this.#listener.close(() => resolve()));
  }

  #connect(client: Socket): void {
    const server = createConnection({
      host: this.#target.hostname,
      port: Number(this.#target.port),
      noDelay: true,
    });
    const link: Link = { client, server, held: [], holding: false, frames: new FrameReader() };
    this.#links.add(link);
    client.on("data", (chunk) => this.#carry(link, "toServer", chunk));
    server.on("data", (chunk) => this.#carry(link, "toClient", chunk));
    client.on("error", () => {}); // "close" follows, and is passed on
    server.on("error", () => {});
    client.on("close", () => {
      if (link.holding || this.#fault.kind === "swallow") return;
      this.#links.delete(link);
      server.destroy();
    });
    server.on("close", () => {
      this.#links.delete(link);
      if (this.#fault.kind !== "swallow") client.destroy();
    });
  }

  #carry(link: Link, direction: Direction, chunk: Buffer): void {
    const fault = this.#fault;
    const to = direction === "toServer" ? link.server : link.client;
    const before = this.#passed[direction];
    this.#passed[direction] += chunk.length;
    if (link.holding) {
      if (direction === "toServer") link.held.push(chunk);
      else if (link.client.writable) to.write(chunk);
      return;
    }
    const frames = direction === "toClient" ? link.frames.read(chunk) : [];
    switch (fault.kind) {
      case "none":
        to.write(chunk);
        return;
      case "slices":
        for (const byte of chunk) to.write(Buffer.of(byte));
        return;
      case "swallow":
        return;
      case "rewrite":
        if (direction === "toServer") to.write(chunk);
        else for (const frame of frames) to.write(fault.toClient(frame));
        return;
      case "cut": {
        if (direction !== fault.direction || before + chunk.length <= fault.afterBytes) {
          to.write(chunk);
          return;
        }
        this.heal();
        to.write(chunk.subarray(0, fault.afterBytes - before), () => end(link));
        return;
      }
      case "hold": {
        if (direction === "toClient" || before + chunk.length <= fault.afterBytes) {
          to.write(chunk);
          return;
        }
        this.heal();
        link.holding = true;
        const cut = fault.afterBytes - before;
        if (cut > 0) to.write(chunk.subarray(0, cut));
        link.held.push(chunk.subarray(cut));
        return;
      }
      default:
        throw new Error(`no such fault: ${JSON.stringify(fault satisfies never)}`);
    }
  }
}

/** The server still reads what arrived before the end; the client hears nothing more. */
function end(link: Link): void {
  link.client.destroy();
  link.server.end();
}

/** Cuts the server's stream into messages; every one of them has a type and a length, from the first byte on. */
class FrameReader {
  #rest = Buffer.alloc(0);

  read(chunk: Buffer): Frame[] {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    const frames: Frame[] = [];
    while (this.#rest.length >= 5) {
      const size = 1 + this.#rest.readInt32BE(1);
      if (this.#rest.length < size) break;
      const frame = this.#rest.subarray(0, size);
      frames.push({ type: String.fromCharCode(frame[0] ?? 0), payload: frame.subarray(5), frame });
      this.#rest = this.#rest.subarray(size);
    }
    return frames;
  }
}

/** A NoticeResponse with these fields. */
export function noticeFrame(severity: string, code: string, message: string): Buffer {
  const fields = Buffer.from(`S${severity}\0V${severity}\0C${code}\0M${message}\0\0`);
  const head = Buffer.alloc(5);
  head.write("N");
  head.writeInt32BE(4 + fields.length, 1);
  return Buffer.concat([head, fields]);
}

/** ReadyForQuery with this transaction status: I idle, T in a transaction, E in a failed one. */
export function readyFrame(status: "I" | "T" | "E"): Buffer {
  return Buffer.from([0x5a, 0, 0, 0, 5, status.charCodeAt(0)]);
}
