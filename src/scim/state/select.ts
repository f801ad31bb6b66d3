// Which elements of a multi-valued attribute a filter selects (RFC 7644 §3.4.2.2), as far as they are known.
// Promises: three answers, of which `undefined` is "nobody can say"; comparisons as lenient as real servers' (case
// does not count but for member ids; `"True"` is true).
// Leaves out: order between texts of other kinds than dates and numbers; that stays undefined.
import type { Filter } from "../filter.ts";
import { isBoolean, nameOf } from "./attributes.ts";
import {
  absent,
  type Complex,
  emptyComplex,
  isEmpty,
  type Knowledge,
  memberAt,
  withMember,
} from "./knowledge.ts";

type Compare = Extract<Filter, { compValue: unknown }>;

/** Whether the filter selects this element. `isExact`: values are ids, whose case counts. */
export function selects(filter: Filter, element: Knowledge, isExact: boolean): boolean | undefined {
  switch (filter.op) {
    case "and":
    case "or": {
      const decisive = filter.op === "or";
      let result: boolean | undefined = !decisive;
      for (const inner of filter.filters) {
        const one = selects(inner, element, isExact);
        if (one === decisive) return decisive;
        if (one === undefined) result = undefined;
      }
      return result;
    }
    case "not": {
      const inner = selects(filter.filter, element, isExact);
      return inner === undefined ? undefined : !inner;
    }
    case "[]":
      return selects(filter.valFilter, valueAt(element, filter.attrPath), isExact);
    case "pr": {
      const value = valueAt(element, filter.attrPath);
      return value.kind === "unknown" ? undefined : !isEmpty(value);
    }
    default:
      return compare(filter, valueAt(element, filter.attrPath), isExact);
  }
}

/**
 * The element that a filter describes by equalities alone, `type eq "work"` → `{type: "work"}`: what servers make when
 * nothing matches. Undefined if the filter says anything else.
 */
export function described(filter: Filter): Complex | undefined {
  if (filter.op === "eq") {
    if (filter.compValue === null || /[.:]/.test(filter.attrPath)) return undefined;
    const name = nameOf(filter.attrPath);
    return withMember(emptyComplex(), name, { kind: "scalar", value: coerce(name.key, filter.compValue) });
  }
  if (filter.op !== "and") return undefined;
  let whole = emptyComplex();
  for (const inner of filter.filters) {
    const part = described(inner);
    if (part === undefined) return undefined;
    for (const [key, { name, node }] of part.members) whole = withMember(whole, { key, text: name }, node);
  }
  return whole;
}

function valueAt(element: Knowledge, path: string): Knowledge {
  let node = element;
  for (const name of path.toLowerCase().split(".").slice(0, 4)) {
    if (node.kind === "complex") node = memberAt(node, name);
    // A bare value is its own `value`.
    else if (node.kind !== "unknown" && name !== "value") return absent;
  }
  return node;
}

function compare(filter: Compare, value: Knowledge, isExact: boolean): boolean | undefined {
  const { op, compValue } = filter;
  if (value.kind === "unknown" || value.kind === "redacted") return undefined;
  if (value.kind === "absent") return op === "ne" ? compValue !== null : op === "eq" && compValue === null;
  if (value.kind !== "scalar") return undefined;
  if (compValue === null) return op === "ne";
  const fold = (text: unknown) =>
    isExact && filter.attrPath.toLowerCase() === "value" ? String(text) : String(text).toLowerCase();
  const left = fold(value.value);
  const right = fold(compValue);
  switch (op) {
    case "eq":
      return left === right;
    case "ne":
      return left !== right;
    case "co":
      return left.includes(right);
    case "sw":
      return left.startsWith(right);
    case "ew":
      return left.endsWith(right);
    default:
      return compareOrder(op, value.value, compValue);
  }
}

function compareOrder(op: string, left: unknown, right: unknown): boolean | undefined {
  const sign =
    typeof left === "number" && typeof right === "number"
      ? left - right
      : typeof left === "string" && typeof right === "string"
        ? Date.parse(left) - Date.parse(right)
        : Number.NaN;
  if (Number.isNaN(sign)) return undefined;
  if (op === "gt") return sign > 0;
  if (op === "ge") return sign >= 0;
  return op === "lt" ? sign < 0 : sign <= 0;
}

function coerce(key: string, value: string | number | boolean): string | number | boolean {
  if (!isBoolean(key) || typeof value !== "string") return value;
  const word = value.toLowerCase();
  return word === "true" || word === "false" ? word === "true" : value;
}
