// Where a log publishes its tiles and entry bundles (https://c2sp.org/tlog-tiles, "Merkle Tree" and "Log entries"):
// `tile/<L>/<N>[.p/<W>]` and `tile/entries/<N>[.p/<W>]`, relative to the log's prefix. A place has one spelling and
// parsing accepts no other, so that a cache, a file system and an access rule never see two names for one thing. Pure.

import { TILE_WIDTH, type Tile } from "./tile.ts";
import { assertSize } from "./tree.ts";

/** The highest level a path can spell; a tree that fits in sizes up to 2^53 - 1 ends at level 6. */
export const MAX_TILE_LEVEL = 63;

/** An entry bundle's place and its number of entries, 1 to 256. It holds the entries of the level 0 tile there. */
export interface Bundle {
  readonly index: number;
  readonly width: number;
}

/** The path of a tile; throws RangeError if there can be no such tile. */
export function formatTilePath({ level, index, width }: Tile): string {
  assertSize(level, "a tile's level");
  if (level > MAX_TILE_LEVEL)
    throw new RangeError(`a tile's level is at most ${MAX_TILE_LEVEL}, not ${level}`);
  return `tile/${level}/${formatPlace(index, width)}`;
}

/** The path of an entry bundle; throws RangeError if there can be no such bundle. */
export function formatBundlePath({ index, width }: Bundle): string {
  return `tile/entries/${formatPlace(index, width)}`;
}

/** Reads a tile's path; undefined if it is not the one spelling of a tile's place. */
export function parseTilePath(path: string): Tile | undefined {
  const [, digits, place] = /^tile\/(\d{1,2})\/(.*)$/.exec(path) ?? [];
  const level = Number(digits);
  const read = place === undefined ? undefined : parsePlace(place);
  if (!read || level > MAX_TILE_LEVEL) return undefined;
  const tile = { level, ...read };
  return formatTilePath(tile) === path ? tile : undefined;
}

/** Reads an entry bundle's path; undefined if it is not the one spelling of a bundle's place. */
export function parseBundlePath(path: string): Bundle | undefined {
  const [, place] = /^tile\/entries\/(.*)$/.exec(path) ?? [];
  const bundle = place === undefined ? undefined : parsePlace(place);
  return bundle && formatBundlePath(bundle) === path ? bundle : undefined;
}

function formatPlace(index: number, width: number): string {
  assertSize(index, "a tile's index");
  if (!Number.isInteger(width) || width < 1 || width > TILE_WIDTH) {
    throw new RangeError(`a tile is 1 to ${TILE_WIDTH} wide, not ${width}`);
  }
  const digits = String(index);
  const padded = digits.padStart(Math.ceil(digits.length / 3) * 3, "0");
  const elements = padded.replace(/\d{3}(?=\d)/g, "x$&/");
  return width === TILE_WIDTH ? elements : `${elements}.p/${width}`;
}

/** Lenient about zeros and widths: the callers re-format and compare. */
function parsePlace(place: string): Bundle | undefined {
  const [, elements, suffix] = /^((?:x\d{3}\/){0,5}\d{3})(?:\.p\/(\d{1,3}))?$/.exec(place) ?? [];
  if (elements === undefined) return undefined;
  const index = Number(elements.replace(/[x/]/g, ""));
  const width = suffix === undefined ? TILE_WIDTH : Number(suffix);
  return Number.isSafeInteger(index) && width >= 1 && width <= TILE_WIDTH ? { index, width } : undefined;
}
