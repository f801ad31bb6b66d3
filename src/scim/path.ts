// Attribute paths (RFC 7644 §3.5.2, figure 7): what a PATCH `path`, or a dotted or URN-qualified member name, points at.
// Promises: total; the `text` it gives back holds attribute names only, never a literal of a filter, so that it may
// stand in a leaf; the core schemas' URN is dropped, an extension's is kept.
// Leaves out: whether a schema knows the attribute.
import { equalTo, formatFilterShape, parseFilter } from "./filter.ts";

export interface AttributePath {
  /** Whether all of it followed the ABNF: attribute, filter and sub-attribute. */
  readonly problem?: "path" | "path_filter";
  /** An extension's schema URN as sent; undefined for core attributes. */
  readonly urn?: string;
  /** Lower case; empty when the path names a whole schema. */
  readonly attribute: string;
  /** Lower case. */
  readonly subAttribute?: string;
  readonly filtered: boolean;
  /** The ids of a filter such as `value eq "x"`, when it selects by them alone. Personal. */
  readonly filterValues?: readonly string[];
  /** For the record: at most 128 characters, literals as `?`, anything unreadable as `?`. */
  readonly text: string;
}

const maxTextLength = 128;
const attributeName = /^(?:[A-Za-z][\w-]*|\$ref)$/;
const urnName = /^urn:[A-Za-z0-9][A-Za-z0-9-]{0,31}:[\w.:-]*[\w-]$/i;
const coreUrn = /^urn:(?:ietf:params:scim:schemas:core:2\.0|scim:schemas:core:1\.0)(?::[A-Za-z]+)?$/i;
/** A schema and nothing more: `…:2.0:User` has its version right before its last name. */
const schemaUrn = /:\d+(?:\.\d+)+(?::[A-Za-z][\w-]*)?$/;

/** Reads a path, or a member's name, which may be a path too (Entra's `"name.givenName"`). */
export function parseAttributePath(text: string): AttributePath {
  if (attributeName.test(text)) {
    return { attribute: text.toLowerCase(), filtered: false, text: text.length > maxTextLength ? "?" : text };
  }
  const open = text.indexOf("[");
  const head = (open === -1 ? text : text.slice(0, open)).trim();
  const named = parseNames(head);
  if (open === -1) return named;
  const close = closingBracket(text, open);
  const tail = close === -1 ? "" : text.slice(close + 1).trim();
  const filter = close === -1 ? undefined : parseFilter(text.slice(open + 1, close));
  const shape = filter === undefined ? undefined : formatFilterShape(filter);
  const subAttribute = attributeName.test(tail.slice(1)) && tail[0] === "." ? tail.slice(1) : undefined;
  const clear = subAttribute !== undefined || tail === "";
  const filterValues = filter === undefined ? undefined : equalTo(filter, "value");
  const problem = named.problem ?? (shape === undefined || !clear ? "path_filter" : undefined);
  const bracket = shape !== undefined && clear ? `[${shape}]` : "[?]";
  const end = subAttribute === undefined ? "" : `.${subAttribute}`;
  return {
    ...named,
    ...(problem === undefined ? {} : { problem }),
    ...(subAttribute === undefined ? {} : { subAttribute: subAttribute.toLowerCase() }),
    ...(filterValues === undefined ? {} : { filterValues }),
    filtered: true,
    text: shorten(`${named.text}${bracket}${end}`, `${named.text}[?]${end}`),
  };
}

/** The part before any filter: `[urn:]attribute[.sub]`. */
function parseNames(text: string): AttributePath {
  if (urnName.test(text) && schemaUrn.test(text)) {
    const core = coreUrn.test(text);
    return {
      ...(core ? {} : { urn: text }),
      attribute: "",
      filtered: false,
      text: core ? "" : shorten(text, "?"),
    };
  }
  const colon = text.lastIndexOf(":");
  const urn = colon === -1 ? undefined : text.slice(0, colon);
  const [attribute = "", ...subs] = text.slice(colon + 1).split(".", 16);
  const readable =
    (urn === undefined || urnName.test(urn)) &&
    attributeName.test(attribute) &&
    subs.every((sub) => attributeName.test(sub));
  const kept = urn === undefined || coreUrn.test(urn) ? undefined : urn;
  const names = [attribute, ...subs].join(".");
  const whole = kept === undefined ? names : `${kept}:${names}`;
  return {
    ...(readable && subs.length < 2 ? {} : { problem: "path" as const }),
    ...(kept === undefined ? {} : { urn: kept }),
    attribute: attribute.toLowerCase(),
    ...(subs.length === 0 ? {} : { subAttribute: subs.join(".").toLowerCase() }),
    filtered: false,
    text: readable ? shorten(whole, "?") : "?",
  };
}

/** The bracket that closes the one at `open`; one inside a quoted literal does not count. -1 if there is none. */
function closingBracket(text: string, open: number): number {
  let quoted = false;
  for (let i = open + 1; i < text.length; i++) {
    const char = text[i];
    if (quoted && char === "\\") i++;
    else if (char === '"') quoted = !quoted;
    else if (!quoted && char === "]") return i;
  }
  return -1;
}

function shorten(text: string, otherwise: string): string {
  if (text.length <= maxTextLength) return text;
  return otherwise.length <= maxTextLength ? otherwise : "?";
}
