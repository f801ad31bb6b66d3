// The keys of the index: the same under the same key, nothing under another, and sealed names that stay in their place.

import { describe, expect, test } from "vitest";
import { createIndexKey } from "../../src/keys/indexKey.ts";
import { createTokenKey } from "../../src/keys/tokenKey.ts";

const keyOf = (seed: number, origin = "test.example/a") =>
  createIndexKey(createTokenKey(Buffer.alloc(32, seed), origin).derive);
const key = keyOf(1);

describe("tokens", () => {
  test("are the same for the same kind and text", () => {
    expect(key.token("eq", "ada")).toBe(keyOf(1).token("eq", "ada"));
    const others = [
      key.token("eq", "adb"),
      key.token("tri", "ada"),
      key.token("p3", "ada"),
      key.token("e3", "ada"),
      keyOf(2).token("eq", "ada"),
      keyOf(1, "test.example/b").token("eq", "ada"),
    ];
    expect(new Set([key.token("eq", "ada"), ...others]).size).toBe(7);
  });

  test("are PostgreSQL's bigint, negative ones too", () => {
    const tokens = Array.from({ length: 64 }, (_, index) => key.token("tri", `t${index}`));
    for (const token of tokens) expect(BigInt.asIntN(64, token)).toBe(token);
    expect(tokens.some((token) => token < 0n) && tokens.some((token) => token > 0n)).toBe(true);
  });

  test("of a known key never change: an index would find nothing any more", () => {
    expect(String(key.token("tri", "ada"))).toMatchInlineSnapshot(`"-1740466620979336800"`);
    expect(key.id).toMatchInlineSnapshot(`"U5icY3n_XbU"`);
    expect(Buffer.from(key.digest("userName", "ada")).toString("hex")).toMatchInlineSnapshot(
      `"160915e93b9de8b062b3521ff3466e74"`,
    );
  });
});

test("digests tell attributes, values and keys apart", () => {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
  const digests = [
    key.digest("userName", "ada"),
    key.digest("email", "ada"),
    key.digest("userName", "Ada"),
    keyOf(2).digest("userName", "ada"),
  ];
  expect(digests.map(({ length }) => length)).toEqual([16, 16, 16, 16]);
  expect(new Set(digests.map(hex)).size).toBe(4);
});

describe("sealed names", () => {
  test.each(["ada@example.com", "", "Zoë 🦊", "x".repeat(5_000)])("%# open again", (value) => {
    const sealed = key.seal(value, "here");
    expect(key.open(sealed, "here")).toBe(value);
    expect(Buffer.from(sealed).equals(Buffer.from(key.seal(value, "here")))).toBe(false);
  });

  test("of about the same length have the same length", () => {
    const lengths = ["", "ada@example.com", "x".repeat(32)].map((value) => key.seal(value, "here").length);
    expect(new Set(lengths).size).toBe(1);
    expect(key.seal("x".repeat(33), "here").length).toBe((lengths[0] ?? 0) + 32);
  });

  test("open nowhere else, under no other key, and not when changed", () => {
    const sealed = key.seal("ada@example.com", "here");
    expect(key.open(sealed, "there")).toBeUndefined();
    expect(keyOf(2).open(sealed, "here")).toBeUndefined();
    for (let at = 0; at < sealed.length; at++) {
      const changed = Uint8Array.from(sealed);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(key.open(changed, "here")).toBeUndefined();
    }
    for (let length = 0; length < sealed.length; length++) {
      expect(key.open(sealed.subarray(0, length), "here")).toBeUndefined();
    }
  });
});
