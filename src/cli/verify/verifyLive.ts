// `scimseal verify` on a ledger in its database: every entry, signature, link, attachment and row of the index, the
// whole tree, each stored tile, each published checkpoint, and checkpoints from outside the database: without one of
// those nobody can tell that the newest entries were cut off. One pass over the entries, constant memory.

import { fastVerify } from "../../keys/fastVerify.ts";
import { type ExpectedCheckpoint, TreeAudit } from "../../ledger/evidence/treeAudit.ts";
import { hashLeaf } from "../../ledger/hash.ts";
import type { StoredEntry } from "../../ledger/verify.ts";
import { nodeCodec, nodeSha256 } from "../../nodeCrypto.ts";
import { LedgerReader } from "../../storage/reader.ts";
import type { TreeStore } from "../../storage/tree/treeStore.ts";
import type { LedgerSource } from "../ledgerSource.ts";
import { PreparedRows } from "./preparedRows.ts";
import type { Progress } from "./progress.ts";
import type { SignatureThreads } from "./signatureThreads.ts";
import type { TreeReport } from "./verifyReport.ts";

const PAGE_ENTRIES = 2_000;
const PAGE_CHECKPOINTS = 500;
const TIMEOUT_MS = 120_000;

export interface LiveOptions {
  /** Checkpoints from outside the database. */
  outside: readonly ExpectedCheckpoint[];
  threads: SignatureThreads;
  progress: Progress;
}

/** Verifies the ledger of a source. Rejects if it cannot be read to the end. */
export async function verifyLive(source: LedgerSource, options: LiveOptions): Promise<TreeReport> {
  const { origin, pinned, tree } = source;
  const audit = new TreeAudit({ origin, pinned, verify: fastVerify, digest: nodeSha256 });
  // What is published while this runs is for the next time: it may be of entries that this pass does not see.
  const latest = await tree.latestCheckpoint();
  const published = readPublished(tree, latest?.id ?? 0);
  const expected = new ExpectedCheckpoints(audit, options.outside, published);
  const rows = new PreparedRows(options.threads, pinned);
  const reader = new AuditedReader(source, { audit, expected, rows, progress: options.progress });
  try {
    const { findings, ...report } = await reader.verify({
      origin,
      pinned,
      verify: rows.verify,
      ...nodeCodec,
    });
    await expected.end(!findings.some(({ code }) => code === "missing"));
    return {
      ...report,
      ok: findings.length + audit.findings.length === 0,
      findings: [...findings, ...audit.findings],
      root: Buffer.from(audit.root()).toString("base64"),
      checkpoints: audit.checkpoints,
      tiles: audit.tiles,
      comparedUpTo: expected.comparedUpTo,
    };
  } finally {
    options.progress.end();
    await reader.close();
  }
}

interface Audited {
  audit: TreeAudit;
  expected: ExpectedCheckpoints;
  rows: PreparedRows;
  progress: Progress;
}

/** A reader whose rows go through the tree on their way to the verifier of the entries. */
class AuditedReader extends LedgerReader {
  readonly #audited: Audited;
  readonly #tree: TreeStore;

  constructor({ name, address, tree, opener }: LedgerSource, audited: Audited) {
    super(name, address, { connections: 2, timeoutMs: TIMEOUT_MS, ...(opener && { opener }) });
    this.#audited = audited;
    this.#tree = tree;
  }

  override async *all(withAttachments: boolean): AsyncGenerator<StoredEntry> {
    const { audit, expected, rows, progress } = this.#audited;
    const total = await this.#tree.size();
    await expected.reach();
    for await (const row of rows.rows(this.#pages(withAttachments))) {
      yield row;
      // Here the verifier has taken the row; behind a gap there is no tree to speak of.
      if (row.seq !== audit.size) continue;
      for (const full of audit.append(hashLeaf(Buffer.from(row.leaf), nodeSha256))) {
        const { level, index } = full.tile;
        const [stored] = await this.#tree.storedTiles(level, index, 1);
        if (stored?.index === index) audit.compareTile(full, stored.bytes);
      }
      const next = rows.signer && audit.followSigned(row.leaf, rows.signer, row.type === "event");
      if (next) rows.expect(next);
      if (expected.isDue) await expected.reach();
      progress.show(audit.size, total, "entries");
    }
  }

  async *#pages(withAttachments: boolean): AsyncGenerator<readonly StoredEntry[]> {
    let after: number | undefined = -1;
    while (after !== undefined) {
      const page = await this.page(after, PAGE_ENTRIES, withAttachments);
      yield page.entries;
      after = page.next;
    }
  }
}

async function* readPublished(tree: TreeStore, lastId: number): AsyncGenerator<ExpectedCheckpoint> {
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

/** Checkpoints to compare, those from outside and the published ones, as the tree grows. */
class ExpectedCheckpoints {
  /** Size of the largest checkpoint from outside the database that agreed. */
  comparedUpTo: number | undefined;
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

  /** Whether the tree has reached the size of a checkpoint. */
  get isDue(): boolean {
    return this.#audit.size >= this.#dueAt;
  }

  /** Compares all that is due at the present size. */
  async reach(): Promise<void> {
    const audit = this.#audit;
    for (let [first] = this.#outside; first && first.size <= audit.size; [first] = this.#outside) {
      this.#outside.shift();
      if (audit.compare(first.checkpoint)) this.comparedUpTo = first.size;
    }
    if (this.#dueAt === 0) await this.#advance();
    while (this.#next && this.#next.size <= audit.size) {
      audit.compare(this.#next.checkpoint);
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
