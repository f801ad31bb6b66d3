// Strict JSON for SCIM bodies: RFC 8259 grammar, I-JSON (RFC 7493 §2.3) on duplicate names, and SCIM's rule that
// attribute names are case-insensitive (RFC 7643 §2.1), so `active` and `Active` are one name.
// Promises: a body is decoded and parsed once, in time linear in its size, and every value keeps its place in the
// text, so that redaction and rewriting replace spans and leave all other bytes as they came.
// `JSON.parse` alone decides the grammar; the tree is read afterwards, from text already known to be valid.
// Leaves out: numbers beyond a double (the text has them, the tree rounds) and anything about SCIM's schemas.

/** Why a body was refused. `detail` never quotes the body; `offset` counts bytes from its start. */
export interface JsonRefusal {
  readonly code:
    | "invalid_utf8"
    | "byte_order_mark"
    | "too_deep"
    | "invalid_json"
    | "duplicate_key"
    | "not_an_object";
  readonly detail: string;
  readonly offset?: number;
}

/** A place in the text: UTF-16 offsets, `end` exclusive, quotes and brackets included. */
export interface JsonSpan {
  readonly start: number;
  readonly end: number;
}

export interface JsonMember {
  /** The name as decoded. */
  readonly name: string;
  /** The name in lower case: unique in its object. */
  readonly key: string;
  readonly nameSpan: JsonSpan;
  readonly value: JsonNode;
}

export interface JsonObject extends JsonSpan {
  readonly kind: "object";
  readonly members: readonly JsonMember[];
}
export interface JsonArray extends JsonSpan {
  readonly kind: "array";
  readonly items: readonly JsonNode[];
}
export interface JsonString extends JsonSpan {
  readonly kind: "string";
  readonly value: string;
}
export interface JsonScalar extends JsonSpan {
  readonly kind: "scalar";
  readonly value: number | boolean | null;
}
export type JsonNode = JsonObject | JsonArray | JsonString | JsonScalar;

/** A body that passed: its bytes, their text, what `JSON.parse` made of it, and the tree with positions. */
export interface JsonDocument {
  readonly bytes: Uint8Array;
  readonly text: string;
  /** Read it with own-property access only: a body may hold members named `__proto__` or `constructor`. */
  readonly value: unknown;
  readonly root: JsonNode;
}

export interface JsonLimits {
  /** Deepest nesting of objects and arrays; `{}` is 1. Default 64; must stay small, the tree is read by recursion. */
  readonly maxDepth?: number;
  /** `object` (default) for request bodies, `any` for answers. */
  readonly topLevel?: "object" | "any";
}

export type JsonResult =
  | { readonly ok: true; readonly document: JsonDocument }
  | { readonly ok: false; readonly refusal: JsonRefusal };

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/**
 * Parses a body strictly. Accepts exactly what RFC 8259's grammar accepts, less: a byte order mark (§8.1), UTF-8
 * that does not decode, nesting beyond `maxDepth`, two names in one object that are equal once escapes and case
 * are taken away, and (by default) a top level that is no object.
 */
export function parseStrictJson(bytes: Uint8Array, limits: JsonLimits = {}): JsonResult {
  const maxDepth = limits.maxDepth ?? 64;
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) {
    return refuse("byte_order_mark", "The body begins with a byte order mark; send UTF-8 without one.", 0);
  }
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    // The decoder's message tells nothing that this refusal does not.
    return refuse("invalid_utf8", "The body is not valid UTF-8.");
  }
  // Before JSON.parse and before the recursive reading of the tree: both cost stack by the level.
  const tooDeepAt = findExcessDepth(text, maxDepth);
  if (tooDeepAt !== undefined) {
    return refuse("too_deep", `The body nests deeper than ${maxDepth} levels.`, byteOffset(text, tooDeepAt));
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const at = syntaxErrorOffset(error, text.length);
    const offset = at === undefined ? undefined : byteOffset(text, at);
    return refuse("invalid_json", "The body is not valid JSON.", offset);
  }
  const reader = new TreeReader(text);
  const root = reader.readValue();
  if (reader.duplicateAt !== undefined) {
    const offset = byteOffset(text, reader.duplicateAt);
    return refuse("duplicate_key", "An object in the body has the same attribute name twice.", offset);
  }
  if (root.kind !== "object" && limits.topLevel !== "any") {
    return refuse("not_an_object", "The body must be a JSON object.", 0);
  }
  return { ok: true, document: { bytes, text, value, root } };
}

/** The value of the member with this lower-case name; undefined if `node` is no object or has none. */
export function memberOf(node: JsonNode | undefined, key: string): JsonNode | undefined {
  if (node?.kind !== "object") return undefined;
  for (const member of node.members) if (member.key === key) return member.value;
  return undefined;
}

/** The text of a string member, undefined for anything else. */
export function stringMember(node: JsonNode | undefined, key: string): string | undefined {
  const value = memberOf(node, key);
  return value?.kind === "string" ? value.value : undefined;
}

/** One replacement in a document's text. */
export interface JsonEdit extends JsonSpan {
  readonly text: string;
}

/**
 * The document's bytes with some spans replaced. `edits` are in order of `start` and do not overlap. Without edits the
 * very same buffer comes back. Strictly decoded UTF-8 encodes back to the same bytes, so all outside the spans is exact.
 */
export function applyEdits(document: JsonDocument, edits: readonly JsonEdit[]): Uint8Array {
  if (edits.length === 0) return document.bytes;
  const parts: string[] = [];
  let done = 0;
  for (const edit of edits) {
    parts.push(document.text.slice(done, edit.start), edit.text);
    done = edit.end;
  }
  parts.push(document.text.slice(done));
  return encoder.encode(parts.join(""));
}

function refuse(code: JsonRefusal["code"], detail: string, offset?: number): JsonResult {
  return { ok: false, refusal: offset === undefined ? { code, detail } : { code, detail, offset } };
}

function byteOffset(text: string, offset: number): number {
  return encoder.encode(text.slice(0, offset)).length;
}

/** Only the number at the end of V8's message is taken: the rest of it quotes the body. */
function syntaxErrorOffset(error: unknown, length: number): number | undefined {
  if (!(error instanceof SyntaxError)) return undefined;
  const found = / in JSON at position (\d{1,15})(?: \(line \d+ column \d+\))?$/.exec(error.message)?.[1];
  const offset = found === undefined ? Number.NaN : Number(found);
  return offset <= length ? offset : undefined;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** Offset of the first bracket that opens a level beyond the limit. Right for valid JSON, harmless for the rest. */
function findExcessDepth(text: string, maxDepth: number): number | undefined {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case QUOTE:
        i = closingQuote(text, i);
        break;
      case OPEN_BRACE:
      case OPEN_BRACKET:
        if (++depth > maxDepth) return i;
        break;
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        depth--;
        break;
    }
  }
  return undefined;
}

/** Offset of the quote that ends the string opened at `open`; the text's length if none does. */
function closingQuote(text: string, open: number): number {
  let i = open + 1;
  for (; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) return i;
    if (code === BACKSLASH) i++;
  }
  return i;
}

/** Reads the tree from text that `JSON.parse` has accepted: what stands where needs no checking any more. */
class TreeReader {
  readonly #text: string;
  #at = 0;
  /** The next backslash at or after the last place asked, -1 when there is none: found once, so all stays linear. */
  #escapeAt: number;
  /** Where the first repeated name begins. */
  duplicateAt: number | undefined;

  constructor(text: string) {
    this.#text = text;
    this.#escapeAt = text.indexOf("\\");
  }

  readValue(): JsonNode {
    this.#skipSpace();
    switch (this.#text.charCodeAt(this.#at)) {
      case OPEN_BRACE:
        return this.#readObject();
      case OPEN_BRACKET:
        return this.#readArray();
      case QUOTE:
        return this.#readString();
      default:
        return this.#readScalar();
    }
  }

  #readObject(): JsonObject {
    const start = this.#at++;
    const members: JsonMember[] = [];
    let seen: Set<string> | undefined;
    while (this.#moreBefore(CLOSE_BRACE)) {
      const name = this.#readString();
      this.#skipSpace();
      this.#at++; // the colon
      const value = this.readValue();
      const key = name.value.toLowerCase();
      // A few names are compared one by one, many through a set: the first is fast, the second stays linear.
      if (members.length === 8) seen = new Set(members.map((member) => member.key));
      if (seen === undefined ? members.some((member) => member.key === key) : seen.has(key)) {
        this.duplicateAt ??= name.start;
      }
      seen?.add(key);
      members.push({ name: name.value, key, nameSpan: name, value });
    }
    return { kind: "object", start, end: ++this.#at, members };
  }

  #readArray(): JsonArray {
    const start = this.#at++;
    const items: JsonNode[] = [];
    while (this.#moreBefore(CLOSE_BRACKET)) items.push(this.readValue());
    return { kind: "array", start, end: ++this.#at, items };
  }

  #readString(): JsonString {
    const start = this.#at;
    let close = this.#text.indexOf('"', start + 1);
    if (this.#escapeAt !== -1 && this.#escapeAt < start) this.#escapeAt = this.#text.indexOf("\\", start);
    const escaped = this.#escapeAt !== -1 && this.#escapeAt < close;
    if (escaped) close = closingQuote(this.#text, start);
    this.#at = close + 1;
    const value = escaped
      ? String(JSON.parse(this.#text.slice(start, close + 1)))
      : this.#text.slice(start + 1, close);
    return { kind: "string", start, end: close + 1, value };
  }

  #readScalar(): JsonScalar {
    const start = this.#at;
    while (this.#at < this.#text.length && !endsScalar(this.#text.charCodeAt(this.#at))) this.#at++;
    const word = this.#text.slice(start, this.#at);
    const value = word === "true" ? true : word === "false" ? false : word === "null" ? null : Number(word);
    return { kind: "scalar", start, end: this.#at, value };
  }

  /** Steps over white space and a comma; false, and standing on `close`, when the container ends here. */
  #moreBefore(close: number): boolean {
    this.#skipSpace();
    if (this.#text.charCodeAt(this.#at) === COMMA) {
      this.#at++;
      this.#skipSpace();
    }
    return this.#text.charCodeAt(this.#at) !== close;
  }

  #skipSpace(): void {
    while (isSpace(this.#text.charCodeAt(this.#at))) this.#at++;
  }
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

function endsScalar(code: number): boolean {
  return code === COMMA || code === CLOSE_BRACE || code === CLOSE_BRACKET || isSpace(code);
}
