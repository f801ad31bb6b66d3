// `npm start` as its users meet it: a process that gets ready, plays the day, tells how to go on, stops on a signal and
// survives being killed.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { run } from "./program.ts";

interface DemoFile {
  scimBaseUrl: string;
  clientToken: string;
  adminUrl: string;
  auditorToken: string;
  targetUrl: string;
  targetToken: string;
  databaseUrl: string;
  databaseSuperuserUrl: string;
}

let dataDir: string;
let running: ChildProcess | undefined;
let printed = "";

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "scimseal-demo-"));
});
afterAll(async () => {
  if (running?.exitCode === null) await end("SIGTERM");
  await rm(dataDir, { recursive: true, force: true });
});

async function start(...flags: string[]): Promise<DemoFile> {
  printed = "";
  const child = spawn(
    process.execPath,
    ["bin/scimseal.js", "demo", "--data-dir", dataDir, "--scim-port", "0", "--admin-port", "0", ...flags],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  running = child;
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk) => {
      printed += String(chunk);
    });
  }
  for (let tries = 0; tries < 400 && !printed.includes("Ctrl-C stops everything"); tries++) {
    if (child.exitCode !== null)
      throw new Error(`the demonstration ended with ${child.exitCode}: ${printed}`);
    await sleep(50);
  }
  expect(printed).toContain("Ctrl-C stops everything");
  return JSON.parse(await readFile(join(dataDir, "demo.json"), "utf8")) as DemoFile;
}

async function end(signal: NodeJS.Signals): Promise<number | null> {
  const child = running;
  if (!child) return null;
  const code = new Promise<number | null>((resolve) => child.once("exit", resolve));
  child.kill(signal);
  return await code;
}

async function verify(): Promise<{ ok: boolean; size: number; findings: { seq: number }[] }> {
  const { text } = await run("verify", "--data-dir", dataDir, "--json");
  return JSON.parse(text) as { ok: boolean; size: number; findings: { seq: number }[] };
}

function create(demo: DemoFile, userName: string): Promise<Response> {
  return fetch(`${demo.scimBaseUrl}/Users`, {
    method: "POST",
    headers: { authorization: `Bearer ${demo.clientToken}`, "content-type": "application/scim+json" },
    body: JSON.stringify({ schemas: ["urn:ietf:params:scim:schemas:core:2.0:User"], userName, active: true }),
  });
}

test("it plays the day, tells how to go on, and the ledger verifies while it runs", async () => {
  const demo = await start();
  expect(printed).toContain("Every answer was the expected one.");
  expect(printed).toContain(demo.scimBaseUrl);
  expect((await stat(join(dataDir, "demo.json"))).mode & 0o077).toBe(0);
  const before = await verify();
  expect(before.ok).toBe(true);

  const curl = /^ {2}(curl -sS -X POST .*)$/m.exec(printed)?.[1];
  const [, token] = /Authorization: Bearer (\S+)'/.exec(curl ?? "") ?? [];
  const [, body = ""] = /-d '([^']+)'/.exec(curl ?? "") ?? [];
  expect(token).toBe(demo.clientToken);
  const answer = await create(demo, (JSON.parse(body) as { userName: string }).userName);
  expect(answer.status).toBe(201);
  expect(await verify()).toMatchObject({ ok: true, size: before.size + 2 });
});

test("a second one on the same directory is refused and disturbs nothing", async () => {
  const second = await run("demo", "--data-dir", dataDir, "--scim-port", "0", "--admin-port", "0");
  expect(second.code).toBe(2);
  expect(second.text).toMatch(/process \d+ runs on .* already/);
  const demo = JSON.parse(await readFile(join(dataDir, "demo.json"), "utf8")) as DemoFile;
  expect((await create(demo, "still.here@example.com")).status).toBe(201);
});

test("a rotated key is taken up by the living instance, and the first pinned key still verifies everything", async () => {
  // case 66
  const demo = JSON.parse(await readFile(join(dataDir, "demo.json"), "utf8")) as DemoFile;
  const rotated = await run("keys", "rotate", "--config", join(dataDir, "scimseal.yaml"), "--ledger", "main");
  expect(rotated.text).toContain("is signed by");
  expect((await create(demo, "after.rotation@example.com")).status).toBe(201);
  expect(await verify()).toMatchObject({ ok: true, findings: [] });
  const exported = join(dataDir, "export.jws");
  expect((await run("export", "--leaves", "--data-dir", dataDir, "--out", exported)).code).toBe(0);
  const key = join(dataDir, "keys/main.genesis.pub.jwk");
  expect((await run("verify", "--export", exported, "--key", key)).text).toMatch(/^OK: /);
});

test("an interrupt stops everything, and at rest the ledger can still be verified", async () => {
  expect(await end("SIGINT")).toBe(0);
  await expect(stat(join(dataDir, "demo.json"))).rejects.toThrow();
  expect(await verify()).toMatchObject({ ok: true });
});

test("below npm a signal for npm stops it, and one that arrives twice is one", async () => {
  const manifest = JSON.parse(await readFile("package.json", "utf8")) as { scripts: { start: string } };
  const flags = ["--no-traffic", "--data-dir", dataDir, "--scim-port", "0", "--admin-port", "0"];
  // What npm does: a shell that runs the script; the signal is sent to that shell.
  const shell = spawn("/bin/sh", ["-c", `${manifest.scripts.start} "$@"`, "sh", ...flags], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, PATH: `${join(process.execPath, "..")}:${process.env.PATH}` },
  });
  let text = "";
  shell.stdout.on("data", (chunk) => {
    text += String(chunk);
  });
  for (let tries = 0; tries < 400 && !text.includes("Ctrl-C stops everything"); tries++) await sleep(50);
  const code = new Promise<number | null>((resolve) => shell.once("exit", resolve));
  shell.kill("SIGINT");
  shell.kill("SIGINT");
  expect(await code).toBe(0);
  expect(await verify()).toMatchObject({ ok: true });
});

test("killed outright it leaves nothing that the next start cannot take over", async () => {
  const killed = await start("--no-traffic");
  await create(killed, "before.the.end@example.com");
  await end("SIGKILL");
  const again = await start("--no-traffic");
  expect(again.clientToken).toBe(killed.clientToken);
  expect((await create(again, "after.the.end@example.com")).status).toBe(201);
  expect(await verify()).toMatchObject({ ok: true });
  expect(await end("SIGTERM")).toBe(0);
});

test("an export that was shortened in the middle is found out", async () => {
  const lines = (await readFile(join(dataDir, "export.jws"), "utf8")).trimEnd().split("\n");
  const cut = join(dataDir, "cut.jws");
  await writeFile(cut, `${lines.toSpliced(7, 1).join("\n")}\n`);
  const report = await run("verify", "--export", cut, "--key", join(dataDir, "keys/main.genesis.pub.jwk"));
  expect(report.code).toBe(1);
  expect(report.text).toContain("entry 7: seq_mismatch");
});
