// Transactions as rows: the same columns wherever they are listed. On a phone a row has two lines. The whole row is one
// link's area: the link is real, so that it can be opened elsewhere, and the keyboard has one stop a row.

import type { TxnRow } from "../../api/types.ts";
import { Link } from "../../routing/location.tsx";
import { formatRoute } from "../../routing/route.ts";
import { shorten } from "../copy.tsx";
import { Action, Effects, OutcomeBadge, toneOf } from "../outcome.tsx";
import { formatDuration, Time } from "../time.tsx";
import { Foreign } from "../value/text.tsx";
import { describeUndone, type UndoneCounts, verdictOf } from "../verdict.ts";
import { Cell, Grid, GridRow } from "./grid.tsx";
import { PHONE, Rows, useMedia } from "./rows.tsx";

/** Heights of a row; style/table.css says the same. */
const ROW = 32;
const PHONE_ROW = 60;
/** Effects for which the narrowest column has room. */
const MOST_EFFECTS = 2;
const COLUMNS = ["Time", "Outcome", "Change", "Of", "Connector", "Client", "Took"];

interface TxnTableProps {
  ledger: string;
  rows: readonly TxnRow[];
  label: string;
  onEnd?: (() => void) | undefined;
  /** Rows that just came, to be seen as such. */
  fresh?: ReadonlySet<string>;
}

/** The table. */
export function TxnTable({ ledger, rows, label, onEnd, fresh }: TxnTableProps) {
  const isPhone = useMedia(PHONE);
  return (
    <Grid kind="txns" label={label} columns={COLUMNS} count={rows.length}>
      <Rows
        items={rows}
        keyOf={({ txn }) => txn}
        rowHeight={isPhone ? PHONE_ROW : ROW}
        onEnd={onEnd}
        draw={(row, index) => (
          <GridRow index={index} tone={`${toneOf(row)}${fresh?.has(row.txn) ? " fresh" : ""}`}>
            <Cell of="Time">
              <Time at={row.time} />
            </Cell>
            <Cell of="Outcome">
              <OutcomeBadge {...row} />
            </Cell>
            <Cell of="Change">
              <Link
                class="row-link"
                to={formatRoute({ page: "transaction", ledger, txn: row.txn })}
                data-row
                aria-label={describeTxn(row)}
              >
                <Action action={row.action} verdict={verdictOf(row)} />
              </Link>
              <Effects
                action={row.action}
                effects={row.effects}
                verdict={verdictOf(row)}
                undone={undoneOf(row)}
                most={MOST_EFFECTS}
              />
              {row.reason !== null && <span class="reason">{row.reason}</span>}
            </Cell>
            <Cell of="Of">
              <ResourceName row={row} />
            </Cell>
            <Cell of="Connector">{row.connector}</Cell>
            <Cell of="Client">{row.client}</Cell>
            <Cell of="Took">{row.durationMs === null ? "" : formatDuration(row.durationMs)}</Cell>
          </GridRow>
        )}
      />
    </Grid>
  );
}

/** What a change is about: the best known name, else the id. */
export function ResourceName({
  row,
}: {
  row: Pick<TxnRow, "resourceType" | "resourceId" | "name" | "operations"> & UndoneCounts;
}) {
  const { resourceType, resourceId, name, operations } = row;
  const undone = describeUndone(row);
  return (
    <>
      {resourceType !== "" && <span class="type">{resourceType}</span>}
      {name !== null ? (
        <Foreign text={name} />
      ) : operations !== null ? (
        undone ? (
          <span class={`undone ${undone.verdict}`}>{undone.words}</span>
        ) : (
          <span class="fine">
            {operations} operation{operations === 1 ? "" : "s"}
          </span>
        )
      ) : resourceId !== null ? (
        <code title={resourceId}>{shorten(resourceId)}</code>
      ) : (
        <span class="none">–</span>
      )}
    </>
  );
}

/** Of a Bulk only what one of its operations did is shown as done. */
function undoneOf(row: TxnRow) {
  const undone = describeUndone(row);
  return undone && row.effectsUndone ? { effects: row.effectsUndone, verdict: undone.verdict } : undefined;
}

function describeTxn({ action, resourceType, name, resourceId }: TxnRow): string {
  return `${action} ${resourceType} ${name ?? resourceId ?? ""}`.trim().slice(0, 200);
}
