// Locations in answers (RFC 7643 §3.1 `meta.location`, §2.4 `$ref`, RFC 7644 §3.7 Bulk `location`): those below the
// target's base URL become the connector's, or clients would follow them past the proxy and past the record.
// Promises: a URL matches as a URL does (scheme and host in any case, default port or none) and only at a path boundary;
// every byte outside the rewritten strings stays; an answer without such a URL comes back as the same buffer.
// Leaves out: URLs inside other text, and relative ones that a client resolves against the proxy by itself.
import { applyEdits, type JsonDocument, type JsonEdit, type JsonNode } from "./json.ts";

/** Rewrites the values of `location` and `$ref`, at any depth, from the target's base URL to the public one. */
export function rewriteLocations(document: JsonDocument, from: string, to: string): Uint8Array {
  const base = parseBase(from);
  if (base === undefined) return document.bytes;
  const edits: JsonEdit[] = [];
  collect(document.root, base, trimSlash(to), edits);
  return applyEdits(document, edits);
}

/**
 * Rewrites one URL, as in a `Location` or `Content-Location` header; one that is not below `from` comes back as it is.
 * A root-relative one (`/scim/v2/Users/1`) is below the target's base as well (RFC 9110 §10.2.2).
 */
export function rewriteLocation(url: string, from: string, to: string): string {
  const base = parseBase(from);
  return (base === undefined ? undefined : rewritten(url, base, trimSlash(to), true)) ?? url;
}

interface BaseUrl {
  readonly scheme: string;
  readonly authority: string;
  /** Without a slash at its end; empty for a base at the root. */
  readonly path: string;
}

const urlParts = /^(?:([a-z][a-z0-9+.-]*):)?\/\/([^/?#\\]*)(.*)$/is;

function parseBase(url: string): BaseUrl | undefined {
  const parts = urlParts.exec(url);
  if (parts?.[1] === undefined) return undefined;
  const scheme = parts[1].toLowerCase();
  const path = trimSlash((parts[3] ?? "").split(/[?#]/, 1)[0] ?? "");
  return { scheme, authority: foldAuthority(scheme, parts[2] ?? ""), path };
}

function collect(node: JsonNode, base: BaseUrl, to: string, edits: JsonEdit[]): void {
  if (node.kind === "array") {
    for (const item of node.items) collect(item, base, to, edits);
  } else if (node.kind === "object") {
    for (const { key, value } of node.members) {
      if (value.kind !== "string") collect(value, base, to, edits);
      else if (key === "location" || key === "$ref") {
        // At a root base any path would match, and `location` may be an attribute about a place.
        const url = rewritten(value.value, base, to, base.path !== "");
        if (url !== undefined) edits.push({ start: value.start, end: value.end, text: JSON.stringify(url) });
      }
    }
  }
}

/** The URL below `to`, or undefined if it is not below the base. */
function rewritten(url: string, base: BaseUrl, to: string, rootRelative: boolean): string | undefined {
  const parts = urlParts.exec(url);
  let rest: string;
  if (parts !== null) {
    const scheme = parts[1]?.toLowerCase() ?? base.scheme;
    if (scheme !== base.scheme || foldAuthority(scheme, parts[2] ?? "") !== base.authority) return undefined;
    rest = parts[3] ?? "";
  } else {
    if (!rootRelative || !url.startsWith("/")) return undefined;
    rest = url;
  }
  if (!rest.startsWith(base.path)) return undefined;
  const below = rest.slice(base.path.length);
  return below === "" || /^[/?#]/.test(below) ? `${to}${below}` : undefined;
}

function foldAuthority(scheme: string, authority: string): string {
  const folded = authority.toLowerCase();
  const defaultPort = scheme === "https" ? ":443" : scheme === "http" ? ":80" : undefined;
  if (defaultPort !== undefined && folded.endsWith(defaultPort)) return folded.slice(0, -defaultPort.length);
  return folded.endsWith(":") ? folded.slice(0, -1) : folded;
}

function trimSlash(url: string): string {
  return url.replace(/\/+$/, "");
}
