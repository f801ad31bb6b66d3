// The promise of the whole product as a type. A `Recorded<D>` exists only after the transaction that holds the entry
// was proved committed: the writer alone can make one (the brand is not exported), `forward` takes nothing but a
// recorded request and `reply` nothing but a recorded response. Failing open is a compile error.

import type { EntryBody } from "../../ledger/entry.ts";
import type { SealSpan, SealSubject } from "../../ledger/sealing.ts";

/** Bytes to be committed to and stored beside the leaf. */
export interface DraftAttachment {
  name: string;
  mediaType: string;
  bytes: Uint8Array;
  redacted?: readonly string[];
  /** Stretches about one operation of a Bulk each, in order, apart; the rest is about the transaction. */
  spans?: readonly SealSpan[];
}

/** An entry as its author hands it to the writer. */
export interface Draft<Body extends EntryBody = EntryBody> {
  body: Body;
  attachments: readonly DraftAttachment[];
  /** The account that the attachments are about, and whose key seals them; absent: nobody's, or not known yet. */
  subject?: SealSubject;
  /** A Bulk's subjects by operation. */
  operations?: readonly (SealSubject | undefined)[];
}

export type RequestDraft = Draft<Extract<EntryBody, { type: "request" }>> & {
  /** The exact received bytes: what the digest in the entry is about and what will be forwarded. */
  wire: Buffer;
};
export type ResponseDraft = Draft<Extract<EntryBody, { type: "response" }>>;

declare const brand: unique symbol;

/** Proof that the draft was committed, durably, as entry `seq`. */
export type Recorded<D extends Draft> = Readonly<{ draft: D; seq: number; id: string; [brand]: true }>;

/** For the writer only: the one place where the brand is put on. */
export function markRecorded<D extends Draft>(draft: D, seq: number, id: string): Recorded<D> {
  return { draft, seq, id } as Recorded<D>;
}
