// One account or group: its state at a time, which a slider over its changes chooses; every change with what it changed;
// and its memberships over time. What the ledger does not know is named, never guessed.

import { useState } from "preact/hooks";
import { pathOf, urlOf } from "../../api/client.ts";
import type { AccountAnswer, AccountChange } from "../../api/types.ts";
import { useApi } from "../../api/useApi.ts";
import { CopyButton, Hash } from "../../parts/copy.tsx";
import { Icon } from "../../parts/icons.tsx";
import { Action, Effects, OutcomeBadge } from "../../parts/outcome.tsx";
import { Failure, NoPermission, Skeleton } from "../../parts/states.tsx";
import { formatCount, Time } from "../../parts/time.tsx";
import { Diff } from "../../parts/value/diff.tsx";
import { Foreign } from "../../parts/value/text.tsx";
import { addressWith, Link, navigate, useLocation } from "../../routing/location.tsx";
import { formatRoute } from "../../routing/route.ts";
import { BrokenBanner } from "../../shell/badge.tsx";
import { useDesk } from "../../shell/desk.ts";
import { namesOf } from "../accounts.tsx";
import { Members, Memberships } from "./memberships.tsx";
import { StateTable } from "./stateTable.tsx";

/** Changes in the timeline before more are asked for. */
const SHOWN_CHANGES = 50;

/** The page. */
export default function Account({ type, id }: { type: string; id: string }) {
  const { ledger, canRead } = useDesk();
  const { search } = useLocation();
  const parameters = new URLSearchParams(search);
  const at = parameters.get("at") ?? undefined;
  const connector = parameters.get("connector") ?? undefined;
  const path = canRead && ledger ? `/audit/v1${pathOf("accounts", type, id)}` : undefined;
  const query = { ledger: ledger?.name, connector };
  const now = useApi<AccountAnswer>(path, query);
  const then = useApi<AccountAnswer>(at === undefined ? undefined : path, { ...query, at, changes: 0 });
  if (!canRead) return <NoPermission what="accounts" />;
  if (now.error && !now.data) return <Failure error={now.error} retry={now.reload} />;
  if (!now.data) return <Skeleton rows={14} />;
  const shown = at === undefined ? now.data : (then.data ?? now.data);
  const isWaiting = at !== undefined && (then.isLoading || !then.data);
  return (
    <>
      <BrokenBanner ledger={ledger} />
      <Head answer={now.data} />
      <div class="account-columns">
        <section class="panel flush" aria-labelledby="state-title">
          <header class="panel-head">
            <h2 id="state-title">State</h2>
            <span class="fine">as provisioned through the proxy</span>
          </header>
          <TimeSlider changes={now.data.changes} at={at} />
          {then.error ? (
            <Failure error={then.error} retry={then.reload} />
          ) : (
            <div aria-busy={isWaiting} class={isWaiting ? "waiting" : ""}>
              <StateTable answer={shown} />
            </div>
          )}
          {type === "Group" ? (
            <Members id={id} ledger={ledger?.name} connector={now.data.account.connector} at={at} />
          ) : (
            <Memberships answer={shown} />
          )}
        </section>
        <Timeline answer={now.data} at={at} />
      </div>
    </>
  );
}

function Head({ answer: { account, ledger } }: { answer: AccountAnswer }) {
  const { session } = useDesk();
  const [name, ...others] = namesOf(account);
  return (
    <section class="txn-head" aria-label="The account">
      <div class="txn-title">
        <h2>
          <span class="type">{account.type}</span> {name === undefined ? account.id : <Foreign text={name} />}
        </h2>
        <p class="fine">
          {others.length > 0 && (
            <>
              <Foreign text={others.join(", ")} /> ·{" "}
            </>
          )}
          {account.connector} · <Hash value={account.id} what="the id" keep={12} /> ·{" "}
          {formatCount(account.changes)} change
          {account.changes === 1 ? "" : "s"}
        </p>
      </div>
      <div class="buttons">
        <Link
          class="button"
          to={`/activity?filter=${encodeURIComponent(`connector eq ${JSON.stringify(account.connector)} and resourceId eq ${JSON.stringify(account.id)}`)}`}
        >
          <Icon name="activity" /> In activity
        </Link>
        {/* It holds events of the whole ledger. */}
        {session.connectors === "*" && (
          <a
            class="button"
            href={urlOf(`/audit/v1${pathOf("ledgers", ledger, "evidence")}`, {
              account: `${account.type}/${account.recordedId}`,
              include: "attachments",
            })}
            download
          >
            <Icon name="download" /> Evidence pack
          </a>
        )}
        <CopyButton text={location.href} what="a link to this" label="Permalink" />
      </div>
    </section>
  );
}

/** Chooses a time by choosing the newest change that counts. */
function TimeSlider({ changes, at }: { changes: readonly AccountChange[]; at: string | undefined }) {
  // The oldest first, whatever order they came in.
  const ordered = changes.toSorted((a, b) => a.seq - b.seq);
  const last = ordered.length - 1;
  const seq = /^seq:(\d+)$/.exec(at ?? "")?.[1];
  const chosen =
    at === undefined
      ? last
      : ordered.findLastIndex((change) =>
          seq ? placeOf(change) <= Number(seq) : Date.parse(change.time) <= Date.parse(at),
        );
  const change = ordered[chosen];
  const go = (index: number) => {
    const to = ordered[index];
    navigate(addressWith({ at: index >= last || !to ? undefined : `seq:${placeOf(to)}` }), "replace");
  };
  if (last < 0) return null;
  return (
    <div class="time-slider">
      <div class="slider-row">
        <button
          type="button"
          class="icon-button back"
          disabled={chosen <= 0}
          onClick={() => go(chosen - 1)}
          aria-label="One change back"
        >
          <Icon name="chevron" />
        </button>
        <input
          type="range"
          min={0}
          max={last}
          step={1}
          value={Math.max(0, chosen)}
          disabled={last === 0}
          aria-label="State after change"
          aria-valuetext={
            change
              ? `change ${chosen + 1} of ${last + 1}, ${change.time}, ${change.action}`
              : "before the first change"
          }
          onInput={(event) => go(event.currentTarget.valueAsNumber)}
        />
        <button
          type="button"
          class="icon-button"
          disabled={chosen >= last}
          onClick={() => go(chosen + 1)}
          aria-label="One change on"
        >
          <Icon name="chevron" />
        </button>
      </div>
      <p class="slider-words">
        {at === undefined ? "Now, after change " : chosen < 0 ? "Before the first of " : "After change "}
        <b>{chosen < 0 ? `${last + 1} change${last === 0 ? "" : "s"}` : `${chosen + 1} of ${last + 1}`}</b>
        {change && (
          <>
            {" · "}
            <Time at={change.time} form="full" /> · entry #{placeOf(change)}
          </>
        )}
        {at !== undefined && (
          <button type="button" class="link-button" onClick={() => go(last)}>
            Back to now
          </button>
        )}
      </p>
    </div>
  );
}

/** Where a change took effect: when its outcome was recorded, if one was. */
function placeOf({ seq, closedSeq }: AccountChange): number {
  return closedSeq ?? seq;
}

function Timeline({ answer, at }: { answer: AccountAnswer; at: string | undefined }) {
  const [shown, setShown] = useState(SHOWN_CHANGES);
  const newestFirst = answer.changes.toSorted((a, b) => b.seq - a.seq);
  const seq = Number(/^seq:(\d+)$/.exec(at ?? "")?.[1] ?? Number.POSITIVE_INFINITY);
  return (
    <section class="panel" aria-labelledby="timeline-title">
      <header class="panel-head">
        <h2 id="timeline-title">
          Timeline <span class="count">{formatCount(newestFirst.length)}</span>
        </h2>
      </header>
      <ol class="timeline">
        {newestFirst.slice(0, shown).map((change) => (
          <li
            key={change.txn}
            class={placeOf(change) > seq ? "later" : placeOf(change) === seq ? "chosen" : ""}
          >
            <div class="timeline-head">
              <Link
                class="row-link"
                data-row
                to={formatRoute({ page: "transaction", ledger: answer.ledger, txn: change.txn })}
              >
                <Action action={change.action} verdict={change.verdict} />
              </Link>
              <Effects action={change.action} effects={change.effects} verdict={change.verdict} />
              <OutcomeBadge outcome={change.outcome} status={change.status} replied={null} />
              <span class="spread" />
              <span class="fine">
                <Time at={change.time} /> · {change.client}
              </span>
            </div>
            {change.diff.length > 0 && (
              <Diff changes={change.diff} names={answer.names} isNew={change.action === "create"} />
            )}
          </li>
        ))}
      </ol>
      {newestFirst.length > shown && (
        <p class="pager">
          <button type="button" class="button" onClick={() => setShown(shown + SHOWN_CHANGES)}>
            {formatCount(newestFirst.length - shown)} earlier changes
          </button>
        </p>
      )}
      {(answer.omitted > 0 || answer.isCut) && newestFirst.length <= shown && (
        <p class="panel-note">
          {answer.isCut
            ? "The history is longer than what is looked at: more is unknown than need be."
            : `${formatCount(answer.omitted)} older changes are not shown here; Activity has them all.`}
        </p>
      )}
    </section>
  );
}
