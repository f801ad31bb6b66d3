// Everything that went through: searched by the server, the question in the address, and with a live tail. What is shown
// is what CSV, NDJSON and a link to this page give.

import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type ApiError, getJson } from "../../api/client.ts";
import { useLive } from "../../api/live.ts";
import type { Covers, TransactionsPage, TxnRow } from "../../api/types.ts";
import { asApiError } from "../../api/useApi.ts";
import { Failure, NoPermission, Notice, Skeleton } from "../../parts/states.tsx";
import { TxnTable } from "../../parts/table/txnTable.tsx";
import { formatCount } from "../../parts/time.tsx";
import { addressWith, navigate, useLocation } from "../../routing/location.tsx";
import { BrokenBanner } from "../../shell/badge.tsx";
import { useDesk } from "../../shell/desk.ts";
import { FacetPanel } from "./facets.tsx";
import { FilterBar, FilterError } from "./filterBar.tsx";
import { Toolbar } from "./toolbar.tsx";

const PAGE_ROWS = 100;

/** What is asked for, as it stands in the address. */
export interface Question {
  readonly filter: string;
  readonly text: string;
  readonly order: "newest" | "oldest";
}

/** Reads it from the address. */
export function readQuestion(search: string): Question {
  const parameters = new URLSearchParams(search);
  return {
    filter: parameters.get("filter") ?? "",
    text: parameters.get("text") ?? "",
    order: parameters.get("order") === "oldest" ? "oldest" : "newest",
  };
}

/** Puts it there; the order is left out where it is the usual one. */
export function ask(change: Partial<Question>): void {
  const { order, ...rest } = change;
  navigate(
    addressWith({ ...rest, ...(order && { order: order === "oldest" ? order : undefined }) }, "/activity"),
  );
}

/** The page. */
export function Activity() {
  const { ledger, canRead } = useDesk();
  const { search } = useLocation();
  const question = useMemo(() => readQuestion(search), [search]);
  const found = usePages(canRead ? ledger?.name : undefined, question);
  const [isPaused, setPaused] = useState(false);
  const canTail = question.order === "newest" && !found.error;
  const live = useLive(
    canTail && !isPaused,
    ledger?.name,
    question.filter,
    question.text,
    found.covers === undefined ? undefined : found.covers.to - 1,
  );
  const rows = useMemo(
    () => mergeRows(question.order === "newest" ? live.rows : [], found.rows),
    [live.rows, found.rows, question.order],
  );
  const fresh = useMemo(() => new Set(live.rows.map(({ txn }) => txn)), [live.rows]);
  if (!canRead) return <NoPermission what="searches" />;
  return (
    <>
      <BrokenBanner ledger={ledger} />
      <FilterBar question={question} />
      <Toolbar
        question={question}
        ledger={ledger?.name}
        isPaused={isPaused}
        setPaused={setPaused}
        live={canTail ? live.state : undefined}
      />
      {found.error?.code === "invalid_filter" && <FilterError error={found.error} filter={question.filter} />}
      <div class="with-facets">
        <FacetPanel ledger={ledger?.name} question={question} changes={live.rows.length} />
        <div class="results">
          <p class="result-line" role="status">
            {describeResult(rows.length, found)}
          </p>
          {found.error ? (
            found.error.code !== "invalid_filter" && <Failure error={found.error} retry={found.retry} />
          ) : !found.isKnown ? (
            <Skeleton rows={16} />
          ) : rows.length === 0 ? (
            <NothingFound question={question} />
          ) : (
            <TxnTable
              ledger={ledger?.name ?? ""}
              rows={rows}
              label="Transactions"
              onEnd={found.hasMore ? found.more : undefined}
              fresh={fresh}
            />
          )}
          {found.isLoading && found.isKnown && rows.length > 0 && (
            <p class="fine loading-more">Loading more…</p>
          )}
        </div>
      </div>
    </>
  );
}

function NothingFound({ question: { filter, text } }: { question: Question }) {
  if (filter === "" && text === "")
    return (
      <Notice icon="activity" title="Nothing has gone through yet">
        <p>
          The first change that an identity provider makes through a connector will appear here by itself.
        </p>
        <a class="button" href="/connectors">
          Set up a connector
        </a>
      </Notice>
    );
  return (
    <Notice icon="search" title="Nothing matches">
      <p>
        No recorded change is what you asked for. Names are found whole, by the beginning of a word, or by
        three letters in a row.
      </p>
      <button type="button" class="button" onClick={() => ask({ filter: "", text: "" })}>
        Clear the search
      </button>
    </Notice>
  );
}

interface Pages {
  readonly rows: readonly TxnRow[];
  readonly covers: Covers | undefined;
  readonly tookMs: number | undefined;
  readonly error: ApiError | undefined;
  /** An answer to this question is there. */
  readonly isKnown: boolean;
  readonly isLoading: boolean;
  readonly hasMore: boolean;
  readonly more: () => void;
  readonly retry: () => void;
}

interface PagesState {
  /** Whose rows they are. */
  ledger?: string;
  rows: readonly TxnRow[];
  covers?: Covers;
  next: string | null;
  tookMs?: number;
  error?: ApiError;
  isKnown: boolean;
}

const NOTHING: PagesState = { rows: [], next: null, isKnown: false };

/**
 * The pages of an answer that were asked for so far. Rows of the question before stay until the first page comes, but not
 * those of another ledger: neither their links nor the place that the tail begins at would be right.
 */
function usePages(ledger: string | undefined, { filter, text, order }: Question): Pages {
  const [last, setState] = useState<PagesState>(NOTHING);
  const state = last.ledger === ledger ? last : NOTHING;
  const [isLoading, setLoading] = useState(false);
  const [round, setRound] = useState(0);
  const controller = useRef<AbortController | undefined>(undefined);
  const busy = useRef(false);

  const load = useCallback(
    async (cursor: string | undefined) => {
      if (ledger === undefined) return;
      controller.current?.abort();
      const mine = new AbortController();
      controller.current = mine;
      busy.current = true;
      setLoading(true);
      const began = performance.now();
      try {
        const query = { ledger, filter, text, order, limit: PAGE_ROWS, cursor };
        const page = await getJson<TransactionsPage>("/audit/v1/transactions", query, mine.signal);
        setState((was) => ({
          ledger,
          rows: cursor === undefined ? page.transactions : [...was.rows, ...page.transactions],
          covers: cursor === undefined || !was.covers ? page.covers : was.covers,
          next: page.next,
          tookMs: performance.now() - began,
          isKnown: true,
        }));
      } catch (cause) {
        if (mine.signal.aborted) return;
        setState((was) => ({
          ...(was.ledger === ledger ? was : NOTHING),
          ledger,
          error: asApiError(cause),
          isKnown: true,
        }));
      } finally {
        if (controller.current === mine) {
          busy.current = false;
          setLoading(false);
        }
      }
    },
    [ledger, filter, text, order],
  );

  // A new round asks again.
  useEffect(() => {
    void load(undefined);
    return () => controller.current?.abort();
  }, [load, round]);

  const { next } = state;
  const more = useCallback(() => {
    if (next !== null && !busy.current) void load(next);
  }, [next, load]);
  return {
    rows: state.rows,
    covers: state.covers,
    tookMs: state.tookMs,
    error: state.error,
    isKnown: state.isKnown,
    isLoading,
    hasMore: next !== null,
    more,
    retry: () => setRound((now) => now + 1),
  };
}

/** Live rows stand first, and instead of what was known of the same transaction before. */
function mergeRows(live: readonly TxnRow[], found: readonly TxnRow[]): readonly TxnRow[] {
  if (live.length === 0) return found;
  const byTxn = new Map(live.map((row) => [row.txn, row]));
  const known = found.map((row) => {
    const newer = byTxn.get(row.txn);
    byTxn.delete(row.txn);
    return newer ?? row;
  });
  return [...live.filter(({ txn }) => byTxn.has(txn)), ...known];
}

function describeResult(shown: number, { covers, tookMs, hasMore, isKnown, error }: Pages): string {
  if (!isKnown || !covers || error) return "\u00a0";
  const range =
    covers.to > 0
      ? `entries #${formatCount(covers.from)} to #${formatCount(covers.to - 1)}`
      : "no entries yet";
  const lag = covers.size > covers.to ? `, ${formatCount(covers.size - covers.to)} not indexed yet` : "";
  const time = tookMs === undefined ? "" : ` · ${Math.max(1, Math.round(tookMs))} ms`;
  return `${formatCount(shown)}${hasMore ? " shown, more below" : shown === 1 ? " transaction" : " transactions"} · ${range}${lag}${time}`;
}
