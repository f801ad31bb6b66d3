// Fetches what the verification of an entry needs beside the entry itself.

import { ApiError, getJson } from "../api/client.ts";
import type { InclusionAnswer, ShownEntry } from "../api/types.ts";
import type { EntryEvidence } from "./verifyEntry.ts";

/** Where an entry is in the API. */
export function entryPath(ledger: string, seq: number): string {
  return `/audit/v1/ledgers/${encodeURIComponent(ledger)}/entries/${seq}`;
}

/** @throws {ApiError} also when no checkpoint covers the entry yet: one does a second later */
export async function gatherEvidence(ledger: string, entry: ShownEntry): Promise<EntryEvidence> {
  const [proof, previous, rotations] = await Promise.all([
    getJson<InclusionAnswer>(`${entryPath(ledger, entry.seq)}/proof`),
    entry.seq === 0 ? undefined : getJson<{ entry: ShownEntry }>(entryPath(ledger, entry.seq - 1)),
    gatherRotations(ledger),
  ]);
  return { entry, proof, previousLeaf: previous?.entry.leaf, rotations };
}

async function gatherRotations(ledger: string): Promise<readonly { leaf: string }[]> {
  try {
    const query = { ledger, filter: 'event eq "key-rotated"', order: "oldest", limit: 1000 };
    return (await getJson<{ entries: readonly { leaf: string }[] }>("/audit/v1/entries", query)).entries;
  } catch (cause) {
    // Without them a pinned key vouches for itself only: a verdict may be worse for it, never better.
    if (cause instanceof ApiError && cause.status === 400) return [];
    throw cause;
  }
}
