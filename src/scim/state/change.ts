// One change to one place of a resource (RFC 7644 §3.5.2): add, replace or remove, on what is known of it.
// Promises: what the change does not touch keeps its knowledge; where the place is unknown, the result says what can
// be said all the same (who is added is in, whatever else is).
// Leaves out: whether the target allows it; only changes that it took come here.
import type { JsonNode, JsonObject } from "../json.ts";
import { isLeftOut, isMultiValued, type Name, nameOf, valueName } from "./attributes.ts";
import { type Items, type Keyed, wholeContents } from "./items.ts";
import {
  absent,
  asComplex,
  asList,
  type Complex,
  emptyComplex,
  type Item,
  isEmpty,
  itemOf,
  join,
  type Knowledge,
  keyOf,
  keysOf,
  type List,
  listOf,
  type Member,
  memberAt,
  uncertain,
  withMember,
} from "./knowledge.ts";
import { learnAttribute, type Reading } from "./learn.ts";
import { type Location, locate } from "./locate.ts";
import { described, selects } from "./select.ts";

export type ChangeKind = "add" | "replace" | "remove";

/** The resource after a change at a place. `value` is undefined where the operation has none. */
export function changeAt(
  resource: Complex,
  kind: ChangeKind,
  { schema, attribute, filter, sub }: Location,
  value: JsonNode | undefined,
  reading: Reading,
): Complex {
  if (schema !== undefined) {
    const inner = asComplex(memberAt(resource, schema.key));
    const within = {
      ...(attribute === undefined ? {} : { attribute }),
      ...(filter === undefined ? {} : { filter }),
      ...(sub === undefined ? {} : { sub }),
    };
    return withMember(resource, schema, changeAt(inner, kind, within, value, reading));
  }
  if (attribute === undefined) {
    // The path is a schema: its attributes stand in the value, or all of them go.
    if (value?.kind === "object") return changeMembers(resource, kind, value, reading);
    return kind === "remove" || isNothing(value) ? emptyComplex() : emptyComplex("uncertain");
  }
  if (isLeftOut(attribute.key)) return resource;
  const before = memberAt(resource, attribute.key);
  const after =
    filter !== undefined
      ? changeSelected(
          before,
          kind,
          { attribute, filter, ...(sub === undefined ? {} : { sub }) },
          value,
          reading,
        )
      : sub !== undefined
        ? changeSub(before, kind, attribute, sub, value, reading)
        : changeWhole(before, kind, attribute, value, reading);
  return withMember(resource, attribute, after);
}

/** Every attribute in an object: a path-less value, or a body. */
export function changeMembers(
  resource: Complex,
  kind: ChangeKind,
  value: JsonObject,
  reading: Reading,
): Complex {
  let after = resource;
  for (const member of value.members) {
    const place = locate(member.name);
    after =
      place === undefined ? doubtAt(after, member.name) : changeAt(after, kind, place, member.value, reading);
  }
  return after;
}

/** A resource from its whole body. The same as every attribute put into an empty one, in one go for plain names. */
export function learnResource(body: JsonObject, reading: Reading): Complex {
  const members = new Map<string, Member>();
  let whole: Complex = { kind: "complex", members, open: undefined };
  for (const { name, value } of body.members) {
    const place = locate(name);
    const plain = place?.filter === undefined && place?.sub === undefined ? place : undefined;
    if (plain?.attribute !== undefined && plain.schema === undefined) {
      const { attribute } = plain;
      const node = isLeftOut(attribute.key) ? absent : learnAttribute(attribute.key, false, value, reading);
      // As long as the map is this function's own it is filled in place: copying it each time would cost the square.
      if (whole.members !== members) whole = withMember(whole, attribute, node);
      else if (!isEmpty(node)) members.set(attribute.key, { name: attribute.text, node });
    } else if (plain?.schema !== undefined && plain.attribute === undefined && value.kind === "object") {
      const { schema } = plain;
      const there = memberAt(whole, schema.key);
      const inner = learnResource(value, reading);
      whole = withMember(whole, schema, there.kind === "complex" ? merge(there, inner) : inner);
    } else {
      whole = place === undefined ? doubtAt(whole, name) : changeAt(whole, "replace", place, value, reading);
    }
  }
  return whole;
}

/** A change at a path that nobody here can read: the attribute that it begins with may be as it was, or not. */
export function doubtAt(resource: Complex, path: string): Complex {
  const [, head] = /^\s*(?:urn:[\w:.-]*:)?([A-Za-z][\w-]*)(?=[[.\s]|$)/i.exec(path) ?? [];
  if (head === undefined || /^\s*urn:/i.test(path)) return putInDoubt(resource);
  return withMember(resource, nameOf(head), uncertain);
}

/** Any of it may be as it was, or not. */
export function putInDoubt(resource: Complex): Complex {
  const members = new Map([...resource.members].map(([key, { name }]) => [key, { name, node: uncertain }]));
  return { kind: "complex", members, open: "uncertain" };
}

function changeWhole(
  before: Knowledge,
  kind: ChangeKind,
  { key }: Name,
  value: JsonNode | undefined,
  reading: Reading,
): Knowledge {
  const isList = isMultiValued(key) || before.kind === "list";
  if (kind === "remove") {
    if (value === undefined || isNothing(value) || !(isList || before.kind === "unknown")) return absent;
    return removeItems(asList(before), asList(learnAttribute(key, isList, value, reading)).items);
  }
  const asked = learnAttribute(key, isList, value, reading);
  if (asked.kind === "list" && kind === "add") return addItems(asList(before), asked.items, key);
  // RFC 7644 §3.5.2.1 and §3.5.2.3: sub-attributes that are not specified stay as they are.
  if (asked.kind === "complex" && (before.kind === "complex" || before.kind === "unknown")) {
    return merge(asComplex(before), asked);
  }
  return kind === "add" && isEmpty(asked) ? before : asked;
}

function changeSub(
  before: Knowledge,
  kind: ChangeKind,
  attribute: Name,
  sub: Name,
  value: JsonNode | undefined,
  reading: Reading,
): Knowledge {
  const asked = kind === "remove" ? absent : learnAttribute(sub.key, false, value, reading);
  if (!isMultiValued(attribute.key) && before.kind !== "list")
    return withMember(asComplex(before), sub, asked);
  const list = asList(before);
  if (sub.key === "value" && kind === "remove") {
    // members.value: the elements themselves.
    if (value === undefined) return absent;
    return removeItems(list, asList(learnAttribute(attribute.key, true, value, reading)).items);
  }
  if (sub.key === "value" && (kind === "add" || list.items.length === 0)) {
    return addItems(list, asList(learnAttribute(attribute.key, true, value, reading)).items, attribute.key);
  }
  // Without a filter: every value (RFC 7644 §3.5.2), of which not all may be known.
  return listOf(
    list.items.edit((item) => changeItem(item, sub, asked)),
    list.open,
  );
}

interface Selection {
  readonly attribute: Name;
  readonly filter: NonNullable<Location["filter"]>;
  readonly sub?: Name;
}

function changeSelected(
  before: Knowledge,
  kind: ChangeKind,
  { attribute, filter, sub }: Selection,
  value: JsonNode | undefined,
  reading: Reading,
): Knowledge {
  const list = asList(before);
  const isExact = attribute.key === "members";
  // Of thousands of members only those that can be meant are looked at.
  const keys = isExact ? keysSelectable(filter) : undefined;
  const isRemoval = kind === "remove" || (isNothing(value) && value !== undefined);
  const pattern = described(filter);
  const asked = isRemoval ? absent : askedElement(attribute, sub, value, reading);
  let hits = 0;
  const items = list.items.edit((item) => {
    const hit = selects(filter, item.node, isExact);
    if (hit === false) return item;
    hits++;
    const after = changeElement(item, kind, sub, asked);
    if (hit) return after;
    return after === undefined ? { ...item, isMaybe: true } : { ...item, node: join(item.node, after.node) };
  }, keys);
  if (isRemoval) {
    const removed = sub === undefined && pattern !== undefined ? [keyOf(pattern)] : [];
    return settle(items, list, alsoGone(list, removed));
  }
  // Nothing there to change, and the target took it: it made one, as the providers that write so expect.
  const made: Item[] = [];
  if (hits === 0 && pattern !== undefined) {
    const whole = merge(pattern, asComplex(asked));
    made.push(itemOf(list.open === undefined ? whole : { ...whole, open: list.open }));
  }
  const settled = settle(items.append(made), list, list.gone);
  return hits === 0 && pattern === undefined && settled.kind === "list"
    ? { ...settled, open: "uncertain" }
    : settled;
}

/** The keys of what a filter may select: `value eq "2819"` means one, or what has no `value` that is known. */
function keysSelectable(filter: Selection["filter"]): ReadonlySet<string> | undefined {
  if (filter.op !== "eq" || filter.attrPath.toLowerCase() !== "value" || filter.compValue === null)
    return undefined;
  return new Set([`v:${filter.compValue}`, wholeContents]);
}

/** What an element becomes, or has set in it. */
function askedElement(
  attribute: Name,
  sub: Name | undefined,
  value: JsonNode | undefined,
  reading: Reading,
): Knowledge {
  if (sub !== undefined) {
    const inner = learnAttribute(sub.key, false, value, reading);
    return withMember(emptyComplex(), sub, inner);
  }
  const one = asList(learnAttribute(attribute.key, true, value, reading)).items.first?.node ?? absent;
  return one.kind === "scalar" ? withMember(emptyComplex(), valueName, one) : one;
}

function changeElement(
  item: Item,
  kind: ChangeKind,
  sub: Name | undefined,
  asked: Knowledge,
): Item | undefined {
  if (sub !== undefined) {
    const next = asked.kind === "complex" ? memberAt(asked, sub.key) : absent;
    const changed = changeItem(item, sub, next);
    return isEmpty(changed.node) ? undefined : changed;
  }
  if (asked.kind === "absent") return undefined;
  const node = kind === "add" ? merge(asComplex(item.node), asComplex(asked)) : asked;
  return { ...item, key: keyOf(node), node };
}

function changeItem(item: Item, sub: Name, next: Knowledge): Item {
  const whole =
    item.node.kind === "scalar" ? withMember(emptyComplex(), valueName, item.node) : asComplex(item.node);
  const node = withMember(whole, sub, next);
  return { ...item, key: keyOf(node), node };
}

/** What is in the list already stays once (RFC 7644 §3.5.2.1); two addresses of different types are two. */
function addItems(list: List, added: Iterable<Item>, attribute: string): Knowledge {
  const wanted = [...added];
  const keys = keysOf(wanted);
  const news: Item[] = [];
  const changed = new Map<Item, Item>();
  /** Where the last element with a key stands: an old one, or the place of a new one. */
  const at = new Map<string, Item | number>();
  for (const item of list.items.having(keys)) at.set(item.key, item);
  let primary: Item | undefined;
  for (const item of wanted) {
    const place = at.get(item.key);
    const there = typeof place === "number" ? news[place] : place && (changed.get(place) ?? place);
    let next = item;
    if (
      place !== undefined &&
      there !== undefined &&
      (attribute === "members" || agrees(there.node, item.node))
    ) {
      if (item.node.kind !== "scalar") {
        next = { key: item.key, node: merge(asComplex(there.node), asComplex(item.node)) };
      }
      if (typeof place === "number") news[place] = next;
      else changed.set(place, next);
      if (there === primary) primary = next;
    } else {
      at.set(item.key, news.length);
      news.push(item);
    }
    if (primary === undefined && isPrimary(item.node)) primary = next;
  }
  const items = list.items.edit((item) => changed.get(item) ?? item, keys).append(news);
  const once =
    primary === undefined ? items : items.edit((item) => (item === primary ? item : withoutPrimary(item)));
  return settle(
    once,
    list,
    list.gone.edit(() => undefined, keys),
  );
}

function removeItems(list: List, removed: Iterable<Item>): Knowledge {
  const keys = keysOf([...removed]);
  return settle(
    list.items.edit(() => undefined, keys),
    list,
    alsoGone(list, keys),
  );
}

/** What is certainly not in a list of which not all is known. */
function alsoGone({ open, gone }: List, keys: Iterable<string>): Items<Keyed> {
  if (open === undefined) return gone;
  return gone.append([...keys].filter((key) => !gone.has(key)).map((key) => ({ key })));
}

function settle(items: Items<Item>, { open }: List, gone: Items<Keyed>): Knowledge {
  const list = listOf(items, open, gone);
  return isEmpty(list) ? absent : list;
}

/** Whether two elements say the same where both say something. */
function agrees(a: Knowledge, b: Knowledge): boolean {
  if (a.kind !== "complex" || b.kind !== "complex") return keyOf(a) === keyOf(b);
  for (const [key, { node }] of a.members) {
    const other = b.members.get(key)?.node;
    if (other?.kind === "scalar" && node.kind === "scalar" && other.value !== node.value && key !== "primary")
      return false;
  }
  return true;
}

/** RFC 7644 §3.5.2: there is one primary value; setting another takes it from the first. */
function isPrimary(node: Knowledge): boolean {
  const primary = node.kind === "complex" ? memberAt(node, "primary") : absent;
  return primary.kind === "scalar" && primary.value === true;
}

function withoutPrimary(item: Item): Item {
  if (!isPrimary(item.node) || item.node.kind !== "complex") return item;
  const node = withMember(item.node, { key: "primary", text: "primary" }, { kind: "scalar", value: false });
  return { ...item, node };
}

/** `over` put on `under`, sub-attribute by sub-attribute. */
function merge(under: Complex, over: Complex): Complex {
  let whole = under;
  for (const [key, { name, node }] of over.members) whole = withMember(whole, { key, text: name }, node);
  return whole;
}

function isNothing(value: JsonNode | undefined): boolean {
  return (
    (value?.kind === "scalar" && value.value === null) ||
    (value?.kind === "array" && value.items.length === 0)
  );
}
