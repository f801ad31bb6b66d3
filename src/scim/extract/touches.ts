// Which resources a transaction touches, gathered while it is read: each once a role, with the names it came under.
// Names that no resource is known to have taken (the change is open, was refused, or nobody said the new id) stand under
// a placeholder of the transaction's own, so that whoever looks for such a name finds what became of it.

import { isWhollyIndexed } from "../search/tokens.ts";
import type { Name } from "./names.ts";

/** What became of a change. `taken`: the target took it or may have. */
export type Fate = "open" | "taken" | "refused";

export interface TouchedResource {
  type: string;
  /** The id as it stands in the leaf; or `?…`, which no leaf's id begins with: a placeholder. */
  ref: string;
  /** Subject, or member of a group. */
  role: "s" | "m";
  /** The target changed it, or may have. */
  isChange: boolean;
  /** The target was asked about it and did not say that there is none; or it was made somebody's member. */
  isMet: boolean;
  names: Name[];
}

/** Stands for whoever may be a member: no leaf's id begins so. */
export const EVERYONE = "?everyone";

/** Whether an answer leaves it open, or shows, that the resource is there: by the status of the write to it alone. */
export function isMetBy(fate: Fate, status: number | undefined): boolean {
  return fate === "taken" || (fate === "refused" && status !== undefined && status !== 404 && status !== 410);
}

const MAX_RESOURCES = 10_000;
const MAX_NAMES = 10_000;
const MAX_NAMES_EACH = 64;

export class Touches {
  /** Something was left out. */
  isCut = false;
  readonly #byKey = new Map<string, TouchedResource>();
  #names = 0;

  get all(): readonly TouchedResource[] {
    return [...this.#byKey.values()];
  }

  /** Returns the resource with this id or, where there is none, the placeholder, if it was needed. */
  addSubject(subject: {
    type: string;
    ref: string | undefined;
    placeholder: string;
    isWrite: boolean;
    fate: Fate;
    isMet: boolean;
    /** Names that the request gives it. */
    asked: readonly Name[];
    /** Names that the target says it has. */
    told: readonly Name[];
  }): TouchedResource | undefined {
    const { type, ref, placeholder, isWrite, fate, isMet, asked, told } = subject;
    const isChange = isWrite && fate === "taken";
    const names = [...asked, ...told];
    const own = ref === undefined ? undefined : this.#add(type, ref, "s", isChange, isMet);
    if (own && fate === "taken") this.#name(own, names);
    if ((own && fate === "taken") || names.length === 0) return own;
    const other = this.#add(type, placeholder, "s", isChange, false);
    if (other) this.#name(other, names);
    return own ?? other;
  }

  /** A member is a user, as far as one can tell from its id. */
  addMember(ref: string, fate: Fate): void {
    this.#add("User", ref, "m", false, fate === "taken");
  }

  #add(
    type: string,
    ref: string,
    role: "s" | "m",
    isChange: boolean,
    isMet: boolean,
  ): TouchedResource | undefined {
    const key = `${role}${type}\0${ref}`;
    const known = this.#byKey.get(key);
    if (known) {
      known.isChange ||= isChange;
      known.isMet ||= isMet;
      return known;
    }
    if (this.#byKey.size >= MAX_RESOURCES) {
      this.isCut = true;
      return undefined;
    }
    const resource: TouchedResource = { type, ref, role, isChange, isMet, names: [] };
    this.#byKey.set(key, resource);
    return resource;
  }

  #name(resource: TouchedResource, names: readonly Name[]): void {
    for (const name of names) {
      const { attribute, value } = name;
      if (resource.names.some((known) => known.attribute === attribute && known.value === value)) continue;
      if (resource.names.length >= MAX_NAMES_EACH || this.#names >= MAX_NAMES) {
        this.isCut = true;
        return;
      }
      this.#names++;
      if (!isWhollyIndexed(value)) this.isCut = true;
      resource.names.push(name);
    }
  }
}
