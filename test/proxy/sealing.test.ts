// Which bytes of a Bulk are about which operation, in request, facts and answer.

import fc from "fast-check";
import { expect, test } from "vitest";
import { createTokenKey } from "../../src/keys/tokenKey.ts";
import { draftRequest } from "../../src/proxy/draft.ts";
import { bulkSpans, factsAttachment, sealingOf } from "../../src/proxy/sealing.ts";
import { joinBulkAnswer } from "../../src/scim/bulk.ts";
import { type JsonDocument, parseStrictJson } from "../../src/scim/json.ts";
import { understand } from "../../src/scim/operation.ts";
import { redact } from "../../src/scim/redact.ts";

const CONTEXT = {
  connector: "okta",
  ids: "opaque",
  tokenKey: createTokenKey(new Uint8Array(32), "o"),
} as const;
const ARRIVAL = {
  txn: "0197c0de-0000-7000-8000-000000000001",
  actor: { client: "c", method: "bearer" },
  method: "POST",
  resourcePath: "/Bulk",
  query: undefined,
  mediaType: "application/scim+json",
  ifMatch: false,
  address: "192.0.2.1",
  userAgent: undefined,
} as const;

function parse(text: string): JsonDocument {
  const parsed = parseStrictJson(Buffer.from(text));
  if (!parsed.ok) throw new Error(parsed.refusal.detail);
  return parsed.document;
}

function cut(bytes: Uint8Array, spans: readonly { start: number; end: number; operation: number }[] = []) {
  return spans.map(({ start, end, operation }) => [
    operation,
    Buffer.from(bytes.subarray(start, end)).toString(),
  ]);
}

const BULK = parse(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": [
  {"method":"POST","path":"/Users","bulkId":"a","data":{"userName":"zoë","password":"geheim-123"}} ,
  {"method":"PATCH","path":"/Users/7","data":{"Operations":[{"op":"replace","path":"displayName","value":"Ünal"}]}},
  {"method":"PUT","path":"/Users/bulkId:a","data":{"userName":"zoë2"}}
 ], "failOnErrors": 1}`);

test("a Bulk's stored body is cut at its operations, also where a secret was taken out and characters are long", () => {
  const { bytes } = redact(BULK, []);
  expect(bytes).not.toBe(BULK.bytes);
  const spans = bulkSpans(BULK, bytes, (at) => at) ?? [];
  const pieces = cut(bytes, spans);
  expect(pieces.map(([operation]) => operation)).toEqual([0, 1, 2]);
  expect(pieces[0]?.[1]).toMatch(/^\{"method":"POST".*"zoë","password":"\[redacted\]"\}\} ,\s+$/s);
  expect(pieces[1]?.[1]).toMatch(/^\{"method":"PATCH".*"Ünal"\}\]\}\},\s+$/s);
  expect(pieces[2]?.[1]).toMatch(/^\{"method":"PUT".*"zoë2"\}\}$/s);
  for (const [i, { end }] of spans.slice(0, -1).entries()) expect(spans[i + 1]?.start).toBe(end);
});

test("its facts too, each operation's apart, and the whole is the same JSON", () => {
  const meaning = understand({ method: "POST", resourcePath: "/Bulk", document: BULK });
  const draft = draftRequest(CONTEXT, ARRIVAL, meaning, Buffer.from(BULK.bytes), undefined, undefined);
  const [facts] = draft.attachments;
  const whole = JSON.parse(Buffer.from(facts?.bytes ?? []).toString()) as {
    address: string;
    operations: unknown[];
  };
  expect(whole).toMatchObject({ address: "192.0.2.1", operations: meaning.facts.operations });
  const pieces = cut(facts?.bytes ?? new Uint8Array(), facts?.spans);
  expect(pieces.map(([operation]) => operation)).toEqual([0, 1, 2]);
  expect(pieces.map(([, text]) => /zoë2|zoë|Ünal/.exec(String(text))?.[0])).toEqual(["zoë", "Ünal", "zoë2"]);
  expect(draft.operations).toEqual([
    { resourceType: "User" },
    { resourceType: "User", resourceId: "7" },
    { resourceType: "User", sameAs: 0 },
  ]);
  expect(draft.subject).toBeUndefined();
});

test("a write of one resource is about it; a create about somebody not known yet", () => {
  const about = (method: string, resourcePath: string) => sealingOf(understand({ method, resourcePath }));
  expect(about("PATCH", "/Users/7")).toEqual({ subject: { resourceType: "User", resourceId: "7" } });
  expect(about("POST", "/Groups")).toEqual({ subject: { resourceType: "Group" } });
});

test("an answer in another order is cut by the operations it is about; what could be two's is nobody's", () => {
  const answer = parse(`{"Operations":[
    {"method":"PATCH","location":"https://t/Users/7","status":"200"},
    {"method":"POST","bulkId":"a","location":"https://t/Users/1","status":"201"},
    {"method":"DELETE","location":"https://t/Users/9","status":"204"},
    {"method":"DELETE","location":"https://t/Users/9","status":"404"}]}`);
  const request = parse(`{"Operations":[
    {"method":"POST","path":"/Users","bulkId":"a","data":{}},
    {"method":"PATCH","path":"/Users/7","data":{}},
    {"method":"DELETE","path":"/Users/9"},
    {"method":"DELETE","path":"/Users/9"}]}`);
  const { operationAt } = joinBulkAnswer(request, answer);
  expect([...operationAt]).toEqual([
    [1, 0],
    [0, 1],
  ]);
  const pieces = cut(
    answer.bytes,
    bulkSpans(answer, answer.bytes, (at) => operationAt.get(at)),
  );
  expect(pieces.map(([operation, text]) => [operation, /Users\/\d/.exec(String(text))?.[0]])).toEqual([
    [1, "Users/7"],
    [0, "Users/1"],
  ]);
});

test("what is no longer strict JSON is not cut", () => {
  expect(bulkSpans(BULK, Buffer.from('{"Operations":[{"a":1,"A":2}]}'), (at) => at)).toBeUndefined();
});

test("facts stay the same JSON, whatever they hold", () => {
  const item = fc.record({
    index: fc.nat(9),
    facts: fc.record({ userName: fc.string({ unit: "grapheme" }) }),
  });
  fc.assert(
    fc.property(fc.record({ address: fc.string() }), fc.array(item, { maxLength: 4 }), (rest, operations) => {
      const { bytes, spans } = factsAttachment({ ...rest, operations });
      expect(JSON.parse(Buffer.from(bytes).toString())).toEqual({ ...rest, operations });
      const own = cut(bytes, spans).map(([, text]) => JSON.parse(String(text).replace(/,$/, "")) as unknown);
      expect(own).toEqual(operations);
    }),
  );
});
