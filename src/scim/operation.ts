// What a SCIM request asks for (RFC 7644 §3), for the audit: action, resource, effects, paths, and the personal facts
// apart from them.
// Promises: total. It never throws and never decides whether to record; what it cannot read it names in `unparsed`.
// Nothing but `resourceId` and `facts` may hold personal data: those two are the caller's to tokenise and to seal.
// Leaves out: schemas and rights. It reads dialects, it does not judge them.
import { type BulkOperation, readBulkOperations } from "./bulk.ts";
import {
  activeOf,
  addPath,
  type Effect,
  type Findings,
  newFindings,
  observeAttributes,
  type UnparsedCode,
} from "./effect.ts";
import { isScimType, type ScimType } from "./error.ts";
import { addFilterFact, addMemberFacts, addQueryFact, type Facts } from "./facts.ts";
import { parseFilter } from "./filter.ts";
import { type JsonDocument, type JsonNode, memberOf, stringMember } from "./json.ts";
import { observePatch } from "./patch.ts";
import { parseResourcePath, type ResourcePath } from "./resource.ts";
import { secretsOf } from "./secret.ts";

export type { Effect, UnparsedCode } from "./effect.ts";
export type { Facts, MemberFacts, UnicodeHint } from "./facts.ts";
export { isRead } from "./resource.ts";

export type ScimAction = "create" | "replace" | "update" | "delete" | "bulk" | "search" | "read" | "other";

/** One operation of a Bulk request. */
export interface OperationIndex {
  index: number;
  action: ScimAction;
  resourceType: string;
  /** May be personal. */
  resourceId?: string;
  effects: Effect[];
  paths: string[];
  parsed: boolean;
  /** The position of the operation whose result this one refers to; not its bulkId, which the client chose. */
  bulkIdRef?: number;
}

export interface Understanding {
  /** False: recorded, but not wholly understood; `unparsed` says in which respects. */
  parsed: boolean;
  unparsed: UnparsedCode[];
  action: ScimAction;
  /** `User`, `Group`, `Me`, `Bulk`, another collection's name, or `Unknown`. */
  resourceType: string;
  /** Percent-decoded. May be personal. */
  resourceId?: string;
  /** Sorted, unique. */
  effects: Effect[];
  /** Attribute paths touched, without literals; sorted, unique, at most 64 of at most 128 characters. */
  paths: string[];
  /** Bulk only: every operation, in the request's order. */
  operations?: OperationIndex[];
  /** Personal: for a sealed attachment, never for a leaf. */
  facts: Facts;
}

export interface WriteInput {
  readonly method: string;
  /** Canonical path below the base URL, begins with `/`, still percent-encoded, without query. */
  readonly resourcePath: string;
  /** Without the question mark. */
  readonly query?: string;
  /** Absent if there was no body or none that could be read. */
  readonly document?: JsonDocument;
  /** Configured attributes that may not be stored: their values are no facts either. */
  readonly secretAttributes?: readonly string[];
}

const noAttributes: readonly string[] = [];

/** Reads one request. Works for reads too: their filter is a fact. */
export function understand(input: WriteInput): Understanding {
  const findings = newFindings(secretsOf(input.secretAttributes ?? noAttributes));
  const resource = parseResourcePath(input.resourcePath);
  const action = actionOf(input.method, resource);
  const root = input.document?.root;
  if (input.query !== undefined && input.query !== "") observeQuery(findings, input.query);
  let operations: OperationIndex[] | undefined;
  if (action === "bulk") operations = observeBulk(findings, root);
  else if (action === "search") observeFilter(findings, stringMember(root, "filter"));
  else observeWrite(findings, action, resource, root);
  return {
    parsed: findings.unparsed.size === 0,
    unparsed: [...findings.unparsed].sort(),
    action,
    resourceType: resource.resourceType,
    ...(resource.resourceId === undefined ? {} : { resourceId: resource.resourceId }),
    effects: [...findings.effects].sort(),
    paths: [...findings.paths].sort(),
    ...(operations === undefined ? {} : { operations }),
    facts: findings.facts,
  };
}

/** What the target's answer says about the resource. */
export interface AnswerUnderstanding {
  readonly resourceId?: string;
  readonly version?: string;
  readonly active?: boolean;
  readonly scimType?: ScimType;
  /** Personal, like all facts. */
  readonly facts: Facts;
}

/** Reads the target's answer to a create, replace or update: a resource, or a SCIM error. Total. */
export function understandAnswer(
  document: JsonDocument | undefined,
  secretAttributes: readonly string[] = noAttributes,
): AnswerUnderstanding {
  const root = document?.root;
  if (root?.kind !== "object") return { facts: {} };
  const findings = newFindings(secretsOf(secretAttributes));
  const isResource = memberOf(root, "resources") === undefined && memberOf(root, "operations") === undefined;
  if (isResource) observeAttributes(findings, "create", root);
  const resourceId = isResource ? stringMember(root, "id") : undefined;
  const version = stringMember(memberOf(root, "meta"), "version");
  const active = activeOf(memberOf(root, "active"));
  const scimType = stringMember(root, "scimtype");
  return {
    ...(resourceId === undefined ? {} : { resourceId }),
    ...(version === undefined ? {} : { version }),
    ...(active === undefined ? {} : { active }),
    ...(scimType !== undefined && isScimType(scimType) ? { scimType } : {}),
    facts: findings.facts,
  };
}

/**
 * Whether a resource says of itself that it is another than the path's. `text` is the document it stands in: an id that
 * was written as a number counts as it was written, and as what a double makes of it.
 */
export function namesOtherId(resource: JsonNode | undefined, text: string, id: string): boolean {
  const own = memberOf(resource, "id");
  if (own?.kind === "string") return own.value !== id;
  if (own?.kind !== "scalar" || typeof own.value !== "number") return false;
  return text.slice(own.start, own.end) !== id && String(own.value) !== id;
}

function actionOf(method: string, { kind }: ResourcePath): ScimAction {
  switch (method) {
    case "GET":
    case "HEAD":
      return "read";
    case "POST":
      if (kind === "bulk") return "bulk";
      if (kind === "search") return "search";
      return kind === "collection" ? "create" : "other";
    case "PUT":
      return kind === "bulk" || kind === "search" ? "other" : "replace";
    case "PATCH":
      return kind === "bulk" || kind === "search" ? "other" : "update";
    case "DELETE":
      return kind === "bulk" || kind === "search" ? "other" : "delete";
    default:
      return "other";
  }
}

function observeWrite(
  findings: Findings,
  action: ScimAction,
  resource: ResourcePath,
  root: JsonNode | undefined,
): void {
  const expected = action === "create" ? "collection" : "resource";
  if (action !== "read" && action !== "other" && resource.kind !== expected) {
    findings.unparsed.add("resource_path");
  }
  switch (action) {
    case "create":
    case "replace":
      findings.effects.add(action);
      if (root?.kind !== "object") findings.unparsed.add("body");
      else observeAttributes(findings, action === "create" ? "create" : "put", root);
      if (action === "replace" && resource.resourceType === "Group") observeGroupReplace(findings, root);
      return;
    case "update":
      findings.effects.add("update");
      if (root === undefined) findings.unparsed.add("body");
      else observePatch(findings, root);
      return;
    case "delete":
      findings.effects.add("delete");
      return;
    case "other":
      findings.unparsed.add(resource.kind === "unknown" ? "resource_path" : "method");
      return;
    case "read":
    case "search":
    case "bulk":
      return;
  }
}

/** A group's PUT says who its members are even if it does not mention them: then there are none left. */
function observeGroupReplace(findings: Findings, root: JsonNode | undefined): void {
  findings.effects.add("membership-replace");
  if (root?.kind === "object" && memberOf(root, "members") === undefined) {
    addMemberFacts(findings.facts, findings.secrets, "replaced", []);
  }
}

function observeQuery(findings: Findings, query: string): void {
  addQueryFact(findings.facts, findings.secrets, query);
  const pair = query.split("&", 64).find((text) => text.startsWith("filter="));
  if (pair === undefined) return;
  try {
    observeFilter(findings, decodeURIComponent(pair.slice("filter=".length).replaceAll("+", " ")));
  } catch {
    // URIError: a percent sign that encodes nothing. Recorded as sent, in the query.
    findings.unparsed.add("query_filter");
  }
}

function observeFilter(findings: Findings, filter: string | undefined): void {
  if (filter === undefined) return;
  addFilterFact(findings.facts, findings.secrets, filter);
  if (parseFilter(filter) === undefined) findings.unparsed.add("query_filter");
}

function observeBulk(findings: Findings, root: JsonNode | undefined): OperationIndex[] {
  const operations = readBulkOperations(root);
  if (operations === undefined) {
    findings.unparsed.add("body");
    return [];
  }
  const indexOfBulkId = new Map<string, number>();
  operations.forEach(({ bulkId }, index) => {
    if (bulkId !== undefined && !indexOfBulkId.has(bulkId)) indexOfBulkId.set(bulkId, index);
  });
  return operations.map((operation, index) =>
    observeBulkOperation(findings, operation, index, indexOfBulkId),
  );
}

function observeBulkOperation(
  all: Findings,
  { method, path, data }: BulkOperation,
  index: number,
  indexOfBulkId: ReadonlyMap<string, number>,
): OperationIndex {
  const findings = newFindings(all.secrets);
  const resource = parseResourcePath(path ?? "/");
  const action = actionOf(method ?? "", resource);
  if (action === "create" || action === "replace" || action === "update" || action === "delete") {
    observeWrite(findings, action, resource, data);
  } else {
    // No method or path, or one that has no place in a Bulk: a read, another Bulk.
    findings.unparsed.add("bulk_operation");
  }
  for (const effect of findings.effects) all.effects.add(effect);
  for (const touched of findings.paths) addPath(all, touched);
  for (const code of findings.unparsed) all.unparsed.add(code);
  if (Object.keys(findings.facts).length > 0) {
    all.facts.operations ??= [];
    all.facts.operations.push({ index, facts: findings.facts });
  }
  const { resourceId } = resource;
  const named = resourceId === undefined ? undefined : bulkIdOf(resourceId);
  const reference = named ?? findBulkId(data);
  const bulkIdRef = reference === undefined ? undefined : indexOfBulkId.get(reference);
  return {
    index,
    action: findings.unparsed.has("bulk_operation") ? "other" : action,
    resourceType: resource.resourceType,
    ...(resourceId === undefined || named !== undefined ? {} : { resourceId }),
    effects: [...findings.effects].sort(),
    paths: [...findings.paths].sort(),
    parsed: findings.unparsed.size === 0,
    ...(bulkIdRef === undefined ? {} : { bulkIdRef }),
  };
}

/** The first `bulkId:…` among the strings of an operation's data. */
function findBulkId(node: JsonNode | undefined): string | undefined {
  switch (node?.kind) {
    case "string":
      return bulkIdOf(node.value);
    case "array":
      for (const item of node.items) {
        const found = findBulkId(item);
        if (found !== undefined) return found;
      }
      return undefined;
    case "object":
      for (const member of node.members) {
        const found = findBulkId(member.value);
        if (found !== undefined) return found;
      }
      return undefined;
    default:
      return undefined;
  }
}

function bulkIdOf(text: string): string | undefined {
  return text.slice(0, 7).toLowerCase() === "bulkid:" ? text.slice(7) : undefined;
}
