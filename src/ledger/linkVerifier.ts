// The quick look at a ledger: that each leaf stands where it says it stands and follows exactly the leaf before it, and
// its hash for the tree. No signature is checked, so by itself this proves nothing about who wrote what: it is for holding
// a ledger against a checkpoint, whose signature then stands for every leaf under it.
// A leaf is told by how its text begins when a writer of this project wrote it, which spares decoding and parsing it; one
// that begins in another way, which the format allows, is read in full. Leaves out whatever stands behind that beginning, a
// member said twice included. Pure; nothing here throws because of what it reads.

import { encodeBase64url } from "./base64url.ts";
import { FORMAT_VERSION } from "./entry.ts";
import { GENESIS_PREV, hashLeaf } from "./hash.ts";
import { type Base64urlDecoder, type Base64urlEncoder, parseLeaf } from "./leaf.ts";
import type { Finding, StoredEntry } from "./verify.ts";

export interface LeafHash {
  readonly bytes: Uint8Array;
  /** base64url, as `prev` has it. */
  readonly text: string;
}

export interface LinkVerifierOptions {
  origin: string;
  /** The leaf hash of a leaf's text; default: the portable one. */
  hashText?: (leaf: string) => LeafHash;
  encode?: Base64urlEncoder;
  decode?: Base64urlDecoder;
  /** base64url of ASCII text. */
  encodeText?: (text: string) => string;
}

const encoder = new TextEncoder();

/** Feed rows in ascending seq order; findings accumulate in `findings`. */
export class LinkVerifier {
  readonly findings: Finding[] = [];
  readonly #origin: string;
  readonly #hashText: (leaf: string) => LeafHash;
  readonly #decode: Base64urlDecoder | undefined;
  readonly #encodeText: (text: string) => string;
  /** What stands before the number in every payload of this ledger: as base64url, and what is left for the next block. */
  readonly #start: { encoded: string; rest: string };
  #next = 0;
  #previous: LeafHash = { bytes: GENESIS_PREV, text: encodeBase64url(GENESIS_PREV) };

  constructor({ origin, hashText, encode = encodeBase64url, decode, encodeText }: LinkVerifierOptions) {
    this.#origin = origin;
    this.#hashText =
      hashText ??
      ((leaf) => {
        const bytes = hashLeaf(encoder.encode(leaf));
        return { bytes, text: encode(bytes) };
      });
    this.#decode = decode;
    this.#encodeText = encodeText ?? ((text) => encode(encoder.encode(text)));
    const start = `{"v":${FORMAT_VERSION},"log":${JSON.stringify(origin)},"seq":`;
    const bytes = encoder.encode(start);
    const whole = bytes.length - (bytes.length % 3);
    this.#start = {
      encoded: encode(bytes.subarray(0, whole)),
      rest: new TextDecoder().decode(bytes.subarray(whole)),
    };
  }

  /** Number of entries seen so far: the next seq expected. */
  get size(): number {
    return this.#next;
  }

  /** Leaf hash of the newest row. */
  get head(): Uint8Array {
    return this.#previous.bytes;
  }

  /** Checks one row, which must be the next one: behind a gap there is no tree to speak of. Its leaf hash. */
  push({ seq, leaf }: Pick<StoredEntry, "seq" | "leaf">): Uint8Array {
    if (!this.#beginsAsItShould(leaf, seq)) this.#judge(seq, leaf);
    this.#previous = this.#hashText(leaf);
    this.#next = seq + 1;
    return this.head;
  }

  #beginsAsItShould(leaf: string, seq: number): boolean {
    const { encoded, rest } = this.#start;
    const at = leaf.indexOf(".") + 1;
    const from = at + encoded.length;
    // Slices are compared several times as fast as by startsWith.
    if (at === 0 || leaf.slice(at, from) !== encoded) return false;
    // With what comes next, so that all of `prev` lies in whole blocks of three bytes, which have one spelling each.
    const own = `${rest}${seq},"prev":"${this.#previous.text}","id":`;
    const blocks = this.#encodeText(own.slice(0, own.length - (own.length % 3)));
    return leaf.slice(from, from + blocks.length) === blocks;
  }

  #judge(seq: number, leaf: string): void {
    const find = (code: Finding["code"], detail: string) => void this.findings.push({ seq, code, detail });
    const parsed = parseLeaf(leaf, this.#decode);
    if (typeof parsed === "string") {
      find("malformed", `the leaf is unreadable: ${parsed}`);
      return;
    }
    const { claims } = parsed;
    if (claims.seq !== seq) find("seq_mismatch", `the leaf says that it is entry ${claims.seq}`);
    if (claims.log !== this.#origin) find("origin_mismatch", "the leaf belongs to another ledger");
    if (claims.prev !== this.#previous.text)
      find("link_broken", "prev is not the leaf hash of the entry before");
  }
}
