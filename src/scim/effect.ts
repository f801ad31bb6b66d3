// What a change does, in the words auditors ask in: which effects setting, replacing or removing one attribute has.
// Promises: total; the same reading whether an attribute comes in a resource's body, under a PATCH path, or under a
// dotted or URN-qualified name in a path-less value, since identity providers use them all for the same thing.
// Leaves out: what the target makes of it. These are effects asked for; the outcome says whether they happened.
import { addListFacts, addMemberFacts, addTextFact, type Facts, isWhollyRead, valuesOf } from "./facts.ts";
import { type JsonNode, type JsonObject, memberOf, stringMember } from "./json.ts";
import { type AttributePath, parseAttributePath } from "./path.ts";
import { isSecret, type Secrets } from "./secret.ts";

export type Effect =
  | "activate"
  | "create"
  | "deactivate"
  | "delete"
  | "membership-add"
  | "membership-remove"
  | "membership-replace"
  | "password"
  | "replace"
  | "role"
  | "update";

/** Why something was recorded but not fully understood. */
export type UnparsedCode =
  | "active_value"
  | "body"
  | "bulk_operation"
  | "method"
  | "patch_operation"
  | "path"
  | "path_filter"
  | "query_filter"
  | "resource_path"
  | "too_many_paths";

/** Filled while a write is read. */
export interface Findings {
  readonly effects: Set<Effect>;
  readonly paths: Set<string>;
  readonly unparsed: Set<UnparsedCode>;
  readonly facts: Facts;
  readonly secrets: Secrets;
}

/** How an attribute is changed: as part of a new or a whole resource, or by one PATCH operation. */
export type Change = "create" | "put" | "add" | "replace" | "remove";

const maxPaths = 64;

export function newFindings(secrets: Secrets): Findings {
  return { effects: new Set(), paths: new Set(), unparsed: new Set(), facts: {}, secrets };
}

/** Notes a touched path, at most 64 of them. */
export function addPath(findings: Findings, path: string): void {
  if (path === "" || findings.paths.has(path)) return;
  if (findings.paths.size < maxPaths) findings.paths.add(path);
  else findings.unparsed.add("too_many_paths");
}

/** Reads a resource's attributes: the body of a create or PUT, or the value of a path-less PATCH operation. */
export function observeAttributes(
  findings: Findings,
  change: Change,
  resource: JsonObject,
  urn?: string,
): void {
  for (const member of resource.members) {
    if (urn === undefined && (member.key === "schemas" || member.key === "meta" || member.key === "id"))
      continue;
    const path = parseAttributePath(urn === undefined ? member.name : `${urn}:${member.name}`);
    observeAttribute(findings, change, path, member.value);
  }
}

/** Reads one attribute's change. `value` is undefined where the operation has none. */
export function observeAttribute(
  findings: Findings,
  change: Change,
  path: AttributePath,
  value: JsonNode | undefined,
): void {
  if (path.problem !== undefined) findings.unparsed.add(path.problem);
  if (path.attribute === "") {
    // A schema as the name: its attributes stand inside, as in `"urn:…:enterprise:2.0:User": {…}`.
    if (value?.kind === "object") observeAttributes(findings, change, value, path.urn);
    else addPath(findings, path.text);
    return;
  }
  addPaths(findings, path, value);
  if (path.attribute === "password") findings.effects.add("password");
  if (path.attribute === "roles" || path.attribute === "entitlements") {
    observeRoles(findings, change, path, value);
  }
  // An extension's `active` or `members` is another attribute, of a meaning nobody here can know.
  if (path.urn !== undefined) return;
  if (path.attribute === "active") observeActive(findings, change, value);
  if (path.attribute === "members") observeMembers(findings, change, path, value);
  if (change !== "remove") observeFacts(findings, path, value);
}

/** `name: {givenName}` touches `name.givenName`; arrays and plain values touch the attribute itself. */
function addPaths(findings: Findings, path: AttributePath, value: JsonNode | undefined): void {
  if (value?.kind !== "object" || value.members.length === 0 || path.subAttribute !== undefined) {
    addPath(findings, path.text);
    return;
  }
  for (const member of value.members) {
    const sub = parseAttributePath(member.name);
    const plain = sub.problem === undefined && sub.urn === undefined && !sub.filtered && sub.attribute !== "";
    const whole = `${path.text}.${plain ? sub.text : "?"}`;
    addPath(findings, whole.length > 128 ? path.text : whole);
  }
}

function observeActive(findings: Findings, change: Change, value: JsonNode | undefined): void {
  if (change === "create") return; // a new account is created, active or not; nothing was switched
  const active = change === "remove" ? undefined : activeOf(value);
  if (active === undefined) findings.unparsed.add("active_value");
  else findings.effects.add(active ? "activate" : "deactivate");
}

/** `false`, Entra's `"False"`, and either of them wrapped in an array or an object. */
export function activeOf(node: JsonNode | undefined): boolean | undefined {
  switch (node?.kind) {
    case "string": {
      const word = node.value.trim().toLowerCase();
      return word === "true" ? true : word === "false" ? false : undefined;
    }
    case "scalar":
      return typeof node.value === "boolean" ? node.value : undefined;
    case "array":
      return node.items.length === 1 ? activeOf(node.items[0]) : undefined;
    case "object":
      return activeOf(memberOf(node, "value") ?? memberOf(node, "active"));
    case undefined:
      return undefined;
  }
}

function observeRoles(
  findings: Findings,
  change: Change,
  path: AttributePath,
  value: JsonNode | undefined,
): void {
  const empty = value === undefined || (value.kind === "array" && value.items.length === 0) || isNull(value);
  if (change !== "create" || !empty) findings.effects.add("role");
  if (change === "remove") return;
  if (path.subAttribute === undefined || path.subAttribute === "value") {
    addListFacts(findings.facts, findings.secrets, "roles", path.attribute, value);
  }
}

function observeMembers(
  findings: Findings,
  change: Change,
  path: AttributePath,
  value: JsonNode | undefined,
): void {
  const { subAttribute } = path;
  // A member's `display` or `type` changes nothing about who is in the group.
  if (subAttribute !== undefined && subAttribute !== "value" && subAttribute !== "$ref") return;
  const { facts, secrets, effects } = findings;
  const named = [...(path.filterValues ?? []), ...valuesOf(value)];
  switch (change) {
    case "create":
      if (named.length === 0) return;
      effects.add("membership-add");
      addMemberFacts(facts, secrets, "added", named);
      return;
    case "add":
      effects.add("membership-add");
      addMemberFacts(facts, secrets, "added", named);
      return;
    case "remove":
      effects.add("membership-remove");
      addMemberFacts(facts, secrets, "removed", named);
      if (facts.members !== undefined) {
        const isNamed = path.filtered ? path.filterValues !== undefined : isWhollyRead(value);
        facts.members.removedNamed = isNamed && facts.members.removedNamed !== false;
        if (named.length === 0 && !path.filtered) facts.members.removedAll = true;
      }
      return;
    case "put":
    case "replace":
      effects.add("membership-replace");
      if (path.filtered) {
        // Not the list but one member of it is put in place of another.
        addMemberFacts(facts, secrets, "removed", path.filterValues ?? []);
        addMemberFacts(facts, secrets, "added", valuesOf(value));
      } else {
        addMemberFacts(facts, secrets, "replaced", named);
      }
      return;
  }
}

function observeFacts(findings: Findings, path: AttributePath, value: JsonNode | undefined): void {
  const { facts, secrets } = findings;
  const text = value?.kind === "string" ? value.value : undefined;
  switch (path.attribute) {
    case "username":
      addTextFact(facts, secrets, "userName", ["username"], text);
      return;
    case "externalid":
      addTextFact(facts, secrets, "externalId", ["externalid"], text);
      return;
    case "displayname":
      addTextFact(facts, secrets, "displayName", ["displayname"], text);
      return;
    case "name":
      if (path.subAttribute === "formatted") {
        addTextFact(facts, secrets, "formattedName", ["name", "formatted"], text);
      } else if (path.subAttribute === undefined) {
        addTextFact(facts, secrets, "formattedName", ["name", "formatted"], formattedName(secrets, value));
      }
      return;
    case "emails":
      if (path.subAttribute === undefined || path.subAttribute === "value") {
        addListFacts(facts, secrets, "emails", "emails", value);
      }
      return;
  }
}

function formattedName(secrets: Secrets, name: JsonNode | undefined): string | undefined {
  const formatted = stringMember(name, "formatted");
  if (formatted !== undefined && formatted !== "") return formatted;
  const parts = ["givenname", "familyname"]
    .filter((part) => !isSecret(secrets, ["name", part], 0))
    .map((part) => stringMember(name, part))
    .filter((part) => part !== undefined && part !== "");
  return parts.length === 0 ? undefined : parts.join(" ");
}

function isNull(node: JsonNode): boolean {
  return node.kind === "scalar" && node.value === null;
}
