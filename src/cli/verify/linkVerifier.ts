// The quick look at a ledger: that each leaf stands where it says it stands and follows exactly the leaf before it, and
// its hash for the tree. No signature is checked, so by itself this proves nothing about who wrote what: it is for holding
// a ledger against a checkpoint, whose signature then stands for every leaf under it.
// A leaf is told by how its text begins when a writer of this project wrote it, which spares decoding and parsing it; one
// that begins in another way, which the format allows, is read in full. Leaves out whatever stands behind that beginning, a
// member said twice included. Nothing here throws because of what it reads.

import { FORMAT_VERSION } from "../../ledger/entry.ts";
import { GENESIS_PREV, HASH_BYTES } from "../../ledger/hash.ts";
import { parseLeaf } from "../../ledger/leaf.ts";
import type { Finding, StoredEntry } from "../../ledger/verify.ts";
import { fromBase64url, hashLeafText, toBase64url } from "../../nodeCrypto.ts";

/** base64url of a hash. */
const PREV_CHARS = Math.ceil((HASH_BYTES * 8) / 6);
const NINE = 0x39;
const ZERO = 0x30;

/** Feed rows in ascending seq order; findings accumulate in `findings`. */
export class LinkVerifier {
  readonly findings: Finding[] = [];
  readonly #origin: string;
  readonly #beginning: Beginning;
  #next = 0;
  /** Leaf hash of the newest row: bytes, and as `prev` has it. */
  readonly #hash = Buffer.from(GENESIS_PREV);
  #prev = toBase64url(GENESIS_PREV);

  constructor(origin: string) {
    this.#origin = origin;
    this.#beginning = new Beginning(origin);
  }

  /** Number of entries seen so far: the next seq expected. */
  get size(): number {
    return this.#next;
  }

  /** Leaf hash of the newest row. These bytes are written over by the next push. */
  get head(): Uint8Array {
    return this.#hash;
  }

  /** Checks one row, which must be the next one: behind a gap there is no tree to speak of. The head now. */
  push({ seq, leaf }: Pick<StoredEntry, "seq" | "leaf">): Uint8Array {
    if (!this.#beginning.isOf(leaf, seq, this.#prev)) this.#judge(seq, leaf);
    this.#prev = hashLeafText(leaf, this.#hash);
    this.#next = seq + 1;
    return this.#hash;
  }

  #judge(seq: number, leaf: string): void {
    const find = (code: Finding["code"], detail: string) => void this.findings.push({ seq, code, detail });
    const parsed = parseLeaf(leaf, fromBase64url);
    if (typeof parsed === "string") {
      find("malformed", `the leaf is unreadable: ${parsed}`);
      return;
    }
    const { claims } = parsed;
    if (claims.seq !== seq) find("seq_mismatch", `the leaf says that it is entry ${claims.seq}`);
    if (claims.log !== this.#origin) find("origin_mismatch", "the leaf belongs to another ledger");
    if (claims.prev !== this.#prev) find("link_broken", "prev is not the leaf hash of the entry before");
  }
}

/**
 * How the payload of each entry begins, up to the name of the member after `prev`. What all of them share is compared as
 * base64url; the rest is laid out once, and from entry to entry only the number goes up and `prev` is written anew.
 */
class Beginning {
  /** As base64url what stands before the number in every payload of this ledger, and what is left for the next block. */
  readonly #shared: string;
  readonly #rest: string;
  /** A leaf's text up to the end of what is shared, as it was last seen: most leaves have the same header. */
  #seen = "";
  #own = Buffer.alloc(0);
  #ownSeq = -1;
  #digitsEnd = 0;
  #prevAt = 0;

  constructor(origin: string) {
    const bytes = Buffer.from(`{"v":${FORMAT_VERSION},"log":${JSON.stringify(origin)},"seq":`);
    const whole = bytes.length - (bytes.length % 3);
    this.#shared = toBase64url(bytes.subarray(0, whole));
    this.#rest = bytes.toString("latin1", whole);
  }

  isOf(leaf: string, seq: number, prev: string): boolean {
    // Slices are compared several times as fast as by startsWith.
    if (this.#seen === "" || leaf.slice(0, this.#seen.length) !== this.#seen) {
      const at = leaf.indexOf(".") + 1;
      const from = at + this.#shared.length;
      if (at === 0 || leaf.slice(at, from) !== this.#shared) return false;
      this.#seen = leaf.slice(0, from);
    }
    const own = this.#ownOf(seq, prev);
    return leaf.slice(this.#seen.length, this.#seen.length + own.length) === own;
  }

  #ownOf(seq: number, prev: string): string {
    if (seq !== this.#ownSeq + 1 || !this.#countUp()) this.#layOut(seq);
    this.#ownSeq = seq;
    this.#own.write(prev, this.#prevAt, "latin1");
    return this.#own.toString("base64url");
  }

  /** Adds one to the number; false if that needs another digit. */
  #countUp(): boolean {
    const own = this.#own;
    for (let at = this.#digitsEnd - 1; at >= this.#rest.length; at--) {
      const digit = own[at] ?? NINE;
      if (digit < NINE) {
        own[at] = digit + 1;
        return true;
      }
      own[at] = ZERO;
    }
    return false;
  }

  #layOut(seq: number): void {
    const number = `${this.#rest}${seq}`;
    const before = `${number},"prev":"`;
    // With what comes next, so that all of `prev` lies in whole blocks of three bytes, which have one spelling each.
    const all = `${before}${"A".repeat(PREV_CHARS)}","id":`;
    this.#own = Buffer.from(all.slice(0, all.length - (all.length % 3)), "latin1");
    this.#digitsEnd = number.length;
    this.#prevAt = before.length;
  }
}
