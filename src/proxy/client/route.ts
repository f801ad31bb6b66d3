// From the raw request target to a connector and a resource path. One canonical spelling is routed, recorded and
// forwarded; everything that another parser might read as another path is refused, not normalised (`new URL()` would
// normalise silently). RFC 3986 §6, RFC 7644 §3.2.

import { Refusal } from "../refusal.ts";

export interface Route {
  /** First path segment: the connector's name. */
  connector: string;
  /** Path below the base URL, raw, beginning with "/". */
  resourcePath: string;
  /** Raw query without "?", undefined if there is none. */
  query: string | undefined;
}

const PATH_CHARACTERS = /^[A-Za-z0-9\-._~!$&'()*+,=:@/%]*$/;
const QUERY_CHARACTERS = /^[\x21-\x22\x24-\x7e]*$/;
const BASE = /^\/([a-z0-9](?:[a-z0-9_-]{0,62}))\/scim\/v2(\/.*)?$/;

/** Splits a request target; throws `path_invalid` for a non-canonical one and `connector_unknown` outside any base URL. */
export function parseRoute(target: string): Route {
  if (!target.startsWith("/")) throw new Refusal("path_invalid", "The request target must be a path.");
  const mark = target.indexOf("?");
  const path = mark < 0 ? target : target.slice(0, mark);
  const query = mark < 0 ? undefined : target.slice(mark + 1);
  checkCanonical(path);
  if (query !== undefined && !QUERY_CHARACTERS.test(query)) {
    throw new Refusal("path_invalid", "The query holds a character that must be percent-encoded.");
  }
  const match = BASE.exec(path);
  const [, connector, resourcePath] = match ?? [];
  if (connector === undefined) throw new Refusal("connector_unknown");
  return { connector, resourcePath: resourcePath ?? "/", query };
}

function checkCanonical(path: string): void {
  if (!PATH_CHARACTERS.test(path)) throw new Refusal("path_invalid", "The path holds a forbidden character.");
  if (path.includes("//")) throw new Refusal("path_invalid", "The path holds an empty segment.");
  for (const segment of path.split("/")) checkSegment(segment);
}

function checkSegment(segment: string): void {
  let text: string;
  try {
    text = decodeURIComponent(segment);
  } catch (cause) {
    throw new Refusal("path_invalid", "The path holds a broken percent-encoding.", { cause });
  }
  // Encoded separators, dot segments and control characters: a target that decodes early, or twice, would see another
  // path.
  if (text === "." || text === ".." || /[/\\;?#\p{Cc}]|%[0-9A-Fa-f]{2}/u.test(text)) {
    throw new Refusal(
      "path_invalid",
      "The path holds an encoded separator, a dot segment or a control character.",
    );
  }
}
