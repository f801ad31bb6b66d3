// Asking a ledger's index. The index may be emptied and made anew at any time: by an instance of another version (a
// rolling upgrade), or because the ledger was put back. Promises: what a view read comes from one making of the index, and
// of this version; otherwise it is read again or refused, never answered. And what takes too long ends as a
// SearchTimeoutError. Leaves out how far the index reaches: an index that was just begun is ready, and covers little.

import pg from "pg";
import { type DatabaseAddress, openPool, type PoolOptions } from "../postgres.ts";

/** Runs a statement of a search. */
export type Ask = <Row extends pg.QueryResultRow>(text: string, values: readonly unknown[]) => Promise<Row[]>;

/** The search took too long and was given up. */
export class SearchTimeoutError extends Error {
  override name = "SearchTimeoutError";
}

/** The index is of another version, or was made anew while it was read: nothing can be told from it now. */
export class IndexNotReadyError extends Error {
  override name = "IndexNotReadyError";
}

/** Reads that belong together: one search, or all pages of one export. */
export interface IndexView {
  /**
   * Runs questions that must be answered by one making of the index, which may mean to run them again. Once they were
   * answered, all that the view reads later must come from that same making. @throws {IndexNotReadyError}
   */
  read<Result>(work: () => Promise<Result>): Promise<Result>;
}

/**
 * Connections for asking the index, and the entries that it points at. Plans are for short answers: an index on the asked
 * value in the order of seq, or a few thousand places one by one, win over a walk through all rows, since pages of an index
 * are in memory or on a fast disk; and no machine code is made for a query of some milliseconds.
 */
export function openIndexPool(
  address: DatabaseAddress,
  applicationName: string,
  options: PoolOptions,
): pg.Pool {
  const url = new URL(address.connectionString);
  const given = url.searchParams.get("options");
  url.searchParams.set("options", `${given === null ? "" : `${given} `}-c random_page_cost=1.1 -c jit=off`);
  return openPool({ ...address, connectionString: url.href }, applicationName, options);
}

/** An index that is emptied more often than this while it is read is asked later. */
const MAX_TRIES = 3;

export class IndexSession {
  readonly #pool: pg.Pool;
  readonly #schema: string;
  readonly #version: string;
  /** The making that was seen last. As long as it is still there, all that was read since is of it. */
  #seen: string | undefined;

  /** `version` names the index's format and key, as the index's writer does. */
  constructor(pool: pg.Pool, schema: string, version: string) {
    this.#pool = pool;
    this.#schema = schema;
    this.#version = version;
  }

  /** One statement, without a word about whose index it read. @throws {SearchTimeoutError} */
  readonly ask: Ask = <Row extends pg.QueryResultRow>(text: string, values: readonly unknown[]) =>
    this.within(async () => (await this.#pool.query<Row>(text, [...values])).rows);

  /** Whatever this session's pool is asked. @throws {SearchTimeoutError} */
  async within<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (cause) {
      // Whoever gives up first: the server (query_canceled), or this side just after.
      const isLate = cause instanceof pg.DatabaseError ? cause.code === "57014" : isQueryTimeout(cause);
      if (isLate) throw new SearchTimeoutError("the search took too long", { cause });
      throw cause;
    }
  }

  view(): IndexView {
    let own: string | undefined;
    return {
      read: async (work) => {
        for (let tries = 0; tries < MAX_TRIES; tries++) {
          const before = own ?? this.#seen ?? (await this.look());
          const outcome = await settled(work);
          // Afterwards: another table may have been read, whether that went well or not.
          const after = await this.look();
          if (after === before) {
            if (!outcome.ok) throw outcome.cause;
            own = after;
            return outcome.value;
          }
          if (own !== undefined) break;
        }
        throw new IndexNotReadyError("the index was made anew while it was read");
      },
    };
  }

  /** Names the making of the index that is there now. @throws {IndexNotReadyError} if it is another version's */
  async look(): Promise<string> {
    // Emptying gives the tables other files. It locks all of them, this statement's too: what is read here is of one time.
    const [row] = await this.ask<{ version: string | null; file: string | null }>(
      `SELECT (SELECT string_agg(version, ',') FROM ${this.#schema}.index_state) AS version, pg_relation_filenode($1::regclass)::text AS file`,
      [`${this.#schema}.txn`],
    );
    const { version, file } = row ?? { version: null, file: null };
    // Without a version nobody has begun: the tables are empty, as they seem.
    if (version !== null && version !== this.#version) {
      this.#seen = undefined;
      throw new IndexNotReadyError("the index is of another version");
    }
    this.#seen = `${version ?? ""} ${file ?? ""}`;
    return this.#seen;
  }
}

type Settled<Result> = { ok: true; value: Result } | { ok: false; cause: unknown };

async function settled<Result>(work: () => Promise<Result>): Promise<Settled<Result>> {
  try {
    return { ok: true, value: await work() };
  } catch (cause) {
    return { ok: false, cause };
  }
}

function isQueryTimeout(cause: unknown): boolean {
  return cause instanceof Error && cause.message === "Query read timeout";
}
