/**
 * Seals the attachments of an entry together, under the data key of the account that it is about; a Bulk's operations each
 * under their own. Together, because a cipher object costs more than what it enciphers, and a row more than its bytes; for
 * the same reason data keys are made and wrapped by the block.
 *
 * The write path never reads the database: an account gets a data key when this process first meets it, so that one account
 * may have several (one for each run, after the cache let go of it, and where a commit was proved late). A create is sealed
 * under a fresh key, which becomes the account's when the answer names it. Whoever holds the database and not the sealing
 * key learns sizes, times, and which parts share a key. Salts are sealed too: with a clear one, names could be tried
 * against commitments.
 */
import { createCipheriv, createSecretKey, type KeyObject } from "node:crypto";
import {
  BLOCK_ID_BYTES,
  formatKeyPlace,
  KEY_ID_BYTES,
  KEY_PLACE_BYTES,
  NONCE_BYTES,
  PART_BYTES,
  SEAL_HEAD_BYTES,
  SEAL_VERSION,
  sealedEntry,
  sealedPlace,
  TAG_BYTES,
} from "../ledger/sealedAttachment.ts";
import type {
  AccountKeyRow,
  AttachmentSealer,
  KeyBlockRow,
  SealedEntry,
  SealingTask,
  SealSubject,
} from "../ledger/sealing.ts";
import { RecentMap } from "../recentMap.ts";
import { accountType } from "../scim/resource.ts";
import { createMac, type Mac } from "./hmac.ts";
import { DATA_KEY_BYTES, type SealingKey } from "./sealingKey.ts";

interface DataKey {
  readonly block: KeyBlockRow;
  /** Where it stands: its block's id, its slot. */
  readonly place: Uint8Array;
  readonly id: Uint8Array;
  readonly bytes: Uint8Array;
  /** A key object: with bare bytes each cipher takes ten times as long to make. */
  readonly secret: KeyObject;
}

/**
 * What is remembered of an account. While its key or its row may not be in the ledger, both; afterwards the key, its place
 * and its id as one text: objects outside of the engine's heap by the ten thousand would be looked at by each of its collections
 * of garbage, which made a tenth of what a write costs.
 */
type Held = { readonly key: DataKey; readonly row: AccountKeyRow | undefined } | string;

/** The key of a transaction or of one operation, and whom it is for as far as is known. */
interface Owner {
  readonly key: DataKey;
  readonly type: string;
  account: string | undefined;
  /** That the key is the account's; undefined: the ledger has that already. */
  row: AccountKeyRow | undefined;
}

interface Scope {
  readonly main: Owner;
  readonly operations: Map<number, Owner>;
  readonly subjects: readonly (SealSubject | undefined)[];
  readonly accounts: Set<AccountKeyRow>;
}

/** A stretch of an entry's bytes under one key; `end` is exclusive. */
interface Part {
  readonly key: DataKey;
  readonly start: number;
  end: number;
}

/** Data keys of a block: enough that a key costs next to no row and no cipher of its own. */
const BLOCK_KEYS = 16;
/** Accounts of which the key object is kept too: those that change again and again within seconds. */
const HOT_ACCOUNTS = 256;
/** Accounts whose key is remembered, at least; of further ones those that were met lately. */
const ACCOUNTS = 25_000;
/** Transactions under way: more than any limit on writes in flight. Those of long ago will never have an outcome of ours. */
const OPEN = 20_000;
const DIGEST_BYTES = 16;
const CIPHER = "aes-256-gcm";
const OPTIONS = { authTagLength: TAG_BYTES };
const NO_BYTES = new Uint8Array(0);
const NOTHING: SealedEntry = { blocks: [], accounts: [] };

/** The data key that is no secret: the ledger's mark, and what stands where a key was taken out of its block. */
export const KNOWN_KEY = new Uint8Array(DATA_KEY_BYTES);

/** A data key's id, which commits to it: no two keys have the same, so that a part opens under one key only. */
export function dataKeyId(dataKey: Uint8Array): Buffer {
  return Buffer.from(createMac(dataKey)("scimseal data key", "binary"), "latin1");
}

/** A sealer for one writer of a ledger. `randomBytes` must be a system's. */
export function createAttachmentSealer(
  sealingKey: SealingKey,
  origin: string,
  randomBytes: (size: number) => Uint8Array,
): AttachmentSealer {
  return new Sealer(sealingKey, origin, randomBytes);
}

class Sealer implements AttachmentSealer {
  readonly #sealingKey: SealingKey;
  readonly #accountMac: Mac;
  readonly #origin: string;
  readonly #randomBytes: (size: number) => Uint8Array;
  /** Account → its key. The names stay in memory. */
  readonly #accounts = new RecentMap<string, Held>(ACCOUNTS);
  readonly #spare: DataKey[] = [];
  readonly #hot = new RecentMap<string, DataKey>(HOT_ACCOUNTS);
  readonly #open = new RecentMap<string, Scope>(OPEN);

  constructor(sealingKey: SealingKey, origin: string, randomBytes: (size: number) => Uint8Array) {
    this.#sealingKey = sealingKey;
    this.#accountMac = createMac(sealingKey.derive("account"));
    this.#origin = origin;
    this.#randomBytes = randomBytes;
  }

  seal(task: SealingTask): SealedEntry {
    const { entryId, connector = "", attachments } = task;
    if (attachments.length === 0) return NOTHING;
    const scope = this.#scopeOf(task);
    const parts = this.#partsOf(scope, connector, attachments);
    const named = attachments.map(({ name, content }) => ({ name, size: content.length }));
    const content = this.#sealParts(sealedEntry(this.#origin, entryId, named), join(attachments), parts);
    const blocks = new Set(parts.map(({ key }) => key.block));
    return { content, blocks: [...blocks], accounts: [...scope.accounts] };
  }

  closed(txn: string): void {
    const scope = this.#open.get(txn);
    if (!scope) return;
    this.#open.delete(txn);
    for (const { key, account, row } of [scope.main, ...scope.operations.values()]) {
      if (account === undefined || !key.block.isStored || row?.isStored === false) continue;
      this.#accounts.set(account, formatKey(key));
      this.#hot.set(account, key);
    }
  }

  mark(): { id: Uint8Array; wrapped: Uint8Array } {
    const id = dataKeyId(KNOWN_KEY);
    return { id, wrapped: this.#sealingKey.wrap(KNOWN_KEY, id) };
  }

  assertOpens({ id, wrapped }: { id: Uint8Array; wrapped: Uint8Array }): void {
    this.#sealingKey.unwrap(wrapped, id);
  }

  #scopeOf(task: SealingTask): Scope {
    const { type, txn, connector = "", subject, operations } = task;
    const known = txn === undefined ? undefined : this.#open.get(txn);
    const scope = known ?? this.#newScope(connector, subject, operations ?? []);
    if (!known && type === "request" && txn !== undefined) this.#open.set(txn, scope);
    if (known && type === "response") {
      if (subject?.resourceId !== undefined) this.#bind(scope, scope.main, connector, subject.resourceId);
      for (const [index, owner] of scope.operations) {
        const id = operations?.[index]?.resourceId;
        if (id !== undefined) this.#bind(scope, owner, connector, id);
      }
    }
    return scope;
  }

  #newScope(
    connector: string,
    subject: SealSubject | undefined,
    subjects: readonly (SealSubject | undefined)[],
  ): Scope {
    const accounts = new Set<AccountKeyRow>();
    const main = this.#ownerFor(connector, subject, accounts);
    return { main, operations: new Map(), subjects, accounts };
  }

  #ownerFor(connector: string, subject: SealSubject | undefined, accounts: Set<AccountKeyRow>): Owner {
    const { resourceType = "", resourceId } = subject ?? {};
    if (resourceId === undefined)
      return { key: this.#newKey(), type: resourceType, account: undefined, row: undefined };
    const account = nameOf(connector, resourceType, resourceId);
    const { key, row } = this.#heldFor(account);
    if (row?.isStored === false) accounts.add(row);
    return { key, type: resourceType, account, row };
  }

  #heldFor(account: string): Exclude<Held, string> {
    const known = this.#accounts.get(account);
    if (known !== undefined && typeof known !== "string") return known;
    // Whoever else asks for it while this transaction is under way gets the same object: parts under one key are joined.
    const held =
      known === undefined
        ? this.#keyFor(account)
        : { key: this.#hot.get(account) ?? parseKey(known), row: undefined };
    this.#accounts.set(account, held);
    return held;
  }

  #keyFor(account: string): Exclude<Held, string> {
    const key = this.#newKey();
    return { key, row: this.#accountRow(account, key) };
  }

  /**
   * The answer says whose key it was, where the request did not: a key has one account, whatever a target answers. It is
   * remembered once the ledger has it; a change before that gets another key.
   */
  #bind(scope: Scope, owner: Owner, connector: string, id: string): void {
    if (owner.account !== undefined) return;
    owner.account = nameOf(connector, owner.type, id);
    owner.row = this.#accountRow(owner.account, owner.key);
    scope.accounts.add(owner.row);
  }

  #ownerOf(scope: Scope, connector: string, operation: number, hops = 0): Owner {
    const known = scope.operations.get(operation);
    if (known) return known;
    const subject = scope.subjects[operation];
    // Not said whose it is: the transaction's.
    if (!subject) return scope.main;
    const { sameAs } = subject;
    const owner =
      subject.resourceId === undefined && sameAs !== undefined && sameAs !== operation && hops < 4
        ? this.#ownerOf(scope, connector, sameAs, hops + 1)
        : this.#ownerFor(connector, subject, scope.accounts);
    scope.operations.set(operation, owner);
    return owner;
  }

  /** Whose bytes are where, without a gap: what is nobody's, and the salts, are the transaction's. */
  #partsOf(scope: Scope, connector: string, attachments: SealingTask["attachments"]): Part[] {
    const parts: Part[] = [];
    let at = 0;
    const upTo = (end: number, key: DataKey) => {
      const last = parts.at(-1);
      if (last?.key === key) last.end = end;
      else if (end > at) parts.push({ key, start: at, end });
      at = end;
    };
    let begin = 0;
    for (const { salt, content, spans = [] } of attachments) {
      begin += salt.length;
      for (const { start, end, operation } of spans) {
        if (begin + start < at || end <= start || end > content.length) continue;
        const { key } = this.#ownerOf(scope, connector, operation);
        upTo(begin + start, scope.main.key);
        upTo(begin + end, key);
      }
      begin += content.length;
      upTo(begin, scope.main.key);
    }
    return parts;
  }

  #sealParts(entry: string, plain: Uint8Array, parts: readonly Part[]): Uint8Array {
    const out = Buffer.allocUnsafe(SEAL_HEAD_BYTES + parts.length * PART_BYTES + plain.length);
    out[0] = SEAL_VERSION;
    let at = out.writeUInt32BE(parts.length, 1);
    for (const [i, { key, start, end }] of parts.entries()) {
      const nonce = this.#randomBytes(NONCE_BYTES);
      at = put(out, key.place, at);
      at = put(out, key.id, at);
      at = put(out, nonce, at);
      at = out.writeUInt32BE(end - start, at);
      const cipher = createCipheriv(CIPHER, key.secret, nonce, OPTIONS);
      cipher.setAAD(Buffer.from(sealedPlace(entry, i, parts.length)));
      at = put(out, cipher.update(plain.subarray(start, end)), at);
      cipher.final();
      at = put(out, cipher.getAuthTag(), at);
    }
    return out;
  }

  #newKey(): DataKey {
    for (;;) {
      const spare = this.#spare.pop();
      if (spare) return spare;
      this.#spare.push(...this.#makeBlock());
    }
  }

  #makeBlock(): DataKey[] {
    // Memory of their own: slices would keep the whole pools alive that they are parts of.
    const joined = new Uint8Array(this.#randomBytes(BLOCK_KEYS * DATA_KEY_BYTES));
    const id = new Uint8Array(this.#randomBytes(BLOCK_ID_BYTES));
    const block = { id, wrapped: new Uint8Array(this.#sealingKey.wrap(joined, id)), isStored: false };
    return Array.from({ length: BLOCK_KEYS }, (_, slot) => {
      const bytes = joined.subarray(slot * DATA_KEY_BYTES, (slot + 1) * DATA_KEY_BYTES);
      const place = formatKeyPlace(id, slot);
      return { block, place, id: dataKeyId(bytes), bytes, secret: createSecretKey(bytes) };
    });
  }

  #accountRow(account: string, key: DataKey): AccountKeyRow {
    const digest = this.#accountMac(account, "binary").slice(0, DIGEST_BYTES);
    return { account: Buffer.from(digest, "latin1"), key: key.place, isStored: false };
  }
}

/** A key that the ledger has, as text: its place, its id and its bytes. */
function formatKey({ place, id, bytes }: DataKey): string {
  return Buffer.concat([place, id, bytes]).toString("latin1");
}

function parseKey(text: string): DataKey {
  const all = Buffer.from(text, "latin1");
  const block = { id: all.subarray(0, BLOCK_ID_BYTES), wrapped: NO_BYTES, isStored: true };
  const bytes = all.subarray(KEY_PLACE_BYTES + KEY_ID_BYTES);
  return {
    block,
    place: all.subarray(0, KEY_PLACE_BYTES),
    id: all.subarray(KEY_PLACE_BYTES, KEY_PLACE_BYTES + KEY_ID_BYTES),
    bytes,
    secret: createSecretKey(bytes),
  };
}

/** The NULs keep the parts apart. */
function nameOf(connector: string, type: string, id: string): string {
  return `${connector}\0${accountType(type)}\0${id}`;
}

/** Salts and contents as one. */
function join(attachments: SealingTask["attachments"]): Uint8Array {
  let size = 0;
  for (const { salt, content } of attachments) size += salt.length + content.length;
  const joined = Buffer.allocUnsafe(size);
  let at = 0;
  for (const { salt, content } of attachments) at = put(joined, content, put(joined, salt, at));
  return joined;
}

function put(out: Buffer, bytes: Uint8Array, at: number): number {
  out.set(bytes, at);
  return at + bytes.length;
}
