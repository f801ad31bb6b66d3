// The entries that a ledger got since the last look, for tests of many writes: reading the whole ledger after each one
// would cost more than the writes.

import { parseLeaf } from "../../src/ledger/leaf.ts";
import { LedgerReader } from "../../src/storage/reader.ts";
import { openerOf, type RecordedEntry, type System } from "../support/system.ts";

export interface LedgerNews {
  /** Entries appended since the last call, oldest first, with attachments. */
  next(): Promise<RecordedEntry[]>;
  close(): Promise<void>;
}

/** Starts after what is there now. */
export async function openNews(system: Pick<System, "superuserUrl" | "dataDir">): Promise<LedgerNews> {
  const address = { connectionString: system.superuserUrl, requireSync: [] };
  const reader = new LedgerReader("main", address, {
    connections: 1,
    timeoutMs: 30_000,
    opener: openerOf(system.dataDir),
  });
  let after = -1;
  const next = async () => {
    const found: RecordedEntry[] = [];
    for (;;) {
      const page = await reader.page(after, 500, true);
      for (const row of page.entries) {
        const parsed = parseLeaf(row.leaf);
        if (typeof parsed === "string") throw new Error(`entry ${row.seq}: ${parsed}`);
        const facts = row.attachments?.find(({ name }) => name === "facts");
        const text = facts && Buffer.from(facts.content).toString("utf8");
        found.push({
          row,
          claims: parsed.claims,
          facts: text === undefined ? undefined : (JSON.parse(text) as Record<string, unknown>),
        });
        after = row.seq;
      }
      if (page.next === undefined) return found;
    }
  };
  await next();
  return { next, close: () => reader.close() };
}
