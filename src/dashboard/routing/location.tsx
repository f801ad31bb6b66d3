// The browser's address as state (History API): links that change the page without loading it, and parameters that
// change the address in place. Every state of a page that somebody may want to send to somebody is in its address.

import type { AnchorHTMLAttributes, ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";

const CHANGED = "scimseal:address";

/** Goes to an address of the dashboard. `replace`: without a step in the history, for filters as they are typed. */
export function navigate(address: string, how: "push" | "replace" = "push"): void {
  if (how === "push") history.pushState(null, "", address);
  else history.replaceState(null, "", address);
  window.dispatchEvent(new Event(CHANGED));
  if (how === "push") window.scrollTo(0, 0);
}

/** The address as it is now, and again whenever it changes. */
export function useLocation(): { readonly pathname: string; readonly search: string } {
  const read = () => ({ pathname: location.pathname, search: location.search });
  const [now, setNow] = useState(read);
  useEffect(() => {
    const change = () => setNow(read());
    window.addEventListener("popstate", change);
    window.addEventListener(CHANGED, change);
    return () => {
      window.removeEventListener("popstate", change);
      window.removeEventListener(CHANGED, change);
    };
  }, []);
  return now;
}

/** The address with some parameters changed; undefined or empty takes one out. */
export function addressWith(
  changes: Readonly<Record<string, string | undefined>>,
  pathname = location.pathname,
): string {
  const parameters = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined || value === "") parameters.delete(name);
    else parameters.set(name, value);
  }
  const text = parameters.toString();
  return text === "" ? pathname : `${pathname}?${text}`;
}

type LinkProps = Pick<AnchorHTMLAttributes, "class" | "aria-current" | "aria-label"> & {
  to: string;
  children?: ComponentChildren;
  "data-row"?: boolean;
};

/** A link within the dashboard; a real one, so that it can be opened elsewhere and copied. */
export function Link({ to, children, ...rest }: LinkProps) {
  return (
    <a
      {...rest}
      href={to}
      onClick={(event) => {
        if (event.defaultPrevented || event.button !== 0) return;
        if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        navigate(to);
      }}
    >
      {children}
    </a>
  );
}
