// A map that remembers what was used lately and forgets the rest, so that it has a bound. Not a Map from which the oldest
// key is taken out: V8 leaves a gap where a key was, and whoever asks for the first key walks over all of them (22 µs
// with 20,000 keys). Here there are two maps; when the younger one is full it takes the older one's place, which goes.

/**
 * Holds the keys that were set or got last: `atLeast` of them for certain (those taken out since count as well), never more
 * than twice as many.
 */
export class RecentMap<Key, Value extends NonNullable<unknown>> {
  readonly #atLeast: number;
  #young = new Map<Key, Value>();
  #old = new Map<Key, Value>();

  constructor(atLeast: number) {
    this.#atLeast = atLeast;
  }

  /** How many are remembered now. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** The value; that it was asked for keeps it. */
  get(key: Key): Value | undefined {
    const value = this.#young.get(key);
    if (value !== undefined) return value;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: Key, value: Value): void {
    this.#old.delete(key);
    this.#young.set(key, value);
    if (this.#young.size < this.#atLeast) return;
    this.#old = this.#young;
    this.#young = new Map();
  }

  delete(key: Key): void {
    this.#young.delete(key);
    this.#old.delete(key);
  }
}
