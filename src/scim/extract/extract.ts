// From a transaction's entries to the rows by which it is found: what happened, which resources it touches, and the names
// that they came to be known under, by the request and by the target's answer.
// Promises: pure and total, whatever stands in the entries; the same rows for the same entries, however often; bounded
// in number, with `isCut` set where something was left out. Nothing personal comes out but the names.
// Leaves out: whether the entries are genuine, which is the verifier's to say.
import { accountType, parseResourcePath } from "../resource.ts";
import {
  asClaims,
  type Claims,
  claimsAt,
  countAt,
  millisecondsAt,
  parseAttachment,
  storableJson,
  textAt,
  textsAt,
  timeAt,
  uuidAt,
} from "./claims.ts";
import { extractBulk } from "./extractBulk.ts";
import { memberIds, namesOf, removesOthers } from "./names.ts";
import { EVERYONE, type Fate, isMetBy, type TouchedResource, Touches } from "./touches.ts";

/** One entry: its place, what its leaf says, and its attachments' bytes by name. */
export interface RecordedEntry {
  readonly seq: number;
  readonly claims: object;
  readonly attachments: ReadonlyMap<string, Uint8Array>;
  /** It has attachments that could not be opened: there may be names that nobody can tell. */
  readonly isSealed?: boolean;
}

/** An id as a leaf of this connector holds it: itself, or its token. */
export type RecordedId = (connector: string, id: string) => string;

export interface TransactionRow {
  /** Of the request or the refusal. */
  seq: number;
  txn: string;
  closedSeq?: number;
  timeMs: number;
  connector: string;
  client: string;
  method: string;
  verb: string;
  action: string;
  resourceType: string;
  resourceId?: string;
  effects: string[];
  operations?: number;
  /** Of a Bulk that was answered: operations that the target refused, and those of which nobody knows. */
  operationsRefused?: number;
  operationsUnknown?: number;
  /** Of these effects none of its operations is known to have had any. */
  effectsUndone?: string[];
  /** Absent while it is open. */
  outcome?: string;
  status?: number;
  replied?: number;
  durationMs?: number;
  reason?: string;
  isCut: boolean;
  /** Every resource at most once a role. */
  touched: readonly TouchedResource[];
  /** The one that the transaction is about; no Bulk has one. */
  about?: TouchedResource;
}

export interface EventRow {
  seq: number;
  timeMs: number;
  name: string;
  detail: unknown;
}

/** Rows of a request or refusal and, once it is there, of the entry that closes it. Undefined: unreadable. */
export function extractTransaction(
  opening: RecordedEntry,
  closing: RecordedEntry | undefined,
  recordedId: RecordedId,
): TransactionRow | undefined {
  const claims = asClaims(opening.claims);
  const closed = asClaims(closing?.claims);
  const txn = uuidAt(claims, "txn");
  const timeMs = timeAt(claims, "time");
  const connector = textAt(claims, "connector");
  if (txn === undefined || timeMs === undefined || connector === undefined) return undefined;
  const scim = claimsAt(claims, "scim");
  const http = claimsAt(claims, "http");
  const actor = claimsAt(claims, "actor");
  const path = parseResourcePath(textAt(http, "path") ?? "/");
  const action = textAt(scim, "action") ?? "other";
  const resourceType = textAt(scim, "resourceType") ?? path.resourceType;
  const requested = textAt(scim, "resourceId") ?? (scim ? undefined : path.resourceId);
  const resourceId = requested ?? (isResourceWrite(action) ? answeredId(closed) : undefined);
  const touches = new Touches();
  touches.isCut = opening.isSealed === true || closing?.isSealed === true;
  const fate = fateOf(closed);
  const inputs = { txn, connector, opening, closing, fate, recordedId };
  const bulk = action === "bulk" ? extractBulk(inputs, touches) : undefined;
  const about = bulk === undefined ? touchOne(inputs, touches, action, resourceType, resourceId) : undefined;
  return {
    seq: opening.seq,
    txn,
    ...(closing && { closedSeq: closing.seq }),
    timeMs,
    connector,
    client: textAt(actor, "client") ?? "",
    method: textAt(actor, "method") ?? "",
    verb: textAt(http, "method") ?? "",
    action,
    resourceType,
    ...(resourceId === undefined ? {} : { resourceId }),
    effects: textsAt(scim, "effects"),
    ...bulk,
    ...ending(claims, closed),
    isCut: touches.isCut,
    touched: touches.all,
    ...(about && { about }),
  };
}

/** The row of an event entry. Undefined: unreadable. */
export function extractEvent(entry: RecordedEntry): EventRow | undefined {
  const claims = asClaims(entry.claims);
  const event = claimsAt(claims, "event");
  const timeMs = timeAt(claims, "time");
  const name = textAt(event, "name");
  if (event === undefined || timeMs === undefined || name === undefined) return undefined;
  const { name: _, ...detail } = event;
  return { seq: entry.seq, timeMs, name, detail: storableJson(detail) };
}

/** What every part of the extraction works on. */
export interface ExtractInputs {
  readonly txn: string;
  readonly connector: string;
  readonly opening: RecordedEntry;
  readonly closing: RecordedEntry | undefined;
  readonly fate: Fate;
  readonly recordedId: RecordedId;
}

/** A transaction about one resource: itself under its names, and the members that it adds or removes. */
function touchOne(
  { txn, connector, opening, closing, fate, recordedId }: ExtractInputs,
  touches: Touches,
  action: string,
  resourceType: string,
  resourceId: string | undefined,
): TouchedResource | undefined {
  const facts = asClaims(parseAttachment(opening.attachments.get("facts")));
  const asked = isResourceWrite(action) ? namesOf(facts) : [];
  const told = isResourceWrite(action)
    ? namesOf(asClaims(parseAttachment(closing?.attachments.get("facts"))))
    : [];
  if (facts?.truncated === true) touches.isCut = true;
  const type = accountType(resourceType);
  const about = touches.addSubject({
    type,
    ref: resourceId,
    placeholder: `?${txn}`,
    isWrite: isWrite(action),
    fate,
    isMet: isMetBy(fate, countAt(asClaims(closing?.claims), "status")),
    asked,
    told,
  });
  for (const id of memberIds(facts)) touches.addMember(recordedId(connector, id), fate);
  if (removesOthers(textsAt(claimsAt(asClaims(opening.claims), "scim"), "effects"), facts))
    touches.addMember(EVERYONE, fate);
  return about;
}

function ending(claims: Claims | undefined, closed: Claims | undefined) {
  if (claims?.type === "refusal") {
    const refusal = claimsAt(claims, "refusal");
    const replied = countAt(refusal, "status");
    const reason = textAt(refusal, "code");
    return {
      outcome: "refused",
      ...(replied === undefined ? {} : { replied }),
      ...(reason === undefined ? {} : { reason }),
    };
  }
  if (closed === undefined) return {};
  const status = countAt(closed, "status");
  const replied = countAt(closed, "replied");
  const durationMs = millisecondsAt(closed, "durationMs");
  const reason = textAt(closed, "reason");
  return {
    outcome: textAt(closed, "outcome") ?? "unknown",
    ...(status === undefined ? {} : { status }),
    ...(replied === undefined ? {} : { replied }),
    ...(durationMs === undefined ? {} : { durationMs }),
    ...(reason === undefined ? {} : { reason }),
  };
}

/** A status of 300 and more says that nothing was done; a lost or unreadable answer says nothing. */
function fateOf(closed: Claims | undefined): Fate {
  if (closed === undefined) return "open";
  const status = countAt(closed, "status");
  return textAt(closed, "outcome") === "not_sent" || (status !== undefined && status >= 300)
    ? "refused"
    : "taken";
}

function answeredId(closed: Claims | undefined): string | undefined {
  return textAt(claimsAt(closed, "scim"), "resourceId");
}

function isResourceWrite(action: string): boolean {
  return action === "create" || action === "replace" || action === "update";
}

function isWrite(action: string): boolean {
  return action !== "read" && action !== "search";
}
