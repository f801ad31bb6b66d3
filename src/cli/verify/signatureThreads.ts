// Ed25519 on several cores: threads that check batches of signatures for the verifying commands. A verdict is that of
// `fastVerify`, wherever it is made. Threads are started when there is enough to do, and a small batch is checked here.

import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { fastVerify } from "../../keys/fastVerify.ts";
import type { SignatureJob } from "../../ledger/evidence/packBody.ts";
import { formatJobs } from "./signatureThreadMain.ts";

/** Batches below this are checked where they are: a message to a thread costs as much as a few signatures. */
const SMALL_BATCH = 32;
/** Signatures a message. The thread that has a core for itself gets more of them than one that shares its. */
const CHUNK = 128;
/** Chunks that a thread is given at a time: one to work on, and one so that it never waits for the next. */
const CHUNKS_A_THREAD = 2;

/** A part of a batch. */
interface Chunk {
  packed: Uint8Array<ArrayBuffer>;
  resolve(verdicts: Uint8Array): void;
  reject(cause: unknown): void;
}

/** One thread, with what it owes. */
interface Thread {
  worker: Worker;
  owed: Chunk[];
}

export class SignatureThreads {
  readonly #count: number;
  readonly #threads: Thread[] = [];
  /** What no thread was given yet. */
  readonly #queue: Chunk[] = [];

  /** So many threads; 0: none. Default: one a core, at most eight. */
  constructor(count: number = Math.min(8, availableParallelism())) {
    this.#count = count;
  }

  /** A `VerifyBatch`. Rejects if a thread died: then there is no verdict. */
  readonly verifyBatch = async (jobs: readonly SignatureJob[]): Promise<readonly boolean[]> => {
    if (this.#count === 0 || jobs.length < SMALL_BATCH)
      return jobs.map(({ publicKey, message, signature }) => fastVerify(publicKey, message, signature));
    if (this.#threads.length === 0) for (let i = 0; i < this.#count; i++) this.#start();
    const chunks: Promise<Uint8Array>[] = [];
    for (let at = 0; at < jobs.length; at += CHUNK) chunks.push(this.#ask(jobs.slice(at, at + CHUNK)));
    const verdicts = await Promise.all(chunks);
    return verdicts.flatMap((some) => Array.from(some, (verdict) => verdict === 1));
  };

  /** Ends the threads; what was asked before and not awaited gets no answer. */
  async close(): Promise<void> {
    await Promise.all(this.#threads.splice(0).map(({ worker }) => worker.terminate()));
  }

  #start(): void {
    const worker = new Worker(new URL("./signatureThreadMain.ts", import.meta.url));
    const thread: Thread = { worker, owed: [] };
    this.#threads.push(thread);
    // A command that is done ends without waiting for its threads.
    worker.unref();
    worker.on("message", (verdicts: Uint8Array) => {
      thread.owed.shift()?.resolve(verdicts);
      this.#give();
      if (thread.owed.length === 0) worker.unref();
    });
    const fail = (cause: unknown): void => {
      // The others are of no use: a batch of which one part is missing has no verdicts.
      for (const { reject } of [...thread.owed.splice(0), ...this.#queue.splice(0)])
        reject(new Error("a thread that checks signatures ended", { cause }));
      const at = this.#threads.indexOf(thread);
      if (at >= 0) this.#threads.splice(at, 1);
    };
    worker.on("error", fail);
    worker.on("exit", fail);
  }

  #ask(jobs: readonly SignatureJob[]): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ packed: formatJobs(jobs), resolve, reject });
      this.#give();
    });
  }

  /** Hands out what waits, to whoever owes least. */
  #give(): void {
    for (;;) {
      const [idlest] = [...this.#threads].sort((a, b) => a.owed.length - b.owed.length);
      if (idlest === undefined || idlest.owed.length >= CHUNKS_A_THREAD) return;
      const chunk = this.#queue.shift();
      if (chunk === undefined) return;
      idlest.owed.push(chunk);
      // Referenced while it owes something, so that the process does not end in between.
      idlest.worker.ref();
      idlest.worker.postMessage(chunk.packed, [chunk.packed.buffer]);
    }
  }
}
