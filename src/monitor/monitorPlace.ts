// Begins a verification in the middle of a ledger without reading all that lies before. The verifier is fed only the
// entries that its state hangs on: key rotations, requests whose outcome is still to come, and the last entry before
// the place; the findings about what was left out are dropped. So nothing that was remembered about the place needs to
// be trusted: from the pinned key on, everything that counts is verified again.

import { LedgerVerifier, type StoredEntry, type VerifierOptions } from "../ledger/verify.ts";
import type { Page } from "../storage/reader.ts";

/** Reads entries; a LedgerReader. */
export interface EntryReader {
  page(after: number, limit: number, withAttachments: boolean): Promise<Page>;
}

/** A place in a ledger: before entry `next`. */
export interface Place {
  next: number;
  /** seq of every key rotation before it. */
  rotations: readonly number[];
  /** seq of the requests before it that have no outcome there; left out: not known. */
  open?: readonly number[];
}

/** The longest stretch left out at once: the verifier makes a finding for each entry of it. */
const STRIDE = 50_000;
/** How far an entry that is no request is looked for: more are never under way at one time. */
const MAX_LOOKED_AT = 1_000;

/** A verifier that goes on at the place; undefined if the entries there are not what it must stand on. */
export async function placeVerifier(
  reader: EntryReader,
  options: VerifierOptions,
  { next, rotations, open }: Place,
): Promise<LedgerVerifier | undefined> {
  const verifier = new LedgerVerifier(options);
  if (next === 0) return verifier;
  const fed = new Set([...rotations, ...(open ?? []), next - 1]);
  for (let at = STRIDE; at < next - 1; at += STRIDE) fed.add(await findStep(reader, at));
  let isTrusted = false;
  for (const seq of [...fed].filter((each) => each < next).sort((a, b) => a - b)) {
    const row = await readEntry(reader, seq);
    if (!row) return undefined;
    isTrusted = verifier.push(row) !== undefined;
    verifier.findings.length = 0;
  }
  if (!isTrusted || verifier.size !== next) return undefined;
  if (open === undefined) return verifier;
  const isOpen = new Set(verifier.open.values());
  return isOpen.size === open.length && open.every((seq) => isOpen.has(seq)) ? verifier : undefined;
}

/** The first entry from here on that is no request: fed without its outcome, a request would count as open. */
async function findStep(reader: EntryReader, from: number): Promise<number> {
  const { entries } = await reader.page(from - 1, MAX_LOOKED_AT, false);
  return entries.find(({ type }) => type !== "request")?.seq ?? from;
}

/** The row of exactly this seq. */
export async function readEntry(reader: EntryReader, seq: number): Promise<StoredEntry | undefined> {
  const { entries } = await reader.page(seq - 1, 1, false);
  return entries[0]?.seq === seq ? entries[0] : undefined;
}
