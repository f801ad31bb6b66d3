// From JSON to knowledge: one reading for the shapes in which clients and servers write the same value.
// A bare string is an element's `value`, `"False"` is false, a manager is an object, null is no value.
// Promises: total; what was redacted before storing is `redacted`, never the text that stands in its place.
// Leaves out `$ref` (RFC 7643 §2.4): it says where a server shows what `value` names, and differs with who asks.
import type { JsonArray, JsonNode, JsonObject } from "../json.ts";
import { memberOf, stringMember } from "../json.ts";
import { isBoolean, isMultiValued, nameOf, valueName } from "./attributes.ts";
import {
  absent,
  type Complex,
  emptyComplex,
  isEmpty,
  itemOf,
  type Knowledge,
  listOf,
  type Member,
  type Scalar,
  withMember,
} from "./knowledge.ts";

/** How to read a body's strings. */
export interface Reading {
  /** Whether the body had something redacted: only then does the mark in a string mean that. */
  readonly isRedacted: boolean;
  /** The id behind a `bulkId:…` reference (RFC 7644 §3.7.2); undefined if it is not known. */
  resolve?(bulkId: string): string | undefined;
}

const mark = "[redacted]";

/** One attribute's value. `key`: its name in lower case. `isList`: it is known to hold several values. */
export function learnAttribute(
  key: string,
  isList: boolean,
  node: JsonNode | undefined,
  reading: Reading,
): Knowledge {
  if (node === undefined) return absent;
  if (isList || isMultiValued(key)) return learnList(node, reading, isMultiValued(key));
  if (isBoolean(key)) return learnBoolean(node, reading);
  if (key === "manager") return learnReference(node, reading);
  return learn(node, reading);
}

/** Any value, by its shape. */
function learn(node: JsonNode, reading: Reading): Knowledge {
  switch (node.kind) {
    case "string":
      return learnText(node.value, reading);
    case "scalar":
      return node.value === null ? absent : { kind: "scalar", value: node.value };
    case "array":
      return learnList(node, reading, false);
    case "object":
      return learnComplex(node, reading);
  }
}

function learnText(text: string, reading: Reading): Knowledge {
  if (reading.isRedacted && text.includes(mark)) return { kind: "redacted" };
  return { kind: "scalar", value: resolveText(text, reading) };
}

/** `bulkId:x` → the id that it stands for; what cannot be resolved stays as it is. */
export function resolveText(text: string, { resolve }: Reading): string {
  if (resolve === undefined || !/bulkid:/i.test(text)) return text;
  if (/^bulkid:/i.test(text)) return resolve(text.slice(7)) ?? text;
  // In a path's filter: members[value eq "bulkId:x"].
  return text.replace(/"bulkid:([^"]*)"/gi, (whole, bulkId: string) => {
    const id = resolve(bulkId);
    return id === undefined ? whole : JSON.stringify(id);
  });
}

function learnComplex(node: JsonObject, reading: Reading): Knowledge {
  const members = new Map<string, Member>();
  for (const { name, key, value } of node.members) {
    if (key === "$ref") continue;
    const inner = learnAttribute(key, false, value, reading);
    if (!isEmpty(inner)) members.set(key, { name: nameOf(name).text, node: inner });
  }
  const complex: Complex = { kind: "complex", members, open: undefined };
  const reference = memberOf(node, "value") === undefined ? stringMember(node, "$ref") : undefined;
  const id = reference?.split("/").at(-1) ?? "";
  return id === "" ? complex : withMember(complex, valueName, { kind: "scalar", value: id });
}

/** `wraps`: bare values are elements with that `value`. */
function learnList(node: JsonNode, reading: Reading, wraps: boolean): Knowledge {
  if (reading.isRedacted && node.kind === "string" && node.value.includes(mark)) return { kind: "redacted" };
  const items = (node.kind === "array" ? node.items : [node])
    .map((item) => learn(item, reading))
    .filter((item) => !isEmpty(item))
    .map((item) => itemOf(wraps && item.kind === "scalar" ? wrap(item) : item));
  return items.length === 0 ? absent : listOf(items);
}

function wrap(value: Scalar): Knowledge {
  return withMember(emptyComplex(), valueName, value);
}

/** RFC 7643 §4.3 `manager`: Entra sends an array of one, or the bare id. An empty id takes the manager away. */
function learnReference(node: JsonNode, reading: Reading): Knowledge {
  const one = onlyItem(node);
  const known = learn(one, reading);
  if (known.kind !== "scalar") return known;
  return known.value === "" ? absent : wrap(known);
}

function learnBoolean(node: JsonNode, reading: Reading): Knowledge {
  const one = onlyItem(node);
  const inner = one.kind === "object" ? (memberOf(one, "value") ?? one) : one;
  if (inner.kind === "string") {
    const word = inner.value.trim().toLowerCase();
    if (word === "true" || word === "false") return { kind: "scalar", value: word === "true" };
  }
  return learn(inner, reading);
}

function onlyItem(node: JsonNode): JsonNode {
  return isSingle(node) ? (node.items[0] ?? node) : node;
}

function isSingle(node: JsonNode): node is JsonArray {
  return node.kind === "array" && node.items.length === 1;
}
