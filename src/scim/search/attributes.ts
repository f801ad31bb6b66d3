// What a search may ask for: the attributes of a transaction (and, in a list of entries, of an entry), their other
// spellings, the operators that each can serve, and the words that it may hold if there are only so many.
// Attribute names are case-insensitive, as everywhere in SCIM (RFC 7643 §2.1).
import type { NameAttribute } from "./tokens.ts";

export type Operator = "eq" | "ne" | "co" | "sw" | "ew" | "gt" | "ge" | "lt" | "le" | "pr";

/**
 * number, time, uuid, text: one value. effect: several. id: those of the accounts a transaction is about. name: values of
 * the accounts it touches. group: display names of the groups that it is about.
 */
export type AttributeKind = "number" | "time" | "uuid" | "text" | "effect" | "id" | "name" | "group";

export interface SearchAttribute {
  readonly name: string;
  readonly kind: AttributeKind;
  /** Further spellings, in lower case. */
  readonly aliases?: readonly string[];
  /** Every value that there can be. */
  readonly values?: readonly string[];
  /** Only whole numbers. */
  readonly isWhole?: true;
  /** Only in a list of entries; a transaction has no such thing. */
  readonly ofEntries?: true;
  /** For kind `name`: which; absent: any of them. */
  readonly names?: readonly NameAttribute[];
}

const ORDERED: readonly Operator[] = ["eq", "ne", "gt", "ge", "lt", "le", "pr"];
const TEXTUAL: readonly Operator[] = ["eq", "ne", "co", "sw", "ew", "pr"];

/** The operators that an attribute of this kind can serve. */
export const OPERATORS: Readonly<Record<AttributeKind, readonly Operator[]>> = {
  number: ORDERED,
  time: ORDERED,
  uuid: ["eq", "ne", "pr"],
  text: TEXTUAL,
  effect: TEXTUAL,
  id: TEXTUAL,
  name: TEXTUAL,
  group: TEXTUAL,
};

export const OUTCOMES = [
  "open",
  "refused",
  "answered",
  "early",
  "incomplete",
  "not_sent",
  "protocol_error",
  "redirected",
  "too_large",
  "unknown",
] as const;

const EFFECTS = [
  "activate",
  "create",
  "deactivate",
  "delete",
  "membership-add",
  "membership-remove",
  "membership-replace",
  "password",
  "replace",
  "role",
  "update",
] as const;

const ACTIONS = ["create", "replace", "update", "delete", "bulk", "search", "read", "other"] as const;

/** Every attribute, in the order in which messages and documentation name them. */
export const ATTRIBUTES: readonly SearchAttribute[] = [
  { name: "time", kind: "time", aliases: ["meta.created"] },
  { name: "seq", kind: "number", isWhole: true },
  { name: "txn", kind: "uuid" },
  { name: "connector", kind: "text" },
  { name: "client", kind: "text" },
  { name: "method", kind: "text" },
  { name: "verb", kind: "text" },
  { name: "action", kind: "text", values: ACTIONS },
  { name: "effect", kind: "effect", aliases: ["effects"], values: EFFECTS },
  { name: "resourceType", kind: "text", aliases: ["meta.resourcetype"] },
  { name: "resourceId", kind: "id", aliases: ["id"] },
  { name: "userName", kind: "name", names: ["userName"] },
  { name: "externalId", kind: "name", names: ["externalId"] },
  { name: "displayName", kind: "name", names: ["displayName"] },
  { name: "formattedName", kind: "name", aliases: ["name.formatted"], names: ["formattedName"] },
  { name: "email", kind: "name", aliases: ["emails", "emails.value"], names: ["email"] },
  { name: "name", kind: "name" },
  { name: "group", kind: "group", aliases: ["groups", "groups.display"] },
  { name: "outcome", kind: "text", values: OUTCOMES },
  { name: "status", kind: "number", isWhole: true },
  { name: "replied", kind: "number", isWhole: true },
  { name: "duration", kind: "number", aliases: ["durationms"] },
  { name: "operations", kind: "number", isWhole: true },
  { name: "reason", kind: "text" },
  {
    name: "type",
    kind: "text",
    values: ["request", "response", "refusal", "event"],
    ofEntries: true,
  },
  { name: "event", kind: "text", ofEntries: true },
  { name: "auditor", kind: "text", ofEntries: true },
];

const bySpelling = new Map(
  ATTRIBUTES.flatMap((attribute) =>
    [attribute.name.toLowerCase(), ...(attribute.aliases ?? [])].map((spelling) => [spelling, attribute]),
  ),
);

/** The attribute of this name, in any case, with or without its schema's URN before it (RFC 7644 §3.10). */
export function findAttribute(path: string): SearchAttribute | undefined {
  const name = /^urn:/i.test(path) ? path.slice(path.lastIndexOf(":") + 1) : path;
  return bySpelling.get(name.toLowerCase());
}
