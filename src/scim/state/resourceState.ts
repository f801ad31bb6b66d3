// A resource at one moment, as far as its recorded writes tell, and what one more write makes of it.
// Promises: the target's own answer, when it is the whole resource, wins over what was asked for; without one the request
// counts as RFC 7644 §3.5 has it; a write that may or may not have taken place leaves in doubt what it would have
// changed, and only that, until a later answer tells.
// Leaves out: what changed the resource past the proxy, and what the server derives (`meta`, `groups`).
import { type JsonNode, memberOf, stringMember } from "../json.ts";
import { isLeftOut, isMultiValued, isNeverReturned, type Name, nameOf } from "./attributes.ts";
import { learnResource, putInDoubt } from "./change.ts";
import {
  absent,
  type Complex,
  emptyComplex,
  isEmpty,
  joinComplex,
  type Knowledge,
  memberAt,
  shareComplex,
  unseen,
  withMember,
} from "./knowledge.ts";
import type { Reading } from "./learn.ts";
import { locate } from "./locate.ts";
import { patchResource } from "./patch.ts";

export interface ResourceState {
  /** `unknown`: nothing was seen of it yet, or nobody knows whether a write made or ended it. */
  readonly exists: "yes" | "no" | "unknown";
  readonly attributes: Complex;
}

export interface ResourceWrite {
  /** `any`: nobody can read what it was; it may have been any of these. */
  readonly action: "create" | "replace" | "update" | "delete" | "any";
  /** Did the target do it? */
  readonly verdict: "applied" | "refused" | "unknown";
  /** The target said that the resource is a new one: 201 (RFC 7644 §3.3). */
  readonly isNew?: boolean;
  /** May be read when first asked for: the answer often makes it needless. */
  readonly body?: JsonNode | undefined;
  /** False: the body says nothing that a whole answer would not show (a password, a group's members). */
  readonly saysMore?: boolean;
  /** A group: many servers never list its members in an answer. */
  readonly isGroup?: boolean;
  readonly reading: Reading;
  /** The resource in the target's answer. */
  readonly answer?: JsonNode;
  readonly answerReading?: Reading;
  /** RFC 7644 §3.9: which attributes the answer was asked to show, or to leave out. */
  readonly attributes?: readonly string[];
  readonly excludedAttributes?: readonly string[];
}

/** Before anything was seen. */
export const neverSeen: ResourceState = { exists: "unknown", attributes: emptyComplex("unseen") };

/** While nobody had made it. */
export const notMadeYet: ResourceState = { exists: "no", attributes: emptyComplex() };

/** The state after a write; the same object if it changed nothing. */
export function afterWrite(state: ResourceState, write: ResourceWrite): ResourceState {
  if (write.verdict === "refused") return state;
  const asked = askedFor(state, write);
  if (write.verdict === "applied") return asked;
  const exists = state.exists === asked.exists ? state.exists : "unknown";
  const attributes = shareComplex(state.attributes, joinComplex(state.attributes, asked.attributes));
  return exists === state.exists && attributes === state.attributes ? state : { exists, attributes };
}

/** The state that a write leaves if the target does it. */
export function askedFor(state: ResourceState, write: ResourceWrite): ResourceState {
  if (write.action === "delete") return { exists: "no", attributes: emptyComplex() };
  if (write.action === "any") return { exists: "unknown", attributes: putInDoubt(state.attributes) };
  // Gone, and yet it takes a write: somebody brought it back past the proxy.
  const known = state.exists === "no" && write.action !== "create" ? neverSeen.attributes : state.attributes;
  const requested = requestedAttributes(known, write);
  const answered = write.verdict === "applied" ? withAnswer(requested, write) : requested;
  // What is the same stays the same object: comparing states is comparing objects first.
  const attributes = shareComplex(state.attributes, answered);
  return attributes === state.attributes && state.exists === "yes" ? state : { exists: "yes", attributes };
}

function requestedAttributes(before: Complex, write: ResourceWrite): Complex {
  const { action, reading } = write;
  if (isNeedless(write)) {
    if (action === "update") return before;
    return action === "create" ? emptyComplex() : keepHidden(emptyComplex(), before);
  }
  const { body } = write;
  if (action === "update") return patchResource(before, body, reading);
  if (body?.kind !== "object") return emptyComplex("uncertain");
  const fresh = learnResource(body, reading);
  // A PUT without the password does not take it away: nobody can read it in order to send it again.
  return action === "create" ? fresh : keepHidden(fresh, before);
}

/** Whether the answer says it all, so that the body need not be read. */
function isNeedless({ verdict, saysMore, answer, attributes, excludedAttributes }: ResourceWrite): boolean {
  const isPlain = attributes === undefined && excludedAttributes === undefined;
  return verdict === "applied" && saysMore === false && isPlain && isWhole(answer);
}

/** A resource, not a part of it, a list, or something else. */
function isWhole(answer: JsonNode | undefined): boolean {
  return (
    stringMember(answer, "id") !== undefined &&
    memberOf(answer, "schemas") !== undefined &&
    memberOf(answer, "operations") === undefined &&
    memberOf(answer, "resources") === undefined
  );
}

function withAnswer(requested: Complex, write: ResourceWrite): Complex {
  const { answer, answerReading = write.reading } = write;
  if (answer?.kind !== "object" || memberOf(answer, "operations") || memberOf(answer, "resources"))
    return requested;
  const shown = learnResource(answer, answerReading);
  if (!isWhole(answer) || write.attributes !== undefined) {
    return overlay(requested, shown, isWhole(answer) ? (write.attributes ?? []) : []);
  }
  return keepUnshown(keepHidden(shown, requested), requested, write);
}

/** What the answer shows wins; of what was asked to be shown, its absence counts too. */
function overlay(under: Complex, shown: Complex, wanted: readonly string[]): Complex {
  let whole = under;
  for (const [key, { name, node }] of shown.members) {
    const before = memberAt(whole, key);
    const isPart = before.kind === "complex" && node.kind === "complex" && wantsPart(wanted, key);
    whole = withMember(whole, { key, text: name }, isPart ? overlay(before, node, []) : node);
  }
  for (const path of wanted) {
    const place = locate(path);
    const outer = place?.schema ?? place?.attribute;
    if (place === undefined || outer === undefined || isHidden(outer.key)) continue;
    if (place.schema === undefined && place.sub === undefined) {
      if (isEmpty(memberAt(shown, outer.key))) whole = withMember(whole, outer, absent);
    } else {
      const inner = place.schema === undefined ? place.sub : place.attribute;
      const there = memberAt(whole, outer.key);
      if (inner !== undefined && there.kind === "complex" && isEmpty(partAt(shown, outer, inner)))
        whole = withMember(whole, outer, withMember(there, inner, absent));
    }
  }
  return whole;
}

/** `attributes=name.givenName` shows a part of `name`. */
function wantsPart(wanted: readonly string[], key: string): boolean {
  return wanted.some((path) => {
    const place = locate(path);
    const isInside =
      place?.sub !== undefined || (place?.schema !== undefined && place.attribute !== undefined);
    return isInside && (place?.schema ?? place?.attribute)?.key === key;
  });
}

function partAt(shown: Complex, outer: Name, inner: Name): Knowledge {
  const node = memberAt(shown, outer.key);
  return node.kind === "complex" ? memberAt(node, inner.key) : node;
}

function isHidden(key: string): boolean {
  return isNeverReturned(key) || isLeftOut(key);
}

/** Attributes that no answer shows are as they were. Whether there ever was a password is nothing to wonder about. */
function keepHidden(shown: Complex, before: Complex): Complex {
  const hidden = nameOf("password");
  const kept = memberAt(before, hidden.key);
  return isEmpty(memberAt(shown, hidden.key)) && kept !== unseen ? withMember(shown, hidden, kept) : shown;
}

/**
 * What an answer leaves out because it was asked to. And a group's members, unless nobody was known to be in it: many
 * servers never list them, so that a list without a word of it is no list that is empty.
 */
function keepUnshown(
  shown: Complex,
  requested: Complex,
  { excludedAttributes = [], isGroup = false }: ResourceWrite,
): Complex {
  let whole = shown;
  for (const path of excludedAttributes) {
    const place = locate(path);
    const outer = place?.schema ?? place?.attribute;
    if (place === undefined || outer === undefined) continue;
    const inner = place.schema === undefined ? place.sub : place.attribute;
    const there = memberAt(whole, outer.key);
    if (inner === undefined) whole = withMember(whole, outer, memberAt(requested, outer.key));
    else if (!isMultiValued(outer.key)) {
      const before = partAt(requested, outer, inner);
      const parent = there.kind === "complex" ? there : emptyComplex();
      whole = withMember(whole, outer, withMember(parent, inner, before));
    }
  }
  const members = memberAt(requested, "members");
  return mayHaveMembers(members, isGroup) && isEmpty(memberAt(whole, "members"))
    ? withMember(whole, nameOf("members"), members)
    : whole;
}

/** Whether there are certain members, or, in a group, may be some that were never seen. */
function mayHaveMembers(members: Knowledge, isGroup: boolean): boolean {
  if (members.kind !== "list") return isGroup && !isEmpty(members);
  if (isGroup && members.open !== undefined) return true;
  for (const { isMaybe = false } of members.items) if (!isMaybe) return true;
  return false;
}
