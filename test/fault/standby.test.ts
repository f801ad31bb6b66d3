// A real synchronous standby: a second PostgreSQL that receives the first one's WAL. What is acknowledged must outlive the
// loss of the primary, and whoever takes the standby away must not go unnoticed.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { appendFile, chown, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { newUuid } from "../../src/nodeCrypto.ts";
import { clusterDirectory } from "../../src/storage/embedded/cluster.ts";
import { startEmbedded } from "../../src/storage/embedded/embedded.ts";
import type { LedgerWriter } from "../../src/storage/writer/writer.ts";
import {
  expectSound,
  fateOf,
  intentDraft,
  makeLedger,
  outcomeDraft,
  outcomesOf,
  passOne,
  querySql,
  quiet,
  runSql,
  type TestDatabase,
  until,
} from "../storage/writerHarness.ts";

const STANDBY = "standby_b";

/** Two servers of one cluster; the first one's port is where everybody connects. */
interface Pair {
  database: TestDatabase;
  standbyUrl: string;
  killPrimary(): Promise<void>;
  /** Starts the standby again, still a standby, where the primary was. */
  moveStandby(): Promise<void>;
  stop(): Promise<void>;
}

async function startPair(): Promise<Pair> {
  const dataDir = await mkdtemp(join(tmpdir(), "scimseal-standby-"));
  const embedded = await startEmbedded({ dataDir, log: quiet });
  const [program = ""] = (await readFile(`/proc/${embedded.pid()}/cmdline`, "utf8")).split("\0");
  await embedded.stop();
  const primaryDir = clusterDirectory(dataDir);
  const standbyDir = join(dataDir, "standby");
  const { uid, gid } = await stat(primaryDir);
  await appendFile(join(primaryDir, "pg_hba.conf"), "host replication all 127.0.0.1/32 scram-sha-256\n");
  spawnSync("cp", ["-a", primaryDir, standbyDir]);
  const { port, username, password } = new URL(embedded.urls.superuser);
  const source = `host=127.0.0.1 port=${port} user=${username} password=${password} application_name=${STANDBY}`;
  await appendFile(join(standbyDir, "postgresql.auto.conf"), `primary_conninfo = '${source}'\n`);
  await writeFile(join(standbyDir, "standby.signal"), "");
  await chown(join(standbyDir, "standby.signal"), uid, gid);

  const servers: ChildProcess[] = [];
  const start = (cwd: string, onPort: string): ChildProcess => {
    const args = ["-D", "/proc/self/cwd", "-p", onPort, "-k", "", "-c", "listen_addresses=127.0.0.1"];
    const server = spawn(program, args, { cwd, uid, gid, env: {}, stdio: "ignore" });
    servers.push(server);
    return server;
  };
  const end = async (server: ChildProcess, signal: NodeJS.Signals) => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    server.kill(signal);
    await once(server, "exit");
  };
  const urlAt = (onPort: string) => {
    const url = new URL(embedded.urls.superuser);
    url.port = onPort;
    return url.href;
  };
  const answers = (url: string) => () => querySql(url, "SELECT 1").then(Boolean, () => false);

  const standbyPort = String(await freePort());
  const primary = start(primaryDir, port);
  await until(answers(embedded.urls.superuser), "the primary answers", 15_000);
  const standby = start(standbyDir, standbyPort);
  await until(answers(urlAt(standbyPort)), "the standby answers", 15_000);
  const stop = async () => {
    for (const server of servers) await end(server, "SIGINT");
    await rm(dataDir, { recursive: true, force: true });
  };
  return {
    database: { urls: embedded.urls, pid: () => primary.pid, stop, dataDir },
    standbyUrl: urlAt(standbyPort),
    // A lost machine: the postmaster and all its children at once.
    killPrimary: async () => {
      await end(primary, "SIGQUIT");
    },
    moveStandby: async () => {
      await end(standby, "SIGINT");
      start(standbyDir, port);
      await until(answers(embedded.urls.superuser), "the standby answers where the primary was", 15_000);
    },
    stop,
  };
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, "close");
  return port;
}

let pair: Pair;
beforeAll(async () => {
  pair = await startPair();
  const { superuser } = pair.database.urls;
  await configure(`ALTER SYSTEM SET synchronous_standby_names = '${STANDBY}'`);
  const inSync = `SELECT 1 FROM pg_stat_replication WHERE application_name = '${STANDBY}' AND sync_state = 'sync'`;
  await until(
    async () => (await querySql(superuser, inSync)).length === 1,
    "the standby is synchronous",
    15_000,
  );
});
afterAll(() => pair.stop());

async function configure(statement: string): Promise<void> {
  await runSql(pair.database.urls.superuser, statement);
  await runSql(pair.database.urls.superuser, "SELECT pg_reload_conf()");
}

// case 75
test("the standby's name taken away under a running writer: unready within 10 s, nothing passes; back, it is ready", async () => {
  const ledger = await makeLedger(pair.database);
  const demanding = { database: { ...ledger.address, requireSync: [STANDBY] } };
  const writer = await ledger.writer(demanding);
  await passOne(writer);
  await configure("ALTER SYSTEM SET synchronous_standby_names = ''");
  await until(() => !writer.status.ready, "unready", 10_000);
  expect(writer.status).toMatchObject({ code: "not_durable", detail: expect.stringContaining(STANDBY) });
  const draft = intentDraft();
  expect(await fateOf(writer.append(draft))).toBe("not_durable");
  await configure(`ALTER SYSTEM SET synchronous_standby_names = '${STANDBY}'`);
  await until(() => writer.status.ready, "ready again", 10_000);
  await passOne(writer);
  expect((await outcomesOf(ledger)).get(draft.body.txn) ?? ["not_sent/append_unproved"]).toEqual([
    "not_sent/append_unproved",
  ]);
  await expectSound(ledger);
});

// case 80
test("the primary is lost in the middle of writing: a standby takes no writes, promoted it has all that was acknowledged", async () => {
  const ledger = await makeLedger(pair.database);
  const writer = await ledger.writer();
  const acknowledged: string[] = [];
  let isRunning = true;
  const lanes = Array.from({ length: 8 }, () => writeAndRemember(writer, acknowledged, () => isRunning));
  await until(() => acknowledged.length > 400, "some hundred acknowledged", 20_000);
  await pair.killPrimary();
  await until(() => !writer.status.ready, "unready", 10_000);
  isRunning = false;
  await Promise.all(lanes);

  await pair.moveStandby();
  expect((await querySql(pair.database.urls.superuser, "SELECT pg_is_in_recovery() AS yes"))[0]?.yes).toBe(
    true,
  );
  await until(
    () => !writer.status.ready && writer.status.code === "not_durable",
    "refused as a standby",
    10_000,
  );
  expect(await fateOf(writer.append(intentDraft()))).toBe("not_durable");

  await runSql(pair.database.urls.superuser, "SELECT pg_promote()");
  await until(
    () => writer.status.ready && writer.openTransactions === 0,
    "ready on the promoted one",
    20_000,
  );
  await passOne(writer);
  const outcomes = await outcomesOf(ledger);
  expect(acknowledged.filter((txn) => !outcomes.has(txn))).toEqual([]);
  await expectSound(ledger);
});

/** Appends intents and their outcomes; remembers each intent at the moment that it is acknowledged. */
async function writeAndRemember(
  writer: LedgerWriter,
  acknowledged: string[],
  isRunning: () => boolean,
): Promise<void> {
  while (isRunning()) {
    const txn = newUuid();
    try {
      const intent = await writer.append(intentDraft(txn));
      acknowledged.push(txn);
      await writer.append(outcomeDraft(intent));
    } catch {
      // Refused: the caller has its answer, and the ledger will say what became of it.
      return;
    }
  }
}
