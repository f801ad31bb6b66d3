// PostgreSQL's binary format for one-dimensional arrays (array_recv in src/backend/utils/adt/arrayfuncs.c). The
// writer sends a whole batch as a handful of array parameters; node-postgres passes a Buffer parameter through in
// binary, so bodies go to the server without hex encoding or quoting.

const HEADER_BYTES = 20;

export const OID = { bytea: 17, int8: 20, text: 25, uuid: 2950 } as const;

/** An array of the type's binary elements; null where an element is null. */
export function encodeArray(oid: number, items: readonly (Uint8Array | null)[]): Buffer {
  let size = HEADER_BYTES;
  for (const item of items) size += 4 + (item?.length ?? 0);
  const out = Buffer.allocUnsafe(size);
  out.writeInt32BE(1, 0); // dimensions
  out.writeInt32BE(items.includes(null) ? 1 : 0, 4);
  out.writeInt32BE(oid, 8);
  out.writeInt32BE(items.length, 12);
  out.writeInt32BE(1, 16); // lower bound
  let at = HEADER_BYTES;
  for (const item of items) {
    at = out.writeInt32BE(item?.length ?? -1, at);
    if (item) {
      out.set(item, at);
      at += item.length;
    }
  }
  return out;
}

/** bytea elements. */
export function encodeByteaArray(values: readonly Uint8Array[]): Buffer {
  return encodeArray(OID.bytea, values);
}

/** int8 elements. */
export function encodeInt8Array(values: readonly number[]): Buffer {
  return encodeArray(
    OID.int8,
    values.map((value) => {
      const item = Buffer.allocUnsafe(8);
      item.writeBigInt64BE(BigInt(value));
      return item;
    }),
  );
}

/** text elements, UTF-8. */
export function encodeTextArray(values: readonly string[]): Buffer {
  return encodeArray(
    OID.text,
    values.map((value) => Buffer.from(value)),
  );
}

/** uuid elements from their canonical text form. */
export function encodeUuidArray(values: readonly (string | null)[]): Buffer {
  return encodeArray(
    OID.uuid,
    values.map((value) => (value === null ? null : Buffer.from(value.replaceAll("-", ""), "hex"))),
  );
}
