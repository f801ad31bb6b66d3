// The embedded PostgreSQL's ordinary life: first start, later starts, roles, second owner, beside-the-owner use.

import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openEmbedded, startEmbedded } from "../../../src/storage/embedded/embedded.ts";
import { newDataDir, recordingLog, sql, start, startOwner, usedDataDir } from "./harness.ts";

test("the first start makes a durable server with four roles, and passwords that only this user can read", async () => {
  const dataDir = await newDataDir();
  const { urls } = await start(dataDir);

  expect(await sql(urls.superuser, "SELECT current_user || '@' || current_database()")).toBe(
    "postgres@scimseal",
  );
  expect(await sql(urls.owner, "SELECT current_user")).toBe("scimseal_owner");
  expect(await sql(urls.writer, "SELECT current_user")).toBe("scimseal_writer");
  expect(await sql(urls.reader, "SELECT current_user")).toBe("scimseal_reader");
  for (const name of ["fsync", "full_page_writes", "synchronous_commit", "data_checksums"]) {
    expect([name, await sql(urls.superuser, `SHOW ${name}`)]).toEqual([name, "on"]);
  }
  expect(await sql(urls.superuser, "SHOW listen_addresses")).toBe("127.0.0.1");
  expect((await stat(join(dataDir, "postgres.json"))).mode & 0o777).toBe(0o600);
});

test("roles can do nothing that nobody granted, and no one gets in with another's password", async () => {
  const { urls } = await start(await usedDataDir());
  await sql(urls.owner, "CREATE TABLE proof (seq bigint)");
  for (const url of [urls.writer, urls.reader]) {
    await expect(sql(url, "SELECT * FROM proof")).rejects.toThrow("permission denied");
    await expect(sql(url, "CREATE TABLE mine (x int)")).rejects.toThrow("permission denied");
    await expect(sql(url, "CREATE TEMP TABLE mine (x int)")).rejects.toThrow("permission denied");
    await expect(sql(url.replace(/scimseal$/, "postgres"), "SELECT 1")).rejects.toThrow("permission denied");
    await expect(sql(url, "ALTER SYSTEM SET fsync = off")).rejects.toThrow("permission denied");
  }
  const stolen = urls.superuser.replace(/:[^:@]+@/, `:${new URL(urls.reader).password}@`);
  await expect(sql(stolen, "SELECT 1")).rejects.toThrow("password authentication failed");
  await expect(sql(urls.reader.replace(/:[^:@]+@/, "@"), "SELECT 1")).rejects.toThrow("password");
});

test("a restart keeps the data, the port and the passwords; a stopped server leaves no lock and no process", async () => {
  const dataDir = await usedDataDir();
  const first = await start(dataDir);
  await sql(first.urls.owner, "CREATE TABLE kept AS SELECT 42 AS answer");
  await Promise.all([first.stop(), first.stop()]);
  expect(first.pid()).toBeUndefined();
  expect((await readdir(dataDir)).sort()).toEqual(["postgres", "postgres.json", "postgres.log"]);

  const began = performance.now();
  const second = await start(dataDir);
  expect(performance.now() - began).toBeLessThan(3000);
  expect(second.urls).toEqual(first.urls);
  expect(await sql(second.urls.owner, "SELECT answer FROM kept")).toBe(42);
});

test("a port taken by something else is given up for another, which is kept from then on", async () => {
  const dataDir = await usedDataDir();
  const first = await start(dataDir);
  await first.stop();
  const port = Number(new URL(first.urls.reader).port);
  const stranger = createServer();
  await new Promise<void>((resolve) => stranger.listen(port, "127.0.0.1", resolve));
  try {
    const refused = startEmbedded({ dataDir, port, log: recordingLog() });
    await expect(refused).rejects.toThrow(`port ${port} for the embedded PostgreSQL is taken`);
    const second = await start(dataDir);
    expect(new URL(second.urls.reader).port).not.toBe(String(port));
    expect(await sql(second.urls.reader, "SELECT 1")).toBe(1);
    await second.stop();
    expect((await start(dataDir)).urls).toEqual(second.urls);
  } finally {
    await new Promise((resolve) => stranger.close(resolve));
  }
});

test("settings are passed on, and the log shows no data of a failed statement", async () => {
  const dataDir = await usedDataDir();
  const server = await startEmbedded({ dataDir, log: recordingLog(), settings: { work_mem: "7MB" } });
  try {
    expect(await sql(server.urls.superuser, "SHOW work_mem")).toBe("7MB");
    const statement = "SELECT 1/(length('alice@example.com') - 17)";
    await expect(sql(server.urls.reader, statement)).rejects.toThrow("division by zero");
    await sql(server.urls.owner, "CREATE TABLE person (name text UNIQUE)");
    const insert = "INSERT INTO person VALUES ('bob@example.com'), ('bob@example.com')";
    await expect(sql(server.urls.owner, insert)).rejects.toThrow("duplicate key");
  } finally {
    await server.stop();
  }
  const log = await readFile(join(dataDir, "postgres.log"), "utf8");
  expect(log).toContain("division by zero");
  expect(log).not.toContain("example.com");
});

test("what an interrupted first start left is removed", async () => {
  const dataDir = await newDataDir();
  await mkdir(join(dataDir, "postgres.new-0badcafe", "base"), { recursive: true });
  await writeFile(join(dataDir, "postgres.new-0badcafe", "PG_VERSION"), "18\n");
  await writeFile(join(dataDir, "postgres.json.tmp"), '{"version"');
  const { urls } = await start(dataDir);
  expect(await sql(urls.reader, "SELECT 1")).toBe(1);
  expect((await readdir(dataDir)).sort()).toEqual(["lock.json", "postgres", "postgres.json", "postgres.log"]);
});

test("a second owner is refused by name, in this process and from another", async () => {
  const dataDir = await usedDataDir();
  const { urls } = await start(dataDir);
  const refusal = `data directory ${dataDir} is in use by process ${process.pid}; stop it or choose another --data-dir`;
  await expect(startEmbedded({ dataDir, log: recordingLog() })).rejects.toThrow(refusal);
  await expect(startOwner(dataDir)).rejects.toThrow(refusal);
  expect(await sql(urls.reader, "SELECT 1")).toBe(1);
});

test("openEmbedded uses a living owner's server and leaves it running; without one it starts and stops its own", async () => {
  const dataDir = await newDataDir();
  await expect(openEmbedded({ dataDir, log: recordingLog() })).rejects.toThrow("holds no embedded database");

  const server = await start(dataDir);
  const beside = await openEmbedded({ dataDir, log: recordingLog() });
  expect(beside.urls).toEqual(server.urls);
  await beside.close();
  expect(await sql(server.urls.reader, "SELECT 1")).toBe(1);
  await server.stop();

  const own = await openEmbedded({ dataDir, log: recordingLog() });
  expect(await sql(own.urls.reader, "SELECT 1")).toBe(1);
  await own.close();
  await expect(sql(own.urls.reader, "SELECT 1")).rejects.toThrow("ECONNREFUSED");
});

test("a lost or damaged postgres.json is an error that says what to do, and quotes nothing of it", async () => {
  const dataDir = await usedDataDir();
  await (await start(dataDir)).stop();
  const path = join(dataDir, "postgres.json");
  const text = await readFile(path, "utf8");
  await writeFile(path, text.replace('"version": 1', '"version": "secret"'));
  const damaged = await startEmbedded({ dataDir, log: recordingLog() }).catch((error: unknown) => error);
  expect(String(damaged)).toMatch(/postgres\.json is damaged; restore it/);
  expect(String(damaged)).not.toContain("secret");
  await writeFile(path, text);
  expect(await sql((await start(dataDir)).urls.reader, "SELECT 1")).toBe(1);
});
