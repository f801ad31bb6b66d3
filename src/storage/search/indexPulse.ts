// Tells those who wait that the index has grown. One look at the database serves all of them, and nobody looks while
// nobody waits.

import { IndexNotReadyError } from "./indexSession.ts";

const LOOK_MS = 400;

interface Waiter {
  readonly to: number;
  wake(next: number | undefined): void;
  fail(cause: IndexNotReadyError): void;
}

export class IndexPulse {
  readonly #look: () => Promise<number>;
  readonly #waiting = new Set<Waiter>();
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  /** `look`: how far the index reaches now. A look that fails is made again, unless the index is another's. */
  constructor(look: () => Promise<number>) {
    this.#look = look;
  }

  /**
   * Resolves once the index reaches beyond `to`, with how far; undefined when the signal fires, or at the end.
   * @throws {IndexNotReadyError} as the look did
   */
  whenBeyond(to: number, signal: AbortSignal): Promise<number | undefined> {
    if (signal.aborted || this.#isStopped) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.delete(waiter);
        signal.removeEventListener("abort", stop);
      };
      const waiter: Waiter = {
        to,
        wake: (next) => {
          leave();
          resolve(next);
        },
        fail: (cause) => {
          leave();
          reject(cause);
        },
      };
      const stop = () => waiter.wake(undefined);
      signal.addEventListener("abort", stop, { once: true });
      this.#waiting.add(waiter);
      this.#schedule(0);
    });
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    for (const waiter of this.#waiting) waiter.wake(undefined);
  }

  #schedule(delayMs: number): void {
    if (this.#timer !== undefined || this.#isStopped) return;
    this.#timer = setTimeout(() => {
      void this.#tick().finally(() => {
        this.#timer = undefined;
        if (this.#waiting.size > 0) this.#schedule(LOOK_MS);
      });
    }, delayMs);
  }

  async #tick(): Promise<void> {
    let next: number;
    try {
      next = await this.#look();
    } catch (cause) {
      // The database is away: whoever waits goes on waiting, and sees on its own search that it is. An index that is
      // another's would let them wait in vain.
      if (cause instanceof IndexNotReadyError) for (const waiter of this.#waiting) waiter.fail(cause);
      return;
    }
    for (const waiter of this.#waiting) if (next > waiter.to) waiter.wake(next);
  }
}
