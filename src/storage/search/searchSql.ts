// A checked query as SQL over the index's tables. Whatever came from outside is a parameter; statements are made of the
// constants below only.
// A comparison is true or not, never unknown: negations are pushed down to the comparisons, and there a NULL counts as
// no. So `not (status eq 404)` holds for what has no status, as it does for whoever evaluates the filter by hand.

import type { Query, Test } from "../../scim/search/query.ts";

/** Accounts whose transactions fit. */
export interface AccountSet {
  /** As PostgreSQL spells them; none: nothing fits. */
  readonly ids: readonly string[];
  /** Only transactions that are about them, not those that add them to a group or remove them. */
  readonly onlySubjects: boolean;
}

/** What a search is for: comparisons of accounts are resolved to these before. */
export interface SqlSearch {
  readonly query: Query | undefined;
  readonly accountsOf: ReadonlyMap<Test, AccountSet>;
  /** From a text search: transactions that touch these accounts, are about those, or have this id. */
  readonly text:
    | { readonly accounts: AccountSet; readonly ids: AccountSet; readonly txn: string | undefined }
    | undefined;
  /** Only these connectors' transactions, and no events. */
  readonly connectors: readonly string[] | undefined;
}

/** Which rows: transactions; or entries of transactions (requests and refusals, outcomes); or events. */
export type RowKind = "txn" | "outcome" | "event";

/** The values of a statement; a value that is used again has one place. */
export class Parameters {
  readonly values: unknown[] = [];
  readonly #places = new Map<string, Map<unknown, string>>();

  /** The place of a value of a type (a word of ours), such as `$3::text`. */
  add(value: unknown, type: string): string {
    let places = this.#places.get(type);
    if (!places) {
      places = new Map();
      this.#places.set(type, places);
    }
    let place = places.get(value);
    if (place === undefined) {
      place = `$${this.values.push(value)}::${type}`;
      places.set(value, place);
    }
    return place;
  }
}

interface Column {
  readonly sql: string;
  readonly isNullable?: true;
}

interface Source {
  readonly schema: string;
  /** The entry's own seq. */
  readonly seq: string;
  /** True: a search for the seq of the outcome finds the transaction. */
  readonly hasBoth: boolean;
  readonly columns: Readonly<Record<string, Column>>;
  /** The types of entries among these rows, and which row is of which. */
  readonly types: Readonly<Record<string, string>>;
  readonly hasAccounts: boolean;
}

const TXN_COLUMNS = {
  time: { sql: "t.time" },
  txn: { sql: "t.txn" },
  connector: { sql: "t.connector" },
  client: { sql: "t.client" },
  method: { sql: "t.method" },
  verb: { sql: "t.verb" },
  action: { sql: "t.action" },
  resourceType: { sql: "t.resource_type" },
  outcome: { sql: "t.outcome" },
  status: { sql: "t.status", isNullable: true },
  replied: { sql: "t.replied", isNullable: true },
  duration: { sql: "t.duration_ms", isNullable: true },
  operations: { sql: "t.operations", isNullable: true },
  reason: { sql: "t.reason", isNullable: true },
  effect: { sql: "t.effects" },
} as const satisfies Readonly<Record<string, Column>>;

/** What rows of a kind are read from, and what their attributes are there. An attribute that is not there has no value. */
export function sourceOf(schema: string, kind: RowKind, subject: "transactions" | "entries"): Source {
  const isTransaction = subject === "transactions";
  switch (kind) {
    case "txn":
      return {
        schema,
        seq: "t.seq",
        hasBoth: isTransaction,
        columns: TXN_COLUMNS,
        types: isTransaction
          ? {}
          : { request: "t.outcome IS DISTINCT FROM 'refused'", refusal: "t.outcome = 'refused'" },
        hasAccounts: true,
      };
    case "outcome":
      return {
        schema,
        seq: "t.closed_seq",
        hasBoth: false,
        columns: TXN_COLUMNS,
        types: { response: "TRUE" },
        hasAccounts: true,
      };
    case "event":
      return {
        schema,
        seq: "t.seq",
        hasBoth: false,
        columns: {
          time: { sql: "t.time" },
          event: { sql: "t.name" },
          auditor: { sql: "(t.detail ->> 'auditor')", isNullable: true },
        },
        types: { event: "TRUE" },
        hasAccounts: false,
      };
  }
}

/** The condition that a row `t` fits. */
export function conditionOf(search: SqlSearch, source: Source, parameters: Parameters): string {
  const { query, text, connectors } = search;
  const conditions: string[] = [];
  const make = new Condition(search, source, parameters);
  if (connectors) conditions.push(make.ofConnectors(connectors));
  if (text) conditions.push(make.ofText(text));
  if (query) conditions.push(make.of(query, false));
  return conditions.length === 0 ? "TRUE" : conditions.join(" AND ");
}

class Condition {
  readonly #search: SqlSearch;
  readonly #source: Source;
  readonly #parameters: Parameters;

  constructor(search: SqlSearch, source: Source, parameters: Parameters) {
    this.#search = search;
    this.#source = source;
    this.#parameters = parameters;
  }

  of(query: Query, isNegated: boolean): string {
    switch (query.kind) {
      case "not":
        return this.of(query.term, !isNegated);
      case "and":
      case "or": {
        const isAnd = (query.kind === "and") !== isNegated;
        return `(${query.terms.map((term) => this.of(term, isNegated)).join(isAnd ? " AND " : " OR ")})`;
      }
      case "test": {
        // `ne` is the opposite of `eq`, also of several values and of none.
        const isOpposite = isNegated !== (query.operator === "ne");
        const condition = this.#test(query);
        return isOpposite ? `(${condition}) IS NOT TRUE` : `(${condition})`;
      }
    }
  }

  ofConnectors(connectors: readonly string[]): string {
    const column = this.#source.columns.connector;
    return column ? `${column.sql} = ANY(${this.#parameters.add(connectors, "text[]")})` : "FALSE";
  }

  ofText({ accounts, ids, txn }: NonNullable<SqlSearch["text"]>): string {
    const column = this.#source.columns.txn;
    const found = [this.#accounts(accounts), this.#accounts(ids)].filter(
      (condition) => condition !== "FALSE",
    );
    if (column && txn !== undefined) found.push(`${column.sql} = ${this.#parameters.add(txn, "uuid")}`);
    return found.length === 0 ? "FALSE" : `(${found.join(" OR ")})`;
  }

  #test(test: Test): string {
    const { attribute, operator, value } = test;
    const { columns, seq, hasBoth, hasAccounts } = this.#source;
    if (attribute.name === "seq") {
      if (operator === "pr") return "TRUE";
      const place = this.#parameters.add(value, "bigint");
      const isEqual = operator === "eq" || operator === "ne";
      return isEqual && hasBoth
        ? `${seq} = ${place} OR t.closed_seq = ${place}`
        : `${seq} ${SIGNS[operator]} ${place}`;
    }
    if (attribute.kind === "name" || attribute.kind === "group" || attribute.kind === "id") {
      if (!hasAccounts) return "FALSE";
      if (operator === "pr") return this.#hasAny(test);
      return this.#accounts(this.#search.accountsOf.get(test));
    }
    if (attribute.name === "type") return this.#type(test);
    const column = columns[attribute.name];
    if (!column) return "FALSE";
    if (attribute.kind === "effect") return this.#effect(test, column.sql);
    // A transaction without an outcome is open: that is its value.
    if (attribute.name === "outcome") return this.#outcome(test, column.sql);
    if (operator === "pr") return column.isNullable ? `${column.sql} IS NOT NULL` : "TRUE";
    switch (attribute.kind) {
      case "time":
        return `${column.sql} ${SIGNS[operator]} to_timestamp(${this.#parameters.add(value, "float8")} / 1000)`;
      case "uuid":
        return `${column.sql} = ${this.#parameters.add(value, "uuid")}`;
      case "number":
        return attribute.name === "duration"
          ? `${column.sql} ${SIGNS[operator]} ${this.#parameters.add(toReal(Number(value)), "real")}`
          : `${column.sql} ${SIGNS[operator]} ${this.#parameters.add(value, "bigint")}`;
      case "text":
        return this.#text(test, column.sql);
    }
  }

  /** Decided here as far as it can be: rows that cannot be of the type are not looked through for it. */
  #type({ operator, value }: Test): string {
    const asked = String(value);
    const fits = (type: string) =>
      operator === "pr" ||
      (operator === "co" && type.includes(asked)) ||
      (operator === "sw" && type.startsWith(asked)) ||
      (operator === "ew" && type.endsWith(asked)) ||
      type === asked;
    const types = Object.entries(this.#source.types);
    const fitting = types.filter(([type]) => fits(type)).map(([, sql]) => sql);
    if (fitting.length === 0) return "FALSE";
    return fitting.length === types.length ? "TRUE" : fitting.join(" OR ");
  }

  #outcome(test: Test, sql: string): string {
    if (test.operator === "pr") return "TRUE";
    if ((test.operator === "eq" || test.operator === "ne") && test.value === "open") return `${sql} IS NULL`;
    const isLike = test.operator !== "eq" && test.operator !== "ne";
    return this.#text(test, isLike ? `coalesce(${sql}, 'open')` : sql);
  }

  #effect(test: Test, sql: string): string {
    if (test.operator === "pr") return `${sql} <> '{}'`;
    if (test.operator === "eq" || test.operator === "ne")
      return `${sql} @> ARRAY[${this.#parameters.add(test.value, "text")}]`;
    return `EXISTS (SELECT FROM unnest(${sql}) AS one (effect) WHERE ${this.#text(test, "one.effect")})`;
  }

  #text({ operator, value }: Test, sql: string): string {
    const text = String(value);
    if (operator === "eq" || operator === "ne") return `${sql} = ${this.#parameters.add(text, "text")}`;
    return `${sql} LIKE ${this.#parameters.add(likePattern(operator, text), "text")}`;
  }

  #accounts(set: AccountSet | undefined): string {
    if (!set || set.ids.length === 0 || !this.#source.hasAccounts) return "FALSE";
    const role = set.onlySubjects ? " AND ta.role = 's'" : "";
    return `t.seq IN (SELECT ta.seq FROM ${this.#source.schema}.txn_account ta WHERE ta.account = ANY(${this.#parameters.add(set.ids, "bigint[]")})${role})`;
  }

  /** Whether an account that the transaction touches has such a value at all. */
  #hasAny({ attribute }: Test): string {
    const { schema } = this.#source;
    const touched = `SELECT FROM ${schema}.txn_account ta`;
    if (attribute.kind === "id")
      return `EXISTS (${touched} JOIN ${schema}.account a ON a.id = ta.account AND a.ref NOT LIKE '?%' WHERE ta.seq = t.seq AND ta.role = 's')`;
    if (attribute.kind === "group")
      return `EXISTS (${touched} JOIN ${schema}.account a ON a.id = ta.account AND a.type = 'Group' JOIN ${schema}.account_name n ON n.account = a.id AND n.attribute = 'displayName' WHERE ta.seq = t.seq AND ta.role = 's')`;
    const which = attribute.names
      ? ` AND n.attribute = ANY(${this.#parameters.add(attribute.names, "text[]")})`
      : "";
    return `EXISTS (${touched} JOIN ${schema}.account_name n ON n.account = ta.account${which} WHERE ta.seq = t.seq)`;
  }
}

const SIGNS = {
  eq: "=",
  // The caller turns it round.
  ne: "=",
  gt: ">",
  ge: ">=",
  lt: "<",
  le: "<=",
  // Not served by what has an order; the parser refused them.
  co: "=",
  sw: "=",
  ew: "=",
  pr: "=",
} as const;

/** The pattern of LIKE for this text as it is. */
export function likePattern(operator: Test["operator"], text: string): string {
  const escaped = text.replace(/[\\%_]/g, "\\$&");
  return `${operator === "sw" ? "" : "%"}${escaped}${operator === "ew" ? "" : "%"}`;
}

/** As a `real` holds it: compared with what it would have been stored as. Too small for a `real`: zero. */
function toReal(value: number): number {
  const real = Math.fround(value);
  return Math.abs(real) < 1e-37 ? 0 : real;
}
