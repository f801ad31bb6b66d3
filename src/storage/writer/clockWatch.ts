// Notices a wall clock that was set: it compares the wall clock's progress with the monotonic clock's, and with the
// time that the newest entry claims. Time in the ledger is testimony, `seq` is the order; so a wrong clock is
// recorded, never a reason to refuse a write.

/** A difference below this is drift or latency, not an anomaly. */
const TOLERANCE_MS = 5_000;

export interface ClockAnomaly {
  [key: string]: unknown;
  kind: "stepped" | "behind_ledger";
  byMs: number;
}

export class ClockWatch {
  readonly #wall: () => number;
  readonly #monotonic: () => number;
  #offset: number;
  #behind = false;

  constructor(wall: () => number, monotonic: () => number) {
    this.#wall = wall;
    this.#monotonic = monotonic;
    this.#offset = wall() - monotonic();
  }

  /** An anomaly that is new since the last call, if there is one. */
  check(newestEntryMs: number): ClockAnomaly | undefined {
    const offset = this.#wall() - this.#monotonic();
    const stepMs = Math.round(offset - this.#offset);
    if (Math.abs(stepMs) > TOLERANCE_MS) {
      this.#offset = offset;
      return { kind: "stepped", byMs: stepMs };
    }
    const behindMs = Math.round(newestEntryMs - this.#wall());
    const behind = behindMs > TOLERANCE_MS;
    const isNew = behind && !this.#behind;
    this.#behind = behind;
    return isNew ? { kind: "behind_ledger", byMs: -behindMs } : undefined;
  }
}
