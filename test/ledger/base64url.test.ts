// base64url (RFC 4648 §5): one text for some bytes, and no other text for them.

import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeBase64url, encodeBase64url } from "../../src/ledger/base64url.ts";

test("the vectors of RFC 4648 §10, without padding", () => {
  const vectors = {
    "": "",
    f: "Zg",
    fo: "Zm8",
    foo: "Zm9v",
    foob: "Zm9vYg",
    fooba: "Zm9vYmE",
    foobar: "Zm9vYmFy",
  };
  for (const [text, encoded] of Object.entries(vectors)) {
    expect(encodeBase64url(Buffer.from(text))).toBe(encoded);
    expect(Buffer.from(decodeBase64url(encoded) ?? "none").toString()).toBe(text);
  }
  expect(encodeBase64url(Uint8Array.of(251, 255, 254))).toBe("-__-");
});

test.for([
  ["padding", "Zg=="],
  ["the standard alphabet", "-_+/"],
  ["white space", "Zm9v "],
  ["a line break", "Zm9v\nYmFy"],
  ["one character too many", "Zm9vY"],
  ["stray bits in a last character of two", "Zh"],
  ["stray bits in a last character of three", "Zm9"],
  ["a NUL", "Zm9\0"],
  ["a character beyond ASCII", "Zm9é"],
  ["a character whose low bits are in the alphabet", "Zm9\u0141"],
] as const)("refused: %s", ([, text]) => {
  expect(decodeBase64url(text)).toBeUndefined();
});

test("it agrees with the runtime, both ways, for any bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      const text = Buffer.from(bytes).toString("base64url");
      expect(encodeBase64url(bytes)).toBe(text);
      expect(decodeBase64url(text)).toEqual(bytes);
    }),
  );
});

test("whatever it accepts is spelled as it would spell it", () => {
  const characters = fc.constantFrom(..."ABCQZghw019-_=+/ \n");
  fc.assert(
    fc.property(fc.string({ unit: characters, maxLength: 12 }), (text) => {
      const bytes = decodeBase64url(text);
      if (bytes) expect(encodeBase64url(bytes)).toBe(text);
    }),
    { numRuns: 2_000 },
  );
});
