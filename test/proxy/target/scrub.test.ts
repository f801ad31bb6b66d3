import { expect, test } from "vitest";
import { quotesAny, scrubBytes, scrubDocument, unspokenSecrets } from "../../../src/proxy/target/scrub.ts";
import { parseStrictJson } from "../../../src/scim/json.ts";

function inDocument(text: string, secrets: readonly string[], isError: boolean): string {
  const parsed = parseStrictJson(Buffer.from(text), { topLevel: "any" });
  if (!parsed.ok) throw new Error(parsed.refusal.detail);
  return Buffer.from(scrubDocument(parsed.document, secrets, isError)).toString();
}

test("without a find the very same buffer comes back", () => {
  const bytes = Buffer.from('{"detail":"weak"}');
  const parsed = parseStrictJson(bytes);
  if (!parsed.ok) throw new Error("not JSON");
  expect(scrubDocument(parsed.document, ["hunter2-hunter2"], true)).toBe(bytes);
  expect(scrubDocument(parsed.document, [], true)).toBe(bytes);
  expect(scrubBytes(bytes, ["hunter2-hunter2"])).toBe(bytes);
});

test("in an error every text is searched, in another answer only what nothing else contains by chance", () => {
  const text = '{"id":"u-hunter2-1","detail":"hunter2!"}';
  expect(inDocument(text, ["hunter2"], true)).toBe('{"id":"u-[redacted]-1","detail":"[redacted]!"}');
  expect(inDocument(text, ["hunter2"], false)).toBe('{"id":"u-hunter2-1","detail":"[redacted]!"}');
  expect(inDocument('{"id":"u-hunter2-hunter2-1"}', ["hunter2-hunter2"], false)).toBe(
    '{"id":"u-[redacted]-1"}',
  );
  expect(inDocument('{"nickName":"hunter2"}', ["hunter2"], false)).toBe('{"nickName":"[redacted]"}');
});

test("schema names are left alone even in an error", () => {
  const text = '{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"400"}';
  expect(inDocument(text, ["params", "schemas", "status"], true)).toBe(text);
});

test("a secret that holds another goes as a whole", () => {
  const bytes = scrubBytes(Buffer.from("secret-one-and-two secret-one"), [
    "secret-one",
    "secret-one-and-two",
  ]);
  expect(Buffer.from(bytes).toString()).toBe("[redacted] [redacted]");
});

test("secrets with lone surrogates harm nobody", () => {
  expect(quotesAny("abc", ["\ud800abcdef"])).toBe(false);
  expect(Buffer.from(scrubBytes(Buffer.from("x \\ud800abcdef"), ["\ud800abcdef"])).toString()).toBe(
    "x [redacted]",
  );
});

test("what stands in clear in the redacted request is no secret any more", () => {
  const redacted = Buffer.from('{"userName":"same","password":"[redacted]"}');
  expect(unspokenSecrets(["same", "other"], redacted)).toEqual(["other"]);
  expect(unspokenSecrets([], redacted)).toEqual([]);
});
