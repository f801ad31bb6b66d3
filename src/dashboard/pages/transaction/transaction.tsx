// One transaction: what was asked and what became of it, side by side; what changed; the bytes as they were recorded;
// and the proof, down to checking it here. What it says is read out of the leaves.

import { useMemo, useState } from "preact/hooks";
import { pathOf, urlOf } from "../../api/client.ts";
import type {
  AccountAnswer,
  ShownEntry,
  Transaction as TransactionAnswer,
  TransactionsPage,
  TxnRow,
} from "../../api/types.ts";
import { useApi } from "../../api/useApi.ts";
import { CopyButton, Hash } from "../../parts/copy.tsx";
import { Icon } from "../../parts/icons.tsx";
import { Action, Effects, OutcomeBadge } from "../../parts/outcome.tsx";
import { Failure, NoPermission, Notice, Skeleton } from "../../parts/states.tsx";
import { ResourceName } from "../../parts/table/txnTable.tsx";
import { type Tab, Tabs } from "../../parts/tabs.tsx";
import { Time } from "../../parts/time.tsx";
import { Diff } from "../../parts/value/diff.tsx";
import { explainVerdict, VERDICT_WORDS, type Verdict, verdictOf } from "../../parts/verdict.ts";
import { Link } from "../../routing/location.tsx";
import { formatAccount, formatRoute } from "../../routing/route.ts";
import { BrokenBanner } from "../../shell/badge.tsx";
import { useDesk } from "../../shell/desk.ts";
import { readFacts, readTransaction, type TxnFacts } from "../../verify/claims.ts";
import { Contents, OperationList, RequestedChanges } from "./contents.tsx";
import { EntryCard } from "./entryCard.tsx";
import { LeafView } from "./leafView.tsx";
import { type BulkOperation, readOperations, undoneOf } from "./operations.ts";
import { VerifyPanel } from "./verifyPanel.tsx";

type Row = TxnFacts & Pick<TxnRow, "name">;

/** The page. */
export default function Transaction({ ledger: name, txn }: { ledger: string; txn: string }) {
  const { canRead, ledger } = useDesk();
  const path = `/audit/v1${pathOf("ledgers", name, "transactions", txn)}`;
  const {
    data: given,
    error,
    reload,
  } = useApi<TransactionAnswer>(canRead ? path : undefined, { include: "attachments" });
  // From here on only the leaves speak.
  const data = useMemo(() => given && readTransaction({ ...given, txn }), [given, txn]);
  const found = useApi<TransactionsPage>(canRead ? "/audit/v1/transactions" : undefined, {
    ledger: name,
    filter: `txn eq "${txn}"`,
    limit: 1,
  });
  if (!canRead) return <NoPermission what="single changes" />;
  if (error && !data) return <Failure error={error} retry={reload} />;
  if (!data) return <Skeleton rows={14} />;
  const facts = readFacts(data);
  // Of the index only the name is taken, since no leaf may hold one, and what it says of itself.
  const indexed = found.data?.transactions[0];
  const row = facts && { ...facts, name: indexed?.name ?? null };
  const verdict = row ? verdictOf(row) : "unknown";
  const operations = readOperations(data.request, data.outcome, verdict);
  const isDone = verdict === "applied" && undoneOf(operations) === undefined;
  const entries = [
    ...(data.request
      ? [{ label: data.state === "refused" ? "Refusal" : "Request", entry: data.request }]
      : []),
    ...(data.outcome ? [{ label: "Outcome", entry: data.outcome }] : []),
  ];
  return (
    <>
      <BrokenBanner ledger={ledger} />
      <Head data={data} row={row} verdict={verdict} operations={operations} path={path} />
      {indexed?.isCut && (
        <p class="panel-note">
          Searches may miss this transaction by some of its names: not all of them could be put into the
          index. What was recorded is whole, and stands below.
        </p>
      )}
      <div class="sides">
        {data.request ? (
          <EntryCard
            title={data.state === "refused" ? "Refused request" : "Request"}
            shown={data.request}
            isDone={isDone}
          />
        ) : (
          <section class="panel">
            <Notice icon="warning" title="The request cannot be found" tone="bad" />
          </section>
        )}
        {data.outcome ? (
          <EntryCard title="Outcome" shown={data.outcome} isDone={isDone} />
        ) : (
          <section class="panel">
            <header class="panel-head">
              <h2>Outcome</h2>
            </header>
            <p class="panel-empty">
              <Icon name={data.state === "open" ? "clock" : "cross"} />
              {data.state === "open"
                ? "None yet: the target has not answered, or its answer is being recorded."
                : "It was never forwarded, so the target knows nothing of it."}
            </p>
          </section>
        )}
      </div>
      <Details data={data} row={row} verdict={verdict} operations={operations} entries={entries} />
      {entries.length > 0 && <VerifyPanel ledger={name} transaction={data} entries={entries} />}
    </>
  );
}

function Head({
  data,
  row,
  verdict,
  operations,
  path,
}: {
  data: TransactionAnswer;
  row: Row | undefined;
  verdict: Verdict;
  operations: readonly BulkOperation[];
  path: string;
}) {
  const undone = verdict === "applied" ? undoneOf(operations) : { words: VERDICT_WORDS[verdict], verdict };
  // Of a Bulk only the effects of what was done are shown as done.
  const done = new Set(operations.filter((one) => one.verdict === "applied").flatMap((one) => one.effects));
  const isDone = (effect: string) =>
    verdict === "applied" && ((row?.operations ?? null) === null || done.has(effect));
  const { ledger, txn } = data;
  const url = location.origin + formatRoute({ page: "transaction", ledger, txn });
  const curl = `curl -sS '${location.origin}${path}?include=attachments' -H "Authorization: Bearer $SCIMSEAL_TOKEN"`;
  return (
    <section class="txn-head" aria-label="The transaction">
      <div class="txn-title">
        {row ? (
          <h2>
            <Action action={row.action} verdict={verdict} /> <ResourceName row={row} />{" "}
            <OutcomeBadge {...row} />
            {undone && <span class={`undone ${undone.verdict}`}>{undone.words}</span>}
            <Effects action={row.action} effects={row.effects.filter(isDone)} verdict="applied" />
            <Effects
              action={row.action}
              effects={row.effects.filter((effect) => !isDone(effect))}
              verdict={undone?.verdict ?? (verdict === "applied" ? "unknown" : verdict)}
            />
          </h2>
        ) : (
          <h2>{data.state}</h2>
        )}
        <p class="fine">
          {row && (
            <>
              <Time at={row.time} form="full" /> · {row.connector} · {row.client} ·{" "}
            </>
          )}
          <Hash value={txn} what="the transaction’s id" keep={13} />
          {row?.resourceId && row.resourceType !== "Bulk" && (
            <>
              {" · "}
              <Link to={formatAccount(row.resourceType, row.resourceId, row.connector)}>
                Timeline of this {row.resourceType === "Group" ? "group" : "account"}
              </Link>
            </>
          )}
        </p>
      </div>
      <div class="buttons">
        <a class="button primary" href="#verify">
          <Icon name="check" /> Verify
        </a>
        <a
          class="button"
          href={urlOf(`/audit/v1${pathOf("ledgers", ledger, "evidence")}`, { txn, include: "attachments" })}
          download
        >
          <Icon name="download" /> Evidence pack
        </a>
        <CopyButton text={url} what="the permalink" label="Permalink" />
        <CopyButton text={curl} what="a curl command" label="curl" />
        <CopyButton text={`txn eq "${txn}"`} what="a filter" label="Filter" />
      </div>
    </section>
  );
}

function Details({
  data,
  row,
  verdict,
  operations,
  entries,
}: {
  data: TransactionAnswer;
  row: Row | undefined;
  verdict: Verdict;
  operations: readonly BulkOperation[];
  entries: readonly { readonly label: string; readonly entry: ShownEntry }[];
}) {
  const [chosen, choose] = useState("changes");
  const tabs: Tab[] = [
    operations.length > 0
      ? {
          id: "changes",
          label: "Operations",
          count: operations.length,
          body: () => (
            <OperationList operations={operations} names={data.names} connector={row?.connector ?? ""} />
          ),
        }
      : {
          id: "changes",
          label: verdict === "applied" ? "Changes" : "Asked for",
          body: () => <Changes data={data} row={row} verdict={verdict} />,
        },
    ...entries.flatMap(({ label, entry }): Tab[] => [
      { id: `${label}-body`, label: `${label} body`, body: () => <Contents shown={entry} name="body" /> },
      { id: `${label}-facts`, label: `${label} facts`, body: () => <Contents shown={entry} name="facts" /> },
    ]),
    ...entries.map(
      ({ label, entry }): Tab => ({
        id: `${label}-leaf`,
        label: `${label} leaf and proof`,
        body: () => <LeafView key={entry.seq} ledger={data.ledger} shown={entry} />,
      }),
    ),
  ];
  return (
    <section class="panel flush" aria-label="Details">
      <Tabs tabs={tabs} chosen={chosen} choose={choose} label="Details of the transaction" />
    </section>
  );
}

/** What the change did, from the account's history; where that says nothing, what was asked for. */
function Changes({
  data,
  row,
  verdict,
}: {
  data: TransactionAnswer;
  row: Row | undefined;
  verdict: Verdict;
}) {
  const isAccount = row?.resourceId && row.outcome !== "refused";
  const { data: answer, isLoading } = useApi<AccountAnswer>(
    isAccount ? `/audit/v1${pathOf("accounts", row.resourceType, row.resourceId ?? "")}` : undefined,
    { ledger: data.ledger, connector: row?.connector },
  );
  const change = answer?.changes.find(({ txn }) => txn === data.txn);
  if (isLoading && !answer) return <Skeleton rows={5} />;
  return (
    <>
      {row && verdict !== "applied" && (
        <p class={`undone-note ${verdict}`}>
          <Icon name={verdict === "refused" ? "cross" : "clock"} />
          <span>
            <strong>{VERDICT_WORDS[verdict]}.</strong> {explainVerdict(row)}
          </span>
        </p>
      )}
      {change && (
        <Diff changes={change.diff} names={answer?.names ?? {}} isNew={change.action === "create"} />
      )}
      <RequestedChanges
        request={data.request}
        names={answer?.names ?? {}}
        isOnly={!change}
        isDone={verdict === "applied"}
      />
    </>
  );
}
