// Whole processes: the proxy killed in the middle of traffic and started again, stopped in good order under load, and
// two of them on one ledger.

import { writeFile } from "node:fs/promises";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { openEmbedded } from "../../src/storage/embedded/embedded.ts";
import { LedgerReader } from "../../src/storage/reader.ts";
import { dropDatabase, makeDatabase, querySql, quiet, until } from "../storage/writerHarness.ts";
import { type ProcessSystem, type ProxyProcess, startProcessSystem } from "../support/process.ts";
import {
  ALL_WELL,
  checkInvariants,
  ofType,
  openerOf,
  readEntries,
  type SystemOptions,
} from "../support/system.ts";
import { type Answered, forwardedThoughRefused, promisedInVain, sendOne, startTraffic } from "./traffic.ts";

async function startSystem(options: SystemOptions = {}): Promise<ProcessSystem> {
  const system = await startProcessSystem(options);
  onTestFinished(() => system.stop());
  return system;
}

async function entriesOf({ dataDir }: ProcessSystem, superuserUrl: string) {
  const reader = new LedgerReader(
    "main",
    { connectionString: superuserUrl, requireSync: [] },
    { connections: 1, timeoutMs: 30_000, opener: openerOf(dataDir) },
  );
  try {
    return await readEntries(reader);
  } finally {
    await reader.close();
  }
}

// acceptance 3
test("the proxy killed twice in the middle of traffic: what was open is unknown, nothing is lost or sent again", async () => {
  const system = await startSystem();
  const answers: Answered[] = [];
  let proxy = await system.startProxy();
  for (let round = 0; round < 2; round++) {
    const traffic = startTraffic(proxy.baseUrl, system.token, 8, 0);
    onTestFinished(() => traffic.stop());
    await until(() => traffic.answers.filter(({ status }) => status === 201).length > 40, "traffic");
    expect(await proxy.end("SIGKILL")).toBe("SIGKILL");
    await traffic.stop();
    answers.push(...traffic.answers);
    proxy = await system.startProxy();
  }
  expect((await sendOne(proxy.baseUrl, system.token)).status).toBe(201);

  const { urls } = await openEmbedded({ dataDir: system.dataDir, log: quiet });
  const journal = await system.journal();
  expect(await checkInvariants({ dataDir: system.dataDir, superuserUrl: urls.superuser, journal })).toEqual(
    ALL_WELL,
  );
  expect(promisedInVain(answers, journal)).toEqual([]);
  expect(forwardedThoughRefused(answers, journal)).toEqual([]);
  const arrived = new Set(journal.map(({ sha256 }) => sha256));
  // Nothing was sent twice: every body is one of a kind.
  expect(arrived.size).toBe(journal.length);
  const entries = await entriesOf(system, urls.superuser);
  const digests = new Map(
    ofType(entries, "request").map(({ claims, facts }) => [claims.txn, String(facts?.sha256)]),
  );
  const promised = new Set(answers.filter(({ status }) => status === 201).map(({ sha256 }) => sha256));
  for (const { claims } of ofType(entries, "response")) {
    // I2: whatever was answered 201 has a recorded 201, whenever the proxy died after it.
    const digest = digests.get(claims.txn) ?? "";
    if (promised.has(digest)) expect(claims).toMatchObject({ outcome: "answered", status: 201 });
    else
      expect(arrived.has(digest) ? ["answered", "unknown"] : ["unknown", "not_sent"]).toContain(
        claims.outcome,
      );
  }
  const events = ofType(entries, "event").map(({ claims: { event } }) => String(event.reason ?? event.name));
  expect(events.filter((name) => name === "instance-started")).toHaveLength(3);
  expect(events.filter((name) => name === "instance_lost")).toHaveLength(2);
  expect(await proxy.end("SIGTERM")).toBe(0);
});

// acceptance 3: the target's side of it
test("the target killed in the middle of traffic: each write ends as unknown or not sent, and the proxy lives", async () => {
  const slow = await slowTarget();
  const system = await startSystem({ connector: { target: slow.config } });
  await writeFile(join(system.dataDir, "slow-token"), "slow", { mode: 0o600 });
  const proxy = await system.startProxy();
  const answers = Array.from({ length: 10 }, () => sendOne(proxy.baseUrl, system.token));
  await until(() => slow.waiting.length === 10, "all at the target");
  slow.server.closeAllConnections();
  slow.server.close();
  for (const { status } of await Promise.all(answers)) expect(status).toBe(502);
  const { status, code } = await sendOne(proxy.baseUrl, system.token);
  expect({ status, code }).toEqual({ status: 502, code: "target_unreachable" });
  const { urls } = await openEmbedded({ dataDir: system.dataDir, log: quiet });
  const outcomes = ofType(await entriesOf(system, urls.superuser), "response").map(
    ({ claims }) => claims.outcome,
  );
  expect(outcomes).toEqual([...Array(10).fill("unknown"), "not_sent"]);
  expect(
    await checkInvariants({ dataDir: system.dataDir, superuserUrl: urls.superuser, journal: [] }),
  ).toEqual(ALL_WELL);
  expect(await proxy.end("SIGTERM")).toBe(0);
});

// case 85
test("SIGTERM with 20 writes under way: unready first, new ones refused, all outcomes recorded, exit 0", async () => {
  const slow = await slowTarget();
  const system = await startSystem({ connector: { target: slow.config } });
  await writeFile(join(system.dataDir, "slow-token"), "slow", { mode: 0o600 });
  const proxy = await system.startProxy();
  const answers = Array.from({ length: 20 }, () => sendOne(proxy.baseUrl, system.token));
  await until(() => slow.waiting.length === 20, "all at the target");
  const ended = proxy.end("SIGTERM");
  await until(async () => (await readyStatus(proxy)) === 503, "unready");
  const refused = await sendOne(proxy.baseUrl, system.token);
  // The listener is closed already, or the write is told that the proxy is stopping.
  expect([0, 503]).toContain(refused.status);
  expect(slow.waiting.length).toBe(20);
  for (const response of slow.waiting) answerCreated(response);
  for (const { status } of await Promise.all(answers)) expect(status).toBe(201);
  expect(await ended).toBe(0);
  expect(proxy.logs()).toContain('"msg":"stopped"');

  const embedded = await openEmbedded({ dataDir: system.dataDir, log: quiet });
  try {
    const { superuser: superuserUrl } = embedded.urls;
    expect(await checkInvariants({ dataDir: system.dataDir, superuserUrl, journal: [] })).toEqual(ALL_WELL);
    const entries = await entriesOf(system, superuserUrl);
    expect(ofType(entries, "response").map(({ claims }) => claims.outcome)).toEqual(
      Array(20).fill("answered"),
    );
    expect(entries.at(-1)?.claims).toMatchObject({ event: { name: "instance-stopped" } });
    const [mark] = await querySql(
      superuserUrl,
      "SELECT count(*)::int AS ended FROM ledger_main.instance_mark WHERE ended",
    );
    expect(mark).toEqual({ ended: 1 });
  } finally {
    await embedded.close();
  }
});

// case 60
test("two proxies on one ledger, 500 writes at once, one of them killed: no gap, no fork, the other closes for it", async () => {
  const database = await makeDatabase();
  onTestFinished(() => dropDatabase(database));
  const system = await startSystem({
    config: {
      database: {
        url: { file: "writer-url" },
        ownerUrl: { file: "owner-url" },
        readerUrl: { file: "reader-url" },
      },
    },
  });
  for (const role of ["writer", "owner", "reader"] as const)
    await writeFile(join(system.dataDir, `${role}-url`), database.urls[role], { mode: 0o600 });
  const other = await system.copyDataDir();
  const [one, two] = await Promise.all([system.startProxy(), system.startProxy(other)]);
  const sent = Array.from({ length: 500 }, (_, i) => sendOne((i % 2 ? one : two).baseUrl, system.token));
  const answers = await Promise.all(sent);
  expect(answers.filter(({ status }) => status !== 201 && status !== 503)).toEqual([]);
  expect(answers.filter(({ status }) => status === 201).length).toBeGreaterThan(400);

  const traffic = startTraffic(one.baseUrl, system.token, 8, 0);
  onTestFinished(() => traffic.stop());
  await until(() => traffic.answers.length > 20, "traffic");
  await one.end("SIGKILL");
  await traffic.stop();
  // A third one starts, and buries the first while the second lives.
  const three = await system.startProxy();
  expect((await sendOne(two.baseUrl, system.token)).status).toBe(201);
  expect((await sendOne(three.baseUrl, system.token)).status).toBe(201);
  const journal = await system.journal();
  const superuserUrl = database.urls.superuser;
  expect(await checkInvariants({ dataDir: system.dataDir, superuserUrl, journal })).toEqual(ALL_WELL);
  expect(forwardedThoughRefused([...answers, ...traffic.answers], journal)).toEqual([]);
  expect(promisedInVain([...answers, ...traffic.answers], journal)).toEqual([]);
  expect(await Promise.all([two.end("SIGTERM"), three.end("SIGTERM")])).toEqual([0, 0]);
});

async function readyStatus({ adminUrl }: ProxyProcess): Promise<number> {
  return (await fetch(`${adminUrl}/readyz`)).status;
}

/** A target that takes every write and answers when the test says so. */
async function slowTarget(): Promise<{ config: object; server: Server; waiting: ServerResponse[] }> {
  const waiting: ServerResponse[] = [];
  const server = createServer((request, response) => {
    request.resume().on("end", () => waiting.push(response));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  // A TCP listener's address is an object.
  const { port } = server.address() as AddressInfo;
  const config = { url: `http://127.0.0.1:${port}/scim/v2`, auth: { bearer: { file: "slow-token" } } };
  return { config, server, waiting };
}

let answered = 0;
function answerCreated(response: ServerResponse): void {
  const body = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"id-${++answered}"}`;
  response
    .writeHead(201, { "content-type": "application/scim+json", "content-length": body.length })
    .end(body);
}
