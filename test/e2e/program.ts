// The program as people run it: a process of its own, by its own launcher.

import { spawn } from "node:child_process";

/** Runs a command to its end; `text`: both of its outputs, as they came. */
export async function run(...args: string[]): Promise<{ code: number | null; text: string }> {
  const child = spawn(process.execPath, ["bin/scimseal.js", ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk) => {
      text += String(chunk);
    });
  }
  const code = await new Promise<number | null>((resolve) => child.once("exit", resolve));
  return { code, text };
}
