/**
 * The Authorization header (RFC 9110 §11.6.2) as identity providers send it.
 * Okta's "HTTP header" mode may send a token bare, so a value that is exactly a token of ours counts as Bearer.
 */
import { isToken } from "./credential.ts";

/** What a header says. */
export type Presented =
  | { scheme: "bearer"; token: string }
  | { scheme: "basic"; username: string; password: string };

/** Longest header value that is looked at: a JWT with many claims is a few KiB. */
const MAX_LENGTH = 16_384;

/** Reads a header; undefined for anything that is not plainly one of the two schemes. */
export function parseAuthorization(value: string | undefined): Presented | undefined {
  if (value === undefined || value.length > MAX_LENGTH) return undefined;
  const space = value.indexOf(" ");
  if (space < 0) return isToken(value) ? { scheme: "bearer", token: value } : undefined;
  const scheme = value.slice(0, space).toLowerCase();
  const rest = value.slice(space).trim();
  if (scheme === "bearer")
    return /^[A-Za-z0-9._~+/-]+=*$/.test(rest) ? { scheme: "bearer", token: rest } : undefined;
  return scheme === "basic" ? parseBasic(rest) : undefined;
}

/** RFC 7617: base64 of `user:password` in UTF-8; the first colon ends the user. */
function parseBasic(encoded: string): Presented | undefined {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(encoded)) return undefined;
  const text = Buffer.from(encoded, "base64").toString("utf8");
  const colon = text.indexOf(":");
  if (colon < 0) return undefined;
  return { scheme: "basic", username: text.slice(0, colon), password: text.slice(colon + 1) };
}
