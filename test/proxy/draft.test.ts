// What may stand in a leaf, which can never be erased, and how large it can become: an adversary who could make an
// entry that does not fit would have found a request that cannot be recorded.

import { describe, expect, test } from "vitest";
import { createTokenKey } from "../../src/keys/tokenKey.ts";
import { MAX_LEAF_BYTES } from "../../src/ledger/entry.ts";
import {
  type Arrival,
  draftRequest,
  draftResponse,
  type RecordContext,
  recordedId,
} from "../../src/proxy/draft.ts";
import { parseStrictJson } from "../../src/scim/json.ts";
import { understand } from "../../src/scim/operation.ts";
import { redact } from "../../src/scim/redact.ts";

const tokenKey = createTokenKey(Buffer.alloc(32, 7), "test.example/draft");
const context: RecordContext = { connector: "okta", ids: "opaque", tokenKey };

function arrivalOf(method: string, resourcePath: string, query?: string): Arrival {
  return {
    txn: "00000000-0000-7000-8000-000000000000",
    actor: { client: "c".repeat(64), method: "bearer" },
    method,
    resourcePath,
    query,
    mediaType: "application/scim+json",
    ifMatch: true,
    address: "192.0.2.7",
    userAgent: "agent",
  };
}

function draft(method: string, resourcePath: string, body: string, query?: string, within = context) {
  const wire = Buffer.from(body);
  const parsed = parseStrictJson(wire);
  if (!parsed.ok) throw new Error(parsed.refusal.detail);
  const meaning = understand({
    method,
    resourcePath,
    document: parsed.document,
    ...(query === undefined ? {} : { query }),
  });
  const { bytes, redacted } = redact(parsed.document, []);
  const stored = { bytes, redacted, mediaType: "application/scim+json" };
  return draftRequest(within, arrivalOf(method, resourcePath, query), meaning, wire, stored, undefined);
}

/** Length of the leaf that a draft becomes, its frame, commitments and signature included, to the safe side. */
function leafBytes({ body, attachments }: ReturnType<typeof draft>): number {
  const refs = attachments.map(({ name, mediaType, redacted }) => ({
    name,
    mediaType,
    redacted,
    commitment: "c".repeat(43),
    size: 1e9,
  }));
  const payload = JSON.stringify({ ...body, attachments: refs, frame: "f".repeat(600) });
  return Math.ceil((Buffer.byteLength(payload) * 4) / 3) + 300;
}

describe("ids", () => {
  test.each(["2819c223-7f76-453a-919d-413861904646", "u-1", "00u1ada", "a".repeat(128), "~x.y:z_"])(
    "%s is opaque and stands as it is",
    (id) => expect(recordedId(context, id)).toBe(id),
  );

  test.each(["ada@example.com", "Ada Example", "zoë", "a/b", "", "a".repeat(129), "<x>", "a%40b"])(
    "%j is not plainly opaque and stands as a token",
    (id) => {
      const recorded = recordedId(context, id);
      if (id !== "") expect(recorded).not.toContain(id);
      expect(recorded).toBe(recordedId(context, id));
      expect(recorded).not.toBe(recordedId(context, `${id}x`));
    },
  );

  test("of a connector with personal ids no id stands in clear", () => {
    const personal: RecordContext = { ...context, ids: "personal" };
    expect(recordedId(personal, "jdoe")).not.toContain("jdoe");
    const { body } = draft("PUT", "/Users/jdoe", '{"id":"jdoe","userName":"jdoe"}', undefined, personal);
    expect(JSON.stringify(body)).not.toContain("jdoe");
  });
});

describe("a leaf holds no personal data", () => {
  const people = /ada|example\.com|Ada|192\.0\.2|agent|secret/;

  test.each([
    ["POST", "/Users", '{"userName":"ada@example.com","name":{"familyName":"Ada"},"password":"secret"}'],
    ["PUT", "/Users/ada@example.com", '{"userName":"ada@example.com","displayName":"Ada"}'],
    [
      "PATCH",
      "/Users/ada%40example.com",
      '{"Operations":[{"op":"replace","path":"emails[value eq \\"ada@example.com\\"].value","value":"Ada"}]}',
    ],
    ["PATCH", "/Groups/1", '{"Operations":[{"op":"remove","path":"members[display eq \\"Ada\\"]"}]}'],
    [
      "POST",
      "/Bulk",
      '{"Operations":[{"method":"DELETE","path":"/Users/ada@example.com"},{"method":"POST","path":"/Users","bulkId":"ada","data":{"userName":"ada@example.com"}}]}',
    ],
    ["POST", "/Ada@example.com/ada@example.com", '{"Ada":1}'],
  ])("%s %s", (method, path, body) => {
    const made = draft(method, path, body, 'filter=userName%20eq%20"ada"');
    expect(JSON.stringify(made.body)).not.toMatch(people);
    for (const { name, mediaType, redacted } of made.attachments) {
      expect(JSON.stringify({ name, mediaType, redacted })).not.toMatch(people);
    }
  });

  test("the exact bytes are the ones to be forwarded, whatever is stored of them", () => {
    const made = draft("POST", "/Users", '{"password":"secret-secret","n":1e400}');
    expect(made.wire.toString()).toBe('{"password":"secret-secret","n":1e400}');
    const stored = made.attachments.find(({ name }) => name === "body");
    expect(Buffer.from(stored?.bytes ?? []).toString()).toBe('{"password":"[redacted]","n":1e400}');
  });
});

describe("a leaf always fits", () => {
  const long = (letter: string, index: number) => `${letter.repeat(120)}${index}`;
  const members = (letter: string, count: number) =>
    Array.from({ length: count }, (_, index) => `"${long(letter, index)}":1`).join(",");
  const operations = (count: number, operation: (index: number) => string) =>
    `{"Operations":[${Array.from({ length: count }, (_, index) => operation(index)).join(",")}]}`;

  test.each(["a", "漢", "😀", "\\u0001", "\\ud800"])("with thousands of long names of %j", (letter) => {
    expect(leafBytes(draft("POST", "/Users", `{${members(letter, 3000)}}`))).toBeLessThan(MAX_LEAF_BYTES);
    const patch = operations(3000, (index) => `{"op":"replace","path":"${long(letter, index)}","value":1}`);
    expect(leafBytes(draft("PATCH", "/Users/1", patch))).toBeLessThan(MAX_LEAF_BYTES);
    const bulk = operations(
      400,
      (index) =>
        `{"method":"PATCH","path":"/Users/${long("x", index)}","data":{"Operations":[{"op":"replace","path":"${long(letter, index)}.password","value":"${index}"}]}}`,
    );
    expect(leafBytes(draft("POST", "/Bulk", bulk))).toBeLessThan(MAX_LEAF_BYTES);
  });

  test("with a secret in thousands of places", () => {
    const body = `{${Array.from({ length: 3000 }, (_, index) => `"${long("k", index)}":{"password":"x"}`).join(",")}}`;
    expect(leafBytes(draft("POST", "/Users", body))).toBeLessThan(MAX_LEAF_BYTES);
  });

  test("a Bulk of a thousand deletions keeps its operations beside the leaf", () => {
    const made = draft(
      "POST",
      "/Bulk",
      operations(1000, (index) => `{"method":"DELETE","path":"/Users/${index}"}`),
    );
    expect(made.body.scim.operations).toBeUndefined();
    expect(made.body.scim.operationCount).toBe(1000);
    const kept = made.attachments.find(({ name }) => name === "operations");
    expect(JSON.parse(Buffer.from(kept?.bytes ?? []).toString())).toHaveLength(1000);
  });

  test("with a target's answer of the worst kind", () => {
    const long = "v".repeat(5000);
    const made = draftResponse(
      context,
      { txn: "t", seq: 1 },
      { outcome: "answered", status: 200, headers: {}, body: Buffer.from("{}"), durationMs: 1 },
      {
        stored: undefined,
        sent: Buffer.from("{}"),
        replied: 200,
        resourceId: long,
        version: long,
        facts: {},
        operations: Array.from({ length: 5000 }, (_, index) => ({
          index,
          status: 200,
          resourceId: `u-${index}`,
        })),
      },
    );
    expect(JSON.stringify(made.body).length).toBeLessThan(3000);
    expect(made.body.version).toBeUndefined();
  });
});
