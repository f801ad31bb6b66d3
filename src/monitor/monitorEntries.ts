// One entry after another through the ledger's verifier, with what the monitor adds: times that run backwards, gaps
// told as one finding, and the leaf hash that the tree is to be compared with. Used by the head and by the rolling
// pass alike, so that both judge the same.

import type { Entry } from "../ledger/entry.ts";
import { hashLeaf, type Sha256 } from "../ledger/hash.ts";
import type { LedgerVerifier, StoredEntry } from "../ledger/verify.ts";
import type { Finding } from "./alarm/alarm.ts";

/** Time that an entry may be before its predecessor: instances have clocks of their own. */
const CLOCK_TOLERANCE_MS = 5_000;
/** A longer gap is not counted through entry by entry: a planted seq could be anything. */
const MAX_GAP = 1_000_000;
const MAX_LOST = 1_000;

/** What was found about one row. */
export interface CheckedEntry {
  findings: Finding[];
  /** Only of an entry that a trusted key signed. */
  claims: Entry | undefined;
  leafHash: Uint8Array;
  /** No entry is missing between this one and the one before. */
  isNext: boolean;
}

export class EntryChecker {
  readonly verifier: LedgerVerifier;
  readonly #digest: Sha256;
  /** Stretches that are missing or unreadable: outcomes of requests in them are no further finding. */
  readonly #lost: { from: number; to: number }[] = [];
  #timeMs = 0;

  constructor(verifier: LedgerVerifier, digest: Sha256) {
    this.verifier = verifier;
    this.#digest = digest;
  }

  /** The next row in ascending order. Undefined for one so far off that nothing after it can be told. */
  check(row: StoredEntry): CheckedEntry | undefined {
    const { verifier } = this;
    if (row.seq - verifier.size > MAX_GAP) return undefined;
    const expected = verifier.size;
    const isNext = row.seq === expected;
    const claims = verifier.push(row);
    const findings = verifier.findings.length === 0 ? [] : this.#tell(verifier.findings.splice(0), claims);
    if ((!isNext || !claims) && this.#lost.length < MAX_LOST)
      this.#lost.push({ from: Math.min(expected, row.seq), to: claims ? row.seq - 1 : row.seq });
    const isColumnWrong = findings.some(({ code }) => code === "column_mismatch");
    if (claims) this.#checkTime(claims, findings);
    return {
      findings,
      claims,
      // If the leaf was altered the column may still be what the tree was made of: then only the entry is wrong.
      leafHash: isColumnWrong || !row.leafHash ? hashLeaf(Buffer.from(row.leaf), this.#digest) : row.leafHash,
      isNext,
    };
  }

  #tell(
    found: readonly { seq: number; code: string; detail: string }[],
    claims: Entry | undefined,
  ): Finding[] {
    const findings = joinGaps(found);
    if (claims?.type !== "response") return findings;
    const { requestSeq } = claims;
    const isLost = this.#lost.some(({ from, to }) => from <= requestSeq && requestSeq <= to);
    return isLost ? findings.filter(({ code }) => code !== "outcome_orphan") : findings;
  }

  #checkTime({ seq, time }: Entry, findings: Finding[]): void {
    const timeMs = Date.parse(time);
    const backMs = this.#timeMs - timeMs;
    if (backMs > CLOCK_TOLERANCE_MS) {
      const detail = `the entry says a time ${Math.round(backMs / 1000)} s before its predecessor's`;
      findings.push({ code: "clock_anomaly", seq, detail });
    }
    this.#timeMs = timeMs;
  }
}

function joinGaps(findings: readonly { seq: number; code: string; detail: string }[]): Finding[] {
  const missing = findings.filter(({ code }) => code === "missing");
  const others: Finding[] = findings.filter(({ code }) => code !== "missing");
  const [first] = missing;
  const last = missing.at(-1);
  if (!first || !last) return others;
  const detail =
    first === last ? first.detail : `entries ${first.seq} to ${last.seq} are not there (${missing.length})`;
  return [{ code: first.code, seq: first.seq, detail }, ...others];
}
