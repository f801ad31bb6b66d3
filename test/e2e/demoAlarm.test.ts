// The demonstration after somebody edited an old entry: what is open is said where a newcomer looks next: in the answer to
// a write, by `doctor`, by the next start; and the way back to writes is printed, and works.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DemoFile } from "../../src/cli/demo/demo.ts";
import { parseVerifierKey } from "../../src/ledger/note/verifierKey.ts";
import { run } from "./program.ts";

let dataDir: string;
let demo: DemoFile;
let running: ChildProcess | undefined;
let printed = "";
let edited = -1;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "scimseal-demo-alarm-"));
  demo = await start();
});
afterAll(async () => {
  await end();
  await rm(dataDir, { recursive: true, force: true });
});

async function start(): Promise<DemoFile> {
  printed = "";
  const child = spawn(
    process.execPath,
    ["bin/scimseal.js", "demo", "--data-dir", dataDir, "--scim-port", "0", "--admin-port", "0"],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  running = child;
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk) => {
      printed += String(chunk);
    });
  }
  for (let tries = 0; tries < 600 && !printed.includes("Ctrl-C stops everything"); tries++) {
    if (child.exitCode !== null)
      throw new Error(`the demonstration ended with ${child.exitCode}: ${printed}`);
    await sleep(50);
  }
  return JSON.parse(await readFile(join(dataDir, "demo.json"), "utf8")) as DemoFile;
}

async function end(): Promise<void> {
  const child = running;
  if (!child || child.exitCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await ended;
}

async function create(userName: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`${demo.scimBaseUrl}/Users`, {
    method: "POST",
    headers: { authorization: `Bearer ${demo.clientToken}`, "content-type": "application/scim+json" },
    body: JSON.stringify({ schemas: ["urn:ietf:params:scim:schemas:core:2.0:User"], userName, active: true }),
  });
  return { status: response.status, text: await response.text() };
}

test("it prints the pinned key with its file, and a line that shows the newest change by name", async () => {
  const [, vkey = "", file = ""] = /^Pinned key (\S+) {3}\(file (\S+)\)$/m.exec(printed) ?? [];
  expect(file).toBe(join(dataDir, "keys/main.genesis.pub.jwk"));
  const { x } = JSON.parse(await readFile(file, "utf8")) as { x: string };
  expect(parseVerifierKey(vkey)).toMatchObject({ publicKey: Uint8Array.from(Buffer.from(x, "base64url")) });
  expect((await create("shown.by.name@example.com")).status).toBe(201);
  const [, url = "", token = ""] =
    /curl -sS '(\S+transactions\S+)' -H 'Authorization: (.+)'/.exec(printed) ?? [];
  const newest = async () => (await fetch(url, { headers: { authorization: token } })).text();
  await expect.poll(newest, { timeout: 10_000 }).toContain("shown.by.name@example.com");
  expect((await newest()).length).toBeLessThan(1_000);
});

test("doctor finds the whole demonstration well, and after a rotation the new key too", async () => {
  const before = await run("doctor", "--data-dir", dataDir);
  expect(before.text).toContain("ledger main: alarms: none is open");
  expect(before.code).toBe(0);
  const rotated = await run("keys", "rotate", "--config", join(dataDir, "scimseal.yaml"), "--ledger", "main");
  expect(rotated.code).toBe(0);
  const after = await run("doctor", "--data-dir", dataDir);
  expect(after.text).toMatch(
    /ok {4}ledger main: keys: signs with \S+, which the pinned key's rotation at entry \d+/,
  );
  expect(after.text).toContain("0 failed, 0 with a warning");
});

test("an edit that can be read is a bad signature, and its consequences are one line of verify's report", async () => {
  const { code, text } = await run("demo", "tamper", "--data-dir", dataDir);
  expect(code).toBe(0);
  edited = Number(/ALARM after \S+ s: signature_invalid at entry (\d+)/.exec(text)?.[1]);
  expect(text).toMatch(/was "(okta|entra)-demo", and reads "(okta|entra)-dema" now/);
  const verified = await run("verify", "--data-dir", dataDir);
  expect(verified.code).toBe(1);
  expect(verified.text).toContain(`entry ${edited}: signature_invalid`);
  const mismatches = verified.text.split("\n").filter((line) => line.includes("checkpoint_mismatch"));
  expect(mismatches).toEqual([expect.stringMatching(/; and \d+ more checkpoint\(s\) no longer match/)]);
  const { findings } = JSON.parse((await run("verify", "--data-dir", dataDir, "--json")).text) as {
    findings: { code: string }[];
  };
  expect(findings.filter(({ code }) => code === "checkpoint_mismatch").length).toBeGreaterThan(1);
});

test("a write is refused with the reason, and doctor fails and names the alarm", async () => {
  const { status, text } = await create("refused@example.com");
  expect(status).toBe(503);
  const { detail } = JSON.parse(text) as { detail: string };
  expect(detail).toMatch(/^ledger_unavailable: .*alarm about the ledger is open/);
  expect(detail).not.toContain("Retry later");
  const doctor = await run("doctor", "--data-dir", dataDir);
  expect(doctor.code).toBe(1);
  expect(doctor.text).toMatch(
    new RegExp(
      `fail {2}ledger main: alarms: open: .*signature_invalid at entry ${edited} \\(alarm \\S+\\).*; writes are refused`,
    ),
  );
  expect(doctor.text).toContain("doctor --acknowledge --config");
});

test("the next start says that it is broken and how to go on, and plays no day into it", async () => {
  await end();
  demo = await start();
  expect(printed).toContain(`Ledger main is BROKEN at #${edited} (`);
  expect(printed).toContain(`npx scimseal doctor --acknowledge --data-dir ${dataDir}`);
  expect(printed).toContain(`rm -rf ${dataDir}`);
  expect(printed).toContain("The day is not played.");
  expect(printed).not.toContain("A day of provisioning");
  expect(printed).not.toContain("not the expected ones");
});

test("doctor --acknowledge waits until writes are taken, and says so truly", async () => {
  const { code, text } = await run("doctor", "--acknowledge", "--data-dir", dataDir);
  expect(code).toBe(0);
  expect(text).toContain(`Writes are taken again, says the instance at ${demo.adminUrl}/readyz.`);
  expect((await create("taken.again@example.com")).status).toBe(201);
});

test("a port that is taken is named, with the flags that take free ones", async () => {
  const listener = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => listener.once("listening", resolve));
  const address = listener.address();
  const port = String(typeof address === "object" ? address?.port : "");
  await end();
  try {
    const { code, text } = await run("demo", "--data-dir", dataDir, "--scim-port", port, "--admin-port", "0");
    expect(code).toBe(2);
    expect(text).toContain(
      `cannot listen on 127.0.0.1:${port}: the port is taken; end what listens there, or take`,
    );
    expect(text).toContain("npm start -- --scim-port 0 --admin-port 0");
    await writePort(port);
    const served = await run("serve", "--config", join(dataDir, "scimseal.yaml"));
    expect(served.text).toContain("the port is taken; end what listens there, or set scim.listen.port");
  } finally {
    listener.close();
  }
});

/** The start that failed wrote the port into the configuration already; this makes sure of it. */
async function writePort(port: string): Promise<void> {
  expect(await readFile(join(dataDir, "scimseal.yaml"), "utf8")).toContain(`port: ${port}`);
}
