// What a target can do to a write on the wire: break off, lie about lengths, redirect, flood, hang, answer too early.
// Whatever it does, the change is forwarded once, its outcome is recorded as precisely as it can be known, and the
// client never gets a success that the target did not wholly give.

import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  ALL_WELL,
  checkInvariants,
  ofType,
  type RecordedEntry,
  type System,
  sha256Hex,
  startSystem,
} from "../support/system.ts";
import {
  answer,
  type BadTarget,
  created,
  type Play,
  pour,
  says,
  saysAndEnds,
  saysAndResets,
  startBadTarget,
} from "./badTarget.ts";
import { type LedgerNews, openNews } from "./ledgerNews.ts";

const TIMEOUT_MS = 700;
const IN_FLIGHT = 4;
const USER = '"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"]';

let target: BadTarget;
let system: System;
let news: LedgerNews;
beforeAll(async () => {
  target = await startBadTarget();
  system = await startSystem({
    targetUrl: target.url,
    config: { scim: { listen: { port: 0 }, limits: { inFlight: IN_FLIGHT } } },
    connector: {
      target: { url: target.url, auth: { bearer: { file: "target-token" } }, timeoutMs: TIMEOUT_MS },
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
beforeEach(() => target.plays(created));

let count = 0;
const user = (more = "") => `{${USER},"userName":"person-${++count}@example.com"${more}}`;

/** One write against a scripted target: what the client got, what was recorded, how often the target saw it. */
async function write(
  play: Play,
  { body = user(), method = "POST", path = "/Users", when = "body" as "body" | "head" } = {},
) {
  const before = target.received().length;
  target.plays(play, when);
  const response = await system.request(method, path, { ...(method === "DELETE" ? {} : { body }) });
  const text = await response.text();
  const entries = await news.next();
  const request = ofType(entries, "request").at(-1);
  const outcome = ofType(entries, "response").at(-1);
  expect(outcome?.claims.txn).toBe(request?.claims.txn);
  const said = { status: response.status, outcome: outcome?.claims.outcome };
  return { said, response, text, body, request, outcome, seen: target.received().length - before };
}

const head = (lines: readonly string[], status = "HTTP/1.1 201 Created") =>
  `${[status, ...lines].join("\r\n")}\r\n\r\n`;
const JSON_TYPE = "Content-Type: application/scim+json";

describe("an answer that is no HTTP", () => {
  // case 30
  const broken: Record<string, string> = {
    "both Content-Length and Transfer-Encoding": `${head(["Content-Length: 2", "Transfer-Encoding: chunked"])}2\r\n{}\r\n0\r\n\r\n`,
    "Transfer-Encoding and then Content-Length": `${head(["Transfer-Encoding: chunked", "Content-Length: 2"])}2\r\n{}\r\n0\r\n\r\n`,
    "two lengths that differ": `${head(["Content-Length: 2", "Content-Length: 3"])}{}\n`,
    "a negative length": `${head(["Content-Length: -2"])}{}`,
    "a length that is no number": `${head(["Content-Length: 0x2"])}{}`,
    "a NUL in a header": `${head(["X-A: a\0b", "Content-Length: 2"])}{}`,
    "a space in a header's name": `${head(["X A: a", "Content-Length: 2"])}{}`,
    "a bare line feed in the head": "HTTP/1.1 201 Created\nX-A: a\n\n",
    "a status of 999": `${head(["Content-Length: 2"], "HTTP/1.1 999 Odd")}{}`,
    "a status of 600": `${head(["Content-Length: 2"], "HTTP/1.1 600 Odd")}{}`,
    "a status of 099": `${head(["Content-Length: 2"], "HTTP/1.1 099 Odd")}{}`,
    "a status of 000": `${head(["Content-Length: 2"], "HTTP/1.1 000 Odd")}{}`,
    "a status of two digits": `${head(["Content-Length: 2"], "HTTP/1.1 20 Odd")}{}`,
    "a status of four digits": `${head(["Content-Length: 2"], "HTTP/1.1 2001 Odd")}{}`,
    "a version nobody knows": `${head(["Content-Length: 2"], "HTTP/9.9 201 Created")}{}`,
    "no status line": "hello, world\r\n\r\n",
    "a change of protocol": head(["Upgrade: h2c", "Connection: Upgrade"], "HTTP/1.1 101 Switching Protocols"),
    "a chunk size that is no number": `${head(["Transfer-Encoding: chunked"])}zz\r\n{}\r\n0\r\n\r\n`,
    "a chunk without its end": `${head(["Transfer-Encoding: chunked"])}2\r\n{}0\r\n\r\n`,
    "a head of a megabyte": head([`X-A: ${"a".repeat(1024 * 1024)}`]),
  };
  test.each(Object.keys(broken))("%s is a 502, and its connection is not used again", async (name) => {
    const { said, seen, text } = await write(says(broken[name] ?? ""));
    expect(said).toEqual({ status: 502, outcome: "protocol_error" });
    expect(seen).toBe(1);
    expect(JSON.parse(text)).toMatchObject({
      status: "502",
      detail: expect.stringContaining("target_protocol_error"),
    });
    const used = target.received().at(-1)?.connection;
    const next = await write(created);
    expect(next.said).toEqual({ status: 201, outcome: "answered" });
    expect(target.received().at(-1)?.connection).not.toBe(used);
  });

  test("a compressed answer that nobody asked for is not passed on: nothing of it could be read", async () => {
    const { said, outcome } = await write(says(answer(201, "\x1f\x8b...", ["Content-Encoding: gzip"])));
    expect(said).toEqual({ status: 502, outcome: "protocol_error" });
    expect(outcome?.claims).toMatchObject({ status: 201, replied: 502 });
  });
});

describe("odd answers that are whole", () => {
  test("hints before the answer are not the answer", async () => {
    const hints = head(["Link: </a>"], "HTTP/1.1 103 Early Hints").repeat(3);
    const { said } = await write(says(Buffer.concat([Buffer.from(hints), answer(201, '{"id":"h"}')])));
    expect(said).toEqual({ status: 201, outcome: "answered" });
  });

  test("header values that the client's connection cannot carry are left out", async () => {
    const odd = Buffer.concat([
      Buffer.from(
        `${["HTTP/1.1 201 Created", JSON_TYPE, 'ETag: W/"→"', "Retry-After: \xff"].join("\r\n")}\r\n`,
      ),
      Buffer.from("Content-Length: 10\r\n\r\n"),
      Buffer.from('{"id":"x"}'),
    ]);
    const { said, response } = await write(says(odd));
    expect(said).toEqual({ status: 201, outcome: "answered" });
    expect(response.headers.get("etag") ?? "").not.toContain("→");
  });

  test("bytes after an answer are nobody's: the next write gets its own answer", async () => {
    const doubled = Buffer.concat([answer(201, '{"id":"own"}'), answer(200, '{"id":"smuggled"}')]);
    const first = await write(says(doubled));
    expect(first.said.status).toBe(201);
    const second = await write(says(answer(201, '{"id":"mine"}')));
    expect(JSON.parse(second.text)).toEqual({ id: "mine" });
    expect(second.seen).toBe(1);
  });

  test("a connection that the target closed after its answer costs no write", async () => {
    for (let i = 0; i < 5; i++) {
      const { said, seen } = await write(saysAndEnds(answer(201, '{"id":"x"}')));
      expect({ ...said, seen }).toEqual({ status: 201, outcome: "answered", seen: 1 });
    }
  });

  test("a body up to the end of the connection passes when it is a whole document", async () => {
    const { said } = await write(saysAndEnds(`${head([JSON_TYPE])}{"id":"old"}`));
    expect(said).toEqual({ status: 201, outcome: "answered" });
  });

  test("an answer without JSON passes as it is and is not kept", async () => {
    const page = "<html>proxy error</html>";
    const bytes = `${head(["Content-Type: text/html", `Content-Length: ${page.length}`], "HTTP/1.1 500 No")}${page}`;
    const { said, text, outcome } = await write(says(bytes));
    expect(said).toEqual({ status: 500, outcome: "answered" });
    expect(text).toBe(page);
    expect(outcome?.row.attachments?.map(({ name }) => name)).toEqual(["facts"]);
  });

  test("the target's cookies and challenges stay with the proxy", async () => {
    const { response } = await write(
      says(
        answer(401, "{}", [
          "Set-Cookie: s=1",
          'WWW-Authenticate: Bearer realm="t"',
          "Server: t",
          "X-Internal: 1",
        ]),
      ),
    );
    expect(response.status).toBe(401);
    for (const name of ["set-cookie", "www-authenticate", "server", "x-internal"]) {
      expect(response.headers.get(name)).toBeNull();
    }
  });
});

describe("a redirect is never followed", () => {
  // case 31
  const elsewhere = [
    "http://169.254.169.254/latest/meta-data/",
    "https://evil.example/scim/v2/Users/1",
    "//evil.example/scim/v2/Users/1",
    "/elsewhere",
    "Users/1",
    "javascript:alert(1)",
    "http://127.0.0.1:1/scim/v2/Users/1",
  ];
  test.each(elsewhere)("to %s: 502, and the client does not get the address", async (location) => {
    const { said, response, outcome, seen } = await write(says(answer(307, "", [`Location: ${location}`])));
    expect(said).toEqual({ status: 502, outcome: "redirected" });
    expect(outcome?.claims.status).toBe(307);
    expect(response.headers.get("location")).toBeNull();
    expect(seen).toBe(1);
  });

  test.each([301, 302, 303, 307, 308])(
    "a %i below the target's own base is passed on, rewritten",
    async (status) => {
      const { said, response, seen } = await write(
        says(answer(status, "", [`Location: ${target.url}/Users/u-7?a=b`])),
      );
      expect(said).toEqual({ status, outcome: "answered" });
      expect(response.headers.get("location")).toBe(`${system.baseUrl}/Users/u-7?a=b`);
      expect(seen).toBe(1);
    },
  );

  test("two Location lines are no address", async () => {
    const lines = [`Location: ${target.url}/Users/1`, "Location: https://evil.example/"];
    const { said } = await write(says(answer(308, "", lines)));
    expect(said).toEqual({ status: 502, outcome: "redirected" });
  });

  test("a Location elsewhere on a success is left out", async () => {
    const { said, response } = await write(
      says(answer(201, '{"id":"x"}', ["Location: https://evil.example/Users/x"])),
    );
    expect(said).toEqual({ status: 201, outcome: "answered" });
    expect(response.headers.get("location")).toBeNull();
  });
});

describe("a flood", () => {
  // case 32
  test("an answer of a gibibyte ends at the limit, with a digest of what was read", async () => {
    const before = process.memoryUsage().rss;
    let sent = 0;
    const { said, outcome } = await write(
      async (socket) => {
        socket.write(head([JSON_TYPE, `Content-Length: ${1024 ** 3}`], "HTTP/1.1 200 OK"));
        sent = await pour(socket, Buffer.alloc(256 * 1024, 0x20), 1024 ** 3);
      },
      { method: "PATCH", path: "/Users/u-1" },
    );
    expect(said).toEqual({ status: 502, outcome: "too_large" });
    expect(outcome?.claims).toMatchObject({ status: 200, replied: 502 });
    const received = outcome?.facts?.received as { size: number; hmacSha256?: string };
    expect(received.size).toBeGreaterThan(4 * 1024 * 1024);
    expect(received.hmacSha256).toMatch(/./);
    expect(sent).toBeLessThan(64 * 1024 * 1024);
    // This process is proxy, target and client in one.
    expect(process.memoryUsage().rss - before).toBeLessThan(120 * 1024 * 1024);
  });

  test("a chunked answer without an end stops at the same limit", async () => {
    const chunk = `10000\r\n${" ".repeat(65_536)}\r\n`;
    const { said } = await write(async (socket) => {
      socket.write(head([JSON_TYPE, "Transfer-Encoding: chunked"]));
      await pour(socket, chunk);
    });
    expect(said).toEqual({ status: 502, outcome: "too_large" });
  });
});

describe("nobody knows whether it was applied", () => {
  // case 34
  test("a reset after the target had the write: 502, unknown, and the retry is linked to it", async () => {
    const first = await write(saysAndResets(""));
    expect(first.said).toEqual({ status: 502, outcome: "unknown" });
    expect(first.seen).toBe(1);
    const retry = await write(created, { body: first.body });
    expect(retry.said).toEqual({ status: 201, outcome: "answered" });
    expect(retry.seen).toBe(1);
    expect(retry.request?.claims.txn).not.toBe(first.request?.claims.txn);
    expect(retry.request?.claims.retryOf).toBe(first.request?.claims.txn);
    const third = await write(created, { body: first.body });
    expect(third.request?.claims.retryOf).toBeUndefined();
  });

  test("a change of one byte is no retry", async () => {
    const first = await write(saysAndResets(""));
    const other = await write(created, { body: `${first.body} ` });
    expect(other.request?.claims.retryOf).toBeUndefined();
  });

  test.each([
    ["the end of the connection without a word", saysAndEnds("")],
    ["half a status line and the end", saysAndEnds("HTTP/1.1 20")],
    ["half a head and the end", saysAndEnds(`HTTP/1.1 201 Created\r\n${JSON_TYPE}\r\n`)],
    ["half a head and a reset", saysAndResets("HTTP/1.1 201 Created\r\nContent-")],
    ["hints and then the end", saysAndEnds(head([], "HTTP/1.1 103 Early Hints"))],
  ])("%s: 502, unknown", async (_name, play) => {
    const { said, seen } = await write(play);
    expect(said).toEqual({ status: 502, outcome: "unknown" });
    expect(seen).toBe(1);
  });

  // case 39
  test("silence is a 504 at the deadline, unknown, and gives its slot and its connection back", async () => {
    target.plays(() => {});
    await news.next();
    const startedAt = performance.now();
    const held = await Promise.all(
      Array.from({ length: IN_FLIGHT }, () => system.request("POST", "/Users", { body: user() })),
    );
    const tookMs = performance.now() - startedAt;
    expect(held.map(({ status }) => status)).toEqual(Array(IN_FLIGHT).fill(504));
    expect(tookMs).toBeGreaterThan(TIMEOUT_MS - 50);
    expect(tookMs).toBeLessThan(TIMEOUT_MS * 3);
    const outcomes = ofType(await news.next(), "response");
    expect(outcomes.map(({ claims }) => [claims.outcome, claims.reason])).toEqual(
      Array(IN_FLIGHT).fill(["unknown", "timeout"]),
    );
    const next = await write(created);
    expect(next.said).toEqual({ status: 201, outcome: "answered" });
    expect(target.open()).toBeLessThanOrEqual(1);
  });

  test.each([
    ["hints without end", "HTTP/1.1 103 Early Hints\r\n\r\n", "unknown", 504],
    ["a head that drips", "X-A: a\r\n", "unknown", 504],
  ])("the deadline is for the whole answer: %s", async (_name, drip, outcome, status) => {
    const { said } = await write(async (socket) => {
      if (drip.startsWith("X")) socket.write("HTTP/1.1 201 Created\r\n");
      while (!socket.destroyed) {
        socket.write(drip);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    });
    expect(said).toEqual({ status, outcome });
  });

  test("a body that drips past the deadline is incomplete", async () => {
    const { said } = await write(async (socket) => {
      socket.write(head([JSON_TYPE, "Content-Length: 1000"]));
      while (!socket.destroyed) {
        socket.write(" ");
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    });
    expect(said).toEqual({ status: 502, outcome: "incomplete" });
  });
});

describe("an answer that breaks off", () => {
  // case 40
  const cut: Record<string, Play> = {
    "shorter than its Content-Length": saysAndEnds(`${head([JSON_TYPE, "Content-Length: 99"])}{"id":"x"}`),
    "shorter than its Content-Length, with a reset": saysAndResets(
      `${head([JSON_TYPE, "Content-Length: 99"])}{"id":"x"}`,
    ),
    "shorter than its Content-Length, Connection: close": saysAndEnds(
      `${head([JSON_TYPE, "Connection: close", "Content-Length: 99"])}{"id":"x"}`,
    ),
    "no byte of the body": saysAndEnds(head([JSON_TYPE, "Content-Length: 99"])),
    "chunks without the last one": saysAndEnds(
      `${head([JSON_TYPE, "Transfer-Encoding: chunked"])}a\r\n{"id":"x"}\r\n`,
    ),
    "chunks without the last one, Connection: close": saysAndEnds(
      `${head([JSON_TYPE, "Connection: close", "Transfer-Encoding: chunked"])}a\r\n{"id":"x"}\r\n`,
    ),
    "chunks without the last one, Connection: close, with a reset": saysAndResets(
      `${head([JSON_TYPE, "Connection: close", "Transfer-Encoding: chunked"])}a\r\n{"id":"x"}\r\n`,
    ),
    "a chunk cut in the middle": saysAndEnds(
      `${head([JSON_TYPE, "Transfer-Encoding: chunked"])}ff\r\n{"id":"x"}`,
    ),
    "up to the end of the connection, but half a document": saysAndEnds(`${head([JSON_TYPE])}{"id":"x",`),
    "up to a reset, and half a document": saysAndResets(`${head([JSON_TYPE])}{"id":"x",`),
    "up to the end of the connection, but nothing": saysAndEnds(head([JSON_TYPE])),
    "up to the end of the connection, and no JSON": saysAndEnds(
      `${head(["Content-Type: text/plain"])}created`,
    ),
  };
  test.each(Object.keys(cut))("%s: 502, incomplete, never the 201", async (name) => {
    const { said, outcome, seen, body } = await write(cut[name] ?? created);
    expect(said).toEqual({ status: 502, outcome: "incomplete" });
    expect(outcome?.claims).toMatchObject({ status: 201, replied: 502 });
    expect(seen).toBe(1);
    const retry = await write(created, { body });
    expect(retry.request?.claims.retryOf).toBe(outcome?.claims.txn);
  });

  test("an error up to the end of the connection passes: it promises nothing", async () => {
    const { said, text } = await write(
      saysAndEnds(`${head(["Content-Type: text/plain"], "HTTP/1.1 503 Busy")}busy`),
    );
    expect({ ...said, text }).toEqual({ status: 503, outcome: "answered", text: "busy" });
  });

  test("a deletion's 200 may have no body at all", async () => {
    const { said } = await write(saysAndEnds(head([], "HTTP/1.1 200 OK")), {
      method: "DELETE",
      path: "/Users/u-1",
    });
    expect(said).toEqual({ status: 200, outcome: "answered" });
  });
});

describe("a final answer before the request's end", () => {
  // case 36
  const bulk = () => {
    const pad = "p".repeat(7 * 1024 * 1024);
    return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[{"method":"POST","path":"/Users","bulkId":"b${++count}","data":{"userName":"bulk","title":"${pad}"}}]}`;
  };
  const big = { path: "/Bulk", when: "head" as const };

  test("an error that explains itself is passed on, and the connection is never used again", async () => {
    const { said, outcome } = await write(says(answer(413, '{"status":"413"}')), { ...big, body: bulk() });
    expect(said).toEqual({ status: 413, outcome: "early" });
    expect(outcome?.claims).toMatchObject({ status: 413, replied: 413 });
    const used = target.received().at(-1)?.connection;
    const next = await write(created);
    expect(next.said).toEqual({ status: 201, outcome: "answered" });
    expect(target.received().at(-1)?.connection).not.toBe(used);
  });

  test.each([200, 201, 204, 307])("a %i cannot be true yet: 502", async (status) => {
    const { said } = await write(says(answer(status, status === 204 ? "" : "{}")), { ...big, body: bulk() });
    expect(said).toEqual({ status: 502, outcome: "early" });
  });

  test("an error followed by a reset is still that error", async () => {
    const { said } = await write(saysAndResets(answer(413, '{"status":"413"}').toString("latin1")), {
      ...big,
      body: bulk(),
    });
    expect(said).toEqual({ status: 413, outcome: "early" });
  });

  test("a large body that is taken is forwarded whole, on a connection of its own", async () => {
    const body = bulk();
    const { said } = await write(says(answer(200, '{"Operations":[]}')), { path: "/Bulk", body });
    expect(said).toEqual({ status: 200, outcome: "answered" });
    expect(target.journal().at(-1)?.sha256).toBe(sha256Hex(body));
    expect(target.received().at(-1)?.headers.connection).toBe("close");
  });
});

describe("a client that goes away", () => {
  const open = async (): Promise<Socket> => {
    const { hostname, port } = new URL(system.baseUrl);
    const socket = connect(Number(port), hostname);
    socket.on("error", () => {});
    await once(socket, "connect");
    return socket;
  };
  const requestHead = (length: number) =>
    `POST /okta/scim/v2/Users HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${system.token}\r\nContent-Type: application/scim+json\r\nContent-Length: ${length}\r\n\r\n`;

  // case 38
  test.each(["end", "reset"])(
    "in the middle of its upload (%s): nothing recorded, nothing forwarded",
    async (how) => {
      await news.next();
      const seen = target.received().length;
      const socket = await open();
      socket.write(`${requestHead(5000)}{${USER},`);
      await new Promise((resolve) => setTimeout(resolve, 50));
      if (how === "end") socket.end();
      else socket.resetAndDestroy();
      await new Promise((resolve) => setTimeout(resolve, 150));
      expect({ entries: await news.next(), seen: target.received().length }).toEqual({ entries: [], seen });
      // The slot is free again: as many writes as fit pass side by side.
      const all = await Promise.all(
        Array.from({ length: IN_FLIGHT }, () => system.request("POST", "/Users", { body: user() })),
      );
      expect(all.map(({ status }) => status)).toEqual(Array(IN_FLIGHT).fill(201));
    },
  );

  test("after its upload: the write goes on to its recorded end", async () => {
    const body = user();
    target.plays(async (socket) => {
      await new Promise((resolve) => setTimeout(resolve, 200));
      socket.write(answer(201, '{"id":"u-late"}'));
    });
    const seen = target.journal().length;
    await news.next();
    const socket = await open();
    socket.write(`${requestHead(Buffer.byteLength(body))}${body}`);
    await expect.poll(() => target.journal().length).toBe(seen + 1);
    socket.resetAndDestroy();
    const recorded: RecordedEntry[] = [];
    await expect
      .poll(
        async () => recorded.push(...(await news.next())) > 1 && ofType(recorded, "response").at(-1)?.claims,
      )
      .toMatchObject({ outcome: "answered", status: 201, scim: { resourceId: "u-late" } });
  });
});
