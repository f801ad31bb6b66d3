// A database that answers but does not keep: settings that give durability away, and a disk that is full.

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { clusterDirectory } from "../../src/storage/embedded/cluster.ts";
import { type EmbeddedPostgres, startEmbedded } from "../../src/storage/embedded/embedded.ts";
import { LedgerWriter } from "../../src/storage/writer/writer.ts";
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
  type TestLedger,
  until,
} from "../storage/writerHarness.ts";

/** The cluster of an embedded server under a postmaster of our own, without the settings that are pinned on its command line. */
async function startPlain(): Promise<TestDatabase> {
  const dataDir = await mkdtemp(join(tmpdir(), "scimseal-plain-"));
  const embedded = await startEmbedded({ dataDir, log: quiet });
  const [program = ""] = (await readFile(`/proc/${embedded.pid()}/cmdline`, "utf8")).split("\0");
  await embedded.stop();
  const cwd = clusterDirectory(dataDir);
  const { uid, gid } = await stat(cwd);
  const { port } = new URL(embedded.urls.reader);
  const args = ["-D", "/proc/self/cwd", "-p", port, "-k", "", "-c", "listen_addresses=127.0.0.1"];
  const server = spawn(program, args, { cwd, uid, gid, env: {}, stdio: "ignore" });
  const stop = async () => {
    if (server.exitCode === null && server.signalCode === null) {
      server.kill("SIGINT");
      await once(server, "exit");
    }
    await rm(dataDir, { recursive: true, force: true });
  };
  const answers = () => querySql(embedded.urls.superuser, "SELECT 1").then(Boolean, () => false);
  await until(answers, "PostgreSQL answers", 15_000);
  return { urls: embedded.urls, pid: () => server.pid, stop, dataDir };
}

let database: TestDatabase;
beforeAll(async () => {
  database = await startPlain();
});
afterAll(() => database.stop());

async function configure(ledger: TestLedger, statement: string): Promise<void> {
  await ledger.sql(statement);
  await ledger.sql("SELECT pg_reload_conf()");
}

// case 75
test("a setting that gives durability away makes it unready within 10 s, refuses a start, and is named; undone, it is ready", async () => {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  await passOne(writer);
  const weakenings: [string, string][] = [
    ["fsync", "ALTER SYSTEM SET fsync = off"],
    ["full_page_writes", "ALTER SYSTEM SET full_page_writes = off"],
    ["synchronous_commit", "ALTER SYSTEM SET synchronous_commit = off"],
    ["synchronous_commit", "ALTER SYSTEM SET synchronous_commit = local"],
    ["synchronous_commit", "ALTER SYSTEM SET synchronous_commit = remote_write"],
  ];
  for (const [setting, weaken] of weakenings) {
    await configure(ledger, weaken);
    await until(() => !writer.status.ready, `unready after ${weaken}`, 10_000);
    expect(writer.status).toMatchObject({ code: "not_durable", detail: expect.stringContaining(setting) });
    expect(await fateOf(writer.append(intentDraft()))).toBe("not_durable");
    const start = new LedgerWriter(ledger.options()).start();
    await expect(start).rejects.toThrow(`set ${setting} = on`);
    await configure(ledger, "ALTER SYSTEM RESET ALL");
    await until(() => writer.status.ready, "ready again");
    await passOne(writer);
  }
  await expectSound(ledger);
});

// case 75
test("a ledger that demands a standby does not start where it is not named, or named but not there", async () => {
  const ledger = await makeLedger(database);
  onTestFinished(() => configure(ledger, "ALTER SYSTEM RESET ALL"));
  const demanding = { database: { ...ledger.address, requireSync: ["standby_b"] } };
  await expect(new LedgerWriter(ledger.options(demanding)).start()).rejects.toThrow("standby_b");
  await configure(ledger, "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (standby_a, \"standby_b\")'");
  // Named but not there: nothing is promised as replicated that is not, and that includes the start.
  await sleep(200);
  const start = new LedgerWriter(ledger.options({ ...demanding, appendDeadlineMs: 300 })).start();
  await expect(start).rejects.toThrow(/did not answer|may not be replicated/);
  await configure(ledger, "ALTER SYSTEM SET synchronous_standby_names = 'standby_bb'");
  await sleep(200);
  await expect(new LedgerWriter(ledger.options(demanding)).start()).rejects.toThrow(
    "does not name standby_b,",
  );
});

// PostgreSQL answers a cancelled wait for a standby with success and a WARNING.
test("a cancelled wait for a synchronous standby is no proof, although PostgreSQL answers success", async () => {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  await passOne(writer);
  onTestFinished(() => configure(ledger, "ALTER SYSTEM RESET ALL"));
  await configure(ledger, "ALTER SYSTEM SET synchronous_standby_names = 'ghost'");
  await sleep(300);
  const draft = intentDraft();
  const fate = fateOf(writer.append(draft));
  const cancel = "SELECT pg_cancel_backend(pid) AS done FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
  await until(async () => (await querySql(database.urls.superuser, cancel)).length > 0, "cancelled", 1_500);
  expect(await fate).toBe("not_durable");
  await until(() => !writer.status.ready, "unready");
  expect((await outcomesOf(ledger)).get(draft.body.txn)).toEqual([]);
  await configure(ledger, "ALTER SYSTEM RESET ALL");
  await until(async () => (await outcomesOf(ledger)).get(draft.body.txn)?.length === 1, "closed", 10_000);
  expect((await outcomesOf(ledger)).get(draft.body.txn)).toEqual(["not_sent/append_unproved"]);
  await expectSound(ledger);
});

// case 75: the role's own setting is stronger than the server's command line
test("synchronous_commit switched off for the writer's role alone is noticed at its next session, and refuses a start", async () => {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  await passOne(writer);
  await ledger.sql("ALTER ROLE scimseal_writer SET synchronous_commit = off");
  await ledger.sql(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'scimseal_writer'",
  );
  await until(() => !writer.status.ready && writer.status.code === "not_durable", "unready");
  await expect(new LedgerWriter(ledger.options()).start()).rejects.toThrow("synchronous_commit is off");
  await ledger.sql("ALTER ROLE scimseal_writer RESET synchronous_commit");
  await until(() => writer.status.ready, "ready again");
  await passOne(writer);
  await expectSound(ledger);
});

interface Disk {
  database: TestDatabase;
  fill(): Promise<void>;
  free(): Promise<void>;
}

/** A small file system of our own; where none may be mounted, inserts that fail as they would on a full disk. */
async function smallDisk(): Promise<Disk> {
  const dataDir = await mkdtemp(join(tmpdir(), "scimseal-disk-"));
  const isMounted =
    spawnSync("mount", ["-t", "tmpfs", "-o", "size=160m,mode=0700", "none", dataDir]).status === 0;
  let server: EmbeddedPostgres | undefined;
  onTestFinished(async () => {
    await server?.stop();
    if (isMounted) spawnSync("umount", ["-l", dataDir]);
    await rm(dataDir, { recursive: true, force: true });
  });
  server = await startEmbedded({ dataDir, log: quiet });
  const database = { ...server, dataDir };
  const filler = join(dataDir, "filler");
  if (isMounted) {
    return {
      database,
      fill: async () => {
        const block = Buffer.alloc(1024 * 1024, 1);
        for (;;) {
          try {
            await writeFile(filler, block, { flag: "a" });
          } catch (cause) {
            if (cause instanceof Error && "code" in cause && cause.code === "ENOSPC") return;
            throw cause;
          }
        }
      },
      free: () => rm(filler),
    };
  }
  return {
    database,
    fill: () =>
      runSql(
        database.urls.superuser,
        `CREATE FUNCTION public.full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$;
         DO $$ DECLARE t regclass; BEGIN FOR t IN SELECT oid FROM pg_class WHERE relname = 'entry_000000' LOOP
           EXECUTE format('CREATE TRIGGER full_disk BEFORE INSERT ON %s FOR EACH STATEMENT EXECUTE FUNCTION public.full_disk()', t);
         END LOOP; END $$`,
      ),
    free: () => runSql(database.urls.superuser, "DROP FUNCTION public.full_disk() CASCADE"),
  };
}

// case 77
test.for(["data", "WAL"])(
  "a disk full for %s: refused, nothing promised is lost, and with space again it resumes",
  async (what) => {
    const disk = await smallDisk();
    const ledger = await makeLedger(disk.database);
    const writer = await ledger.writer();
    const intent = await writer.append(intentDraft());
    await disk.fill();
    // A new WAL segment is needed at once: PostgreSQL stops itself rather than lose a record.
    if (what === "WAL")
      await runSql(disk.database.urls.superuser, "SELECT pg_switch_wal()").catch(() => undefined);
    const promised = new Map<string, string>();
    for (let i = 0; i < 400; i++) {
      const draft = intentDraft(undefined, "x".repeat(20_000));
      const fate = await fateOf(writer.append(draft));
      promised.set(draft.body.txn, fate);
      if (fate !== "recorded") break;
    }
    expect([...promised.values()].at(-1)).toMatch(/^database_(error|unreachable|slow)$/);
    await until(() => !writer.status.ready, "unready");
    expect(await fateOf(writer.append(outcomeDraft(intent)))).toMatch(/^database_/);
    await disk.free();
    await until(() => writer.status.ready, "ready again", 20_000);
    const txn = await passOne(writer);
    const stored = await outcomesOf(ledger);
    expect(stored.get(txn)).toEqual(["answered"]);
    for (const [name, fate] of promised) {
      if (fate === "recorded") expect(stored.get(name)).toEqual([]);
      else expect([undefined, ["not_sent/append_unproved"]]).toContainEqual(stored.get(name));
    }
    await until(async () => (await outcomesOf(ledger)).get(intent.draft.body.txn)?.length === 1, "closed");
    expect((await outcomesOf(ledger)).get(intent.draft.body.txn)).toEqual(["unknown/outcome_not_recorded"]);
    expect((await ledger.verify()).findings).toEqual([]);
  },
);
