// One batch of index rows, gathered before it is written: what each resource of it was touched by, under which names, and
// from which entry to which. The same resource is written once a batch, however often it occurs.

import type { EventRow, TransactionRow } from "../../scim/extract/extract.ts";
import type { TouchedResource } from "../../scim/extract/touches.ts";
import type { NameAttribute } from "../../scim/search/tokens.ts";

/** A transaction to be written. */
export interface IndexedTransaction extends TransactionRow {
  /** Its row is there already, open: the outcome came in a later batch. */
  isStored: boolean;
}

export interface IndexBatch {
  transactions: readonly IndexedTransaction[];
  events: readonly EventRow[];
  /** Entries that could not be read. */
  skipped: number;
  /** The entry after the last of the batch. */
  next: number;
  /** Leaf hash of entry next - 1. */
  head: Uint8Array;
}

export interface AccountRow {
  connector: string;
  type: string;
  ref: string;
  firstSeq: number;
  lastSeq: number;
  /** How many more. */
  changes: number;
  /** There is reason to believe that it was ever there. */
  isMet: boolean;
}

export interface NameRow {
  account: AccountRow;
  attribute: NameAttribute;
  value: string;
  firstSeq: number;
  lastSeq: number;
}

export interface TouchRow {
  account: AccountRow;
  seq: number;
  role: "s" | "m";
}

/** The resources of a batch. */
export class BatchAccounts {
  readonly touches: TouchRow[] = [];
  readonly #accounts = new Map<string, AccountRow>();
  readonly #names = new Map<string, NameRow>();
  readonly #abouts = new Map<TransactionRow, AccountRow>();

  constructor(transactions: readonly TransactionRow[]) {
    for (const row of transactions) {
      for (const touched of row.touched) {
        const account = this.#touch(row, touched);
        this.touches.push({ account, seq: row.seq, role: touched.role });
        if (touched === row.about) this.#abouts.set(row, account);
      }
    }
  }

  get accounts(): AccountRow[] {
    return [...this.#accounts.values()];
  }

  get names(): NameRow[] {
    return [...this.#names.values()];
  }

  /** The resource that a transaction of the batch is about. */
  about(row: TransactionRow): AccountRow | undefined {
    return this.#abouts.get(row);
  }

  #touch({ connector, seq, closedSeq }: TransactionRow, touched: TouchedResource): AccountRow {
    const { type, ref, isChange, isMet, names } = touched;
    const key = `${connector}\0${type}\0${ref}`;
    let account = this.#accounts.get(key);
    if (!account) {
      account = { connector, type, ref, firstSeq: seq, lastSeq: seq, changes: 0, isMet };
      this.#accounts.set(key, account);
    }
    widen(account, seq);
    account.isMet ||= isMet;
    // Counted with the outcome, so once.
    if (isChange && closedSeq !== undefined) account.changes++;
    for (const { attribute, value } of names) {
      const nameKey = `${key}\0${attribute}\0${value}`;
      const name = this.#names.get(nameKey);
      if (name) widen(name, seq);
      else this.#names.set(nameKey, { account, attribute, value, firstSeq: seq, lastSeq: seq });
    }
    return account;
  }
}

function widen(row: { firstSeq: number; lastSeq: number }, seq: number): void {
  row.firstSeq = Math.min(row.firstSeq, seq);
  row.lastSeq = Math.max(row.lastSeq, seq);
}
