// Who was in a group, and when, from the steps of its history.
// Promises: a beginning or an end that nobody saw is not given a date: it says so.
import { Items, type Keyed } from "./items.ts";
import { type Complex, type Item, type Knowledge, type List, listOf, memberAt } from "./knowledge.ts";
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

/** More members than this are looked up all at once. */
const maxLookedUp = 64;

/** Every stretch of every member, or of one, by its beginning. */
export function presencesOf<W extends PlacedWrite>(steps: Iterable<Step<W>>, only?: string): Presence<W>[] {
  const presences = new Presences<W>(only);
  for (const step of steps) presences.take(step);
  return presences.found;
}

/** Stretches gathered step by step: a step costs what it changes, however large the group is. */
export class Presences<W extends PlacedWrite> {
  /** By their beginning. */
  readonly found: Presence<W>[] = [];
  readonly #running = new Map<string, Presence<W>>();
  readonly #only: string | undefined;

  /** `only`: one member's. */
  constructor(only?: string) {
    this.#only = only;
  }

  /** Steps must come in their order, and all of them. */
  take({ before, after, placed }: Step<W>): void {
    const was = membersOf(before);
    const is = membersOf(after);
    if (was === is) return;
    const then = listedIn(was);
    const now = listedIn(is);
    const touched = this.#touched(then, now);
    const there = touched.size > maxLookedUp ? membersIn(now, this.#only) : membersAmong(now, touched);
    for (const id of touched) {
      const presence = this.#running.get(id);
      if (presence === undefined || there.has(id)) continue;
      // A list of which not all is known may still hold him, unless it is said that he was taken out.
      if (now.open !== undefined && !now.gone.has(`v:${id}`)) presence.isCertain = false;
      else {
        presence.to = placed;
        this.#running.delete(id);
      }
    }
    for (const [id, isMaybe] of there) {
      const presence = this.#running.get(id);
      if (presence) presence.isCertain = !isMaybe;
      else {
        const isFromKnown = !isMaybe && (then.open === undefined || then.gone.has(`v:${id}`));
        const begun = { id, from: placed, isFromKnown, isCertain: !isMaybe };
        this.found.push(begun);
        this.#running.set(id, begun);
      }
    }
  }

  /** Whose membership may be another one now. */
  #touched(was: List, is: List): ReadonlySet<string> {
    const items = Items.apart(was.items, is.items);
    const ids = [...items.left, ...items.right, ...Items.apart(was.gone, is.gone).right].flatMap(idOf);
    // Of those who do not stand in the list, another kind of list says something else.
    const isOtherKind = (was.open === undefined) !== (is.open === undefined);
    const touched = new Set(isOtherKind ? [...ids, ...this.#running.keys()] : ids);
    if (this.#only === undefined) return touched;
    return new Set(touched.has(this.#only) ? [this.#only] : []);
  }
}

/** The members that a state knows of, and whether each is certain; `isWhole`: there are no others. */
export function membersAt({ attributes, exists }: ResourceState): {
  members: Map<string, boolean>;
  isWhole: boolean;
} {
  const list = listedIn(memberAt(attributes, "members"));
  const members = new Map([...membersIn(list)].map(([id, isMaybe]) => [id, !isMaybe]));
  return { members, isWhole: exists === "no" || list.open === undefined };
}

function membersOf({ attributes }: { attributes: Complex }): Knowledge {
  return memberAt(attributes, "members");
}

/** The members as a list: of what is not known, one that may hold anybody. */
function listedIn(node: Knowledge): List {
  if (node.kind === "list") return node;
  const isOpen = node.kind === "unknown" || node.kind === "redacted";
  return listOf([], isOpen ? "unseen" : undefined);
}

/** Members by id; the value says whether each is only maybe one. */
function membersIn({ items }: List, only?: string): Map<string, boolean> {
  return only === undefined ? byId(items) : byId(items.having(new Set([`v:${only}`])));
}

function membersAmong({ items }: List, ids: ReadonlySet<string>): Map<string, boolean> {
  return byId(items.having(new Set([...ids].map((id) => `v:${id}`))));
}

function byId(items: Iterable<Item>): Map<string, boolean> {
  const found = new Map<string, boolean>();
  for (const item of items) {
    const { isMaybe = false } = item;
    for (const id of idOf(item)) found.set(id, isMaybe && found.get(id) !== false);
  }
  return found;
}

function idOf({ key }: Keyed): string[] {
  return key.startsWith("v:") ? [key.slice(2)] : [];
}
