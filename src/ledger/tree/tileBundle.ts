// Entry bundles (https://c2sp.org/tlog-tiles, "Log entries"): the entries under one tile of level 0, each after its
// length as a big-endian uint16. Parsing is strict: as many entries as the bundle's width says, and not a byte more.
// Pure. Whether the entries hash to the tile's hashes is the caller's to check.

import { MAX_LEAF_BYTES } from "../entry.ts";
import { TILE_WIDTH } from "./tile.ts";

const LENGTH_BYTES = 2;

/** A bundle's bytes; throws RangeError unless these are 1 to 256 entries of at most 65,535 bytes. */
export function formatBundle(entries: readonly Uint8Array[]): Uint8Array {
  if (entries.length < 1 || entries.length > TILE_WIDTH) {
    throw new RangeError(`a bundle holds 1 to ${TILE_WIDTH} entries, not ${entries.length}`);
  }
  const bytes = new Uint8Array(entries.reduce((sum, entry) => sum + LENGTH_BYTES + entry.length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const entry of entries) {
    if (entry.length > MAX_LEAF_BYTES) {
      throw new RangeError(
        `an entry of a bundle has at most ${MAX_LEAF_BYTES} bytes; this one has ${entry.length}`,
      );
    }
    view.setUint16(at, entry.length);
    bytes.set(entry, at + LENGTH_BYTES);
    at += LENGTH_BYTES + entry.length;
  }
  return bytes;
}

/** The entries of a bundle of this width, as views of its bytes; undefined if it does not hold exactly that many. */
export function parseBundle(bytes: Uint8Array, width: number): Uint8Array[] | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: Uint8Array[] = [];
  let at = 0;
  while (at < bytes.length) {
    const start = at + LENGTH_BYTES;
    if (entries.length === width || start > bytes.length) return undefined;
    const end = start + view.getUint16(at);
    if (end > bytes.length) return undefined;
    entries.push(bytes.subarray(start, end));
    at = end;
  }
  return width >= 1 && width <= TILE_WIDTH && entries.length === width ? entries : undefined;
}
