// Where in a ledger the times of a search lie. Entries are in the order of seq, and nearly in that of time: clocks differ
// and are set back. So nothing is assumed: for each stretch of seqs the earliest and the latest time are remembered, and
// stretches that cannot hold what is asked for are passed over. What is not known yet is never passed over, so that a
// search is right without this, only slower.

import type { Query } from "../../scim/search/query.ts";
import type { Ask } from "./indexSession.ts";

/** Seqs per stretch: a walk through one takes a few milliseconds. */
export const STRETCH = 8_192;
/** Read in one query, while nobody waits. */
const STRETCHES_AT_ONCE = 32;

/** Seqs from `from` up to `to`, itself excluded; without `to`: all from there on. */
export interface SeqRange {
  from: number;
  to?: number;
}

/** Times, epoch milliseconds, both included. */
export interface TimeSpan {
  from: number;
  to: number;
}

/** The span outside of which no transaction fits; undefined if the query sets none. */
export function timeSpanOf(query: Query | undefined): TimeSpan | undefined {
  const terms = query?.kind === "and" ? query.terms : query ? [query] : [];
  let span: TimeSpan | undefined;
  for (const term of terms) {
    if (term.kind === "and") {
      const inner = timeSpanOf(term);
      if (inner) span = narrow(span, inner);
    }
    if (term.kind !== "test" || term.attribute.name !== "time" || typeof term.value !== "number") continue;
    const { operator, value } = term;
    if (operator === "eq") span = narrow(span, { from: value, to: value });
    if (operator === "gt" || operator === "ge") span = narrow(span, { from: value, to: Infinity });
    if (operator === "lt" || operator === "le") span = narrow(span, { from: -Infinity, to: value });
  }
  return span;
}

function narrow(span: TimeSpan | undefined, other: TimeSpan): TimeSpan {
  return {
    from: Math.max(span?.from ?? -Infinity, other.from),
    to: Math.min(span?.to ?? Infinity, other.to),
  };
}

export class TimeMap {
  readonly #ask: Ask;
  readonly #schema: string;
  readonly #version: string;
  /** One a stretch, from seq 0 on; undefined: no transaction begins there. */
  #stretches: (TimeSpan | undefined)[] = [];
  /** The file that the table's rows lie in: an index that was thrown away and made anew has another. */
  #file: string | undefined;
  #growing: Promise<void> | undefined;
  #isStopped = false;

  constructor(ask: Ask, schema: string, version: string) {
    this.#ask = ask;
    this.#schema = schema;
    this.#version = version;
  }

  /** Where transactions with such times may be, ascending and apart; all others are elsewhere for certain. */
  async rangesOf(span: TimeSpan): Promise<SeqRange[]> {
    const next = await this.#refresh();
    this.#grow(next);
    const known = this.#stretches.length * STRETCH;
    const first = this.#stretches.findIndex((one) => one !== undefined && one.to >= span.from);
    const last = this.#stretches.findLastIndex((one) => one !== undefined && one.from <= span.to);
    if (first < 0 || last < first) return [{ from: known }];
    const range = { from: first * STRETCH, to: (last + 1) * STRETCH };
    // The end that is not known yet is searched too; on its own, so that what lies between is not walked through.
    return range.to === known ? [{ from: range.from }] : [range, { from: known }];
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#growing;
  }

  /** Forgets everything if the index was made anew. Returns how far it reaches. */
  async #refresh(): Promise<number> {
    const [row] = await this.#ask<{ next: string | null; file: string | null }>(
      `SELECT (SELECT next FROM ${this.#schema}.index_state WHERE version = $1) AS next, pg_relation_filenode($2::regclass)::text AS file`,
      [this.#version, `${this.#schema}.txn`],
    );
    const next = Number(row?.next ?? 0);
    const file = row?.file ?? undefined;
    if (file !== this.#file || next < this.#stretches.length * STRETCH) {
      this.#stretches = [];
      this.#file = file;
    }
    return next;
  }

  /** Learns more behind the back of whoever searches. */
  #grow(next: number): void {
    if (this.#growing || this.#isStopped || next < (this.#stretches.length + 1) * STRETCH) return;
    this.#growing = this.#learn(next).finally(() => {
      this.#growing = undefined;
    });
  }

  async #learn(next: number): Promise<void> {
    const whole = Math.floor(next / STRETCH);
    try {
      while (!this.#isStopped && this.#stretches.length < whole) {
        const stretches = this.#stretches;
        const file = this.#file;
        const first = stretches.length;
        const end = Math.min(whole, first + STRETCHES_AT_ONCE);
        const rows = await this.#ask<{ stretch: string; from: number; to: number }>(
          `SELECT seq / ${STRETCH} AS stretch, extract(epoch FROM min(time))::float8 * 1000 AS from, extract(epoch FROM max(time))::float8 * 1000 AS to FROM ${this.#schema}.txn WHERE seq >= $1::bigint AND seq < $2::bigint GROUP BY 1`,
          [first * STRETCH, end * STRETCH],
        );
        // Made anew meanwhile, before this was read or after: then it is told of neither.
        await this.#refresh();
        if (this.#stretches !== stretches || this.#file !== file) return;
        const spans = new Map(rows.map(({ stretch, from, to }) => [Number(stretch), { from, to }]));
        for (let stretch = first; stretch < end; stretch++) {
          const span = spans.get(stretch);
          // A millisecond of room for what is lost between decimal and binary fractions.
          stretches.push(span && { from: span.from - 1, to: span.to + 1 });
        }
      }
    } catch {
      // The database is away or slow. Nobody waits for this, and the next search begins it again.
    }
  }
}
