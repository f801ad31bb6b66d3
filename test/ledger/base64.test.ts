// Standard base64 (RFC 4648 §4): one text for some bytes, and no other text for them.

import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeBase64, encodeBase64 } from "../../src/ledger/base64.ts";

test("the vectors of RFC 4648 §10", () => {
  const vectors = { "": "", f: "Zg==", fo: "Zm8=", foo: "Zm9v", foob: "Zm9vYg==", fooba: "Zm9vYmE=" };
  for (const [text, encoded] of Object.entries(vectors)) {
    expect(encodeBase64(Buffer.from(text))).toBe(encoded);
    expect(Buffer.from(decodeBase64(encoded) ?? "none").toString()).toBe(text);
  }
  expect(encodeBase64(Uint8Array.of(251, 255, 254))).toBe("+//+");
});

test.for([
  ["no padding", "Zg"],
  ["half of the padding", "Zg="],
  ["too much padding", "Zm9v===="],
  ["padding alone", "===="],
  ["padding for one character", "Z==="],
  ["padding in the middle", "Zg==Zg=="],
  ["the URL alphabet", "-_-_"],
  ["white space", "Zm9 "],
  ["a line break at the end", "Zm9vYg==\n"],
  ["a line break for padding", "Zm9\n"],
  ["stray bits before two signs of padding", "Zh=="],
  ["stray bits before one", "Zm9="],
  ["a NUL", "Zm9\0"],
  ["a character beyond ASCII", "Zm9é"],
  ["a character whose low bits are in the alphabet", "Zm9\u0141"],
] as const)("refused: %s", ([, text]) => {
  expect(decodeBase64(text)).toBeUndefined();
});

test("it agrees with the runtime, both ways, for any bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      const text = Buffer.from(bytes).toString("base64");
      expect(encodeBase64(bytes)).toBe(text);
      expect(decodeBase64(text)).toEqual(bytes);
    }),
  );
});

test("whatever it accepts is spelled as it would spell it", () => {
  const characters = fc.constantFrom(..."ABCQZghw019-_=+/ \n");
  fc.assert(
    fc.property(fc.string({ unit: characters, maxLength: 12 }), (text) => {
      const bytes = decodeBase64(text);
      if (bytes) expect(encodeBase64(bytes)).toBe(text);
    }),
    { numRuns: 2_000 },
  );
});
