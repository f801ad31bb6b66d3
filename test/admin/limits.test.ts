// The admin listener's bounds: who keeps failing is slowed down, and nobody else of his address is: behind one proxy, or in
// one browser with a page of another site, good and bad requests come from the same peer.

import { type AddressInfo, connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Registry } from "prom-client";
import request from "supertest";
import { afterEach, describe, expect, test } from "vitest";
import { type AdminServerOptions, createAdminServer } from "../../src/admin.ts";
import { makeAuditor, serve, TOKENS } from "../audit/harness.ts";

const PATH = "/audit/v1/status";
const COOKIE = `scimseal=${"A".repeat(43)}`;
const LINK = `scl_${"B".repeat(43)}`;
const GOOD_LINK = `scl_${"G".repeat(43)}`;
const LIMITS = { authFailures: 3, requests: 100, verifications: 2, signIns: 2 };
const good = { authorization: `Bearer ${TOKENS.all}` };
const bad = { authorization: "Bearer wrong" };

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

/** A listener that is bound, so that every request comes from the same address. */
async function start(options: Partial<AdminServerOptions> = {}) {
  const { context } = serve([]);
  const sessions: typeof context.sessions = {
    ...context.sessions,
    find: (token) =>
      token === "A".repeat(43) ? { auditor: makeAuditor("ada"), expiresMs: 9e15 } : undefined,
    signIn: async (secret) =>
      secret === GOOD_LINK
        ? { auditor: makeAuditor("ada"), token: "A".repeat(43), expiresMs: 9e15 }
        : undefined,
  };
  const server = createAdminServer({
    audit: { ...context, sessions },
    registry: new Registry(),
    readiness: () => [],
    limits: LIMITS,
    ...options,
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  ends.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  const { port } = server.address() as AddressInfo;
  const statusOf = async (headers: Record<string, string>, path = PATH) =>
    (await request(server).get(path).set(headers)).status;
  const post = async (path: string, body: object, headers: Record<string, string>) =>
    (await request(server).post(path).set(headers).send(body)).status;
  const own = { origin: `http://127.0.0.1:${port}` };
  return { server, port, statusOf, post, own };
}

async function times(count: number, ask: () => Promise<number>): Promise<number[]> {
  const statuses: number[] = [];
  for (let i = 0; i < count; i++) statuses.push(await ask());
  return statuses;
}

describe("failures", () => {
  test("wrong tokens are slowed down; a good token and a session of the same address pass", async () => {
    const { statusOf } = await start();
    expect(await times(5, () => statusOf(bad))).toEqual([401, 401, 401, 429, 429]);
    expect(await times(5, () => statusOf(good))).toEqual(Array(5).fill(200));
    expect(await times(5, () => statusOf({ cookie: COOKIE }))).toEqual(Array(5).fill(200));
    // A session that is over is a failure too.
    expect(await statusOf({ cookie: `scimseal=${"Z".repeat(43)}` })).toBe(429);
  });

  test("however many wrong tokens come, they use up nothing of whoever has a good one", async () => {
    const { statusOf } = await start({ limits: { ...LIMITS, requests: 10 } });
    await times(30, () => statusOf(bad));
    expect(await times(11, () => statusOf(good))).toEqual([...Array(10).fill(200), 429]);
  });

  test("who fails on has his connection closed", async () => {
    const { server } = await start({ limits: { ...LIMITS, authFailures: 1 } });
    await request(server).get(PATH).set(bad).expect(401);
    const refused = await request(server).get(PATH).set(bad).expect(429);
    expect([refused.headers.connection, refused.body.code]).toEqual(["close", "rate_limited"]);
    expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);
  });

  test("a page in another tab, whose requests carry nothing, uses up nothing", async () => {
    const { statusOf, post } = await start();
    const page = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" };
    expect(await times(90, () => statusOf(page))).not.toContain(200);
    expect(
      await times(5, () => post("/audit/v1/verify", {}, { ...page, origin: "https://evil.example" })),
    ).toEqual(Array(5).fill(401));
    expect(
      await times(5, () => post("/session", { link: LINK }, { ...page, origin: "https://evil.example" })),
    ).toEqual(Array(5).fill(403));
    expect(await statusOf(bad)).toBe(401);
    expect(await statusOf({ cookie: COOKIE })).toBe(200);
    expect(await post("/audit/v1/verify", {}, good)).toBe(400);
  });

  test("links that do not work are slowed down; one that does still works", async () => {
    const { post, own } = await start();
    expect(await times(4, () => post("/session", { link: LINK }, own))).toEqual([401, 401, 429, 429]);
    // What is no link at all, or comes from elsewhere, is no guess.
    expect(await times(3, () => post("/session", { other: 1 }, own))).toEqual([400, 400, 400]);
    expect(await post("/session", { link: GOOD_LINK }, own)).toBe(204);
  });

  test("a flood that carries nothing is refused, and only that", async () => {
    const { statusOf } = await start({ limits: { ...LIMITS, requests: 4 } });
    expect(await times(6, () => statusOf({}))).toEqual([401, 401, 401, 401, 429, 429]);
    expect(await times(5, () => statusOf(good))).toEqual([200, 200, 200, 200, 429]);
  });
});

describe("connections", () => {
  test("there are only so many at a time", async () => {
    const { port } = await start({ connections: { max: 2, stalledMs: 60_000 } });
    const sockets = await Promise.all([open(port), open(port)]);
    const third = await open(port);
    await closed(third);
    expect(sockets.map(({ destroyed }) => destroyed)).toEqual([false, false]);
    for (const socket of sockets) socket.destroy();
  });

  test("one that asks and does not read is closed; one that waits for its answer is not", async () => {
    const { port } = await start({
      connections: { max: 10, stalledMs: 200 },
      dashboard: async (incoming, response) => {
        if (incoming.path === "/slow") await sleep(600);
        response.end(incoming.path === "/large" ? Buffer.alloc(64 << 20) : "here");
      },
    });
    const reader = await open(port);
    reader.write("GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n");
    const answer = new Promise<string>((resolve) => reader.once("data", (data) => resolve(String(data))));
    const stalled = await open(port);
    stalled.pause();
    stalled.write("GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n");
    expect(await answer).toContain("200 OK");
    reader.destroy();
    await sleep(600);
    stalled.resume();
    let received = 0;
    stalled.on("data", (data) => {
      received += data.length;
    });
    await closed(stalled);
    expect(received).toBeLessThan(64 << 20);
  });
});

async function open(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => socket.destroy());
  await new Promise((resolve) => socket.once("connect", resolve));
  return socket;
}

function closed(socket: Socket): Promise<unknown> {
  return socket.destroyed ? Promise.resolve() : new Promise((resolve) => socket.once("close", resolve));
}
