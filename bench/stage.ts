// The benchmark's stage: every part in a process of its own, as in life, on one machine: the light target, the bare
// proxy, scimseal with durable, signed entries on the embedded PostgreSQL.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { prepareDataDir } from "../test/support/system.ts";

export interface Stage {
  bareUrl: string;
  auditedUrl: string;
  token: string;
  dataDir: string;
  /** Resident memory of the proxy process, bytes. */
  proxyPid: number;
  close(): Promise<void>;
}

export async function openStage(): Promise<Stage> {
  const children: ChildProcess[] = [];
  const dataDir = await mkdtemp(join(tmpdir(), "scimseal-bench-"));
  const close = async () => {
    for (const child of children.reverse()) {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      if (child.exitCode === null && child.kill("SIGTERM")) await ended;
    }
    await rm(dataDir, { recursive: true, force: true });
  };
  try {
    const target = await start(children, ["bench/target.ts"]);
    const bare = await start(children, ["bench/bare.ts", target]);
    const { configFile, token } = await prepareDataDir(dataDir, target, "bench-target-token", {
      config: { log: { level: "info", format: "json" } },
    });
    const scim = await start(children, ["src/main.ts", "serve", "--config", configFile]);
    const proxyPid = children.at(-1)?.pid ?? 0;
    return { bareUrl: bare, auditedUrl: `${scim}/okta/scim/v2`, token, dataDir, proxyPid, close };
  } catch (cause) {
    await close();
    throw cause;
  }
}

/** Starts a part and waits for the line of JSON that holds its URL. */
async function start(children: ChildProcess[], args: string[]): Promise<string> {
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  if (!child.stdout) throw new Error("no output to read");
  const lines = createInterface({ input: child.stdout });
  return await new Promise((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`${args[0]} ended with ${code} before it was ready`)));
    lines.on("line", (line) => {
      const { url, scimUrl } = JSON.parse(line) as { url?: string; scimUrl?: string };
      if (url ?? scimUrl) resolve(url ?? scimUrl ?? "");
    });
  });
}
