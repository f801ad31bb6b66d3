// Transactions as they come, as server-sent events (the HTML standard's EventSource): each when its request is recorded,
// and again when its outcome is. An event's id is the seq of the entry that brought it, so whoever was away goes on
// where he was, with nothing left out.

import { z } from "zod";
import type { AuditContext } from "../context.ts";
import { auditorOperation, type Operation } from "../http/operation.ts";
import { integer, NO_PARAMETERS } from "../http/parameter.ts";
import { Problem } from "../http/problem.ts";
import { type OpenSearch, openSearch, SEARCH_PARAMETERS, SEARCH_PROBLEMS } from "./request.ts";
import { TAG } from "./transactions.ts";

const HEARTBEAT_MS = 15_000;
const RETRY_MS = 2_000;
const SENT_AT_ONCE = 200;
/** Each of them searches again whenever the ledger grows. */
const MAX_STREAMS = 100;

const streams = new WeakMap<AuditContext, number>();

const getLive = auditorOperation(
  {
    method: "get",
    path: "/audit/v1/live",
    id: "getLive",
    tag: TAG,
    summary: "Transactions that fit a filter, as they come",
    description:
      "Begins behind the header Last-Event-ID, or else behind `after`, or else now. A transaction is sent again when its outcome comes.",
    scope: "connectors",
    params: NO_PARAMETERS,
    query: z.strictObject({
      ...SEARCH_PARAMETERS,
      after: integer("Transactions with an entry after this seq.", -1).optional(),
    }),
    raw: {
      "text/event-stream":
        "Events: `id` is a seq, `data` a TransactionRow. A comment every 15 s shows that it lives.",
    },
    problems: [...SEARCH_PROBLEMS, "rate_limited"],
  },
  async ({ context, auditor, request, query, isStillAllowed }) => {
    const found = openSearch(context, auditor, query);
    const given = readLastEventId(request.get("last-event-id")) ?? query.after;
    // What cannot be searched is refused now, and not in the middle of a stream.
    const { to } = await found.ledger.search.covers();
    await found.ledger.search.changes(found.search, { after: to, to, limit: 1 }, false);
    const isFull = (streams.get(context) ?? 0) >= MAX_STREAMS;
    if (isFull && request.method !== "HEAD")
      throw new Problem(
        "rate_limited",
        `At most ${MAX_STREAMS} live streams run at once: close another, or ask again.`,
      );
    return {
      kind: "events",
      events: (signal) => counted(context, follow(found, given ?? to - 1, to, signal, isStillAllowed)),
    };
  },
);

/** @throws {Problem} invalid_parameter */
function readLastEventId(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  if (!/^(?:-1|0|[1-9][0-9]{0,14})$/.test(text))
    throw new Problem("invalid_parameter", "Last-Event-ID: must be the id of an event");
  return Number(text);
}

async function* counted(context: AuditContext, events: AsyncIterable<string>): AsyncGenerator<string> {
  streams.set(context, (streams.get(context) ?? 0) + 1);
  try {
    yield* events;
  } finally {
    streams.set(context, (streams.get(context) ?? 1) - 1);
  }
}

async function* follow(
  { ledger, search, withNames, note }: OpenSearch,
  after: number,
  reached: number,
  signal: AbortSignal,
  isStillAllowed: () => boolean,
): AsyncGenerator<string> {
  let at = after;
  let to = reached;
  yield `retry: ${RETRY_MS}\n\n`;
  note("live", []);
  for (;;) {
    for (let isMore = true; isMore; ) {
      if (signal.aborted || !isStillAllowed()) return;
      const changes = await ledger.search.changes(search, { after: at, to, limit: SENT_AT_ONCE }, withNames);
      isMore = changes.length === SENT_AT_ONCE;
      if (changes.length > 0)
        note(
          "live",
          changes.map(({ row }) => row),
        );
      for (const { at: id, row } of changes) {
        yield `id: ${id}\ndata: ${JSON.stringify(row)}\n\n`;
        at = id;
      }
    }
    at = Math.max(at, to - 1);
    const beat = AbortSignal.timeout(HEARTBEAT_MS);
    const next = await ledger.search.whenBeyond(to, AbortSignal.any([signal, beat]));
    if (next !== undefined) to = next;
    // The search was closed: nothing comes any more.
    else if (!beat.aborted) return;
    else yield ": still here\n\n";
  }
}

export const liveOperations: readonly Operation[] = [getLive];
