// What stands in the index of a name: texts that a keyed token is made of, and the texts that a question asks for. Both
// sides are here, so that they cannot drift apart.
// Promises: a value that equals, begins with, ends with or contains the asked text has every token of the question; the
// reverse does not hold, so whoever finds candidates by tokens compares the values themselves afterwards.
// Leaves out: keys. A token of a name of three letters is as good as the name to whoever has no need of a key.
import { normalise, wordStarts } from "./normalise.ts";

/** The attributes by whose values accounts are found. */
export const NAME_ATTRIBUTES = ["userName", "externalId", "displayName", "formattedName", "email"] as const;
export type NameAttribute = (typeof NAME_ATTRIBUTES)[number];

/**
 * `eq`: the whole value, of one attribute or of any. `p1` `p2` `p3`: the first characters of the value, of a word, or
 * of a part of an address. `tri`: any three characters. `e3`: the last three. `pad`: nothing of the value; see
 * `paddingTokens`.
 */
export type TokenKind = "eq" | "p1" | "p2" | "p3" | "tri" | "e3" | "pad";

export interface SearchToken {
  readonly kind: TokenKind;
  readonly text: string;
}

/** Shorter ones than this are not asked for by contains or ends-with: too many values have them. */
export const MIN_CONTAINED = 3;
/** Of a longer value only so much of the beginning is found by contains and by starts-with of a word. */
export const MAX_INDEXED = 256;

/** Whether all of a value is found by contains and by starts-with of a word. */
export function isWhollyIndexed(value: string): boolean {
  // One character may stand for many: U+FDFA for eighteen.
  return value.length <= MAX_INDEXED && normalise(value).length <= MAX_INDEXED;
}

/** Everything under which one value of an attribute is found; no two alike. */
export function searchTokens(attribute: NameAttribute, value: string): SearchToken[] {
  const text = normalise(value);
  if (text === "") return [];
  const tokens = [equalToken(attribute, text), equalToken(undefined, text)];
  const ending = points(text).slice(-MIN_CONTAINED).join("");
  if (points(ending).length === MIN_CONTAINED) tokens.push({ kind: "e3", text: ending });
  const indexed = beginningOf(text);
  const seen = new Set<string>();
  const add = (kind: TokenKind, part: string) => {
    const key = `${kind}${part}`;
    if (seen.has(key)) return;
    seen.add(key);
    tokens.push({ kind, text: part });
  };
  for (const start of wordStarts(indexed)) {
    const first = points(indexed.slice(start, start + 6)).slice(0, 3);
    for (const [index, kind] of PREFIXES.entries()) {
      if (first.length > index) add(kind, first.slice(0, index + 1).join(""));
    }
  }
  for (const part of trigrams(indexed)) add("tri", part);
  return tokens;
}

const PAD_MULTIPLE = 8;
const PAD_TOKENS = 4_096;

/**
 * Tokens that nobody asks for, to be stored beside `count` real ones: up to a multiple of 8, because the number of its
 * pieces would single out a name, and from a pool that all names share, because pieces that stand alone would be known as
 * these. Chosen by the value's keyed digest, of 16 bytes, so that they are the same each time.
 */
export function paddingTokens(count: number, digest: Uint8Array): SearchToken[] {
  const chosen = new Set<number>();
  for (let at = 0; (count + chosen.size) % PAD_MULTIPLE !== 0; at += 2) {
    let number = ((digest[at % 16] ?? 0) * 256 + (digest[(at + 1) % 16] ?? 0)) % PAD_TOKENS;
    while (chosen.has(number)) number = (number + 1) % PAD_TOKENS;
    chosen.add(number);
  }
  return [...chosen].map((number) => ({ kind: "pad", text: String(number) }));
}

/** Tokens of "the value is this text". Without an attribute: a value of any. */
export function equalTokens(attribute: NameAttribute | undefined, text: string): SearchToken[] {
  return [equalToken(attribute, normalise(text))];
}

/** Tokens of "the value, a word of it, or a part of an address begins with this text"; none for an empty text. */
export function startTokens(text: string): SearchToken[] {
  const asked = normalise(text);
  const first = points(asked.slice(0, 6)).slice(0, 3);
  const kind = PREFIXES[first.length - 1];
  if (kind === undefined) return [];
  return [{ kind, text: first.join("") }, ...containTokens(asked)];
}

/** Tokens of "the value contains this text"; none if it is shorter than `MIN_CONTAINED` characters. */
export function containTokens(text: string): SearchToken[] {
  return [...new Set(trigrams(beginningOf(normalise(text))))].map((part) => ({
    kind: "tri",
    text: part,
  }));
}

/** Tokens of "the value ends with this text"; none if it is shorter than `MIN_CONTAINED` characters. */
export function endTokens(text: string): SearchToken[] {
  const last = points(normalise(text)).slice(-MIN_CONTAINED);
  return last.length < MIN_CONTAINED ? [] : [{ kind: "e3", text: last.join("") }];
}

const PREFIXES: readonly TokenKind[] = ["p1", "p2", "p3"];

function equalToken(attribute: NameAttribute | undefined, text: string): SearchToken {
  return { kind: "eq", text: `${attribute ?? ""}\0${text}` };
}

/** By characters, not by UTF-16 units: half a character is nobody's question. */
function trigrams(text: string): string[] {
  const all = points(text);
  const found: string[] = [];
  for (let at = 0; at + MIN_CONTAINED <= all.length; at++)
    found.push(`${all[at]}${all[at + 1]}${all[at + 2]}`);
  return found;
}

/** At most `MAX_INDEXED` long, and no half of a character at its end. */
function beginningOf(text: string): string {
  if (text.length <= MAX_INDEXED) return text;
  const isCut = /[\ud800-\udbff]/.test(text.charAt(MAX_INDEXED - 1));
  return text.slice(0, isCut ? MAX_INDEXED - 1 : MAX_INDEXED);
}

function points(text: string): string[] {
  return [...text];
}
