// Bulk messages (RFC 7644 §3.7): the operations of a request, and which answer belongs to which of them.
// Promises: total; answers are joined by bulkId or by location, never by position, since a server may reorder them and
// leaves out those after `failOnErrors`; where two answers could be meant and differ, none is claimed.
// Leaves out: what each operation does; that is read like any other write.
import { type JsonDocument, type JsonNode, memberOf, stringMember } from "./json.ts";
import { decodeSegment } from "./resource.ts";

/** One operation of a Bulk request as sent. */
export interface BulkOperation {
  /** Upper case. */
  readonly method: string | undefined;
  /** Begins with `/`, without its query. */
  readonly path: string | undefined;
  readonly bulkId: string | undefined;
  readonly data: JsonNode | undefined;
}

/** What the target says became of one operation of the request. */
export interface BulkOutcome {
  /** Position in the request. */
  readonly index: number;
  /** Undefined: no answer, or none that can be told from another's. */
  readonly status: number | undefined;
  readonly resourceId?: string;
  readonly location?: string;
}

/** How many operations a Bulk body holds; 0 if it has no list of them. */
export function countBulkOperations(document: JsonDocument): number {
  return operationNodes(document.root)?.length ?? 0;
}

/** The operations of a Bulk request; undefined if it has no list of them. */
export function readBulkOperations(root: JsonNode | undefined): BulkOperation[] | undefined {
  return operationNodes(root)?.map((node) => ({
    method: stringMember(node, "method")?.toUpperCase(),
    path: operationPath(stringMember(node, "path")),
    bulkId: stringMember(node, "bulkid"),
    data: memberOf(node, "data"),
  }));
}

/** The bytes of each operation of a Bulk message, or of each item of its answer, with what stands before the next one. */
export function locateBulkOperations({ root, text, bytes }: JsonDocument): { start: number; end: number }[] {
  const nodes = operationNodes(root) ?? [];
  const isAscii = text.length === bytes.length;
  let doneText = 0;
  let doneBytes = 0;
  const toBytes = (offset: number): number => {
    if (isAscii) return offset;
    doneBytes += encoder.encode(text.slice(doneText, offset)).length;
    doneText = offset;
    return doneBytes;
  };
  let start = toBytes(nodes[0]?.start ?? 0);
  return nodes.map((node, i) => {
    const end = toBytes(nodes[i + 1]?.start ?? node.end);
    const place = { start, end };
    start = end;
    return place;
  });
}

/** For every operation of the request, in its order, the answer that belongs to it. */
export function indexBulkAnswer(requestDoc: JsonDocument, responseDoc: JsonDocument): BulkOutcome[] {
  return joinBulkAnswer(requestDoc, responseDoc).outcomes;
}

/**
 * The same, and which operation each item of the answer is about, by the item's position; those that could be about
 * several are left out.
 */
export function joinBulkAnswer(
  requestDoc: JsonDocument,
  responseDoc: JsonDocument,
): { outcomes: BulkOutcome[]; operationAt: ReadonlyMap<number, number> } {
  const operations = readBulkOperations(requestDoc.root) ?? [];
  const byBulkId = new Map<string, Answer[]>();
  const byLocation = new Map<string, Answer[]>();
  for (const [position, node] of (operationNodes(responseDoc.root) ?? []).entries()) {
    const answer = readAnswer(node, position);
    if (answer.bulkId !== undefined) group(byBulkId, answer.bulkId, answer);
    else if (answer.location !== undefined) {
      // A location is absolute or relative, below whatever base: its last two segments are the operation's path.
      const place = lastSegments(answer.location);
      if (answer.method !== undefined) group(byLocation, `${answer.method} ${place}`, answer);
      else for (const method of locatedMethods) group(byLocation, `${method} ${place}`, answer);
    }
  }
  const keys = operations.map((operation) => joinKeys(operation, byBulkId));
  const claims = new Map<string, number>();
  for (const { key } of keys) if (key !== undefined) claims.set(key, (claims.get(key) ?? 0) + 1);
  const operationAt = new Map<number, number>();
  const outcomes = keys.map(({ key, bulkId, location }, index) => {
    const answers = (bulkId !== undefined ? byBulkId.get(bulkId) : byLocation.get(location ?? "")) ?? [];
    const claimed = key === undefined ? 0 : (claims.get(key) ?? 0);
    const [only] = answers;
    if (only && answers.length === 1 && claimed === 1) operationAt.set(only.position, index);
    return outcomeOf(index, answers, claimed);
  });
  return { outcomes, operationAt };
}

const encoder = new TextEncoder();
const locatedMethods = ["PUT", "PATCH", "DELETE"];

interface Answer {
  readonly position: number;
  readonly bulkId: string | undefined;
  readonly method: string | undefined;
  readonly location: string | undefined;
  readonly status: number | undefined;
  readonly resourceId: string | undefined;
}

interface JoinKeys {
  readonly key?: string;
  readonly bulkId?: string;
  readonly location?: string;
}

function joinKeys(operation: BulkOperation, byBulkId: ReadonlyMap<string, Answer[]>): JoinKeys {
  const { bulkId, method, path } = operation;
  if (bulkId !== undefined && byBulkId.has(bulkId)) return { key: `id ${bulkId}`, bulkId };
  if (method === undefined || path === undefined || !locatedMethods.includes(method)) return {};
  const location = `${method} ${lastSegments(path)}`;
  return { key: `at ${location}`, location };
}

/** Several answers for several operations of one key are told apart by nothing: only what they agree on is said. */
function outcomeOf(index: number, answers: readonly Answer[], claims: number): BulkOutcome {
  const [first] = answers;
  if (first === undefined || answers.length !== claims) return { index, status: undefined };
  const status = answers.every((answer) => answer.status === first.status) ? first.status : undefined;
  const sameId = answers.every((answer) => answer.resourceId === first.resourceId);
  const samePlace = answers.every((answer) => answer.location === first.location);
  return {
    index,
    status,
    ...(sameId && first.resourceId !== undefined ? { resourceId: first.resourceId } : {}),
    ...(samePlace && first.location !== undefined ? { location: first.location } : {}),
  };
}

function readAnswer(node: JsonNode, position: number): Answer {
  const location = stringMember(node, "location");
  const lastSegment = location === undefined ? undefined : lastSegments(location).split("/").at(-1);
  const id = stringMember(memberOf(node, "response"), "id") ?? lastSegment;
  return {
    position,
    bulkId: stringMember(node, "bulkid"),
    method: stringMember(node, "method")?.toUpperCase(),
    location,
    status: statusOf(memberOf(node, "status")),
    resourceId: id === undefined || id === "" ? undefined : id,
  };
}

/** `"201"`, `201`, and the drafts' `{"code": "201"}`. */
function statusOf(node: JsonNode | undefined): number | undefined {
  if (node?.kind === "object") return statusOf(memberOf(node, "code"));
  if (node?.kind !== "string" && node?.kind !== "scalar") return undefined;
  const status = /^\d{3}$/.test(String(node.value)) ? Number(node.value) : 0;
  return status >= 100 && status <= 599 ? status : undefined;
}

/** `https://host/scim/v2/Users/2819?x` and `/Users/2819` → `users/2819`; the id decoded, its case kept. */
function lastSegments(location: string): string {
  const path = location.split(/[?#]/, 1)[0] ?? "";
  const [collection = "", id = ""] = path
    .split("/")
    .filter((segment) => segment !== "")
    .slice(-2);
  return `${collection.toLowerCase()}/${decodeSegment(id) ?? id}`;
}

function operationPath(path: string | undefined): string | undefined {
  if (path === undefined || path === "" || /^[a-z][a-z0-9+.-]*:\/\//i.test(path)) return undefined;
  const plain = path.split(/[?#]/, 1)[0] ?? "";
  return plain.startsWith("/") ? plain : `/${plain}`;
}

function operationNodes(root: JsonNode | undefined): readonly JsonNode[] | undefined {
  const operations = memberOf(root, "operations");
  return operations?.kind === "array" ? operations.items : undefined;
}

function group(map: Map<string, Answer[]>, key: string, answer: Answer): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [answer]);
  else list.push(answer);
}
