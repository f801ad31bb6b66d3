// A ledger's writer on a thread of its own, seen from the requests' side. Signing and the conversation with the
// database take about half of what a write costs; here they run beside the HTTP work, so that neither waits for the
// other, and each ledger has its own. The promise is the writer's: an append resolves only after the thread said that
// its commit was proved. If the thread dies of a fault the process dies with it: a proxy without a record must not live.

import { setFlagsFromString } from "node:v8";
import { Worker } from "node:worker_threads";
import type { WriterSettings } from "./ledgerWriter.ts";
import { AppendError } from "./storage/appendError.ts";
import { type Draft, markRecorded, type Recorded } from "./storage/recorded.ts";
import type { WriterLog, WriterObserver, WriterStatus } from "./storage/writer.ts";

/** Heap that a thread may fill before its old objects are looked through: by default that happened four times a second. */
const OLD_SPACE_MB = 64;

/** One append on its way to the thread; its attachments' bytes lie in the message's one buffer. */
export interface AppendMessage {
  id: number;
  body: Draft["body"];
  attachments: { name: string; mediaType: string; redacted?: readonly string[]; at: number; size: number }[];
}

/** `appends` is the JSON of AppendMessage[]: there and back that takes 4.2 µs an append, the structured clone 6.4. */
export type ToThread = { kind: "append"; appends: string; bytes: ArrayBuffer } | { kind: "stop" };

export type Settled =
  | { id: number; seq: number; entryId: string }
  | { id: number; code: AppendError["code"]; message: string; durable: AppendError["durable"] };

export interface ThreadState {
  status: WriterStatus;
  size: number;
  openTransactions: number;
}

export type FromThread =
  | { kind: "started" }
  | { kind: "not_started"; name: string; message: string }
  | { kind: "settled"; settled: Settled[] }
  | { kind: "state"; state: ThreadState }
  | { kind: "batch"; entries: number; durationMs: number }
  | { kind: "log"; level: keyof WriterLog; fields: object; message: string };

interface Waiting {
  draft: Draft;
  resolve(recorded: Recorded<Draft>): void;
  reject(error: AppendError): void;
}

export class LedgerThread {
  readonly #settings: WriterSettings;
  readonly #log: WriterLog;
  readonly #observer: WriterObserver;
  readonly #waiting = new Map<number, Waiting>();
  #outbox: Draft[] = [];
  #outboxFrom = 1;
  #nextId = 1;
  #worker: Worker | undefined;
  #stopping = false;
  #state: ThreadState = {
    status: { ready: false, code: "database_unreachable", detail: "not started" },
    size: 0,
    openTransactions: 0,
  };

  constructor(settings: WriterSettings, log: WriterLog, observer: WriterObserver) {
    this.#settings = settings;
    this.#log = log;
    this.#observer = observer;
  }

  get status(): WriterStatus {
    return this.#state.status;
  }

  get size(): number {
    return this.#state.size;
  }

  get openTransactions(): number {
    return this.#state.openTransactions;
  }

  /** Starts the thread and its writer; throws what the writer throws when it cannot take up writing. */
  async start(): Promise<void> {
    setFlagsFromString(`--initial-old-space-size=${OLD_SPACE_MB}`);
    const worker = new Worker(new URL("./ledgerThreadMain.ts", import.meta.url), {
      workerData: this.#settings,
      // Entries live from their signing to their commit: a small nursery would copy most of them once more.
      resourceLimits: { maxYoungGenerationSizeMb: 48 },
    });
    await new Promise<void>((resolve, reject) => {
      worker.once("error", reject);
      worker.on("message", (message: FromThread) => {
        if (message.kind === "started") resolve();
        else if (message.kind === "not_started") {
          reject(Object.assign(new Error(message.message), { name: message.name }));
        } else this.#receive(message);
      });
      // From here on nobody listens for `error`: a fault in the thread ends the process.
    }).finally(() => worker.removeAllListeners("error"));
    this.#worker = worker;
  }

  /** See LedgerWriter.append. */
  append<D extends Draft>(draft: D): Promise<Recorded<D>> {
    if (this.#stopping || !this.#worker) {
      return Promise.reject(new AppendError("stopped", "the ledger is closing", "no"));
    }
    return new Promise<Recorded<D>>((resolve, reject) => {
      // The draft is handed back as it was given; the thread sees a copy of what it needs.
      this.#waiting.set(this.#nextId++, { draft, resolve: resolve as Waiting["resolve"], reject });
      // All that arrives in one turn of the event loop goes over in one message.
      if (this.#outbox.push(draft) === 1) setImmediate(() => this.#send());
    });
  }

  /** See LedgerWriter.stop. */
  async stop(): Promise<void> {
    const worker = this.#worker;
    if (!worker) return;
    this.#send();
    this.#stopping = true;
    const ended = new Promise((resolve) => worker.once("exit", resolve));
    this.#post(worker, { kind: "stop" });
    await ended;
    this.#worker = undefined;
    this.#state = { ...this.#state, status: { ready: false, code: "stopped", detail: "stopped" } };
  }

  #send(): void {
    const drafts = this.#outbox;
    if (drafts.length === 0 || !this.#worker) return;
    this.#outbox = [];
    const firstId = this.#outboxFrom;
    this.#outboxFrom += drafts.length;
    let size = 0;
    for (const { attachments } of drafts) for (const { bytes } of attachments) size += bytes.length;
    // One buffer of exactly this size: cloning a view would copy the whole buffer that it looks into.
    const packed = new Uint8Array(size);
    let at = 0;
    const appends: AppendMessage[] = drafts.map(({ body, attachments }, index) => ({
      id: firstId + index,
      body,
      attachments: attachments.map(({ name, mediaType, redacted, bytes }) => {
        packed.set(bytes, at);
        at += bytes.length;
        return {
          name,
          mediaType,
          ...(redacted ? { redacted } : {}),
          at: at - bytes.length,
          size: bytes.length,
        };
      }),
    }));
    this.#post(this.#worker, { kind: "append", appends: JSON.stringify(appends), bytes: packed.buffer }, [
      packed.buffer,
    ]);
  }

  #post(worker: Worker, message: ToThread, transfer: ArrayBuffer[] = []): void {
    worker.postMessage(message, transfer);
  }

  #receive(message: FromThread): void {
    switch (message.kind) {
      case "settled":
        for (const settled of message.settled) this.#settle(settled);
        return;
      case "state":
        this.#state = message.state;
        return;
      case "batch":
        this.#observer.batchCommitted(message.entries, message.durationMs);
        return;
      case "log":
        this.#log[message.level](message.fields, message.message);
    }
  }

  #settle(settled: Settled): void {
    const waiting = this.#waiting.get(settled.id);
    if (!waiting) return;
    this.#waiting.delete(settled.id);
    if ("seq" in settled) waiting.resolve(markRecorded(waiting.draft, settled.seq, settled.entryId));
    else waiting.reject(new AppendError(settled.code, settled.message, settled.durable));
  }
}
