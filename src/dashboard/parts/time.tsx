// Times: in UTC or as this browser's place has it, by one setting for all pages; ISO 8601 on hover, to the millisecond.

import { useSetting } from "../shell/settings.ts";

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** Is the local zone wanted? */
export function useIsLocal(): boolean {
  return useSetting("zone")[0] === "local";
}

/** A moment. `form`: with the year; without; or the time of the day only. */
export function Time({ at, form = "short" }: { at: string; form?: "full" | "short" | "clock" }) {
  const isLocal = useIsLocal();
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return <span>{at}</span>;
  return (
    <time dateTime={at} title={date.toISOString()}>
      {formatTime(date, form, isLocal)}
    </time>
  );
}

/** A moment as text, always as wide as any other of its form. */
export function formatTime(date: Date, form: "full" | "short" | "clock", isLocal: boolean): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const [year, month, day, hours, minutes, seconds] = isLocal
    ? [
        date.getFullYear(),
        date.getMonth(),
        date.getDate(),
        date.getHours(),
        date.getMinutes(),
        date.getSeconds(),
      ]
    : [
        date.getUTCFullYear(),
        date.getUTCMonth(),
        date.getUTCDate(),
        date.getUTCHours(),
        date.getUTCMinutes(),
        date.getUTCSeconds(),
      ];
  const clock = `${two(hours)}:${two(minutes)}:${two(seconds)}`;
  if (form === "clock") return clock;
  const name = `${MONTHS[month] ?? ""} ${two(day)}`;
  return form === "full" ? `${name}, ${year}, ${clock}${isLocal ? "" : " UTC"}` : `${name} ${clock}`;
}

/** How long ago, in the largest unit that fits. */
export function formatAge(at: string, now: number): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(at)) / 1_000));
  if (Number.isNaN(seconds)) return "";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

/** Milliseconds for people. */
export function formatDuration(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  return `${(ms / 1_000).toFixed(ms < 10_000 ? 1 : 0)} s`;
}

/** A whole number with its thousands apart. */
export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}
