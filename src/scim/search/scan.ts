// The words of a filter (RFC 7644 §3.4.2.2) with the place of each, and the plain rules of its syntax: an attribute, an
// operator, a value; `and`, `or`, `not`, parentheses. Precedence is the library's business (see query.ts).
// Promises: linear, never deep, and every error names a place within the text and what to write instead.

/** A filter that cannot be served. Its message says what to write instead. */
export class FilterError extends Error {
  override name = "FilterError";
  /** Place in the text, in UTF-16 units from 0 to its length. */
  readonly position: number;
  /** Which text: a filter, or a search without operators. */
  readonly of: "filter" | "text";

  constructor(position: number, message: string, of: "filter" | "text" = "filter") {
    super(message);
    this.position = position;
    this.of = of;
  }
}

/** One comparison as written. */
export interface Comparison {
  readonly attribute: string;
  readonly attributeAt: number;
  /** Lower case; one of the grammar's. */
  readonly operator: string;
  readonly operatorAt: number;
  /** Undefined for `pr`. */
  readonly value: string | number | boolean | null | undefined;
  readonly valueAt: number;
}

/** A filter's structure: comparisons by their index in `comparisons`, and the words and parentheses between them. */
export interface ScannedFilter {
  readonly comparisons: readonly Comparison[];
  readonly parts: readonly (number | "(" | ")" | "and" | "or" | "not")[];
}

export const MAX_FILTER_LENGTH = 8192;
/** A question that takes longer is answered by an export and a program. */
export const MAX_COMPARISONS = 100;
/** Opening parentheses and `not` together: below the library's own bound (see parseFilter). */
const MAX_GROUPS = 60;

const COMPARING = ["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"];

interface Token {
  readonly kind: "word" | "string" | "mark" | "end";
  readonly text: string;
  readonly at: number;
}

/** Reads a filter. @throws {FilterError} */
export function scanFilter(text: string): ScannedFilter {
  const tokens = tokenise(text);
  const comparisons: Comparison[] = [];
  const parts: ScannedFilter["parts"][number][] = [];
  const open: number[] = [];
  let groups = 0;
  const countGroup = (at: number): void => {
    if (++groups > MAX_GROUPS)
      throw new FilterError(at, `at most ${MAX_GROUPS} parentheses and \`not\` are served: write fewer`);
  };
  let next = 0;
  const take = (): Token => tokens[next++] ?? end(text);
  for (;;) {
    const token = take();
    const word = token.kind === "word" ? token.text.toLowerCase() : undefined;
    if (token.text === "(" && token.kind === "mark") {
      countGroup(token.at);
      open.push(token.at);
      parts.push("(");
      continue;
    }
    if (word === "not") {
      const after = tokens[next] ?? end(text);
      if (after.text !== "(" || after.kind !== "mark")
        throw new FilterError(after.at, "`not` needs parentheses: write `not (…)`");
      countGroup(token.at);
      parts.push("not");
      continue;
    }
    if (token.kind !== "word" || word === "and" || word === "or") throw notAnAttribute(token);
    if (comparisons.length === MAX_COMPARISONS)
      throw new FilterError(token.at, `at most ${MAX_COMPARISONS} comparisons are served: write fewer`);
    parts.push(comparisons.length);
    comparisons.push(readComparison(token, take));
    let after = take();
    while (after.kind === "mark" && after.text === ")") {
      if (open.pop() === undefined)
        throw new FilterError(after.at, "this parenthesis closes none: leave it out, or open one before");
      parts.push(")");
      after = take();
    }
    if (after.kind === "end") {
      const unclosed = open.at(-1);
      if (unclosed !== undefined)
        throw new FilterError(unclosed, "this parenthesis is not closed: write `)` where it ends");
      return { comparisons, parts };
    }
    const link = after.kind === "word" ? after.text.toLowerCase() : undefined;
    if (link !== "and" && link !== "or")
      throw new FilterError(after.at, "after a comparison comes `and`, `or` or the end");
    parts.push(link);
  }
}

function readComparison(attribute: Token, take: () => Token): Comparison {
  const operatorToken = take();
  const operator = operatorToken.text.toLowerCase();
  if (operatorToken.kind === "mark" && operatorToken.text === "[")
    throw new FilterError(
      operatorToken.at,
      'values in brackets are not served: write each comparison apart, such as `emails.value co "example"`',
    );
  const isPresence = operatorToken.kind === "word" && operator === "pr";
  if (!isPresence && (operatorToken.kind !== "word" || !COMPARING.includes(operator)))
    throw new FilterError(
      operatorToken.at,
      `after \`${quoted(attribute.text)}\` comes an operator: one of ${COMPARING.join(", ")}, pr`,
    );
  const value = isPresence ? undefined : take();
  return {
    attribute: attribute.text,
    attributeAt: attribute.at,
    operator,
    operatorAt: operatorToken.at,
    value: value && readValue(value),
    valueAt: value?.at ?? operatorToken.at,
  };
}

/** A value is a JSON literal (RFC 7644 §3.4.2.2: compValue). */
function readValue(token: Token): Comparison["value"] {
  if (token.kind === "string" || token.kind === "word") {
    try {
      const value: unknown = JSON.parse(token.text);
      if (
        typeof value === "string" ||
        typeof value === "number" ||
        typeof value === "boolean" ||
        value === null
      )
        return value;
    } catch (cause) {
      // JSON.parse throws SyntaxError only; its message quotes the value, which is personal.
      if (!(cause instanceof SyntaxError)) throw cause;
    }
  }
  if (token.kind === "end")
    throw new FilterError(token.at, 'here a value is missing: write it, as "text" or as a number');
  if (token.kind === "string")
    throw new FilterError(
      token.at,
      'this text cannot be read: inside quotes write \\" for a quote and \\\\ for a backslash',
    );
  throw new FilterError(token.at, 'a value is a number or stands in quotes: write "…"');
}

function notAnAttribute(token: Token): FilterError {
  if (token.kind === "end")
    return new FilterError(
      token.at,
      "here a comparison is missing: write an attribute, an operator and a value",
    );
  if (token.kind === "string")
    return new FilterError(token.at, "a comparison begins with an attribute, without quotes");
  return new FilterError(
    token.at,
    "here a comparison must begin: write an attribute, an operator and a value",
  );
}

const TOKEN = /([()[\]])|("(?:[^"\\]|\\[\s\S])*")|([^\s()[\]"]+)/y;

function tokenise(text: string): Token[] {
  if (text.length > MAX_FILTER_LENGTH)
    throw new FilterError(
      MAX_FILTER_LENGTH,
      `a filter has at most ${MAX_FILTER_LENGTH} characters: write fewer`,
    );
  const tokens: Token[] = [];
  for (let at = 0; at < text.length; ) {
    if (/\s/.test(text.charAt(at))) {
      at++;
      continue;
    }
    TOKEN.lastIndex = at;
    const found = TOKEN.exec(text);
    // Everything but a quote begins some token.
    if (!found) throw new FilterError(at, 'this quote is not closed: write `"` where the text ends');
    const [whole, mark, string] = found;
    tokens.push({ kind: mark ? "mark" : string ? "string" : "word", text: whole, at });
    at += whole.length;
  }
  return tokens;
}

function end(text: string): Token {
  return { kind: "end", text: "", at: text.length };
}

/** What somebody wrote, short enough for a message. */
export function quoted(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
