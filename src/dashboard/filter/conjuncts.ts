// Edits of a SCIM filter (RFC 7644 §3.4.2.2) as text: which values of an attribute it asks for, and the same filter with
// one more or one less. Only what stands between `and` at the top is looked at; what a person wrote otherwise stays as
// it is. Whether a filter is right is the server's to say. Pure.

const WORD = /[A-Za-z]/;

/** The parts between `and` at the top level; a filter with `or` at the top is one part, in parentheses. */
export function splitConjuncts(filter: string): string[] {
  const parts: string[] = [];
  let from = 0;
  let hasOr = false;
  for (const { text, start, end } of topWords(filter)) {
    if (text === "or") hasOr = true;
    if (text !== "and") continue;
    parts.push(filter.slice(from, start).trim());
    from = end;
  }
  parts.push(filter.slice(from).trim());
  const whole = parts.filter((part) => part !== "");
  if (!hasOr) return whole;
  return filter.trim() === "" ? [] : [`(${filter.trim()})`];
}

/** One filter from its parts. */
export function joinConjuncts(parts: readonly string[]): string {
  const [only] = parts;
  if (parts.length === 1 && only) return isWrapped(only) ? only.slice(1, -1) : only;
  return parts.join(" and ");
}

/** The values of `attribute` that the filter lets through by equality; empty if it does not ask for any. */
export function chosenValues(filter: string, attribute: string): string[] {
  return splitConjuncts(filter).flatMap((part) => valuesOf(part, attribute) ?? []);
}

/** The filter with a value of an attribute asked for, or no more if it was. */
export function toggleValue(filter: string, attribute: string, value: string | number): string {
  const literal = typeof value === "number" ? String(value) : JSON.stringify(value);
  const parts = splitConjuncts(filter);
  const at = parts.findIndex((part) => valuesOf(part, attribute) !== undefined);
  const before = at < 0 ? [] : (literalsOf(parts[at] ?? "", attribute) ?? []);
  const after = before.includes(literal) ? before.filter((one) => one !== literal) : [...before, literal];
  const made = formatEquals(attribute, after);
  const rest = parts.filter((_, index) => index !== at);
  const next = made === undefined ? rest : at < 0 ? [...rest, made] : parts.with(at, made);
  return joinConjuncts(next);
}

/** The filter without one of its parts. */
export function withoutConjunct(filter: string, index: number): string {
  return joinConjuncts(splitConjuncts(filter).filter((_, at) => at !== index));
}

/** Is this text a filter, or words to look for? A filter has an operator that no name has in its middle. */
export function looksLikeFilter(text: string): boolean {
  return (
    /^\s*(?:not\s*)?\(/i.test(text) ||
    /^\s*[A-Za-z][\w.:-]*\s+(?:pr(?:\s+(?:and|or)\s|\s*$)|(?:eq|ne|co|sw|ew|gt|ge|lt|le)\s+(?:"|-?\d|true|false))/i.test(
      text,
    )
  );
}

function formatEquals(attribute: string, literals: readonly string[]): string | undefined {
  if (literals.length === 0) return undefined;
  const tests = literals.map((literal) => `${attribute} eq ${literal}`);
  return tests.length === 1 ? tests[0] : `(${tests.join(" or ")})`;
}

function valuesOf(part: string, attribute: string): string[] | undefined {
  return literalsOf(part, attribute)?.map((literal) => {
    const value: unknown = JSON.parse(literal);
    return String(value);
  });
}

/** The literals of `a eq "x"` or of `(a eq "x" or a eq "y")`; undefined for any other part. */
function literalsOf(part: string, attribute: string): string[] | undefined {
  const inner = isWrapped(part) ? part.slice(1, -1) : part;
  const literals: string[] = [];
  let from = 0;
  const words = [...topWords(inner)].filter(({ text }) => text === "or" || text === "and");
  for (const { text, start, end } of [...words, { text: "or", start: inner.length, end: inner.length }]) {
    if (text !== "or") return undefined;
    const match = /^\s*([A-Za-z][\w.]*)\s+eq\s+("(?:[^"\\]|\\.)*"|-?\d+)\s*$/i.exec(inner.slice(from, start));
    if (match?.[1]?.toLowerCase() !== attribute.toLowerCase() || match[2] === undefined) return undefined;
    if (!isLiteral(match[2])) return undefined;
    literals.push(match[2]);
    from = end;
  }
  return literals;
}

function isLiteral(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    // A string with an escape that JSON does not know: the server will say so.
    return false;
  }
}

/** Do the first and the last parenthesis belong together? */
function isWrapped(part: string): boolean {
  if (!part.startsWith("(") || !part.endsWith(")")) return false;
  let depth = 0;
  for (const { at, character } of outsideQuotes(part)) {
    if (character === "(") depth++;
    if (character === ")" && --depth === 0) return at === part.length - 1;
  }
  return false;
}

/** Words outside of quotes, parentheses and brackets, in lower case. */
function* topWords(text: string): Generator<{ text: string; start: number; end: number }> {
  let depth = 0;
  let start = -1;
  for (const { at, character } of outsideQuotes(`${text} `)) {
    const isWord = depth === 0 && WORD.test(character);
    if (isWord && start < 0 && !/[\w.:$-]/.test(text[at - 1] ?? " ")) start = at;
    if (!isWord && start >= 0) {
      if (!/[\w.:$-]/.test(character)) yield { text: text.slice(start, at).toLowerCase(), start, end: at };
      start = -1;
    }
    if (character === "(" || character === "[") depth++;
    if (character === ")" || character === "]") depth = Math.max(0, depth - 1);
  }
}

function* outsideQuotes(text: string): Generator<{ at: number; character: string }> {
  let inQuotes = false;
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at);
    if (inQuotes && character === "\\") at++;
    else if (character === '"') inQuotes = !inQuotes;
    else if (!inQuotes) yield { at, character };
  }
}
