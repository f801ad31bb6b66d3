// How far the ledger reached when it was last found not to continue its anchors: a small file of the data directory. An
// alarm about an anchor that somebody took note of is known only as long as the ledger goes on from there; a further cut
// is news. The hash of the newest entry stands for all before it, since each links to the one before. Losing the file,
// or a crash before the alarm is in the ledger, costs a second alarm, never a missed one.

import { readFile, rm } from "node:fs/promises";
import { decodeBase64, encodeBase64 } from "../../ledger/base64.ts";
import { equalBytes, HASH_BYTES } from "../../ledger/hash.ts";
import { systemCode, writeDurably } from "../../storage/embedded/file.ts";
import { TreeIncompleteError, type TreeStore } from "../../storage/tree/treeStore.ts";

interface Mark {
  /** Entries of the ledger at the last look. */
  size: number;
  /** Leaf hash of the newest of them; empty if there were none, or it could not be read. */
  hash: Uint8Array;
  /** Entries of the ledger when it was told as news. */
  since: number;
  /** Its alarm is in the ledger. Until then a restart tells again. */
  isTold: boolean;
}

export class AnchorMark {
  readonly #file: string;
  readonly #tree: Pick<TreeStore, "size" | "leafHashes">;
  #mark: Mark | undefined;
  #isRead = false;
  /** The file says what is known here. Not after a write that failed, as on a full disk. */
  #isSaved = true;
  /** This process made the mark, so it told, too. */
  #isOwn = false;
  /** One write at a time. */
  #work: Promise<unknown> = Promise.resolve();

  constructor(file: string, tree: Pick<TreeStore, "size" | "leafHashes">) {
    this.#file = file;
    this.#tree = tree;
  }

  /** Entries that the ledger had when the finding was told that it goes on from; undefined before the first. */
  get since(): number | undefined {
    return this.#mark?.since;
  }

  /** Whether the ledger does not go on from where it stood when this was told. Keeps how far it reaches now. */
  isNews(): Promise<boolean> {
    return this.#inTurn(async () => {
      const mark = await this.#read();
      const size = await this.#tree.size();
      const hash = await this.#hashAt(size);
      const isKnown =
        mark !== undefined &&
        (mark.isTold || this.#isOwn) &&
        hash !== undefined &&
        (await this.#goesOn(mark, size));
      if (isKnown) {
        if (size > mark.size) await this.#write({ ...mark, size, hash });
        return false;
      }
      this.#isOwn = true;
      await this.#write({ size, hash: hash ?? new Uint8Array(), since: size, isTold: false });
      return true;
    });
  }

  /**
   * Keeps how far the ledger reaches by now, if it goes on from the mark. To be called often, and when the process ends:
   * what was written after the last call and is cut off while nobody looks is no news.
   */
  follow(): Promise<void> {
    return this.#inTurn(async () => {
      const mark = await this.#read();
      if (!mark || !(mark.isTold || this.#isOwn)) return;
      const size = await this.#tree.size();
      if (size <= mark.size) {
        if (!this.#isSaved) await this.#write(mark);
        return;
      }
      const hash = await this.#hashAt(size);
      if (hash && (await this.#goesOn(mark, size))) await this.#write({ ...mark, size, hash });
    });
  }

  /** An alarm about it is in the ledger. One of before this process began says nothing about its mark. */
  told(): Promise<void> {
    return this.#inTurn(async () => {
      const mark = this.#isOwn ? this.#mark : undefined;
      if (mark && !mark.isTold) await this.#write({ ...mark, isTold: true });
    });
  }

  /** The ledger continues every anchor: whatever is found from now on is news. */
  clear(): Promise<void> {
    return this.#inTurn(async () => {
      if (!(await this.#read())) return;
      await rm(this.#file, { force: true });
      this.#mark = undefined;
      this.#isOwn = false;
    });
  }

  /** Resolves when everything asked for so far is done. */
  async settled(): Promise<void> {
    await this.#work;
  }

  async #goesOn(mark: Mark, size: number): Promise<boolean> {
    if (size < mark.size) return false;
    const hash = await this.#hashAt(mark.size);
    return hash !== undefined && equalBytes(hash, mark.hash);
  }

  /** Leaf hash of the newest of so many entries; undefined if that is not there. */
  async #hashAt(size: number): Promise<Uint8Array | undefined> {
    if (size === 0) return new Uint8Array();
    try {
      return await this.#tree.leafHashes(size - 1, size);
    } catch (cause) {
      if (cause instanceof TreeIncompleteError) return undefined;
      throw cause;
    }
  }

  async #read(): Promise<Mark | undefined> {
    if (!this.#isRead) this.#mark = await readMark(this.#file);
    this.#isRead = true;
    return this.#mark;
  }

  async #write(mark: Mark): Promise<void> {
    this.#mark = mark;
    this.#isSaved = false;
    await writeDurably(this.#file, `${JSON.stringify({ ...mark, hash: encodeBase64(mark.hash) })}\n`);
    this.#isSaved = true;
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#work.then(work);
    this.#work = done.then(
      () => {},
      () => {}, // The caller gets it.
    );
    return done;
  }
}

/** A file that is not there or of no such format is none. */
async function readMark(file: string): Promise<Mark | undefined> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(file, "utf8"));
  } catch (cause) {
    if (cause instanceof SyntaxError || systemCode(cause) === "ENOENT") return undefined;
    throw cause;
  }
  if (typeof value !== "object" || value === null) return undefined;
  // Each member is narrowed below.
  const { size, hash, since, isTold } = value as Record<string, unknown>;
  const bytes = typeof hash === "string" ? decodeBase64(hash) : undefined;
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0 || !bytes) return undefined;
  if (bytes.length !== 0 && bytes.length !== HASH_BYTES) return undefined;
  // Of a file that does not say, nothing follows.
  const told = typeof since === "number" && Number.isSafeInteger(since) ? since : Number.MAX_SAFE_INTEGER;
  return { size, hash: bytes, since: told, isTold: isTold === true };
}
