// PATCH bodies (RFC 7644 §3.5.2) as identity providers write them: `Replace` for `replace`, operations without a path,
// without a value, with either in the other's shape.
// Promises: total; an operation it cannot read is noted as unparsed and still searched for what it touches.
// Leaves out: whether the operation is allowed; the target decides that.
import { addPath, type Change, type Findings, observeAttribute, observeAttributes } from "./effect.ts";
import { type JsonNode, memberOf } from "./json.ts";
import { parseAttributePath } from "./path.ts";

/** Reads every operation of a PATCH body. */
export function observePatch(findings: Findings, root: JsonNode): void {
  const operations = memberOf(root, "operations");
  if (operations === undefined) {
    // SCIM 1.1 sent a partial resource: unread as a PATCH, but a deactivation in it should not go unseen.
    findings.unparsed.add("body");
    if (root.kind === "object") observeAttributes(findings, "replace", root);
    return;
  }
  if (operations.kind === "array") {
    for (const operation of operations.items) observeOperation(findings, operation);
    return;
  }
  findings.unparsed.add("patch_operation");
  observeOperation(findings, operations);
}

function observeOperation(findings: Findings, operation: JsonNode): void {
  if (operation.kind !== "object") {
    findings.unparsed.add("patch_operation");
    return;
  }
  const change = changeOf(memberOf(operation, "op"));
  if (change === undefined) findings.unparsed.add("patch_operation");
  const path = memberOf(operation, "path");
  const value = memberOf(operation, "value");
  if (path === undefined || isAbsent(path)) {
    observePathless(findings, change ?? "replace", value);
  } else if (path.kind === "string") {
    observeAttribute(findings, change ?? "replace", parseAttributePath(path.value), value);
  } else {
    findings.unparsed.add("patch_operation");
    addPath(findings, "?");
  }
}

function observePathless(findings: Findings, change: Change, value: JsonNode | undefined): void {
  if (value?.kind === "object") {
    observeAttributes(findings, change, value);
    return;
  }
  findings.unparsed.add("patch_operation");
  if (value?.kind !== "array") return;
  for (const item of value.items) if (item.kind === "object") observeAttributes(findings, change, item);
}

/** `op` in any case: Entra sends `Add`, `Replace`, `Remove`. */
function changeOf(op: JsonNode | undefined): Change | undefined {
  if (op?.kind !== "string") return undefined;
  const word = op.value.toLowerCase();
  return word === "add" || word === "replace" || word === "remove" ? word : undefined;
}

/** OneLogin writes explicit nulls; an empty path is no path. */
function isAbsent(path: JsonNode): boolean {
  return (
    (path.kind === "scalar" && path.value === null) || (path.kind === "string" && path.value.trim() === "")
  );
}
