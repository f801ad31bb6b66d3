// How the traffic of each connector goes, as this instance sees it: what the metrics are told, kept for people. A failure
// is an answer that the proxy or the target could not give (5xx); what a client did wrong is no failure of the connector.

import type { ConnectorHealth } from "./audit/context.ts";
import type { ProxyObserver } from "./proxy/connector.ts";

interface Seen {
  lastOutcome: string | null;
  answeredMs: number | undefined;
  failedMs: number | undefined;
  failures: number;
}

/** Watches what the proxy tells, and passes it on. */
export class ConnectorWatch implements ProxyObserver {
  readonly #next: ProxyObserver;
  readonly #now: () => number;
  readonly #seen = new Map<string, Seen>();

  constructor(next: ProxyObserver, now: () => number = Date.now) {
    this.#next = next;
    this.#now = now;
  }

  answered(connector: string, kind: "read" | "write", status: number, durationMs: number): void {
    this.#next.answered(connector, kind, status, durationMs);
    // Before anything was forwarded there is nothing to say, but that the proxy could not.
    const seen = status >= 500 ? this.#of(connector) : this.#seen.get(connector);
    if (!seen) return;
    if (status < 500) {
      seen.answeredMs = this.#now();
      seen.failures = 0;
    } else {
      seen.failedMs = this.#now();
      seen.failures++;
    }
  }

  refused: ProxyObserver["refused"] = (connector, code, reason) =>
    this.#next.refused(connector, code, reason);

  forwarded(connector: string, outcome: string, durationMs: number): void {
    this.#next.forwarded(connector, outcome, durationMs);
    this.#of(connector).lastOutcome = outcome;
  }

  /** How a connector is. */
  healthOf(connector: string): ConnectorHealth {
    const seen = this.#seen.get(connector);
    return {
      state: seen === undefined ? "idle" : seen.failures > 0 ? "failing" : "ok",
      lastOutcome: seen?.lastOutcome ?? null,
      lastAnswered: timeOf(seen?.answeredMs),
      lastFailed: timeOf(seen?.failedMs),
      failures: seen?.failures ?? 0,
    };
  }

  #of(connector: string): Seen {
    const known = this.#seen.get(connector);
    if (known) return known;
    const seen = { lastOutcome: null, answeredMs: undefined, failedMs: undefined, failures: 0 };
    this.#seen.set(connector, seen);
    return seen;
  }
}

function timeOf(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}
