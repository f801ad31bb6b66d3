// A server in a heap of 64 MiB, in a process of its own: load that does not fit is shed, and the process lives on.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { startEmbedded } from "../../src/storage/embedded/embedded.ts";
import { ALL_WELL, checkInvariants, prepareDataDir } from "../support/system.ts";
import { type RecordingTarget, startRecordingTarget } from "./semanticsTarget.ts";

const MAIN = new URL("../../src/main.ts", import.meta.url).pathname;
const MIB = 1024 * 1024;

let target: RecordingTarget;
let dataDir: string;
let child: ChildProcess;
let output = "";
let scimUrl = "";
let token = "";

beforeAll(async () => {
  target = await startRecordingTarget();
  dataDir = await mkdtemp(join(tmpdir(), "scimseal-test-"));
  const prepared = await prepareDataDir(dataDir, target.url, "target-token-of-the-memory-test");
  token = prepared.token;
  child = spawn(
    process.execPath,
    ["--max-old-space-size=64", MAIN, "serve", "--config", prepared.configFile],
    {
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  const keep = (chunk: Buffer) => {
    output += chunk.toString();
  };
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  await vi.waitFor(() => expect(output).toContain("scimseal is ready"), { timeout: 30_000, interval: 50 });
  scimUrl = /"scimUrl":"([^"]+)"/.exec(output)?.[1] ?? "";
});

afterAll(async () => {
  child.kill("SIGKILL");
  await rm(dataDir, { recursive: true, force: true });
  await target.close();
});

async function send(body: string): Promise<number> {
  const response = await fetch(`${scimUrl}/okta/scim/v2/Users`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/scim+json" },
    body,
  });
  await response.arrayBuffer();
  return response.status;
}

/** A body of exactly this size whose middle is made of the same piece over and over. */
function bodyOf(open: string, piece: string, close: string, size = MIB): string {
  const room = size - open.length - close.length;
  const middle = piece.repeat(Math.floor(room / piece.length));
  return `${open}${middle}${" ".repeat(room - middle.length)}${close}`;
}

describe("a hundred large bodies at a time", () => {
  // case 86. One long string is the easy case; many small values make the largest trees from the fewest bytes.
  const members = ['{"members":[', '{"value":"12345678"},', '{"value":"1"}]}'] as const;
  const shapes: Record<string, string> = {
    "one long string": bodyOf('{"userName":"', "a", '"}'),
    "many members": bodyOf(...members),
    "many members in 256 KiB": bodyOf(...members, MIB / 4),
    "many empty objects": bodyOf('{"x":[', "{},", "{}]}"),
    "many digits": bodyOf('{"x":[', "1,", "1]}"),
    "many Operations": bodyOf(
      '{"Operations":[',
      '{"op":"add","path":"members","value":[]},',
      '{"op":"add","value":{}}]}',
    ),
  };
  // What this heap has room for, one at a time, is not shed altogether.
  const mustPass = new Set(["one long string", "many members in 256 KiB"]);
  for (const [name, body] of Object.entries(shapes)) {
    test(`${name}: each is forwarded or shed, and the process lives`, async () => {
      const statuses = await Promise.all(
        Array.from({ length: 100 }, () => send(body).catch((error: Error) => error.message)),
      );
      expect([child.exitCode, child.signalCode, output.match(/heap out of memory/)?.[0]]).toEqual([
        null,
        null,
        undefined,
      ]);
      for (const status of statuses) expect([201, 413, 503]).toContain(status);
      if (mustPass.has(name)) expect(statuses).toContain(201);
      expect(await send(`{"userName":"after ${name}"}`)).toBe(201);
    });
  }
});

test("what was forwarded was recorded, and a stop leaves all of it closed", async () => {
  child.kill("SIGTERM");
  await expect.poll(() => child.exitCode, { timeout: 20_000 }).toBe(0);
  const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
  const database = await startEmbedded({ dataDir, log });
  try {
    const superuserUrl = database.urls.superuser;
    expect(await checkInvariants({ dataDir, superuserUrl, journal: target.writes() })).toEqual(ALL_WELL);
  } finally {
    await database.stop();
  }
});
