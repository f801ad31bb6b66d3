// Icons as SVG elements: 16 px, drawn by lines in the colour of the text. Never the only sign of anything.

const PATHS = {
  overview: "M2 2.5h5v6H2zM9 2.5h5v3.5H9zM9 8.5h5v5H9zM2 11h5v2.5H2z",
  activity: "M1.5 8.5h3l2-5.5 3 10 2-4.5h3",
  accounts:
    "M6 7.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM1.5 13.5c.4-2.4 2.2-4 4.5-4s4.1 1.6 4.5 4M10.5 2.7a2.5 2.5 0 0 1 0 4.6M12 9.8c1.4.6 2.3 1.9 2.5 3.7",
  ledger: "M8 1.5 13.8 4.8v6.4L8 14.5 2.2 11.2V4.8zM5.5 8l2 2 3.2-4",
  connectors: "M5.5 2v3.5M10.5 2v3.5M3.5 5.5h9V8a4.5 4.5 0 0 1-9 0zM8 12.5V15",
  search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10zM10.7 10.7 14 14",
  copy: "M5.5 5.5h8v8h-8zM3.5 10.5h-1v-8h8v1",
  check: "m3 8.5 3.5 3.5L13 4.5",
  cross: "m4 4 8 8M12 4l-8 8",
  warning: "M8 2 14.5 13.5h-13zM8 6.5v3.5M8 11.8v.2",
  pause: "M5.5 3v10M10.5 3v10",
  play: "M4.5 3v10l8-5z",
  sun: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1",
  moon: "M13.5 9.5A6 6 0 0 1 6.5 2.5a6 6 0 1 0 7 7z",
  help: "M8 14.5a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM6.2 6.3c0-2.4 3.7-2.3 3.7 0 0 1.5-1.9 1.5-1.9 3M8 11.3v.2",
  link: "M6.5 9.5l3-3M7 4.5l1.2-1.2a3 3 0 0 1 4.5 4.3L11.5 9M9 11.5l-1.2 1.2a3 3 0 0 1-4.5-4.3L4.5 7",
  download: "M8 2v8M4.5 7 8 10.5 11.5 7M2.5 13.5h11",
  chevron: "m6 3.5 4.5 4.5L6 12.5",
  lock: "M3.5 7h9v6.5h-9zM5.5 7V5a2.5 2.5 0 0 1 5 0v2",
  out: "M6.5 2.5h-4v11h4M10 5l3 3-3 3M13 8H6",
  more: "M2 4.5h12M2 8h12M2 11.5h12",
  star: "m8 2 1.8 3.9 4.2.5-3.1 2.9.8 4.2L8 11.4l-3.7 2.1.8-4.2L2 6.4l4.2-.5z",
  clock: "M8 14.5a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM8 4.5V8l2.5 1.5",
  filter: "M2 3.5h12M4.5 8h7M6.5 12.5h3",
} as const;

export type IconName = keyof typeof PATHS;

/** One icon. */
export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}

/** The mark of the house. */
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" width="24" height="24" aria-hidden="true" focusable="false">
      <path class="mark-body" d="M16 1.5 28.6 8.7v14.6L16 30.5 3.4 23.3V8.7z" />
      <path class="mark-check" d="m10.5 16.5 4 4 7.5-8.5" />
    </svg>
  );
}
