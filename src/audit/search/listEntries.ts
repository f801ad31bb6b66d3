// Pages of a ledger's entries: all of them in order, straight from the ledger; or those of the transactions that fit a
// filter, with events, found by the index. Each carries its exact leaf either way.

import { z } from "zod";
import type { StoredEntry } from "../../ledger/verify.ts";
import { describeRow } from "../../storage/reader.ts";
import { maySee } from "../access.ts";
import { entriesAnswer } from "../answers.ts";
import type { NamedLedger } from "../context.ts";
import { connectorOf } from "../entries.ts";
import { auditorOperation, type Operation } from "../http/operation.ts";
import { include, integer, NO_PARAMETERS } from "../http/parameter.ts";
import { Problem } from "../http/problem.ts";
import { claimsOf } from "../storedLeaf.ts";
import {
  cursor,
  formatCursor,
  openSearch,
  parseCursor,
  SEARCH_PARAMETERS,
  SEARCH_PROBLEMS,
} from "./request.ts";

const listEntries = auditorOperation(
  {
    method: "get",
    path: "/audit/v1/entries",
    id: "listEntries",
    tag: "Entries",
    summary: "Pages of a ledger's entries, in order, or those that fit a filter",
    description:
      "A filter finds transactions, as in /audit/v1/transactions, and shows their entries; `seq` and `type` (request, response, refusal, event) are an entry's own. Events have time, type, event and auditor.",
    scope: "connectors",
    params: NO_PARAMETERS,
    query: z.strictObject({
      ...SEARCH_PARAMETERS,
      order: z.enum(["newest", "oldest"]).describe("Which comes first.").default("oldest"),
      after: integer("Entries after this seq, in order=oldest; -1: from the first on.", -1).optional(),
      limit: integer("Entries in the page.", 1, 1000).default(100),
      cursor,
      include,
    }),
    answer: entriesAnswer,
    problems: SEARCH_PROBLEMS,
  },
  async ({ context, auditor, query }) => {
    const { order, limit, after } = query;
    if (after !== undefined && (order === "newest" || query.cursor !== undefined))
      throw new Problem(
        "invalid_parameter",
        "after: goes with neither order=newest nor a cursor; give one of them",
      );
    const place = query.cursor === undefined ? after : parseCursor(query.cursor, order);
    const { ledger, search, note } = openSearch(context, auditor, query, "entries");
    const withAttachments = query.include === "attachments";
    const covers = await ledger.search.covers();
    const isSearch =
      search.query !== undefined || search.text !== undefined || search.connectors !== undefined;
    let rows: StoredEntry[];
    let next: number | undefined;
    if (isSearch) {
      const found = await ledger.search.entries(search, { order, limit, after: place });
      // The index is not signed; the leaf is, and says whose entry it is.
      rows = (await readAt(ledger, found.seqs, withAttachments)).filter((row) =>
        maySee(auditor, connectorOf(claimsOf(row))),
      );
      if (order === "newest") rows.reverse();
      next = found.next;
    } else if (order === "oldest") {
      ({ entries: rows, next } = await ledger.reader.page(place ?? -1, limit, withAttachments));
    } else {
      // Without a filter no seq is left out, so the newest are the last of so many.
      const end = Math.min(place ?? covers.size, covers.size);
      const begin = Math.max(0, end - limit);
      rows = (await ledger.reader.page(begin - 1, end - begin, withAttachments)).entries.reverse();
      next = begin > 0 ? begin : undefined;
    }
    note(withAttachments ? "bodies" : "entries", rows);
    // Whoever asks as ever, by `after`, is answered as ever.
    const isPlain = !isSearch && order === "oldest" && query.cursor === undefined;
    return {
      kind: "json",
      body: {
        ledger: ledger.name,
        covers: isSearch ? covers : { ...covers, to: covers.size },
        entries: rows.map(showListed),
        next: next === undefined ? null : isPlain ? next : formatCursor(order, next),
      },
    };
  },
);

/** A few entries that nobody asked for are cheaper than another question. */
const MAX_GAP = 4;
const READ_AT_ONCE = 4;

/** The entries of these seqs, ascending; one that is not there is left out. */
async function readAt(
  { reader }: NamedLedger,
  seqs: readonly number[],
  withAttachments: boolean,
): Promise<StoredEntry[]> {
  const wanted = new Set(seqs);
  const runs: { from: number; to: number }[] = [];
  for (const seq of [...seqs].sort((a, b) => a - b)) {
    const last = runs.at(-1);
    // Attachments may be large: none is read in vain.
    if (last && seq - last.to <= (withAttachments ? 1 : MAX_GAP)) last.to = seq;
    else runs.push({ from: seq, to: seq });
  }
  const rows: StoredEntry[] = [];
  for (let first = 0; first < runs.length; first += READ_AT_ONCE) {
    const pages = await Promise.all(
      runs
        .slice(first, first + READ_AT_ONCE)
        .map(({ from, to }) => reader.page(from - 1, to - from + 1, withAttachments)),
    );
    for (const { entries } of pages) rows.push(...entries.filter(({ seq }) => wanted.has(seq)));
  }
  return rows;
}

function showListed(row: StoredEntry): z.input<typeof entriesAnswer>["entries"][number] {
  const { leafHash, claims, intact } = describeRow(row);
  return {
    seq: row.seq,
    leaf: row.leaf,
    leafHash,
    intact,
    ...(claims && { entry: { ...claims } }),
    ...(row.attachments && {
      attachments: row.attachments.map(({ name, salt, content, sealed }) => ({
        name,
        salt: Buffer.from(salt).toString("base64url"),
        content: Buffer.from(content).toString("base64"),
        ...(sealed && { sealed: sealed.detail }),
      })),
    }),
  };
}

export const listOperations: readonly Operation[] = [listEntries];
