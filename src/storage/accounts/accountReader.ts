// Accounts of a ledger by its index: found by their names or ids, with their transactions and the groups that they were
// ever members of. Works as the reader's role, with sessions and a deadline of its own. Every question may end in a
// SearchTimeoutError, and each but that for entries in an IndexNotReadyError.
// The index is not signed: it only says where to look. Whoever shows a history reads it from the leaves.

import type pg from "pg";
import { EVERYONE } from "../../scim/extract/touches.ts";
import type { AttachmentOpener } from "../attachmentSealer.ts";
import { sealedNamePlace } from "../index/sealedName.ts";
import type { DatabaseAddress, PoolOptions } from "../postgres.ts";
import { schemaOf } from "../schema.ts";
import { AccountSearch, type IndexOpener, namesIds, type Search } from "../search/accountSearch.ts";
import { IndexNotReadyError, IndexSession, openIndexPool } from "../search/indexSession.ts";
import { Parameters } from "../search/searchSql.ts";
import { accountCondition } from "./accountCondition.ts";
import { type HistoryRows, readHistoryRows, type TransactionPlace } from "./historyRows.ts";

/** The names by which an account was known last; of several of a kind those that were seen last. */
export interface AccountNames {
  userName?: string;
  externalId?: string;
  displayName?: string;
  formattedName?: string;
  emails?: string[];
}

/** A resource that the ledger has heard of. */
export interface AccountSummary {
  /** The index's own number for it; another one after the index was made anew. */
  account: string;
  connector: string;
  type: string;
  /** Its id as it stands in leaves: as it is, or a keyed token. */
  ref: string;
  names: AccountNames;
  firstSeq: number;
  lastSeq: number;
  /** Transactions that it is the subject of. */
  changes: number;
}

export type { HistoryRows, TransactionPlace } from "./historyRows.ts";

export interface AccountReaderOptions extends PoolOptions {
  opener: IndexOpener;
  /** Opens attachments; without it no history shows what changed. */
  attachments?: AttachmentOpener;
}

export class AccountReader {
  readonly #pool: pg.Pool;
  readonly #schema: string;
  readonly #opener: IndexOpener;
  readonly #index: IndexSession;
  readonly #search: AccountSearch;
  readonly #attachments: AttachmentOpener | undefined;

  constructor(ledger: string, address: DatabaseAddress, options: AccountReaderOptions) {
    const { connections, timeoutMs, opener, attachments } = options;
    this.#attachments = attachments;
    this.#schema = schemaOf(ledger);
    this.#opener = opener;
    this.#pool = openIndexPool(address, `scimseal ${ledger} accounts`, { connections, timeoutMs });
    this.#index = new IndexSession(this.#pool, this.#schema, opener.version);
    this.#search = new AccountSearch(this.#index.ask, this.#schema, opener);
  }

  /**
   * A page of accounts, the newest first; `after`: the last account of the page before. Accounts that come meanwhile
   * change no page but the first. An id of which nothing says that it was ever there (the target answered 404, or was
   * never asked) is among them only if the search is for words or for ids. @throws {FilterError} {SearchTimeoutError} {IndexNotReadyError}
   */
  async find(
    search: Search,
    { after, limit }: { after: string | undefined; limit: number },
  ): Promise<{ accounts: AccountSummary[]; next: string | undefined }> {
    return this.#index.view().read(() => this.#find(search, after, limit));
  }

  async #find(
    search: Search,
    after: string | undefined,
    limit: number,
  ): Promise<{ accounts: AccountSummary[]; next: string | undefined }> {
    const resolved = await this.#search.resolve(search);
    const parameters = new Parameters();
    const conditions = ["a.ref NOT LIKE '?%'"];
    if (!namesIds(search)) conditions.push("a.is_met");
    if (search.connectors)
      conditions.push(`a.connector = ANY(${parameters.add(search.connectors, "text[]")})`);
    if (search.query)
      conditions.push(accountCondition(this.#schema, search.query, resolved.accountsOf, parameters));
    if (resolved.text) {
      const ids = [...resolved.text.accounts.ids, ...resolved.text.ids.ids];
      conditions.push(`a.id = ANY(${parameters.add(ids, "bigint[]")})`);
    }
    if (after !== undefined) conditions.push(`a.id < ${parameters.add(after, "bigint")}`);
    const accounts = await this.#accounts(
      `WHERE ${conditions.join(" AND ")} ORDER BY a.id DESC LIMIT ${limit + 1}`,
      parameters.values,
    );
    const shown = accounts.slice(0, limit);
    return { accounts: shown, next: accounts.length > limit ? shown.at(-1)?.account : undefined };
  }

  /** Accounts of a type with this id (as the target spells it), one a connector at most; the one changed last first. */
  byId(type: string, id: string, connectors: readonly string[] | undefined): Promise<AccountSummary[]> {
    return this.#index
      .view()
      .read(() =>
        this.#accounts(
          "WHERE a.type = $1 AND a.ref = ANY($2::text[]) AND ($3::text[] IS NULL OR a.connector = ANY($3::text[])) ORDER BY a.last_seq DESC, a.id DESC",
          [type, this.#opener.recordedIds(id), connectors ?? null],
        ),
      );
  }

  /** Users that were ever known by this user name; the one changed last first. @throws {FilterError} */
  async byUserName(query: Search): Promise<AccountSummary[]> {
    const { accounts } = await this.find(query, { after: undefined, limit: 100 });
    return accounts.filter(({ type }) => type === "User").sort((a, b) => b.lastSeq - a.lastSeq);
  }

  /** Whether an id, as the target spells it, is this account's. */
  isIdOf({ ref }: Pick<AccountSummary, "ref">, id: string): boolean {
    return ref === id || this.#opener.recordedIds(id).includes(ref);
  }

  /** The seq of the first entry that is about this id (as the target spells it) or names it, of whatever type. */
  async firstSeqOf(connector: string, id: string): Promise<number | undefined> {
    const rows = await this.#index
      .view()
      .read(() =>
        this.#index.ask<{ first: string | null }>(
          `SELECT min(first_seq) AS first FROM ${this.#schema}.account WHERE connector = $1 AND ref = ANY($2::text[])`,
          [connector, this.#opener.recordedIds(id)],
        ),
      );
    return rows[0]?.first == null ? undefined : Number(rows[0].first);
  }

  /** The newest transactions that an account is the subject of, but for those that only read, at most `limit`, oldest first. */
  async transactionsOf(account: string, limit: number): Promise<TransactionPlace[]> {
    return this.#placesOf(
      account,
      `SELECT t.seq, t.closed_seq FROM ${this.#schema}.txn_account s JOIN ${this.#schema}.txn t ON t.seq = s.seq WHERE s.account = $1 AND s.role = 's' AND t.action NOT IN ('read', 'search') ORDER BY s.seq DESC LIMIT $2`,
      [account, limit],
    );
  }

  /** The first of these transactions with the attachments that a history is read from, as many as fit into `maxBytes`. */
  entriesAt(places: readonly TransactionPlace[], maxBytes: number): Promise<HistoryRows> {
    return this.#index.within(() =>
      readHistoryRows(this.#pool, this.#schema, this.#attachments, places, maxBytes),
    );
  }

  /** Groups that ever had, or may have had, this account as a member, by the one changed last; at most `limit`. */
  async groupsOf({ connector, ref }: AccountSummary, limit: number): Promise<AccountSummary[]> {
    // A member is named by its id alone: whether it is a user or a group, the index cannot know.
    return this.#index
      .view()
      .read(() =>
        this.#accounts(
          `WHERE a.type = 'Group' AND a.connector = $1 AND a.id IN (SELECT s.account FROM ${this.#schema}.txn_account m JOIN ${this.#schema}.txn_account s ON s.seq = m.seq AND s.role = 's' WHERE m.role = 'm' AND m.account IN (SELECT id FROM ${this.#schema}.account WHERE connector = $1 AND ref = $2)) ORDER BY a.last_seq DESC, a.id DESC LIMIT $3`,
          [connector, ref, limit],
        ),
      );
  }

  /**
   * The transactions of a group that may say something about one member: those that name it, and those that put a list in
   * place of all or take away somebody whom they do not name. At most `limit` of the newest, oldest first.
   */
  async membershipTransactions(
    group: AccountSummary,
    member: AccountSummary,
    limit: number,
  ): Promise<TransactionPlace[]> {
    return this.#placesOf(
      group.account,
      `SELECT t.seq, t.closed_seq FROM ${this.#schema}.txn_account s JOIN ${this.#schema}.txn t ON t.seq = s.seq
       WHERE s.account = $1 AND s.role = 's' AND (
         t.effects && ARRAY['create', 'delete', 'replace', 'membership-replace'] OR t.is_cut
         OR EXISTS (SELECT FROM ${this.#schema}.txn_account m JOIN ${this.#schema}.account a ON a.id = m.account WHERE m.seq = t.seq AND m.role = 'm' AND a.connector = $2 AND a.ref = ANY($3::text[])))
       ORDER BY s.seq DESC LIMIT $4`,
      [group.account, member.connector, [member.ref, EVERYONE], limit],
    );
  }

  /** The best known name of each of these ids (as the target spells them): a user's, or else whatever has one. */
  async namesOfIds(connector: string, ids: readonly string[]): Promise<Map<string, string>> {
    return this.#index.view().read(() => this.#namesOfIds(connector, ids));
  }

  async #namesOfIds(connector: string, ids: readonly string[]): Promise<Map<string, string>> {
    const idOf = new Map(ids.flatMap((id) => this.#opener.recordedIds(id).map((ref) => [ref, id])));
    const rows = await this.#index.ask<{ id: string; ref: string }>(
      `SELECT id, ref FROM ${this.#schema}.account WHERE connector = $1 AND ref = ANY($2::text[]) ORDER BY type = 'User', type`,
      [connector, [...idOf.keys()]],
    );
    const best = await this.#search.bestNames(rows.map(({ id }) => id));
    const names = new Map<string, string>();
    for (const { id: account, ref } of rows) {
      const id = idOf.get(ref);
      const name = best.get(account);
      if (id !== undefined && name !== undefined) names.set(id, name);
    }
    return names;
  }

  /** The best known name of each of these resources, whose ids are as in the leaves: by `type/ref`. */
  async namesOf(
    connector: string,
    resources: readonly { type: string; ref: string }[],
  ): Promise<Map<string, string>> {
    return this.#index.view().read(async () => {
      const rows = await this.#index.ask<{ id: string; type: string; ref: string }>(
        `SELECT id, type, ref FROM ${this.#schema}.account WHERE connector = $1 AND (type, ref) IN (SELECT * FROM unnest($2::text[], $3::text[]))`,
        [connector, resources.map(({ type }) => type), resources.map(({ ref }) => ref)],
      );
      const best = await this.#search.bestNames(rows.map(({ id }) => id));
      return new Map(
        rows.flatMap(({ id, type, ref }) => {
          const name = best.get(id);
          return name === undefined ? [] : [[`${type}/${ref}`, name] as const];
        }),
      );
    });
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }

  async #accounts(rest: string, values: readonly unknown[]): Promise<AccountSummary[]> {
    const rows = await this.#index.ask<AccountRow>(
      `SELECT a.id, a.connector, a.type, a.ref, a.first_seq, a.last_seq, a.changes FROM ${this.#schema}.account a ${rest}`,
      values,
    );
    const names = await this.#knownNames(rows.map(({ id }) => id));
    return rows.map((row) => ({
      account: row.id,
      connector: row.connector,
      type: row.type,
      ref: row.ref,
      names: names.get(row.id) ?? {},
      firstSeq: Number(row.first_seq),
      lastSeq: Number(row.last_seq),
      changes: row.changes,
    }));
  }

  async #knownNames(accounts: readonly string[]): Promise<Map<string, AccountNames>> {
    const names = new Map<string, AccountNames>();
    if (accounts.length === 0) return names;
    const rows = await this.#index.ask<NameRow>(
      `SELECT n.account, n.attribute, n.sealed FROM (SELECT account, attribute, sealed, digest, last_seq, rank() OVER (PARTITION BY account, attribute ORDER BY last_seq DESC) AS age FROM ${this.#schema}.account_name WHERE account = ANY($1::bigint[])) n WHERE n.age = 1 ORDER BY n.account, n.attribute, n.digest`,
      [accounts],
    );
    for (const { account, attribute, sealed } of rows) {
      const value = this.#opener.open(sealed, sealedNamePlace(account, attribute));
      if (value === undefined) continue;
      const known = names.get(account) ?? {};
      names.set(account, known);
      if (attribute === "email") known.emails = [...(known.emails ?? []), value];
      else if (isText(attribute)) known[attribute] ??= value;
    }
    return names;
  }

  /** What a statement finds for one account, the newest first there; oldest first here. */
  #placesOf(account: string, text: string, values: readonly unknown[]): Promise<TransactionPlace[]> {
    return this.#index.view().read(async () => {
      const rows = await this.#index.ask<PlaceRow>(text, values);
      // The number of another making of the index: no account has it now, which does not mean that nothing happened.
      if (rows.length === 0) await this.#requireThere(account);
      return rows.reverse().map(placeOf);
    });
  }

  async #requireThere(account: string): Promise<void> {
    const found = await this.#index.ask(`SELECT id FROM ${this.#schema}.account WHERE id = $1`, [account]);
    if (found.length === 0)
      throw new IndexNotReadyError("the index was made anew since the account was found");
  }
}

interface AccountRow {
  id: string;
  connector: string;
  type: string;
  ref: string;
  first_seq: string;
  last_seq: string;
  changes: number;
}

interface NameRow {
  account: string;
  attribute: string;
  sealed: Buffer;
}

interface PlaceRow {
  seq: string;
  closed_seq: string | null;
}

function placeOf({ seq, closed_seq: closed }: PlaceRow): TransactionPlace {
  return { seq: Number(seq), closedSeq: closed === null ? undefined : Number(closed) };
}

function isText(attribute: string): attribute is Exclude<keyof AccountNames, "emails"> {
  return ["userName", "externalId", "displayName", "formattedName"].includes(attribute);
}
