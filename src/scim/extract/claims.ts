// Reading what an entry says before anybody has verified it: a leaf and its attachments may be somebody's forgery, so
// every value is looked at before it is used, and a wrong one is as if it were not there.
// Promises: total, and nothing that PostgreSQL's text cannot hold comes out (a NUL, a lone surrogate).
import { type JsonDocument, parseStrictJson } from "../json.ts";

export type Claims = Readonly<Record<string, unknown>>;

/** Longer texts than any that the proxy writes into a leaf; an index row could not hold them. */
const MAX_TEXT = 256;
const MAX_LIST = 256;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const decoder = new TextDecoder("utf-8", { fatal: true });

/** The value as an object; undefined for anything else. */
export function asClaims(value: unknown): Claims | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Claims) : undefined;
}

export function claimsAt(claims: Claims | undefined, name: string): Claims | undefined {
  return asClaims(own(claims, name));
}

/** A text that can be stored, at most 256 characters of it. */
export function textAt(claims: Claims | undefined, name: string): string | undefined {
  const value = own(claims, name);
  return typeof value === "string" ? storable(value.slice(0, MAX_TEXT)) : undefined;
}

/** A whole number from 0 to 2³¹-1, PostgreSQL's integer. */
export function countAt(claims: Claims | undefined, name: string): number | undefined {
  const value = own(claims, name);
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 0x7fffffff
    ? Number(value)
    : undefined;
}

/** Milliseconds to the microsecond, so that PostgreSQL's real neither overflows nor underflows. */
export function millisecondsAt(claims: Claims | undefined, name: string): number | undefined {
  const value = own(claims, name);
  return typeof value === "number" && value >= 0 && value < 1e12
    ? Math.round(value * 1000) / 1000
    : undefined;
}

export function uuidAt(claims: Claims | undefined, name: string): string | undefined {
  const value = own(claims, name);
  return typeof value === "string" && UUID.test(value) ? value : undefined;
}

/** Epoch milliseconds of an RFC 3339 time as entries carry it. */
export function timeAt(claims: Claims | undefined, name: string): number | undefined {
  const value = own(claims, name);
  if (typeof value !== "string" || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value)) return undefined;
  const time = Date.parse(value);
  return Number.isNaN(time) ? undefined : time;
}

/** The texts of a list, at most 256 of them. */
export function textsAt(claims: Claims | undefined, name: string): string[] {
  return listAt(claims, name)
    .slice(0, MAX_LIST)
    .filter((value) => typeof value === "string")
    .map((value) => storable(value.slice(0, MAX_TEXT)));
}

export function listAt(claims: Claims | undefined, name: string): readonly unknown[] {
  const value = own(claims, name);
  return Array.isArray(value) ? value : [];
}

/** A JSON attachment that the proxy wrote; undefined if it is none. */
export function parseAttachment(bytes: Uint8Array | undefined): unknown {
  if (bytes === undefined) return undefined;
  try {
    return JSON.parse(decoder.decode(bytes));
  } catch {
    // Not UTF-8 or not JSON: not what the proxy wrote, and the verification's business.
    return undefined;
  }
}

/** A body as it was stored, read as strictly as when it came; undefined if it cannot be. */
export function parseBody(bytes: Uint8Array | undefined): JsonDocument | undefined {
  if (bytes === undefined) return undefined;
  const parsed = parseStrictJson(bytes, { topLevel: "any" });
  return parsed.ok ? parsed.document : undefined;
}

/** A copy that PostgreSQL's jsonb can hold; what lies deeper than 16 levels becomes null. */
export function storableJson(value: unknown, depth = 16): unknown {
  if (typeof value === "string") return storable(value);
  if (typeof value === "number" || typeof value === "boolean") return value;
  if (depth === 0) return null;
  if (Array.isArray(value)) return value.map((item) => storableJson(item, depth - 1));
  const claims = asClaims(value);
  if (!claims) return null;
  return Object.fromEntries(
    Object.entries(claims).map(([name, member]) => [storable(name), storableJson(member, depth - 1)]),
  );
}

function storable(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\ufffd");
}

function own(claims: Claims | undefined, name: string): unknown {
  return claims !== undefined && Object.hasOwn(claims, name) ? claims[name] : undefined;
}

/** A Bulk's operations: from what its entry says or, when they are too many for a leaf, from their attachment. */
export function operationsIn(claims: unknown, attachment: Uint8Array | undefined): (Claims | undefined)[] {
  const attached = parseAttachment(attachment);
  const list = Array.isArray(attached) ? attached : listAt(claimsAt(asClaims(claims), "scim"), "operations");
  return list.map(asClaims);
}

/** Operations, their results or facts by the number of the operation; of two with one number the first. */
export function byIndex(items: readonly (Claims | undefined)[]): Map<number, Claims> {
  const found = new Map<number, Claims>();
  for (const item of items) {
    const index = countAt(item, "index");
    if (item && index !== undefined && !found.has(index)) found.set(index, item);
  }
  return found;
}
