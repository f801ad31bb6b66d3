// The benchmarks put other modules in the place of some of ours. A stand-in that lacks what is imported from the module that it
// stands for shows only when somebody measures; here it shows at once.

import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const ROOT = new URL("../../", import.meta.url);
/** Where everything that is exchanged is imported from. */
const IMPORTING = ["./src/app.ts", "./src/ledgerWatch.ts", "./src/ledgerWriter.ts"];

test("with the benchmarks' stand-ins the application still loads", async () => {
  const hooks = (await readdir(new URL("bench/cost/", ROOT))).filter((name) => name.endsWith("Hooks.ts"));
  expect(hooks.length).toBeGreaterThan(2);
  const load = IMPORTING.map((path) => `await import(${JSON.stringify(path)});`).join("");
  for (const name of hooks) {
    const args = [
      "--import",
      `./bench/cost/${name}`,
      "--input-type=module",
      "--eval",
      `${load} process.exit(0)`,
    ];
    await expect(promisify(execFile)(process.execPath, args, { cwd: ROOT }), name).resolves.toBeDefined();
  }
});
