// Bodies: what is accepted reaches the target as the very bytes that were received and recorded, however odd they are;
// what two readers could read differently reaches nobody. (RFC 8259, RFC 7493 §2.3, RFC 7643 §2.1.)

import { createHash } from "node:crypto";
import { request as httpRequest } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TokenKey } from "../../src/keys/tokenKey.ts";
import {
  ALL_WELL,
  checkInvariants,
  ofType,
  type System,
  sha256Hex,
  startSystem,
  tokenKeyOf,
} from "../support/system.ts";
import { type BadTarget, startBadTarget } from "./badTarget.ts";
import { type LedgerNews, openNews } from "./ledgerNews.ts";
import { falseBodies, oddBodies } from "./payloadCorpus.ts";

const BULK_OPERATIONS = 5;
const BULK_BYTES = 2 * 1024 * 1024;

let target: BadTarget;
let system: System;
let news: LedgerNews;
let key: TokenKey;
beforeAll(async () => {
  target = await startBadTarget();
  system = await startSystem({
    targetUrl: target.url,
    config: {
      scim: { listen: { port: 0 }, limits: { bulkOperations: BULK_OPERATIONS, bulkBytes: BULK_BYTES } },
    },
  });
  news = await openNews(system);
  key = await tokenKeyOf(system.dataDir);
});
afterAll(async () => {
  await news.close();
  expect(await checkInvariants({ ...system, journal: target.journal() })).toEqual(ALL_WELL);
  await system.stop();
  await target.close();
});

/** Sends one write; tells what the client got, what was recorded and what arrived. */
async function send(
  body: string | Uint8Array,
  { method = "POST", path = "/Users", headers = {} as Record<string, string> } = {},
) {
  const seen = target.journal().length;
  const response = await system.request(method, path, { body, headers });
  const text = await response.text();
  const entries = await news.next();
  return {
    status: response.status,
    text,
    request: ofType(entries, "request").at(-1),
    outcome: ofType(entries, "response").at(-1),
    refusal: ofType(entries, "refusal").at(-1),
    arrived: target.journal().slice(seen),
  };
}

function attachment(entry: Awaited<ReturnType<typeof send>>["request"], name: string): Buffer | undefined {
  const found = entry?.row.attachments?.find((item) => item.name === name);
  return found && Buffer.from(found.content);
}

describe("received, recorded and forwarded are the same bytes", () => {
  test("the corpus is large enough to mean something", () => {
    expect(Object.keys(oddBodies).length).toBeGreaterThanOrEqual(60);
    expect(new Set(Object.values(oddBodies).map(sha256Hex)).size).toBe(Object.keys(oddBodies).length);
  });

  // cases 48, 53, 54, 56; acceptance 8
  test.each(Object.keys(oddBodies))("%s", async (name) => {
    const body = oddBodies[name] ?? Buffer.alloc(0);
    const digest = sha256Hex(body);
    const { status, request, outcome, arrived } = await send(body);
    expect(status).toBe(201);
    expect(arrived.map(({ sha256 }) => sha256)).toEqual([digest]);
    expect(arrived[0]?.body.equals(body)).toBe(true);
    const kept = attachment(request, "body");
    const redacted = request?.claims.attachments.find((item) => item.name === "body")?.redacted;
    if (redacted === undefined || redacted.length === 0) {
      expect(request?.facts).toMatchObject({ sha256: digest });
      expect(kept?.equals(body)).toBe(true);
    } else {
      expect(request?.facts).toMatchObject({ hmacSha256: key.digest(body) });
      expect(request?.facts).not.toHaveProperty("sha256");
      expect(kept?.toString("latin1")).not.toContain("odd-Secret");
    }
    expect(outcome?.claims.txn).toBe(request?.claims.txn);
    expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
  });

  test.each(["PUT", "PATCH", "DELETE"])("with %s too", async (method) => {
    const body = '{ "n" : 9007199254740993, "__proto__":{"x":1e400} }\n';
    const { status, arrived, request } = await send(body, { method, path: "/Users/u-1" });
    expect(status).toBe(201);
    expect(arrived.map(({ method: seen, sha256 }) => [seen, sha256])).toEqual([[method, sha256Hex(body)]]);
    expect(request?.facts).toMatchObject({ sha256: sha256Hex(body) });
  });

  test("a chunked body, byte by byte, arrives as one body with its length", async () => {
    const body = Buffer.from('{"userName":"drip-é-😀@example.com","n":1e400}');
    const seen = target.journal().length;
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const request = httpRequest(
        `${system.baseUrl}/Users`,
        {
          method: "POST",
          headers: { authorization: `Bearer ${system.token}`, "content-type": "application/scim+json" },
        },
        (response) => resolve(response.resume().statusCode),
      );
      request.on("error", reject);
      request.setNoDelay(true);
      for (const byte of body) request.write(Buffer.from([byte]));
      request.end();
    });
    expect(status).toBe(201);
    const [arrived] = target.journal().slice(seen);
    expect(arrived?.sha256).toBe(sha256Hex(body));
    expect(arrived?.headers["content-length"]).toBe(String(body.length));
    expect(arrived?.headers["transfer-encoding"]).toBeUndefined();
    await news.next();
  });

  // case 51
  test.each([
    "application/scim+json; charset=utf-8",
    "application/scim+json;charset=UTF-8",
    'application/json; charset="utf-8"',
    "application/json",
    "APPLICATION/SCIM+JSON",
    "application/scim+json; profile=x",
  ])("the media type %s is passed on as it was sent", async (type) => {
    const { status, arrived } = await send('{"userName":"typed@example.com"}', {
      headers: { "content-type": type },
    });
    expect(status).toBe(201);
    expect(arrived[0]?.headers["content-type"]).toBe(type);
  });

  test("a query passes as it was sent, and is no part of what stands in the leaf", async () => {
    const { status, arrived, request } = await send('{"Operations":[]}', {
      method: "PATCH",
      path: "/Users/u-1?aadOptscim062020&attributes=userName%2Cemails",
    });
    expect(status).toBe(201);
    expect(arrived[0]?.path).toBe("/scim/v2/Users/u-1?aadOptscim062020&attributes=userName%2Cemails");
    expect(request?.claims.http).toMatchObject({ path: "/Users/u-1", query: true });
  });
});

describe("what is not strict JSON reaches nobody", () => {
  // cases 42, 46, 52, 56
  test.each(Object.keys(falseBodies))("%s", async (name) => {
    const body = falseBodies[name] ?? Buffer.alloc(0);
    const { status, text, refusal, request, arrived } = await send(body);
    expect(status).toBe(400);
    expect(JSON.parse(text)).toMatchObject({
      schemas: ["urn:ietf:params:scim:api:messages:2.0:Error"],
      status: "400",
      scimType: "invalidSyntax",
      detail: expect.stringMatching(/^body_invalid/),
    });
    expect({ request, arrived }).toEqual({ request: undefined, arrived: [] });
    expect(refusal?.claims.refusal).toEqual({ code: "body_invalid", status: 400 });
    // A body that cannot be read cannot be redacted: its size and a keyed digest are all that is kept.
    expect(refusal?.row.attachments?.map((item) => item.name)).toEqual(["facts"]);
    expect(refusal?.facts).toMatchObject({ size: body.length, hmacSha256: key.digest(body) });
    expect(refusal?.facts).not.toHaveProperty("sha256");
  });

  // case 52
  test("an empty body", async () => {
    const { status, arrived, refusal } = await send("");
    expect({ status, arrived }).toEqual({ status: 400, arrived: [] });
    expect(refusal?.claims.refusal.code).toBe("body_invalid");
  });

  // case 42: in a Bulk's data and in a PATCH's value too
  test.each([
    ["PATCH", "/Users/u-1", '{"Operations":[{"op":"replace","value":{"active":true,"ACTIVE":false}}]}'],
    ["PATCH", "/Users/u-1", '{"Operations":[{"op":"replace","op":"remove","path":"active"}]}'],
    ["PUT", "/Users/u-1", '{"id":"u-1","ID":"u-2"}'],
    ["POST", "/Bulk", '{"Operations":[{"method":"DELETE","path":"/Users/1","Path":"/Users/2"}]}'],
    ["DELETE", "/Users/u-1", '{"a":1,"a":2}'],
  ])("a %s of %s with one name twice", async (method, path, body) => {
    const { status, arrived, refusal } = await send(body, { method, path });
    expect({ status, arrived }).toEqual({ status: 400, arrived: [] });
    expect(refusal?.claims.http.method).toBe(method);
  });
});

describe("bodies that are not even looked at", () => {
  // cases 46, 51
  test.each([
    "text/plain",
    "text/json",
    "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded",
    "application/scim+json; charset=utf-16",
    "application/scim+json; charset=utf-7",
    "application/json; charset=iso-8859-1",
    'application/json; charset="utf-16le"',
    "application/scim+json; charset=utf-8; charset=utf-16",
    "application/scim+json, text/plain",
    "application/vnd.api+json",
    "*/*",
  ])("%s is a 415", async (type) => {
    const { status, arrived, refusal } = await send('{"userName":"a"}', {
      headers: { "content-type": type },
    });
    expect({ status, arrived }).toEqual({ status: 415, arrived: [] });
    expect(refusal?.claims.refusal).toEqual({ code: "media_type_unsupported", status: 415 });
  });

  test("no media type is a 415", async () => {
    const seen = target.journal().length;
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const request = httpRequest(
        `${system.baseUrl}/Users`,
        { method: "POST", headers: { authorization: `Bearer ${system.token}`, "content-length": "2" } },
        (response) => resolve(response.resume().statusCode),
      );
      request.on("error", reject).end("{}");
    });
    expect(status).toBe(415);
    expect(target.journal().length).toBe(seen);
    expect(ofType(await news.next(), "refusal").at(-1)?.claims.refusal.status).toBe(415);
  });

  test.each(["gzip", "deflate", "br", "zstd", "identity, gzip"])(
    "Content-Encoding %s is a 415",
    async (coding) => {
      const { status, arrived, refusal } = await send("{}", { headers: { "content-encoding": coding } });
      expect({ status, arrived }).toEqual({ status: 415, arrived: [] });
      expect(refusal?.claims.refusal.code).toBe("encoding_unsupported");
    },
  );
});

describe("Bulk", () => {
  const operation = (index: number, more = "") =>
    `{"method":"POST","path":"/Users","bulkId":"b${index}","data":{"userName":"bulk-${index}"${more}}}`;
  const bulk = (operations: readonly string[]) =>
    `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[${operations.join(",")}]}`;
  const many = (length: number) => bulk(Array.from({ length }, (_, index) => operation(index)));

  // case 50
  test("as many operations as allowed pass; one more is a 413", async () => {
    const fits = await send(many(BULK_OPERATIONS), { path: "/Bulk" });
    expect(fits.status).toBe(201);
    expect(fits.request?.claims.scim.operations?.length).toBe(BULK_OPERATIONS);
    const above = await send(many(BULK_OPERATIONS + 1), { path: "/Bulk" });
    expect({ status: above.status, arrived: above.arrived }).toEqual({ status: 413, arrived: [] });
    expect(above.refusal?.claims.refusal).toEqual({ code: "bulk_too_many", status: 413 });
  });

  test("operations under a name in another case count as well", async () => {
    const body = many(BULK_OPERATIONS + 1).replace('"Operations"', '"operations"');
    const { status, arrived } = await send(body, { path: "/Bulk" });
    expect({ status, arrived }).toEqual({ status: 413, arrived: [] });
  });

  test("a payload at the limit passes; one byte more is a 413", async () => {
    const frame = bulk([operation(0, ',"title":""')]);
    const fill = (size: number) =>
      frame.replace('"title":""', `"title":"${"t".repeat(size - frame.length)}"`);
    const fits = await send(fill(BULK_BYTES), { path: "/Bulk" });
    expect(fits.status).toBe(201);
    expect(fits.arrived[0]?.size).toBe(BULK_BYTES);
    const above = await send(fill(BULK_BYTES + 1), { path: "/Bulk" });
    expect({ status: above.status, arrived: above.arrived }).toEqual({ status: 413, arrived: [] });
    expect(above.refusal?.claims.refusal.code).toBe("body_too_large");
  });
});

describe("what is made of it for the audit", () => {
  const patch = (operations: string) =>
    send(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[${operations}]}`, {
      method: "PATCH",
      path: "/Users/u-1",
    });

  // case 55
  test.each([
    '{"op":"Replace","path":"active","value":"False"}',
    '{"op":"REPLACE","path":"active","value":false}',
    '{"op":"replace","value":{"active":false}}',
    '{"op":"add","value":{"Active":"false"}}',
    '{"op":"replace","path":"urn:ietf:params:scim:schemas:core:2.0:User:active","value":false}',
  ])("%s deactivates", async (operation) => {
    const { status, request, arrived } = await patch(operation);
    expect(status).toBe(201);
    expect(request?.claims.scim.effects).toContain("deactivate");
    expect(arrived[0]?.body.toString()).toContain(operation);
  });

  // case 48
  test.each(["__proto__.polluted", "constructor.prototype.polluted", "__proto__[x eq 1]"])(
    "a PATCH path of %s changes nothing here",
    async (path) => {
      const { status, arrived } = await patch(`{"op":"add","path":"${path}","value":true}`);
      expect(status).toBe(201);
      expect(arrived.length).toBe(1);
      expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
    },
  );

  // case 53
  test("line ends, terminal escapes and direction marks in a name forge no log line", async () => {
    const before = system.logs().length;
    const forged = '{\\"level\\":60,\\"msg\\":\\"forged by a name\\"}';
    const { status } = await send(`{"userName":"a\\r\\n${forged}\\u001b[31m\\u202e","active":true}`);
    expect(status).toBe(201);
    await send(`{"userName":"a\\r\\n${forged}\\u001b[31m","active":true,"active":false}`);
    const logged = system.logs().slice(before);
    expect(logged).not.toContain("\u001b");
    expect(logged).not.toContain("\u202e");
    for (const line of logged.split("\n").filter((text) => text !== "")) {
      expect(JSON.parse(line)).not.toMatchObject({ level: 60 });
    }
  });

  // case 54
  test("look-alikes stay what they are, are told apart, and are flagged", async () => {
    const cyrillic = await send('{"userName":"\u0430dmin@example.com"}');
    const latin = await send('{"userName":"admin@example.com"}');
    const composed = await send('{"userName":"zo\u00eb@example.com"}');
    const decomposed = await send('{"userName":"zoe\u0308@example.com"}');
    const names = [cyrillic, latin, composed, decomposed].map(({ request }) => request?.facts?.userName);
    expect(names).toEqual([
      "\u0430dmin@example.com",
      "admin@example.com",
      "zo\u00eb@example.com",
      "zoe\u0308@example.com",
    ]);
    expect(cyrillic.request?.facts?.unicode).toEqual(["mixed_script"]);
    expect(latin.request?.facts?.unicode).toBeUndefined();
    expect(composed.request?.facts?.unicode).toBeUndefined();
    expect(decomposed.request?.facts?.unicode).toEqual(["not_nfc"]);
  });
});

test("a megabyte of body at once from several clients arrives unmixed", async () => {
  const seen = target.journal().length;
  const bodies = Array.from(
    { length: 8 },
    (_, index) => `{"userName":"big-${index}@example.com","title":"${String(index).repeat(1_000_000)}"}`,
  );
  const answers = await Promise.all(bodies.map((body) => system.request("POST", "/Users", { body })));
  expect(answers.map(({ status }) => status)).toEqual(bodies.map(() => 201));
  const digest = (text: string) => createHash("sha256").update(text).digest("hex");
  expect(
    target
      .journal()
      .slice(seen)
      .map(({ sha256 }) => sha256)
      .sort(),
  ).toEqual(bodies.map(digest).sort());
});
