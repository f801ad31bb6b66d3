// What every page knows: who is signed in, which ledgers he may read, which one is looked at, and how it stands.

import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { LedgerStatus, Session } from "../api/types.ts";
import type { Fetched } from "../api/useApi.ts";

/** The desk of whoever is signed in. */
export interface Desk {
  readonly session: Session;
  /** Every ledger he may read, as it stands now; undefined: not known yet. */
  readonly status: Fetched<{ readonly ledgers: readonly LedgerStatus[] }>;
  /** The ledger that is looked at; undefined: there is none, or it is not known yet. */
  readonly ledger: LedgerStatus | undefined;
  /** May see names, bodies and searches. */
  readonly canRead: boolean;
  /** May acknowledge. */
  readonly canAct: boolean;
}

export const DeskContext = createContext<Desk | undefined>(undefined);

/** @throws {Error} outside of the shell, which is a mistake of this program */
export function useDesk(): Desk {
  const desk = useContext(DeskContext);
  if (!desk) throw new Error("no desk around this part");
  return desk;
}
