// Faults without end: writes at a steady rate while the database is killed, frozen or thrown out, the target misbehaves
// and clients leave in the middle; the faults are drawn from a seed. Afterwards every invariant is checked over the
// ledger and the target's own journal, and the proxy's memory and open files are told.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { clusterDirectory } from "../src/storage/embedded/cluster.ts";
import { openEmbedded } from "../src/storage/embedded/embedded.ts";
import { postmasterPid } from "../src/storage/embedded/processes.ts";
import {
  answer,
  type BadTarget,
  created,
  type Play,
  says,
  saysAndEnds,
  saysAndResets,
  startBadTarget,
} from "../test/e2e/badTarget.ts";
import {
  type Answered,
  forwardedThoughRefused,
  newUser,
  promisedInVain,
  sendOne,
} from "../test/fault/traffic.ts";
import { ALL_WELL, checkInvariants, type InvariantReport, prepareDataDir } from "../test/support/system.ts";
import { residentMiB } from "./figures.ts";
import { makeRandom } from "./seed/history.ts";

export interface SoakReport {
  minutes: number;
  writes: number;
  /** Answers by status and code; `0`: the client left. */
  answers: Record<string, number>;
  faults: Record<string, number>;
  invariants: InvariantReport;
  promisedInVain: number;
  forwardedThoughRefused: number;
  /** Each tenth of the time: MiB, and open file descriptors. */
  residentMiB: number[];
  files: number[];
  allWell: boolean;
}

const RATE = 50;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

const MISBEHAVIOUR: readonly Play[] = [
  saysAndResets(""),
  saysAndResets("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"),
  saysAndEnds("HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\n{"),
  says("nonsense\r\n\r\n"),
  says(answer(500, "{}")),
  says(answer(409, '{"scimType":"uniqueness"}')),
  says(answer(307, "", ["Location: http://169.254.169.254/"])),
  async (socket, request) => {
    await sleep(1_500);
    await created(socket, request);
  },
];

export async function measureSoak(minutes: number, say: (line: string) => void): Promise<SoakReport> {
  const dataDir = await mkdtemp(join(tmpdir(), "scimseal-soak-"));
  const target = await startBadTarget();
  const draw = makeRandom(88);
  target.plays((socket, request) => {
    const play = draw(10) === 0 ? MISBEHAVIOUR[draw(MISBEHAVIOUR.length)] : created;
    return (play ?? created)(socket, request);
  });
  const { configFile, token } = await prepareDataDir(dataDir, target.url, "soak-target-token", {
    connector: { target: { url: target.url, auth: { bearer: { file: "target-token" } }, timeoutMs: 1_000 } },
  });
  const proxy = spawn(process.execPath, ["src/main.ts", "serve", "--config", configFile], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const baseUrl = `${await readyUrl(proxy)}/okta/scim/v2`;
    const answers: Promise<Answered>[] = [];
    const faults: Record<string, number> = {};
    const resident: number[] = [];
    const files: number[] = [];
    const endAt = performance.now() + minutes * 60_000;
    const wreck = (async () => {
      while (performance.now() < endAt) {
        await sleep(1_000 + draw(4_000));
        const name = await breakSomething(draw, dataDir, target);
        faults[name] = (faults[name] ?? 0) + 1;
      }
    })();
    for (let tenth = 0; tenth < 10; tenth++) {
      const until = performance.now() + minutes * 6_000;
      while (performance.now() < until) {
        if (draw(20) === 0) leave(baseUrl, token);
        else answers.push(sendOne(baseUrl, token));
        await sleep(1_000 / RATE);
      }
      resident.push(Math.round(residentMiB(proxy.pid ?? 0)));
      files.push(readdirSync(`/proc/${proxy.pid}/fd`).length);
      say(
        `${tenth + 1} of 10: ${answers.length} writes, resident ${resident.at(-1)} MiB, ${files.at(-1)} files`,
      );
    }
    await wreck;
    const answered = await Promise.all(answers);
    say("calm again; checking everything");
    // Everything comes back by itself, and closes what was left open.
    await comesBack(baseUrl, token);
    proxy.kill("SIGTERM");
    await once(proxy, "exit");
    const { urls, close } = await openEmbedded({ dataDir, log: quiet });
    const journal = target.journal();
    const invariants = await checkInvariants({ dataDir, superuserUrl: urls.superuser, journal });
    await close();
    const vain = promisedInVain(answered, journal).length;
    const refused = forwardedThoughRefused(answered, journal).length;
    const isWell = JSON.stringify(invariants) === JSON.stringify(ALL_WELL);
    return {
      minutes,
      writes: answered.length,
      answers: countBy(answered.map(({ status, code }) => `${status} ${code}`.trim())),
      faults,
      invariants,
      promisedInVain: vain,
      forwardedThoughRefused: refused,
      residentMiB: resident,
      files,
      allWell: isWell && vain === 0 && refused === 0,
    };
  } finally {
    proxy.kill("SIGKILL");
    await target.close();
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function breakSomething(
  draw: (below: number) => number,
  dataDir: string,
  target: BadTarget,
): Promise<string> {
  const pid = await postmasterPid(clusterDirectory(dataDir));
  switch (draw(5)) {
    case 0:
      if (pid) process.kill(pid, "SIGKILL");
      return "database killed";
    case 1:
      if (pid) process.kill(pid, "SIGQUIT");
      return "database stopped at once";
    case 2: {
      const sessions = await sessionPids(dataDir);
      for (const session of sessions) signal(session, "SIGSTOP");
      await sleep(500 + draw(3_000));
      for (const session of sessions) signal(session, "SIGCONT");
      return "sessions frozen";
    }
    case 3:
      for (const session of await sessionPids(dataDir)) signal(session, "SIGTERM");
      return "sessions ended";
    default:
      await target.hush();
      await sleep(500 + draw(2_000));
      await target.listen();
      return "target away";
  }
}

/** Backends of the writer's role; none while the database is away. */
async function sessionPids(dataDir: string): Promise<number[]> {
  const { urls, close } = await openEmbedded({ dataDir, log: quiet });
  const client = new pg.Client({ connectionString: urls.superuser, connectionTimeoutMillis: 1_000 });
  client.on("error", () => {}); // The query fails too.
  try {
    await client.connect();
    const { rows } = await client.query<{ pid: number }>(
      "SELECT pid FROM pg_stat_activity WHERE usename = 'scimseal_writer'",
    );
    return rows.map(({ pid }) => pid);
  } catch {
    return [];
  } finally {
    await client.end().catch(() => {}); // It may be gone already.
    await close();
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended meanwhile.
  }
}

/** A client that hangs up in the middle of its request, or before the answer. */
function leave(baseUrl: string, token: string): void {
  const body = newUser();
  const request = httpRequest(`${baseUrl}/Users`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${token}`,
      "content-type": "application/scim+json",
      "content-length": body.length,
    },
  });
  request.on("error", () => {}); // Of its own making.
  request.end(body);
  setTimeout(() => request.destroy(), 2);
}

async function comesBack(baseUrl: string, token: string): Promise<void> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const { status } = await sendOne(baseUrl, token);
    if (status === 201) break;
    if (performance.now() > deadline) throw new Error("the proxy did not come back within a minute");
    await sleep(200);
  }
  await sleep(5_000);
}

async function readyUrl(proxy: ChildProcess): Promise<string> {
  if (!proxy.stdout) throw new Error("no output to read");
  for await (const line of createInterface({ input: proxy.stdout })) {
    const { scimUrl } = JSON.parse(line) as { scimUrl?: string };
    if (scimUrl !== undefined) {
      proxy.stdout.resume();
      return scimUrl;
    }
  }
  throw new Error("the proxy ended before it was ready");
}

function countBy(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
