// Single-key shortcuts. They keep out of the way of typing and of dialogs, and can be switched off (WCAG 2.1.4), since
// whoever dictates to his computer would set them off by talking.

import { useLayoutEffect } from "preact/hooks";
import { navigate } from "../routing/location.tsx";
import { readSetting } from "./settings.ts";

/** What there is, for the help. */
export const SHORTCUTS: readonly (readonly [keys: string, what: string])[] = [
  ["/", "Search"],
  ["j", "Next row"],
  ["k", "Previous row"],
  ["Enter", "Open the row"],
  ["g o", "Go to the overview"],
  ["g a", "Go to activity"],
  ["g u", "Go to accounts"],
  ["g l", "Go to the ledger"],
  ["g c", "Go to connectors"],
  ["?", "This help"],
  ["Esc", "Leave the search, or close what is open"],
];

const PLACES: Readonly<Record<string, string>> = {
  o: "/",
  a: "/activity",
  u: "/accounts",
  l: "/ledger",
  c: "/connectors",
};
const CHORD_MS = 1_200;

/** Listens as long as the shell is there. */
export function useShortcuts(showHelp: () => void): void {
  // Before the page is painted: whoever sees it can use it.
  useLayoutEffect(() => {
    let chordUntil = 0;
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
      const { target } = event;
      const isTyping =
        target instanceof HTMLElement &&
        target.matches("input:not([type=range]), textarea, select, [contenteditable]");
      if (isTyping) {
        if (event.key === "Escape") target.blur();
        return;
      }
      if (document.querySelector("dialog[open]") || readSetting("shortcuts") === "off") return;
      if (performance.now() < chordUntil) {
        chordUntil = 0;
        const place = PLACES[event.key];
        if (place !== undefined) {
          event.preventDefault();
          return navigate(place);
        }
      }
      switch (event.key) {
        case "g":
          chordUntil = performance.now() + CHORD_MS;
          return;
        case "?":
          event.preventDefault();
          return showHelp();
        case "/":
          event.preventDefault();
          return focusSearch();
        case "j":
        case "k":
          event.preventDefault();
          return moveRow(event.key === "j" ? 1 : -1);
      }
    };
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, [showHelp]);
}

/** Focuses the page's search; a page that has none leads to the one that has. */
export function focusSearch(): void {
  const search = document.querySelector<HTMLInputElement>("input[data-search]");
  if (search) {
    search.focus();
    search.select();
    return;
  }
  navigate("/activity");
  requestAnimationFrame(() => document.querySelector<HTMLInputElement>("input[data-search]")?.focus());
}

/** Focuses the next or the previous row of the page's main list. */
function moveRow(by: 1 | -1): void {
  const rows = [...document.querySelectorAll<HTMLElement>("main a[data-row]")];
  const active = document.activeElement;
  const at = rows.findIndex((row) => row === active || row.contains(active));
  const next = rows[at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + by))];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}
