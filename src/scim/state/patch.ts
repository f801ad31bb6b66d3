// A PATCH body (RFC 7644 §3.5.2) done to what is known of a resource, in the dialects that providers write: `Replace`,
// no path, no value, a list in place of one, a partial resource without operations (SCIM 1.1).
// Promises: total; an operation that cannot be read puts in doubt what it may have changed, and never more.
import { type JsonNode, memberOf } from "../json.ts";
import { type ChangeKind, changeAt, changeMembers, doubtAt, putInDoubt } from "./change.ts";
import type { Complex } from "./knowledge.ts";
import { type Reading, resolveText } from "./learn.ts";
import { locate } from "./locate.ts";

/** The resource after all operations of a body. */
export function patchResource(resource: Complex, body: JsonNode | undefined, reading: Reading): Complex {
  const operations = memberOf(body, "operations");
  if (operations === undefined) {
    return body?.kind === "object" ? changeMembers(resource, "replace", body, reading) : putInDoubt(resource);
  }
  const list = operations.kind === "array" ? operations.items : [operations];
  return list.reduce((after, operation) => patchOnce(after, operation, reading), resource);
}

function patchOnce(resource: Complex, operation: JsonNode, reading: Reading): Complex {
  const path = memberOf(operation, "path");
  const value = memberOf(operation, "value");
  const kind = kindOf(memberOf(operation, "op"));
  if (kind === undefined) {
    return path?.kind === "string" ? doubtAt(resource, path.value) : putInDoubt(resource);
  }
  if (path === undefined || isAbsent(path)) return patchPathless(resource, kind, value, reading);
  if (path.kind !== "string") return putInDoubt(resource);
  const place = locate(resolveText(path.value, reading));
  if (place === undefined) return doubtAt(resource, path.value);
  return changeAt(resource, kind, place, value, reading);
}

function patchPathless(
  resource: Complex,
  kind: ChangeKind,
  value: JsonNode | undefined,
  reading: Reading,
): Complex {
  if (value?.kind === "object") return changeMembers(resource, kind, value, reading);
  if (value?.kind !== "array") return putInDoubt(resource);
  let after = resource;
  for (const item of value.items) {
    after = item.kind === "object" ? changeMembers(after, kind, item, reading) : putInDoubt(after);
  }
  return after;
}

function kindOf(op: JsonNode | undefined): ChangeKind | undefined {
  if (op?.kind !== "string") return undefined;
  const word = op.value.trim().toLowerCase();
  return word === "add" || word === "replace" || word === "remove" ? word : undefined;
}

/** OneLogin writes explicit nulls; an empty path is no path. */
function isAbsent(path: JsonNode): boolean {
  return (
    (path.kind === "scalar" && path.value === null) || (path.kind === "string" && path.value.trim() === "")
  );
}
