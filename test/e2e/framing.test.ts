// Framing on raw sockets: whatever two HTTP parsers could read differently is refused before anybody is authenticated,
// leaves no trace in the ledger, reaches no target, and takes its connection with it.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ALL_WELL, checkInvariants, type System, startSystem } from "../support/system.ts";
import { closeConnections, connectRaw, exchangeRaw, sendRaw } from "./rawClient.ts";
import { type RecordingTarget, startRecordingTarget } from "./semanticsTarget.ts";

let target: RecordingTarget;
let system: System;
let url: string;

beforeAll(async () => {
  target = await startRecordingTarget();
  system = await startSystem({
    targetUrl: target.url,
    config: { scim: { listen: { port: 0 }, limits: { headersTimeoutMs: 2000, requestTimeoutMs: 5000 } } },
  });
  url = system.app.scimUrl;
});
afterEach(() => {
  closeConnections();
});
afterAll(async () => {
  expect(await checkInvariants({ ...system, journal: target.writes() })).toEqual(ALL_WELL);
  await system.stop();
  await target.close();
});

const BODY = `{"userName":"ada@example.com"}`;
const PATH = "/okta/scim/v2/Users";

/** A request's bytes: what is said first, then Host, a valid credential and what is asked for. */
function head(requestLine: string, ...lines: string[]): string {
  return [requestLine, "Host: proxy.example", ...credential(), ...lines, "", ""].join("\r\n");
}
function credential(): string[] {
  return [`Authorization: Bearer ${system.token}`];
}
function post(...lines: string[]): string {
  return head(`POST ${PATH} HTTP/1.1`, "Content-Type: application/scim+json", ...lines);
}
/** What an attacker would hide behind a request whose end is in doubt. */
function hidden(): string {
  return head("GET /okta/scim/v2/Hidden HTTP/1.1");
}
function chunk(text: string): string {
  return `${text.length.toString(16)}\r\n${text}\r\n`;
}
const length = (text: string) => `Content-Length: ${text.length}`;

describe("refused without a trace", () => {
  let entriesBefore: number;
  let arrivedBefore: number;
  beforeEach(async () => {
    entriesBefore = (await system.entries()).length;
    arrivedBefore = target.arrived.length;
  });
  afterEach(async () => {
    expect(target.arrived.length).toBe(arrivedBefore);
    expect((await system.entries()).length).toBe(entriesBefore);
    // The next client is served as if nothing had happened.
    expect((await system.request("GET", "/Users")).status).toBe(200);
    target.arrived.length = arrivedBefore;
  });

  const chunked = (...lines: string[]) => post("Transfer-Encoding: chunked", ...lines);
  const body = () => `${chunk(BODY)}0\r\n\r\n`;
  const raw = (...lines: string[]) => `${lines.join("\r\n")}\r\n\r\n`;
  const attacks: Record<string, [bytes: () => string, statuses?: number[]]> = {
    // case 1
    "Content-Length before Transfer-Encoding": [
      () => `${post("Content-Length: 5", "Transfer-Encoding: chunked")}0\r\n\r\n`,
    ],
    "Transfer-Encoding before Content-Length": [
      () => `${post("Transfer-Encoding: chunked", "Content-Length: 5")}0\r\n\r\n`,
    ],
    "Content-Length: 0 beside Transfer-Encoding": [
      () => `${post("Content-Length: 0", "Transfer-Encoding: chunked")}${body()}`,
    ],
    // case 2
    "two equal Content-Length lines": [() => `${post("Content-Length: 2", "Content-Length: 2")}{}`],
    "two different Content-Length lines": [() => `${post("Content-Length: 2", "Content-Length: 60")}{}`],
    "Content-Length: +2": [() => `${post("Content-Length: +2")}{}`],
    "Content-Length: 0x2": [() => `${post("Content-Length: 0x2")}{}`],
    "Content-Length: -1": [() => `${post("Content-Length: -1")}{}`],
    "Content-Length: 2, 2": [() => `${post("Content-Length: 2, 2")}{}`],
    "Content-Length: 2 2": [() => `${post("Content-Length: 2 2")}{}`],
    "an empty Content-Length": [() => `${post("Content-Length: ")}{}`],
    "Content-Length of 2^64 + 2": [() => `${post("Content-Length: 18446744073709551618")}{}`],
    "Content-Length of 2^53 + 1": [() => `${post("Content-Length: 9007199254740993")}{}`, [400, 413]],
    // case 3
    "Transfer-Encoding: xchunked": [() => post("Transfer-Encoding: xchunked") + body()],
    "Transfer-Encoding: chunked, identity": [() => post("Transfer-Encoding: chunked, identity") + body()],
    "Transfer-Encoding: identity, chunked": [() => post("Transfer-Encoding: identity, chunked") + body()],
    "Transfer-Encoding: gzip, chunked": [() => post("Transfer-Encoding: gzip, chunked") + body()],
    "Transfer-Encoding: identity": [() => post("Transfer-Encoding: identity", length(BODY)) + BODY],
    "Transfer-Encoding: chunked, chunked": [() => post("Transfer-Encoding: chunked, chunked") + body()],
    "Transfer-Encoding twice": [
      () => post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + body(),
    ],
    "Transfer-Encoding twice, one unknown": [
      () => post("Transfer-Encoding: chunked", "Transfer-Encoding: x") + body(),
    ],
    "a folded Transfer-Encoding": [() => post("Transfer-Encoding:\r\n chunked") + body()],
    "Transfer-Encoding in front of a space": [() => post("Transfer-Encoding : chunked") + body()],
    "Transfer-Encoding in quotes": [() => post('Transfer-Encoding: "chunked"') + body()],
    "Transfer-Encoding behind a vertical tab": [() => post("Transfer-Encoding: \x0bchunked") + body()],
    "an empty Transfer-Encoding": [() => post("Transfer-Encoding: ", length(BODY)) + BODY],
    // case 5
    "HTTP/1.0 with chunks": [
      () =>
        head(`POST ${PATH} HTTP/1.0`, "Content-Type: application/scim+json", "Transfer-Encoding: chunked") +
        body(),
    ],
    "HTTP/2.0 in the request line": [() => raw(`POST ${PATH} HTTP/2.0`, ...credential()), [400, 505]],
    "HTTP/2.0 in the request line, with a Host": [() => head(`DELETE ${PATH}/1 HTTP/2.0`), [400, 505]],
    "HTTP/1.2": [() => head(`DELETE ${PATH}/1 HTTP/1.2`), [400, 505]],
    "HTTP/0.9": [() => `GET ${PATH}\r\n\r\n`, [400]],
    "the HTTP/2 preface": [() => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400, 505]],
    // case 6
    "bare line feeds": [() => head(`DELETE ${PATH}/1 HTTP/1.1`).replaceAll("\r\n", "\n")],
    "one bare line feed behind a header": [() => head(`DELETE ${PATH}/1 HTTP/1.1`, "X-A: b\nX-C: d")],
    "a bare carriage return in a value": [() => head(`DELETE ${PATH}/1 HTTP/1.1`, "X-A: b\rX-C: d")],
    "NUL in a value": [() => head(`DELETE ${PATH}/1 HTTP/1.1`, "X-A: b\0c")],
    "NUL in a name": [() => head(`DELETE ${PATH}/1 HTTP/1.1`, "X-\0A: b")],
    "a folded header": [() => head(`DELETE ${PATH}/1 HTTP/1.1`, "X-A: b", " c")],
    "a first header line that begins with a space": [
      () => raw(`DELETE ${PATH}/1 HTTP/1.1`, " Host: proxy.example", ...credential()),
    ],
    "a header without a name": [() => head(`DELETE ${PATH}/1 HTTP/1.1`, ": b")],
    "a header without a colon": [() => head(`DELETE ${PATH}/1 HTTP/1.1`, "Colonless")],
    "a space in the request target": [() => head(`DELETE ${PATH}/1 2 HTTP/1.1`)],
    "an unknown method": [() => head(`REMOVE ${PATH}/1 HTTP/1.1`)],
    "a method in lower case": [() => head(`delete ${PATH}/1 HTTP/1.1`)],
    // case 7
    "chunk size 0x2": [() => `${chunked()}0x2\r\n{}\r\n0\r\n\r\n`],
    "chunk size with a space behind": [() => `${chunked()}2 \r\n{}\r\n0\r\n\r\n`],
    "chunk size +2": [() => `${chunked()}+2\r\n{}\r\n0\r\n\r\n`],
    "chunk size -2": [() => `${chunked()}-2\r\n{}\r\n0\r\n\r\n`],
    "no chunk size": [() => `${chunked()}\r\n{}\r\n0\r\n\r\n`],
    "chunk lines ended by a line feed": [() => `${chunked()}2\n{}\n0\n\n`],
    "a chunk-size line ended by a line feed": [() => `${chunked()}2\n{}\r\n0\r\n\r\n`],
    "chunk size of seventeen F": [() => `${chunked()}${"F".repeat(17)}\r\n{}\r\n0\r\n\r\n`, [400, 413]],
    "a chunk longer than it says": [() => `${chunked()}2\r\n{}x\r\n0\r\n\r\n`],
    "a chunk without a line end": [() => `${chunked()}2\r\n{}0\r\n\r\n`],
    "a line feed in a chunk extension": [() => `${chunked()}2;a\nb\r\n{}\r\n0\r\n\r\n`],
    // case 8
    "20 KiB of chunk extension": [() => `${chunked()}2;${"a".repeat(20_480)}\r\n{}\r\n0\r\n\r\n`, [413]],
    // case 9, sibling
    "a malformed trailer": [() => `${chunked()}${chunk(BODY)}0\r\nBad Trailer: x\r\n\r\n`],
    // case 11
    "two Host lines": [() => head(`DELETE ${PATH}/1 HTTP/1.1`, "Host: other.example")],
    "two equal Host lines": [() => head(`DELETE ${PATH}/1 HTTP/1.1`, "Host: proxy.example")],
    "no Host": [() => raw(`DELETE ${PATH}/1 HTTP/1.1`, ...credential())],
    "no Host from HTTP/1.0": [() => raw(`DELETE ${PATH}/1 HTTP/1.0`, ...credential())],
    "an empty Host": [() => raw(`DELETE ${PATH}/1 HTTP/1.1`, "Host:", ...credential())],
    "Host: a@b": [() => raw(`DELETE ${PATH}/1 HTTP/1.1`, "Host: a@b", ...credential())],
    "Host: a/b": [() => raw(`DELETE ${PATH}/1 HTTP/1.1`, "Host: a/b", ...credential())],
    "Host: a, b": [() => raw(`DELETE ${PATH}/1 HTTP/1.1`, "Host: a, b", ...credential())],
    "Host: a:b": [() => raw(`DELETE ${PATH}/1 HTTP/1.1`, "Host: a:b", ...credential())],
    // case 12
    "two Authorization lines": [() => head(`DELETE ${PATH}/1 HTTP/1.1`, ...credential())],
    "two Authorization lines, the second one wrong": [
      () => head(`DELETE ${PATH}/1 HTTP/1.1`, "Authorization: Bearer x"),
    ],
    "two Content-Type lines": [() => post("content-type: application/json", length(BODY)) + BODY],
    "two If-Match lines": [() => head(`DELETE ${PATH}/1 HTTP/1.1`, 'If-Match: "1"', 'If-Match: "2"')],
    "two Content-Encoding lines": [
      () => post("Content-Encoding: identity", "Content-Encoding: gzip", length(BODY)) + BODY,
    ],
    "a Connection that takes If-Match away": [
      () => head(`DELETE ${PATH}/1 HTTP/1.1`, "Connection: keep-alive, If-Match", 'If-Match: "1"'),
    ],
    "a Connection that takes the credential away": [
      () => head(`DELETE ${PATH}/1 HTTP/1.1`, "Connection: authorization"),
    ],
    // case 14
    "a header of 20 KiB": [() => head(`DELETE ${PATH}/1 HTTP/1.1`, `X-A: ${"a".repeat(20_480)}`), [431]],
    "201 headers": [
      () => head(`DELETE ${PATH}/1 HTTP/1.1`, ...Array.from({ length: 199 }, (_, i) => `X-${i}: 1`)),
      [431],
    ],
    "a request target of 20 KiB": [() => head(`DELETE ${PATH}/${"1".repeat(20_480)} HTTP/1.1`), [414, 431]],
    "a request target of 9 KiB": [() => head(`DELETE ${PATH}/${"1".repeat(9_216)} HTTP/1.1`), [414]],
    // case 19
    "an upgrade to WebSocket": [
      () => post("Connection: upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: AAAA", length(BODY)) + BODY,
    ],
    "an upgrade to h2c": [
      () =>
        post("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMA", length(BODY)) +
        BODY,
    ],
    "an upgrade on GET": [() => head(`GET ${PATH} HTTP/1.1`, "Connection: upgrade", "Upgrade: websocket")],
    CONNECT: [() => head("CONNECT evil.example:443 HTTP/1.1"), [405]],
    // sibling of 100-continue
    "an expectation nobody can meet": [() => post("Expect: 200-ok", length(BODY)) + BODY, [417]],
    "a TLS client hello": [() => "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", [400]],
  };

  for (const [name, [bytes, statuses = [400]]] of Object.entries(attacks)) {
    test(`${name} is refused and closes the connection`, async () => {
      const responses = await sendRaw(url, bytes() + hidden());
      expect(responses.map(({ status }) => status)).toHaveLength(1);
      const [response] = responses;
      expect(statuses).toContain(response?.status);
      expect(response?.headers.get("content-type")).toMatch(/^application\/scim\+json/);
      expect(JSON.parse(response?.body ?? "")).toMatchObject({
        schemas: ["urn:ietf:params:scim:api:messages:2.0:Error"],
        status: String(response?.status),
      });
    });
  }

  test("a body that stops in the middle is refused nowhere and recorded nowhere", async () => {
    // case 38
    const connection = await connectRaw(url);
    connection.write(post("Content-Length: 1000") + BODY);
    await new Promise((resolve) => setTimeout(resolve, 100));
    connection.socket.resetAndDestroy();
    const chunkedConnection = await connectRaw(url);
    chunkedConnection.write(chunked() + chunk(BODY));
    await new Promise((resolve) => setTimeout(resolve, 100));
    chunkedConnection.socket.end();
    await chunkedConnection.closed();
    await new Promise((resolve) => setTimeout(resolve, 100));
  });

  test("a client that goes before its head was judged leaves nothing at work", async () => {
    const connection = await connectRaw(url);
    connection.write(post("Content-Length: 1000"));
    connection.socket.resetAndDestroy();
    await expect
      .poll(
        async () =>
          (await (await fetch(`${system.app.adminUrl}/metrics`)).text()).match(
            /^scimseal_open_transactions.*$/m,
          )?.[0],
      )
      .toMatch(/ 0$/);
  });

  test("a reset right behind an upgrade or a CONNECT does not end the process", async () => {
    for (const lines of [
      head(`GET ${PATH} HTTP/1.1`, "Connection: upgrade", "Upgrade: websocket"),
      head("CONNECT evil.example:443 HTTP/1.1"),
    ]) {
      for (let i = 0; i < 10; i++) {
        const connection = await connectRaw(url);
        connection.write(lines);
        if (i % 2 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
        connection.socket.resetAndDestroy();
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  });
});

test("a chunk extension is accepted and not passed on", async () => {
  // case 8
  const before = (await system.entries()).length;
  const [response] = await exchangeRaw(
    url,
    `${post("Transfer-Encoding: chunked")}${BODY.length.toString(16)};a=b\r\n${BODY}\r\n0\r\n\r\n`,
  );
  expect(response?.status).toBe(201);
  const arrived = target.writes().at(-1);
  expect(arrived?.body.toString()).toBe(BODY);
  expect(new Map(arrived?.headers ?? []).get("content-length")).toBe(String(BODY.length));
  expect(arrived?.headers.some(([name]) => name === "transfer-encoding")).toBe(false);
  expect((await system.entries()).length).toBe(before + 2);
});

test("a trailer is read over: neither credential nor header for the target", async () => {
  // case 9
  const before = (await system.entries()).length;
  const [response] = await exchangeRaw(
    url,
    `${post("Transfer-Encoding: chunked", "Trailer: Authorization")}${chunk(BODY)}0\r\nAuthorization: evil\r\nIf-Match: "x"\r\n\r\n`,
  );
  expect(response?.status).toBe(201);
  const arrived = target.writes().at(-1);
  expect(arrived?.trailers).toEqual([]);
  const headers = new Map(arrived?.headers ?? []);
  expect(headers.get("content-length")).toBe(String(BODY.length));
  expect(headers.get("authorization")).toBe(`Bearer ${system.targetToken}`);
  expect([headers.has("if-match"), headers.has("trailer"), headers.has("transfer-encoding")]).toEqual([
    false,
    false,
    false,
  ]);
  expect((await system.entries()).length).toBe(before + 2);
});

test("a trailer alone authenticates nobody", async () => {
  const before = target.arrived.length;
  const bytes = `POST ${PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: application/scim+json\r\nTransfer-Encoding: chunked\r\nTrailer: Authorization\r\n\r\n${chunk(BODY)}0\r\n${credential()[0]}\r\n\r\n`;
  const [response] = await exchangeRaw(url, bytes);
  expect(response?.status).toBe(401);
  expect(target.arrived.length).toBe(before);
});

test("a body in one-byte pieces arrives whole", async () => {
  const connection = await connectRaw(url);
  for (const character of post(length(BODY)) + BODY) {
    connection.write(character);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect((await connection.next())?.status).toBe(201);
  expect(target.writes().at(-1)?.body.toString()).toBe(BODY);
});

describe("several requests on one connection", () => {
  const remove = (id: string) => head(`DELETE ${PATH}/${id} HTTP/1.1`);

  test("pipelined writes are answered and forwarded in their order", async () => {
    // case 13
    const before = (await system.entries()).length;
    const forwarded = target.writes().length;
    // The first takes longest: it must still be over before the next begins.
    const delays = [60, 30, 0];
    const plain = target.answer;
    const atWork: number[] = [];
    let running = 0;
    target.answer = (_arrived, response) => {
      atWork.push(++running);
      setTimeout(() => {
        running--;
        response.writeHead(204).end();
      }, delays.shift() ?? 0);
    };
    try {
      const responses = await exchangeRaw(url, remove("1") + remove("2") + remove("3"), 3);
      expect(responses.map(({ status }) => status)).toEqual([204, 204, 204]);
    } finally {
      target.answer = plain;
    }
    expect(
      target
        .writes()
        .slice(forwarded)
        .map(({ path }) => path),
    ).toEqual(["/scim/v2/Users/1", "/scim/v2/Users/2", "/scim/v2/Users/3"]);
    expect(atWork).toEqual([1, 1, 1]);
    const recorded = (await system.entries()).slice(before).map(({ claims }) => claims.type);
    expect(recorded).toEqual(["request", "response", "request", "response", "request", "response"]);
  });

  const broken: Record<string, () => string> = {
    nonsense: () => "nonsense\r\n\r\n",
    "an upgrade": () => head(`GET ${PATH} HTTP/1.1`, "Connection: upgrade", "Upgrade: websocket"),
    "a CONNECT": () => head("CONNECT evil.example:443 HTTP/1.1"),
    "a broken chunk": () => `${post("Transfer-Encoding: chunked")}zz\r\n`,
    "an expectation nobody can meet": () => post("Expect: 200-ok", "Content-Length: 0"),
  };
  for (const [name, bytes] of Object.entries(broken)) {
    test(`${name} behind a write does not take the write's answer`, async () => {
      const forwarded = target.writes().length;
      const plain = target.answer;
      target.answer = (_arrived, response) => {
        setTimeout(() => response.writeHead(204).end(), 60);
      };
      try {
        const responses = await sendRaw(url, remove("1") + bytes() + remove("2"));
        expect(responses[0]?.status).toBe(204);
        expect(responses).toHaveLength(2);
        expect(responses[1]?.status).toBeGreaterThanOrEqual(400);
      } finally {
        target.answer = plain;
      }
      expect(target.writes().length).toBe(forwarded + 1);
    });
  }

  test("what follows a request that was refused with close is never begun", async () => {
    const forwarded = target.arrived.length;
    const responses = await sendRaw(url, head(`DELETE ${PATH}/1 HTTP/1.1`, "Host: b") + remove("2"));
    expect(responses.map(({ status }) => status)).toEqual([400]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(target.arrived.length).toBe(forwarded);
  });

  test("a flood of pipelined requests ends with its connection, and each that was begun is answered or recorded", async () => {
    const forwarded = target.writes().length;
    const responses = await sendRaw(url, remove("1").repeat(1000));
    expect(responses.length).toBeLessThan(50);
    expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([204]));
    expect(target.writes().length - forwarded).toBe(responses.length);
  });

  test("a connection is used again after a refusal that read everything", async () => {
    const wrong = post(length("[1]"));
    const responses = await exchangeRaw(url, `${wrong}[1]${remove("1")}`, 2);
    expect(responses.map(({ status }) => status)).toEqual([400, 204]);
  });
});
