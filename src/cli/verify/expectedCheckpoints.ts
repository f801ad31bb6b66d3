// What a ledger in its database is held against while its tree grows: its stored tiles, the published checkpoints, and those
// from outside the database, without which nobody can tell that the newest entries were cut off.

import type { ExpectedCheckpoint, TreeAudit } from "../../ledger/evidence/treeAudit.ts";
import type { FilledTile } from "../../ledger/tree/tile.ts";
import type { TreeStore } from "../../storage/tree/treeStore.ts";

const PAGE_CHECKPOINTS = 500;

/** Checkpoints to compare, those from outside and the published ones, as the tree grows. */
export class ExpectedCheckpoints {
  /** Size of the largest checkpoint from outside the database that agreed. */
  comparedUpTo: number | undefined;
  /** Size of the largest one that agreed, from wherever; 0: none did. */
  agreedUpTo = 0;
  readonly #audit: TreeAudit;
  readonly #published: AsyncGenerator<ExpectedCheckpoint>;
  readonly #outside: { size: number; checkpoint: ExpectedCheckpoint }[];
  /** The published one that is next; undefined when there are no more. */
  #next: { size: number; checkpoint: ExpectedCheckpoint } | undefined;
  #dueAt = 0;

  constructor(
    audit: TreeAudit,
    outside: readonly ExpectedCheckpoint[],
    published: AsyncGenerator<ExpectedCheckpoint>,
  ) {
    this.#audit = audit;
    this.#published = published;
    this.#outside = outside
      .flatMap((checkpoint) => {
        const size = audit.readSize(checkpoint);
        return size === undefined ? [] : [{ size, checkpoint }];
      })
      .sort((a, b) => a.size - b.size);
  }

  /** Size of the largest one from outside that can be read; 0: there is none. */
  get largestOutside(): number {
    return this.#outside.at(-1)?.size ?? 0;
  }

  /** Whether the tree has reached the size of a checkpoint. */
  get isDue(): boolean {
    return this.#audit.size >= this.#dueAt;
  }

  /** Compares all that is due at the present size. */
  async reach(): Promise<void> {
    const audit = this.#audit;
    for (let [first] = this.#outside; first && first.size <= audit.size; [first] = this.#outside) {
      this.#outside.shift();
      if (this.#compare(first.checkpoint)) this.comparedUpTo = first.size;
    }
    if (this.#dueAt === 0) await this.#advance();
    while (this.#next && this.#next.size <= audit.size) {
      this.#compare(this.#next.checkpoint);
      await this.#advance();
    }
    this.#dueAt = Math.min(
      this.#next?.size ?? Number.POSITIVE_INFINITY,
      this.#outside[0]?.size ?? Number.POSITIVE_INFINITY,
    );
  }

  /** Names what was never reached. Behind a gap that says nothing: the gap is the finding. */
  async end(isWhole: boolean): Promise<void> {
    await this.reach();
    if (!isWhole) return;
    for (const { size, checkpoint } of this.#outside) this.#audit.findAhead(checkpoint, size);
    // One is enough: those after it are larger.
    if (this.#next) this.#audit.findAhead(this.#next.checkpoint, this.#next.size);
    await this.#published.return(undefined);
  }

  #compare(checkpoint: ExpectedCheckpoint): boolean {
    const agrees = this.#audit.compare(checkpoint);
    if (agrees) this.agreedUpTo = this.#audit.size;
    return agrees;
  }

  async #advance(): Promise<void> {
    this.#next = undefined;
    for (;;) {
      const { done, value } = await this.#published.next();
      if (done === true) return;
      const size = this.#audit.readSize(value);
      if (size === undefined) continue;
      this.#next = { size, checkpoint: value };
      return;
    }
  }
}

/** The published checkpoints up to this one, oldest first. */
export async function* readPublished(tree: TreeStore, lastId: number): AsyncGenerator<ExpectedCheckpoint> {
  let after = 0;
  for (;;) {
    const page = await tree.checkpointsById(after, PAGE_CHECKPOINTS);
    for (const { id, size, root, note } of page) {
      if (id > lastId) return;
      yield { name: `published checkpoint ${id}`, note, size, root };
      after = id;
    }
    if (page.length < PAGE_CHECKPOINTS) return;
  }
}

/** Holds the stored ones of these tiles against what follows from the entries. */
export async function compareTiles(
  tree: TreeStore,
  audit: TreeAudit,
  filled: readonly FilledTile[],
): Promise<void> {
  for (const full of filled) {
    const { level, index } = full.tile;
    const [stored] = await tree.storedTiles(level, index, 1);
    if (stored?.index === index) audit.compareTile(full, stored.bytes);
  }
}
