// Transactions as they come, as server-sent events (the HTML standard's EventSource): each when its request is recorded,
// and again when its outcome is. An event's id is the seq of the entry that brought it, so whoever was away goes on
// where he was, with nothing left out.

import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { namesAccounts } from "../../storage/search/searchReader.ts";
import type { AuditContext, Auditor } from "../context.ts";
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
/** So that one of them cannot take the places of all the others. */
const MAX_STREAMS_EACH = 5;
/** A stream that is for names looks through thousands of them each time: not whenever the ledger grows. */
const NAMES_EVERY_MS = 3_000;

/** By the auditors' names. */
const streams = new WeakMap<AuditContext, Map<string, number>>();

const getLive = auditorOperation(
  {
    method: "get",
    path: "/audit/v1/live",
    id: "getLive",
    tag: TAG,
    summary: "Transactions that fit a filter, as they come",
    description:
      "Begins behind the header Last-Event-ID, or else behind `after`, or else now. A transaction is sent again when its outcome comes. " +
      "A seq that the ledger does not have is refused: behind it nothing would come.",
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
    const last = readLastEventId(request.get("last-event-id"));
    const given = last ?? query.after;
    // What cannot be searched is refused now, and not in the middle of a stream.
    const { to, size } = await found.ledger.search.covers();
    if (given !== undefined && given >= size)
      throw beyondEnd(last === undefined ? "after" : "Last-Event-ID", given, size);
    await found.ledger.search.check(found.search);
    const full = whyFull(context, auditor);
    if (full !== undefined && request.method !== "HEAD") throw new Problem("rate_limited", full);
    return {
      kind: "events",
      events: (signal) =>
        counted(context, auditor, follow(found, given ?? to - 1, to, signal, isStillAllowed)),
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

/** Of another ledger, or of this one before it was set back: whoever waited for what follows would miss all that comes. */
function beyondEnd(what: string, given: number, size: number): Problem {
  const end = size === 0 ? "it has none yet" : `its last is ${size - 1}`;
  return new Problem(
    "invalid_parameter",
    `${what}: the ledger has no entry ${given}, ${end}; begin anew without ${what}`,
  );
}

/** Why no further stream of this auditor may begin; undefined if one may. */
function whyFull(context: AuditContext, { auditor }: Auditor): string | undefined {
  const running = streams.get(context) ?? new Map<string, number>();
  if ((running.get(auditor) ?? 0) >= MAX_STREAMS_EACH)
    return `${MAX_STREAMS_EACH} live streams run under your name, and no more may at once: close one of them.`;
  let all = 0;
  for (const count of running.values()) all += count;
  return all < MAX_STREAMS
    ? undefined
    : `At most ${MAX_STREAMS} live streams run at once: close another, or ask again.`;
}

async function* counted(
  context: AuditContext,
  auditor: Auditor,
  events: AsyncIterable<string>,
): AsyncGenerator<string> {
  // Others may have begun since it was looked at: then this one ends, and whoever asks again is told why.
  if (whyFull(context, auditor) !== undefined) return;
  const name = auditor.auditor;
  const running = streams.get(context) ?? new Map<string, number>();
  streams.set(context, running);
  running.set(name, (running.get(name) ?? 0) + 1);
  try {
    yield* events;
  } finally {
    const left = (running.get(name) ?? 1) - 1;
    if (left > 0) running.set(name, left);
    else running.delete(name);
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
    if (signal.aborted || !isStillAllowed()) return;
    const pages = ledger.search.changes(search, { after: at, to, limit: SENT_AT_ONCE }, withNames);
    for await (const changes of pages) {
      note(
        "live",
        changes.map(({ row }) => row),
      );
      for (const { at: id, row } of changes) {
        yield `id: ${id}\ndata: ${JSON.stringify(row)}\n\n`;
        at = id;
      }
      if (signal.aborted || !isStillAllowed()) return;
    }
    at = Math.max(at, to - 1);
    if (namesAccounts(search)) await rest(NAMES_EVERY_MS, signal);
    const beat = AbortSignal.timeout(HEARTBEAT_MS);
    const next = await ledger.search.whenBeyond(to, AbortSignal.any([signal, beat]));
    if (next !== undefined) to = next;
    // The search was closed: nothing comes any more.
    else if (!beat.aborted) return;
    else yield ": still here\n\n";
  }
}

/** Waits, or until the signal fires. */
async function rest(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch (cause) {
    if (!signal.aborted) throw cause;
  }
}

export const liveOperations: readonly Operation[] = [getLive];
