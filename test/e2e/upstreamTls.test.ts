// Reaching the target at all: what stops before the first byte is "not sent", whatever stopped it, and is said with the
// one outcome after which a retry is safe. Also who the two ends are: the target's credentials (mutual TLS and Basic
// here) are the proxy's own, and neither side ever sees the other's.

import { chmod, copyFile, mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { ALL_WELL, checkInvariants, ofType, type System, startSystem } from "../support/system.ts";
import {
  AUTHORITY_FILE,
  answer,
  type BadTarget,
  CLIENT_CERTIFICATE_FILE,
  created,
  says,
  startBadTarget,
} from "./badTarget.ts";
import { type LedgerNews, openNews } from "./ledgerNews.ts";

let target: BadTarget;
let system: System;
let news: LedgerNews;
let keyDir: string;
beforeAll(async () => {
  target = await startBadTarget({ certificate: "good", requireClientCertificate: true });
  // Git keeps no file modes, and a key that others can read is refused.
  keyDir = await mkdtemp(join(tmpdir(), "scimseal-test-key-"));
  const keyFile = join(keyDir, "client.pem");
  await copyFile(CLIENT_CERTIFICATE_FILE, keyFile);
  await chmod(keyFile, 0o600);
  system = await startSystem({
    targetUrl: target.url,
    connector: {
      target: {
        url: target.url,
        auth: { basic: { username: "proxy-user", password: { file: "target-token" } } },
        tls: { caFile: AUTHORITY_FILE, certFile: CLIENT_CERTIFICATE_FILE, keyFile },
        timeoutMs: 2000,
        connectTimeoutMs: 400,
      },
    },
  });
  news = await openNews(system);
});
afterAll(async () => {
  await news.close();
  expect(await checkInvariants({ ...system, journal: target.journal() })).toEqual(ALL_WELL);
  await system.stop();
  await target.close();
  await rm(keyDir, { recursive: true });
});
beforeEach(() => {
  // Every answer ends its connection, so that each write meets the certificate of the hour.
  target.plays((socket) => void socket.end(answer(201, '{"id":"u-1"}', ["Connection: close"])));
  target.present("good");
});

let count = 0;
const user = () => `{"userName":"tls-${++count}@example.com"}`;

async function write() {
  const seen = target.journal().length;
  const response = await system.request("POST", "/Users", { body: user() });
  const text = await response.text();
  const outcome = ofType(await news.next(), "response").at(-1)?.claims;
  return {
    status: response.status,
    text,
    outcome: outcome?.outcome,
    reason: outcome?.reason,
    seen: target.journal().length - seen,
    response,
  };
}

test("a target with a trusted certificate is reached, with the proxy's own certificate and credential", async () => {
  const { status, outcome, seen, response } = await write();
  expect({ status, outcome, seen }).toEqual({ status: 201, outcome: "answered", seen: 1 });
  const arrived = target.journal().at(-1);
  expect(arrived?.peer).toBe("client");
  const basic = Buffer.from(`proxy-user:${system.targetToken}`).toString("base64");
  expect(arrived?.headers.authorization).toBe(`Basic ${basic}`);
  expect(arrived?.head).not.toContain(system.token);
  const headers = JSON.stringify([...response.headers]);
  expect(headers).not.toContain(system.targetToken);
  expect(headers).not.toContain(basic);
});

test("a read brings the same certificate and credential", async () => {
  target.plays((socket) => void socket.end(answer(200, "{}", ["Connection: close"])));
  const response = await system.request("GET", "/Users/u-1");
  expect(response.status).toBe(200);
  const arrived = target.received().at(-1);
  expect(arrived?.peer).toBe("client");
  expect(arrived?.headers.authorization).toMatch(/^Basic /);
  expect(arrived?.head).not.toContain(system.token);
});

// case 41
test.each([
  ["expired", "CERT_HAS_EXPIRED"],
  ["wrong", "ERR_TLS_CERT_ALTNAME_INVALID"],
] as const)("a target whose certificate is %s gets nothing: 502, not sent", async (certificate, code) => {
  target.present(certificate);
  const { status, text, outcome, reason, seen } = await write();
  expect({ status, outcome, reason, seen }).toEqual({
    status: 502,
    outcome: "not_sent",
    reason: code,
    seen: 0,
  });
  expect(JSON.parse(text).detail).toMatch(/^target_unreachable/);
  target.present("good");
  expect((await write()).status).toBe(201);
});

test.each(["expired", "wrong"] as const)(
  "nor does a read reach a target whose certificate is %s",
  async (certificate) => {
    target.present(certificate);
    const before = target.received().length;
    const response = await system.request("GET", "/Users/u-1");
    expect(response.status).toBe(502);
    expect(await response.text()).toContain("target_unreachable");
    expect(target.received().length).toBe(before);
  },
);

// case 41
test("a target that refuses the connection: 502, not sent, at once; and it is reached again when it is back", async () => {
  await target.hush();
  const startedAt = performance.now();
  const { status, outcome, reason } = await write();
  expect({ status, outcome, reason }).toEqual({ status: 502, outcome: "not_sent", reason: "ECONNREFUSED" });
  expect(performance.now() - startedAt).toBeLessThan(1000);
  await target.listen();
  expect((await write()).status).toBe(201);
});

test("a target that accepts and never finishes the handshake: 502, not sent, at the connect deadline", async () => {
  await target.hush();
  const held: Socket[] = [];
  const mute = createServer((socket) => {
    socket.on("error", () => {});
    held.push(socket);
  });
  await new Promise<void>((resolve) => mute.listen(target.port, "127.0.0.1", resolve));
  const startedAt = performance.now();
  const { status, outcome } = await write();
  expect({ status, outcome }).toEqual({ status: 502, outcome: "not_sent" });
  expect(performance.now() - startedAt).toBeLessThan(1900);
  for (const socket of held) socket.destroy();
  await new Promise((resolve) => mute.close(resolve));
  await target.listen();
});

test("a target that hangs up in the handshake: 502, not sent", async () => {
  await target.hush();
  const rude = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => socket.resetAndDestroy());
  });
  await new Promise<void>((resolve) => rude.listen(target.port, "127.0.0.1", resolve));
  const { status, outcome } = await write();
  expect({ status, outcome }).toEqual({ status: 502, outcome: "not_sent" });
  await new Promise((resolve) => rude.close(resolve));
  await target.listen();
});

test("a large body to a target that is away is not sent either", async () => {
  await target.hush();
  const body = `{"userName":"large@example.com","title":"${"x".repeat(100_000)}"}`;
  const response = await system.request("POST", "/Users", { body });
  expect(response.status).toBe(502);
  expect(ofType(await news.next(), "response").at(-1)?.claims.outcome).toBe("not_sent");
  await target.listen();
});

test("what was not sent is not sent later, when the target is back", async () => {
  await target.hush();
  const refused = await Promise.all(
    Array.from({ length: 8 }, () => system.request("POST", "/Users", { body: user() })),
  );
  expect(refused.map(({ status }) => status)).toEqual(Array(8).fill(502));
  const seen = target.journal().length;
  await target.listen();
  target.plays(created);
  await new Promise((resolve) => setTimeout(resolve, 700));
  expect(target.journal().length).toBe(seen);
  target.plays(says(answer(201, '{"id":"u-1"}')));
  expect((await system.request("POST", "/Users", { body: user() })).status).toBe(201);
  expect(target.journal().length).toBe(seen + 1);
});
