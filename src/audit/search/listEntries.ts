// Pages of a ledger's entries: all of them in order, straight from the ledger; or those of the transactions that fit a
// filter, with events, found by the index. Each carries its exact leaf either way.

import { z } from "zod";
import type { StoredEntry } from "../../ledger/verify.ts";
import { describeRow } from "../../storage/reader.ts";
import type { Order, Search, Stretch } from "../../storage/search/searchReader.ts";
import { maySee } from "../access.ts";
import { entriesAnswer } from "../answers.ts";
import type { Auditor, NamedLedger } from "../context.ts";
import { heavyReading } from "../desk/turns.ts";
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
      "A filter finds transactions, as in /audit/v1/transactions, and shows their entries; `seq` and `type` (request, response, refusal, event) are an entry's own. Events have time, type, event and auditor. A page with attachments ends early, with `next`, where they are about 8 MiB.",
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
    const read = async (): Promise<ListedPage> => {
      const page = isSearch
        ? await findPage(ledger, auditor, search, { order, limit, after: place })
        : await readPage(ledger, order, place, limit, covers.size);
      return withAttachments ? addAttachments(ledger, order, page) : page;
    };
    const { rows, next, cut } = withAttachments
      ? await heavyReading.run(context, auditor, read)
      : await read();
    note(withAttachments ? "bodies" : "entries", rows);
    // Whoever asks as ever, by `after`, is answered as ever.
    const isPlain = !isSearch && order === "oldest" && query.cursor === undefined;
    return {
      kind: "json",
      body: {
        ledger: ledger.name,
        covers: isSearch ? covers : { ...covers, to: covers.size },
        entries: rows.map((row) => showListed(row, cut)),
        next: next === undefined ? null : isPlain ? next : formatCursor(order, next),
      },
    };
  },
);

/** In the order that was asked for. */
interface ListedPage {
  rows: StoredEntry[];
  /** The last seq shown, or passed over; undefined at the end. */
  next: number | undefined;
  /** Entries that the index has not all names of; undefined where it was not asked. */
  cut: ReadonlySet<number> | undefined;
}

/** The entries that fit a search, without attachments. */
async function findPage(
  ledger: NamedLedger,
  auditor: Auditor,
  search: Search,
  stretch: Stretch,
): Promise<ListedPage> {
  const found = await ledger.search.entries(search, stretch);
  // The index is not signed; the leaf is, and says whose entry it is.
  const rows = (await readAt(ledger, found.seqs, false)).filter((row) =>
    maySee(auditor, connectorOf(claimsOf(row))),
  );
  return { rows: stretch.order === "newest" ? rows.reverse() : rows, next: found.next, cut: found.cut };
}

/** Entries as they lie in the ledger, without attachments. */
async function readPage(
  { reader }: NamedLedger,
  order: Order,
  place: number | undefined,
  limit: number,
  size: number,
): Promise<ListedPage> {
  if (order === "oldest") {
    const { entries, next } = await reader.page(place ?? -1, limit, false);
    return { rows: entries, next, cut: undefined };
  }
  // Without a filter no seq is left out, so the newest are the last of so many.
  const end = Math.min(place ?? size, size);
  const begin = Math.max(0, end - limit);
  const { entries } = await reader.page(begin - 1, end - begin, false);
  return { rows: entries.reverse(), next: begin > 0 ? begin : undefined, cut: undefined };
}

/** Attachments in a page, as the leaves tell their sizes; one entry's may be more. */
const PAGE_BYTES = 8 * 1024 * 1024;

/** The page with its attachments, ended early where they would be too many bytes. */
async function addAttachments(
  ledger: NamedLedger,
  order: Order,
  { rows: found, next, cut }: ListedPage,
): Promise<ListedPage> {
  const fitting = found.slice(0, countFitting(found));
  const seqs = fitting.map(({ seq }) => seq);
  const rows = await readAt(ledger, seqs, true);
  return {
    rows: order === "newest" ? rows.reverse() : rows,
    next: fitting.length < found.length ? seqs.at(-1) : next,
    cut,
  };
}

function countFitting(rows: readonly StoredEntry[]): number {
  let bytes = 0;
  for (const [index, row] of rows.entries()) {
    for (const { size } of claimsOf(row)?.attachments ?? []) bytes += size;
    if (bytes > PAGE_BYTES && index > 0) return index;
  }
  return rows.length;
}

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

function showListed(
  row: StoredEntry,
  cut: ReadonlySet<number> | undefined,
): z.input<typeof entriesAnswer>["entries"][number] {
  const { leafHash, claims, intact } = describeRow(row);
  return {
    seq: row.seq,
    leaf: row.leaf,
    leafHash,
    intact,
    ...(cut && { isCut: cut.has(row.seq) }),
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
