// A limit that is no limit: the process refuses to start, says which one, and leaves no listener behind.

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { prepareDataDir } from "../support/system.ts";

const MAIN = new URL("../../src/main.ts", import.meta.url).pathname;

// case 28
test.each<[string, Record<string, unknown>, Record<string, string>]>([
  ["text", { bodyBytes: "abc" }, {}],
  ["not a number", { bodyBytes: Number.NaN }, {}],
  ["negative", { bodyBytes: -1 }, {}],
  ["without an end", { bodyBytes: Number.POSITIVE_INFINITY }, {}],
  ["zero", { bodyBytes: 0 }, {}],
  ["text in the environment", {}, { SCIMSEAL_SCIM_LIMITS_BODY_BYTES: "abc" }],
])("a body limit that is %s ends the start", async (_name, limits, environment) => {
  const dataDir = await mkdtemp(join(tmpdir(), "scimseal-test-"));
  try {
    const config = { scim: { listen: { port: 0 }, limits } };
    const { configFile } = await prepareDataDir(dataDir, "http://127.0.0.1:1/scim/v2", "unused", { config });
    const child = spawn(process.execPath, [MAIN, "serve", "--config", configFile], {
      env: { ...process.env, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: 20_000,
    });
    let output = "";
    const keep = (chunk: Buffer) => {
      output += chunk.toString();
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    const code = await new Promise((resolve) => child.on("close", resolve));
    expect(code).toBe(2);
    expect(output).toMatch(/bodyBytes|BODY_BYTES/);
    expect(output).not.toContain("is ready");
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
});
