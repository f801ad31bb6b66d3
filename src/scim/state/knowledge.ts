// What is known of a value at one moment: the value itself, that there is none, or that nobody can say.
// Promises: immutable; a part that did not change is the same object, so that comparing two states costs what changed.
// Leaves out: where the knowledge comes from.
import type { Name } from "./attributes.ts";
import { Items, type Keyed } from "./items.ts";

/** Why something is not known: it never passed through here, or nobody knows whether a change took place. */
export type Doubt = "unseen" | "uncertain";

export interface Scalar {
  readonly kind: "scalar";
  readonly value: string | number | boolean;
}
/** There is no value (RFC 7643 §2.5: null, an empty list and no attribute at all are one). */
export interface Absent {
  readonly kind: "absent";
}
/** There is a value, which was never stored. Each time it is set it is another one: nobody can say that it is the same. */
export interface Redacted {
  readonly kind: "redacted";
}
export interface Unknown {
  readonly kind: "unknown";
  readonly why: Doubt;
}
export interface Complex {
  readonly kind: "complex";
  /** By lower-case name. An absent one stands here only where `open` would leave it unknown. */
  readonly members: ReadonlyMap<string, Member>;
  /** Set: what is not among the members is not known. Unset: it is absent. */
  readonly open: Doubt | undefined;
}
export interface Member {
  readonly name: string;
  readonly node: Knowledge;
}
export interface List {
  readonly kind: "list";
  readonly items: Items<Item>;
  /** Set: there may be more. */
  readonly open: Doubt | undefined;
  /** Keys of what is certainly not in an open list. */
  readonly gone: Items<Keyed>;
}
export interface Item {
  /** The element's identity: its `value`, else its whole content. */
  readonly key: string;
  readonly node: Knowledge;
  /** Whether it is in the list is uncertain. */
  readonly isMaybe?: true;
}
export type Knowledge = Scalar | Absent | Redacted | Unknown | Complex | List;

export const absent: Absent = { kind: "absent" };
export const unseen: Unknown = { kind: "unknown", why: "unseen" };
export const uncertain: Unknown = { kind: "unknown", why: "uncertain" };
export const nothingGone: Items<Keyed> = Items.of([]);
const noMembers: ReadonlyMap<string, Member> = new Map();

/** Nothing known of it, or nothing in it. */
export function emptyComplex(open?: Doubt): Complex {
  return { kind: "complex", members: noMembers, open };
}

export function listOf(items: Iterable<Item>, open?: Doubt, gone = nothingGone): List {
  return { kind: "list", items: Items.of(items), open, gone: open === undefined ? nothingGone : gone };
}

/** A member, as far as it is known. */
export function memberAt(node: Complex, key: string): Knowledge {
  const member = node.members.get(key);
  if (member !== undefined) return member.node;
  return node.open === undefined ? absent : node.open === "unseen" ? unseen : uncertain;
}

/** The same with one member changed. */
export function withMember(node: Complex, name: Name, next: Knowledge): Complex {
  const before = node.members.get(name.key);
  const value = isEmpty(next) ? absent : next;
  if (before?.node === value || (before === undefined && memberAt(node, name.key) === value)) return node;
  const members = new Map(node.members);
  // Where the rest is unknown, that something is absent is knowledge; where it is absent anyway, it is not.
  if (value.kind === "absent" && node.open === undefined) members.delete(name.key);
  else members.set(name.key, { name: before?.name ?? name.text, node: value });
  return { ...node, members };
}

/** The complex value that something is, or counts as when a part of it is set. */
export function asComplex(node: Knowledge): Complex {
  if (node.kind === "complex") return node;
  return node.kind === "unknown" ? emptyComplex(node.why) : emptyComplex();
}

/** No value: neither does a list nor a complex value without anything in it hold one (RFC 7643 §2.5). */
export function isEmpty(node: Knowledge): boolean {
  switch (node.kind) {
    case "absent":
      return true;
    case "list":
      return node.open === undefined && node.items.length === 0;
    case "complex":
      return node.open === undefined && node.members.size === 0;
    default:
      return false;
  }
}

/** The list that a value is, or counts as; undefined for what can be none. */
export function asList(node: Knowledge): List {
  switch (node.kind) {
    case "list":
      return node;
    case "absent":
      return listOf([]);
    case "unknown":
      return listOf([], node.why);
    default:
      return listOf([itemOf(node)]);
  }
}

export function itemOf(node: Knowledge): Item {
  return { key: keyOf(node), node };
}

/** What tells an element from the others of its list: its `value`, or all of it. */
export function keyOf(node: Knowledge): string {
  if (node.kind === "complex") {
    const value = memberAt(node, "value");
    if (value.kind === "scalar") return `v:${value.value}`;
  }
  // A bare value is an element whose `value` it is.
  if (node.kind === "scalar") return `v:${node.value}`;
  return `j:${JSON.stringify(canonical(node))}`;
}

/** The same text for the same content, whatever the order of names. */
function canonical(node: Knowledge): unknown {
  switch (node.kind) {
    case "scalar":
      return node.value;
    case "complex":
      return [...node.members].map(([key, { node: inner }]) => [key, canonical(inner)]).sort();
    case "list":
      return [...node.items].map(({ node: inner }) => canonical(inner));
    default:
      return { [node.kind]: true };
  }
}

/** Whether two pieces of knowledge are the same. */
export function isSame(a: Knowledge, b: Knowledge): boolean {
  if (a === b) return true;
  switch (a.kind) {
    case "scalar":
      return b.kind === "scalar" && a.value === b.value;
    case "unknown":
      return b.kind === "unknown";
    case "absent":
      return b.kind === "absent";
    case "redacted":
      return false;
    case "complex":
      if (b.kind !== "complex" || a.open !== b.open || a.members.size !== b.members.size) return false;
      for (const [key, { node }] of a.members) {
        const other = b.members.get(key);
        if (other === undefined || !isSame(node, other.node)) return false;
      }
      return true;
    case "list": {
      if (b.kind !== "list" || a.open !== b.open || a.items.length !== b.items.length) return false;
      const { left, right } = Items.apart(a.items, b.items);
      if (left.length !== right.length || !isSameGone(a, b)) return false;
      // Mostly in the same order; only what is not is matched.
      if (left.every((item, index) => isSameItem(item, right[index]))) return true;
      const others = pairItems(left, right);
      return left.every((item, index) => isSameItem(item, others[index]));
    }
  }
}

function isSameGone(a: List, b: List): boolean {
  if (a.gone.length !== b.gone.length) return false;
  return Items.apart(a.gone, b.gone).left.every(({ key }) => b.gone.has(key));
}

function isSameItem(a: Item, b: Item | undefined): boolean {
  return b !== undefined && a.key === b.key && a.isMaybe === b.isMaybe && isSame(a.node, b.node);
}

/** `after`, with whatever is the same as in `before` as the very same object. */
export function shareComplex(before: Complex, after: Complex): Complex {
  if (before === after) return before;
  const members = new Map<string, Member>();
  let isWhole = before.open === after.open && before.members.size === after.members.size;
  for (const [key, member] of after.members) {
    const old = before.members.get(key);
    const isKept = old !== undefined && isSame(old.node, member.node);
    isWhole &&= isKept;
    members.set(key, isKept ? old : member);
  }
  return isWhole ? before : { kind: "complex", members, open: after.open };
}

/** More elements with one key than this are told apart by their contents as text. */
const maxCompared = 16;

/**
 * For each element of `a` the one of `b` that is the same element: of those with its key the equal one, else the first
 * that is left. Linear in both.
 */
export function pairItems(a: readonly Item[], b: readonly Item[]): (Item | undefined)[] {
  const byKey = Map.groupBy(b, ({ key }) => key);
  const byContent = new Map<string, Map<string, Item[]>>();
  const taken = new Set<Item>();
  const pairs = a.map((item) => {
    const alike = byKey.get(item.key) ?? [];
    let found: Item | undefined;
    if (alike.length <= maxCompared) {
      found = alike.find((other) => !taken.has(other) && (other === item || isSame(other.node, item.node)));
    } else {
      const contents = byContent.get(item.key) ?? Map.groupBy([...alike].reverse(), contentOf);
      byContent.set(item.key, contents);
      found = contents.get(contentOf(item))?.pop();
    }
    if (found !== undefined) taken.add(found);
    return found;
  });
  const left = new Map<string, Iterator<Item>>();
  return a.map(({ key }, index) => {
    const pair = pairs[index];
    if (pair !== undefined) return pair;
    const others = left.get(key) ?? (byKey.get(key) ?? []).filter((other) => !taken.has(other)).values();
    left.set(key, others);
    const { done, value } = others.next();
    return done === true ? undefined : value;
  });
}

function contentOf({ node }: Item): string {
  return JSON.stringify(canonical(node));
}

/**
 * What is known when either of two is true and nobody can say which: what they agree on, and doubt about the rest.
 */
export function join(a: Knowledge, b: Knowledge): Knowledge {
  if (a === b || isSame(a, b)) return a;
  if (a.kind === "redacted" && b.kind === "redacted") return b;
  if (a.kind === "complex" && b.kind === "complex") return joinComplex(a, b);
  const lists = (a.kind === "list" || b.kind === "list") && canBeList(a) && canBeList(b);
  return lists ? joinLists(asList(a), asList(b)) : uncertain;
}

function canBeList(node: Knowledge): boolean {
  return node.kind === "list" || node.kind === "absent";
}

export function joinComplex(a: Complex, b: Complex): Complex {
  const members = new Map<string, Member>();
  for (const [key, { name }] of [...a.members, ...b.members]) {
    if (members.has(key)) continue;
    const node = join(memberAt(a, key), memberAt(b, key));
    members.set(key, { name, node });
  }
  return { kind: "complex", members, open: joinDoubt(a.open, b.open) };
}

function joinLists(a: List, b: List): List {
  const { left, right } = Items.apart(a.items, b.items);
  const pairs = pairItems(left, right);
  const paired = new Set(pairs);
  const joined = new Map(
    left.map((item, index) => {
      const other = pairs[index];
      return [item, other === undefined ? asMaybe(item) : joinItems(item, other)];
    }),
  );
  const items = a.items
    .edit((item) => joined.get(item) ?? item, keysOf(left))
    .append(right.filter((item) => !paired.has(item)).map(asMaybe));
  const isGone = (list: List, key: string) =>
    list.open === undefined ? !list.items.has(key) : list.gone.has(key);
  const apart = Items.apart(a.gone, b.gone);
  const gone = a.gone
    .edit((one) => (isGone(b, one.key) ? one : undefined), keysOf(apart.left))
    .append(apart.right.filter(({ key }) => !a.gone.has(key) && isGone(a, key)));
  return listOf(items, joinDoubt(a.open, b.open), gone);
}

function joinItems(item: Item, other: Item): Item {
  const node = join(item.node, other.node);
  return item.isMaybe === true || other.isMaybe === true
    ? asMaybe({ ...item, node })
    : { key: item.key, node };
}

function asMaybe(item: Item): Item {
  return item.isMaybe === true ? item : { ...item, isMaybe: true };
}

export function keysOf(items: readonly Keyed[]): Set<string> {
  return new Set(items.map(({ key }) => key));
}

function joinDoubt(a: Doubt | undefined, b: Doubt | undefined): Doubt | undefined {
  return a === b ? a : a === undefined || b === undefined ? "uncertain" : a;
}
