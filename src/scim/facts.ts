// The personal side of what was understood: names, addresses, members, filters. It goes to a sealed attachment that can
// be shredded, and never into a leaf.
// Promises: bounded in number and length (with `truncated` set when something was cut), no secret among the facts.
// Leaves out: the resource's id, which the caller has from the path.
import type { JsonNode } from "./json.ts";
import { memberOf } from "./json.ts";
import { isSecret, mentionsSecret, type Secrets } from "./secret.ts";

/** What a reader of the record should look at twice (Unicode TR 36, TR 39). */
export type UnicodeHint = "bidi_control" | "control_character" | "mixed_script" | "not_nfc";

export interface MemberFacts {
  added: string[];
  removed: string[];
  /** The whole new list of a replace or PUT; empty when all were removed that way. */
  replaced?: string[];
  /** A remove without saying whom. */
  removedAll?: true;
  /** Whether `removed` names everybody whom a remove takes away: by a filter of ids or a list of them, and nothing else. */
  removedNamed?: boolean;
}

export interface Facts {
  userName?: string;
  externalId?: string;
  displayName?: string;
  /** `name.formatted`, or given and family name. */
  formattedName?: string;
  emails?: string[];
  /** Values of `roles` and `entitlements`. */
  roles?: string[];
  members?: MemberFacts;
  /** The filter of a query or of a search request. */
  filter?: string;
  /** The query with the values of parameters SCIM does not define taken out: one may be a token. */
  query?: string;
  unicode?: UnicodeHint[];
  /** Bulk: the facts of each operation that has some. */
  operations?: { index: number; facts: Facts }[];
  truncated?: true;
}

const maxTextLength = 1024;
const maxItems = 1000;

/** Keeps one text fact, unless its attribute is configured as a secret. */
export function addTextFact(
  facts: Facts,
  secrets: Secrets,
  name: "userName" | "externalId" | "displayName" | "formattedName",
  trail: readonly string[],
  value: string | undefined,
): void {
  if (value === undefined || isSecret(secrets, trail, 0)) return;
  facts[name] = kept(facts, value);
  if (name === "userName" || name === "displayName") {
    const hints = new Set([...(facts.unicode ?? []), ...unicodeHints(value)]);
    if (hints.size > 0) facts.unicode = [...hints].sort();
  }
}

/** Keeps the values of a multi-valued attribute. */
export function addListFacts(
  facts: Facts,
  secrets: Secrets,
  name: "emails" | "roles",
  attribute: string,
  value: JsonNode | undefined,
): void {
  if (isSecret(secrets, [attribute, "value"], 0)) return;
  const list = facts[name] ?? [];
  append(facts, list, valuesOf(value));
  if (list.length > 0) facts[name] = list;
}

/** Keeps ids of members under what happened to them. */
export function addMemberFacts(
  facts: Facts,
  secrets: Secrets,
  change: "added" | "removed" | "replaced",
  ids: readonly string[],
): void {
  if (isSecret(secrets, ["members", "value"], 0)) return;
  facts.members ??= { added: [], removed: [] };
  facts.members[change] ??= [];
  append(facts, facts.members[change], ids);
}

/** The values in the shapes clients send them: `"x"`, `{value: "x"}`, or an array of either. */
export function valuesOf(node: JsonNode | undefined): string[] {
  if (node === undefined) return [];
  if (node.kind === "array") return node.items.flatMap((item) => oneValue(item));
  return oneValue(node);
}

/** Whether `valuesOf` leaves nothing out. */
export function isWhollyRead(node: JsonNode | undefined): boolean {
  if (node === undefined) return false;
  return node.kind !== "array"
    ? oneValue(node).length === 1
    : node.items.length > 0 && node.items.every((item) => oneValue(item).length === 1);
}

function oneValue(node: JsonNode): string[] {
  if (node.kind === "string") return [node.value];
  if (node.kind === "scalar") return typeof node.value === "number" ? [String(node.value)] : [];
  const value = memberOf(node, "value");
  return value?.kind === "string" || value?.kind === "scalar" ? oneValue(value) : [];
}

/** A query's or search request's filter; one that names a secret is not kept. */
export function addFilterFact(facts: Facts, secrets: Secrets, filter: string): void {
  facts.filter = mentionsSecret(secrets, filter) ? "[redacted]" : kept(facts, filter);
}

/** Parameters of RFC 7644 §3.4.2, and Entra's flag: known to hold no credential. */
const knownParameters: ReadonlySet<string> = new Set([
  "filter",
  "attributes",
  "excludedAttributes",
  "sortBy",
  "sortOrder",
  "startIndex",
  "count",
  "cursor",
  "aadOptscim062020",
]);

/** Keeps a query as it was sent, less what may be a secret. */
export function addQueryFact(facts: Facts, secrets: Secrets, query: string): void {
  const pairs = query.split("&", 64).map((pair) => {
    const equals = pair.indexOf("=");
    const name = equals === -1 ? pair : pair.slice(0, equals);
    if (knownParameters.has(name)) return mentionsSecret(secrets, pair) ? `${name}=?` : pair;
    return equals !== -1 && /^[A-Za-z][\w-]{0,63}$/.test(name) ? `${name}=?` : "?";
  });
  facts.query = kept(facts, pairs.join("&"));
}

/** What is odd about a name. Scripts are compared within one word: "Иван Petrov" is a fine name, "аdmin" is not. */
export function unicodeHints(text: string): UnicodeHint[] {
  const hints: UnicodeHint[] = [];
  if (/\p{Cc}/u.test(text)) hints.push("control_character");
  if (/^\p{ASCII}*$/u.test(text)) return hints;
  if (/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/.test(text)) hints.push("bidi_control");
  if (text.normalize("NFC") !== text) hints.push("not_nfc");
  for (const word of text.match(/[\p{L}\p{M}]+/gu) ?? []) {
    if (confusableScripts.filter((script) => script.test(word)).length > 1) {
      hints.push("mixed_script");
      break;
    }
  }
  return hints;
}

/** Scripts whose letters pass for one another's. */
const confusableScripts = [
  /\p{Script=Latin}/u,
  /\p{Script=Cyrillic}/u,
  /\p{Script=Greek}/u,
  /\p{Script=Armenian}/u,
  /\p{Script=Cherokee}/u,
];

function append(facts: Facts, list: string[], values: readonly string[]): void {
  for (const value of values) {
    if (list.length >= maxItems) {
      facts.truncated = true;
      return;
    }
    list.push(kept(facts, value));
  }
}

function kept(facts: Facts, text: string): string {
  // A JSON document in place of a name may hold a secret, and is nobody's name.
  if (/^\s*[{[]/.test(text) && text.includes('"')) return "[redacted]";
  if (text.length <= maxTextLength) return text;
  facts.truncated = true;
  // Never in the middle of a character: its half is no text, and bytes of UTF-8 cannot hold it.
  const isSplit = (text.codePointAt(maxTextLength - 1) ?? 0) > 0xffff;
  return text.slice(0, isSplit ? maxTextLength - 1 : maxTextLength);
}
