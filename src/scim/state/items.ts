// The elements of a multi-valued attribute, in pieces that lists share: a group of thousands changes by one member at a
// time, and each change must cost what it changes, in time and in memory.
// Promises: immutable; elements keep their order; what did not change is the same piece, so that two lists are told apart
// by looking at the pieces that they do not share; an element is found by its key without looking at the others.

export interface Keyed {
  /** `v:` and a value, or `j:` and a whole content. */
  readonly key: string;
}

/** Stands for every key that is a whole content, where keys are asked for. */
export const wholeContents = "j:";

const pieceLength = 128;

interface Piece<T extends Keyed> {
  /** The same for a piece and what changes make of it; later pieces of a list have greater ones. */
  readonly home: number;
  readonly items: readonly T[];
}

/**
 * The homes in which elements of a key may be found, of a list and of all that were made from it. Shared by them, and only
 * ever added to: a home that is named for another list is looked at in vain, which is all that happens.
 */
type Homes = Map<string, number[]>;

let homes = 0;

export class Items<T extends Keyed> implements Iterable<T> {
  readonly length: number;
  readonly #pieces: readonly Piece<T>[];
  #homes: Homes | undefined;

  private constructor(pieces: readonly Piece<T>[], length: number, known?: Homes) {
    this.#pieces = pieces;
    this.length = length;
    this.#homes = known;
  }

  static of<T extends Keyed>(items: Iterable<T>): Items<T> {
    if (items instanceof Items) return items;
    const all = [...items];
    return new Items(cut(all), all.length);
  }

  *[Symbol.iterator](): Generator<T, void, undefined> {
    for (const { items } of this.#pieces) yield* items;
  }

  get first(): T | undefined {
    return this.#pieces[0]?.items[0];
  }

  has(key: string): boolean {
    return this.#positions(new Set([key])).some((at) =>
      this.#pieces[at]?.items.some((item) => item.key === key),
    );
  }

  /** The elements with one of these keys. */
  having(keys: ReadonlySet<string>): T[] {
    return this.#positions(keys).flatMap(
      (at) => this.#pieces[at]?.items.filter((item) => isAmong(keys, item.key)) ?? [],
    );
  }

  /** Every element, or those with one of these keys, as `change` has it; undefined takes it out. */
  edit(change: (item: T) => T | undefined, keys?: ReadonlySet<string>): Items<T> {
    const positions = keys === undefined ? this.#pieces.keys() : this.#positions(keys);
    let pieces: Piece<T>[] | undefined;
    let { length } = this;
    for (const at of positions) {
      const piece = this.#pieces[at];
      if (piece === undefined) continue;
      const items: T[] = [];
      let isKept = true;
      for (const item of piece.items) {
        const next = keys === undefined || isAmong(keys, item.key) ? change(item) : item;
        if (next !== item) isKept = false;
        if (next !== undefined) items.push(next);
      }
      if (isKept) continue;
      length += items.length - piece.items.length;
      pieces ??= [...this.#pieces];
      pieces[at] = { home: piece.home, items };
      if (this.#homes) settleIn(this.#homes, pieces[at], items);
    }
    if (pieces === undefined) return this;
    return new Items(
      pieces.filter(({ items }) => items.length > 0),
      length,
      this.#homes,
    );
  }

  /** With these at the end. */
  append(items: readonly T[]): Items<T> {
    if (items.length === 0) return this;
    const last = this.#pieces.at(-1);
    const room = last === undefined ? 0 : Math.max(0, pieceLength - last.items.length);
    const filled =
      last === undefined || room === 0 ? [] : [{ ...last, items: [...last.items, ...items.slice(0, room)] }];
    const added = cut(items.slice(room));
    if (this.#homes) {
      for (const piece of filled) settleIn(this.#homes, piece, items.slice(0, room));
      for (const piece of added) settleIn(this.#homes, piece, piece.items);
    }
    const kept = filled.length === 0 ? this.#pieces : this.#pieces.slice(0, -1);
    return new Items([...kept, ...filled, ...added], this.length + items.length, this.#homes);
  }

  /** The elements of each of two lists that are not the other's very same objects. */
  static apart<T extends Keyed>(a: Items<T>, b: Items<T>): { left: readonly T[]; right: readonly T[] } {
    if (a === b) return { left: [], right: [] };
    const { left, right } = withoutShared(a.#pieces, b.#pieces);
    return withoutShared(
      left.flatMap(({ items }) => items),
      right.flatMap(({ items }) => items),
    );
  }

  /** Where the pieces stand that may hold elements with these keys, in their order. */
  #positions(keys: ReadonlySet<string>): number[] {
    const pieces = this.#pieces;
    if (pieces.length <= 1 || keys.size * 4 > this.length) return [...pieces.keys()];
    if (this.#homes === undefined) {
      this.#homes = new Map();
      for (const piece of pieces) settleIn(this.#homes, piece, piece.items);
    }
    const found = new Set<number>();
    for (const key of keys) {
      for (const home of this.#homes.get(key) ?? []) {
        const at = positionOf(pieces, home);
        if (at !== undefined) found.add(at);
      }
    }
    return [...found].sort((a, b) => a - b);
  }
}

/** Notes where the elements of a piece are to be found. */
function settleIn<T extends Keyed>(known: Homes, { home }: Piece<T>, items: readonly T[]): void {
  const note = (key: string) => {
    const there = known.get(key);
    if (there === undefined) known.set(key, [home]);
    else {
      // Mostly they come in their order.
      const last = there.at(-1) ?? -1;
      if (home > last || (home < last && !there.includes(home))) there.push(home);
    }
  };
  for (const { key } of items) {
    note(key);
    if (isContent(key)) note(wholeContents);
  }
}

function positionOf(pieces: readonly { home: number }[], home: number): number | undefined {
  let from = 0;
  let to = pieces.length;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((pieces[middle]?.home ?? home) < home) from = middle + 1;
    else to = middle;
  }
  return pieces[from]?.home === home ? from : undefined;
}

/** Two lists without what both have: mostly they begin alike and end alike. */
function withoutShared<T>(a: readonly T[], b: readonly T[]): { left: readonly T[]; right: readonly T[] } {
  const shorter = Math.min(a.length, b.length);
  let start = 0;
  while (start < shorter && a[start] === b[start]) start++;
  let end = 0;
  while (end < shorter - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const left = a.slice(start, a.length - end);
  const right = b.slice(start, b.length - end);
  if (left.length === 0 || right.length === 0) return { left, right };
  const lefts = new Set(left);
  const rights = new Set(right);
  return { left: left.filter((one) => !rights.has(one)), right: right.filter((one) => !lefts.has(one)) };
}

function cut<T extends Keyed>(items: readonly T[]): Piece<T>[] {
  const pieces: Piece<T>[] = [];
  for (let at = 0; at < items.length; at += pieceLength) {
    pieces.push({ home: homes++, items: items.slice(at, at + pieceLength) });
  }
  return pieces;
}

function isContent(key: string): boolean {
  return key.startsWith(wholeContents);
}

function isAmong(keys: ReadonlySet<string>, key: string): boolean {
  return keys.has(key) || (keys.has(wholeContents) && isContent(key));
}
