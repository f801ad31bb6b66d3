// A search without operators: words that accounts are found by, or the id of a transaction or a resource.

import { normalise } from "./normalise.ts";
import { FilterError } from "./scan.ts";

export interface TextWord {
  /** Normalised. */
  readonly word: string;
  /** Where it begins in the text. */
  readonly position: number;
}

export interface TextQuery {
  /** Each must be in some name of an account. */
  readonly words: readonly TextWord[];
  /** The whole text: maybe the id of a resource. */
  readonly id: string;
  /** The same, if it can be the id of a transaction. */
  readonly txn: string | undefined;
}

export const MAX_TEXT_LENGTH = 256;
const MAX_WORDS = 8;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Reads a text; undefined if it is blank: then nothing was asked. @throws {FilterError} */
export function parseText(text: string): TextQuery | undefined {
  if (text.length > MAX_TEXT_LENGTH)
    throw new FilterError(
      MAX_TEXT_LENGTH,
      `a text has at most ${MAX_TEXT_LENGTH} characters: write fewer`,
      "text",
    );
  const nul = text.indexOf("\0");
  if (nul >= 0) throw new FilterError(nul, "a text cannot hold the character NUL: leave it out", "text");
  const id = text.toWellFormed().trim();
  if (id === "") return undefined;
  const words: TextWord[] = [];
  for (const found of text.matchAll(/\S+/g)) {
    const word = normalise(found[0]);
    if (word === "") continue;
    if (words.length === MAX_WORDS)
      throw new FilterError(found.index, `at most ${MAX_WORDS} words are searched for: write fewer`, "text");
    words.push({ word, position: found.index });
  }
  return { words, id, txn: UUID.test(id) ? id.toLowerCase() : undefined };
}
