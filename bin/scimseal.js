#!/usr/bin/env node
// Launcher. Runs src/main.ts on a Node that can: this one if it is new enough, else the Node that the
// development dependency `node` brought. Written for old Nodes, so it uses nothing newer than ES modules.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const REQUIRED = [24, 18, 1];
const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const bundled = fileURLToPath(new URL("../node_modules/node/bin/node", import.meta.url));

function isNewEnough(version) {
  const parts = version.replace(/^v/, "").split(".").map(Number);
  for (let i = 0; i < REQUIRED.length; i++) {
    if (parts[i] !== REQUIRED[i]) return parts[i] > REQUIRED[i];
  }
  return true;
}

if (isNewEnough(process.version)) {
  await import(new URL("../src/main.ts", import.meta.url).href);
} else if (existsSync(bundled)) {
  const child = spawn(bundled, [main, ...process.argv.slice(2)], { stdio: "inherit" });
  // A terminal sends its signals to the whole foreground group; others reach only this process, so pass them on.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.on("exit", (code, signal) => {
    process.exitCode = signal ? 128 : (code ?? 1);
  });
} else {
  console.error(
    `scimseal needs Node ${REQUIRED.join(".")} or newer; this is ${process.version}. Install it, or run \`npm ci\` in the checkout, which brings one.`,
  );
  process.exitCode = 1;
}
