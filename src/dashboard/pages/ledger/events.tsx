// What happened to the ledger itself: starts and stops, keys, alarms, and who looked, signed in, exported or was refused.
// Looking is recorded too: reading this list will be its next line.

import { useState } from "preact/hooks";
import type { LedgerStatus } from "../../api/types.ts";
import { useApi } from "../../api/useApi.ts";
import { Skeleton } from "../../parts/states.tsx";
import { formatCount, Time } from "../../parts/time.tsx";
import { Foreign } from "../../parts/value/text.tsx";
import { at, textAt } from "../transaction/leafMembers.ts";
import { describeEvent } from "./eventWords.ts";

const PAGE_ROWS = 25;

interface EventsPage {
  readonly entries: readonly { readonly seq: number; readonly entry?: Readonly<Record<string, unknown>> }[];
  readonly next: string | number | null;
}

/** The newest events. */
export function Events({ ledger }: { ledger: LedgerStatus }) {
  const [limit, setLimit] = useState(PAGE_ROWS);
  const { data, error, reload } = useApi<EventsPage>("/audit/v1/entries", {
    ledger: ledger.name,
    filter: 'type eq "event"',
    order: "newest",
    limit,
  });
  return (
    <section class="panel flush" aria-labelledby="events">
      <header class="panel-head">
        <h2 id="events">Events</h2>
        <button type="button" class="link-button" onClick={reload}>
          Refresh
        </button>
      </header>
      {error && !data ? (
        <p class="panel-empty">{error.message}</p>
      ) : !data ? (
        <Skeleton rows={4} />
      ) : (
        <>
          <table class="plain">
            <thead>
              <tr>
                <th scope="col">Time</th>
                <th scope="col">Event</th>
                <th scope="col">Details</th>
                <th scope="col" class="wide-only">
                  Entry
                </th>
              </tr>
            </thead>
            <tbody>
              {data.entries.map(({ seq, entry }) => (
                <tr key={seq}>
                  <td>
                    <Time at={textAt(entry, "time") ?? ""} />
                  </td>
                  <td class="event-name">{textAt(entry, "event", "name")?.replaceAll("-", " ")}</td>
                  <td class="fine">
                    <Foreign text={describeEvent(at(entry, "event"))} />
                  </td>
                  <td class="wide-only fine place">#{formatCount(seq)}</td>
                </tr>
              ))}
            </tbody>
          </table>
          {data.next !== null && limit < 1_000 && (
            <p class="pager">
              <button type="button" class="button" onClick={() => setLimit(Math.min(1_000, limit * 4))}>
                Older
              </button>
            </p>
          )}
        </>
      )}
    </section>
  );
}
