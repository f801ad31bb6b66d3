// What can be wrong with an evidence pack. Findings are values, all are collected, up to a limit: a hostile pack must
// not fill the memory with them. Pure.

import type { FindingCode } from "../verify.ts";

export type PackFindingCode =
  | FindingCode
  | "checkpoint_untrusted"
  | "consistency_invalid"
  | "earlier_mismatch"
  | "earlier_not_compared"
  | "not_witnessed"
  | "pack_malformed"
  | "proof_invalid"
  | "proof_missing"
  | "statement_mismatch";

/** Something that is not as it must be; `seq` where it belongs to an entry. */
export interface PackFinding {
  readonly seq?: number;
  readonly code: PackFindingCode;
  readonly detail: string;
}

const MAX_FINDINGS = 1_000;

export class PackFindings {
  readonly list: PackFinding[] = [];
  /** How many more there were. */
  leftOut = 0;

  get count(): number {
    return this.list.length + this.leftOut;
  }

  /** About the pack as a whole. */
  add(code: PackFindingCode, detail: string): void {
    this.#push({ code, detail });
  }

  /** About an entry; gives the finding back. */
  addAt(seq: number, code: PackFindingCode, detail: string): PackFinding {
    const finding = { seq, code, detail };
    this.#push(finding);
    return finding;
  }

  #push(finding: PackFinding): void {
    if (this.list.length < MAX_FINDINGS) this.list.push(finding);
    else this.leftOut++;
  }
}
