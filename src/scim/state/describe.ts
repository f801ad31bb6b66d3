// A state for people: the resource as JSON, and beside it what is not known of it, by path.
// Promises: what stands in the JSON is known; nothing that is unknown is shown as absent without its path being named.
import { type Complex, type Item, isEmpty, type Knowledge, type List } from "./knowledge.ts";
import type { ResourceState } from "./resourceState.ts";

export type JsonValue = string | number | boolean | null | JsonValue[] | { [name: string]: JsonValue };

export interface Description {
  /** Null: the resource is not there, or nothing at all is known. */
  readonly state: { [name: string]: JsonValue } | null;
  /** What never passed through here; `*`: every attribute that is not shown, `name.*`: every other part of it. */
  readonly unknown: readonly string[];
  /** What a write may have changed or not. Elements that may be there or not are shown nowhere but here. */
  readonly uncertain: readonly string[];
  /** What has a value that was never stored. */
  readonly redacted: readonly string[];
}

const mark = "[redacted]";

/** Describes a state. */
export function describeState(state: ResourceState): Description {
  if (state.exists === "no") return { state: null, unknown: [], uncertain: [], redacted: [] };
  const gaps: Gaps = { unknown: [], uncertain: [], redacted: [] };
  const value = showComplex(state.attributes, "", gaps);
  const isNothing = Object.keys(value).length === 0 && state.exists === "unknown";
  return { state: isNothing ? null : value, ...gaps };
}

/** One value as JSON; null for none and for one that is not known. */
export function showValue(node: Knowledge): JsonValue {
  return show(node, "", { unknown: [], uncertain: [], redacted: [] }) ?? null;
}

interface Gaps {
  unknown: string[];
  uncertain: string[];
  redacted: string[];
}

function show(node: Knowledge, path: string, gaps: Gaps): JsonValue | undefined {
  switch (node.kind) {
    case "absent":
      return undefined;
    case "scalar":
      return node.value;
    case "redacted":
      gaps.redacted.push(path);
      return mark;
    case "unknown":
      gaps[node.why === "unseen" ? "unknown" : "uncertain"].push(path);
      return undefined;
    case "complex": {
      const shown = showComplex(node, path, gaps);
      return Object.keys(shown).length > 0 || isEmpty(node) ? shown : undefined;
    }
    case "list":
      return showList(node, path, gaps);
  }
}

function showComplex(node: Complex, path: string, gaps: Gaps): { [name: string]: JsonValue } {
  const shown: [string, JsonValue][] = [];
  for (const [, { name, node: inner }] of node.members) {
    const value = show(inner, pathTo(path, name), gaps);
    if (value !== undefined) shown.push([name, value]);
  }
  if (node.open !== undefined) gaps[node.open === "unseen" ? "unknown" : "uncertain"].push(pathTo(path, "*"));
  // Not by assignment: a member may be called __proto__.
  return Object.fromEntries(shown);
}

function showList(node: List, path: string, gaps: Gaps): JsonValue | undefined {
  const shown: JsonValue[] = [];
  for (const item of node.items) {
    if (item.isMaybe === true) {
      gaps.uncertain.push(elementPath(path, item));
      continue;
    }
    const value = show(item.node, elementPath(path, item), gaps);
    if (value !== undefined) shown.push(value);
  }
  if (node.open !== undefined) gaps[node.open === "unseen" ? "unknown" : "uncertain"].push(`${path}.*`);
  return shown.length > 0 || node.open === undefined ? shown : undefined;
}

/** `name` → `givenName` → `name.givenName`; below a schema with a colon. */
export function pathTo(path: string, name: string): string {
  if (path === "") return name;
  return `${path}${isSchema(path) ? ":" : "."}${name}`;
}

/** `members[value eq "2819"]`, as a filter would have it; without a `value` the whole element. */
export function elementPath(path: string, { key }: Item): string {
  const text = key.slice(2);
  return key.startsWith("v:") ? `${path}[value eq ${JSON.stringify(text)}]` : `${path}[${text}]`;
}

/** A schema and nothing more: `…:2.0:User` has its version right before its last name. */
function isSchema(path: string): boolean {
  return /^urn:[\w:.-]*:\d+(?:\.\d+)+(?::[A-Za-z][\w-]*)?$/i.test(path);
}
