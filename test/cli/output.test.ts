/** What the program does with its output when nobody reads it any more, as in `scimseal doctor | head`. */
import { type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";

/** Runs the program; closed: its output has no reader. */
async function run(closed: "stdout" | "stderr", ...args: string[]): Promise<{ code: number; other: string }> {
  const stdio: SpawnOptions["stdio"] = ["ignore", "pipe", "pipe"];
  const child = spawn(process.execPath, ["src/main.ts", ...args], { stdio });
  child[closed]?.destroy();
  const other = closed === "stdout" ? child.stderr : child.stdout;
  const [said, [code]] = await Promise.all([other ? text(other) : "", once(child, "exit")]);
  return { code: Number(code), other: said };
}

test("a command whose output nobody reads ends as it would, without a word about it", async () => {
  expect(await run("stdout", "--help")).toEqual({ code: 0, other: "" });
  // It fails: its configuration is not there.
  const failed = await run("stdout", "doctor", "--config", "nowhere.yaml");
  expect(failed).toEqual({ code: 1, other: "" });
});

test("nor does an error that nobody reads change how it ends", async () => {
  expect(await run("stderr", "verify", "--config", "nowhere.yaml")).toEqual({ code: 2, other: "" });
});
