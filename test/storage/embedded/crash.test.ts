// The embedded PostgreSQL when processes die: its postmaster, its children, the process that owns it; and when they freeze.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import { expect, onTestFinished, test } from "vitest";
import { clusterDirectory } from "../../../src/storage/embedded/cluster.ts";
import { readPostmasterFile } from "../../../src/storage/embedded/processes.ts";
import {
  eventually,
  killOwner,
  newDataDir,
  recordingLog,
  serverOf,
  sql,
  start,
  startOwner,
  usedDataDir,
} from "./harness.ts";

test("a killed postmaster is back on the same URLs within 3 s, with all that was committed, every time", async () => {
  const dataDir = await usedDataDir();
  const log = recordingLog();
  const server = await start(dataDir, log);
  await sql(server.urls.owner, "CREATE TABLE committed (n int)");
  for (let n = 1; n <= 3; n++) {
    await sql(server.urls.owner, `INSERT INTO committed VALUES (${n})`);
    const pid = server.pid();
    if (pid === undefined) throw new Error("no postmaster");
    process.kill(pid, "SIGKILL");
    await eventually(async () => {
      expect(server.pid()).not.toBe(pid);
      expect(Number(await sql(server.urls.owner, "SELECT count(*) FROM committed"))).toBe(n);
    }, 3000);
  }
  expect(log.messages.filter((message) => message.includes("ended unasked"))).toHaveLength(3);
  expect(log.messages.filter((message) => message.includes("is back"))).toHaveLength(3);
});

test("a backend that is busy or frozen when the postmaster is killed does not keep the server away", async () => {
  const dataDir = await usedDataDir();
  const server = await start(dataDir);
  const busy = new Client({ connectionString: server.urls.reader });
  busy.on("error", () => {}); // it loses its server on purpose
  await busy.connect();
  const { rows } = await busy.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  const backend = rows[0]?.pid;
  if (backend === undefined) throw new Error("no backend");
  const lost = expect(busy.query("SELECT count(*) FROM generate_series(1, 1e10)")).rejects.toThrow(
    "terminated",
  );
  await sleep(50);
  process.kill(backend, "SIGSTOP");
  process.kill(server.pid() ?? 0, "SIGKILL");
  await eventually(() => sql(server.urls.reader, "SELECT 1"), 5000);
  await lost;
  expect(await serverOf(dataDir)).not.toContain(backend);
});

test("a frozen server is left alone, and goes on when it is woken", async () => {
  const server = await start(await usedDataDir());
  const pid = server.pid() ?? 0;
  process.kill(pid, "SIGSTOP");
  await sleep(500);
  expect(server.pid()).toBe(pid);
  process.kill(pid, "SIGCONT");
  expect(await sql(server.urls.reader, "SELECT 1")).toBe(1);
});

test("stop ends a frozen server too, and one that is just being brought back", async () => {
  const dataDir = await usedDataDir();
  for (const signal of ["SIGSTOP", "SIGKILL"] as const) {
    const server = await start(dataDir);
    process.kill(server.pid() ?? 0, signal);
    await sleep(30);
    await server.stop();
    expect(await serverOf(dataDir)).toEqual([]);
  }
});

test.for(["running", "frozen", "headless"] as const)(
  "the next start ends a server whose owner was killed: %s",
  async (state) => {
    const dataDir = await usedDataDir();
    const owner = await startOwner(dataDir);
    await sql(owner.urls.owner, `CREATE TABLE kept_${state} AS SELECT 42 AS answer`);
    await killOwner(owner);
    const orphans = await serverOf(dataDir);
    expect(orphans).toContain(owner.postmaster);
    if (state === "frozen") for (const pid of orphans) process.kill(pid, "SIGSTOP");
    if (state === "headless") {
      for (const pid of orphans) if (pid !== owner.postmaster) process.kill(pid, "SIGSTOP");
      process.kill(owner.postmaster, "SIGKILL");
    }

    const server = await start(dataDir);
    expect(server.urls).toEqual(owner.urls);
    expect(await sql(server.urls.owner, `SELECT answer FROM kept_${state}`)).toBe(42);
    const now = await serverOf(dataDir);
    expect(orphans.filter((pid) => now.includes(pid))).toEqual([]);
  },
);

test("a PostgreSQL that somebody started by hand on the cluster is neither ended nor disturbed", async () => {
  const dataDir = await usedDataDir();
  const clusterDir = clusterDirectory(dataDir);
  const server = await start(dataDir);
  const [program] = (await readFile(`/proc/${server.pid()}/cmdline`, "utf8")).split("\0");
  await server.stop();
  if (program === undefined) throw new Error("no program");
  const { uid, gid } = await stat(clusterDir);
  const args = ["-D", "/proc/self/cwd", "-p", new URL(server.urls.reader).port, "-k", ""];
  const byHand = spawn(program, args, { cwd: clusterDir, uid, gid, env: {}, stdio: "ignore" });
  onTestFinished(() => {
    byHand.kill("SIGQUIT");
  });
  const ready = async () =>
    expect(await readPostmasterFile(clusterDir)).toEqual({ pid: byHand.pid, ready: true });
  await eventually(ready, 5000);
  await expect(start(dataDir)).rejects.toThrow(`did not start (process ${byHand.pid}) runs in ${clusterDir}`);
  await ready();
});

test("a stale postmaster.pid that names a stranger is removed, and the stranger lives", async () => {
  const dataDir = await usedDataDir();
  const owner = await startOwner(dataDir);
  const pidFile = join(clusterDirectory(dataDir), "postmaster.pid");
  const text = await readFile(pidFile, "utf8");
  await killOwner(owner);
  for (const pid of await serverOf(dataDir)) process.kill(pid, "SIGKILL");
  await eventually(async () => expect(await serverOf(dataDir)).toEqual([]), 2000);

  const stranger = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
  onTestFinished(() => {
    stranger.kill("SIGKILL");
  });
  await once(stranger, "spawn");
  await writeFile(pidFile, text.replace(/^\d+/, String(stranger.pid)));

  const server = await start(dataDir);
  expect(await sql(server.urls.reader, "SELECT 1")).toBe(1);
  expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
});

test("killed at any moment of the first start, the owner leaves nothing that hurts the next", async () => {
  // How long one takes is the machine's affair: the moments are shares of a whole one.
  const began = performance.now();
  await killOwner(await startOwner(await newDataDir()));
  const wholeMs = performance.now() - began;
  for (const share of [0.25, 0.5, 0.75, 0.95]) {
    const dataDir = await newDataDir();
    const owner = await startOwner(dataDir, { killAfterMs: wholeMs * share }).catch(() => undefined);
    if (owner) await killOwner(owner);
    const server = await start(dataDir);
    expect(await sql(server.urls.writer, "SELECT 1")).toBe(1);
    await server.stop();
  }
});
