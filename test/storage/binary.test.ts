// PostgreSQL's binary arrays and the ids made here, each against PostgreSQL or its specification.

import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  encodeArray,
  encodeInt8Array,
  encodeTextArray,
  encodeUuidArray,
  OID,
} from "../../src/storage/binary.ts";

/** array_recv by the book: dimensions, has-null flag, element type, length, lower bound, then sized elements. */
function decode(bytes: Buffer): { oid: number; hasNull: boolean; items: (Buffer | null)[] } {
  expect(bytes.readInt32BE(0)).toBe(1);
  expect(bytes.readInt32BE(16)).toBe(1);
  const items: (Buffer | null)[] = [];
  let at = 20;
  while (at < bytes.length) {
    const size = bytes.readInt32BE(at);
    at += 4;
    items.push(size < 0 ? null : bytes.subarray(at, at + size));
    at += Math.max(size, 0);
  }
  expect(items.length).toBe(bytes.readInt32BE(12));
  return { oid: bytes.readInt32BE(8), hasNull: bytes.readInt32BE(4) === 1, items };
}

test("every element comes out as it went in, nulls and empty ones included", () => {
  const element = fc.option(fc.uint8Array({ maxLength: 20 }));
  fc.assert(
    fc.property(fc.array(element), (elements) => {
      const { oid, hasNull, items } = decode(encodeArray(OID.bytea, elements));
      expect(oid).toBe(17);
      expect(hasNull).toBe(elements.includes(null));
      expect(items.map((item) => item && [...item])).toEqual(elements.map((item) => item && [...item]));
    }),
  );
});

test("integers up to 2^53, texts beyond ASCII and uuids have their type's form", () => {
  const integers = decode(encodeInt8Array([0, 1, Number.MAX_SAFE_INTEGER])).items;
  expect(integers.map((item) => item?.readBigInt64BE(0))).toEqual([0n, 1n, 2n ** 53n - 1n]);
  expect(decode(encodeTextArray(["", "ü𝄞"])).items.map(String)).toEqual(["", "ü𝄞"]);
  const id = randomBytes(16);
  const text = id.toString("hex").replace(/(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  expect(decode(encodeUuidArray([text, null])).items).toEqual([id, null]);
});
