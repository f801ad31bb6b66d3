// Writing the index: one session that holds the right to it, one transaction a batch, together with the mark of how far
// the index reaches. A crash loses the batch under way and nothing else, and the next start goes on behind the mark.
// Everything here can be made again from the ledger and the key, so what does not fit is thrown away, not mended.

import type { Client, QueryResultRow } from "pg";
import { paddingTokens, type SearchToken, searchTokens, type TokenKind } from "../../scim/search/tokens.ts";
import { encodeByteaArray, encodeInt8Array, encodeTextArray, encodeUuidArray } from "../binary.ts";
import { connect, type DatabaseAddress, destroy, endWithin, queryWithin } from "../postgres.ts";
import { schemaOf } from "../schema.ts";
import { encodeBigintLists, encodeNullable } from "./indexArrays.ts";
import {
  type AccountRow,
  BatchAccounts,
  type IndexBatch,
  type IndexedTransaction,
  type NameRow,
} from "./indexBatch.ts";
import { INDEX_TABLES } from "./indexSchema.ts";
import { type IndexStatements, indexStatements } from "./indexStatements.ts";
import { sealedNamePlace } from "./sealedName.ts";

/** What the index needs of its key. */
export interface IndexSealer {
  token(kind: TokenKind, text: string): bigint;
  digest(attribute: string, value: string): Uint8Array;
  seal(value: string, place: string): Uint8Array;
}

export interface IndexWriterOptions {
  ledger: string;
  /** As the writer's role. */
  database: DatabaseAddress;
  sealer: IndexSealer;
  /** Names the index's format and key: an index of another version is thrown away. */
  version: string;
  timeoutMs: number;
}

/** How far the index reaches: entries below `next` are in. */
export interface IndexMark {
  next: number;
  /** Leaf hash of entry next - 1; undefined for none. */
  head: Uint8Array | undefined;
  skipped: number;
}

/** Another writer moved the mark, or the index is not this one's any more: begin a new session. */
export class IndexMovedError extends Error {
  override name = "IndexMovedError";
}

const MAX_CACHED_TOKENS = 50_000;
const MAX_TOKENS_AT_ONCE = 200_000;
const MAX_NAMES_AT_ONCE = 10_000;
const END_MS = 1_000;
/** Joins what becomes a text[]; PostgreSQL has no array of arrays of several lengths. */
const UNIT = "\u001f";

export class IndexWriter {
  readonly #options: IndexWriterOptions;
  readonly #schema: string;
  readonly #sql: IndexStatements;
  readonly #tokens = new Map<string, bigint>();
  #client: Client | undefined;
  #mark: IndexMark = { next: 0, head: undefined, skipped: 0 };

  constructor(options: IndexWriterOptions) {
    this.#options = options;
    this.#schema = schemaOf(options.ledger);
    this.#sql = indexStatements(this.#schema);
  }

  /** The mark as last read or written by this writer. */
  get mark(): IndexMark {
    return this.#mark;
  }

  /**
   * Opens the session and takes the right to index this ledger; false if another session holds it. An index of another
   * version, or of another history of the ledger, is emptied by then. `hashAt`: the leaf hash of an entry as stored.
   */
  async open(hashAt: (seq: number) => Promise<Uint8Array | undefined>): Promise<boolean> {
    const { ledger, database, timeoutMs } = this.#options;
    this.#client = await connect(database, `scimseal ${ledger} indexer`, timeoutMs);
    // What a crash takes is made again, from entries that are durable before anybody can read them: no commit of the index
    // needs to wait for a disk, and so none is in the way of one that does.
    await this.#ask("SET synchronous_commit = off", []);
    const [lock] = await this.#ask<{ ok: boolean }>(
      "SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS ok",
      [`scimseal indexer ${ledger}`],
    );
    if (!lock?.ok) {
      await this.close();
      return false;
    }
    const mark = await this.#readMark();
    if (mark && (await leadsTo(mark, hashAt))) this.#mark = mark;
    else await this.#empty();
    return true;
  }

  /** Which of these transactions have a row, with its seq, and whether it waits for an outcome. */
  async stored(txns: readonly string[]): Promise<Map<string, { seq: number; isOpen: boolean }>> {
    if (txns.length === 0) return new Map();
    const rows = await this.#ask<{ txn: string; seq: string; open: boolean }>(this.#sql.stored, [
      encodeUuidArray(txns),
    ]);
    return new Map(rows.map(({ txn, seq, open }) => [txn, { seq: Number(seq), isOpen: open }]));
  }

  /** Writes a batch and moves the mark, or does nothing and throws. */
  async write(batch: IndexBatch): Promise<void> {
    await this.#inTransaction(async () => {
      await this.#forgetPlaceholders(batch.transactions.filter(({ isStored }) => isStored));
      const gathered = new BatchAccounts(batch.transactions);
      const ids = await this.#writeAccounts(gathered.accounts);
      await this.#writeNames(gathered.names, ids);
      await this.#writeTransactions(batch.transactions, (row) => {
        const account = gathered.about(row);
        return account && ids.get(account);
      });
      const { touches } = gathered;
      if (touches.length > 0) {
        await this.#ask(this.#sql.touches, [
          encodeBigintLists([touches.map(({ account }) => idOf(ids, account))]),
          encodeInt8Array(touches.map(({ seq }) => seq)),
          encodeTextArray(touches.map(({ role }) => role)),
        ]);
      }
      if (batch.events.length > 0) {
        await this.#ask(this.#sql.events, [
          encodeInt8Array(batch.events.map(({ seq }) => seq)),
          encodeInt8Array(batch.events.map(({ timeMs }) => timeMs)),
          encodeTextArray(batch.events.map(({ name }) => name)),
          encodeTextArray(batch.events.map(({ detail }) => JSON.stringify(detail))),
        ]);
      }
      const moved = await this.#ask(this.#sql.mark, [
        this.#options.version,
        this.#mark.next,
        batch.next,
        Buffer.from(batch.head),
        batch.skipped,
      ]);
      if (moved.length !== 1) throw new IndexMovedError("another session has written to this index");
    });
    this.#mark = { next: batch.next, head: batch.head, skipped: this.#mark.skipped + batch.skipped };
  }

  /** Ends the session, and with it the right to the index. */
  async close(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    if (client) await endWithin(client, END_MS);
  }

  async #readMark(): Promise<IndexMark | undefined> {
    const rows = await this.#ask<{ version: string; next: string; head: Buffer | null; skipped: string }>(
      `SELECT version, next, head, skipped FROM ${this.#schema}.index_state`,
      [],
    );
    const [row] = rows;
    if (!row || rows.length > 1 || row.version !== this.#options.version) return undefined;
    return { next: Number(row.next), head: row.head ?? undefined, skipped: Number(row.skipped) };
  }

  async #empty(): Promise<void> {
    await this.#inTransaction(async () => {
      await this.#ask(`TRUNCATE ${INDEX_TABLES.map((table) => `${this.#schema}.${table}`).join(", ")}`, []);
      await this.#ask(`INSERT INTO ${this.#schema}.index_state (version, next) VALUES ($1, 0)`, [
        this.#options.version,
      ]);
    });
    this.#mark = { next: 0, head: undefined, skipped: 0 };
  }

  /** What an open transaction asked for in vain so far: its outcome says anew which names became whose. */
  async #forgetPlaceholders(closed: readonly IndexedTransaction[]): Promise<void> {
    if (closed.length === 0) return;
    await this.#ask(this.#sql.forget, [encodeInt8Array(closed.map(({ seq }) => seq))]);
  }

  async #writeAccounts(accounts: readonly AccountRow[]): Promise<Map<AccountRow, bigint>> {
    const ids = new Map<AccountRow, bigint>();
    if (accounts.length === 0) return ids;
    const rows = await this.#ask<{ id: string; connector: string; type: string; ref: string }>(
      this.#sql.accounts,
      [
        encodeTextArray(accounts.map(({ connector }) => connector)),
        encodeTextArray(accounts.map(({ type }) => type)),
        encodeTextArray(accounts.map(({ ref }) => ref)),
        encodeInt8Array(accounts.map(({ firstSeq }) => firstSeq)),
        encodeInt8Array(accounts.map(({ lastSeq }) => lastSeq)),
        encodeInt8Array(accounts.map(({ changes }) => changes)),
        encodeTextArray(accounts.map(({ isMet }) => String(isMet))),
      ],
    );
    const byKey = new Map(
      rows.map(({ id, connector, type, ref }) => [`${connector}\0${type}\0${ref}`, BigInt(id)]),
    );
    for (const account of accounts) {
      const id = byKey.get(`${account.connector}\0${account.type}\0${account.ref}`);
      if (id === undefined) throw new Error("an account was not written");
      ids.set(account, id);
    }
    return ids;
  }

  /** Most names are known already: only new ones are worth their tokens. */
  async #writeNames(names: readonly NameRow[], ids: ReadonlyMap<AccountRow, bigint>): Promise<void> {
    if (names.length === 0) return;
    const { sealer } = this.#options;
    const byDigest = new Map<string, NameRow & { id: bigint; digest: Uint8Array }>();
    for (const name of names) {
      const id = idOf(ids, name.account);
      const digest = sealer.digest(name.attribute, name.value);
      const key = nameKey(id, name.attribute, digest);
      const same = byDigest.get(key);
      // Two texts of one digest are one name to the table.
      if (!same) byDigest.set(key, { ...name, id, digest });
      else {
        same.firstSeq = Math.min(same.firstSeq, name.firstSeq);
        same.lastSeq = Math.max(same.lastSeq, name.lastSeq);
      }
    }
    const rows = [...byDigest.values()];
    const place = (given: typeof rows) => [
      encodeBigintLists([given.map(({ id }) => id)]),
      encodeTextArray(given.map(({ attribute }) => attribute)),
      encodeByteaArray(given.map(({ digest }) => digest)),
      encodeInt8Array(given.map(({ firstSeq }) => firstSeq)),
      encodeInt8Array(given.map(({ lastSeq }) => lastSeq)),
    ];
    const known = await this.#ask<{ account: string; attribute: string; digest: Buffer }>(
      this.#sql.knownNames,
      place(rows),
    );
    const keys = new Set(known.map(({ account, attribute, digest }) => nameKey(account, attribute, digest)));
    const fresh = rows.filter(({ id, attribute, digest }) => !keys.has(nameKey(id, attribute, digest)));
    // A hostile Bulk has millions of tokens: not all of them at once.
    for (let from = 0; from < fresh.length; ) {
      const tokens: BigInt64Array[] = [];
      const ends: number[] = [];
      let count = 0;
      for (const name of fresh.slice(from, from + MAX_NAMES_AT_ONCE)) {
        if (count >= MAX_TOKENS_AT_ONCE) break;
        const its = this.#tokensOf(name);
        count += its.length;
        tokens.push(its);
        ends.push(count);
      }
      const given = fresh.slice(from, from + tokens.length);
      await this.#ask(this.#sql.newNames, [
        ...place(given),
        encodeBigintLists(tokens),
        encodeInt8Array(tokens.map(({ length }, index) => (ends[index] ?? 0) - length + 1)),
        encodeInt8Array(ends),
        encodeByteaArray(
          given.map(({ id, attribute, value }) => sealer.seal(value, sealedNamePlace(id, attribute))),
        ),
      ]);
      from += tokens.length;
    }
  }

  /** Padded, and in numerical order: neither their number nor the place of one tells anything of the name. */
  #tokensOf({ attribute, value, digest }: NameRow & { digest: Uint8Array }): BigInt64Array {
    const asked = searchTokens(attribute, value);
    const all = [...asked, ...paddingTokens(asked.length, digest)].map((token) => this.#token(token));
    return BigInt64Array.from(new Set(all)).sort();
  }

  #token({ kind, text }: SearchToken): bigint {
    const key = kind + text;
    const known = this.#tokens.get(key);
    if (known !== undefined) return known;
    const token = this.#options.sealer.token(kind, text);
    // Names are made of the same few thousand pieces; when a hostile one brought others, they go again. A whole value
    // hardly comes twice.
    if (this.#tokens.size >= MAX_CACHED_TOKENS) this.#tokens.clear();
    if (kind !== "eq") this.#tokens.set(key, token);
    return token;
  }

  async #writeTransactions(
    rows: readonly IndexedTransaction[],
    aboutOf: (row: IndexedTransaction) => bigint | undefined,
  ): Promise<void> {
    const write = async (
      sql: string,
      given: readonly IndexedTransaction[],
      first: (keyof IndexedTransaction)[],
    ) => {
      if (given.length === 0) return;
      const texts = (name: keyof IndexedTransaction) => encodeNullable(given.map((row) => textOf(row[name])));
      await this.#ask(sql, [
        encodeInt8Array(given.map(({ seq }) => seq)),
        encodeNullable(given.map(aboutOf)),
        ...END_COLUMNS.map(texts),
        ...(first.length === 0
          ? []
          : [encodeUuidArray(given.map(({ txn }) => txn)), texts("effects"), ...first.map(texts)]),
      ]);
    };
    await write(
      this.#sql.newTransactions,
      rows.filter(({ isStored }) => !isStored),
      [...FIRST_COLUMNS],
    );
    await write(
      this.#sql.closedTransactions,
      rows.filter(({ isStored }) => isStored),
      [],
    );
  }

  async #inTransaction(work: () => Promise<void>): Promise<void> {
    await this.#ask("BEGIN", []);
    try {
      await work();
      await this.#ask("COMMIT", []);
    } catch (cause) {
      // A session whose state is not known is not used again. Losing it undoes the transaction.
      const client = this.#client;
      this.#client = undefined;
      if (client) destroy(client);
      throw cause;
    }
  }

  async #ask<Row extends QueryResultRow>(text: string, values: unknown[]): Promise<Row[]> {
    const client = this.#client;
    if (!client) throw new Error("the index has no session");
    const name = this.#sql.nameOf(text);
    const query = { text, values, ...(name === undefined ? {} : { name }) };
    return (await queryWithin<Row>(client, query, this.#options.timeoutMs)).rows;
  }
}

/** Columns that only the outcome settles, in the statements' order. */
const END_COLUMNS = [
  "closedSeq",
  "resourceId",
  "outcome",
  "status",
  "replied",
  "durationMs",
  "reason",
  "isCut",
  "operationsRefused",
  "operationsUnknown",
  "effectsUndone",
] as const satisfies (keyof TransactionColumns)[];
const FIRST_COLUMNS = [
  "timeMs",
  "connector",
  "client",
  "method",
  "verb",
  "action",
  "resourceType",
  "operations",
] as const satisfies (keyof TransactionColumns)[];
type TransactionColumns = IndexedTransaction;

/** Whether the ledger still is the one that was indexed. */
async function leadsTo(
  mark: IndexMark,
  hashAt: (seq: number) => Promise<Uint8Array | undefined>,
): Promise<boolean> {
  if (mark.next === 0) return true;
  const hash = await hashAt(mark.next - 1);
  return hash !== undefined && mark.head !== undefined && Buffer.compare(hash, mark.head) === 0;
}

function idOf(ids: ReadonlyMap<AccountRow, bigint>, account: AccountRow): bigint {
  const id = ids.get(account);
  if (id === undefined) throw new Error("an account has no id");
  return id;
}

function nameKey(account: string | bigint, attribute: string, digest: Uint8Array): string {
  return `${account} ${attribute} ${Buffer.from(digest).toString("hex")}`;
}

/** A list as what `string_to_array` takes apart again. */
function textOf(value: unknown): unknown {
  return Array.isArray(value)
    ? value.map((text) => String(text).replaceAll(UNIT, "\ufffd")).join(UNIT)
    : value;
}
