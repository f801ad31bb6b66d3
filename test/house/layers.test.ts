// The house stays easy to see: imports point down the layers, rooms on one floor do not know each other, every
// dependency has one owner, and the rooms that must be pure are.

import { globSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { expect, test } from "vitest";

/** From the ground up. A room may import from floors below it and from itself. */
const FLOORS: readonly (readonly string[])[] = [
  ["ledger", "scim", "recentMap"],
  ["config", "telemetry", "verifier"],
  ["keys", "auth", "storage"],
  ["proxy", "audit", "monitor", "archive", "indexer", "dashboard"],
  ["app"],
  ["demo"],
  ["cli"],
];
/** Files that stand directly in src. */
const TOP_FILES: Readonly<Record<string, string>> = {
  "ledgers.ts": "app",
  "ledgerWriter.ts": "app",
  "nodeCrypto.ts": "app",
  "recentMap.ts": "recentMap",
  "recordedLeaves.ts": "app",
  "ledgerWatch.ts": "app",
  "watchThread.ts": "app",
  "watchThreadMain.ts": "app",
  "indexThread.ts": "app",
  "indexThreadMain.ts": "app",
  "admin.ts": "app",
  "dashboardFiles.ts": "app",
  "adminContext.ts": "app",
  "ledgerIndex.ts": "app",
  "configurationRecord.ts": "app",
  "connectorHealth.ts": "app",
  "app.ts": "app",
  "main.ts": "cli",
};
/** Which rooms may import a package. */
const OWNERS: Readonly<Record<string, readonly string[]>> = {
  pg: ["storage"],
  jose: ["auth", "keys"],
  undici: ["proxy"],
  "http-proxy-middleware": ["proxy"],
  "scim2-parse-filter": ["scim"],
  "@noble/hashes": ["ledger"],
  "@noble/ed25519": ["ledger", "keys"],
  "sodium-native": ["keys"],
  express: ["proxy", "audit", "app", "demo"],
  "express-rate-limit": ["app"],
  helmet: ["app"],
  pino: ["telemetry", "app"],
  "pino-pretty": ["telemetry"],
  "prom-client": ["telemetry", "app"],
  commander: ["cli"],
  yaml: ["config", "cli"],
  zod: ["config", "auth", "storage", "audit"],
  "ipaddr.js": ["config"],
  scimmy: ["demo"],
  "scimmy-routers": ["demo"],
  vite: ["verifier", "dashboard"],
  preact: ["dashboard"],
  uplot: ["dashboard"],
};
const PURE = new Set(["ledger", "scim"]);

interface Import {
  file: string;
  room: string;
  from: string;
}

const files = globSync("src/**/*.{ts,tsx}").map((file) => file.replaceAll("\\", "/"));
const imports: Import[] = files.flatMap((file) =>
  [
    ...readFileSync(file, "utf8").matchAll(
      /^\s*(?:import|export)[^"';]*?from\s+"([^"]+)"|import\("([^"]+)"\)|^import\s+"([^"]+)"/gm,
    ),
  ].map((match) => ({ file, room: roomOf(file), from: match[1] ?? match[2] ?? match[3] ?? "" })),
);

function roomOf(file: string): string {
  const [, first = "", second] = file.split("/");
  return second === undefined ? (TOP_FILES[first] ?? `unknown file ${first}`) : first;
}

function floorOf(room: string): number {
  return FLOORS.findIndex((floor) => floor.includes(room));
}

function packageOf(from: string): string {
  const parts = from.split("/");
  return from.startsWith("@") ? parts.slice(0, 2).join("/") : (parts[0] ?? "");
}

test("the check sees the house", () => {
  expect(files.length).toBeGreaterThan(60);
  expect(imports.length).toBeGreaterThan(200);
  expect(files.map(roomOf).filter((room) => floorOf(room) < 0)).toEqual([]);
});

test("imports point down, never up and never sideways", () => {
  const wrong = imports.filter(({ file, room, from }) => {
    if (!from.startsWith(".")) return false;
    const to = roomOf(posix.join(posix.dirname(file), from));
    if (to === room) return false;
    // Keys, clients and storage stand on one floor; the outline of a floor is no wall between the parts of the base.
    const isBase = floorOf(room) === 2 && floorOf(to) === 2;
    return isBase ? room === "storage" || to === "auth" : floorOf(to) >= floorOf(room);
  });
  expect(wrong).toEqual([]);
});

test("every package has its owners", () => {
  const wrong = imports.filter(({ room, from }) => {
    if (from.startsWith(".") || from.startsWith("node:")) return false;
    return !OWNERS[packageOf(from)]?.includes(room);
  });
  expect(wrong).toEqual([]);
});

test("the dashboard is a browser's: it takes from the house what is pure, and what the verifier page has", () => {
  const allowed = new Set(["dashboard", "ledger", "verifier"]);
  const wrong = imports.filter(({ file, room, from }) => {
    if (room !== "dashboard" || !from.startsWith(".")) return false;
    return !allowed.has(roomOf(posix.join(posix.dirname(file), from)));
  });
  expect(wrong).toEqual([]);
});

test("ledger and scim are pure", () => {
  expect(imports.filter(({ room, from }) => PURE.has(room) && from.startsWith("node:"))).toEqual([]);
  const impure = files
    .filter((file) => PURE.has(roomOf(file)))
    .filter((file) =>
      /\b(?:Date\.now|new Date\(\)|Math\.random|process\.|Buffer\.|setTimeout|performance\.)/.test(
        code(file),
      ),
    );
  expect(impure).toEqual([]);
});

test("the environment is read in config only", () => {
  const wrong = files.filter((file) => roomOf(file) !== "config" && /process\.env\b/.test(code(file)));
  expect(wrong).toEqual([]);
});

test("no file holds two ideas", () => {
  const long = files.filter((file) => readFileSync(file, "utf8").split("\n").length > 400);
  expect(long).toEqual([]);
});

test("every file says what it is before anything else", () => {
  expect(files.filter((file) => !/^(?:\/\/|\/\*\*)/.test(readFileSync(file, "utf8")))).toEqual([]);
});

function code(file: string): string {
  return readFileSync(file, "utf8")
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/\/\/.*$/gm, "");
}
