// The fast HMAC gives what node:crypto's gives, for every length of key and message and for any text.

import { createHmac, randomBytes } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createMac } from "../../src/keys/hmac.ts";

test("it is node:crypto's HMAC, for bytes and for texts, whatever was hashed before", () => {
  const bytes = fc.uint8Array({ maxLength: 300 });
  const text = fc.string({ unit: "binary", maxLength: 300 });
  const encoding = fc.constantFrom("hex" as const, "base64url" as const, "binary" as const);
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 64 }),
      fc.array(fc.oneof(bytes, text)),
      encoding,
      (key, messages, as) => {
        const mac = createMac(key);
        for (const message of messages)
          expect(mac(message, as)).toBe(createHmac("sha256", key).update(message).digest(as));
      },
    ),
    { numRuns: 300 },
  );
});

test.each([0, 1, 55, 56, 63, 64, 1_365, 1_366, 4_095, 4_096, 4_097, 100_000])("a message of %i", (length) => {
  const key = randomBytes(32);
  const mac = createMac(key);
  for (const message of [randomBytes(length), "a".repeat(length), "€".repeat(length)])
    expect(mac(message, "hex")).toBe(createHmac("sha256", key).update(message).digest("hex"));
});

test("a key that would have to be hashed first is refused", () => {
  expect(() => createMac(new Uint8Array(65))).toThrow(RangeError);
});
