// Ed25519 on several cores: threads that check batches of signatures for the verifying commands. A verdict is that of
// `fastVerify`, wherever it is made. Threads are started when there is enough to do, and a small batch is checked here.

import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { fastVerify } from "../../keys/fastVerify.ts";
import type { SignatureJob } from "../../ledger/evidence/packBody.ts";
import { formatJobs } from "./signatureThreadMain.ts";

/** Batches below this are checked where they are: a message to a thread costs as much as a few signatures. */
const SMALL_BATCH = 32;

/** One thread, with what it owes. */
interface Thread {
  worker: Worker;
  waiting: { resolve(verdicts: Uint8Array): void; reject(cause: unknown): void }[];
}

export class SignatureThreads {
  readonly #count: number;
  readonly #threads: Thread[] = [];

  /** So many threads; 0: none. Default: one a core, at most eight. */
  constructor(count: number = Math.min(8, availableParallelism())) {
    this.#count = count;
  }

  /** A `VerifyBatch`. Rejects if a thread died: then there is no verdict. */
  readonly verifyBatch = async (jobs: readonly SignatureJob[]): Promise<readonly boolean[]> => {
    if (this.#count === 0 || jobs.length < SMALL_BATCH)
      return jobs.map(({ publicKey, message, signature }) => fastVerify(publicKey, message, signature));
    if (this.#threads.length === 0) for (let i = 0; i < this.#count; i++) this.#threads.push(startThread());
    const share = Math.ceil(jobs.length / this.#threads.length);
    const shares = await Promise.all(
      this.#threads.map((thread, i) => ask(thread, jobs.slice(i * share, (i + 1) * share))),
    );
    return shares.flatMap((verdicts) => Array.from(verdicts, (verdict) => verdict === 1));
  };

  /** Ends the threads; what was asked before and not awaited gets no answer. */
  async close(): Promise<void> {
    await Promise.all(this.#threads.splice(0).map(({ worker }) => worker.terminate()));
  }
}

function startThread(): Thread {
  const worker = new Worker(new URL("./signatureThreadMain.ts", import.meta.url));
  const thread: Thread = { worker, waiting: [] };
  // A command that is done ends without waiting for its threads.
  worker.unref();
  worker.on("message", (verdicts: Uint8Array) => thread.waiting.shift()?.resolve(verdicts));
  const fail = (cause: unknown): void => {
    for (const { reject } of thread.waiting.splice(0))
      reject(new Error("a thread that checks signatures ended", { cause }));
  };
  worker.on("error", fail);
  worker.on("exit", fail);
  return thread;
}

async function ask({ worker, waiting }: Thread, jobs: readonly SignatureJob[]): Promise<Uint8Array> {
  if (jobs.length === 0) return new Uint8Array(0);
  const packed = formatJobs(jobs);
  // Referenced while it owes something, so that the process does not end in between.
  worker.ref();
  try {
    return await new Promise((resolve, reject) => {
      waiting.push({ resolve, reject });
      worker.postMessage(packed, [packed.buffer]);
    });
  } finally {
    if (waiting.length === 0) worker.unref();
  }
}
