// Begins a verification in the middle of a ledger without reading all that lies before. The verifier is fed only the
// entries that its state hangs on: key rotations, requests whose outcome is still to come, and the last entry before
// the place; the findings about what was left out are dropped. So nothing that was remembered about the place needs to
// be trusted: from the pinned key on, everything that counts is verified again.

import { LedgerVerifier, type VerifierOptions } from "../ledger/verify.ts";
import { type EntryReader, readEntry } from "../storage/reader.ts";

/** A place in a ledger: before entry `next`. */
export interface Place {
  next: number;
  /** seq of every key rotation before it. */
  rotations: readonly number[];
  /** seq of the requests before it that have no outcome there; left out: not known. */
  open?: readonly number[];
}

/** A verifier that goes on at the place; undefined if the entries there are not what it must stand on. */
export async function placeVerifier(
  reader: EntryReader,
  options: VerifierOptions,
  { next, rotations, open }: Place,
): Promise<LedgerVerifier | undefined> {
  const verifier = new LedgerVerifier(options);
  if (next === 0) return verifier;
  const fed = new Set([...rotations, ...(open ?? []), next - 1]);
  let isTrusted = false;
  for (const seq of [...fed].filter((each) => each < next).sort((a, b) => a - b)) {
    const row = await readEntry(reader, seq);
    if (!row) return undefined;
    verifier.skipTo(seq);
    isTrusted = verifier.push(row) !== undefined;
    verifier.findings.length = 0;
  }
  if (!isTrusted || verifier.size !== next) return undefined;
  if (open === undefined) return verifier;
  const isOpen = new Set(verifier.open.values());
  return isOpen.size === open.length && open.every((seq) => isOpen.has(seq)) ? verifier : undefined;
}
