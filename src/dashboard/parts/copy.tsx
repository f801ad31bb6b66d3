// Copying: a button that says that it copied, and long hashes and ids with their middle left out, whole when copied.

import { useEffect, useState } from "preact/hooks";
import { Icon } from "./icons.tsx";

const SAID_MS = 1_600;

interface CopyProps {
  text: string;
  /** What is copied, for whoever hears the button. */
  what: string;
  /** Shown beside the icon; else the icon stands alone. */
  label?: string;
}

/** Copies a text. */
export function CopyButton({ text, what, label }: CopyProps) {
  const [said, setSaid] = useState<"copied" | "failed">();
  useEffect(() => {
    if (!said) return;
    const timer = setTimeout(() => setSaid(undefined), SAID_MS);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = () => {
    writeClipboard(text).then(
      () => setSaid("copied"),
      () => setSaid("failed"),
    );
  };
  const words = said === "copied" ? "Copied" : said === "failed" ? "Not copied" : label;
  return (
    <button
      type="button"
      class={label ? "button" : "icon-button small"}
      onClick={copy}
      aria-label={label ? undefined : `Copy ${what}`}
      title={label ? undefined : `Copy ${what}`}
    >
      <Icon name={said === "copied" ? "check" : "copy"} />
      {words && label && <span>{words}</span>}
      {said && !label && (
        <span class="visually-hidden" role="status">
          {words}
        </span>
      )}
    </button>
  );
}

/** A hash or an id: monospaced, its middle left out, whole in the title and the clipboard. */
export function Hash({ value, what, keep = 8 }: { value: string; what: string; keep?: number }) {
  return (
    <span class="hash">
      <code title={value}>{shorten(value, keep)}</code>
      <CopyButton text={value} what={what} />
    </span>
  );
}

/** The first and last characters of a long text. */
export function shorten(text: string, keep = 8): string {
  return text.length <= keep * 2 + 1 ? text : `${text.slice(0, keep)}…${text.slice(-keep)}`;
}

async function writeClipboard(text: string): Promise<void> {
  // Over plain http on another host than this one the browser has no clipboard for pages.
  if (!navigator.clipboard) throw new Error("no clipboard");
  await navigator.clipboard.writeText(text);
}
