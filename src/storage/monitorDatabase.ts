// What the monitor asks of a ledger's database besides entries, tiles and checkpoints: event entries, the index of
// outcomes, whose turn it is to record, rows beyond the newest entry, and whether the server is durable and its clock
// right. One session as the reader's role, opened when it is needed; whatever breaks it is thrown, and the next call
// opens another.

import {
  checkDurability,
  connect,
  type DatabaseAddress,
  destroy,
  endWithin,
  queryWithin,
} from "./postgres.ts";
import { schemaOf } from "./schema.ts";

type Client = Awaited<ReturnType<typeof connect>>;

/** An event entry's row, unverified. */
export interface EventRow {
  seq: number;
  leaf: string;
}

/** State of the server. */
export interface ServerFacts {
  /** Why its settings do not promise durability; undefined if they do. */
  weakness: string | undefined;
  /** The server's clock minus ours, milliseconds. */
  clockOffsetMs: number;
}

/** What a page of table `outcome` shows. */
export interface OutcomePage {
  count: number;
  /** Give this as `after` for the next page. */
  last: string | undefined;
  /** Column `seq` of the rows that name an entry that is not the outcome, or none that there can be. */
  stray: number[];
  /** Of those that name an entry beyond the newest. */
  beyond: number[];
}

export class MonitorDatabase {
  readonly #ledger: string;
  readonly #schema: string;
  readonly #address: DatabaseAddress;
  readonly #timeoutMs: number;
  #client: Client | undefined;

  constructor(ledger: string, address: DatabaseAddress, options: { timeoutMs: number }) {
    this.#ledger = ledger;
    this.#schema = schemaOf(ledger);
    this.#address = address;
    this.#timeoutMs = options.timeoutMs;
  }

  /** Event entries with seq > after, ascending. */
  async events(after: number, limit: number): Promise<EventRow[]> {
    const rows = await this.#ask<{ seq: string; leaf: string }>(
      `SELECT seq, leaf FROM ${this.#schema}.entry WHERE type = 'event' AND seq > $1 ORDER BY seq LIMIT $2`,
      [after, limit],
    );
    return rows.map(({ seq, leaf }) => ({ seq: Number(seq), leaf }));
  }

  /** Which entry table `outcome` names for each of these transactions. Each must be a UUID. */
  async outcomes(txns: readonly string[]): Promise<Map<string, number>> {
    const rows = await this.#ask<{ txn: string; seq: string }>(
      `SELECT txn, seq FROM ${this.#schema}.outcome WHERE txn = ANY($1::uuid[])`,
      [txns],
    );
    return new Map(rows.map(({ txn, seq }) => [txn, Number(seq)]));
  }

  /**
   * One page of table `outcome` by transaction, after the one given: how many rows, the last transaction, and the rows
   * that belong to no response entry. A row whose entry is missing among others is left out: the gap is a finding of its
   * own. One statement sees one moment, so this holds beside a living writer.
   */
  async strayOutcomes(after: string | undefined, limit: number): Promise<OutcomePage> {
    const rows = await this.#ask<{ txn: string; seq: string; is_stray: boolean; is_beyond: boolean }>(
      `SELECT o.txn, o.seq, o.seq < 0 OR e.seq IS NOT NULL AND (e.type = 'response' AND e.txn = o.txn) IS NOT TRUE AS is_stray,
         o.seq > (SELECT coalesce(max(seq), -1) FROM ${this.#schema}.entry) AS is_beyond
       FROM (SELECT txn, seq FROM ${this.#schema}.outcome WHERE $1::uuid IS NULL OR txn > $1::uuid ORDER BY txn LIMIT $2) o
       LEFT JOIN ${this.#schema}.entry e ON e.seq = o.seq ORDER BY o.txn`,
      [after ?? null, limit],
    );
    const seqsOf = (some: typeof rows) => some.map(({ seq }) => Number(seq));
    return {
      count: rows.length,
      last: rows.at(-1)?.txn,
      stray: seqsOf(rows.filter((row) => row.is_stray)),
      beyond: seqsOf(rows.filter((row) => row.is_beyond)),
    };
  }

  /** The lowest seq of an attachment beyond the newest entry. They are committed with their entries, so there is none. */
  async strayAttachment(): Promise<number | undefined> {
    const [row] = await this.#ask<{ seq: string | null }>(
      `SELECT min(seq) AS seq FROM ${this.#schema}.attachment WHERE seq > (SELECT coalesce(max(seq), -1) FROM ${this.#schema}.entry)`,
      [],
    );
    return row?.seq == null ? undefined : Number(row.seq);
  }

  /**
   * Takes the turn among all instances that look at this ledger, without waiting: false while another has it. It ends
   * with the session, so nobody keeps it who is gone.
   */
  async tryTurn(): Promise<boolean> {
    const [row] = await this.#ask<{ taken: boolean }>(
      "SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS taken",
      [`scimseal alarms ${this.#ledger}`],
    );
    return row?.taken === true;
  }

  async endTurn(): Promise<void> {
    await this.#ask("SELECT pg_advisory_unlock(hashtextextended($1, 0))", [
      `scimseal alarms ${this.#ledger}`,
    ]);
  }

  /** Durability settings and clock of the server. */
  async inspect(now: () => number): Promise<ServerFacts> {
    const askedAt = now();
    const [row] = await this.#ask<{ ms: string }>(
      "SELECT extract(epoch FROM clock_timestamp()) * 1000 AS ms",
      [],
    );
    const here = (askedAt + now()) / 2;
    const client = await this.#session();
    let weakness: string | undefined;
    try {
      await checkDurability(client, this.#address, this.#timeoutMs);
    } catch (cause) {
      if (!(cause instanceof Error) || cause.name !== "DurabilityError") throw cause;
      weakness = cause.message;
    }
    return { weakness, clockOffsetMs: Math.round(Number(row?.ms ?? here) - here) };
  }

  async close(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    if (client) await endWithin(client, this.#timeoutMs);
  }

  async #ask<Row extends object>(text: string, values: unknown[]): Promise<Row[]> {
    const client = await this.#session();
    try {
      const { rows } = await queryWithin<Row & Record<string, unknown>>(
        client,
        { text, values },
        this.#timeoutMs,
      );
      return rows;
    } catch (cause) {
      // Where the session stands is not known; the next call begins anew.
      if (this.#client === client) this.#client = undefined;
      destroy(client);
      throw cause;
    }
  }

  async #session(): Promise<Client> {
    if (this.#client) return this.#client;
    const client = await connect(this.#address, `scimseal ${this.#ledger} monitor`, this.#timeoutMs);
    client.once("end", () => {
      if (this.#client === client) this.#client = undefined;
    });
    if (this.#client) {
      // Two calls came at once; one session is enough.
      destroy(client);
      return this.#client;
    }
    this.#client = client;
    return client;
  }
}
