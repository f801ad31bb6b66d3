// Rewrites locations in a JSON answer while it streams through, and hides passwords: constant memory, any size, any
// chunks. A scanner that only tells strings from the rest is enough: the values of `location` and `$ref` are replaced
// as in `rewriteLocations`, text under `password` goes nowhere (RFC 7643 §4.1.1: never returned), and every other byte
// passes as it came. It does not judge the JSON; a read's answer is the target's business.

import { Transform, type TransformCallback } from "node:stream";
import { rewriteLocation } from "../../scim/rewrite.ts";
import { isSecret, pathTrail, secretsOf } from "../../scim/secret.ts";

/** A string longer than this is no location; it passes without being held. */
const MAX_HELD_BYTES = 8192;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const HIDDEN = Buffer.from('"[redacted]"');
const SECRETS = secretsOf([]);

type Meaning = "location" | "secret" | undefined;

/** For streams. `from` is the target's base URL, `to` the connector's. */
export class LocationRewriter extends Transform {
  readonly #scanner: Scanner;
  /** What one chunk became: pushed piece by piece, every word would go out as a chunk of its own. */
  #pieces: Buffer[] = [];

  constructor(from: string, to: string) {
    super();
    this.#scanner = new Scanner(from, to, (piece) => this.#pieces.push(piece));
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#scanner.scan(chunk);
    this.#pushPieces();
    done();
  }

  override _flush(done: TransformCallback): void {
    this.#scanner.end();
    this.#pushPieces();
    done();
  }

  #pushPieces(): void {
    if (this.#pieces.length > 0) this.push(Buffer.concat(this.#pieces));
    this.#pieces = [];
  }
}

/** The same for bytes at hand, which need not be whole or valid JSON. */
export function rewriteBytes(bytes: Uint8Array, from: string, to: string): Uint8Array {
  const pieces: Buffer[] = [];
  const scanner = new Scanner(from, to, (piece) => pieces.push(piece));
  scanner.scan(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  scanner.end();
  return Buffer.concat(pieces);
}

class Scanner {
  readonly #from: string;
  readonly #to: string;
  readonly #isRootBase: boolean;
  readonly #emit: (piece: Buffer) => void;
  /** The string being read, from its opening quote; undefined outside of one or when it became too long. */
  #held: Buffer[] | undefined;
  #heldBytes = 0;
  #inString = false;
  #escaped = false;
  #last = "";
  /** What the key before the colon says about the value to come. */
  #meaning: Meaning;

  constructor(from: string, to: string, emit: (piece: Buffer) => void) {
    this.#from = from;
    this.#to = to;
    this.#isRootBase = new URL(from).pathname === "/";
    this.#emit = emit;
  }

  scan(chunk: Buffer): void {
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
        if (at > start) this.#emit(chunk.subarray(start, at));
        start = at;
        this.#inString = true;
        this.#held = [];
        this.#heldBytes = 0;
      } else if (byte === COLON) this.#meaning = meaningOf(this.#last);
      // A comma or bracket ends what the key was for; white space does not.
      else if (byte !== undefined && byte > 0x20) this.#meaning = undefined;
    }
    if (this.#inString) this.#hold(chunk.subarray(start));
    else if (start < chunk.length) this.#emit(chunk.subarray(start));
  }

  /** The input broke off inside a string: what was held passes, unless it is a secret's beginning. */
  end(): void {
    if (this.#meaning !== "secret") for (const piece of this.#held ?? []) this.#emit(piece);
  }

  #hold(piece: Buffer): void {
    if (piece.length === 0 || (this.#meaning === "secret" && this.#heldBytes > MAX_HELD_BYTES)) return;
    if (!this.#held) {
      this.#emit(piece);
      return;
    }
    this.#held.push(piece);
    this.#heldBytes += piece.length;
    if (this.#heldBytes <= MAX_HELD_BYTES || this.#meaning === "secret") return;
    for (const held of this.#held) this.#emit(held);
    this.#held = undefined;
  }

  #endString(): void {
    this.#inString = false;
    const held = this.#held && Buffer.concat(this.#held);
    const meaning = this.#meaning;
    this.#held = undefined;
    this.#meaning = undefined;
    this.#last = "";
    if (!held) return;
    if (meaning === "secret") {
      this.#emit(HIDDEN);
      return;
    }
    const text = readString(held);
    this.#last = text ?? "";
    const rewritten = meaning === "location" && text !== undefined ? this.#rewrite(text) : text;
    this.#emit(rewritten === text || rewritten === undefined ? held : Buffer.from(JSON.stringify(rewritten)));
  }

  #rewrite(text: string): string {
    // At a root base any path would match, and `location` may be an attribute about a place.
    if (this.#isRootBase && /^\/(?!\/)/.test(text)) return text;
    return rewriteLocation(text, this.#from, this.#to);
  }
}

function meaningOf(name: string): Meaning {
  const key = name.toLowerCase();
  if (key === "location" || key === "$ref") return "location";
  // Names are many and secrets few: the exact look is for those that might be one.
  const isCandidate = key.includes("pass") || /[^\x20-\x7e]/.test(key);
  return isCandidate && isSecret(SECRETS, pathTrail(name), 0) ? "secret" : undefined;
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
