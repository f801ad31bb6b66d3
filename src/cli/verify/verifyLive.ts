// `scimseal verify` on a ledger in its database: every entry, signature, link, attachment and row of the index, the
// whole tree, each stored tile, each published checkpoint, and checkpoints from outside the database: without one of
// those nobody can tell that the newest entries were cut off. One pass over the entries, constant memory.

import { fastVerify } from "../../keys/fastVerify.ts";
import { type ExpectedCheckpoint, TreeAudit } from "../../ledger/evidence/treeAudit.ts";
import { HASH_BYTES } from "../../ledger/hash.ts";
import type { StoredEntry } from "../../ledger/verify.ts";
import { hashLeafText, nodeCodec, nodeSha256 } from "../../nodeCrypto.ts";
import { LedgerReader } from "../../storage/reader.ts";
import type { TreeStore } from "../../storage/tree/treeStore.ts";
import type { LedgerSource } from "../ledgerSource.ts";
import { compareTiles, ExpectedCheckpoints, readPublished } from "./expectedCheckpoints.ts";
import { PreparedRows } from "./preparedRows.ts";
import type { Progress } from "./progress.ts";
import type { SignatureThreads } from "./signatureThreads.ts";
import type { TreeReport } from "./verifyReport.ts";

const PAGE_ENTRIES = 2_000;
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
      ok: findings.length + audit.findings.length + audit.notCompared.length === 0,
      findings: [...findings, ...audit.findings],
      root: Buffer.from(audit.root()).toString("base64"),
      checkpoints: audit.checkpoints,
      tiles: audit.tiles,
      comparedUpTo: expected.comparedUpTo,
      notCompared: audit.notCompared,
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
    const hash = Buffer.alloc(HASH_BYTES);
    await expected.reach();
    for await (const row of rows.rows(this.#pages(withAttachments))) {
      yield row;
      // Here the verifier has taken the row; behind a gap there is no tree to speak of.
      if (row.seq !== audit.size) continue;
      hashLeafText(row.leaf, hash);
      const filled = audit.append(hash);
      if (filled.length > 0) await compareTiles(this.#tree, audit, filled);
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
