// How a connector is, from what the proxy tells; and the metrics are told all the same.

import { expect, test } from "vitest";
import { ConnectorWatch } from "../../src/connectorHealth.ts";
import type { ProxyObserver } from "../../src/proxy/connector.ts";

function start() {
  const told: unknown[][] = [];
  const metrics: ProxyObserver = {
    answered: (...what) => told.push(["answered", ...what]),
    refused: (...what) => told.push(["refused", ...what]),
    forwarded: (...what) => told.push(["forwarded", ...what]),
  };
  const clock = { nowMs: Date.parse("2030-01-01T00:00:00Z") };
  return { told, clock, watch: new ConnectorWatch(metrics, () => clock.nowMs) };
}

test("idle, until something was forwarded", () => {
  const { watch } = start();
  watch.answered("okta", "write", 401, 1);
  expect(watch.healthOf("okta")).toEqual({
    state: "idle",
    lastOutcome: null,
    lastAnswered: null,
    lastFailed: null,
    failures: 0,
  });
});

test("failures are counted until an answer comes; what a client did wrong is none", () => {
  const { watch, clock } = start();
  watch.forwarded("okta", "answered", 5);
  watch.answered("okta", "write", 409, 6);
  expect(watch.healthOf("okta")).toMatchObject({ state: "ok", lastAnswered: "2030-01-01T00:00:00.000Z" });
  clock.nowMs += 1000;
  for (const outcome of ["not_sent", "unknown"]) {
    watch.forwarded("okta", outcome, 5);
    watch.answered("okta", "write", 502, 6);
  }
  expect(watch.healthOf("okta")).toEqual({
    state: "failing",
    lastOutcome: "unknown",
    lastAnswered: "2030-01-01T00:00:00.000Z",
    lastFailed: "2030-01-01T00:00:01.000Z",
    failures: 2,
  });
  watch.forwarded("okta", "answered", 5);
  watch.answered("okta", "read", 200, 6);
  expect(watch.healthOf("okta")).toMatchObject({ state: "ok", lastOutcome: "answered", failures: 0 });
  expect(watch.healthOf("entra").state).toBe("idle");
});

test("a proxy that cannot record is failing before it forwarded anything", () => {
  const { watch } = start();
  watch.refused("okta", "ledger_unavailable", "database_unreachable");
  watch.answered("okta", "write", 503, 6);
  expect(watch.healthOf("okta")).toMatchObject({ state: "failing", lastOutcome: null, failures: 1 });
});

test("the metrics are told everything", () => {
  const { watch, told } = start();
  watch.answered("okta", "write", 201, 1);
  watch.refused("okta", "ledger_unavailable", "database_slow");
  watch.forwarded("okta", "answered", 2);
  expect(told).toEqual([
    ["answered", "okta", "write", 201, 1],
    ["refused", "okta", "ledger_unavailable", "database_slow"],
    ["forwarded", "okta", "answered", 2],
  ]);
});
