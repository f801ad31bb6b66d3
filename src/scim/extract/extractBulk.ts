// A Bulk's rows (RFC 7644 §3.7): every operation's resource is a subject, under the names that its part of the request
// and its part of the answer give it. Which part of an answer belongs to which operation the proxy has worked out
// already (see ../bulk.ts); the recorded outcomes say it.
import { readBulkOperations } from "../bulk.ts";
import { memberOf, stringMember } from "../json.ts";
import { understandAnswer } from "../operation.ts";
import { accountType } from "../resource.ts";
import { verdictOf } from "../state/recordedWrite.ts";
import {
  asClaims,
  byIndex,
  type Claims,
  claimsAt,
  countAt,
  listAt,
  operationsIn,
  parseAttachment,
  parseBody,
  textAt,
  textsAt,
} from "./claims.ts";
import type { ExtractInputs, RecordedEntry, TransactionRow } from "./extract.ts";
import { memberIds, type Name, namesOf, removesOthers } from "./names.ts";
import { EVERYONE, type Fate, isMetBy, type Touches } from "./touches.ts";

const BULK_ID = /^bulkid:/i;

/** How many operations there are and, once it is answered, which effects did not come to be. */
type BulkColumns = Pick<
  TransactionRow,
  "operations" | "operationsRefused" | "operationsUnknown" | "effectsUndone"
>;

/** Adds what the operations touch. */
export function extractBulk(inputs: ExtractInputs, touches: Touches): BulkColumns {
  const { txn, connector, opening, closing, fate, recordedId } = inputs;
  const operations = operationsIn(opening.claims, opening.attachments.get("operations"));
  const outcomes = byIndex(
    closing ? operationsIn(closing.claims, closing.attachments.get("operations")) : [],
  );
  const facts = asClaims(parseAttachment(opening.attachments.get("facts")));
  const factsOf = byIndex(listAt(facts, "operations").map(asClaims));
  if (facts?.truncated === true) touches.isCut = true;
  const told = namesById(inputs);
  let references: ReadonlyMap<string, string> | undefined;
  const resolve = (id: string) => {
    if (!BULK_ID.test(id)) return recordedId(connector, id);
    references ??= idsOfReferences(opening, outcomes);
    return references.get(id.slice("bulkid:".length));
  };
  for (const [index, operation] of byIndex(operations)) {
    const outcome = outcomes.get(index);
    const its = claimsAt(factsOf.get(index), "facts");
    if (its?.truncated === true) touches.isCut = true;
    const ref = textAt(operation, "resourceId") ?? textAt(outcome, "resourceId");
    const itsFate = fateOfOperation(fate, outcome);
    const status = countAt(fate === "taken" ? outcome : asClaims(closing?.claims), "status");
    touches.addSubject({
      type: accountType(textAt(operation, "resourceType")),
      ref,
      placeholder: `?${txn}/${index}`,
      isWrite: true,
      fate: itsFate,
      isMet: isMetBy(itsFate, status),
      asked: namesOf(its),
      told: ref === undefined ? [] : (told.get(ref) ?? []),
    });
    for (const id of memberIds(its)) {
      const member = resolve(id);
      if (member !== undefined) touches.addMember(member, itsFate);
    }
  }
  const scim = claimsAt(asClaims(opening.claims), "scim");
  // Asked of the whole, so that nobody is missed where the operations cannot be read.
  if (removesOthers(textsAt(scim, "effects"), undefined)) touches.addMember(EVERYONE, fate);
  const count = countAt(scim, "operationCount") ?? operations.length;
  return { operations: count, ...undoneOf(inputs, byIndex(operations), outcomes, count) };
}

/** By the operations' own statuses: a Bulk that was answered with 200 may have failed in every one. */
function undoneOf(
  { opening, closing }: ExtractInputs,
  operations: ReadonlyMap<number, Claims>,
  outcomes: ReadonlyMap<number, Claims>,
  count: number,
): Omit<BulkColumns, "operations"> | undefined {
  const closed = asClaims(closing?.claims);
  if (verdictOf(textAt(closed, "outcome"), countAt(closed, "status")) !== "applied") return undefined;
  const done = new Set<string>();
  // Those that cannot be read are not known to be done.
  const counts = { applied: 0, refused: 0, unknown: Math.max(0, count - operations.size) };
  for (const [index, operation] of operations) {
    const verdict = verdictOf("answered", countAt(outcomes.get(index), "status"));
    counts[verdict]++;
    if (verdict === "applied") for (const effect of textsAt(operation, "effects")) done.add(effect);
  }
  const asked = textsAt(claimsAt(asClaims(opening.claims), "scim"), "effects");
  return {
    operationsRefused: counts.refused,
    operationsUnknown: counts.unknown,
    effectsUndone: asked.filter((effect) => !done.has(effect)),
  };
}

/** The whole message may have been refused; else each operation has a status of its own, or none that is known. */
function fateOfOperation(fate: Fate, outcome: Claims | undefined): Fate {
  const status = countAt(outcome, "status");
  return fate === "taken" && status !== undefined && status >= 300 ? "refused" : fate;
}

/** Names in the resources that the answer shows, by recorded id. */
function namesById({ connector, closing, recordedId }: ExtractInputs): Map<string, Name[]> {
  const found = new Map<string, Name[]>();
  const document = parseBody(closing?.attachments.get("body"));
  const operations = memberOf(document?.root, "operations");
  if (!document || operations?.kind !== "array") return found;
  for (const item of operations.items) {
    const resource = memberOf(item, "response");
    const id = stringMember(resource, "id");
    if (!resource || id === undefined) continue;
    const { facts } = understandAnswer({ ...document, root: resource });
    const ref = recordedId(connector, id);
    const names = found.get(ref);
    if (names) names.push(...namesOf({ ...facts }));
    else found.set(ref, namesOf({ ...facts }));
  }
  return found;
}

/** What `bulkId:x` came to stand for: the id that the outcome of the operation with that bulkId has. */
function idsOfReferences(opening: RecordedEntry, outcomes: ReadonlyMap<number, Claims>): Map<string, string> {
  const found = new Map<string, string>();
  const document = parseBody(opening.attachments.get("body"));
  for (const [index, { bulkId }] of (readBulkOperations(document?.root) ?? []).entries()) {
    const ref = textAt(outcomes.get(index), "resourceId");
    if (bulkId !== undefined && ref !== undefined && !found.has(bulkId)) found.set(bulkId, ref);
  }
  return found;
}
