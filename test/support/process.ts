// A system of processes: `scimseal serve` in one, its target in another, so that each can be killed alone, the hard way.
// The database is the embedded one of the proxy's data directory, or one that the test runs itself (for two proxies).
// Every process that was started here is gone after `stop`, whatever the test did.

import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { JournalLine } from "../../src/demo/journal.ts";
import { clusterDirectory, hasCluster } from "../../src/storage/embedded/cluster.ts";
import { killServer, serverMark } from "../../src/storage/embedded/processes.ts";
import { prepareDataDir, type SystemOptions } from "./system.ts";

const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
const TARGET = fileURLToPath(new URL("../../src/demo/target.ts", import.meta.url));

/** A running proxy process. */
export interface ProxyProcess {
  readonly pid: number;
  /** Base URL of connector `okta`. */
  readonly baseUrl: string;
  readonly adminUrl: string;
  /** Its log so far, JSON lines. */
  logs(): string;
  /** Sends a signal; resolves with the exit status, or the signal that ended it. */
  end(signal: NodeJS.Signals): Promise<number | NodeJS.Signals>;
}

/** A target process and what proxies need to be started in front of it. */
export interface ProcessSystem {
  readonly dataDir: string;
  readonly token: string;
  readonly targetUrl: string;
  /** Starts a proxy on the data directory, or on another copy of it made by `copyDataDir`. Rejects with its log if it ends. */
  startProxy(dataDir?: string): Promise<ProxyProcess>;
  /** The same keys, tokens and configuration in a directory of its own: a second instance on another machine. */
  copyDataDir(): Promise<string>;
  /** What arrived at the target, from its journal file. */
  journal(): Promise<JournalLine[]>;
  /** Ends every process and removes the directories. */
  stop(): Promise<void>;
}

/** Prepares the data directory and starts the target. */
export async function startProcessSystem(options: SystemOptions = {}): Promise<ProcessSystem> {
  const dataDir = await mkdtemp(join(tmpdir(), "scimseal-process-"));
  const directories = [dataDir];
  const children: ChildProcess[] = [];
  const targetToken = randomBytes(32).toString("base64url");
  const tokenFile = join(dataDir, "target-own-token");
  const journalFile = join(dataDir, "target-journal.ndjson");
  await writeFile(tokenFile, targetToken, { mode: 0o600 });
  const target = spawn(
    process.execPath,
    [TARGET, "--port", "0", "--token-file", tokenFile, "--journal", journalFile],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  children.push(target);
  const { url: targetUrl } = await firstLine<{ url: string }>(target, (line) => "url" in line);
  const { token, configFile } = await prepareDataDir(dataDir, targetUrl, targetToken, options);

  async function startProxy(directory = dataDir): Promise<ProxyProcess> {
    const child = spawn(
      process.execPath,
      [MAIN, "serve", "--config", configFile.replace(dataDir, directory)],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    children.push(child);
    let logged = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      logged += chunk.toString();
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      logged += chunk.toString();
    });
    const ready = await firstLine<{ scimUrl: string; adminUrl: string }>(
      child,
      (line) => line.msg === "scimseal is ready",
    ).catch((cause: unknown) => {
      throw new Error(`the proxy did not start:\n${logged}`, { cause });
    });
    return {
      pid: child.pid ?? 0,
      baseUrl: `${ready.scimUrl}/okta/scim/v2`,
      adminUrl: ready.adminUrl,
      logs: () => logged,
      end: async (signal) => {
        const ended = child.exitCode ?? child.signalCode;
        if (ended !== null) return ended;
        child.kill(signal);
        await once(child, "exit");
        return child.exitCode ?? child.signalCode ?? 0;
      },
    };
  }

  return {
    dataDir,
    token,
    targetUrl,
    startProxy,
    copyDataDir: async () => {
      const copy = await mkdtemp(join(tmpdir(), "scimseal-process-"));
      directories.push(copy);
      await cp(dataDir, copy, { recursive: true });
      return copy;
    },
    journal: async () => {
      // No write arrived yet: no file.
      const text = await readFile(journalFile, "utf8").catch(() => "");
      return text
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as JournalLine);
    },
    stop: async () => {
      for (const child of children) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        child.kill("SIGKILL");
        await once(child, "exit");
      }
      for (const directory of directories) {
        if (await hasCluster(directory))
          await killServer(await serverMark(clusterDirectory(directory), undefined));
        await rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
      }
    },
  };
}

/** The first line of JSON that `isIt`; rejects when the process ends before. */
function firstLine<T>(child: ChildProcess, isIt: (line: Record<string, unknown>) => boolean): Promise<T> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => reject(new Error(`ended with ${code ?? signal}`)));
    if (!child.stdout) throw new Error("the process has no standard output");
    createInterface({ input: child.stdout }).on("line", (text) => {
      if (!text.startsWith("{")) return;
      const line = JSON.parse(text) as Record<string, unknown>;
      if (isIt(line)) resolve(line as T);
    });
  });
}
