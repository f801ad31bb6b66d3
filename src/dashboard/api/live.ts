// The live tail: transactions that match, as they come (server-sent events). A pause closes the stream and remembers the
// last seq that was seen; going on asks for all that came after it, so that nothing is missed. The browser itself
// resumes after a broken connection by Last-Event-ID.

import { useEffect, useRef, useState } from "preact/hooks";
import { urlOf } from "./client.ts";
import type { TxnRow } from "./types.ts";

export type LiveState = "off" | "connecting" | "live" | "interrupted";

/** Above this many the oldest are let go; a page that was left open must not grow for ever. */
const MAX_ROWS = 2_000;
const RETRY_MS = 3_000;

/** Rows that came since `after`, newest first; a row stands once, with what was said of it last. */
export function useLive(
  isOn: boolean,
  ledger: string | undefined,
  filter: string,
  text: string,
  after: number | undefined,
): { readonly rows: readonly TxnRow[]; readonly state: LiveState } {
  const [rows, setRows] = useState<readonly TxnRow[]>([]);
  const [state, setState] = useState<LiveState>("off");
  const seen = useRef<number | undefined>(undefined);

  // Another question begins anew.
  useEffect(() => {
    setRows([]);
    seen.current = undefined;
  }, [ledger, filter, text]);

  const canStart = after !== undefined;
  // Where to begin matters only at the beginning.
  useEffect(() => {
    if (!isOn || ledger === undefined || !canStart) {
      setState("off");
      return;
    }
    let source: EventSource | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const open = () => {
      setState("connecting");
      source = new EventSource(
        urlOf("/audit/v1/live", { ledger, filter, text, after: seen.current ?? after }),
      );
      source.onopen = () => setState("live");
      source.onmessage = ({ data, lastEventId }: MessageEvent<string>) => {
        const row = JSON.parse(data) as TxnRow;
        const seq = Number(lastEventId);
        seen.current = Math.max(seen.current ?? -1, Number.isNaN(seq) ? row.seq : seq);
        setRows((was) =>
          [row, ...was.filter(({ txn }) => txn !== row.txn)].sort((a, b) => b.seq - a.seq).slice(0, MAX_ROWS),
        );
      };
      source.onerror = () => {
        setState("interrupted");
        // The browser tries again by itself, unless the answer was no stream at all.
        if (source?.readyState === EventSource.CLOSED) timer = setTimeout(open, RETRY_MS);
      };
    };
    open();
    return () => {
      clearTimeout(timer);
      source?.close();
    };
  }, [isOn, ledger, filter, text, canStart]);

  return { rows, state };
}
