// Tells those who wait that the index has grown. One look at the database serves all of them, and nobody looks while
// nobody waits.

const LOOK_MS = 400;

export class IndexPulse {
  readonly #look: () => Promise<number>;
  readonly #waiting = new Set<{ to: number; wake: (next: number | undefined) => void }>();
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  /** `look`: how far the index reaches now. A look that fails is made again. */
  constructor(look: () => Promise<number>) {
    this.#look = look;
  }

  /** Resolves once the index reaches beyond `to`, with how far; undefined when the signal fires, or at the end. */
  whenBeyond(to: number, signal: AbortSignal): Promise<number | undefined> {
    if (signal.aborted || this.#isStopped) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const waiter = {
        to,
        wake: (next: number | undefined) => {
          this.#waiting.delete(waiter);
          signal.removeEventListener("abort", stop);
          resolve(next);
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
    } catch {
      // The database is away: whoever waits goes on waiting, and sees on its own search that it is.
      return;
    }
    for (const waiter of this.#waiting) if (next > waiter.to) waiter.wake(next);
  }
}
