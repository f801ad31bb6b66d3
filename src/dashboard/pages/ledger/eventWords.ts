// Events of a ledger in words (docs/FORMAT.md, "Event entries"): who did what, how often, with which part of the ledger.
// What is not understood here, such as a member of a later version, is named with its value and not left out. The words
// may hold somebody else's text: whoever draws them treats them so.

/** What an event says beside its name; "" if that is all. */
export function describeEvent(event: unknown): string {
  if (typeof event !== "object" || event === null) return "";
  const members = new Members(event);
  const name = members.text("name") ?? "";
  const words = Object.hasOwn(WORDS, name) ? (WORDS[name]?.(members) ?? []) : [];
  return [...words.filter((one) => one !== ""), ...members.others()].join("; ");
}

type Describe = (event: Members) => string[];

const WORDS: Readonly<Record<string, Describe>> = {
  "ledger-opened": (event) => [`the first key is ${shorten(event.text("kid"))}`],
  "instance-started": (event) => {
    const parts = Object.keys(event.object("parts")).length;
    return [
      withWord("Node.js", event.text("runtime")),
      withWord("configuration", shorten(event.text("configuration"))) +
        (parts > 0 ? ` of ${formatCount(parts, "part", "parts")}` : ""),
    ];
  },
  "configuration-changed": (event) => [
    ...(["changed", "added", "removed"] as const).map((how) => withWord(how, event.list(how).join(", "))),
    `configuration ${shorten(event.text("configuration"))}, before ${shorten(event.text("before"))}`,
  ],
  "instance-stopped": () => [],
  recovery: (event) => {
    const reason = event.text("reason");
    switch (reason) {
      case "instance_lost": {
        const closed = event.count("closes") ?? 0;
        const left =
          closed === 0
            ? "it left nothing open"
            : `${formatCount(closed, "open transaction", "open transactions")} closed as unknown`;
        return [`instance ${shorten(event.text("of"))} was lost`, left];
      }
      case "append_unproved":
      case "append_refused": {
        const doubtful = event.count("doubtful") ?? 0;
        const words = doubtful === 0 ? "no entry was" : formatCount(doubtful, "entry was", "entries were");
        return ["writing again after an insert that failed", `${words} in doubt`];
      }
      default:
        return [withWord("reason", reason)];
    }
  },
  "clock-anomaly": (event) => {
    const kind = event.text("kind");
    const by = event.number("byMs") ?? 0;
    const seconds = `${(Math.abs(by) / 1_000).toLocaleString("en-US", { maximumFractionDigits: 1 })} s`;
    switch (kind) {
      case "stepped":
        return [`the clock was set ${by < 0 ? "back" : "forward"} by ${seconds}`];
      case "behind_ledger":
        return [`the clock is ${seconds} behind the newest entry`];
      default:
        return [withWord("kind", kind), `by ${by} ms`];
    }
  },
  "key-rotated": (event) => {
    // The key itself stands in the leaf, and under "Public keys".
    event.object("jwk");
    return [`from the next entry on the key is ${shorten(event.text("kid"))}`];
  },
  "alarm-raised": (event) => alarmWords(event),
  "alarm-acknowledged": (event) => [...alarmWords(event), withWord("by", event.text("by"))],
  "entries-viewed": (event) => {
    const rows = event.count("entries") ?? 0;
    return [
      `${who(event)}: ${times(event.object("kinds"), KINDS)}`,
      rows > 0 ? `${formatCount(rows, "row", "rows")} shown${range(event)}` : range(event).trim(),
    ];
  },
  "export-made": (event) => {
    const kind = event.text("kind") ?? "";
    const rows = event.count("entries") ?? 0;
    return [
      `${who(event)}: ${EXPORTS[kind] ?? kind}`,
      (rows > 0 ? formatCount(rows, "entry", "entries") : "") + range(event),
    ].map((one) => one.trim());
  },
  "signed-in": (event) => {
    const by = event.text("by");
    return [`${who(event)}, ${by === "link" ? "by a one-time link" : withWord("by", by)}`];
  },
  "access-denied": (event) => [`${who(event)}: ${times(event.object("reasons"), {})}`],
};

/** What was looked at, once and more often. */
const KINDS: Readonly<Record<string, readonly [one: string, many: string]>> = {
  accounts: ["list of accounts", "lists of accounts"],
  bodies: ["look at contents", "looks at contents"],
  counts: ["count of matches", "counts of matches"],
  entries: ["look at entries", "looks at entries"],
  live: ["look at what came in", "looks at what came in"],
  members: ["list of members", "lists of members"],
  overview: ["overview", "overviews"],
  search: ["search", "searches"],
  timeline: ["timeline", "timelines"],
  transaction: ["transaction", "transactions"],
};
const EXPORTS: Readonly<Record<string, string>> = {
  csv: "a search as CSV",
  evidence: "an evidence pack",
  ndjson: "a search as NDJSON",
};

function alarmWords(event: Members): string[] {
  const at = event.count("at");
  return [
    `${event.text("code") ?? "?"}${at === undefined ? "" : ` at #${at.toLocaleString("en-US")}`}`,
    withWord("alarm", shorten(event.text("alarm"))),
  ];
}

function who(event: Members): string {
  const role = event.text("role");
  const name = event.text("auditor") ?? "somebody unknown";
  return role === undefined ? name : `${name} (${role})`;
}

/** How often, by word. */
function times(counts: Readonly<Record<string, unknown>>, words: typeof KINDS): string {
  return Object.entries(counts)
    .map(([name, count]) => {
      const known = Object.hasOwn(words, name) ? words[name] : undefined;
      if (typeof count !== "number") return `${name} ${spell(count)}`;
      return known ? formatCount(count, ...known) : `${count.toLocaleString("en-US")} × ${name}`;
    })
    .join(", ");
}

function range(event: Members): string {
  const [from, to] = [event.count("from"), event.count("to")].map((seq) => seq?.toLocaleString("en-US"));
  if (from === undefined && to === undefined) return "";
  if (from === to) return ` #${from}`;
  return ` from ${from === undefined ? "the beginning" : `#${from}`}${to === undefined ? " on" : ` to #${to}`}`;
}

function formatCount(count: number, one: string, many: string): string {
  return `${count.toLocaleString("en-US")} ${count === 1 ? one : many}`;
}

function withWord(word: string, text: string | undefined): string {
  return text === undefined || text === "" ? "" : `${word} ${text}`;
}

/** Enough of a digest or an id to tell it from others; it stands whole in the leaf. */
function shorten(text: string | undefined): string {
  return text === undefined ? "not known" : text.length > 13 ? `${text.slice(0, 12)}…` : text;
}

/** Any value in words: lists and objects without the marks of JSON. */
function spell(value: unknown): string {
  if (Array.isArray(value)) return value.map(spell).join(", ");
  if (typeof value !== "object" || value === null) return String(value);
  return Object.entries(value)
    .map(([name, one]) => `${name} ${spell(one)}`)
    .join(", ");
}

/** An event's members; what nobody asked for is left over. */
class Members {
  readonly #left: Map<string, unknown>;

  constructor(event: object) {
    this.#left = new Map(Object.entries(event));
  }

  text(name: string): string | undefined {
    return this.#take(name, (value: unknown): value is string => typeof value === "string");
  }

  number(name: string): number | undefined {
    return this.#take(name, (value: unknown): value is number => typeof value === "number");
  }

  count(name: string): number | undefined {
    return this.#take(name, (value: unknown): value is number => Number.isSafeInteger(value));
  }

  list(name: string): readonly string[] {
    const isList = (value: unknown): value is string[] =>
      Array.isArray(value) && value.every((one) => typeof one === "string");
    return this.#take(name, isList) ?? [];
  }

  object(name: string): Readonly<Record<string, unknown>> {
    const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
      typeof value === "object" && value !== null && !Array.isArray(value);
    return this.#take(name, isObject) ?? {};
  }

  /** What was not asked for, or is of another type than expected. */
  others(): string[] {
    return [...this.#left].map(([name, value]) => `${name} ${spell(value)}`);
  }

  #take<Value>(name: string, fits: (value: unknown) => value is Value): Value | undefined {
    const value = this.#left.get(name);
    if (!fits(value)) return undefined;
    this.#left.delete(name);
    return value;
  }
}
