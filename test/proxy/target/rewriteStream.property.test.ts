// A stream has no edges: however an answer is cut into chunks, the same bytes come out, and they are those that the
// rewriting of a whole document gives.

import fc from "fast-check";
import { expect, test } from "vitest";
import { LocationRewriter, rewriteBytes } from "../../../src/proxy/target/rewriteStream.ts";
import { SecretMask } from "../../../src/proxy/target/scrub.ts";
import { parseStrictJson } from "../../../src/scim/json.ts";
import { rewriteLocations } from "../../../src/scim/rewrite.ts";

const FROM = "https://app.example.com/scim/v2";
const TO = "https://proxy.example.net/okta/scim/v2";

const url = fc.constantFrom(
  `${FROM}/Users/1`,
  `${FROM}/Users/é?a=b`,
  `${FROM}er/Users/1`,
  FROM,
  "HTTPS://APP.example.com:443/scim/v2/Groups/2",
  "https://app.example.com:444/scim/v2/Users/1",
  "/scim/v2/Users/1",
  "/elsewhere",
  "../Users/1",
  "//app.example.com/scim/v2/x",
  "https://evil.example/scim/v2",
);
const name = fc.oneof(
  fc.constantFrom("location", "$ref", "Location", "meta", "value", "", "loc\\ation", '"', "id"),
  fc.string({ unit: "grapheme", maxLength: 6 }),
);
const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 5 },
    url,
    fc.string({ unit: "binary", maxLength: 12 }),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie("tree"), { maxLength: 4 }),
    fc.dictionary(name, tie("tree"), { maxKeys: 5 }),
  ),
}));
const document = fc
  .tuple(tree, fc.constantFrom(undefined, 0, 1, 2, "\t"), fc.boolean())
  .map(([value, space, isEscaped]) => {
    const text = JSON.stringify(value, null, space);
    const spelled = isEscaped
      ? text.replaceAll("location", "\\u006cocation").replaceAll("/scim", "\\/scim")
      : text;
    return Buffer.from(spelled);
  })
  .filter((bytes) => parseStrictJson(bytes, { topLevel: "any" }).ok);
const cuts = fc.array(fc.nat(400), { maxLength: 12 });

function split(bytes: Buffer, at: readonly number[]): Buffer[] {
  const places = [0, ...at.filter((place) => place < bytes.length).sort((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, index) => bytes.subarray(places[index], end));
}

async function through(stream: LocationRewriter | SecretMask, chunks: readonly Buffer[]): Promise<Buffer> {
  for (const chunk of chunks) stream.write(chunk);
  stream.end();
  return Buffer.concat(await stream.toArray());
}

test("a streamed document is rewritten as a whole one is", async () => {
  await fc.assert(
    fc.asyncProperty(document, cuts, async (bytes, at) => {
      const parsed = parseStrictJson(bytes, { topLevel: "any" });
      if (!parsed.ok) throw new Error("the filter lets only strict JSON through");
      const whole = Buffer.from(rewriteLocations(parsed.document, FROM, TO));
      const streamed = await through(new LocationRewriter(FROM, TO), split(bytes, at));
      expect(streamed.toString("utf8")).toBe(whole.toString("utf8"));
    }),
    { numRuns: 400 },
  );
});

test("any bytes at all come out the same however they are cut, and without a location or a password unchanged", async () => {
  const bytes = fc
    .array(fc.oneof(fc.constantFrom(...'"\\:,{}[] \n'), fc.constantFrom("location", FROM, "x", "\ud800")), {
      maxLength: 60,
    })
    .map((parts) => Buffer.from(parts.join("")));
  await fc.assert(
    fc.asyncProperty(bytes, cuts, async (input, at) => {
      const whole = Buffer.from(rewriteBytes(input, FROM, TO));
      expect((await through(new LocationRewriter(FROM, TO), split(input, at))).equals(whole)).toBe(true);
      if (!input.includes("location")) expect(whole.equals(input)).toBe(true);
    }),
    { numRuns: 400 },
  );
});

test("a masked stream keeps its length and holds no secret, however it is cut", async () => {
  const secret = fc.constantFrom("secret-secret", 'a"b\\c/d&e f', "aaaaaa", "äöüäöü");
  const text = fc.array(fc.constantFrom("secret-", "secret", "aaa", "a", "x", "ä", 'a"b\\c/d&e f'), {
    maxLength: 30,
  });
  await fc.assert(
    fc.asyncProperty(secret, text, cuts, async (hidden, parts, at) => {
      const input = Buffer.from(parts.join(""));
      const output = await through(new SecretMask([hidden]), split(input, at));
      expect(output.length).toBe(input.length);
      expect(output.includes(hidden)).toBe(false);
      if (!input.includes(hidden)) expect(output.equals(input)).toBe(true);
    }),
    { numRuns: 400 },
  );
});
