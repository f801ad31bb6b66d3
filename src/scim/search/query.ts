// A filter over a ledger's transactions and entries as a checked tree: SCIM's filter grammar (RFC 7644 §3.4.2.2) over the
// attributes of attributes.ts. Structure and precedence are read by the same library that reads the filters of PATCH
// paths; it sees numbered comparisons only, so that no value ever passes it and each keeps its place in the text.
// Promises: throws FilterError and nothing else, whatever the text; what a comparison means is in `Test`.

import { type Filter, parseFilter } from "../filter.ts";
import { ATTRIBUTES, findAttribute, OPERATORS, type Operator, type SearchAttribute } from "./attributes.ts";
import { normalise } from "./normalise.ts";
import { type Comparison, FilterError, quoted, type ScannedFilter, scanFilter } from "./scan.ts";
import { parseTime } from "./time.ts";
import { MAX_INDEXED, MIN_CONTAINED } from "./tokens.ts";

export { FilterError } from "./scan.ts";

/**
 * One comparison. Every operator answers yes or no, also where there is no value: `ne` is the opposite of `eq`, all others
 * but `pr` say no. Of several values (effects, ids, names) one that fits is enough for all but `ne`.
 */
export interface Test {
  readonly kind: "test";
  readonly attribute: SearchAttribute;
  readonly operator: Operator;
  /**
   * As the attribute's kind has it: number and time (epoch milliseconds, with a fraction) a number; name and group a
   * normalised text; anything else the text as written. Undefined for `pr`.
   */
  readonly value: string | number | undefined;
  /** Where the comparison begins in the filter. */
  readonly position: number;
}

export type Query =
  | { readonly kind: "and" | "or"; readonly terms: readonly Query[] }
  | { readonly kind: "not"; readonly term: Query }
  | Test;

/** What a filter is about: an attribute of entries has no meaning for transactions. */
export type Subject = "transactions" | "entries";

const MAX_NUMBER = 1e15;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Reads a filter. @throws {FilterError} */
export function parseQuery(text: string, subject: Subject): Query {
  const scanned = scanFilter(text);
  const tests = scanned.comparisons.map((comparison) => checkComparison(comparison, subject));
  const filter = parseFilter(formatStructure(scanned));
  const query = filter && joinTests(filter, tests);
  if (!query) throw new FilterError(0, "this filter cannot be read: write it with fewer parentheses");
  return query;
}

/** The filter with a number for each comparison: what is left is its structure. */
function formatStructure({ parts }: ScannedFilter): string {
  return parts.map((part) => (typeof part === "number" ? `c${part} eq ${part}` : part)).join(" ");
}

function joinTests(filter: Filter, tests: readonly Test[]): Query | undefined {
  switch (filter.op) {
    case "and":
    case "or": {
      const terms = filter.filters.map((inner) => joinTests(inner, tests));
      const known = terms.filter((term) => term !== undefined);
      return known.length === terms.length ? { kind: filter.op, terms: known } : undefined;
    }
    case "not": {
      const term = joinTests(filter.filter, tests);
      return term && { kind: "not", term };
    }
    case "eq":
      return typeof filter.compValue === "number" ? tests[filter.compValue] : undefined;
    default:
      return undefined;
  }
}

function checkComparison(comparison: Comparison, subject: Subject): Test {
  const { attributeAt: position } = comparison;
  const attribute = findAttribute(comparison.attribute);
  if (!attribute) {
    const known = ATTRIBUTES.filter(({ ofEntries }) => !ofEntries || subject === "entries");
    throw new FilterError(
      position,
      `there is no attribute \`${quoted(comparison.attribute)}\`: use one of ${known.map(({ name }) => name).join(", ")}`,
    );
  }
  if (attribute.ofEntries && subject === "transactions")
    throw new FilterError(
      position,
      `\`${attribute.name}\` is an attribute of entries: ask GET /audit/v1/entries, or leave it out`,
    );
  const operator = OPERATORS[attribute.kind].find((known) => known === comparison.operator);
  if (!operator) throw new FilterError(comparison.operatorAt, whyNotServed(attribute, comparison.operator));
  const value = operator === "pr" ? undefined : checkValue(attribute, operator, comparison);
  return { kind: "test", attribute, operator, value, position };
}

function whyNotServed({ name, kind }: SearchAttribute, operator: string): string {
  const served = OPERATORS[kind];
  const use = `use ${served.slice(0, -1).join(", ")} or ${served.at(-1)}`;
  const isOrder = ["gt", "ge", "lt", "le"].includes(operator);
  return isOrder
    ? `\`${name} ${operator}\` has no order: ${use}`
    : `\`${name} ${operator}\` is not served: ${use}`;
}

function checkValue(
  attribute: SearchAttribute,
  operator: Operator,
  { value, valueAt }: Comparison,
): string | number {
  const wrong = (message: string) => new FilterError(valueAt, message);
  const { name, kind } = attribute;
  if (value === null) throw wrong(`\`null\` is no value here: write \`not (${name} pr)\` for what has none`);
  if (kind === "number") {
    if (typeof value !== "number") throw wrong(`\`${name}\` is a number: write it without quotes`);
    if (Math.abs(value) > MAX_NUMBER) throw wrong(`this number is too large: write one up to ${MAX_NUMBER}`);
    if (attribute.isWhole && !Number.isInteger(value))
      throw wrong(`\`${name}\` is a whole number: write it without a fraction`);
    return value;
  }
  if (typeof value !== "string") throw wrong(`\`${name}\` is compared with a text: write it in quotes, "…"`);
  if (kind === "time") {
    const time = parseTime(value);
    if (time === undefined)
      throw wrong(
        'a time is written as "2026-01-31", "2026-01-31T09:12:00Z" or with an offset such as "+02:00"',
      );
    return time;
  }
  if (kind === "uuid") {
    if (!UUID.test(value)) throw wrong(`\`${name}\` is a UUID: write all of its 36 characters`);
    return value.toLowerCase();
  }
  // PostgreSQL's texts hold no NUL, so nothing that it has holds one.
  if (value.includes("\0")) throw wrong("a text cannot hold the character NUL: leave it out");
  if (kind === "name" || kind === "group") return checkName(attribute, operator, value, wrong);
  if (value === "")
    throw wrong(`a text has at least one character: write \`not (${name} pr)\` for what has none`);
  return checkWord(attribute, operator, value, wrong);
}

function checkName(
  { name }: SearchAttribute,
  operator: Operator,
  value: string,
  wrong: (message: string) => FilterError,
): string {
  const text = normalise(value);
  if (text === "")
    throw wrong(`a name has at least one character: write \`not (${name} pr)\` for what has none`);
  const length = [...text].length;
  if ((operator === "co" || operator === "ew") && length < MIN_CONTAINED)
    throw wrong(
      `\`${name} ${operator}\` needs at least ${MIN_CONTAINED} characters: write more of them, or use sw`,
    );
  if (operator !== "eq" && operator !== "ne" && text.length > MAX_INDEXED)
    throw wrong(`at most ${MAX_INDEXED} characters are compared: write fewer, or use eq`);
  return text;
}

/** A word of ours is found in any case; one that there is not would silently find nothing. */
function checkWord(
  { name, values }: SearchAttribute,
  operator: Operator,
  value: string,
  wrong: (message: string) => FilterError,
): string {
  if (!values) return value.toWellFormed();
  const word = value.toLowerCase();
  if ((operator === "eq" || operator === "ne") && !values.includes(word))
    throw wrong(`\`${name}\` is never "${quoted(value)}": use one of ${values.join(", ")}`);
  return word.toWellFormed();
}
