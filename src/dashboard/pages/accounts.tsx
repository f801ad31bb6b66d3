// Accounts and groups that the ledger ever knew, found by any of their names.

import { useEffect, useState } from "preact/hooks";
import type { AccountRow, AccountsPage } from "../api/types.ts";
import { useApi } from "../api/useApi.ts";
import { looksLikeFilter } from "../filter/conjuncts.ts";
import { shorten } from "../parts/copy.tsx";
import { SearchForm } from "../parts/searchForm.tsx";
import { Failure, NoPermission, Notice, Skeleton } from "../parts/states.tsx";
import { Cell, Grid, GridBody, GridRow } from "../parts/table/grid.tsx";
import { PHONE, useMedia } from "../parts/table/rows.tsx";
import { formatCount } from "../parts/time.tsx";
import { Foreign } from "../parts/value/text.tsx";
import { addressWith, Link, navigate, useLocation } from "../routing/location.tsx";
import { formatAccount } from "../routing/route.ts";
import { BrokenBanner } from "../shell/badge.tsx";
import { useDesk } from "../shell/desk.ts";

const PAGE_ROWS = 100;
const COLUMNS = ["Name", "Kind", "Also known as", "Connector", "Id", "Changes"];

/** The page. */
export default function Accounts() {
  const { ledger, canRead } = useDesk();
  const { search } = useLocation();
  const parameters = new URLSearchParams(search);
  const text = parameters.get("text") ?? "";
  const cursor = parameters.get("cursor") ?? undefined;
  const [draft, setDraft] = useState(text);
  useEffect(() => setDraft(text), [text]);
  const {
    data: given,
    error,
    isLoading,
    reload,
  } = useApi<AccountsPage>(canRead && ledger ? "/audit/v1/accounts" : undefined, {
    ledger: ledger?.name,
    ...(looksLikeFilter(text) ? { filter: text } : { text }),
    cursor,
    limit: PAGE_ROWS,
  });
  // Of the search before it may stay until the next comes, but not of another ledger.
  const data = given?.ledger === ledger?.name ? given : undefined;
  if (!canRead) return <NoPermission what="accounts" />;
  const ask = (event: Event) => {
    event.preventDefault();
    navigate(addressWith({ text: draft.trim(), cursor: undefined }, "/accounts"));
  };
  return (
    <>
      <BrokenBanner ledger={ledger} />
      <div class="filter-bar">
        <SearchForm
          draft={draft}
          onDraft={setDraft}
          onSubmit={ask}
          placeholder="A name, address or id, or a filter: userName sw &quot;ada&quot;"
          label="Search accounts and groups"
        />
      </div>
      {error && !data ? (
        <Failure error={error} retry={reload} />
      ) : !data ? (
        <Skeleton rows={14} />
      ) : data.accounts.length === 0 ? (
        <Notice icon="accounts" title={text === "" ? "No account yet" : "Nobody found"}>
          <p>
            {text === ""
              ? "Accounts and groups appear here with the first change that touches them."
              : "Names are found whole, by the beginning of a word, or by three letters in a row; also names that an account had before."}
          </p>
        </Notice>
      ) : (
        <>
          <p class="result-line" role="status">
            {formatCount(data.accounts.length)}
            {data.next !== null
              ? " shown, more follow"
              : data.accounts.length === 1
                ? " account"
                : " accounts"}{" "}
            · entries up to #{formatCount(Math.max(0, data.covers.to - 1))}
          </p>
          <AccountTable accounts={data.accounts} isBusy={isLoading} />
          {data.next !== null && (
            <p class="pager">
              <Link class="button" to={addressWith({ cursor: data.next }, "/accounts")}>
                Next {PAGE_ROWS}
              </Link>
            </p>
          )}
        </>
      )}
    </>
  );
}

function AccountTable({ accounts, isBusy }: { accounts: readonly AccountRow[]; isBusy: boolean }) {
  // There is no head there that says what the number is.
  const isPhone = useMedia(PHONE);
  return (
    <Grid
      kind="accounts"
      label="Accounts and groups"
      columns={COLUMNS}
      count={accounts.length}
      isBusy={isBusy}
    >
      <GridBody>
        {accounts.map((account, index) => {
          const [name, ...others] = namesOf(account);
          return (
            <GridRow key={`${account.connector} ${account.type} ${account.id}`} index={index}>
              <Cell of="Name">
                <Link
                  class="row-link"
                  data-row
                  to={formatAccount(account.type, account.id, account.connector)}
                >
                  {name === undefined ? <code>{shorten(account.id)}</code> : <Foreign text={name} />}
                </Link>
              </Cell>
              <Cell of="Kind">
                <span class="type">{account.type}</span>
              </Cell>
              <Cell of="Also known as">
                <Foreign text={others.join(", ")} />
              </Cell>
              <Cell of="Connector">{account.connector}</Cell>
              <Cell of="Id">
                <code title={account.id}>{shorten(account.id)}</code>
              </Cell>
              <Cell of="Changes">
                {formatCount(account.changes)}
                {isPhone && (account.changes === 1 ? " change" : " changes")}
              </Cell>
            </GridRow>
          );
        })}
      </GridBody>
    </Grid>
  );
}

/** An account's names, each once, the most telling first. */
export function namesOf({ names }: Pick<AccountRow, "names">): readonly string[] {
  const inOrder = ["displayName", "userName", "formattedName", "emails", "email", "externalId"];
  return [...new Set(inOrder.flatMap((attribute) => names[attribute] ?? []))];
}
