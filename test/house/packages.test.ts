// Supply: known-good floors of what stands on the network path, install scripts by name only, and a lockfile that
// names no place to fetch from.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

/** Lowest versions without a known hole that matters here; compared with what the lockfile installs. */
const FLOORS: Readonly<Record<string, string>> = {
  "http-proxy-middleware": "4.1.1",
  httpxy: "0.5.6",
  "body-parser": "2.3.0",
  qs: "6.16.0",
  "path-to-regexp": "8.4.0",
  undici: "8.9.0",
  express: "5.3.0",
  node: "24.18.1",
};

interface Locked {
  version?: string;
  resolved?: string;
  hasInstallScript?: boolean;
}

const lock = JSON.parse(readFileSync("package-lock.json", "utf8")) as { packages: Record<string, Locked> };
const manifest = JSON.parse(readFileSync("package.json", "utf8")) as {
  allowScripts: Record<string, boolean>;
};
const installed = Object.entries(lock.packages).map(([path, entry]) => ({
  name: path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length),
  path,
  ...entry,
}));

function isBelow(version: string, floor: string): boolean {
  const [a, b] = [version, floor].map((text) => text.split(/[.-]/).slice(0, 3).map(Number));
  for (let i = 0; i < 3; i++) {
    const difference = (a?.[i] ?? 0) - (b?.[i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

test.each(Object.entries(FLOORS))("%s is locked at %s or newer", (name, floor) => {
  const versions = installed.filter((entry) => entry.name === name).map(({ version }) => version ?? "0");
  expect(versions).not.toEqual([]);
  expect(versions.filter((version) => isBelow(version, floor))).toEqual([]);
});

test("only packages on the list run install scripts", () => {
  const scripted = installed.filter(({ hasInstallScript }) => hasInstallScript).map(({ name }) => name);
  expect(scripted.filter((name) => manifest.allowScripts[name] !== true)).toEqual([]);
  expect(scripted).toContain("node");
});

test("the lockfile names no place to fetch from", () => {
  expect(installed.filter(({ resolved }) => resolved !== undefined)).toEqual([]);
});
