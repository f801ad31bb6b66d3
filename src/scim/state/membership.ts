// Who was in a group, and when, from the steps of its history.
// Promises: a beginning or an end that nobody saw is not given a date: it says so.
import type { Complex, Knowledge, List } from "./knowledge.ts";
import { asList, memberAt } from "./knowledge.ts";
import type { PlacedWrite, Step } from "./replay.ts";
import type { ResourceState } from "./resourceState.ts";

/** A stretch of time in which somebody was a member. */
export interface Presence<W extends PlacedWrite> {
  /** The member's `value`. */
  readonly id: string;
  /** The write with which it is known to have begun. */
  from: W;
  /** False: he may have been a member before. */
  isFromKnown: boolean;
  /** The write that ended it; undefined: it goes on. */
  to?: W;
  /** False: only a write of unknown fate says so, or may have ended it. */
  isCertain: boolean;
}

/** Every stretch of every member, or of one, by its beginning. */
export function presencesOf<W extends PlacedWrite>(steps: readonly Step<W>[], only?: string): Presence<W>[] {
  const found: Presence<W>[] = [];
  const running = new Map<string, Presence<W>>();
  for (const { before, after, placed } of steps) {
    const was = membersOf(before);
    const is = membersOf(after);
    if (was === is) continue;
    const there = membersIn(is, only);
    for (const [id, presence] of running) {
      if (there.has(id)) continue;
      // A list of which not all is known may still hold him, unless it is said that he was taken out.
      if (isOpen(is) && !isGone(is, id)) presence.isCertain = false;
      else {
        presence.to = placed;
        running.delete(id);
      }
    }
    for (const [id, isMaybe] of there) {
      const presence = running.get(id);
      if (presence) presence.isCertain = !isMaybe;
      else {
        const isFromKnown = !isMaybe && (!isOpen(was) || isGone(was, id));
        const begun = { id, from: placed, isFromKnown, isCertain: !isMaybe };
        found.push(begun);
        running.set(id, begun);
      }
    }
  }
  return found;
}

/** The members that a state knows of, and whether each is certain; `isWhole`: there are no others. */
export function membersAt({ attributes, exists }: ResourceState): {
  members: Map<string, boolean>;
  isWhole: boolean;
} {
  const node = memberAt(attributes, "members");
  const members = new Map([...membersIn(node)].map(([id, isMaybe]) => [id, !isMaybe]));
  return { members, isWhole: exists === "no" || !isOpen(node) };
}

function membersOf({ attributes }: { attributes: Complex }): Knowledge {
  return memberAt(attributes, "members");
}

/** Members by id; the value says whether each is only maybe one. */
function membersIn(node: Knowledge, only?: string): Map<string, boolean> {
  const found = new Map<string, boolean>();
  if (node.kind !== "list") return found;
  for (const { key, isMaybe = false } of node.items) {
    if (!key.startsWith("v:")) continue;
    const id = key.slice(2);
    if (only === undefined || id === only) found.set(id, isMaybe && found.get(id) !== false);
  }
  return found;
}

function isOpen(node: Knowledge): boolean {
  return (
    node.kind === "unknown" || node.kind === "redacted" || (node.kind === "list" && node.open !== undefined)
  );
}

function isGone(node: Knowledge, id: string): boolean {
  const list: List | undefined = node.kind === "list" ? asList(node) : undefined;
  return list?.gone.has(`v:${id}`) === true;
}
