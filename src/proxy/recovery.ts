// Recovery: closes the transactions that a crashed instance left open. What became of them at the target cannot be
// known, so the outcome is `unknown`: never `failed`, and nothing is ever sent again (I3). Runs at start and from time
// to time, since with several instances it is usually a living one that buries the dead.

import type { DatabaseAddress } from "../storage/postgres.ts";
import { type OpenRequest, recoverAbandoned } from "../storage/writer/abandoned.ts";
import { AppendError } from "../storage/writer/appendError.ts";
import type { Ledger, ProxyLog } from "./connector.ts";

const EVERY_MS = 15_000;
/** Fewer than the writer's queue takes, few enough for its deadline. */
const AT_A_TIME = 256;

export interface RecoveryOptions {
  ledgerName: string;
  address: DatabaseAddress;
  ledger: Ledger;
  log: ProxyLog;
}

export class Recovery {
  readonly #options: RecoveryOptions;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: RecoveryOptions) {
    this.#options = options;
  }

  /** The first pass; throws if the ledger cannot be recovered. Further passes run by themselves. */
  async start(): Promise<void> {
    await this.#pass();
    this.#timer = setInterval(() => {
      this.#running = this.#running.then(() => this.#passLater());
    }, EVERY_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }

  async #passLater(): Promise<void> {
    try {
      await this.#pass();
    } catch (cause) {
      // The database is away or slow: the writer says so, and the next pass finds what this one left.
      const error = cause instanceof Error ? cause.name : "error";
      this.#options.log.warn({ ledger: this.#options.ledgerName, error }, "recovery pass put off");
    }
  }

  #pass(): Promise<void> {
    const { ledgerName, address } = this.#options;
    return recoverAbandoned(ledgerName, address, (instance, open) => this.#close(instance, open));
  }

  async #close(instance: string, open: readonly OpenRequest[]): Promise<void> {
    const { ledger, ledgerName, log } = this.#options;
    if (open.length > 0)
      log.warn({ ledger: ledgerName, instance, open: open.length }, "closing what a dead instance left open");
    await ledger.append({
      body: {
        type: "event",
        event: { name: "recovery", reason: "instance_lost", of: instance, closes: open.length },
      },
      attachments: [],
    });
    for (let at = 0; at < open.length; at += AT_A_TIME)
      await Promise.all(open.slice(at, at + AT_A_TIME).map((request) => this.#closeOne(request)));
  }

  async #closeOne({ seq, claims }: OpenRequest): Promise<void> {
    const { ledger } = this.#options;
    try {
      await ledger.append({
        body: {
          type: "response",
          txn: claims.txn,
          connector: claims.connector,
          requestSeq: seq,
          outcome: "unknown",
          reason: "instance_lost",
        },
        attachments: [],
      });
    } catch (cause) {
      // Its instance was cut off but lived, came back under a new id, and was first: better than "unknown".
      if (!(cause instanceof AppendError) || cause.code !== "already_closed") throw cause;
    }
  }
}
