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
  adminUrl: string;
  token: string;
  auditorToken: string;
  dataDir: string;
  /** Resident memory of the proxy process, bytes. */
  proxyPid: number;
  close(): Promise<void>;
}

export interface StageOptions {
  /** A data directory that `npm run seed` made, to be used as it is and left there. Default: a new one, removed in the end. */
  dataDir?: string | undefined;
  /** May write a history first, or change the configuration, while nothing runs on the data directory. */
  fill?: (configFile: string) => Promise<void>;
  /** Options for the Node that runs scimseal. */
  nodeOptions?: readonly string[];
}

/** Starts everything. */
export async function openStage({
  dataDir: given,
  fill,
  nodeOptions = [],
}: StageOptions = {}): Promise<Stage> {
  const children: ChildProcess[] = [];
  const dataDir = given ?? (await mkdtemp(join(tmpdir(), "scimseal-bench-")));
  const close = async () => {
    for (const child of children.reverse()) {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      if (child.exitCode === null && child.kill("SIGTERM")) await ended;
    }
    if (given === undefined) await rm(dataDir, { recursive: true, force: true });
  };
  try {
    const { url: target } = await start(children, ["bench/target.ts"]);
    const bare = await start(children, ["bench/bare.ts", target]);
    const { configFile, token, auditorToken } = await prepareDataDir(dataDir, target, "bench-target-token", {
      config: { log: { level: "info", format: "json" } },
    });
    await fill?.(configFile);
    const scim = await start(children, [...nodeOptions, "src/main.ts", "serve", "--config", configFile]);
    const proxyPid = children.at(-1)?.pid ?? 0;
    return {
      bareUrl: bare.url,
      auditedUrl: `${scim.url}/okta/scim/v2`,
      adminUrl: scim.adminUrl,
      token,
      auditorToken,
      dataDir,
      proxyPid,
      close,
    };
  } catch (cause) {
    await close();
    throw cause;
  }
}

/** Starts a part and waits for the line of JSON that holds its URLs. */
async function start(children: ChildProcess[], args: string[]): Promise<{ url: string; adminUrl: string }> {
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  if (!child.stdout) throw new Error("no output to read");
  const lines = createInterface({ input: child.stdout });
  return await new Promise((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`${args[0]} ended with ${code} before it was ready`)));
    lines.on("line", (line) => {
      const {
        url,
        scimUrl,
        adminUrl = "",
      } = JSON.parse(line) as Partial<Record<"url" | "scimUrl" | "adminUrl", string>>;
      const first = url ?? scimUrl;
      if (first !== undefined) resolve({ url: first, adminUrl });
    });
  });
}
