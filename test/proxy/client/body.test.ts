// The budget for bodies, the hold of one request on it, and reading bodies from clients that come and go.

import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import net from "node:net";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { BodyBudget, BodyHold, ClientGoneError, heapOf, readBody } from "../../../src/proxy/client/body.ts";
import { parseStrictJson } from "../../../src/scim/json.ts";

describe("the budget", () => {
  test("gives no more than it has, and gets back exactly what it gave", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom("take", "reserve", "heap"), fc.nat(60))), (steps) => {
        const budget = new BodyBudget(100, 100);
        const holds = steps.map(([kind, bytes]) => {
          const hold = new BodyHold(budget);
          try {
            if (kind === "take") hold.take(bytes);
            else if (kind === "reserve") hold.reserve(bytes);
            else hold.takeHeap(bytes);
          } catch (error) {
            expect(error).toMatchObject({ code: "overloaded" });
          }
          expect(budget.usedBytes).toBeLessThanOrEqual(100);
          expect(budget.usedHeapBytes).toBeLessThanOrEqual(100);
          return hold;
        });
        for (const hold of holds) {
          hold.release();
          hold.release();
        }
        expect([budget.usedBytes, budget.usedHeapBytes]).toEqual([0, 0]);
      }),
    );
  });

  test("what was reserved is there when all else is taken", () => {
    const budget = new BodyBudget(100, 100);
    const first = new BodyHold(budget);
    first.take(10);
    first.reserve(30);
    const second = new BodyHold(budget);
    second.take(60);
    first.take(20);
    first.take(10);
    expect(() => first.take(1)).toThrow(/overloaded/);
    second.release();
    first.take(1);
    expect(budget.usedBytes).toBe(41);
  });

  test("a body as large as the budget passes when it is alone", () => {
    const hold = new BodyHold(new BodyBudget(100, 100));
    hold.take(100);
    hold.reserve(116);
    expect(() => hold.take(1)).toThrow(/overloaded/);
  });

  test("what can never fit is told apart from what does not fit now", () => {
    const budget = new BodyBudget(100, 100);
    const hold = new BodyHold(budget);
    hold.takeHeap(60);
    expect(() => new BodyHold(budget).takeHeap(60)).toThrow(/overloaded/);
    expect(() => new BodyHold(budget).takeHeap(101)).toThrow(/body_too_large/);
  });
});

describe("the heap of a tree", () => {
  test("text within strings costs its bytes, however much it looks like structure", () => {
    const text = JSON.stringify({ a: '[{,:"\\'.repeat(1000) });
    expect(heapOf(Buffer.from(text))).toBeLessThan(2 * text.length + 1000);
  });

  test("no value and no member is overlooked", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), (text) => {
        const parsed = parseStrictJson(Buffer.from(text), { topLevel: "any" });
        fc.pre(parsed.ok);
        let values = 0;
        let names = 0;
        JSON.parse(text, function (this: unknown, _key, value: unknown) {
          if (Array.isArray(this)) values++;
          else names++;
          return value;
        });
        // The reviver also sees the root, as a member of nobody.
        expect(heapOf(Buffer.from(text))).toBeGreaterThanOrEqual(96 * values + 256 * (names - 1));
      }),
    );
  });

  test("a body that ends inside a string is no trouble", () => {
    for (const text of ['{"a', '{"a\\', '"', "\\", ""]) expect(heapOf(Buffer.from(text))).toBeLessThan(200);
  });
});

describe("reading", () => {
  let server: http.Server | undefined;
  afterEach(async () => {
    server?.closeAllConnections();
    await new Promise((resolve) => server?.close(resolve));
  });

  /** Sends bytes to a server that hands its requests over; resolves with what became of reading it. */
  async function reading(
    bytes: string,
    act: (request: IncomingMessage, response: ServerResponse, socket: net.Socket) => Promise<unknown>,
  ): Promise<unknown> {
    const client = new net.Socket();
    client.on("error", () => client.destroy());
    const listener = http.createServer();
    server = listener;
    const result = new Promise<unknown>((resolve) => {
      listener.on("request", (request, response) => {
        request.on("error", () => client.destroy());
        act(request, response, client).then(resolve, resolve);
      });
    });
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    const { port } = listener.address() as AddressInfo;
    client.connect(port, "127.0.0.1", () => client.write(bytes));
    return result;
  }
  const head = (framing: string) => `POST / HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n`;
  const hold = () => new BodyHold(new BodyBudget(1000, 100_000));

  test("a client that left before the reading began is gone, not waited for", async () => {
    const result = await reading(head("Content-Length: 10"), async (request, response, client) => {
      client.resetAndDestroy();
      await new Promise((resolve) => request.once("close", resolve));
      return readBody(request, response, 100, hold());
    });
    expect(result).toBeInstanceOf(ClientGoneError);
  });

  test("a client that leaves while sending is gone", async () => {
    const result = await reading(`${head("Content-Length: 10")}12345`, async (request, response, client) => {
      setTimeout(() => client.resetAndDestroy(), 20);
      return readBody(request, response, 100, hold());
    });
    expect(result).toBeInstanceOf(ClientGoneError);
  });

  test("an unlimited number of chunks is stopped at the limit and the rest is not read", async () => {
    const result = await reading(head("Transfer-Encoding: chunked"), async (request, response, client) => {
      const timer = setInterval(() => client.write("5\r\n12345\r\n"), 1);
      return readBody(request, response, 50, hold()).finally(() => clearInterval(timer));
    });
    expect(result).toMatchObject({ code: "body_too_large" });
  });

  test("chunks that the budget has no room for are shed", async () => {
    const budget = new BodyBudget(10, 1000);
    const result = await reading(
      `${head("Transfer-Encoding: chunked")}14\r\n${"1".repeat(20)}\r\n0\r\n\r\n`,
      (request, response) => readBody(request, response, 100, new BodyHold(budget)),
    );
    expect(result).toMatchObject({ code: "overloaded" });
  });

  test("every byte arrives, in one buffer", async () => {
    const result = await reading(
      `${head("Transfer-Encoding: chunked")}3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`,
      (request, response) => readBody(request, response, 5, hold()),
    );
    expect(String(result)).toBe("abcde");
  });
});
