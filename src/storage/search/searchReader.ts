// Searching a ledger's index: pages of transactions and of entries in either order, what is new since a place, and the
// whole result for exports. Works as the reader's role, with sessions and a deadline of its own, so that a search for
// too much ends and never takes a session from what verifies.
// Pages are cut by seq, not by number: what was shown stays where it is while the ledger grows.

import type pg from "pg";
import type { DatabaseAddress } from "../postgres.ts";
import { schemaOf } from "../schema.ts";
import { AccountSearch, type IndexOpener, type Search } from "./accountSearch.ts";
import { IndexPulse } from "./indexPulse.ts";
import { IndexSession, openIndexPool } from "./indexSession.ts";
import { conditionOf, Parameters, type RowKind, type SqlSearch, sourceOf } from "./searchSql.ts";
import { type Facets, facetsOf, type Overview, overviewOf } from "./searchSummary.ts";
import { type SeqRange, TimeMap, timeSpanOf } from "./timeMap.ts";
import {
  TRANSACTION_COLUMNS,
  type TransactionRecord,
  type TransactionSummary,
  toSummary,
} from "./transactionRow.ts";

export { type IndexOpener, namesAccounts, type Search } from "./accountSearch.ts";
export { IndexNotReadyError, SearchTimeoutError } from "./indexSession.ts";
export type { Facets, Overview } from "./searchSummary.ts";
export type { TransactionSummary } from "./transactionRow.ts";

/** Which part of the ledger an answer rests on: entries with from ≤ seq < to are in the index, of `size` there are. */
export interface Coverage {
  from: 0;
  to: number;
  size: number;
  /** Of those in the index, entries that it could not take: no search finds them. Absent: none. */
  skipped?: number;
}

export type Order = "newest" | "oldest";

/** Which stretch of the result: behind `after` in the given order, at most `limit`. */
export interface Stretch {
  order: Order;
  limit: number;
  after?: number | undefined;
}

/** A page of the entries that a search found. */
export interface FoundEntries {
  seqs: number[];
  /** Those of transactions that the index has not all names of. */
  cut: ReadonlySet<number>;
  next: number | undefined;
}

export interface SearchReaderOptions {
  opener: IndexOpener;
  connections: number;
  /** A search that takes longer is given up. */
  timeoutMs: number;
}

/**
 * Searches one ledger. Whatever it answers is of one making of the index, of this version; otherwise it throws
 * IndexNotReadyError.
 */
export class SearchReader {
  readonly #pool: pg.Pool;
  readonly #schema: string;
  readonly #opener: IndexOpener;
  readonly #index: IndexSession;
  readonly #accounts: AccountSearch;
  readonly #times: TimeMap;
  readonly #pulse: IndexPulse;

  constructor(ledger: string, address: DatabaseAddress, options: SearchReaderOptions) {
    const { connections, timeoutMs, opener } = options;
    this.#schema = schemaOf(ledger);
    this.#opener = opener;
    this.#pool = openIndexPool(address, `scimseal ${ledger} search`, { connections, timeoutMs });
    this.#index = new IndexSession(this.#pool, this.#schema, opener.version);
    const { ask } = this.#index;
    this.#accounts = new AccountSearch(ask, this.#schema, opener);
    this.#times = new TimeMap(ask, this.#schema, opener.version);
    this.#pulse = new IndexPulse(() => this.#next());
  }

  /** How far the index reaches now; one of another version does not. */
  async covers(): Promise<Coverage> {
    const [row] = await this.#index.ask<{ next: string | null; skipped: string | null; last: string | null }>(
      `SELECT (SELECT max(seq) FROM ${this.#schema}.entry) AS last, s.next, s.skipped FROM (VALUES (1)) one LEFT JOIN ${this.#schema}.index_state s ON s.version = $1`,
      [this.#opener.version],
    );
    const to = Number(row?.next ?? 0);
    const skipped = Number(row?.skipped ?? 0);
    const size = Math.max(to, row?.last == null ? 0 : Number(row.last) + 1);
    return { from: 0, to, size, ...(skipped > 0 && { skipped }) };
  }

  /** A page of transactions. @throws {FilterError} {SearchTimeoutError} {IndexNotReadyError} */
  async transactions(
    search: Search,
    stretch: Stretch,
    withNames: boolean,
  ): Promise<{ rows: TransactionSummary[]; next: number | undefined }> {
    return this.#index
      .view()
      .read(async () => this.#page(await this.#accounts.resolve(search), stretch, withNames));
  }

  /**
   * Every transaction of the result, in pages: constant memory for any number.
   * @throws {FilterError} {SearchTimeoutError} {IndexNotReadyError}
   */
  async *allTransactions(
    search: Search,
    order: Order,
    withNames: boolean,
  ): AsyncGenerator<TransactionSummary[]> {
    const view = this.#index.view();
    const resolved = await view.read(() => this.#accounts.resolve(search));
    let after: number | undefined;
    const readPage = (from: number | undefined) =>
      view.read(() => this.#page(resolved, { order, limit: EXPORT_PAGE, after: from }, withNames));
    let page = readPage(after);
    for (;;) {
      const { rows, next } = await page;
      after = next;
      if (after === undefined) {
        yield rows;
        return;
      }
      // The next page is read while this one goes out. Nobody may ever ask for it: then its failure is nobody's.
      page = readPage(after);
      page.catch(() => {});
      yield rows;
    }
  }

  /** A page of seqs: entries of the transactions that fit, and events. @throws {FilterError} {SearchTimeoutError} {IndexNotReadyError} */
  async entries(search: Search, stretch: Stretch): Promise<FoundEntries> {
    return this.#index.view().read(async () => this.#entries(await this.#accounts.resolve(search), stretch));
  }

  async #entries(resolved: SqlSearch, { order, limit, after }: Stretch): Promise<FoundEntries> {
    const parameters = new Parameters();
    const direction = order === "newest" ? "DESC" : "ASC";
    const parts = KINDS.map((kind) => {
      const source = sourceOf(this.#schema, kind, "entries");
      const condition = conditionOf(resolved, source, parameters);
      const behind = behindPlace(source.seq, order, after, parameters);
      const isThere = kind === "outcome" ? " AND t.closed_seq IS NOT NULL" : "";
      const table = kind === "event" ? "event" : "txn";
      const isCut = kind === "event" ? "false" : "t.is_cut";
      return `(SELECT ${source.seq} AS seq, ${isCut} AS is_cut FROM ${this.#schema}.${table} t WHERE ${condition}${behind}${isThere} ORDER BY ${source.seq} ${direction} LIMIT ${limit + 1})`;
    });
    const rows = await this.#index.ask<{ seq: string; is_cut: boolean }>(
      `${parts.join(" UNION ALL ")} ORDER BY seq ${direction} LIMIT ${limit + 1}`,
      parameters.values,
    );
    const shown = rows.slice(0, limit);
    const seqs = shown.map(({ seq }) => Number(seq));
    return {
      seqs,
      cut: new Set(shown.filter((row) => row.is_cut).map(({ seq }) => Number(seq))),
      next: rows.length > limit ? seqs.at(-1) : undefined,
    };
  }

  /** Whether the search can be made. @throws {FilterError} {SearchTimeoutError} {IndexNotReadyError} */
  async check(search: Search): Promise<void> {
    await this.#index.view().read(() => this.#accounts.resolve(search));
  }

  /**
   * Transactions that came or were closed by entries with after < seq < to, in pages, oldest first, each once and with the
   * seq of its last entry there. The index must reach `to`. Names are looked through once, before the first page.
   */
  async *changes(
    search: Search,
    { after, to, limit }: { after: number; to: number; limit: number },
    withNames: boolean,
  ): AsyncGenerator<{ at: number; row: TransactionSummary }[]> {
    const view = this.#index.view();
    const resolved = await view.read(() => this.#accounts.resolve(search));
    for (let at: number | undefined = after; at !== undefined; ) {
      const from: number = at;
      const page: { at: number; row: TransactionSummary }[] = await view.read(() =>
        this.#changesOf(resolved, { after: from, to, limit }, withNames),
      );
      if (page.length > 0) yield page;
      at = page.length === limit ? page.at(-1)?.at : undefined;
    }
  }

  async #changesOf(
    resolved: SqlSearch,
    { after, to, limit }: { after: number; to: number; limit: number },
    withNames: boolean,
  ): Promise<{ at: number; row: TransactionSummary }[]> {
    const parameters = new Parameters();
    const condition = conditionOf(resolved, sourceOf(this.#schema, "txn", "transactions"), parameters);
    const from = parameters.add(after, "bigint");
    const until = parameters.add(to, "bigint");
    const part = (seq: string, state: string) =>
      `(SELECT ${seq} AS at, ${TRANSACTION_COLUMNS} FROM ${this.#schema}.txn t WHERE ${condition} AND ${seq} > ${from} AND ${seq} < ${until} AND t.closed_seq ${state} ORDER BY ${seq} LIMIT ${limit})`;
    const rows = await this.#index.ask<TransactionRecord & { at: string }>(
      `${part("t.closed_seq", "IS NOT NULL")} UNION ALL ${part("t.seq", "IS NULL")} ORDER BY at LIMIT ${limit}`,
      parameters.values,
    );
    const shown = await this.#show(rows, withNames);
    return shown.map((row, index) => ({ at: Number(rows[index]?.at), row }));
  }

  /**
   * Resolves once the index reaches beyond `to`, with how far it does; undefined when the signal fires before.
   * @throws {IndexNotReadyError} when it becomes one of another version, which grows for others only
   */
  whenBeyond(to: number, signal: AbortSignal): Promise<number | undefined> {
    return this.#pulse.whenBeyond(to, signal);
  }

  /** Counts by value over the newest transactions that fit. @throws {FilterError} {SearchTimeoutError} {IndexNotReadyError} */
  async facets(search: Search): Promise<Facets> {
    return this.#index
      .view()
      .read(async () => facetsOf(this.#index.ask, this.#schema, await this.#accounts.resolve(search)));
  }

  /** What happened between two times (epoch milliseconds). @throws {SearchTimeoutError} {IndexNotReadyError} */
  async overview(
    span: { from: number; to: number; bucketMs: number },
    connectors: readonly string[] | undefined,
    withNames: boolean,
  ): Promise<Overview> {
    return this.#index.view().read(async () => {
      const { refusals, open, ...counts } = await overviewOf(this.#index.ask, this.#schema, span, connectors);
      return {
        ...counts,
        refusals: await this.#show(refusals, withNames),
        open: await this.#show(open, withNames),
      };
    });
  }

  async close(): Promise<void> {
    this.#pulse.stop();
    await this.#times.stop();
    await this.#pool.end();
  }

  async #page(
    search: SqlSearch,
    { order, limit, after }: Stretch,
    withNames: boolean,
  ): Promise<{ rows: TransactionSummary[]; next: number | undefined }> {
    const span = timeSpanOf(search.query);
    const ranges: SeqRange[] = span ? await this.#times.rangesOf(span) : [{ from: 0 }];
    if (order === "newest") ranges.reverse();
    const rows: TransactionRecord[] = [];
    for (const range of ranges) {
      if (rows.length <= limit)
        rows.push(...(await this.#pageOf(search, range, { order, limit: limit + 1 - rows.length, after })));
    }
    const shown = await this.#show(rows.slice(0, limit), withNames);
    return { rows: shown, next: rows.length > limit ? shown.at(-1)?.seq : undefined };
  }

  async #pageOf(
    search: SqlSearch,
    { from, to }: SeqRange,
    { order, limit, after }: Stretch,
  ): Promise<TransactionRecord[]> {
    const parameters = new Parameters();
    const source = sourceOf(this.#schema, "txn", "transactions");
    const condition = conditionOf(search, source, parameters);
    const behind = behindPlace(source.seq, order, after, parameters);
    const within = `${from > 0 ? ` AND t.seq >= ${parameters.add(from, "bigint")}` : ""}${to === undefined ? "" : ` AND t.seq < ${parameters.add(to, "bigint")}`}`;
    return this.#index.ask<TransactionRecord>(
      `SELECT ${TRANSACTION_COLUMNS} FROM ${this.#schema}.txn t WHERE ${condition}${behind}${within} ORDER BY t.seq ${order === "newest" ? "DESC" : "ASC"} LIMIT ${limit}`,
      parameters.values,
    );
  }

  async #show(rows: readonly TransactionRecord[], withNames: boolean): Promise<TransactionSummary[]> {
    const accounts = new Set(rows.flatMap(({ account }) => account ?? []));
    const names = withNames ? await this.#accounts.bestNames([...accounts]) : new Map<string, string>();
    return rows.map((row) => toSummary(row, row.account === null ? undefined : names.get(row.account)));
  }

  async #next(): Promise<number> {
    const [row] = await this.#index.ask<{ next: string }>(
      `SELECT next FROM ${this.#schema}.index_state WHERE version = $1`,
      [this.#opener.version],
    );
    // None of this version: then either none at all yet, or another's.
    if (!row) await this.#index.look();
    return Number(row?.next ?? 0);
  }
}

const EXPORT_PAGE = 5_000;
const KINDS: readonly RowKind[] = ["txn", "outcome", "event"];

function behindPlace(seq: string, order: Order, after: number | undefined, parameters: Parameters): string {
  if (after === undefined) return "";
  return ` AND ${seq} ${order === "newest" ? "<" : ">"} ${parameters.add(after, "bigint")}`;
}
