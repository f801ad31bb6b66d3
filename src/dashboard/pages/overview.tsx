// The first page: does the record hold, what is going through, what went wrong, what is still open.

import { useEffect, useMemo, useState } from "preact/hooks";
import type { LedgerStatus, Overview as OverviewAnswer } from "../api/types.ts";
import { useApi } from "../api/useApi.ts";
import type { Series } from "../parts/chart.tsx";
import { Icon } from "../parts/icons.tsx";
import { lazy } from "../parts/lazy.tsx";
import { Failure, NoPermission, Notice, Skeleton } from "../parts/states.tsx";
import { TxnTable } from "../parts/table/txnTable.tsx";
import { formatCount, formatDuration } from "../parts/time.tsx";
import { addressWith, Link, navigate, useLocation } from "../routing/location.tsx";
import {
  AnchorLine,
  BrokenBanner,
  describeIntegrity,
  INTEGRITY_ICONS,
  INTEGRITY_TONES,
} from "../shell/badge.tsx";
import { useDesk } from "../shell/desk.ts";

const Chart = lazy(() => import("../parts/chart.tsx"), 5);
const SeriesTable = lazy(async () => ({ default: (await import("../parts/chart.tsx")).SeriesTable }), 5);

/** Seldom: what is shown here is a look at records, and every look is recorded. */
const EVERY_MS = 60_000;
const RANGES: readonly (readonly [hours: number, label: string])[] = [
  [1, "1 h"],
  [24, "24 h"],
  [168, "7 d"],
];

const DAY_HOURS = 24;
const HOUR_MS = 3_600_000;

/** The page. */
export function Overview() {
  const { ledger, status, canRead } = useDesk();
  const { search } = useLocation();
  const [isYoung, setYoung] = useState(false);
  const hours = Number(new URLSearchParams(search).get("hours")) || (isYoung ? 1 : DAY_HOURS);
  const {
    data: given,
    error,
    reload,
  } = useApi<OverviewAnswer>(ledger && "/audit/v1/overview", { ledger: ledger?.name, hours }, EVERY_MS);
  // Of the range before it may stay until the next comes, but not of another ledger.
  const data = given?.ledger === ledger?.name ? given : undefined;
  useEffect(() => {
    // A day of which all happened just now, such as a demonstration's, is better seen from near.
    if (data && data.bucketMs * lengthOf(data) > HOUR_MS && isAllRecent(data)) setYoung(true);
  }, [data]);
  if (status.error && !status.data) return <Failure error={status.error} retry={status.reload} />;
  if (status.data && !ledger)
    return (
      <Notice icon="lock" title="No ledger for this sign-in">
        <p>Whoever made your sign-in link gave it no ledger. Ask for one that names it.</p>
      </Notice>
    );
  return (
    <>
      <BrokenBanner ledger={ledger} />
      {ledger && <Integrity ledger={ledger} at={status.at} />}
      {error && !data ? (
        error.status === 403 ? (
          <NoPermission what="the overview" />
        ) : (
          <Failure error={error} retry={reload} />
        )
      ) : !data ? (
        <Skeleton rows={12} />
      ) : (
        <Figures data={data} hours={hours} canRead={canRead} />
      )}
    </>
  );
}

function Integrity({ ledger, at }: { ledger: LedgerStatus; at: string | undefined }) {
  const tone = INTEGRITY_TONES[ledger.state];
  return (
    <section class={`seal ${tone}`} aria-label="Integrity">
      <span class="seal-icon">
        <Icon name={INTEGRITY_ICONS[ledger.state]} />
      </span>
      <div class="seal-words">
        <p class="seal-state">{describeIntegrity(ledger)}</p>
        <p class="seal-fine">
          <AnchorLine ledger={ledger} at={at} />
        </p>
      </div>
      <dl class="seal-facts">
        <div>
          <dt>Entries</dt>
          <dd>{formatCount(ledger.size)}</dd>
        </div>
        <div>
          <dt>Alarms</dt>
          <dd class={ledger.alarms.length > 0 ? "bad-text" : ""}>{ledger.alarms.length}</dd>
        </div>
        {!ledger.isWritable && (
          <div>
            <dt>Writes</dt>
            <dd class="bad-text">refused</dd>
          </div>
        )}
        <div class="origin">
          <dt>Origin</dt>
          <dd>
            <code>{ledger.origin}</code>
          </dd>
        </div>
      </dl>
    </section>
  );
}

function Figures({ data, hours, canRead }: { data: OverviewAnswer; hours: number; canRead: boolean }) {
  const series = useMemo(() => seriesOf(data), [data]);
  const total = Object.values(data.outcomes).reduce((sum, count) => sum + count, 0);
  return (
    <>
      <section class="panel" aria-labelledby="writes">
        <header class="panel-head">
          <h2 id="writes">Writes per connector</h2>
          <fieldset class="segments" aria-label="How far back">
            {RANGES.map(([value, label]) => (
              <button
                key={value}
                type="button"
                class="segment"
                aria-pressed={hours === value}
                onClick={() => navigate(addressWith({ hours: String(value) }), "replace")}
              >
                {label}
              </button>
            ))}
          </fieldset>
        </header>
        <ChartPanel series={series} />
      </section>
      <div class="figures">
        <Outcomes outcomes={data.outcomes} total={total} canRead={canRead} />
        <section class="panel" aria-labelledby="latency">
          <header class="panel-head">
            <h2 id="latency">Target’s answer takes</h2>
          </header>
          {data.latency ? (
            <dl class="big-numbers">
              {(["p50", "p95", "p99"] as const).map((name) => (
                <div key={name}>
                  <dt>{name}</dt>
                  <dd>{formatDuration(data.latency?.[name] ?? 0)}</dd>
                </div>
              ))}
            </dl>
          ) : (
            <p class="panel-empty">No answer in this time.</p>
          )}
        </section>
      </div>
      <section class="panel flush" aria-labelledby="open">
        <header class="panel-head">
          <h2 id="open">
            Open transactions <span class="count">{formatCount(data.openCount)}</span>
          </h2>
          {canRead && (
            <Link
              class="more"
              to={`/activity?filter=${encodeURIComponent('outcome eq "open"')}&order=oldest`}
            >
              All, oldest first
            </Link>
          )}
        </header>
        {data.open.length > 0 ? (
          <TxnTable ledger={data.ledger} rows={data.open} label="Open transactions" />
        ) : (
          <p class="panel-empty">
            <Icon name="check" /> Every change that was forwarded has an outcome.
          </p>
        )}
      </section>
      <section class="panel flush" aria-labelledby="refusals">
        <header class="panel-head">
          <h2 id="refusals">Recent refusals</h2>
          {canRead && (
            <Link class="more" to={`/activity?filter=${encodeURIComponent('outcome eq "refused"')}`}>
              All
            </Link>
          )}
        </header>
        {data.refusals.length > 0 ? (
          <TxnTable ledger={data.ledger} rows={data.refusals} label="Recent refusals" />
        ) : (
          <p class="panel-empty">
            <Icon name="check" /> Nothing was refused.
          </p>
        )}
      </section>
    </>
  );
}

function ChartPanel({ series }: { series: Series }) {
  const [isTable, setTable] = useState(false);
  const total = (counts: readonly number[]) => counts.reduce((sum, count) => sum + count, 0);
  const words = series.lines.map(({ name, counts }) => `${name}: ${total(counts)}`).join(", ");
  return (
    <div class="panel-body">
      <div class="legend">
        {series.lines.map(({ name, counts }, index) => (
          <span key={name} class="legend-item">
            <span class={`swatch line-${(index % 6) + 1}`} />
            {name} <b>{formatCount(total(counts))}</b>
          </span>
        ))}
        <button
          type="button"
          class="link-button as-table"
          aria-pressed={isTable}
          onClick={() => setTable(!isTable)}
        >
          {isTable ? "As a chart" : "As a table"}
        </button>
      </div>
      <div class="chart-place">
        {isTable ? (
          <SeriesTable series={series} />
        ) : (
          <Chart series={series} label={`Writes over time. ${words}.`} />
        )}
      </div>
    </div>
  );
}

const OUTCOME_TONES: Readonly<Record<string, string>> = {
  answered: "good",
  refused: "bad",
  open: "wait",
  unknown: "wait",
};

function Outcomes({
  outcomes,
  total,
  canRead,
}: {
  outcomes: OverviewAnswer["outcomes"];
  total: number;
  canRead: boolean;
}) {
  const sorted = Object.entries(outcomes).sort(([, a], [, b]) => b - a);
  return (
    <section class="panel" aria-labelledby="outcomes">
      <header class="panel-head">
        <h2 id="outcomes">Outcomes</h2>
        <span class="fine">{formatCount(total)} in all</span>
      </header>
      {sorted.length === 0 ? (
        <p class="panel-empty">Nothing in this time.</p>
      ) : (
        <ul class="bars">
          {sorted.map(([outcome, count]) => (
            <li key={outcome}>
              <span class="bar-name">
                {canRead ? (
                  <Link to={`/activity?filter=${encodeURIComponent(`outcome eq "${outcome}"`)}`}>
                    {outcome.replaceAll("_", " ")}
                  </Link>
                ) : (
                  outcome.replaceAll("_", " ")
                )}
              </span>
              <progress
                class={OUTCOME_TONES[outcome] ?? "bad"}
                max={Math.max(1, total)}
                value={count}
                aria-label={`${outcome}: ${count} of ${total}`}
              />
              <span class="number">{formatCount(count)}</span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function lengthOf({ connectors }: OverviewAnswer): number {
  return Math.max(0, ...Object.values(connectors).map(({ length }) => length));
}

/** Was there something in the last hour, and nothing before? */
function isAllRecent({ connectors, bucketMs }: OverviewAnswer): boolean {
  const last = Math.max(1, Math.floor(HOUR_MS / bucketMs));
  const sum = (counts: readonly number[]) => counts.reduce((all, count) => all + count, 0);
  const all = Object.values(connectors);
  const before = sum(all.map((counts) => sum(counts.slice(0, -last))));
  return before === 0 && sum(all.map(sum)) > 0;
}

function seriesOf({ from, bucketMs, connectors }: OverviewAnswer): Series {
  const lines = Object.entries(connectors)
    .map(([name, counts]) => ({ name, counts }))
    .sort((a, b) => a.name.localeCompare(b.name));
  const length = Math.max(0, ...lines.map(({ counts }) => counts.length));
  const first = Date.parse(from) / 1_000;
  return { times: Array.from({ length }, (_, index) => first + (index * bucketMs) / 1_000), lines };
}
