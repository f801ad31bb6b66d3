// Proxy semantics end to end: which headers, expectations and methods cross, and what the target sees of them.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { ALL_WELL, ofType } from "../support/system.ts";
import { closeConnections, connectRaw, exchangeRaw } from "./rawClient.ts";
import { BASE, BODY, type SemanticsSystem, startSemantics } from "./semanticsSystem.ts";

const LIMIT = 64 * 1024;
let house: SemanticsSystem;
beforeAll(async () => {
  house = await startSemantics({
    scim: { listen: { port: 0 }, limits: { bodyBytes: LIMIT, bulkBytes: 2 * LIMIT } },
  });
});
afterEach(() => {
  closeConnections();
});
afterAll(async () => {
  expect(await house.end()).toEqual(ALL_WELL);
});

describe("headers", () => {
  test("hop-by-hop headers and what Connection names end at the proxy", async () => {
    // case 17
    const { result, types, writes } = await house.observe(() =>
      exchangeRaw(
        house.url,
        house.post(
          BODY,
          "TE: trailers",
          "Keep-Alive: timeout=5",
          "Proxy-Authorization: Basic c2VjcmV0",
          "Proxy-Connection: keep-alive",
          "Connection: keep-alive, X-Private, Accept-Language",
          "X-Private: 1",
          "Accept-Language: de",
          "Cookie: session=1",
          "X-Custom: 1",
          "Upgrade: h2c",
        ),
      ),
    );
    expect(result[0]?.status).toBe(201);
    expect(types).toEqual(["request", "response"]);
    expect(writes).toHaveLength(1);
    expect([...house.lastArrived().headers.keys()].sort()).toEqual([
      "accept-encoding",
      "authorization",
      "connection",
      "content-length",
      "content-type",
      "host",
      "x-forwarded-for",
      "x-forwarded-host",
      "x-forwarded-proto",
    ]);
  });

  test("a read loses the same headers", async () => {
    await exchangeRaw(
      house.url,
      house.head(
        `GET ${BASE}/Users HTTP/1.1`,
        "TE: trailers",
        "Proxy-Authorization: Basic c2VjcmV0",
        "Connection: X-Private",
        "X-Private: 1",
        "Cookie: session=1",
        "X-Forwarded-For: 203.0.113.9",
      ),
    );
    const { headers } = house.lastArrived();
    expect([...headers.keys()].sort()).toEqual([
      "accept-encoding",
      "authorization",
      "connection",
      "host",
      "x-forwarded-for",
      "x-forwarded-host",
      "x-forwarded-proto",
    ]);
    expect(headers.get("x-forwarded-for")).toBe("127.0.0.1");
    expect(headers.get("authorization")).toBe(`Bearer ${house.system.targetToken}`);
  });

  test("what a client says about its origin is neither believed nor passed on", async () => {
    // case 23
    const { result, entries } = await house.observe(() =>
      exchangeRaw(
        house.url,
        house.post(
          BODY,
          "Forwarded: for=203.0.113.9;host=evil.example;proto=https",
          "X-Forwarded-For: 203.0.113.9",
          "X-Forwarded-Host: evil.example",
          "X-Forwarded-Proto: https",
          "X-Forwarded-Prefix: /entra",
          "X-Forwarded-Port: 1",
          "X-Original-URL: /entra/scim/v2/Users",
          "X-Rewrite-URL: /entra/scim/v2/Users",
          "X-Real-IP: 203.0.113.9",
        ),
      ),
    );
    expect(result[0]?.status).toBe(201);
    const [intent] = ofType(entries, "request");
    expect(intent?.facts).toMatchObject({ address: "127.0.0.1" });
    expect(intent?.claims.connector).toBe("okta");
    const { headers, path } = house.lastArrived();
    expect(path).toBe("/scim/v2/Users");
    expect(headers.get("x-forwarded-for")).toBe("127.0.0.1");
    expect(headers.get("x-forwarded-host")).toBe("proxy.example:8080");
    expect(headers.get("x-forwarded-proto")).toBe("http");
    expect(JSON.stringify([...headers])).not.toMatch(/203\.0\.113\.9|evil\.example/);
  });

  test("header names that JavaScript objects have are names like others", async () => {
    // case 24
    const { result } = await house.observe(() =>
      exchangeRaw(
        house.url,
        house.post(BODY, "__proto__: 1", "constructor: 1", "toString: 1", "hasOwnProperty: 1") +
          house.post(BODY),
        2,
      ),
    );
    expect(result.map(({ status }) => status)).toEqual([201, 201]);
    expect(Object.keys(Object.prototype)).toEqual([]);
  });

  test.each(["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])(
    "%s is refused, on reads too",
    async (name) => {
      const { result, types, writes, arrived } = await house.observe(async () => [
        ...(await exchangeRaw(house.url, house.post(BODY, `${name}: DELETE`))),
        ...(await exchangeRaw(house.url, house.head(`GET ${BASE}/Users HTTP/1.1`, `${name}: DELETE`))),
      ]);
      expect(result.map(({ status }) => status)).toEqual([400, 400]);
      expect(types).toEqual(["refusal", "refusal"]);
      expect([writes.length, arrived]).toEqual([0, 0]);
    },
  );

  test("If-Match and the media type reach the target as they were sent", async () => {
    await exchangeRaw(
      house.url,
      `${house.head(
        `PUT ${BASE}/Users/1 HTTP/1.1`,
        'If-Match: W/"a"',
        "content-type: Application/SCIM+JSON; charset=UTF-8",
        "Content-Length: 2",
      )}{}`,
    );
    const { headers } = house.lastArrived();
    expect(headers.get("if-match")).toBe('W/"a"');
    expect(headers.get("content-type")).toBe("Application/SCIM+JSON; charset=UTF-8");
  });

  test("a write that is conditional on a time stays conditional", async () => {
    const before = "If-Unmodified-Since: Mon, 05 Oct 2026 08:00:00 GMT";
    await exchangeRaw(house.url, house.head(`DELETE ${BASE}/Users/1 HTTP/1.1`, before));
    expect(house.lastArrived().headers.get("if-unmodified-since")).toBe("Mon, 05 Oct 2026 08:00:00 GMT");
    for (const lines of [
      [before, before],
      [before, "Connection: If-Unmodified-Since"],
    ]) {
      const { result, writes } = await house.observe(() =>
        exchangeRaw(house.url, house.head(`DELETE ${BASE}/Users/1 HTTP/1.1`, ...lines)),
      );
      expect([result[0]?.status, writes]).toEqual([400, []]);
    }
  });
});

describe("100-continue", () => {
  test("a client that waits is told to go on, once, and its body is forwarded", async () => {
    const connection = await connectRaw(house.url);
    connection.write(
      house.head(
        `POST ${BASE}/Users HTTP/1.1`,
        "Content-Type: application/scim+json",
        `Content-Length: ${BODY.length}`,
        "Expect: 100-continue",
      ),
    );
    expect((await connection.next())?.status).toBe(100);
    connection.write(BODY);
    expect((await connection.next())?.status).toBe(201);
    expect(house.lastArrived().body.toString()).toBe(BODY);
    expect(house.lastArrived().headers.has("expect")).toBe(false);
  });

  test.each<[string, (head: string) => string, number]>([
    ["without a credential", (text) => text.replace(/Authorization:.*\r\n/, ""), 401],
    [
      "with a body above the limit",
      (text) => text.replace(/Content-Length: \d+/, "Content-Length: 70000"),
      413,
    ],
    ["with a media type of its own", (text) => text.replace("scim+json", "xml"), 415],
  ])(
    "a client that waits %s is refused without having been asked for its body",
    async (_name, spoil, status) => {
      const connection = await connectRaw(house.url);
      connection.write(
        spoil(
          house.head(
            `POST ${BASE}/Users HTTP/1.1`,
            "Content-Type: application/scim+json",
            `Content-Length: ${BODY.length}`,
            "Expect: 100-continue",
          ),
        ),
      );
      expect((await connection.next())?.status).toBe(status);
      await connection.closed();
    },
  );

  test("an HTTP/1.0 client is never sent an informational answer", async () => {
    const [first] = await exchangeRaw(
      house.url,
      house.post(BODY, "Expect: 100-continue").replace("HTTP/1.1", "HTTP/1.0"),
    );
    expect(first?.status).toBe(201);
    const connection = await connectRaw(house.url);
    connection.write(
      house.head(
        `POST ${BASE}/Users HTTP/1.0`,
        "Content-Type: application/scim+json",
        `Content-Length: ${BODY.length}`,
        "Expect: 100-continue",
      ) + BODY,
    );
    expect((await connection.next())?.status).toBe(201);
  });
});

describe("methods", () => {
  test.each(["PURGE", "QUERY", "TRACE", "OPTIONS", "PROPFIND", "LINK"])(
    "%s is refused, recorded and not forwarded",
    async (method) => {
      // case 25
      const { result, refusals, arrived } = await house.observe(() =>
        exchangeRaw(house.url, house.head(`${method} ${BASE}/Users/1 HTTP/1.1`)),
      );
      expect(result[0]?.status).toBe(405);
      expect(refusals).toEqual([{ code: "method_not_allowed", status: 405 }]);
      expect(arrived).toBe(0);
    },
  );

  test("a 405 says which methods would do", async () => {
    // RFC 9110 §15.5.6
    const responses = [
      ...(await exchangeRaw(house.url, house.head(`PURGE ${BASE}/Users/1 HTTP/1.1`))),
      ...(await exchangeRaw(house.url, house.head("CONNECT evil.example:443 HTTP/1.1"))),
    ];
    const allow = "GET, HEAD, POST, PUT, PATCH, DELETE";
    expect(responses.map(({ headers }) => headers.get("allow"))).toEqual([allow, allow]);
  });

  test("OPTIONS * is refused, recorded and not forwarded", async () => {
    const { result, refusals, arrived } = await house.observe(() =>
      exchangeRaw(house.url, house.head("OPTIONS * HTTP/1.1")),
    );
    expect(result[0]?.status).toBe(405);
    expect(refusals).toEqual([{ code: "method_not_allowed", status: 405 }]);
    expect(arrived).toBe(0);
  });

  test("a collection the proxy has never heard of is a resource type like any other", async () => {
    const body = `{"displayName":"admin"}`;
    const { entries, types, writes } = await house.observe(() =>
      house.system.request("POST", "/Entitlements", { body }),
    );
    expect(types).toEqual(["request", "response"]);
    expect(writes.map(({ path }) => path)).toEqual(["/scim/v2/Entitlements"]);
    expect(ofType(entries, "request")[0]?.claims.scim).toMatchObject({
      action: "create",
      resourceType: "Entitlements",
    });
  });

  test("DELETE may bring a body, which is recorded and forwarded", async () => {
    const { types, writes } = await house.observe(() =>
      house.system.request("DELETE", "/Users/1", { body: BODY }),
    );
    expect(types).toEqual(["request", "response"]);
    expect(writes[0]?.body.toString()).toBe(BODY);
  });

  test.each([
    ["Content-Length", `Content-Length: ${BODY.length}`, BODY],
    ["chunks", "Transfer-Encoding: chunked", "2\r\n{}\r\n0\r\n\r\n"],
    ["an empty chunked body", "Transfer-Encoding: chunked", "0\r\n\r\n"],
  ])("GET with a body by %s is refused and not forwarded", async (_name, framing, body) => {
    // case 26
    const { result, arrived } = await house.observe(() =>
      exchangeRaw(house.url, house.head(`GET ${BASE}/Users HTTP/1.1`, framing) + body),
    );
    expect(result[0]?.status).toBe(400);
    expect(result[0]?.headers.get("connection")).toBe("close");
    expect(arrived).toBe(0);
  });

  test("a search is a read: its body reaches the target and nothing is recorded", async () => {
    const body = `{"filter":"userName eq \\"ada\\""}`;
    const { types } = await house.observe(() => house.system.request("POST", "/Users/.search", { body }));
    expect(types).toEqual([]);
    expect(house.lastArrived().body.toString()).toBe(body);
  });

  test.each(["/Users/%2Esearch", "/Users/.Search", "/Users/1/.search", "/Users/.search/"])(
    "POST %s only looks like a search, and is recorded",
    async (path) => {
      const { types } = await house.observe(() => house.system.request("POST", path, { body: BODY }));
      expect(types).toEqual(["request", "response"]);
    },
  );
});
