// Paths and bodies end to end: what is refused, what that leaves behind, and that all else crosses as it was written.

import { createServer } from "node:net";
import { gzipSync } from "node:zlib";
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

describe("paths", () => {
  test("the absolute form is refused, and nobody connects to where it points", async () => {
    // case 22
    let connected = 0;
    const evil = createServer((socket) => {
      connected++;
      socket.destroy();
    });
    await new Promise<void>((resolve) => evil.listen(0, "127.0.0.1", resolve));
    const address = evil.address();
    const port = typeof address === "object" ? address?.port : 0;
    const { result, arrived } = await house.observe(async () => [
      ...(await exchangeRaw(
        house.url,
        house.head(`DELETE http://127.0.0.1:${port}/scim/v2/Users/1 HTTP/1.1`),
      )),
      ...(await exchangeRaw(
        house.url,
        house.head(`DELETE http://127.0.0.1:${port}${BASE}/Users/1 HTTP/1.1`),
      )),
      ...(await exchangeRaw(house.url, house.head(`GET http://127.0.0.1:${port}${BASE}/Users HTTP/1.1`))),
      ...(await exchangeRaw(
        house.url,
        house.head(`POST http://127.0.0.1:${port}/oauth2/token HTTP/1.1`, "Content-Length: 0"),
      )),
    ]);
    expect(result.map(({ status }) => status)).toEqual([400, 400, 400, 400]);
    expect([arrived, connected]).toEqual([0, 0]);
    await new Promise<void>((resolve) => evil.close(() => resolve()));
  });

  test.each([
    `${BASE}/Users/../Groups/1`,
    `${BASE}/Users/./1`,
    `${BASE}/Users/%2e%2e/Groups/1`,
    `${BASE}/Users/.%2E/Groups/1`,
    `${BASE}/../../../entra/scim/v2/Users/1`,
    `${BASE}/..`,
    `${BASE}//Users/1`,
    `/${BASE}/Users/1`,
    `//evil.example${BASE}/Users/1`,
    `${BASE}/Users;v=1/1`,
    `${BASE}/Users/1;v=1`,
    `${BASE}/Users\\1`,
    `${BASE}/Users/1%2F2`,
    `${BASE}/Users/1%5c2`,
    `${BASE}/Users/1%252F2`,
    `${BASE}/Users/%252e%252e/1`,
    `${BASE}/Users/1%00`,
    `${BASE}/Users/1%0d%0aX-A:%20b`,
    `${BASE}/Users/1%C2%85`,
    `${BASE}/Users/1%3Fa=b`,
    `${BASE}/Users/1%23a`,
    `${BASE}/Users/1#a`,
    `${BASE}/Users/1%`,
    `${BASE}/Users/1%zz`,
    `${BASE}/Users/1%ff`,
    `${BASE}/Users/1%c0%af`,
    `${BASE}/Users/\u00e4`,
    `${BASE}/Users/1?a=\u00e4`,
    `${BASE}/Users/1?a=#b`,
    `${BASE}/Users/{id}`,
  ])("%s is refused with 400 and not forwarded", async (path) => {
    const { result, arrived } = await house.observe(() =>
      exchangeRaw(house.url, Buffer.from(house.head(`DELETE ${path} HTTP/1.1`), "latin1")),
    );
    expect(result[0]?.status).toBe(400);
    expect(arrived).toBe(0);
  });

  test("an odd but canonical path is routed, recorded and forwarded as it was written", async () => {
    const path = "/Users/a%40b.example~c'(d)!$&+,=:@e?x=%20&y=[z]%22";
    const { result, types } = await house.observe(() =>
      exchangeRaw(house.url, house.head(`DELETE ${BASE}${path} HTTP/1.1`)),
    );
    expect(result[0]?.status).toBe(204);
    expect(types).toEqual(["request", "response"]);
    expect(house.lastArrived().path).toBe(`/scim/v2${path}`);
  });

  test("Entra's query flag is passed on", async () => {
    await house.system.request("PATCH", "/Users/1?aadOptscim062020", { body: BODY });
    expect(house.lastArrived().path).toBe("/scim/v2/Users/1?aadOptscim062020");
  });
});

describe("bodies", () => {
  const padded = (size: number) => `{"userName":"${"a".repeat(size - 15)}"}`;

  test("a body of exactly the limit passes", async () => {
    const { types } = await house.observe(() =>
      house.system.request("POST", "/Users", { body: padded(LIMIT) }),
    );
    expect(types).toEqual(["request", "response"]);
    expect(house.lastArrived().size).toBe(LIMIT);
  });

  test("a declared length above the limit is refused before a byte of it was sent", async () => {
    // case 27
    const { result, refusals, entries, arrived } = await house.observe(async () => {
      const connection = await connectRaw(house.url);
      connection.write(
        house.head(
          `POST ${BASE}/Users HTTP/1.1`,
          "Content-Type: application/scim+json",
          `Content-Length: ${LIMIT + 1}`,
        ),
      );
      const response = await connection.next();
      await connection.closed();
      return response;
    });
    expect(result?.status).toBe(413);
    expect(refusals).toEqual([{ code: "body_too_large", status: 413 }]);
    expect(entries[0]?.row.attachments?.map(({ name }) => name)).toEqual(["facts"]);
    expect(arrived).toBe(0);
  });

  test("chunks are refused at the limit, while the client is still sending", async () => {
    const { result, refusals, entries, arrived } = await house.observe(async () => {
      const connection = await connectRaw(house.url);
      connection.write(
        house.head(
          `POST ${BASE}/Users HTTP/1.1`,
          "Content-Type: application/scim+json",
          "Transfer-Encoding: chunked",
        ),
      );
      connection.write(`${(LIMIT + 1).toString(16)}\r\n${" ".repeat(LIMIT + 1)}\r\n`);
      return connection.next();
    });
    expect(result?.status).toBe(413);
    expect(refusals).toEqual([{ code: "body_too_large", status: 413 }]);
    expect(entries[0]?.row.attachments?.map(({ name }) => name)).toEqual(["facts"]);
    expect(arrived).toBe(0);
  });

  test("a client that sends far too much without looking up still reads its refusal", async () => {
    const body = padded(32 * LIMIT);
    const { result, types } = await house.observe(async () => {
      const statuses: number[] = [];
      for (let i = 0; i < 10; i++)
        statuses.push((await house.system.request("POST", "/Users", { body })).status);
      return statuses;
    });
    expect(new Set(result)).toEqual(new Set([413]));
    expect(new Set(types)).toEqual(new Set(["refusal"]));
  });

  test("Bulk has a limit of its own", async () => {
    const bulk = (size: number) => `{"Operations":[]${" ".repeat(size - 17)}}`;
    const passed = await house.observe(() =>
      house.system.request("POST", "/Bulk", { body: bulk(2 * LIMIT) }),
    );
    expect(passed.types).toEqual(["request", "response"]);
    const refused = await house.observe(() =>
      house.system.request("POST", "/Bulk", { body: bulk(2 * LIMIT + 1) }),
    );
    expect(refused.refusals).toEqual([{ code: "body_too_large", status: 413 }]);
    // Not by writing another path that ends in the same word.
    const elsewhere = await house.observe(() =>
      house.system.request("POST", "/Users/Bulk", { body: bulk(LIMIT + 1) }),
    );
    expect(elsewhere.refusals).toEqual([{ code: "body_too_large", status: 413 }]);
  });

  test.each<[string, string, string]>([
    ["a PUT", "PUT", '{"id":"2"}'],
    ["a PUT to a path that is not understood", "PUT /organizations/acme/Users/1", '{"id":"2"}'],
    ["a PUT with a number for an id", "PUT", '{"id":2}'],
    ["a number beyond what a double holds", "PUT", '{"id":12345678901234567891}'],
    [
      "one PUT of a Bulk",
      "POST",
      '{"Operations":[{"method":"DELETE","path":"/Users/3"},{"method":"put","path":"/Users/1","data":{"ID":"2"}}]}',
    ],
  ])(
    "%s that names another resource in its body is refused whole, recorded and not forwarded",
    async (_what, request, body) => {
      const [method = "", path = method === "PUT" ? "/Users/1" : "/Bulk"] = request.split(" ");
      const { result, refusals, arrived } = await house.observe(() =>
        house.system.request(method, path, { body }),
      );
      expect([result.status, arrived]).toEqual([400, 0]);
      expect(refusals).toEqual([{ code: "id_mismatch", status: 400 }]);
    },
  );

  test.each<[string, string, string]>([
    ["PUT", "/Users/1", '{"id":1}'],
    ["PUT", "/Users/12345678901234567890", '{"id":12345678901234567890}'],
    ["PUT", "/Users/a%40b", '{"id":"a@b"}'],
    ["PUT", "/organizations/acme/Users/1", '{"id":"1"}'],
    ["POST", "/Bulk", '{"Operations":[{"method":"PUT","path":"/v2/Users/a%40b","data":{"id":"a@b"}}]}'],
    ["POST", "/Bulk", '{"Operations":[{"method":"PUT","path":"/Users/bulkId:x","data":{"id":"2"}}]}'],
    ["POST", "/Bulk", '{"Operations":[{"method":"PATCH","path":"/Users/1","data":{"id":"2"}}]}'],
  ])("%s %s with %s contradicts nothing and is forwarded", async (method, path, body) => {
    const { types, arrived } = await house.observe(() => house.system.request(method, path, { body }));
    expect([types, arrived]).toEqual([["request", "response"], 1]);
  });

  test.each(["gzip", "GZIP", "deflate", "br", "gzip, identity", "x"])(
    "Content-Encoding: %s is refused, recorded and never unpacked",
    async (encoding) => {
      // case 29
      const bomb = gzipSync(Buffer.alloc(10 * 1024 * 1024));
      const before = process.memoryUsage().rss;
      const { result, refusals, arrived } = await house.observe(() =>
        house.system.request("POST", "/Users", { body: bomb, headers: { "content-encoding": encoding } }),
      );
      expect(result.status).toBe(415);
      expect(refusals).toEqual([{ code: "encoding_unsupported", status: 415 }]);
      expect(arrived).toBe(0);
      expect(process.memoryUsage().rss - before).toBeLessThan(30 * 1024 * 1024);
    },
  );

  test("Content-Encoding: identity says nothing and is accepted", async () => {
    const { types } = await house.observe(() =>
      house.system.request("POST", "/Users", { body: BODY, headers: { "content-encoding": "identity" } }),
    );
    expect(types).toEqual(["request", "response"]);
  });

  test("a name made of control characters and log lines stays in the record and out of the log", async () => {
    // case 53
    const name = 'x\r\n{"level":30,"msg":"forged"}\r\n\u001b[2J\u202egnp.exe';
    const body = JSON.stringify({ userName: name });
    const { entries } = await house.observe(() =>
      house.system.request("POST", "/Users", { body, headers: { "user-agent": "forged-agent" } }),
    );
    expect(ofType(entries, "request")[0]?.facts).toMatchObject({ userName: name });
    expect(entries.map(({ row }) => row.leaf).join()).not.toMatch(/\p{Cc}/u);
    expect(house.lastArrived().body.toString()).toBe(body);
    const refused = await house.observe(() =>
      house.system.request("POST", "/Users", { body: `${body}${body}`, headers: { "x-a": "forged" } }),
    );
    expect(refused.refusals).toEqual([{ code: "body_invalid", status: 400 }]);
    for (const line of house.system.logs().trimEnd().split("\n"))
      expect(() => JSON.parse(line)).not.toThrow();
    for (const trace of ["forged", "\u001b", "\u202e"]) expect(house.system.logs()).not.toContain(trace);
  });

  test("names that look alike are forwarded and kept as they were written", async () => {
    // case 54
    const names = ["admin", "\u0430dmin", "caf\u00e9", "cafe\u0301"];
    const { entries, writes } = await house.observe(async () => {
      for (const userName of names) {
        await house.system.request("POST", "/Users", { body: JSON.stringify({ userName }) });
      }
    });
    expect(writes.map(({ body }) => JSON.parse(body.toString()).userName)).toEqual(names);
    expect(ofType(entries, "request").map(({ facts }) => facts?.userName)).toEqual(names);
  });
});
