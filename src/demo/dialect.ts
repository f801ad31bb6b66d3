// The demo target's tolerance: turns what Okta, Entra and others send into the RFC 7644 that scimmy reads.
// Every real service provider has such a layer. It belongs to the target alone: it works on the parsed body, after the
// journal took the digest of the bytes, and the proxy neither knows nor needs it. Unknown shapes pass through, so that
// scimmy refuses them in its own words.

import type { Directory, StoredResource } from "./directory.ts";

type Json = Record<string, unknown>;

const PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/** Rewrites one parsed body for scimmy. `path` is relative to the SCIM base; `directory` tells what a PATCH filter would hit. */
export function normaliseBody(method: string, path: string, body: unknown, directory: Directory): unknown {
  if (!isObject(body)) return body;
  if (method === "POST" && path.endsWith("/.search")) return body;
  if (method === "POST" && path === "/Bulk") return normaliseBulk(body, directory);
  if (method === "PATCH") return normalisePatch(body, stored(path, directory));
  return normaliseValue(body);
}

function normaliseBulk(body: Json, directory: Directory): Json {
  if (!Array.isArray(body.Operations)) return body;
  return {
    ...body,
    Operations: body.Operations.map((operation: unknown) => {
      if (!isObject(operation) || !isObject(operation.data)) return operation;
      const method = String(operation.method).toUpperCase();
      return { ...operation, data: normaliseBody(method, String(operation.path), operation.data, directory) };
    }),
  };
}

function normalisePatch(body: Json, current: StoredResource | undefined): Json {
  if (!Array.isArray(body.Operations)) return body;
  return {
    schemas: body.schemas ?? [PATCH_OP],
    Operations: body.Operations.flatMap((operation: unknown) => {
      if (!isObject(operation)) return [operation];
      return splitPathless(operation).flatMap((single) => {
        const plain = normaliseOperation(single, current);
        return needsCollection(plain, current)
          ? [{ op: "add", path: plain.path, value: [] }, plain]
          : [plain];
      });
    }),
  };
}

/** scimmy appends where a path-less replace of a collection should replace; with one path an attribute it does not. */
function splitPathless(operation: Json): Json[] {
  const op = String(operation.op).toLowerCase();
  if (operation.path !== undefined || !isObject(operation.value)) return [{ ...operation, op }];
  // Okta repeats the read-only id in every group rename.
  const names = Object.keys(operation.value).filter((name) => !["id", "schemas", "meta"].includes(name));
  return names.map((path) => ({ op, path, value: (operation.value as Json)[path] }));
}

function normaliseOperation(operation: Json, current: StoredResource | undefined): Json {
  const { op, value } = operation;
  if (typeof operation.path !== "string") return operation;
  // RFC 7644 §3.10 allows the resource's own URN before an attribute; scimmy reads it and then cannot set it.
  const path = operation.path.replace(/^urn:ietf:params:scim:schemas:core:2\.0:(User|Group):/i, "");
  if (value === undefined) return { op, path };
  if (value === null) return { op: "remove", path };
  const plain = normaliseMember(path, value);
  const filtered = /^(\w+)\[(\w+) eq "?([^"\]]*)"?\](?:\.(\w+))?$/i.exec(path);
  if (op === "remove" || filtered === null) return { op, path, value: plain };
  const [, attribute = "", key = "", literal = "", leaf] = filtered;
  const elements = current?.[attribute];
  if (Array.isArray(elements) && elements.some((element) => String(element[key]) === lowerBoolean(literal))) {
    return { op, path, value: plain };
  }
  // Nothing matches: both vendors mean "then make one" (RFC 7644 §3.5.2.3 would answer noTarget).
  const made = {
    [key]: normaliseMember(key, literal),
    ...(leaf === undefined ? asElement(plain) : { [leaf]: plain }),
  };
  return { op: "add", path: attribute, value: [made] };
}

/** Removing named values from a collection that is not there changes nothing; scimmy needs one to look in. */
function needsCollection({ op, path, value }: Json, current: StoredResource | undefined): boolean {
  return op === "remove" && value !== undefined && path === "members" && !Array.isArray(current?.members);
}

function asElement(value: unknown): Json {
  const first: unknown = Array.isArray(value) ? value[0] : value;
  return isObject(first) ? first : { value: first };
}

/** Explicit nulls mean "no value" (RFC 7643 §2.5); scimmy takes some for a broken reference. */
function normaliseValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(normaliseValue);
  if (!isObject(value)) return value;
  const kept = Object.entries(value).filter(([, member]) => member !== null);
  return Object.fromEntries(kept.map(([name, member]) => [name, normaliseMember(name, member)]));
}

function normaliseMember(name: string, value: unknown): unknown {
  const leaf = name.slice(Math.max(name.lastIndexOf("."), name.lastIndexOf(":")) + 1).toLowerCase();
  if ((leaf === "active" || leaf === "primary") && typeof value === "string") {
    const lower = value.toLowerCase();
    if (lower === "true" || lower === "false") return lower === "true";
  }
  if (leaf === "manager") return normaliseValue(asElement(value));
  return normaliseValue(value);
}

function lowerBoolean(literal: string): string {
  return /^(true|false)$/i.test(literal) ? literal.toLowerCase() : literal;
}

function stored(path: string, directory: Directory): StoredResource | undefined {
  const [, kind, id = ""] = /^\/(User|Group)s\/([^/?]+)/.exec(path) ?? [];
  return kind === undefined ? undefined : directory[kind === "User" ? "User" : "Group"].get(id);
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
