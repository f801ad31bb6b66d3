// The index thread, seen from the main thread: one thread for all ledgers, in which their indexes are made. Reading
// names out of bodies and making tokens of them takes processor time that no request should wait for. Unlike the
// watch it is no part of the promise: if the thread dies of a fault, what is recorded stays recorded, and it is begun
// again; until then searches say that they cover less.

import { Worker } from "node:worker_threads";
import { type IndexerPosition, NOTHING_INDEXED } from "./indexer/indexer.ts";
import type { DatabaseAddress } from "./storage/postgres.ts";
import type { WriterLog } from "./storage/writer/writer.ts";

/** Plain data; holds connection strings, so never to be logged. */
export interface IndexSettings {
  ledger: string;
  origin: string;
  /** As the writer's role: it alone may write the index. */
  writer: DatabaseAddress;
  reader: DatabaseAddress;
  sealingKeyFile: string;
  tokenKeyFile: string;
  /** How ids of each connector stand in the leaves; a connector that is not here has personal ones. */
  connectors: Readonly<Record<string, "opaque" | "personal">>;
  /** Of one core, 0 to 1. */
  coreShare: number;
}

export type ToIndex = { kind: "stop" };

export type FromIndex =
  | { kind: "position"; ledger: string; position: IndexerPosition }
  | { kind: "log"; level: keyof WriterLog; fields: object; message: string };

export interface IndexThreadOptions {
  ledgers: readonly IndexSettings[];
  log: WriterLog;
}

const RESTART_MS = 5_000;

export class IndexThread {
  readonly #options: IndexThreadOptions;
  readonly #positions = new Map<string, IndexerPosition>();
  #worker: Worker | undefined;
  #restart: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(options: IndexThreadOptions) {
    this.#options = options;
  }

  /** How far a ledger's index reaches, as far as the thread has told. */
  positionOf(ledger: string): IndexerPosition {
    return this.#positions.get(ledger) ?? NOTHING_INDEXED;
  }

  /** Begins; returns at once: nothing waits for the index. A key file that cannot be used shows in `positionOf`. */
  start(): void {
    const { ledgers, log } = this.#options;
    const worker = new Worker(new URL("./indexThreadMain.ts", import.meta.url), { workerData: ledgers });
    this.#worker = worker;
    worker.on("message", (message: FromIndex) => {
      if (message.kind === "position") this.#positions.set(message.ledger, message.position);
      else log[message.level](message.fields, message.message);
    });
    worker.on("error", (cause) => {
      log.error(
        { error: cause instanceof Error ? cause.name : "error" },
        "the index thread failed; it is begun again",
      );
    });
    worker.once("exit", () => {
      if (this.#worker === worker) this.#worker = undefined;
      if (this.#isStopped) return;
      for (const { ledger } of ledgers) {
        this.#positions.set(ledger, { ...this.positionOf(ledger), state: "failing", error: "thread_ended" });
      }
      this.#restart = setTimeout(() => this.start(), RESTART_MS);
    });
  }

  /** Ends the thread after the batches under way. Idempotent. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#restart);
    const worker = this.#worker;
    if (!worker) return;
    this.#worker = undefined;
    const ended = new Promise((resolve) => worker.once("exit", resolve));
    worker.postMessage({ kind: "stop" } satisfies ToIndex);
    await ended;
  }
}
