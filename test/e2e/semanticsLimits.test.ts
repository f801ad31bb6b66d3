// Limits of the listener, with clients that are slow, silent, many or unauthenticated; TLS on both listeners; and the
// client's address when a trusted proxy stands in front.

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { ALL_WELL, checkInvariants, ofType, type System, startSystem } from "../support/system.ts";
import { closeConnections, connectRaw, exchangeRaw, type RawConnection } from "./rawClient.ts";
import { type RecordingTarget, startRecordingTarget } from "./semanticsTarget.ts";

const HEADERS_MS = 800;
const REQUEST_MS = 1_600;
const BODY = `{"userName":"ada@example.com"}`;
const PATH = "/okta/scim/v2/Users";

let target: RecordingTarget;
let plain: System;
let encrypted: System;
let tlsDir: string;

beforeAll(async () => {
  target = await startRecordingTarget();
  tlsDir = await mkdtemp(join(tmpdir(), "scimseal-test-tls-"));
  const pem = join(tlsDir, "listener.pem");
  await writeFile(pem, await readFile(new URL("../support/tls/listener.pem", import.meta.url)), {
    mode: 0o600,
  });
  const tls = { certFile: pem, keyFile: pem };
  const limits = {
    headersTimeoutMs: HEADERS_MS,
    requestTimeoutMs: REQUEST_MS,
    keepAliveTimeoutMs: 500,
    authFailuresPerMinute: 50,
  };
  plain = await startSystem({ targetUrl: target.url, config: { scim: { listen: { port: 0 }, limits } } });
  encrypted = await startSystem({
    targetUrl: target.url,
    config: {
      scim: { listen: { port: 0 }, limits, tls, trustedProxies: ["127.0.0.0/8", "10.0.0.0/8"] },
      admin: { listen: { port: 0 }, tls },
    },
  });
});
afterEach(() => {
  closeConnections();
});
afterAll(async () => {
  // Both systems stand before one target: each ledger has to account for its own writes.
  const ports = [plain, encrypted].map((system) => new URL(system.app.scimUrl).host);
  for (const [index, system] of [plain, encrypted].entries()) {
    const own = target
      .writes()
      .filter(({ headers }) => new Map(headers).get("x-forwarded-host") === ports[index]);
    expect(await checkInvariants({ ...system, journal: own })).toEqual(ALL_WELL);
    await system.stop();
  }
  await target.close();
  await rm(tlsDir, { recursive: true, force: true });
});

function request(system: System, requestLine: string, ...lines: string[]): string {
  const host = `Host: ${new URL(system.app.scimUrl).host}`;
  return [requestLine, host, `Authorization: Bearer ${system.token}`, ...lines, "", ""].join("\r\n");
}
function post(system: System, ...lines: string[]): string {
  return (
    request(
      system,
      `POST ${PATH} HTTP/1.1`,
      "Content-Type: application/scim+json",
      `Content-Length: ${BODY.length}`,
      ...lines,
    ) + BODY
  );
}
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** 99th percentile of some sequential requests of an honest client, in milliseconds. */
async function latency(system: System, act: () => Promise<{ status: number }>): Promise<number> {
  const taken: number[] = [];
  for (let i = 0; i < 40; i++) {
    const startedAt = performance.now();
    const { status } = await act();
    expect([system.app.scimUrl, status]).toEqual([system.app.scimUrl, 200]);
    taken.push(performance.now() - startedAt);
  }
  return taken.sort((a, b) => a - b).at(-1) ?? 0;
}

describe("slow clients", () => {
  test("two hundred that send a byte a second are told 408 in time, and hurt nobody", async () => {
    // case 15
    const entriesBefore = (await plain.entries()).length;
    const writesBefore = target.writes().length;
    const honest = () => plain.request("GET", "/Users");
    const baseline = await latency(plain, honest);
    const bytes = post(plain);
    const headEnd = bytes.length - BODY.length;
    const slow = await Promise.all(
      Array.from({ length: 200 }, async (_, index) => {
        const connection = await connectRaw(plain.app.scimUrl);
        // Half of them dawdle in the head, half in the body.
        const sent = index % 2 === 0 ? 20 : headEnd + 2;
        connection.write(bytes.slice(0, sent));
        return { connection, sent };
      }),
    );
    const startedAt = performance.now();
    let at = 0;
    const drip = setInterval(() => {
      at++;
      for (const { connection, sent } of slow) connection.write(bytes.slice(sent + at - 1, sent + at));
    }, 1_000);
    try {
      const [loaded, statuses] = await Promise.all([
        latency(plain, honest),
        Promise.all(slow.map(async ({ connection }) => (await connection.next())?.status)),
      ]);
      expect(new Set(statuses)).toEqual(new Set([408]));
      expect(performance.now() - startedAt).toBeLessThan(REQUEST_MS + 3_000);
      // Twice the baseline, and what a shared machine may add to a request of a few milliseconds.
      expect(loaded).toBeLessThan(2 * baseline + 150);
      await Promise.all(slow.map(({ connection }) => connection.closed()));
    } finally {
      clearInterval(drip);
    }
    expect(target.writes().length).toBe(writesBefore);
    expect((await plain.entries()).length).toBe(entriesBefore);
  });

  test("one that connects and says nothing is not waited for", async () => {
    const connection = await connectRaw(plain.app.scimUrl);
    await connection.closed(HEADERS_MS + 2_500);
  });

  test("one that dawdles behind an answered request is not waited for either", async () => {
    const connection = await connectRaw(plain.app.scimUrl);
    connection.write(`${post(plain)}POST ${PATH} HT`);
    expect((await connection.next())?.status).toBe(201);
    await connection.closed(HEADERS_MS + 2_500);
  });

  test("an idle connection is closed after its time, not before", async () => {
    const connection = await connectRaw(plain.app.scimUrl);
    connection.write(post(plain));
    expect((await connection.next())?.status).toBe(201);
    await sleep(200);
    connection.write(post(plain));
    expect((await connection.next())?.status).toBe(201);
    await connection.closed(3_000);
  });

  test("a target that takes longer than a client may is waited for", async () => {
    const usual = target.answer;
    target.answer = (_arrived, response) => {
      setTimeout(() => response.writeHead(204).end(), REQUEST_MS + 500);
    };
    try {
      const [response] = await exchangeRaw(plain.app.scimUrl, request(plain, `DELETE ${PATH}/1 HTTP/1.1`));
      expect(response?.status).toBe(204);
    } finally {
      target.answer = usual;
    }
  });

  test("one that asks and never reads loses its connection, and the target's is let go", async () => {
    const usual = target.answer;
    let isFreed = false;
    target.answer = (_arrived, response) => {
      response.writeHead(200, { "content-type": "application/octet-stream" });
      const piece = Buffer.alloc(256 * 1024);
      const pour = () => {
        while (response.write(piece));
      };
      response.on("drain", pour).on("close", () => {
        isFreed = true;
      });
      pour();
    };
    try {
      const connection = await connectRaw(plain.app.scimUrl);
      connection.socket.pause();
      connection.write(request(plain, `GET ${PATH} HTTP/1.1`));
      await expect.poll(() => isFreed, { timeout: REQUEST_MS + 6_000 }).toBe(true);
    } finally {
      target.answer = usual;
    }
  });
});

describe("a flood without a credential", () => {
  test("gets 401 and then 429, grows no ledger, and the tenant next door hardly notices", async () => {
    // case 87
    const entriesBefore = (await plain.entries()).length;
    const arrivedBefore = target.writes().length;
    const honest = () =>
      fetch(`${plain.app.scimUrl}/entra/scim/v2/Users`, {
        headers: { authorization: `Bearer ${plain.otherToken}` },
      });
    const baseline = await latency(plain, honest);
    const counts = new Map<number, number>();
    const agent = new http.Agent({ keepAlive: true, maxSockets: 32 });
    let isOver = false;
    const one = (token: string) =>
      new Promise<void>((resolve) => {
        const flood = http.request(
          `${plain.app.scimUrl}${PATH}`,
          {
            method: "POST",
            agent,
            headers: { authorization: token, "content-type": "application/scim+json" },
          },
          (response) => {
            counts.set(response.statusCode ?? 0, (counts.get(response.statusCode ?? 0) ?? 0) + 1);
            response.resume().on("close", resolve);
          },
        );
        flood.on("error", () => resolve()).end(BODY);
      });
    const workers = Array.from({ length: 32 }, async (_, index) => {
      for (let i = 0; !isOver; i++) {
        await one(
          index % 2 === 0 ? `Bearer wrong-${index}-${i}` : `Bearer eyJhbGciOiJSUzI1NiJ9.e30.${index}${i}`,
        );
      }
    });
    await sleep(200);
    const loaded = await latency(plain, honest);
    isOver = true;
    await Promise.all(workers);
    agent.destroy();
    expect([...counts.keys()].sort()).toEqual([401, 429]);
    expect(counts.get(401)).toBeLessThanOrEqual(50);
    expect(counts.get(429)).toBeGreaterThan(100);
    // The flood and its target share two cores with the honest client here: the bound is for a queue, not for speed.
    expect(loaded).toBeLessThan(10 * baseline + 500);
    expect(target.writes().length).toBe(arrivedBefore);
    expect((await plain.entries()).length).toBe(entriesBefore);
  });
});

describe("TLS", () => {
  const get = (url: string, token: string) =>
    new Promise<{ status: number; body: string }>((resolve, reject) => {
      https
        .get(
          url,
          { rejectUnauthorized: false, agent: false, headers: { authorization: `Bearer ${token}` } },
          (response) => {
            let body = "";
            response.on("data", (chunk) => {
              body += chunk;
            });
            response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
          },
        )
        .on("error", reject);
    });

  test("both listeners speak it, and the target hears that the client did", async () => {
    expect(encrypted.app.scimUrl).toMatch(/^https:/);
    expect(encrypted.app.adminUrl).toMatch(/^https:/);
    const [response] = await exchangeRaw(encrypted.app.scimUrl, post(encrypted));
    expect(response?.status).toBe(201);
    expect(new Map(target.writes().at(-1)?.headers).get("x-forwarded-proto")).toBe("https");
    expect((await get(`${encrypted.app.adminUrl}/readyz`, "")).status).toBe(200);
    const page = await get(`${encrypted.app.adminUrl}/audit/v1/entries?limit=1`, encrypted.auditorToken);
    expect([page.status, JSON.parse(page.body).entries.length]).toEqual([200, 1]);
  });

  test("framing is refused over TLS as it is without", async () => {
    const connection = await connectRaw(encrypted.app.scimUrl);
    connection.write(post(encrypted, "Transfer-Encoding: chunked"));
    expect((await connection.next())?.status).toBe(400);
    await connection.closed();
  });

  test("whoever speaks something else, or nothing, is disconnected and hurts nobody", async () => {
    const address = encrypted.app.scimUrl.replace("https:", "http:");
    const noise: RawConnection[] = [];
    for (const bytes of [
      "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
      "\0\0\0\0\0\0\0\0",
      "\x16\x03\x01\x00\x05hello",
      "",
    ]) {
      const connection = await connectRaw(address);
      connection.write(bytes);
      noise.push(connection);
    }
    const reset = net.connect(Number(new URL(address).port), "127.0.0.1");
    reset.on("error", () => reset.destroy()).write("\x16\x03\x01");
    await sleep(20);
    reset.resetAndDestroy();
    await Promise.all(noise.map((connection) => connection.closed(HEADERS_MS + 2_500)));
    const [response] = await exchangeRaw(encrypted.app.scimUrl, post(encrypted));
    expect(response?.status).toBe(201);
  });
});

describe("behind a trusted proxy", () => {
  test.each([
    ["203.0.113.9", "203.0.113.9"],
    ["198.51.100.7, 203.0.113.9", "203.0.113.9"],
    ["203.0.113.9, 10.1.2.3", "203.0.113.9"],
    ["203.0.113.9:4711", "203.0.113.9"],
    ["[2001:db8::1]:4711", "2001:db8::1"],
    ["::ffff:203.0.113.9", "203.0.113.9"],
    ["203.0.113.9, unknown", "127.0.0.1"],
    ["", "127.0.0.1"],
  ])("X-Forwarded-For: %s means %s", async (forwardedFor, address) => {
    const [response] = await exchangeRaw(
      encrypted.app.scimUrl,
      post(encrypted, `X-Forwarded-For: ${forwardedFor}`),
    );
    expect(response?.status).toBe(201);
    expect(ofType(await encrypted.entries(), "request").at(-1)?.facts).toMatchObject({ address });
    expect(new Map(target.writes().at(-1)?.headers).get("x-forwarded-for")).toBe(address);
  });

  test("X-Forwarded-Proto is its word on how the client spoke, for writes and reads", async () => {
    for (const protocol of ["http", "https"]) {
      const line = `X-Forwarded-Proto: ${protocol}`;
      await exchangeRaw(encrypted.app.scimUrl, post(encrypted, line));
      expect(new Map(target.writes().at(-1)?.headers).get("x-forwarded-proto")).toBe(protocol);
      const credential = `Authorization: Bearer ${encrypted.token}`;
      await exchangeRaw(
        encrypted.app.scimUrl,
        [`GET ${PATH} HTTP/1.1`, "Host: a", credential, line, "", ""].join("\r\n"),
      );
      expect(new Map(target.arrived.at(-1)?.headers).get("x-forwarded-proto")).toBe(protocol);
    }
  });

  test("two lines are one list", async () => {
    const lines = ["X-Forwarded-For: 198.51.100.7", "X-Forwarded-For: 203.0.113.9"];
    await exchangeRaw(encrypted.app.scimUrl, post(encrypted, ...lines));
    expect(new Map(target.writes().at(-1)?.headers).get("x-forwarded-for")).toBe("203.0.113.9");
  });

  test("one address's failures do not count against another's", async () => {
    const bad = (address: string) =>
      exchangeRaw(
        encrypted.app.scimUrl,
        `GET ${PATH} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\nX-Forwarded-For: ${address}\r\n\r\n`,
      );
    const statuses = await Promise.all(
      Array.from({ length: 60 }, async () => (await bad("203.0.113.50"))[0]?.status),
    );
    expect(statuses.filter((status) => status === 429)).toHaveLength(10);
    expect((await bad("203.0.113.51"))[0]?.status).toBe(401);
  });
});
