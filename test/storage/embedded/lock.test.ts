// The lock of a data directory: one living owner; the dead, and strangers with a dead owner's pid, do not count.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { lockDataDirectory, lockOwner, processStart } from "../../../src/storage/embedded/lock.ts";
import { newDataDir } from "./harness.ts";

test("a held lock refuses the next, names its owner, and is free after release", async () => {
  const dataDir = await newDataDir();
  expect(await lockOwner(dataDir)).toBeUndefined();
  const lock = await lockDataDirectory(dataDir);
  expect(await lockOwner(dataDir)).toBe(process.pid);
  await expect(lockDataDirectory(dataDir)).rejects.toThrow(`${dataDir} is in use by process ${process.pid}`);
  await lock.release();
  await lock.release();
  expect(await readdir(dataDir)).toEqual([]);
});

test("the lock of a living process is respected; the same lock is taken over once that process is dead", async () => {
  const dataDir = await newDataDir();
  const other = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
  onTestFinished(() => {
    other.kill("SIGKILL");
  });
  await once(other, "spawn");
  if (other.pid === undefined) throw new Error("no process");
  await writeFile(
    join(dataDir, "lock.json"),
    JSON.stringify({ pid: other.pid, started: processStart(other.pid) }),
  );
  await expect(lockDataDirectory(dataDir)).rejects.toThrow(`in use by process ${other.pid}`);
  other.kill("SIGKILL");
  await once(other, "exit");
  expect(await lockOwner(dataDir)).toBeUndefined();
  await (await lockDataDirectory(dataDir)).release();
});

test.for([
  ["a pid that another program has now", JSON.stringify({ pid: process.pid, started: "another-boot:1" })],
  ["text that is no lock", '{"pid":'],
  ["nothing", ""],
] as const)("a lock file that holds %s is taken over", async ([_what, text]) => {
  if (process.platform !== "linux") return; // without start times a reused pid cannot be told
  const dataDir = await newDataDir();
  await writeFile(join(dataDir, "lock.json"), text);
  const lock = await lockDataDirectory(dataDir);
  expect(await lockOwner(dataDir)).toBe(process.pid);
  await lock.release();
});

test("of many that find the same stale lock at once, exactly one gets it", async () => {
  for (let round = 0; round < 20; round++) {
    const dataDir = await newDataDir();
    await writeFile(join(dataDir, "lock.json"), JSON.stringify({ pid: 999_999_999, started: "gone" }));
    const tries = await Promise.allSettled(Array.from({ length: 8 }, () => lockDataDirectory(dataDir)));
    expect(tries.filter((one) => one.status === "fulfilled")).toHaveLength(1);
    expect(JSON.parse(await readFile(join(dataDir, "lock.json"), "utf8"))).toMatchObject({
      pid: process.pid,
    });
    expect(await readdir(dataDir)).toEqual(["lock.json"]);
  }
});
