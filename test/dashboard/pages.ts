// Every page of the dashboard: its name, its address, and what it shows when it is there.

/** What is used here of a transaction in the API's answers. */
export interface Row {
  txn: string;
  seq: number;
  action: string;
  effects: string[];
  resourceType: string;
  resourceId: string | null;
  name: string | null;
}

/** Finds a transaction of the day. */
export type FindRow = (holds: (row: Row) => boolean) => Row;

/** Finds in these. */
export function finderIn(rows: readonly Row[]): FindRow {
  return (holds) => {
    const found = rows.find(holds);
    if (!found) throw new Error("the day has no such transaction");
    return found;
  };
}

export const filterOf = (filter: string) => `/activity?filter=${encodeURIComponent(filter)}`;

export const PAGES: readonly (readonly [name: string, path: (find: FindRow) => string, shows: string])[] = [
  ["overview", () => "/", ".chart canvas"],
  ["activity", () => "/activity", ".txns .row-link"],
  [
    "activity-filtered",
    () => filterOf('effect eq "deactivate" and resourceType eq "User"'),
    ".txns .row-link",
  ],
  ["activity-empty", () => "/activity?text=nobodyhasthisname", ".notice"],
  [
    "transaction",
    (find) =>
      `/transactions/main/${find(({ effects, action }) => action === "replace" && effects.includes("deactivate")).txn}`,
    ".tab-panel .diff",
  ],
  [
    "bulk",
    (find) => `/transactions/main/${find(({ action }) => action === "bulk").txn}`,
    ".tab-panel .plain",
  ],
  ["accounts", () => "/accounts", ".accounts .row-link"],
  [
    "account",
    (find) =>
      `/accounts/User/${find(({ action, effects }) => action === "replace" && effects.includes("deactivate")).resourceId}`,
    ".state",
  ],
  [
    "group",
    (find) =>
      `/accounts/Group/${find(({ resourceType, effects }) => resourceType === "Group" && effects.includes("membership-add")).resourceId}`,
    ".timeline .row-link",
  ],
  ["ledger", () => "/ledger", ".panel[aria-labelledby=events] td"],
  ["connectors", () => "/connectors", ".connector .plain"],
  ["nothing", () => "/accounts/nowhere", ".notice"],
];
