// Whether a name is what was asked for: the exact comparison after candidates were found by tokens. Both are normalised,
// so "ADA" is "ada". Of a very long name only its beginning counts for all but `eq` and `ew` (see MAX_INDEXED).

import { hasWordStart, normalise } from "./normalise.ts";
import {
  containTokens,
  endTokens,
  equalTokens,
  MAX_INDEXED,
  MIN_CONTAINED,
  type NameAttribute,
  type SearchToken,
  startTokens,
} from "./tokens.ts";

/** Operators by which names are found; `sw`: the name, a word of it, or a part of an address begins with the text. */
export type NameOperator = "eq" | "co" | "sw" | "ew";

/** Whether a name, as it was recorded, is what a normalised text asks for. */
export function matchesName(name: string, operator: NameOperator, asked: string): boolean {
  const value = normalise(name);
  switch (operator) {
    case "eq":
      return value === asked;
    case "ew":
      return value.endsWith(asked);
    case "co":
      return value.slice(0, MAX_INDEXED).includes(asked);
    case "sw":
      return hasWordStart(value.slice(0, MAX_INDEXED), asked);
  }
}

/** Tokens that every name has that matches; at least one. `attribute`: of which it is a value, if that was asked. */
export function tokensOf(
  operator: NameOperator,
  asked: string,
  attribute: NameAttribute | undefined,
): SearchToken[] {
  switch (operator) {
    case "eq":
      return equalTokens(attribute, asked);
    case "ew":
      return endTokens(asked);
    case "co":
      return containTokens(asked);
    case "sw":
      return startTokens(asked);
  }
}

/**
 * Whether a name that has these tokens matches for certain: the token is the whole of what is asked, in 64 keyed bits.
 * Otherwise the name must be opened and compared.
 */
export function isTold(operator: NameOperator, asked: string): boolean {
  const length = [...asked].length;
  return operator === "eq" || length < MIN_CONTAINED || (operator !== "ew" && length === MIN_CONTAINED);
}

/** How a word of a text search is found in a name: short ones at the beginning of a word only. */
export function wordOperator(word: string): NameOperator {
  return [...word].length < MIN_CONTAINED ? "sw" : "co";
}
