// Rewrites locations in a JSON answer to a read while it streams through: constant memory, any size. A scanner that
// only tells strings from the rest is enough: the values of `location` and `$ref` are replaced as in `rewriteLocations`,
// every other byte passes as it came. It does not judge the JSON; a read's answer is the target's business.

import { Transform, type TransformCallback } from "node:stream";
import { rewriteLocation } from "../scim/rewrite.ts";

/** A string longer than this is no location; it passes without being held. */
const MAX_HELD_BYTES = 8192;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const KEYS = new Set(["location", "$ref"]);

export class LocationRewriter extends Transform {
  readonly #from: string;
  readonly #to: string;
  /** The string being read, from its opening quote; undefined outside of one or when it became too long. */
  #held: Buffer[] | undefined;
  #heldBytes = 0;
  #inString = false;
  #escaped = false;
  #last = "";
  #key: string | undefined;

  constructor(from: string, to: string) {
    super();
    this.#from = from;
    this.#to = to;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    let start = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at];
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (byte === BACKSLASH) this.#escaped = true;
        else if (byte === QUOTE) {
          this.#hold(chunk.subarray(start, at + 1));
          this.#endString();
          start = at + 1;
        }
      } else if (byte === QUOTE) {
        if (at > start) this.push(chunk.subarray(start, at));
        start = at;
        this.#inString = true;
        this.#held = [];
        this.#heldBytes = 0;
      } else if (byte === COLON) this.#key = this.#last;
      // A comma or bracket ends what the key was for; white space does not.
      else if (byte !== undefined && byte > 0x20) this.#key = undefined;
    }
    if (this.#inString) this.#hold(chunk.subarray(start));
    else if (start < chunk.length) this.push(chunk.subarray(start));
    done();
  }

  override _flush(done: TransformCallback): void {
    if (this.#held) for (const piece of this.#held) this.push(piece);
    done();
  }

  #hold(piece: Buffer): void {
    if (piece.length === 0) return;
    if (!this.#held) {
      this.push(piece);
      return;
    }
    this.#held.push(piece);
    this.#heldBytes += piece.length;
    if (this.#heldBytes <= MAX_HELD_BYTES) return;
    for (const held of this.#held) this.push(held);
    this.#held = undefined;
  }

  #endString(): void {
    this.#inString = false;
    const held = this.#held && Buffer.concat(this.#held);
    this.#held = undefined;
    const text = held && readString(held);
    const isLocation = this.#key !== undefined && KEYS.has(this.#key.toLowerCase());
    this.#last = text ?? "";
    this.#key = undefined;
    if (!held) return;
    const rewritten = isLocation && text !== undefined ? rewriteLocation(text, this.#from, this.#to) : text;
    this.push(rewritten === text || rewritten === undefined ? held : Buffer.from(JSON.stringify(rewritten)));
  }
}

function readString(token: Buffer): string | undefined {
  try {
    const value: unknown = JSON.parse(token.toString("utf8"));
    return typeof value === "string" ? value : undefined;
  } catch (cause) {
    // Not a JSON string: then it is no location either, and it passes as it is.
    if (cause instanceof SyntaxError) return undefined;
    throw cause;
  }
}
