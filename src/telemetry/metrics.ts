// Prometheus metrics. Labels come from closed sets (connector names, refusal codes, outcomes), so that no client can
// grow their number.

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** What is asked at each scrape. */
export interface LedgerGauges {
  name: string;
  size(): number;
  openTransactions(): number;
  isReady(): boolean;
  openAlarms(): number;
  /** Entries that the monitor verified as they came. */
  verified(): number;
  /** Leaves under the newest checkpoint, and under the newest that counts as anchored. */
  published(): number;
  anchored(): number;
}

export class Metrics {
  readonly registry = new Registry();
  readonly #requests: Counter<"connector" | "kind" | "status">;
  readonly #refusals: Counter<"connector" | "code" | "reason">;
  readonly #duration: Histogram<"kind">;
  readonly #forward: Histogram<"connector" | "outcome">;
  readonly #append: Histogram<"ledger">;
  readonly #batch: Histogram<"ledger">;
  readonly #alarms: Counter<"ledger" | "code">;

  constructor(ledgers: () => readonly LedgerGauges[]) {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    this.#requests = new Counter({
      name: "scimseal_requests_total",
      help: "Requests answered on the SCIM listener.",
      labelNames: ["connector", "kind", "status"],
      registers,
    });
    this.#refusals = new Counter({
      name: "scimseal_refusals_total",
      help: "Requests the proxy refused by itself, by code; reason tells why the ledger was unavailable.",
      labelNames: ["connector", "code", "reason"],
      registers,
    });
    this.#duration = new Histogram({
      name: "scimseal_request_duration_seconds",
      help: "From the request's head to its answer.",
      labelNames: ["kind"],
      buckets: SECONDS,
      registers,
    });
    this.#forward = new Histogram({
      name: "scimseal_forward_duration_seconds",
      help: "The target's share of it, by outcome.",
      labelNames: ["connector", "outcome"],
      buckets: SECONDS,
      registers,
    });
    this.#append = new Histogram({
      name: "scimseal_append_duration_seconds",
      help: "Sealing, inserting and proving the commit of one signed batch.",
      labelNames: ["ledger"],
      buckets: SECONDS,
      registers,
    });
    this.#batch = new Histogram({
      name: "scimseal_append_batch_entries",
      help: "Entries in one batch.",
      labelNames: ["ledger"],
      buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256],
      registers,
    });
    this.#alarms = new Counter({
      name: "scimseal_alarms_total",
      help: "Alarms raised by this instance, by what was found.",
      labelNames: ["ledger", "code"],
      registers,
    });
    ledgerGauge("scimseal_alarms_open", "Alarms that nobody acknowledged yet.", (ledger) =>
      ledger.openAlarms(),
    );
    ledgerGauge("scimseal_verified_entries", "Entries that the monitor verified as they came.", (ledger) =>
      ledger.verified(),
    );
    ledgerGauge("scimseal_published_entries", "Entries under the newest checkpoint.", (ledger) =>
      ledger.published(),
    );
    ledgerGauge("scimseal_anchored_entries", "Entries under the newest anchored checkpoint.", (ledger) =>
      ledger.anchored(),
    );
    ledgerGauge(
      "scimseal_ledger_entries",
      "Entries in the ledger, as far as this instance knows.",
      (ledger) => ledger.size(),
    );
    ledgerGauge("scimseal_open_transactions", "Writes without an outcome yet.", (ledger) =>
      ledger.openTransactions(),
    );
    ledgerGauge("scimseal_ledger_ready", "1 while writes can be recorded.", (ledger) =>
      ledger.isReady() ? 1 : 0,
    );

    function ledgerGauge(name: string, help: string, read: (ledger: LedgerGauges) => number): void {
      new Gauge({
        name,
        help,
        labelNames: ["ledger"],
        registers,
        collect() {
          for (const ledger of ledgers()) this.set({ ledger: ledger.name }, read(ledger));
        },
      });
    }
  }

  answered(connector: string, kind: "read" | "write", status: number, durationMs: number): void {
    this.#requests.inc({ connector, kind, status });
    this.#duration.observe({ kind }, durationMs / 1000);
  }

  refused(connector: string, code: string, reason: string): void {
    this.#refusals.inc({ connector, code, reason });
  }

  forwarded(connector: string, outcome: string, durationMs: number): void {
    this.#forward.observe({ connector, outcome }, durationMs / 1000);
  }

  alarmRaised(ledger: string, code: string): void {
    this.#alarms.inc({ ledger, code });
  }

  batchCommitted(ledger: string, entries: number, durationMs: number): void {
    this.#append.observe({ ledger }, durationMs / 1000);
    this.#batch.observe({ ledger }, entries);
  }
}
