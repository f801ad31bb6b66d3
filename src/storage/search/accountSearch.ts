// From names to accounts: candidates by keyed tokens, then each candidate's sealed name is opened and compared. What
// comes out is exact; a name that cannot be opened (another key, changed bytes) is nobody's.
// Bounded: a question that fits too many names is refused with its place, since it would be a walk through all of them.

import { setImmediate } from "node:timers/promises";
import { RecentMap } from "../../recentMap.ts";
import { isTold, matchesName, type NameOperator, tokensOf, wordOperator } from "../../scim/search/match.ts";
import { FilterError, type Query, type Test } from "../../scim/search/query.ts";
import type { TextQuery } from "../../scim/search/text.ts";
import type { NameAttribute, TokenKind } from "../../scim/search/tokens.ts";
import { sealedNamePlace } from "../index/sealedName.ts";
import type { Ask } from "./indexSession.ts";
import { type AccountSet, likePattern, type SqlSearch } from "./searchSql.ts";

/** What a search needs of the ledger's keys. */
export interface IndexOpener {
  /** Names the index's format and key: an index of another version is none. */
  readonly version: string;
  token(kind: TokenKind, text: string): bigint;
  /** The value; undefined if it was not sealed for this place. */
  open(sealed: Uint8Array, place: string): string | undefined;
  /** The forms under which the id of a resource may stand in a leaf: as it is, and its keyed token. */
  recordedIds(id: string): readonly string[];
}

/** What is searched for. */
export interface Search {
  readonly query?: Query | undefined;
  readonly text?: TextQuery | undefined;
  /** Only transactions of these connectors; absent: of all, and events. */
  readonly connectors?: readonly string[] | undefined;
}

/** More names than this are not looked through. */
export const MAX_CANDIDATES = 10_000;
/** So many tokens tell a name apart; the rest of a long one's would only cost. */
const MAX_TOKENS = 24;
/** Opened at a stretch before others get their turn. */
const OPENED_AT_ONCE = 500;
const KEPT = 25_000;
const MAX_KEPT_LENGTH = 200;
const TAG_BYTES = 16;

interface Names {
  readonly operator: NameOperator;
  readonly asked: string;
  /** Absent: any. */
  readonly attribute?: NameAttribute | undefined;
  readonly onlyGroups?: boolean;
  readonly of: FilterError["of"];
  readonly position: number;
  readonly connectors: readonly string[] | undefined;
  /** Only names of these accounts; absent: of all. */
  readonly within?: readonly string[] | undefined;
  /** Words that the account must have in this name or another; by their tokens only, so that more may be found. */
  readonly besides?: readonly string[];
}

export class AccountSearch {
  readonly #ask: Ask;
  readonly #schema: string;
  readonly #opener: IndexOpener;
  /** Names in clear, in memory only; by place and the authentication tag of what they were sealed as. */
  readonly #opened = new RecentMap<string, string>(KEPT);

  constructor(ask: Ask, schema: string, opener: IndexOpener) {
    this.#ask = ask;
    this.#schema = schema;
    this.#opener = opener;
  }

  /** Finds the accounts that a search names. @throws {FilterError} if they are too many */
  async resolve({ query, text, connectors }: Search): Promise<SqlSearch> {
    const accountsOf = new Map<Test, AccountSet>();
    for (const test of testsOf(query)) {
      const { kind } = test.attribute;
      if (test.operator === "pr" || (kind !== "name" && kind !== "group" && kind !== "id")) continue;
      accountsOf.set(test, {
        ids: kind === "id" ? await this.#byId(test, connectors) : await this.#byTest(test, connectors),
        onlySubjects: kind !== "name",
      });
    }
    return {
      query,
      accountsOf,
      connectors,
      text: text && {
        accounts: { ids: await this.#byWords(text, connectors), onlySubjects: false },
        ids: {
          ids: await this.#byRef("= ANY($1::text[])", this.#opener.recordedIds(text.id), 0, connectors),
          onlySubjects: true,
        },
        txn: text.txn,
      },
    };
  }

  /** The name by which people know each of these accounts, as far as there is one. */
  async bestNames(accounts: readonly string[]): Promise<Map<string, string>> {
    const names = new Map<string, string>();
    // Nearly all are users, and have the first: the others' many names need not be read.
    for (const attributes of [BEST.slice(0, 1), BEST.slice(1)]) {
      const unnamed = accounts.filter((account) => !names.has(account));
      if (unnamed.length === 0) break;
      const rows = await this.#ask<NameRow>(
        `SELECT DISTINCT ON (account) account, attribute, sealed FROM ${this.#schema}.account_name WHERE account = ANY($1::bigint[]) AND attribute = ANY($2::text[]) ORDER BY account, array_position($2::text[], attribute::text), last_seq DESC, digest`,
        [unnamed, attributes],
      );
      for (const row of rows) {
        const name = this.#open(row);
        if (name !== undefined) names.set(row.account, name);
      }
    }
    return names;
  }

  #byTest({ attribute, operator, value, position }: Test, connectors: readonly string[] | undefined) {
    const isGroup = attribute.kind === "group";
    return this.#byName({
      // `ne` is the opposite of `eq`: the caller turns it round. No other comes here.
      operator: operator === "co" || operator === "sw" || operator === "ew" ? operator : "eq",
      asked: String(value),
      attribute: isGroup ? "displayName" : attribute.names?.[0],
      onlyGroups: isGroup,
      of: "filter",
      position,
      connectors,
    });
  }

  async #byName(names: Names): Promise<string[]> {
    const { operator, asked, attribute, onlyGroups, position, connectors, of, within, besides = [] } = names;
    const values: unknown[] = [this.#tokens(operator, asked, attribute)];
    const conditions = ["n.tokens @> $1::bigint[]"];
    if (attribute !== undefined) conditions.push(`n.attribute = $${values.push(attribute)}::text`);
    if (within) conditions.push(`n.account = ANY($${values.push(within)}::bigint[])`);
    for (const word of besides) {
      const other = values.push(this.#tokens(wordOperator(word), word, undefined));
      conditions.push(
        `n.account IN (SELECT o.account FROM ${this.#schema}.account_name o WHERE o.tokens @> $${other}::bigint[])`,
      );
    }
    if (onlyGroups) conditions.push("a.type = 'Group'");
    if (connectors) conditions.push(`a.connector = ANY($${values.push(connectors)}::text[])`);
    const join = onlyGroups || connectors ? ` JOIN ${this.#schema}.account a ON a.id = n.account` : "";
    const rows = await this.#ask<NameRow>(
      `SELECT n.account, n.attribute, n.sealed FROM ${this.#schema}.account_name n${join} WHERE ${conditions.join(" AND ")} LIMIT ${MAX_CANDIDATES + 1}`,
      values,
    );
    if (rows.length > MAX_CANDIDATES) throw tooMany(position, "names", of);
    if (isTold(operator, asked)) return [...new Set(rows.map(({ account }) => account))];
    const found = new Set<string>();
    for (const [index, row] of rows.entries()) {
      if (index % OPENED_AT_ONCE === OPENED_AT_ONCE - 1) await setImmediate();
      if (found.has(row.account)) continue;
      const name = this.#open(row);
      if (name !== undefined && matchesName(name, operator, asked)) found.add(row.account);
    }
    return [...found];
  }

  #tokens(operator: NameOperator, asked: string, attribute: NameAttribute | undefined): string[] {
    return spread(tokensOf(operator, asked, attribute), MAX_TOKENS).map(({ kind, text }) =>
      String(this.#opener.token(kind, text)),
    );
  }

  /** Accounts that have every word in one of their names or another. */
  async #byWords({ words }: TextQuery, connectors: readonly string[] | undefined): Promise<string[]> {
    // The longest word is the rarest, most likely; what the others leave of its names is few.
    const rarest = [...words].sort((a, b) => b.word.length - a.word.length);
    let found: string[] | undefined;
    for (const [index, { word, position }] of rarest.entries()) {
      const besides = index === 0 ? rarest.slice(1).map((other) => other.word) : [];
      const asked = { operator: wordOperator(word), asked: word, of: "text" as const, position, connectors };
      found = await this.#byName({ ...asked, within: found, besides });
      if (found.length === 0) break;
    }
    return found ?? [];
  }

  #byId({ operator, value, position }: Test, connectors: readonly string[] | undefined): Promise<string[]> {
    const id = String(value);
    return operator === "eq" || operator === "ne"
      ? this.#byRef("= ANY($1::text[])", this.#opener.recordedIds(id), position, connectors)
      : this.#byRef("LIKE $1::text", likePattern(operator, id), position, connectors);
  }

  /**
   * A ref that begins with `?` is no id: it stands for a resource whose id nobody told. Ids of connectors that are not to
   * be seen do not count for the bound either: it would tell that they are there.
   */
  async #byRef(
    comparison: string,
    value: unknown,
    position: number,
    connectors: readonly string[] | undefined,
  ): Promise<string[]> {
    const visible = connectors ? " AND connector = ANY($2::text[])" : "";
    const rows = await this.#ask<{ id: string }>(
      `SELECT id FROM ${this.#schema}.account WHERE ref ${comparison} AND ref NOT LIKE '?%'${visible} LIMIT ${MAX_CANDIDATES + 1}`,
      connectors ? [value, connectors] : [value],
    );
    if (rows.length > MAX_CANDIDATES) throw tooMany(position, "ids", "filter");
    return rows.map(({ id }) => id);
  }

  /** People search for the same names again, and each page of an export has many of the page before. */
  #open({ account, attribute, sealed }: NameRow): string | undefined {
    const key = `${account} ${attribute} ${sealed.toString("latin1", Math.max(0, sealed.length - TAG_BYTES))}`;
    const known = this.#opened.get(key);
    if (known !== undefined) return known;
    const name = this.#opener.open(sealed, sealedNamePlace(account, attribute));
    if (name === undefined || name.length > MAX_KEPT_LENGTH) return name;
    this.#opened.set(key, name);
    return name;
  }
}

interface NameRow {
  account: string;
  attribute: string;
  sealed: Buffer;
}

/** Which name is shown, the first that there is. */
const BEST = ["userName", "displayName", "email", "formattedName", "externalId"];

function tooMany(position: number, what: string, of: FilterError["of"]): FilterError {
  return new FilterError(
    position,
    `this fits more than ${MAX_CANDIDATES} ${what}: write more of it, or use eq`,
    of,
  );
}

/** Whether a search is for accounts: then each time it is made it looks through names. */
export function namesAccounts({ query, text }: Search): boolean {
  if (text !== undefined) return true;
  for (const { attribute, operator } of testsOf(query))
    if (operator !== "pr" && ["name", "group", "id"].includes(attribute.kind)) return true;
  return false;
}

/** Whether a search may be for one id: by words, or by a comparison of ids. */
export function namesIds({ query, text }: Search): boolean {
  if (text !== undefined) return true;
  for (const { attribute, operator } of testsOf(query))
    if (operator !== "pr" && attribute.kind === "id") return true;
  return false;
}

/** Every comparison of a query. */
function* testsOf(query: Query | undefined): Generator<Test> {
  if (query === undefined) return;
  if (query.kind === "test") yield query;
  else if (query.kind === "not") yield* testsOf(query.term);
  else for (const term of query.terms) yield* testsOf(term);
}

/** At most so many of them, from all over the list. */
function spread<T>(items: readonly T[], most: number): T[] {
  if (items.length <= most) return [...items];
  return items.filter(
    (_, index) =>
      Math.floor((index * most) / items.length) !== Math.floor(((index - 1) * most) / items.length),
  );
}
