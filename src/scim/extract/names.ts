// The names among the recorded facts (see ../facts.ts): what an account is known under, and whom a group's change names.

import type { NameAttribute } from "../search/tokens.ts";
import { type Claims, claimsAt, listAt } from "./claims.ts";

export interface Name {
  attribute: NameAttribute;
  value: string;
}

const TEXTS = ["userName", "externalId", "displayName", "formattedName"] as const;
/** Of an id that a target gives out. */
const MAX_ID = 1024;

/**
 * Names among the facts of a request, an answer or a Bulk operation, each at most once, and as UTF-8 can hold them: a lone
 * surrogate, which JSON can spell and the index's bytes cannot, is U+FFFD before names are told apart.
 */
export function namesOf(facts: Claims | undefined): Name[] {
  const names: Name[] = [];
  const add = (attribute: NameAttribute, given: unknown) => {
    if (!isName(given)) return;
    const value = given.toWellFormed();
    if (!names.some((name) => name.attribute === attribute && name.value === value))
      names.push({ attribute, value });
  };
  for (const attribute of TEXTS) add(attribute, facts?.[attribute]);
  for (const address of listAt(facts, "emails").slice(0, 100)) add("email", address);
  return names;
}

/** Ids of members that were added, removed or put in place of all; as the client sent them, so perhaps personal. */
export function memberIds(facts: Claims | undefined): Set<string> {
  const members = claimsAt(facts, "members");
  const ids = ["added", "removed", "replaced"].flatMap((change) => listAt(members, change));
  return new Set(ids.filter((id) => typeof id === "string" && id !== "" && id.length <= MAX_ID) as string[]);
}

/** Whether members may have been taken away whom nobody named: then every account may be concerned. */
export function removesOthers(effects: readonly string[], facts: Claims | undefined): boolean {
  return effects.includes("membership-remove") && claimsAt(facts, "members")?.removedNamed !== true;
}

/** What redaction left behind is nobody's name; what only holds such a word may be, else it would be a place to hide. */
function isName(value: unknown): value is string {
  return typeof value === "string" && value.trim() !== "" && value !== "[redacted]";
}
