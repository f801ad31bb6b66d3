// biome-ignore-all lint/a11y/useSemanticElements: these are rows of a Grid; see parts/grid.tsx.
// A list of any length in which only the rows near the window exist. Rows are of one height; the page itself scrolls, so
// that there is one scroll bar. `style-src` allows no style in markup: heights and offsets are set through the CSSOM.
// Rows are numbered for assistive technology (aria-rowindex), which cannot count what is not there.

import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

/** Rows kept above and below the window. */
const MARGIN_ROWS = 12;

interface RowsProps<Item> {
  items: readonly Item[];
  keyOf: (item: Item) => string;
  /** Draws a GridRow of this index. */
  draw: (item: Item, index: number) => ComponentChildren;
  rowHeight: number;
  /** Called when the end comes near. */
  onEnd?: (() => void) | undefined;
}

/** The rows of a table's body. */
export function Rows<Item>({ items, keyOf, draw, rowHeight, onEnd }: RowsProps<Item>) {
  const space = useRef<HTMLDivElement>(null);
  const shownRows = useRef<HTMLDivElement>(null);
  const [range, setRange] = useState({ from: 0, to: 40 });

  useEffect(() => {
    const measure = () => {
      const top = space.current?.getBoundingClientRect().top ?? 0;
      const first = Math.floor(-top / rowHeight);
      const visible = Math.ceil(window.innerHeight / rowHeight);
      const from = Math.max(0, first - MARGIN_ROWS);
      const to = Math.max(from, first + visible + MARGIN_ROWS);
      setRange((was) => (was.from === from && was.to === to ? was : { from, to }));
    };
    measure();
    window.addEventListener("scroll", measure, { passive: true });
    window.addEventListener("resize", measure);
    return () => {
      window.removeEventListener("scroll", measure);
      window.removeEventListener("resize", measure);
    };
  }, [rowHeight]);

  const from = Math.min(range.from, Math.max(0, items.length - 1));
  const to = Math.min(range.to, items.length);
  useLayoutEffect(() => {
    if (space.current) space.current.style.height = `${items.length * rowHeight}px`;
    if (shownRows.current) shownRows.current.style.transform = `translateY(${from * rowHeight}px)`;
  }, [items.length, rowHeight, from]);

  const isNearEnd = to >= items.length - MARGIN_ROWS;
  // A longer list that still ends near is a reason to ask again.
  useEffect(() => {
    if (isNearEnd) onEnd?.();
  }, [isNearEnd, items.length, onEnd]);

  return (
    <div class="rows grid-body" role="rowgroup" ref={space}>
      <div class="rows-shown" role="presentation" ref={shownRows}>
        {items.slice(from, to).map((item, index) => (
          <div key={keyOf(item)} class="row-place" role="presentation">
            {draw(item, from + index)}
          </div>
        ))}
      </div>
    </div>
  );
}

/** Does a media query hold? */
export function useMedia(query: string): boolean {
  const [holds, setHolds] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const list = matchMedia(query);
    const change = () => setHolds(list.matches);
    change();
    list.addEventListener("change", change);
    return () => list.removeEventListener("change", change);
  }, [query]);
  return holds;
}

/** Below this width the page is laid out for a phone. */
export const PHONE = "(max-width: 720px)";
