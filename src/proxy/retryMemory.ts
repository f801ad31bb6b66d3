// Links a client's retry to the transaction it repeats, when that one ended without a certain answer. It only informs
// the record: a retry is a new transaction and is forwarded like any other. Bounded, in memory, oldest forgotten first.

import { RecentMap } from "../recentMap.ts";

/** At least; never more than twice as many. */
const KEPT = 10_000;

export class RetryMemory {
  readonly #txnByKey = new RecentMap<string, string>(KEPT);

  /** A transaction ended uncertainly; a later request with the same key is its retry. */
  remember(key: string, txn: string): void {
    this.#txnByKey.set(key, txn);
  }

  /** The transaction that a request with this key repeats; forgotten once told. */
  take(key: string): string | undefined {
    const txn = this.#txnByKey.get(key);
    if (txn !== undefined) this.#txnByKey.delete(key);
    return txn;
  }

  get isEmpty(): boolean {
    return this.#txnByKey.size === 0;
  }
}
