// What is heavy goes on a few at a time, in all and for each auditor, so that no number of readers can take the memory
// of the process that passes writes on. Some of it waits for its turn; where the line is full, or where nothing may
// wait, the answer is 429 `rate_limited`. Counted in this process; another instance counts its own.

import type { Request } from "express";
import type { AuditContext, Auditor } from "../context.ts";
import { Problem } from "../http/problem.ts";

export interface TurnLimits {
  /** At work at once, in all and for one auditor. */
  readonly inAll: number;
  readonly each: number;
  /** How many of one auditor may wait; the others of his are refused. */
  readonly waiting: number;
  /** What whoever is refused is told. */
  readonly detail: string;
}

interface Desk {
  /** At work, by auditor. */
  readonly working: Map<string, number>;
  /** In the order in which they came. */
  readonly line: { readonly who: string; begin(): void }[];
}

export class Turns {
  readonly #limits: TurnLimits;
  readonly #desks = new WeakMap<AuditContext, Desk>();

  constructor(limits: TurnLimits) {
    this.#limits = limits;
  }

  /** Does this when its turn comes. @throws {Problem} rate_limited */
  async run<Result>(context: AuditContext, auditor: Auditor, work: () => Promise<Result>): Promise<Result> {
    const end = await this.#begin(context, auditor);
    try {
      return await work();
    } finally {
      end();
    }
  }

  /** Takes a turn that lasts until the answer is out, or whoever asked has gone. @throws {Problem} rate_limited */
  async holdUntilAnswered(context: AuditContext, auditor: Auditor, { res }: Request): Promise<void> {
    const end = await this.#begin(context, auditor);
    // Not by the end of what makes the answer: whoever hangs up early may leave it never begun.
    if (!res || res.closed) end();
    // A pipeline listens so often itself that one more would look like a leak.
    else res.setMaxListeners(res.getMaxListeners() + 1).once("close", end);
  }

  async #begin(context: AuditContext, { auditor: who }: Auditor): Promise<() => void> {
    const desk: Desk = this.#desks.get(context) ?? { working: new Map(), line: [] };
    this.#desks.set(context, desk);
    if (this.#isFree(desk, who)) enter(desk, who);
    else {
      if (desk.line.filter((one) => one.who === who).length >= this.#limits.waiting)
        throw new Problem("rate_limited", this.#limits.detail);
      await new Promise<void>((begin) => desk.line.push({ who, begin }));
    }
    return () => this.#end(desk, who);
  }

  #isFree({ working }: Desk, who: string): boolean {
    let sum = 0;
    for (const count of working.values()) sum += count;
    return sum < this.#limits.inAll && (working.get(who) ?? 0) < this.#limits.each;
  }

  #end(desk: Desk, who: string): void {
    const left = (desk.working.get(who) ?? 1) - 1;
    if (left > 0) desk.working.set(who, left);
    else desk.working.delete(who);
    const index = desk.line.findIndex((one) => this.#isFree(desk, one.who));
    const [next] = index < 0 ? [] : desk.line.splice(index, 1);
    if (!next) return;
    enter(desk, next.who);
    next.begin();
  }
}

function enter({ working }: Desk, who: string): void {
  working.set(who, (working.get(who) ?? 0) + 1);
}

/** Histories, and pages with attachments: each may hold two hundred megabytes for a moment. */
export const heavyReading = new Turns({
  inAll: 2,
  each: 1,
  waiting: 20,
  detail: "Too many timelines and pages with attachments were asked for at once; ask again in a few seconds.",
});

/** Exports and evidence packs: each holds a page, for as long as it takes to send all. */
export const exportTurns = new Turns({
  inAll: 8,
  each: 2,
  waiting: 0,
  detail:
    "Two exports of one auditor, and eight of all auditors, run at once: let one end, and ask again then.",
});

/**
 * Asked before each piece of a long answer. Thrown in the middle it destroys the connection: what was sent must not look
 * like all there is. @throws {Problem} unauthenticated
 */
export function requireStillAllowed(isStillAllowed: () => boolean): void {
  if (!isStillAllowed())
    throw new Problem("unauthenticated", "The token or session ended while the answer was made.");
}
