// Where in a resource a path points (RFC 7644 §3.5.2): the schema, the attribute, which of its values, the sub-attribute.
// Promises: total; a path that nobody can read is `undefined`, and the caller knows then that he does not know.
// Leaves out: whether there is such a place; that depends on the resource.
import { type Filter, parseFilter } from "../filter.ts";
import { parseAttributePath } from "../path.ts";
import { type Name, nameOf } from "./attributes.ts";

export interface Location {
  /** An extension's schema; undefined for core attributes. */
  readonly schema?: Name;
  /** Undefined: the path names the whole schema. */
  readonly attribute?: Name;
  /** Which values of the attribute. */
  readonly filter?: Filter;
  readonly sub?: Name;
}

const known = new Map<string, Location | undefined>();
const maxKnown = 2_000;

/** Reads a PATCH path or a member's name, which may be one too (Entra's `"name.givenName"`). */
export function locate(path: string): Location | undefined {
  // Hardly any path is new: attribute names, but for those that name a member.
  if (known.has(path)) return known.get(path);
  const location = read(path.trim());
  if (known.size >= maxKnown) known.clear();
  if (path.length <= 256) known.set(path, location);
  return location;
}

function read(path: string): Location | undefined {
  const { problem, urn, attribute, filtered } = parseAttributePath(path);
  if (problem !== undefined) return undefined;
  const schema = urn === undefined ? {} : { schema: { key: urn.toLowerCase(), text: urn } };
  if (attribute === "") return schema;
  const open = filtered ? path.indexOf("[") : path.length;
  const head = path.slice(0, open).trim();
  const [name = "", inner] = head.slice(head.lastIndexOf(":") + 1).split(".", 2);
  if (!filtered) {
    return { ...schema, attribute: nameOf(name), ...(inner === undefined ? {} : { sub: nameOf(inner) }) };
  }
  // `emails.x[…]` has no meaning.
  if (inner !== undefined) return undefined;
  const tail = /\]\s*(?:\.([\w$-]+))?\s*$/.exec(path);
  const filter = tail === null ? undefined : parseFilter(path.slice(open + 1, tail.index));
  if (filter === undefined) return undefined;
  const sub = tail?.[1];
  return { ...schema, attribute: nameOf(name), filter, ...(sub === undefined ? {} : { sub: nameOf(sub) }) };
}
