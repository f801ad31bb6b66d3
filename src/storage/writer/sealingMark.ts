// Whether this instance's sealing key is the ledger's. With another key file than until now, what is recorded would be split
// between two keys, and nobody would notice; so it is looked at in every new session, before anything is appended.
// Two things tell: what was recorded last, and the ledger's mark (docs/FORMAT.md, "Sealed at rest"), a row that can be
// there once only and that the first instance writes. If we crash in here, it is there or is not, and the next session
// does the rest.

import type { QueryResultRow } from "pg";
import { type AttachmentSealer, readNewestKeys } from "../attachmentSealer.ts";
import { queryWithin } from "../postgres.ts";
import { LedgerUnreadableError, type SessionScope } from "./session.ts";

type KeyRow = Parameters<AttachmentSealer["assertOpens"]>[0];

/** Writes the mark if there is none. @throws {LedgerUnreadableError} if the ledger has another sealing key */
export async function checkSealingKey(
  { client, schema, timeoutMs }: SessionScope,
  ledger: string,
  sealer: AttachmentSealer,
): Promise<void> {
  const ask = async <Row extends QueryResultRow>(text: string, values: unknown[]) =>
    (await queryWithin<Row>(client, { text, values }, timeoutMs)).rows;
  const own = sealer.mark();
  const readMark = async (): Promise<KeyRow | undefined> => {
    const rows = await ask<{ id: Buffer; wrapped: Buffer }>(
      `SELECT id, wrapped FROM ${schema}.data_key WHERE id = $1`,
      [own.id],
    );
    return rows[0];
  };
  // A ledger that has only the mark may have a million attachments of before sealing, to be looked through for nothing.
  const [used] = await ask(`SELECT 1 FROM ${schema}.data_key WHERE id <> $1 LIMIT 1`, [own.id]);
  const newest = used && (await readNewestKeys((text, values) => ask<never>(text, values), schema));
  if (newest) {
    assertOpens(sealer, newest, (why) => {
      const what = `the sealing key file cannot open what was recorded last (${why})`;
      return `ledger ${ledger}: ${what}; put the ledger's own key file back`;
    });
  }
  let mark = await readMark();
  if (!mark) {
    // Another instance may be about to do the same: whoever is first says which key it is.
    await ask(`INSERT INTO ${schema}.data_key (id, wrapped) VALUES ($1, $2) ON CONFLICT DO NOTHING`, [
      own.id,
      own.wrapped,
    ]);
    mark = await readMark();
  }
  if (!mark) return;
  assertOpens(sealer, mark, (why) => {
    const what = `the sealing key file is not the one that the ledger was opened with (${why})`;
    return `ledger ${ledger}: ${what}; put the ledger's own key file there`;
  });
}

function assertOpens(sealer: AttachmentSealer, row: KeyRow, say: (why: string) => string): void {
  try {
    sealer.assertOpens(row);
  } catch (cause) {
    throw new LedgerUnreadableError(say(cause instanceof Error ? cause.message : "unreadable"), { cause });
  }
}
