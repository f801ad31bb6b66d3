// Rows of a ledger with their signatures checked ahead, page by page on several cores, for a verifier that asks for one
// verdict after another. A verdict is only given for exactly the key it was made with; for any other the signature is
// checked on the spot. Which key a row will need is guessed from its header; a wrong guess costs time, not truth.

import { fastVerify } from "../../keys/fastVerify.ts";
import { equalBytes } from "../../ledger/hash.ts";
import type { PublicKey } from "../../ledger/key.ts";
import { formatHeader, type VerifySignature } from "../../ledger/leaf.ts";
import { fromBase64url } from "../../nodeCrypto.ts";
import type { SignatureThreads } from "./signatureThreads.ts";

/** Pages whose signatures are checked ahead of the one that is given. */
const PAGES_AHEAD = 2;

interface Verdict {
  publicKey: Uint8Array;
  isGood: boolean;
}

export class PreparedRows {
  readonly #threads: SignatureThreads;
  /** By the protected header, as it stands in a leaf. */
  readonly #keys = new Map<string, PublicKey>();
  #verdict: Verdict | undefined;
  #signer: PublicKey | undefined;

  constructor(threads: SignatureThreads, pinned: readonly PublicKey[]) {
    this.#threads = threads;
    for (const key of pinned) this.expect(key);
  }

  /** A key that rows may be signed by from now on. */
  expect(key: PublicKey): void {
    this.#keys.set(formatHeader(key.kid), key);
  }

  /** The key that the row given last was verified with; undefined if it was not. */
  get signer(): PublicKey | undefined {
    return this.#signer;
  }

  /** The verifier's function: only for the row that `rows` gave last. */
  readonly verify: VerifySignature = (publicKey, message, signature) => {
    const ahead = this.#verdict;
    const isGood =
      ahead && equalBytes(ahead.publicKey, publicKey)
        ? ahead.isGood
        : fastVerify(publicKey, message, signature);
    this.#signer = isGood
      ? [...this.#keys.values()].find(({ bytes }) => equalBytes(bytes, publicKey))
      : undefined;
    return isGood;
  };

  /** The rows of the pages; two pages are checked while the one before them is given, so that no thread waits for it. */
  async *rows<Row extends { leaf: string }>(pages: AsyncIterable<readonly Row[]>): AsyncGenerator<Row> {
    const held: Promise<{ page: readonly Row[]; verdicts: (Verdict | undefined)[] }>[] = [];
    for await (const page of pages) {
      const next = this.#prepare(page);
      // Awaited below; a rejection until then must not count as one that nobody handles.
      next.catch(() => {});
      held.push(next);
      const [first] = held.length > PAGES_AHEAD ? held.splice(0, 1) : [];
      if (first) yield* this.#give(await first);
    }
    for (const rest of held) yield* this.#give(await rest);
  }

  *#give<Row>({
    page,
    verdicts,
  }: {
    page: readonly Row[];
    verdicts: (Verdict | undefined)[];
  }): Generator<Row> {
    for (const [i, row] of page.entries()) {
      this.#verdict = verdicts[i];
      this.#signer = undefined;
      yield row;
    }
    this.#verdict = undefined;
  }

  async #prepare<Row extends { leaf: string }>(page: readonly Row[]) {
    const jobs = page.map(({ leaf }) => {
      const key = this.#keys.get(leaf.slice(0, leaf.indexOf(".")));
      const dot = leaf.lastIndexOf(".");
      const signature = key && fromBase64url(leaf.slice(dot + 1));
      return (
        key && signature && { publicKey: key.bytes, message: Buffer.from(leaf.slice(0, dot)), signature }
      );
    });
    const answers = await this.#threads.verifyBatch(jobs.flatMap((job) => job ?? []));
    let at = 0;
    const verdicts = jobs.map((job) => job && { publicKey: job.publicKey, isGood: answers[at++] === true });
    return { page, verdicts };
  }
}
