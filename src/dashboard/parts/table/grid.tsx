// biome-ignore-all lint/a11y/useSemanticElements: see below.
// biome-ignore-all lint/a11y/useFocusableInteractive: the link in a row has the focus, not the row.
// Tables whose rows are laid out by CSS grid and may be virtual. A table element that is no table to CSS loses its
// meaning in browsers, and its rows could not be placed one by one: hence the roles by hand, here and nowhere else.

import type { ComponentChildren } from "preact";

interface GridProps {
  /** Its class says which columns it has; style/table.css knows them. */
  kind: string;
  label: string;
  columns: readonly string[];
  /** How many rows there are, drawn or not. */
  count: number;
  isBusy?: boolean;
  children: ComponentChildren;
}

/** The table with its head; the children are its rowgroups. */
export function Grid({ kind, label, columns, count, isBusy = false, children }: GridProps) {
  return (
    <div class={`grid ${kind}`} role="table" aria-label={label} aria-rowcount={count + 1} aria-busy={isBusy}>
      <div class="grid-head" role="rowgroup">
        <div class="grid-row" role="row" aria-rowindex={1}>
          {columns.map((name) => (
            <span key={name} role="columnheader" class={`cell ${classOf(name)}`}>
              {name}
            </span>
          ))}
        </div>
      </div>
      {children}
    </div>
  );
}

/** Rows that are all there. */
export function GridBody({ children }: { children: ComponentChildren }) {
  return (
    <div class="grid-body" role="rowgroup">
      {children}
    </div>
  );
}

/** A row; `index` counts from 0 below the head. */
export function GridRow({
  index,
  tone = "",
  children,
}: {
  index: number;
  tone?: string;
  children: ComponentChildren;
}) {
  return (
    <div class={`grid-row ${tone}`} role="row" aria-rowindex={index + 2}>
      {children}
    </div>
  );
}

/** A cell of a column. */
export function Cell({ of, children }: { of: string; children?: ComponentChildren }) {
  return (
    <span role="cell" class={`cell ${classOf(of)}`}>
      {children}
    </span>
  );
}

function classOf(column: string): string {
  return column.toLowerCase().replaceAll(" ", "-");
}
