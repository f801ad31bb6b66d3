// Array parameters of the index's statements beyond those of ../binary.ts: numbers without an object for each, and values
// that may be missing.

import { encodeArray, OID } from "../binary.ts";

const HEADER_BYTES = 20;

/** int8 elements of lists in a row, in PostgreSQL's binary format, without an object for each: tokens are many. */
export function encodeBigintLists(lists: readonly ArrayLike<bigint>[]): Buffer {
  let count = 0;
  for (const { length } of lists) count += length;
  const out = Buffer.allocUnsafe(HEADER_BYTES + 12 * count);
  const view = new DataView(out.buffer, out.byteOffset, out.length);
  // Dimensions, no nulls, the element's type, how many, the lower bound.
  for (const [index, field] of [1, 0, OID.int8, count, 1].entries()) view.setInt32(4 * index, field);
  let at = HEADER_BYTES;
  for (const list of lists) {
    for (let index = 0; index < list.length; index++) {
      view.setInt32(at, 8);
      view.setBigInt64(at + 4, list[index] ?? 0n);
      at += 12;
    }
  }
  return out;
}

/** Any values as text, for a cast in the statement; undefined is NULL. */
export function encodeNullable(values: readonly unknown[]): Buffer {
  return encodeArray(
    OID.text,
    values.map((value) => (value === undefined ? null : Buffer.from(String(value)))),
  );
}
