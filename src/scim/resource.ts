// Resource paths (RFC 7644 §3.2): which endpoint a path below the base URL names, and whether a request only reads.
// Promises: total; what it does not know is `unknown` and thus a write, never a read: a path spelled to look like a
// search must not slip past the record.
// Leaves out: canonical spelling of the path; the proxy refuses dot segments and the like before it asks here.

export interface ResourcePath {
  readonly kind: "collection" | "resource" | "bulk" | "search" | "unknown";
  /** `User`, `Group`, `Me`, `Bulk`, another collection's own name, or `Unknown`. */
  readonly resourceType: string;
  /** Percent-decoded. May be personal. */
  readonly resourceId?: string;
}

const knownTypes: ReadonlyMap<string, string> = new Map([
  ["users", "User"],
  ["groups", "Group"],
  ["me", "Me"],
  ["bulk", "Bulk"],
]);

/** The type that an account is kept under: whose `/Me` is, is a user (RFC 7644 §3.11), the same that `/Users/…` shows. */
export function accountType(resourceType = "Unknown"): string {
  return resourceType === "Me" ? "User" : resourceType;
}

/** Reads the path below the base URL, still percent-encoded, without its query. */
export function parseResourcePath(path: string): ResourcePath {
  const segments = path.split("/", 8);
  if (segments[0] === "") segments.shift();
  if (segments.at(-1) === "") segments.pop();
  const [collection, id] = segments;
  if (collection === undefined) return { kind: "unknown", resourceType: "Unknown" };
  if (collection === ".search") {
    return { kind: segments.length === 1 ? "search" : "unknown", resourceType: "Unknown" };
  }
  const resourceType = resourceTypeOf(collection);
  const alone = segments.length === 1;
  if (resourceType === "Bulk") return { kind: alone ? "bulk" : "unknown", resourceType };
  if (resourceType === "Me" && alone) return { kind: "resource", resourceType };
  if (id === undefined) return { kind: resourceType === "Unknown" ? "unknown" : "collection", resourceType };
  if (id === ".search" && segments.length === 2) return { kind: "search", resourceType };
  const resourceId = decodeSegment(id);
  const clear =
    segments.length === 2 && resourceId !== undefined && resourceType !== "Unknown" && resourceType !== "Me";
  if (id === "") return { kind: "unknown", resourceType };
  return { kind: clear ? "resource" : "unknown", resourceType, resourceId: resourceId ?? id };
}

/** Whether a request only reads: GET, HEAD, and POST to `/.search` or `/{collection}/.search` (RFC 7644 §3.4.3). */
export function isRead(method: string, resourcePath: string): boolean {
  if (method === "GET" || method === "HEAD") return true;
  // Only the exact spelling: another case, an encoded dot or a slash behind it is a write, and recorded.
  return (
    method === "POST" &&
    resourcePath.endsWith("/.search") &&
    parseResourcePath(resourcePath).kind === "search"
  );
}

/** A percent-decoded path segment; undefined if it does not decode. */
export function decodeSegment(segment: string): string | undefined {
  if (!segment.includes("%")) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    // URIError: the caller keeps the text as it came and records the path as unparsed.
    return undefined;
  }
}

function resourceTypeOf(collection: string): string {
  const known = knownTypes.get(collection.toLowerCase());
  if (known !== undefined) return known;
  return /^[A-Za-z][A-Za-z0-9_-]{0,63}$/.test(collection) ? collection : "Unknown";
}
