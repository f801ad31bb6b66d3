// SCIM filters (RFC 7644 §3.4.2.2), read by scim2-parse-filter, for two questions: which shape has the filter once
// its literals are gone, and which ids does it name.
// Promises: never throws, and never hands the library a text on which it is slow or deep.
// Leaves out what the library cannot read (`$ref`, unquoted values): the caller records that as unparsed.
import { type Filter, parse } from "scim2-parse-filter";

export type { Filter } from "scim2-parse-filter";

const maxLength = 8192;
const maxNesting = 64;

/** The filter's tree, or undefined when it cannot be read. */
export function parseFilter(text: string): Filter | undefined {
  // An unclosed quote before line breaks makes the library's tokenizer try 2^n ways: an adversary's path would stop the
  // process. A filter has no use for control characters, so none is let through.
  if (text.length > maxLength || /\p{Cc}/u.test(text)) return undefined;
  // Its parser recurses for every parenthesis, bracket and `not`.
  if ((text.match(/[([]|\bnot\b/gi)?.length ?? 0) > maxNesting) return undefined;
  try {
    return parse(text);
  } catch {
    // The library's message quotes the filter, which is personal: nothing of it is kept.
    return undefined;
  }
}

/**
 * The filter without its literals, `type eq "work"` → `type eq ?`; names that are no attribute names become `?`.
 * Undefined when the tree holds an operator SCIM does not have.
 */
export function formatFilterShape(filter: Filter): string | undefined {
  switch (filter.op) {
    case "and":
    case "or": {
      const parts: string[] = [];
      for (const inner of filter.filters) {
        const shape = formatFilterShape(inner);
        if (shape === undefined) return undefined;
        parts.push(inner.op === "and" || inner.op === "or" ? `(${shape})` : shape);
      }
      return parts.join(` ${filter.op} `);
    }
    case "not": {
      const shape = formatFilterShape(filter.filter);
      return shape === undefined ? undefined : `not (${shape})`;
    }
    case "[]": {
      const shape = formatFilterShape(filter.valFilter);
      return shape === undefined ? undefined : `${safeName(filter.attrPath)}[${shape}]`;
    }
    case "pr":
      return `${safeName(filter.attrPath)} pr`;
    case "eq":
    case "ne":
    case "co":
    case "sw":
    case "ew":
    case "gt":
    case "ge":
    case "lt":
    case "le":
      return `${safeName(filter.attrPath)} ${filter.op} ?`;
    default:
      // The library takes any word it finds on Object.prototype for an operator.
      return undefined;
  }
}

/**
 * The values a filter selects by equality on one attribute, `value eq "a" or value eq "b"` → a, b.
 * Undefined when it selects in any other way: then nobody can name the ids without the target.
 */
export function equalTo(filter: Filter, attribute: string): string[] | undefined {
  if (filter.op === "eq" && filter.attrPath.toLowerCase() === attribute) return [String(filter.compValue)];
  if (filter.op !== "or") return undefined;
  const values: string[] = [];
  for (const inner of filter.filters) {
    const found = equalTo(inner, attribute);
    if (found === undefined) return undefined;
    values.push(...found);
  }
  return values;
}

function safeName(attributePath: string): string {
  return /^(?:urn:[\w:.-]+:)?[A-Za-z][\w-]*(?:\.[A-Za-z][\w-]*)?$/i.test(attributePath) ? attributePath : "?";
}
