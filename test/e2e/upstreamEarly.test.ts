// When an exchange does not end at its end: a target that answers before it has the whole request, and a client that
// leaves before it has sent it or before it has its answer.

import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ofType, type RecordedEntry, sha256Hex } from "../support/system.ts";
import { answer, created, says, saysAndResets } from "./badTarget.ts";
import { IN_FLIGHT, startUpstream, type Upstream, USER, user } from "./upstreamHarness.ts";

let count = 0;
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
