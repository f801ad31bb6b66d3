// Text that somebody else chose: names, addresses, reasons, bodies. The adversary is a value that wants to pass for
// another, by writing right to left, by invisible characters, or by length: each stands in its own direction (bdi), what
// cannot be seen is named, and long text is cut until asked for. It is text and never markup.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { prettify } from "./prettify.ts";

/** Controls, format characters (direction, zero width, tags) and separators; all but tabs and line ends. */
const INVISIBLE = /(?![\t\n\r])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
const LONG = 400;
const REDACTED = "[redacted]";

/** A foreign text in a line. */
export function Foreign({ text }: { text: string }) {
  return <bdi class="foreign">{showInvisible(text)}</bdi>;
}

/** A foreign text of any length: cut, with a way to see all of it. */
export function LongText({ text }: { text: string }) {
  const [isWhole, setWhole] = useState(false);
  if (text.length <= LONG || isWhole) return <Foreign text={text} />;
  return (
    <>
      <Foreign text={`${text.slice(0, LONG / 2)}…`} />{" "}
      <button type="button" class="link-button" onClick={() => setWhole(true)}>
        Show all {text.length.toLocaleString("en-US")} characters
      </button>
    </>
  );
}

/** A SCIM value: text, a number, a list of either, or objects with what identifies them first. */
export function Value({ value }: { value: unknown }) {
  if (value === null || value === undefined) return <span class="none">none</span>;
  if (value === REDACTED) return <mark class="redacted">redacted</mark>;
  if (typeof value === "string")
    return value === "" ? <span class="none">empty</span> : <LongText text={value} />;
  if (typeof value !== "object") return <code>{String(value)}</code>;
  if (Array.isArray(value)) {
    if (value.length === 0) return <span class="none">empty list</span>;
    return (
      <ul class="value-list">
        {value.map((item, index) => (
          <li key={index}>
            <Value value={item} />
          </li>
        ))}
      </ul>
    );
  }
  return <ObjectValue value={value as Readonly<Record<string, unknown>>} />;
}

function ObjectValue({ value }: { value: Readonly<Record<string, unknown>> }) {
  const { value: own, display, $ref: _, ...rest } = value;
  const extras = Object.entries(rest).filter(([, one]) => one !== null && one !== "");
  return (
    <span class="object-value">
      {display !== undefined && <Value value={display} />}
      {own !== undefined &&
        (display === undefined ? <Value value={own} /> : <code class="fine">{String(own)}</code>)}
      {extras.map(([name, one]) => (
        <span key={name} class="pair">
          <span class="pair-name">{name}</span> <Value value={one} />
        </span>
      ))}
    </span>
  );
}

/** A body as it was stored, with what was taken out marked. */
export function Body({ text }: { text: string }) {
  const parts = prettify(text).split(`"${REDACTED}"`);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls; the keyboard must reach it.
    <pre class="body" tabIndex={0}>
      <code>
        {parts.map((part, index) => (
          <span key={index}>
            {index > 0 && <mark class="redacted">"{REDACTED}"</mark>}
            {showInvisible(part)}
          </span>
        ))}
      </code>
    </pre>
  );
}

function showInvisible(text: string): ComponentChildren {
  const found = [...text.matchAll(INVISIBLE)];
  if (found.length === 0) return text;
  const shown: ComponentChildren[] = [];
  let from = 0;
  for (const { 0: character, index } of found) {
    shown.push(
      text.slice(from, index),
      <span class="invisible" key={index} title="a character that cannot be seen">
        U+{(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}
      </span>,
    );
    from = index + character.length;
  }
  shown.push(text.slice(from));
  return shown;
}
