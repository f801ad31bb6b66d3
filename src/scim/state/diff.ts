// What differs between two states, by attribute path: values old and new, elements of a list one by one, matched by `value`.
// Promises: where the old value is not known it says so; it never invents one. Equal parts that are shared cost nothing.
import { elementPath, type JsonValue, pathTo, showValue } from "./describe.ts";
import { Items } from "./items.ts";
import {
  absent,
  asComplex,
  asList,
  type Complex,
  type Item,
  isEmpty,
  isSame,
  type Knowledge,
  type List,
  memberAt,
  pairItems,
  uncertain,
  unseen,
} from "./knowledge.ts";
import type { ResourceState } from "./resourceState.ts";

export interface Difference {
  readonly path: string;
  /** Null: there was none, or it is not known. */
  readonly old: JsonValue;
  readonly new: JsonValue;
  readonly oldKnown: boolean;
  readonly newKnown: boolean;
}

/** What changed from one state to the next, in the order of the attributes. */
export function diffStates(before: ResourceState, after: ResourceState): Difference[] {
  if (before.attributes === after.attributes) return [];
  const found: Difference[] = [];
  diffComplex(before.attributes, after.attributes, "", found);
  return found;
}

function diffComplex(before: Complex, after: Complex, path: string, found: Difference[]): void {
  const names = new Map<string, string>();
  for (const [key, { name }] of [...before.members, ...after.members]) names.set(key, name);
  for (const [key, name] of names) {
    diff(memberAt(before, key), memberAt(after, key), pathTo(path, name), found);
  }
}

function diff(before: Knowledge, after: Knowledge, path: string, found: Difference[]): void {
  if (before === after || isSame(before, after)) return;
  const isEither = (kind: Knowledge["kind"]) => before.kind === kind || after.kind === kind;
  if (isEither("list") && countsAs(before, "list") && countsAs(after, "list")) {
    diffList(asList(before), asList(after), path, found);
  } else if (isEither("complex") && countsAs(before, "complex") && countsAs(after, "complex")) {
    // A whole that becomes unknown is one difference, not one for each of its parts.
    if (after.kind === "unknown") push(before, after, path, found);
    else diffComplex(asComplex(before), asComplex(after), path, found);
  } else push(before, after, path, found);
}

/** Whether a value is of this kind, or may be: no value and an unknown one count as any. */
function countsAs(node: Knowledge, kind: "complex" | "list"): boolean {
  return node.kind === kind || node.kind === "absent" || node.kind === "unknown";
}

function diffList(before: List, after: List, path: string, found: Difference[]): void {
  const { left: olds, right: news } = Items.apart(before.items, after.items);
  const pairs = pairItems(olds, news);
  const paired = new Set(pairs);
  olds.forEach((item, index) => {
    const other = pairs[index];
    if (other !== undefined && item.isMaybe === other.isMaybe)
      diff(item.node, other.node, elementPath(path, item), found);
    else
      found.push(
        difference(elementPath(path, item), presence(before, item), presence(after, other ?? item.key)),
      );
  });
  for (const item of news) {
    if (!paired.has(item))
      found.push(difference(elementPath(path, item), presence(before, item.key), presence(after, item)));
  }
  // Taken out of a list of which not all was known: it may have been in it.
  for (const { key } of Items.apart(before.gone, after.gone).right) {
    if (before.gone.has(key) || before.open === undefined || before.items.has(key)) continue;
    const gone = { key, node: absent };
    found.push(difference(elementPath(path, gone), unseen, absent));
  }
}

/** An element of a list, or what is known of one that does not stand in it. */
function presence(list: List, item: Item | string): Knowledge {
  if (typeof item !== "string") return item.isMaybe === true ? uncertain : item.node;
  return list.open === undefined || list.gone.has(item) ? absent : unseen;
}

function push(before: Knowledge, after: Knowledge, path: string, found: Difference[]): void {
  if (!(isEmpty(before) && isEmpty(after))) found.push(difference(path, before, after));
}

function difference(path: string, before: Knowledge, after: Knowledge): Difference {
  return {
    path,
    old: showValue(before),
    new: showValue(after),
    oldKnown: before.kind !== "unknown",
    newKnown: after.kind !== "unknown",
  };
}
