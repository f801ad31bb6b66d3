// One ledger's place in the database: the session, the instance, the head, the key that the ledger expects, and the
// insert with its proof. Proved means: no error up to ReadyForQuery, the session idle again (not in somebody's
// transaction), and no WARNING (a cancelled wait for a synchronous standby answers success). It knows nothing of who
// waits for what; the writer does.

import type { Client, DatabaseError } from "pg";
import type { EntryBody } from "../../ledger/entry.ts";
import type { PublicKey } from "../../ledger/key.ts";
import type { VerifySignature } from "../../ledger/leaf.ts";
import { type AttachmentSealer, markStored } from "../attachmentSealer.ts";
import {
  checkDurability,
  connect,
  type DatabaseAddress,
  destroy,
  endWithin,
  provesNoEffect,
  queryWithin,
} from "../postgres.ts";
import { checkSchema, PARTITION_ENTRIES, schemaOf } from "../schema.ts";
import { AppendError } from "./appendError.ts";
import { type BatchContext, type Head, headOf, insertBatch, type SignedEntry, signEntry } from "./batch.ts";
import { checkSealingKey } from "./sealingMark.ts";
import {
  EMPTY_HEAD,
  joinInstances,
  LedgerUnreadableError,
  readCurrentKey,
  readHead,
  type SessionScope,
} from "./session.ts";

/** How often one batch is tried again when another instance won the race for the head, or on a deadlock. */
export const MAX_TRIES = 50;
const PROBE_TIMEOUT_MS = 1_000;

export interface CommitterOptions extends Omit<BatchContext, "instance"> {
  ledger: string;
  database: DatabaseAddress;
  /** Also the deadline of every statement. */
  appendDeadlineMs: number;
  /** Keys trusted from the start; the chain of key-rotated entries leads from them to the signer's. */
  pinned: readonly PublicKey[];
  verify: VerifySignature;
  /** Seals attachments; one a writer, since it knows which keys the ledger has. */
  sealer: AttachmentSealer;
  /** Reads the signing key again, after a rotation: one of the expected keys, if it is to be had. */
  reloadSigner(expected: readonly PublicKey[]): Promise<BatchContext["signer"]>;
}

/** `head_moved`: another instance was first, or a deadlock; `outcome_taken`: a transaction of the batch is closed. */
export type InsertResult = "committed" | "head_moved" | "outcome_taken";

interface Session extends SessionScope {
  client: Client;
  /** A WARNING arrived: whatever was committed is visible but perhaps not replicated. */
  warned: boolean;
  ended: boolean;
}

export class Committer {
  readonly #options: CommitterOptions;
  readonly #schema: string;
  /** How far ahead of the head a partition must stand. */
  readonly #reserve: number;
  readonly #onEnd: () => void;
  #session: Session | undefined;
  #signer: BatchContext["signer"];
  #instance: string;
  #head: Head = EMPTY_HEAD;
  #trusted: readonly PublicKey[];
  #keysReadTo = -1;
  #partitionsTo = -1;
  #markedBelow = 0;

  constructor(options: CommitterOptions, maxBatchEntries: number, onEnd: () => void) {
    this.#options = options;
    this.#schema = schemaOf(options.ledger);
    this.#reserve = maxBatchEntries;
    this.#onEnd = onEnd;
    this.#signer = options.signer;
    this.#instance = options.uuid();
    this.#trusted = options.pinned;
  }

  get head(): Head {
    return this.#head;
  }

  get instance(): string {
    return this.#instance;
  }

  get kid(): string {
    return this.#signer.kid;
  }

  get isConnected(): boolean {
    return this.#session !== undefined;
  }

  /** The session, for queries beside appending. Throws if there is none. */
  get scope(): Session {
    if (!this.#session) throw new AppendError("database_unreachable", "there is no connection", "no");
    return this.#session;
  }

  /** What entries are signed with now. */
  context(): BatchContext {
    return { ...this.#options, signer: this.#signer, instance: this.#instance };
  }

  /** Throws if the database has closed the connection. */
  assertConnected(): void {
    if (this.scope.ended) {
      throw new AppendError("database_unreachable", "the database closed the connection", "no");
    }
  }

  /**
   * Opens the session and takes this instance's place. False if a recovery had closed this instance's transactions
   * while it was cut off: it goes on as a new one, or nobody would recover it after its next crash.
   */
  async connect(): Promise<boolean> {
    const { database, ledger, origin, appendDeadlineMs: timeoutMs } = this.#options;
    const client = await connect(database, `scimseal ${ledger}`, timeoutMs);
    const session: Session = { client, schema: this.#schema, timeoutMs, warned: false, ended: false };
    client.on("notice", (notice) => {
      if (notice.code !== "00000") session.warned = true;
    });
    client.on("end", () => {
      session.ended = true;
      this.#onEnd();
    });
    this.#session = session;
    try {
      await queryWithin(client, { text: `SET statement_timeout = ${Math.round(timeoutMs)}` }, timeoutMs);
      await checkDurability(client, database, timeoutMs);
      await checkSchema(client, ledger, origin, timeoutMs);
      await checkSealingKey(session, ledger, this.#options.sealer);
      await this.reloadHead();
      let isSame = true;
      while (!(await joinInstances(session, this.#instance, this.#head.seq + 1))) {
        this.#instance = this.#options.uuid();
        isSame = false;
      }
      if (this.#head.seq < 0) {
        await this.appendOwn({ type: "event", event: { name: "ledger-opened", kid: this.#signer.kid } });
      }
      return isSame;
    } catch (cause) {
      this.disconnect();
      throw cause;
    }
  }

  /** Ends the session at once. */
  disconnect(): void {
    if (this.#session) destroy(this.#session.client);
    this.#session = undefined;
  }

  /** Ends the session in good order. */
  async close(): Promise<void> {
    const { client, timeoutMs } = this.scope;
    this.#session = undefined;
    await endWithin(client, timeoutMs);
  }

  /** One round trip: alive, writable, durable. */
  async probe(): Promise<void> {
    await checkDurability(this.scope.client, this.#options.database, PROBE_TIMEOUT_MS);
    await this.#ensurePartitions();
  }

  /** Reads the head, follows key rotations of other processes, and sees to the partitions. */
  async reloadHead(): Promise<void> {
    const session = this.scope;
    const head = await readHead(session, this.#head);
    this.#trusted = await readCurrentKey(
      session,
      { afterSeq: this.#keysReadTo, trusted: this.#trusted },
      this.#options.verify,
    );
    const isExpected = () => this.#trusted.some((key) => key.kid === this.#signer.kid);
    if (!isExpected()) this.#signer = await this.#options.reloadSigner(this.#trusted);
    if (!isExpected()) {
      const expected = this.#trusted.map((key) => key.kid).join(" or ");
      throw new AppendError(
        "key_superseded",
        `ledger ${this.#options.ledger} expects key ${expected}, but the signing key file holds ${this.#signer.kid}`,
        "no",
      );
    }
    this.#keysReadTo = head.seq;
    this.#head = { seq: head.seq, leafHash: head.leafHash, timeMs: head.timeMs };
    await this.#ensurePartitions();
  }

  /** Inserts signed successors of the head. Throws if their fate is unknown or the database refuses them. */
  async insert(entries: readonly SignedEntry[]): Promise<InsertResult> {
    const session = this.scope;
    session.warned = false;
    // All in one go, and not each when it is signed: that costs half.
    const sealed = entries.map(({ sealing }) => this.#options.sealer.seal(sealing));
    let written: number;
    try {
      written = await insertBatch(
        session.client,
        this.#schema,
        this.#head,
        entries,
        sealed,
        this.#instance,
        session.timeoutMs,
      );
    } catch (cause) {
      if (!provesNoEffect(cause)) throw cause;
      if (cause.code === "23505") return whoseKey(cause);
      if (cause.code === "40001" || cause.code === "40P01") return "head_moved";
      throw cause;
    }
    if (written === 0) return "head_moved";
    if (session.warned) {
      throw new AppendError(
        "not_durable",
        "the database warned that the commit may not be replicated",
        "unknown",
      );
    }
    if (session.client.getTransactionStatus() !== "I" || written !== entries.length) {
      throw new AppendError("database_error", "the database did not prove the commit", "unknown");
    }
    markStored(sealed);
    for (const { draft } of entries)
      if (draft.body.type === "response") this.#options.sealer.closed(draft.body.txn);
    const last = entries.at(-1);
    if (last) this.#head = headOf(last);
    return "committed";
  }

  /** Appends an entry of the instance's own, in session set-up; throws on any doubt. */
  async appendOwn(body: EntryBody): Promise<void> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const entry = signEntry({ body, attachments: [] }, this.#head, this.context());
      if ((await this.insert([entry])) === "committed") return;
      await this.reloadHead();
    }
    throw new AppendError("overloaded", "other instances keep winning the race for the head", "no");
  }

  /** Notes that everything of this instance below `closedBelow` has its outcome; `ended`: that nothing more comes. */
  async mark(closedBelow: number, ended: boolean): Promise<void> {
    if (closedBelow === this.#markedBelow && !ended) return;
    const { client, timeoutMs } = this.scope;
    await queryWithin(
      client,
      {
        text: `INSERT INTO ${this.#schema}.instance_mark (id, closed_below, ended) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
        values: [this.#instance, closedBelow, ended],
      },
      timeoutMs,
    );
    this.#markedBelow = closedBelow;
  }

  async #ensurePartitions(): Promise<void> {
    if (this.#head.seq + 1 + this.#reserve < this.#partitionsTo) return;
    const { client, timeoutMs } = this.scope;
    const upTo = Math.max(this.#head.seq, 0) + this.#reserve;
    await queryWithin(
      client,
      { text: `SELECT ${this.#schema}.ensure_partitions($1)`, values: [upTo] },
      timeoutMs,
    );
    // Made: the partition of `upTo` and the next; look again when the head enters that one.
    this.#partitionsTo = (Math.floor(upTo / PARTITION_ENTRIES) + 1) * PARTITION_ENTRIES;
  }
}

/** Which race a violated primary key lost. An entry and its attachments come in one statement, so none is there before. */
function whoseKey({ table, constraint }: DatabaseError): InsertResult {
  if (table?.startsWith("attachment")) {
    throw new LedgerUnreadableError(
      `table ${table} holds rows beyond the newest entry: entries were removed; run scimseal verify, and restore the ledger`,
    );
  }
  return constraint === "outcome_pkey" ? "outcome_taken" : "head_moved";
}
