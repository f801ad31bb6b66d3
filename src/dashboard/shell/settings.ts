// What a person set in this browser: theme, time zone, single-key shortcuts, the ledger looked at, saved views, pinned
// keys. Kept in localStorage, never sent. A browser that keeps nothing is no error: then a setting lasts as long as the page.

import { useEffect, useState } from "preact/hooks";

const PREFIX = "scimseal.";
const CHANGED = "scimseal:setting";
const unsaved = new Map<string, string>();

/** Reads a setting. */
export function readSetting(name: string): string | undefined {
  const kept = unsaved.get(name);
  if (kept !== undefined) return kept;
  try {
    return localStorage.getItem(PREFIX + name) ?? undefined;
  } catch {
    // Storage is switched off in this browser.
    return undefined;
  }
}

/** Changes a setting; undefined forgets it. */
export function writeSetting(name: string, value: string | undefined): void {
  unsaved.delete(name);
  try {
    if (value === undefined) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, value);
  } catch {
    // Storage is off or full: this page remembers.
    unsaved.set(name, value ?? "");
  }
  window.dispatchEvent(new CustomEvent(CHANGED, { detail: name }));
}

/** A setting as state, also when another part of the page changes it. */
export function useSetting(name: string): readonly [string | undefined, (value: string | undefined) => void] {
  const [value, setValue] = useState(() => readSetting(name));
  useEffect(() => {
    const change = (event: Event) => {
      if (event instanceof CustomEvent && event.detail === name) setValue(readSetting(name));
    };
    setValue(readSetting(name));
    window.addEventListener(CHANGED, change);
    return () => window.removeEventListener(CHANGED, change);
  }, [name]);
  return [value, (next) => writeSetting(name, next)];
}

/** Makes the page follow the chosen theme; without a choice it follows the system. */
export function applyTheme(): void {
  const theme = readSetting("theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}
