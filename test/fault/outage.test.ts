// The database goes away in the middle of traffic: killed, frozen, slow. Nothing passes unrecorded, every write is
// answered in time, reads go on, and when the database is back the proxy is back by itself.

import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { clusterDirectory } from "../../src/storage/embedded/cluster.ts";
import { postmasterPid } from "../../src/storage/embedded/processes.ts";
import { serverOf } from "../storage/embedded/harness.ts";
import { querySql, until } from "../storage/writerHarness.ts";
import { ALL_WELL, checkInvariants, ofType, type System, startSystem } from "../support/system.ts";
import {
  type Answered,
  forwardedThoughRefused,
  promisedInVain,
  sendOne,
  startTraffic,
  type Traffic,
} from "./traffic.ts";

/** The append deadline, and the room that a busy machine is given beyond it. */
const DEADLINE_MS = 2_000;
const SLACK_MS = 700;

let system: System;
const refused: Answered[] = [];
beforeAll(async () => {
  system = await startSystem();
});
afterAll(async () => {
  try {
    expect(forwardedThoughRefused(refused, system.journal())).toEqual([]);
    expect(await checkInvariants({ ...system, journal: system.journal() })).toEqual(ALL_WELL);
  } finally {
    await system.stop();
  }
});

/** Traffic that ends with the test, also with one that fails. */
async function startFlow(pauseMs = 5): Promise<Traffic> {
  const traffic = startTraffic(system.baseUrl, system.token, 6, pauseMs);
  onTestFinished(() => traffic.stop());
  await until(() => traffic.answers.length > 30, "traffic");
  return traffic;
}

async function readiness(): Promise<{ status: number; reason: string | undefined }> {
  const response = await fetch(`${system.app.adminUrl}/readyz`);
  const { reasons } = (await response.json()) as { reasons: { reason: string }[] };
  return { status: response.status, reason: reasons[0]?.reason };
}

/** Asserts what must hold while nothing can be recorded; returns with the database still away. */
async function watchOutage(traffic: Traffic, awayMs: number): Promise<void> {
  const wentAwayAt = performance.now();
  await until(async () => (await readiness()).status === 503, "unready", DEADLINE_MS + SLACK_MS);
  expect((await readiness()).reason).toMatch(/^database_(unreachable|slow|error)$/);
  // What had its intent recorded before is through by now.
  await sleep(200);
  const forwarded = system.journal().length;
  // A write that was sent just before may take its whole deadline, and the one after it another.
  const away = () => traffic.answers.filter(({ sentAt }) => sentAt > wentAwayAt + 100);
  const hasSeenEnough = () => performance.now() - wentAwayAt > awayMs && away().length > 0;
  while (!hasSeenEnough() && performance.now() - wentAwayAt < 3 * DEADLINE_MS) {
    const startedAt = performance.now();
    const read = await system.request("GET", "/Users?count=1");
    expect(read.status).toBe(200);
    await read.arrayBuffer();
    expect(performance.now() - startedAt).toBeLessThan(SLACK_MS);
    await sleep(50);
  }
  expect(system.journal().length).toBe(forwarded);
  expect(away().length).toBeGreaterThan(0);
  expect([...new Set(away().map(({ status }) => status))]).toEqual([503]);
  expect(away().filter(({ retryAfter }) => !Number(retryAfter))).toEqual([]);
  expect(away().filter(({ durationMs }) => durationMs > DEADLINE_MS + SLACK_MS)).toEqual([]);
}

async function expectBack(traffic: Traffic): Promise<void> {
  await until(async () => (await readiness()).status === 200, "ready again", 15_000);
  const backAt = performance.now();
  await until(
    () => traffic.answers.some(({ sentAt, status }) => sentAt > backAt && status === 201),
    "writes pass",
  );
  await traffic.stop();
  refused.push(...traffic.answers);
  expect(traffic.answers.filter(({ durationMs }) => durationMs > 2 * DEADLINE_MS + SLACK_MS)).toEqual([]);
  expect(promisedInVain(traffic.answers, system.journal())).toEqual([]);
  expect(forwardedThoughRefused(traffic.answers, system.journal())).toEqual([]);
  // Settled without a restart: what was refused is closed, what could not be recorded is unknown.
  const report = () => checkInvariants({ ...system, journal: system.journal() });
  await until(async () => (await report()).unclosed.length === 0, "everything closed");
  expect(await report()).toEqual(ALL_WELL);
}

async function expectOutcomesTellTheTruth(): Promise<void> {
  const arrived = new Set(system.journal().map(({ sha256 }) => sha256));
  const entries = await system.entries();
  const digestOf = new Map(
    ofType(entries, "request").map(({ claims, facts }) => [claims.txn, String(facts?.sha256)]),
  );
  for (const { claims } of ofType(entries, "response")) {
    const wasSent = arrived.has(digestOf.get(claims.txn) ?? "");
    if (claims.outcome === "not_sent") expect(wasSent, claims.txn).toBe(false);
    else expect(wasSent, `${claims.txn} ${claims.outcome}`).toBe(true);
  }
}

// acceptance 4; case 71
test("the whole PostgreSQL killed mid-traffic: 503 until its supervisor has it back, then all goes on", async () => {
  const traffic = await startFlow();
  for (let round = 0; round < 2; round++) {
    const killedAt = performance.now();
    for (const pid of await serverOf(system.dataDir)) process.kill(pid, "SIGKILL");
    await until(async () => (await readiness()).status === 503, "unready", DEADLINE_MS);
    await until(async () => (await readiness()).status === 200, "ready again", 15_000);
    await until(
      () => traffic.answers.some(({ sentAt, status }) => sentAt > killedAt + 20 && status === 201),
      "writes pass",
    );
  }
  await expectBack(traffic);
  await expectOutcomesTellTheTruth();
});

// acceptance 4; case 71
test("only the postmaster killed mid-traffic: its last backends record nothing that is lost", async () => {
  const traffic = await startFlow();
  const pid = await postmasterPid(clusterDirectory(system.dataDir));
  process.kill(pid ?? expect.fail("no postmaster"), "SIGKILL");
  await until(async () => (await readiness()).status === 503, "unready", DEADLINE_MS + SLACK_MS);
  await expectBack(traffic);
  await expectOutcomesTellTheTruth();
});

// acceptance 4
test("PostgreSQL frozen mid-traffic: 503 in time, nothing forwarded, reads pass; woken, it all settles", async () => {
  const traffic = await startFlow();
  const pids = await serverOf(system.dataDir);
  for (const pid of pids) process.kill(pid, "SIGSTOP");
  try {
    await watchOutage(traffic, 3_200);
  } finally {
    for (const pid of pids) process.kill(pid, "SIGCONT");
  }
  await expectBack(traffic);
  await expectOutcomesTellTheTruth();
});

// acceptance 4, case 71: away for longer than a restart takes
test("PostgreSQL gone for seconds: refused at once after the first deadline, and back by itself", async () => {
  const traffic = await startFlow(20);
  // Nobody may log in, and nobody stays: as good as gone, for as long as the test wants.
  await querySql(system.superuserUrl, "ALTER ROLE scimseal_writer CONNECTION LIMIT 0");
  const disconnect =
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'scimseal_writer'";
  await querySql(system.superuserUrl, disconnect);
  try {
    await watchOutage(traffic, 2_800);
    const startedAt = performance.now();
    expect((await sendOne(system.baseUrl, system.token)).status).toBe(503);
    expect(performance.now() - startedAt).toBeLessThan(SLACK_MS);
  } finally {
    await querySql(system.superuserUrl, "ALTER ROLE scimseal_writer CONNECTION LIMIT -1");
  }
  await expectBack(traffic);
  await expectOutcomesTellTheTruth();
});

// case 78
test("50 writes on a database that takes more than a second for each batch: surplus 503 by the deadline", async () => {
  await querySql(
    system.superuserUrl,
    `CREATE FUNCTION ledger_main.slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1.3); RETURN NULL; END $$;
     CREATE TRIGGER slow AFTER INSERT ON ledger_main.entry_000000 FOR EACH STATEMENT EXECUTE FUNCTION ledger_main.slow()`,
  );
  const answers: Promise<Answered>[] = [];
  for (let i = 0; i < 50; i++) {
    answers.push(sendOne(system.baseUrl, system.token));
    await sleep(20);
  }
  const all = await Promise.all(answers);
  await querySql(system.superuserUrl, "DROP TRIGGER slow ON ledger_main.entry_000000");
  refused.push(...all);
  const late = all.filter(({ code }) => code === "ledger_unavailable");
  expect(late.length).toBeGreaterThan(0);
  expect(late.filter(({ durationMs }) => durationMs > DEADLINE_MS + SLACK_MS)).toEqual([]);
  expect(forwardedThoughRefused(all, system.journal())).toEqual([]);
  await until(async () => (await readiness()).status === 200, "ready");
  const report = () => checkInvariants({ ...system, journal: system.journal() });
  await until(async () => (await report()).unclosed.length === 0, "everything closed");
  await expectOutcomesTellTheTruth();
});

// case 81
test("every backend terminated on an idle system: nothing is noticed", async () => {
  await querySql(
    system.superuserUrl,
    // With the wait: an insert that meets a backend on its way out is a doubt, and not what is meant here.
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'",
  );
  await sleep(50);
  expect(await sendOne(system.baseUrl, system.token)).toMatchObject({ status: 201 });
});
