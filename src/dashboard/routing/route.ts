// The address of every page, and back: the path says what is shown, the query how. Pure, so that the tests can hold both
// directions to each other.

/** What can be shown. */
export type Route =
  | { readonly page: "overview" }
  | { readonly page: "activity" }
  | { readonly page: "transaction"; readonly ledger: string; readonly txn: string }
  | { readonly page: "accounts" }
  | { readonly page: "account"; readonly type: string; readonly id: string }
  | { readonly page: "ledger" }
  | { readonly page: "connectors" }
  | { readonly page: "nothing" };

/** Reads a path; what leads nowhere is a page too. */
export function parseRoute(pathname: string): Route {
  let parts: string[];
  try {
    parts = pathname.split("/").slice(1).map(decodeURIComponent);
  } catch {
    // A percent sign that is none: no address of ours.
    return { page: "nothing" };
  }
  const [first = "", second = "", ...rest] = parts.at(-1) === "" ? parts.slice(0, -1) : parts;
  const third = rest.join("/");
  if (first === "") return { page: "overview" };
  if (first === "transactions" && second && third) return { page: "transaction", ledger: second, txn: third };
  if (first === "accounts") {
    if (second && third) return { page: "account", type: second, id: third };
    return second ? { page: "nothing" } : { page: "accounts" };
  }
  if (second === "" && (first === "activity" || first === "ledger" || first === "connectors"))
    return { page: first };
  return { page: "nothing" };
}

/** The address of an account or group at a connector: another connector's target may have one of the same id. */
export function formatAccount(type: string, id: string, connector: string): string {
  return `${formatRoute({ page: "account", type, id })}?connector=${encodeURIComponent(connector)}`;
}

/** The path of a page. */
export function formatRoute(route: Exclude<Route, { page: "nothing" }>): string {
  switch (route.page) {
    case "overview":
      return "/";
    case "transaction":
      return `/transactions/${encodeURIComponent(route.ledger)}/${encodeURIComponent(route.txn)}`;
    case "account":
      return `/accounts/${encodeURIComponent(route.type)}/${encodeURIComponent(route.id)}`;
    default:
      return `/${route.page}`;
  }
}
