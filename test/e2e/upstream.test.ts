// What a target can do to a write on the wire: break off, lie about lengths, redirect, flood, hang.
// Whatever it does, the change is forwarded once, its outcome is recorded as precisely as it can be known, and the
// client never gets a success that the target did not wholly give.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ofType } from "../support/system.ts";
import { answer, created, type Play, pour, says, saysAndEnds, saysAndResets } from "./badTarget.ts";
import {
  head,
  IN_FLIGHT,
  JSON_TYPE,
  startUpstream,
  TIMEOUT_MS,
  type Upstream,
  user,
} from "./upstreamHarness.ts";

let upstream: Upstream;
let target: Upstream["target"];
let system: Upstream["system"];
let news: Upstream["news"];
let write: Upstream["write"];
beforeAll(async () => {
  upstream = await startUpstream();
  ({ target, system, news, write } = upstream);
});
afterAll(() => upstream.close());
beforeEach(() => target.plays(created));

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

  test("a header that the target says twice is one list, or one value said twice", async () => {
    const body = `{"id":"u-2","meta":{"location":"${target.url}/Users/u-2"}}`;
    const lines = ["Cache-Control: no-store", "Cache-Control: private", "Vary: a", "Vary: b", JSON_TYPE];
    const { said, response, text } = await write(says(answer(201, body, lines)));
    expect(said).toEqual({ status: 201, outcome: "answered" });
    expect(response.headers.get("cache-control")).toBe("no-store, private");
    expect(response.headers.get("vary")).toBe("a, b");
    expect(response.headers.get("content-type")).toBe("application/scim+json");
    expect(text).toBe(body.replace(target.url, system.baseUrl));
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
        answer(403, "{}", [
          "Set-Cookie: s=1",
          'WWW-Authenticate: Bearer realm="t"',
          "Server: t",
          "X-Internal: 1",
        ]),
      ),
    );
    expect(response.status).toBe(403);
    for (const name of ["set-cookie", "www-authenticate", "server", "x-internal"]) {
      expect(response.headers.get(name)).toBeNull();
    }
  });

  test("a refusal of the proxy's own credential is not told as one of the client's", async () => {
    const { said, text, outcome, response } = await write(
      says(answer(401, '{"detail":"bad token"}', [JSON_TYPE, 'WWW-Authenticate: Bearer realm="t"'])),
    );
    expect(said).toEqual({ status: 502, outcome: "answered" });
    expect(outcome?.claims).toMatchObject({ status: 401, replied: 502 });
    expect(JSON.parse(text).detail).toMatch(/^target_credential_refused: /);
    expect(response.headers.get("www-authenticate")).toBeNull();
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

  test("what the client is told in the target's place is counted by its code, for writes and for reads", async () => {
    const counted = async (code: string) => {
      const text = await (await fetch(`${system.app.adminUrl}/metrics`)).text();
      const line = `^scimseal_refusals_total\\{connector="okta",code="${code}",reason="${code}"\\} (\\d+)$`;
      return Number(new RegExp(line, "m").exec(text)?.[1] ?? 0);
    };
    const codes = ["target_unreachable", "target_credential_refused"];
    const before = await Promise.all(codes.map(counted));
    await write(says(answer(401, "{}")));
    expect((await system.request("GET", "/Users/u-1")).status).toBe(502);
    await target.hush();
    expect((await system.request("DELETE", "/Users/u-1")).status).toBe(502);
    expect((await system.request("GET", "/Users/u-1")).status).toBe(502);
    await target.listen();
    await news.next();
    expect(await Promise.all(codes.map(counted))).toEqual(before.map((count) => count + 2));
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
