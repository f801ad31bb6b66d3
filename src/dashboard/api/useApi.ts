// One answer of the API as the state of a component. What was shown stays while the next answer is under way, so that
// nothing jumps; an answer to an older question is dropped. Can ask again every few seconds while somebody is there.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { isAttended } from "./attention.ts";
import { ApiError, getJson, type Query, urlOf } from "./client.ts";

/** What is known of an answer. */
export interface Fetched<Answer> {
  readonly data: Answer | undefined;
  readonly error: ApiError | undefined;
  /** Something is under way. */
  readonly isLoading: boolean;
  /** Milliseconds that the newest answer took, as this browser saw it. */
  readonly tookMs: number | undefined;
  /** When it came, RFC 3339. */
  readonly at: string | undefined;
  reload(): void;
}

/** Asks for a path; undefined: for nothing. */
export function useApi<Answer>(path: string | undefined, query?: Query, everyMs?: number): Fetched<Answer> {
  const url = path === undefined ? undefined : urlOf(path, query);
  const [state, setState] = useState<{
    url?: string;
    data?: Answer;
    error?: ApiError;
    tookMs?: number;
    at?: string;
  }>({});
  const [isLoading, setLoading] = useState(url !== undefined);
  const [round, setRound] = useState(0);
  const shown = useRef<string | undefined>(undefined);

  // A new round asks again.
  useEffect(() => {
    if (url === undefined) {
      setLoading(false);
      return;
    }
    const controller = new AbortController();
    const began = performance.now();
    setLoading(true);
    getJson<Answer>(url, undefined, controller.signal).then(
      (data) => {
        if (controller.signal.aborted) return;
        shown.current = url;
        setState({ url, data, tookMs: performance.now() - began, at: new Date().toISOString() });
        setLoading(false);
      },
      (error: unknown) => {
        if (controller.signal.aborted) return;
        // What is on the page stays there through a failed refresh of itself.
        setState((was) =>
          was.url === url ? { ...was, error: asApiError(error) } : { url, error: asApiError(error) },
        );
        setLoading(false);
      },
    );
    return () => controller.abort();
  }, [url, round]);

  useEffect(() => {
    if (everyMs === undefined || url === undefined) return;
    const timer = setInterval(() => {
      if (isAttended()) setRound((now) => now + 1);
    }, everyMs);
    return () => clearInterval(timer);
  }, [url, everyMs]);

  const reload = useCallback(() => setRound((now) => now + 1), []);
  return { data: state.data, error: state.error, isLoading, tookMs: state.tookMs, at: state.at, reload };
}

/** Any error as one of the API's. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError(
    0,
    "unexpected",
    error instanceof Error ? error.message : "Something unexpected happened.",
    {
      cause: error,
    },
  );
}
