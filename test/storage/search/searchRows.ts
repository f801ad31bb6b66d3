// Rows to search in, and filters over them that say by themselves which rows they hold for: a second reading of the
// filter language, written against the description and not against the code.

import fc from "fast-check";
import type { EventRow } from "../../../src/scim/extract/extract.ts";
import type { TouchedResource } from "../../../src/scim/extract/touches.ts";
import { hasWordStart, normalise } from "../../../src/scim/search/normalise.ts";
import type { NameAttribute } from "../../../src/scim/search/tokens.ts";
import type { IndexedTransaction } from "../../../src/storage/index/indexBatch.ts";

/** A row, and the names that its accounts were ever known under, in any row. */
export interface ModelRow {
  row: IndexedTransaction;
  known: { role: "s" | "m"; type: string; ref: string; names: TouchedResource["names"] }[];
}

export const uuid = (n: number) => `01900000-0000-7000-8000-${String(n).padStart(12, "0")}`;

const FIRST = ["Ada", "Grace", "Zoë", "O'Neil", "李雷", "a%b_c", "Ädda"];
const LAST = ["Lovelace", "Hopper", "Ng", "di Marco", "Straße", "ΣΊΣΥΦΟΣ"];
const CONNECTORS = ["okta", "entra", "hr_1"];
const REASONS = [undefined, "timeout", "dns", "100%_sure\\"];
const EFFECTS = ["activate", "create", "membership-add", "password", "role"];
const START = Date.parse("2026-03-01T00:00:00.000Z");

const names = fc.record({
  first: fc.constantFrom(...FIRST),
  last: fc.constantFrom(...LAST),
  host: fc.constantFrom("example.com", "corp.example"),
});

const touchedUser = fc.tuple(fc.nat(12), names, fc.constantFrom<"s" | "m">("s", "m"), fc.boolean()).map(
  ([id, { first, last, host }, role, isNamed]): TouchedResource => ({
    type: "User",
    ref: id === 0 ? "?open" : `u-${id}`,
    role,
    isChange: true,
    isMet: true,
    names: !isNamed
      ? []
      : [
          { attribute: "userName", value: `${first}.${last}@${host}`.replace(/\s/g, "") },
          { attribute: "displayName", value: `${first} ${last}` },
          { attribute: "email", value: `${last.toUpperCase().replace(/\s/g, "")}@${host}` },
        ],
  }),
);
const touchedGroup = fc.tuple(fc.nat(3), fc.constantFrom("Engineering", "Sales EMEA", "Ada fans")).map(
  ([id, name]): TouchedResource => ({
    type: "Group",
    ref: `g-${id}`,
    role: "s",
    isChange: true,
    isMet: true,
    names: [{ attribute: "displayName", value: name }],
  }),
);

/** One transaction, yet without a place. */
export const transaction = fc
  .record({
    touched: fc.array(fc.oneof(touchedUser, touchedGroup), { maxLength: 3 }),
    timeMs: fc.nat(100).map((n) => START + n * 250),
    connector: fc.constantFrom(...CONNECTORS),
    client: fc.constantFrom("okta-prod", "entra"),
    action: fc.constantFrom("create", "update", "bulk"),
    effects: fc.subarray(EFFECTS),
    end: fc.constantFrom("open", "refused", "answered", "unknown"),
    status: fc.constantFrom(undefined, 200, 201, 404, 500),
    durationMs: fc.constantFrom(undefined, 0, 1.5, 12.345, 900),
    reason: fc.constantFrom(...REASONS),
    operations: fc.constantFrom(undefined, 3),
  })
  .map(({ end, operations, status, durationMs, reason, touched: all, ...rest }) => {
    // Each resource at most once a role, as the extraction promises.
    const touched = [...new Map(all.map((one) => [`${one.role}${one.type}${one.ref}`, one])).values()];
    const about = touched.find(({ role }) => role === "s");
    return {
      ...rest,
      touched,
      method: "bearer",
      verb: "PATCH",
      resourceType: about?.type ?? "User",
      isCut: false,
      isStored: false,
      ...(about && { about }),
      ...(about && !about.ref.startsWith("?") && { resourceId: about.ref }),
      ...(operations !== undefined && { operations }),
      ...(end === "open" ? {} : { outcome: end }),
      ...(end !== "open" && status !== undefined && { status, replied: status }),
      ...(end !== "open" && durationMs !== undefined && { durationMs }),
      ...(end !== "open" && reason !== undefined && { reason }),
    };
  });

/** Gives rows their places: a seq each, one more for an outcome; open ones are not closed here. */
export function place(
  rows: readonly (typeof transaction extends fc.Arbitrary<infer T> ? T : never)[],
  from: number,
) {
  let seq = from;
  const placed = rows.map((row): IndexedTransaction => {
    const at = seq++;
    const isClosed = row.outcome !== undefined && row.outcome !== "refused";
    return { ...row, seq: at, txn: uuid(at), ...(isClosed && { closedSeq: seq++ }) };
  });
  return { placed, next: seq };
}

export function eventAt(seq: number): EventRow {
  return { seq, timeMs: START + seq, name: seq % 2 ? "recovery" : "instance-started", detail: { seq } };
}

/** Rows with all that is known of their accounts. */
export function modelOf(rows: readonly IndexedTransaction[]): ModelRow[] {
  const known = new Map<string, TouchedResource["names"]>();
  const keyOf = (row: IndexedTransaction, { type, ref }: TouchedResource) =>
    `${row.connector} ${type} ${ref}`;
  for (const row of rows)
    for (const touched of row.touched) {
      const key = keyOf(row, touched);
      known.set(key, [...(known.get(key) ?? []), ...touched.names]);
    }
  return rows.map((row) => ({
    row,
    known: row.touched.map((touched) => ({
      role: touched.role,
      type: touched.type,
      ref: touched.ref,
      names: known.get(keyOf(row, touched)) ?? [],
    })),
  }));
}

export interface Spoken {
  text: string;
  holds(model: ModelRow): boolean;
}

const quote = (text: string) => JSON.stringify(text);
type TextOperator = "eq" | "ne" | "co" | "sw" | "ew";

function compareTexts(operator: TextOperator, values: readonly string[], asked: string): boolean {
  switch (operator) {
    case "eq":
      return values.includes(asked);
    case "ne":
      return !values.includes(asked);
    case "co":
      return values.some((value) => value.includes(asked));
    case "sw":
      return values.some((value) => value.startsWith(asked));
    case "ew":
      return values.some((value) => value.endsWith(asked));
  }
}

function compareNumbers(operator: string, value: number | undefined, asked: number): boolean {
  if (operator === "ne") return value !== asked;
  if (value === undefined) return false;
  return {
    eq: value === asked,
    gt: value > asked,
    ge: value >= asked,
    lt: value < asked,
    le: value <= asked,
  }[operator as "eq"];
}

const TEXT_OPERATORS = ["eq", "ne", "co", "sw", "ew"] as const;
const NUMBER_OPERATORS = ["eq", "ne", "gt", "ge", "lt", "le"] as const;

const texts = fc
  .tuple(
    fc.constantFrom(
      { name: "connector", of: ({ row }: ModelRow) => [row.connector] },
      { name: "client", of: ({ row }: ModelRow) => [row.client] },
      { name: "resourceType", of: ({ row }: ModelRow) => [row.resourceType] },
      { name: "reason", of: ({ row }: ModelRow) => (row.reason === undefined ? [] : [row.reason]) },
      {
        name: "id",
        of: ({ known }: ModelRow) =>
          known.filter(({ role, ref }) => role === "s" && !ref.startsWith("?")).map(({ ref }) => ref),
      },
    ),
    fc.constantFrom(...TEXT_OPERATORS),
    fc.constantFrom(
      "okta",
      "entra",
      "hr_1",
      "hr",
      "_",
      "%",
      "100%_sure\\",
      "\\",
      "t",
      "User",
      "u-1",
      "1",
      "?",
      "'",
    ),
  )
  .map(
    ([{ name, of }, operator, asked]): Spoken => ({
      text: `${name} ${operator} ${quote(asked)}`,
      holds: (model) => compareTexts(operator, of(model), asked),
    }),
  );

const words = fc.oneof(
  fc.tuple(fc.constantFrom("eq", "ne"), fc.constantFrom("open", "refused", "answered", "early")).map(
    ([operator, asked]): Spoken => ({
      text: `outcome ${operator} ${quote(asked)}`,
      holds: ({ row }) => ((row.outcome ?? "open") === asked) === (operator === "eq"),
    }),
  ),
  fc.tuple(fc.constantFrom("co", "sw", "ew"), fc.constantFrom("en", "o", "ed", "unk")).map(
    ([operator, asked]): Spoken => ({
      text: `outcome ${operator} ${quote(asked)}`,
      holds: ({ row }) => compareTexts(operator as TextOperator, [row.outcome ?? "open"], asked),
    }),
  ),
  fc.tuple(fc.constantFrom("eq", "ne"), fc.constantFrom(...EFFECTS, "delete")).map(
    ([operator, asked]): Spoken => ({
      text: `effect ${operator} ${quote(asked.toUpperCase())}`,
      holds: ({ row }) => compareTexts(operator as TextOperator, row.effects, asked),
    }),
  ),
  fc.tuple(fc.constantFrom("co", "sw", "ew"), fc.constantFrom("e", "membership", "add", "%")).map(
    ([operator, asked]): Spoken => ({
      text: `effects ${operator} ${quote(asked)}`,
      holds: ({ row }) => compareTexts(operator as TextOperator, row.effects, asked),
    }),
  ),
);

const numbers = fc
  .tuple(
    fc.constantFrom(
      { name: "status", of: ({ row }: ModelRow) => row.status },
      { name: "replied", of: ({ row }: ModelRow) => row.replied },
      { name: "operations", of: ({ row }: ModelRow) => row.operations },
    ),
    fc.constantFrom(...NUMBER_OPERATORS),
    fc.constantFrom(0, 3, 200, 404, 404, 500, -1, 9e14),
  )
  .map(
    ([{ name, of }, operator, asked]): Spoken => ({
      text: `${name} ${operator} ${asked}`,
      holds: (model) => compareNumbers(operator, of(model), asked),
    }),
  );

const durations = fc
  .tuple(fc.constantFrom(...NUMBER_OPERATORS), fc.constantFrom(0, 1.5, 12.345, 1e-45, 900.001, 1e14))
  .map(
    ([operator, asked]): Spoken => ({
      text: `duration ${operator} ${asked}`,
      holds: ({ row }) =>
        compareNumbers(
          operator,
          row.durationMs === undefined ? undefined : Math.fround(row.durationMs),
          Math.fround(asked < 1e-37 ? 0 : asked),
        ),
    }),
  );

const places = fc.tuple(fc.constantFrom(...NUMBER_OPERATORS), fc.nat(60)).map(
  ([operator, asked]): Spoken => ({
    text: `seq ${operator} ${asked}`,
    holds: ({ row: { seq, closedSeq } }) => {
      // Whoever looks for the entry of an outcome finds its transaction.
      const isIt = seq === asked || closedSeq === asked;
      if (operator === "eq") return isIt;
      return operator === "ne" ? !isIt : compareNumbers(operator, seq, asked);
    },
  }),
);

const times = fc
  .tuple(fc.constantFrom(...NUMBER_OPERATORS), fc.nat(100), fc.constantFrom(0, 0, 0.5), fc.boolean())
  .map(([operator, step, fraction, isLocal]): Spoken => {
    const ms = START + step * 250;
    const shifted = new Date(isLocal ? ms + 5_400_000 : ms).toISOString().replace("Z", fraction ? "500" : "");
    return {
      text: `time ${operator} "${shifted}${isLocal ? "+01:30" : "Z"}"`,
      holds: ({ row }) => compareNumbers(operator, row.timeMs, ms + fraction),
    };
  });

const NAMES: readonly { spelled: string; of: readonly NameAttribute[] | undefined }[] = [
  { spelled: "userName", of: ["userName"] },
  { spelled: "displayName", of: ["displayName"] },
  { spelled: "emails.value", of: ["email"] },
  { spelled: "name", of: undefined },
  { spelled: "externalId", of: ["externalId"] },
];
const ASKED = [
  ...[
    "Ada",
    "ada lovelace",
    "lovelace",
    "LACE",
    "example.com",
    "straße",
    "STRASSE",
    "σίσυφοσ",
    "李雷",
    "a%b_c",
    "%b_",
  ],
  ...[
    "engineering",
    "sales",
    "emea",
    "o'neil",
    "Ada.Lovelace@example.com",
    "nobody",
    ".ng@",
    "zoë",
    "corp.example",
  ],
];

function compareNames(operator: TextOperator, values: readonly string[], asked: string): boolean {
  const wanted = normalise(asked);
  const all = values.map(normalise);
  return operator === "sw"
    ? all.some((value) => hasWordStart(value, wanted))
    : compareTexts(operator, all, wanted);
}

const namesAsked = fc
  .tuple(fc.constantFrom(...NAMES), fc.constantFrom(...TEXT_OPERATORS), fc.constantFrom(...ASKED))
  .filter(
    ([, operator, asked]) =>
      operator === "eq" || operator === "ne" || operator === "sw" || [...asked].length >= 3,
  )
  .map(
    ([{ spelled, of }, operator, asked]): Spoken => ({
      text: `${spelled} ${operator} ${quote(asked)}`,
      holds: ({ known }) =>
        compareNames(
          operator,
          known
            .flatMap(({ names }) => names.filter(({ attribute }) => of?.includes(attribute) ?? true))
            .map(({ value }) => value),
          asked,
        ),
    }),
  );

const groups = fc
  .tuple(
    fc.constantFrom(...TEXT_OPERATORS),
    fc.constantFrom("engineering", "Sales EMEA", "emea", "ada", "gin", "fans"),
  )
  .map(
    ([operator, asked]): Spoken => ({
      text: `group ${operator} ${quote(asked)}`,
      holds: ({ known }) =>
        compareNames(
          operator,
          known
            .filter(({ role, type }) => role === "s" && type === "Group")
            .flatMap(({ names }) => names.map(({ value }) => value)),
          asked,
        ),
    }),
  );

/** Every `pr`. */
export const presences: readonly Spoken[] = [
  { text: "status pr", holds: ({ row }) => row.status !== undefined },
  { text: "reason pr", holds: ({ row }) => row.reason !== undefined },
  { text: "duration pr", holds: ({ row }) => row.durationMs !== undefined },
  { text: "effects pr", holds: ({ row }) => row.effects.length > 0 },
  { text: "outcome pr", holds: () => true },
  { text: "time pr", holds: () => true },
  {
    text: "id pr",
    holds: ({ known }) => known.some(({ role, ref }) => role === "s" && !ref.startsWith("?")),
  },
  {
    text: "userName pr",
    holds: ({ known }) => known.some(({ names }) => names.some(({ attribute }) => attribute === "userName")),
  },
  { text: "name pr", holds: ({ known }) => known.some(({ names }) => names.length > 0) },
  {
    text: "group pr",
    holds: ({ known }) => known.some(({ role, type }) => role === "s" && type === "Group"),
  },
];

const ids = fc.tuple(fc.constantFrom("eq", "ne"), fc.nat(60)).map(
  ([operator, n]): Spoken => ({
    text: `txn ${operator} "${uuid(n).toUpperCase()}"`,
    holds: ({ row }) => (row.txn === uuid(n)) === (operator === "eq"),
  }),
);

const leaf = fc.oneof(
  texts,
  words,
  numbers,
  durations,
  places,
  times,
  namesAsked,
  namesAsked,
  groups,
  fc.constantFrom(...presences),
  ids,
);

/** A filter in text, with `and`, `or`, `not`, parentheses where they are needed and where they are not. */
export const spoken: fc.Arbitrary<Spoken> = fc.letrec<{ any: Spoken }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    leaf,
    fc.tuple(leaf, leaf, leaf).map(
      ([a, b, c]): Spoken => ({
        // `and` binds closer.
        text: `${a.text} or ${b.text} and ${c.text}`,
        holds: (model) => a.holds(model) || (b.holds(model) && c.holds(model)),
      }),
    ),
    fc.tuple(tie("any"), tie("any"), fc.constantFrom("and", "or", "AND")).map(
      ([a, b, link]): Spoken => ({
        text: `(${a.text}) ${link} (${b.text})`,
        holds: (model) =>
          link === "or" ? a.holds(model) || b.holds(model) : a.holds(model) && b.holds(model),
      }),
    ),
    tie("any").map((a): Spoken => ({ text: `not (${a.text})`, holds: (model) => !a.holds(model) })),
  ),
})).any;
