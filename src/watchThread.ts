// The watch thread, seen from the main thread: one thread for all ledgers, in which everything that watches them runs.
// Verifying a ledger takes processor time that no request should wait for. What must stand in a ledger is written here,
// by its writer. If the thread dies of a fault the process dies with it: a ledger that nobody watches must not go on.

import { Worker } from "node:worker_threads";
import { NOTHING_WATCHED, type WatchSettings, type WatchState } from "./ledgerWatch.ts";
import type { Alarm } from "./monitor/alarm/alarm.ts";
import type { AlarmEvent } from "./monitor/alarm/alarmEvent.ts";
import type { WriterLog } from "./storage/writer/writer.ts";

export type ToWatch = { kind: "stop" } | { kind: "recorded"; id: number; error?: string };

export type FromWatch =
  | { kind: "started" }
  | { kind: "not_started"; name: string; message: string }
  | { kind: "state"; ledger: string; state: WatchState }
  | { kind: "record"; id: number; ledger: string; event: AlarmEvent }
  | { kind: "raised"; ledger: string; alarm: Alarm }
  | { kind: "log"; level: keyof WriterLog; fields: object; message: string };

export interface WatchThreadOptions {
  ledgers: readonly WatchSettings[];
  log: WriterLog;
  /** Appends an event entry to a ledger; resolves when its commit is proved. */
  record(ledger: string, event: AlarmEvent): Promise<unknown>;
  onRaised(ledger: string, alarm: Alarm): void;
}

export class WatchThread {
  readonly #options: WatchThreadOptions;
  readonly #states = new Map<string, WatchState>();
  #worker: Worker | undefined;

  constructor(options: WatchThreadOptions) {
    this.#options = options;
  }

  /** What is known of a ledger; after `start` whether it may be written is among it. */
  stateOf(ledger: string): WatchState {
    return this.#states.get(ledger) ?? NOTHING_WATCHED;
  }

  /** Starts the thread; resolves when every ledger was compared with its anchors. Throws if one cannot be read. */
  async start(): Promise<void> {
    const worker = new Worker(new URL("./watchThreadMain.ts", import.meta.url), {
      workerData: this.#options.ledgers,
    });
    await new Promise<void>((resolve, reject) => {
      worker.once("error", reject);
      worker.on("message", (message: FromWatch) => {
        if (message.kind === "started") resolve();
        else if (message.kind === "not_started") {
          reject(Object.assign(new Error(message.message), { name: message.name }));
        } else void this.#receive(worker, message);
      });
      // From here on nobody listens for `error`: a fault in the thread ends the process.
    }).finally(() => worker.removeAllListeners("error"));
    this.#worker = worker;
  }

  /** Ends the thread in good order; nothing is recorded after it. */
  async stop(): Promise<void> {
    const worker = this.#worker;
    if (!worker) return;
    this.#worker = undefined;
    const ended = new Promise((resolve) => worker.once("exit", resolve));
    worker.postMessage({ kind: "stop" } satisfies ToWatch);
    await ended;
  }

  async #receive(
    worker: Worker,
    message: Exclude<FromWatch, { kind: "started" | "not_started" }>,
  ): Promise<void> {
    switch (message.kind) {
      case "state":
        this.#states.set(message.ledger, message.state);
        return;
      case "raised":
        this.#options.onRaised(message.ledger, message.alarm);
        return;
      case "log":
        this.#options.log[message.level](message.fields, message.message);
        return;
      case "record": {
        const { id, ledger, event } = message;
        let answer: ToWatch = { kind: "recorded", id };
        try {
          await this.#options.record(ledger, event);
        } catch (cause) {
          answer = { ...answer, error: cause instanceof Error ? cause.message : String(cause) };
        }
        worker.postMessage(answer);
      }
    }
  }
}
