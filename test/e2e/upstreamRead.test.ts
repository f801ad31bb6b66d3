// Reads through a target that misbehaves, on a connector that records them: nothing half passes for whole, nothing is
// followed, and every recorded read comes to exactly one recorded end.

import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { ALL_WELL, checkInvariants, ofType, type System, startSystem } from "../support/system.ts";
import {
  answer,
  type BadTarget,
  type Play,
  says,
  saysAndEnds,
  saysAndResets,
  startBadTarget,
} from "./badTarget.ts";
import { type LedgerNews, openNews } from "./ledgerNews.ts";

let target: BadTarget;
let system: System;
let news: LedgerNews;
beforeAll(async () => {
  target = await startBadTarget();
  system = await startSystem({
    targetUrl: target.url,
    config: { scim: { listen: { port: 0 }, limits: { bodyBytes: 65_536 } } },
    connector: {
      auditReads: true,
      target: { url: target.url, auth: { bearer: { file: "target-token" } }, timeoutMs: 500 },
    },
  });
  news = await openNews(system);
});
afterAll(async () => {
  await news.close();
  expect(await checkInvariants({ ...system, journal: target.journal() })).toEqual(ALL_WELL);
  await system.stop();
  await target.close();
});
beforeEach(() => target.plays(says(answer(200, '{"id":"u-1"}'))));

interface Read {
  status: number;
  headers: IncomingMessage["headers"];
  text: string;
  /** Whether the answer's end came. */
  isWhole: boolean;
}

/** One read by hand, since `fetch` hides whether an answer broke off. */
function get(path = "/Users/u-1", method = "GET", body?: string): Promise<Read> {
  return new Promise((resolve) => {
    const url = `${system.baseUrl}${path}`;
    const type = body === undefined ? {} : { "content-type": "application/scim+json" };
    const headers = { authorization: `Bearer ${system.token}`, ...type };
    const request = httpRequest(url, { method, headers, agent: false }, (response) => {
      let text = "";
      response.setEncoding("latin1");
      response.on("data", (piece: string) => {
        text += piece;
      });
      // A broken answer reports an error and then its close; a whole one only the close.
      response.on("error", () => {});
      response.on("close", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          isWhole: response.complete,
        }),
      );
    });
    // Broken off before its first byte left the proxy: no answer at all.
    request.on("error", () => resolve({ status: 0, headers: {}, text: "", isWhole: false }));
    request.end(body);
  });
}

async function ended(): Promise<{
  outcome: string;
  status: number | undefined;
  replied: number | undefined;
}> {
  const found: { outcome: string; status: number | undefined; replied: number | undefined }[] = [];
  await expect
    .poll(async () => {
      const responses = ofType(await news.next(), "response");
      found.push(
        ...responses.map(({ claims: { outcome, status, replied } }) => ({ outcome, status, replied })),
      );
      return found.length;
    })
    .toBe(1);
  const [only] = found;
  if (!only) throw new Error("the read has no end");
  return only;
}

const head = (lines: readonly string[], status = "HTTP/1.1 200 OK") =>
  `${[status, ...lines].join("\r\n")}\r\n\r\n`;
const JSON_TYPE = "Content-Type: application/scim+json";

test("a read passes, with the proxy's credential and without the client's, and is recorded", async () => {
  const { status, text, isWhole } = await get();
  expect({ status, text, isWhole }).toEqual({ status: 200, text: '{"id":"u-1"}', isWhole: true });
  const arrived = target.received().at(-1);
  expect(arrived?.headers.authorization).toBe(`Bearer ${system.targetToken}`);
  expect(arrived?.head).not.toContain(system.token);
  expect(await ended()).toEqual({ outcome: "answered", status: 200, replied: 200 });
});

// cases 30, 31 for reads
const refused: Record<string, [play: Play, outcome: string, status: number | undefined]> = {
  "both lengths": [
    says(`${head([JSON_TYPE, "Content-Length: 2", "Transfer-Encoding: chunked"])}2\r\n{}\r\n0\r\n\r\n`),
    "protocol_error",
    undefined,
  ],
  "bytes that are no header": [says(head(["X\0A: b"])), "protocol_error", undefined],
  "no HTTP": [says("hello\r\n\r\n"), "protocol_error", undefined],
  "a status of 999": [says(`${head(["Content-Length: 2"], "HTTP/1.1 999 Odd")}{}`), "protocol_error", 999],
  "a coding": [says(answer(200, "\x1f\x8b", ["Content-Encoding: gzip"])), "protocol_error", 200],
  "a redirect elsewhere": [
    says(answer(302, "", ["Location: http://169.254.169.254/latest"])),
    "redirected",
    302,
  ],
  "a redirect without a place": [says(answer(301)), "redirected", 301],
  // The proxy's own credential is at fault: the client's is good, and a 401 would say that it is not.
  "a refusal of the proxy's credential": [says(answer(401, "{}", [JSON_TYPE])), "answered", 401],
};
test.each(Object.keys(refused))("%s is a 502", async (name) => {
  const [play, outcome, status] = refused[name] ?? [];
  if (play) target.plays(play);
  const seen = target.received().length;
  const read = await get();
  expect(read.status).toBe(502);
  expect(read.headers.location).toBeUndefined();
  expect(JSON.parse(read.text)).toMatchObject({ status: "502" });
  expect(await ended()).toEqual({ outcome, status, replied: 502 });
  expect(target.received().length).toBe(seen + 1);
});

test("a redirect below the base is passed on, rewritten, and not followed", async () => {
  target.plays(says(answer(308, "", [`Location: ${target.url}/Users/u-2`])));
  const seen = target.received().length;
  const { status, headers } = await get();
  expect([status, headers.location]).toEqual([308, `${system.baseUrl}/Users/u-2`]);
  expect(target.received().length).toBe(seen + 1);
  await ended();
});

// case 40 for reads
const cut: Record<string, Play> = {
  "shorter than its length": saysAndEnds(`${head([JSON_TYPE, "Content-Length: 99"])}{"id":"u-1"}`),
  "shorter than its length, no JSON": saysAndEnds(
    `${head(["Content-Type: image/png", "Content-Length: 99"])}x`,
  ),
  "chunks without the last": saysAndEnds(`${head([JSON_TYPE, "Transfer-Encoding: chunked"])}2\r\n{}\r\n`),
  "reset in the middle": saysAndResets(`${head([JSON_TYPE, "Content-Length: 99"])}{"id":"u-1"}`),
};
test.each(Object.keys(cut))("an answer that breaks off breaks off for the client too: %s", async (name) => {
  target.plays(cut[name] ?? says(""));
  const { isWhole } = await get();
  expect(isWhole).toBe(false);
  expect(await ended()).toMatchObject({ outcome: "incomplete", status: 200 });
});

// case 39 for reads
test("silence is a 504 at the deadline", async () => {
  target.plays(() => {});
  const startedAt = performance.now();
  const { status, text } = await get();
  expect(status).toBe(504);
  expect(performance.now() - startedAt).toBeLessThan(1500);
  expect(text).toContain("target_timeout");
  expect(await ended()).toEqual({ outcome: "unknown", status: undefined, replied: 504 });
});

// case 41 for reads
test("a target that is away: 502, not sent", async () => {
  await target.hush();
  expect((await get()).status).toBe(502);
  expect(await ended()).toEqual({ outcome: "not_sent", status: undefined, replied: 502 });
  await target.listen();
});

test("a long list streams, in any chunks, with every location rewritten", async () => {
  const item = (index: number) => `{"id":"u-${index}","meta":{"location":"${target.url}/Users/u-${index}"}}`;
  const body = `{"Resources":[${Array.from({ length: 5000 }, (_, index) => item(index)).join(",")}]}`;
  target.plays(async (socket) => {
    socket.write(head([JSON_TYPE, "Transfer-Encoding: chunked"]));
    for (let at = 0; at < body.length; at += 7919) {
      const piece = body.slice(at, at + 7919);
      socket.write(`${piece.length.toString(16)}\r\n${piece}\r\n`);
      await new Promise((resolve) => setImmediate(resolve));
    }
    socket.write("0\r\n\r\n");
  });
  const { text, isWhole } = await get("/Users");
  expect(isWhole).toBe(true);
  expect(text).toBe(body.replaceAll(target.url, system.baseUrl));
  await ended();
});

test("a HEAD keeps its length and has no body", async () => {
  target.plays(says(head(["Content-Type: image/png", "Content-Length: 1234"])));
  const { status, headers, text } = await get("/Users/u-1", "HEAD");
  expect([status, headers["content-length"], text]).toEqual([200, "1234", ""]);
  await ended();
});

test("a HEAD says no length where the GET would have another: locations are rewritten on their way", async () => {
  target.plays(says(head([JSON_TYPE, "Content-Length: 1234"])));
  const { status, headers, text } = await get("/Users/u-1", "HEAD");
  expect([status, headers["content-length"], text]).toEqual([200, undefined, ""]);
  await ended();
});

test("an answer that came in one piece goes on in one, not in one for each of its words", async () => {
  const list = `{"Resources":[${Array.from({ length: 40 }, (_, index) => `{"id":"u-${index}"}`).join(",")}]}`;
  target.plays(says(answer(200, list)));
  const { hostname, port } = new URL(system.baseUrl);
  const socket = connect(Number(port), hostname);
  socket.write(
    `GET /okta/scim/v2/Users HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer ${system.token}\r\n\r\n`,
  );
  const pieces: Buffer[] = [];
  for await (const piece of socket) pieces.push(piece as Buffer);
  const [, ...chunks] = Buffer.concat(pieces)
    .toString("latin1")
    .split(/\r\n[0-9a-f]+\r\n/);
  expect(chunks.slice(0, -1).join("")).toBe(list);
  // Two and the last: the end may wait, since a credential could begin in it.
  expect(chunks.length).toBeLessThanOrEqual(3);
  await ended();
});

test("a client that hangs up ends the read at the target, and the record still says how it ended", async () => {
  target.plays(async (socket) => {
    socket.write(head([JSON_TYPE, "Transfer-Encoding: chunked"]));
    while (!socket.destroyed) {
      socket.write("5\r\n     \r\n");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });
  const { hostname, port } = new URL(system.baseUrl);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => {});
  socket.write(
    `GET /okta/scim/v2/Users HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${system.token}\r\n\r\n`,
  );
  await once(socket, "data");
  socket.resetAndDestroy();
  expect(await ended()).toMatchObject({ outcome: "incomplete", status: 200 });
  await expect.poll(() => target.open()).toBeLessThanOrEqual(1);
});

test("a client that is gone before its read is recorded leaves no open transaction", async () => {
  const { hostname, port } = new URL(system.baseUrl);
  const request = `GET /okta/scim/v2/Users HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${system.token}\r\n\r\n`;
  for (let i = 0; i < 20; i++) {
    const socket = connect(Number(port), hostname);
    socket.on("error", () => {});
    await once(socket, "connect");
    socket.write(request, () => socket.resetAndDestroy());
    await once(socket, "close");
  }
  const open = new Set<string>();
  await expect
    .poll(async () => {
      for (const { claims } of await news.next()) {
        if (claims.type === "request") open.add(claims.txn);
        if (claims.type === "response") open.delete(claims.txn);
      }
      return open.size;
    })
    .toBe(0);
});

test("a search's body passes byte for byte; one above the limit does not", async () => {
  const body = '{ "filter" : "userName eq \\"x\\"", "n":1e400 }';
  expect((await get("/Users/.search", "POST", body)).status).toBe(200);
  expect(target.received().at(-1)?.body.toString()).toBe(body);
  await ended();
  const seen = target.received().length;
  const large = await get("/Users/.search", "POST", `{"filter":"${"x".repeat(70_000)}"}`);
  expect(large.status).toBe(413);
  expect(target.received().length).toBe(seen);
});

test("a search without a declared length that grows above the limit is told so, and comes to nothing", async () => {
  let arrived = "";
  target.plays((fromProxy) => {
    fromProxy.on("data", (piece: Buffer) => {
      arrived += piece.toString("latin1");
    });
  });
  const { hostname, port } = new URL(system.baseUrl);
  const socket = connect(Number(port), hostname);
  const piece = `4000\r\n${" ".repeat(0x4000)}\r\n`;
  socket.write(
    `POST /okta/scim/v2/Users/.search HTTP/1.1\r\nHost: a\r\nContent-Type: application/scim+json\r\nTransfer-Encoding: chunked\r\nAuthorization: Bearer ${system.token}\r\n\r\n${piece.repeat(5)}`,
  );
  let received = "";
  for await (const text of socket.setEncoding("latin1")) received += text;
  expect(received).toMatch(/^HTTP\/1\.1 413 /);
  expect(received).toContain('"detail":"body_too_large: ');
  // By its status: reads whose clients left may still be coming to their ends.
  const isRecorded = async () =>
    ofType(await news.next(), "response").some(({ claims }) => claims.replied === 413);
  await expect.poll(isRecorded).toBe(true);
  await expect.poll(() => target.open()).toBe(0);
  expect(arrived).not.toContain("\r\n0\r\n\r\n");
});

test("a compressed search is refused: nobody here could look into it", async () => {
  const seen = target.received().length;
  const response = await system.request("POST", "/Users/.search", {
    body: "{}",
    headers: { "content-type": "application/scim+json", "content-encoding": "gzip" },
  });
  expect([response.status, await response.text()]).toEqual([
    415,
    expect.stringContaining("encoding_unsupported"),
  ]);
  expect(target.received().length).toBe(seen);
});
