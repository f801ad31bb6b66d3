// Writes over time, one line a connector, by uPlot; and the same numbers as a table, for whoever reads numbers or cannot
// see the picture. The plotting library comes when a chart is first drawn: nothing waits for it.

import "uplot/dist/uPlot.min.css";
// Before uplot, which asks for the language while it loads.
import "./browserLanguage.ts";
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { formatTime, useIsLocal } from "./time.tsx";

/** Numbers over time; all lists are as long as `times`. */
export interface Series {
  /** Beginnings of the intervals, POSIX seconds. */
  readonly times: readonly number[];
  readonly lines: readonly { readonly name: string; readonly counts: readonly number[] }[];
}

const HEIGHT = 196;
/** How many lines have a colour of their own; style/tokens.css has as many. */
const COLOURS = 6;

/** The picture. Drawn again when the width or the theme changes. */
export default function Chart({ series, label }: { series: Series; label: string }) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const [theme, setTheme] = useState(0);
  const isLocal = useIsLocal();

  useEffect(() => {
    if (!box.current) return;
    const sizes = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)));
    sizes.observe(box.current);
    const again = () => setTheme((now) => now + 1);
    const themes = new MutationObserver(again);
    themes.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", again);
    return () => {
      sizes.disconnect();
      themes.disconnect();
      dark.removeEventListener("change", again);
    };
  }, []);

  // Another theme has other colours.
  useEffect(() => {
    if (!box.current || width < 50) return;
    const colours = getComputedStyle(document.documentElement);
    const colour = (name: string) => colours.getPropertyValue(name).trim();
    const axis = {
      stroke: colour("--text-3"),
      grid: { stroke: colour("--edge-soft"), width: 1 },
      ticks: { show: false },
      font: "11px system-ui, sans-serif",
    };
    const plot = new uPlot(
      {
        width,
        height: HEIGHT,
        cursor: { y: false, points: { size: 6 } },
        legend: { show: false },
        scales: { y: { range: (_, __, max) => [0, Math.max(4, max * 1.1)] } },
        tzDate: (seconds) =>
          isLocal ? new Date(seconds * 1_000) : uPlot.tzDate(new Date(seconds * 1_000), "Etc/UTC"),
        axes: [
          {
            ...axis,
            size: 32,
            values: (_, splits, __, ___, step) =>
              splits.map((seconds) => formatTick(new Date(seconds * 1_000), step, isLocal)),
          },
          { ...axis, size: 40, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000] },
        ],
        series: [
          {},
          ...series.lines.map(({ name }, index) => {
            const stroke = colour(`--line-${(index % COLOURS) + 1}`);
            const bars = uPlot.paths.stepped?.({ align: 1 });
            return {
              label: name,
              stroke,
              width: 1.5,
              fill: fade(stroke),
              points: { show: false },
              ...(bars && { paths: bars }),
            };
          }),
        ],
      },
      closeLast(series),
      box.current,
    );
    return () => plot.destroy();
  }, [series, width, theme, isLocal]);

  return <div class="chart" ref={box} role="img" aria-label={label} />;
}

/** An interval lasts until the next begins: the last one too needs an end to be drawn. */
function closeLast({ times, lines }: Series): [number[], ...number[][]] {
  const last = times.at(-1) ?? 0;
  const end = last + (last - (times.at(-2) ?? last));
  return [[...times, end], ...lines.map(({ counts }) => [...counts, counts.at(-1) ?? 0])];
}

/** The time of the day, or the day where one begins. */
function formatTick(date: Date, stepSeconds: number, isLocal: boolean): string {
  const [day, clock = ""] = formatTime(date, "short", isLocal).split(/ (?=\d\d:)/);
  const minutes = clock.slice(0, 5);
  return stepSeconds >= 86_400 || minutes === "00:00" ? (day ?? "") : minutes;
}

/** A resolved colour (`rgb(r, g, b)`), nearly transparent. */
function fade(colour: string): string {
  return colour.replace("rgb(", "rgba(").replace(")", ", 0.1)");
}

/** The same as a table. */
export function SeriesTable({ series }: { series: Series }) {
  const isLocal = useIsLocal();
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls; the keyboard must reach it.
    <section class="series-table" tabIndex={0} aria-label="Writes over time as a table">
      <table class="plain">
        <thead>
          <tr>
            <th scope="col">From</th>
            {series.lines.map(({ name }) => (
              <th key={name} scope="col" class="number">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {series.times.map((seconds, index) => (
            <tr key={seconds}>
              <th scope="row">{formatTime(new Date(seconds * 1_000), "short", isLocal)}</th>
              {series.lines.map(({ name, counts }) => (
                <td key={name} class="number">
                  {counts[index] ?? 0}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
