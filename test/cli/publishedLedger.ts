// What the tests of verify and export share: a ledger of an embedded PostgreSQL with entries, tiles and checkpoints, a
// configuration that finds it, and the commands run as the program runs them.

import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { stringify } from "yaml";
import { registerExport } from "../../src/cli/export.ts";
import { registerVerify } from "../../src/cli/verify/verify.ts";
import { formatPinnedJwk } from "../../src/keys/signer.ts";
import { formatVerifierKey, makeLogKey } from "../../src/ledger/note/verifierKey.ts";
import { formatTile } from "../../src/ledger/tree/tile.ts";
import { formatBundle } from "../../src/ledger/tree/tileBundle.ts";
import { parseBundlePath, parseTilePath } from "../../src/ledger/tree/tilePath.ts";
import { TreeStore } from "../../src/storage/tree/treeStore.ts";
import { passMany, publish } from "../monitor/publisher/publisherHarness.ts";
import { makeLedger, type TestDatabase, type TestLedger } from "../storage/writerHarness.ts";
import { TEST_SEALING_JWKS } from "../support/sealing.ts";
import { runCommand } from "./run.ts";

export interface PublishedLedger extends TestLedger {
  dir: string;
  configFile: string;
  keyFile: string;
  vkey: string;
  size: number;
}

/** `instance-started` and the like, then so many whole transactions, all of it published. */
export async function makePublished(database: TestDatabase, transactions: number): Promise<PublishedLedger> {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  const publisher = await publish(ledger);
  await publisher.reaches(1);
  await passMany(writer, Math.ceil(transactions / 2));
  await publisher.reaches(1 + 2 * Math.ceil(transactions / 2));
  await passMany(writer, Math.floor(transactions / 2));
  const size = 1 + 2 * transactions;
  await publisher.reaches(size);
  await publisher.publisher.stop();
  const dir = join(database.dataDir, ledger.name);
  await mkdir(dir, { mode: 0o700 });
  const keyFile = join(dir, "pinned.jwk");
  await writeFile(keyFile, formatPinnedJwk(ledger.signer.publicJwk));
  await writeFile(join(dir, "sealing.jwks"), TEST_SEALING_JWKS, { mode: 0o600 });
  await writeFile(join(dir, "reader-url"), database.urls.reader, { mode: 0o600 });
  const configFile = join(dir, "scimseal.yaml");
  const target = { url: "http://127.0.0.1:9/scim/v2", auth: { bearer: { file: "none" } } };
  const config = {
    dataDir: ".",
    database: { url: { file: "reader-url" } },
    ledgers: {
      [ledger.name]: {
        origin: ledger.origin,
        signingKey: { file: "none.jwk" },
        pinnedKeys: ["pinned.jwk"],
        tokenKey: { file: "none.key" },
        sealingKey: { file: "sealing.jwks" },
      },
    },
    connectors: { okta: { ledger: ledger.name, idp: "okta", target } },
  };
  await writeFile(configFile, stringify(config));
  const [key] = ledger.pinned;
  const vkey = key ? formatVerifierKey(makeLogKey(ledger.origin, key.bytes)) : "";
  return { ...ledger, dir, configFile, keyFile, vkey, size };
}

export interface CommandResult {
  status: number;
  text: string;
}

/** Runs `verify` or `export`; rejects with what would be printed beside exit status 2. */
export async function run(command: "verify" | "export", ...args: string[]): Promise<CommandResult> {
  const written: string[] = [];
  const write = process.stdout.write;
  process.stdout.write = ((text: string) => written.push(text) > 0) as typeof process.stdout.write;
  try {
    const register = command === "verify" ? registerVerify : registerExport;
    const { error } = await runCommand(register, command, ...args);
    if (error !== undefined) throw error;
  } finally {
    process.stdout.write = write;
  }
  const status = Number(process.exitCode ?? 0);
  process.exitCode = 0;
  return { status, text: written.join("") };
}

/** The report of `verify --json`. */
export async function verifyJson(
  ...args: string[]
): Promise<{ status: number; report: Report; codes: string[] }> {
  const { status, text } = await run("verify", "--json", ...args);
  const report = JSON.parse(text) as Report;
  const codes = report.findings.map(({ seq, code }) => (seq === undefined ? code : `${code}@${seq}`));
  return { status, report, codes };
}

export interface Report extends Record<string, unknown> {
  ok: boolean;
  findings: { seq?: number; code: string; detail: string }[];
}

export function openTree(ledger: TestLedger, database: TestDatabase): TreeStore {
  const tree = new TreeStore(
    ledger.name,
    { connectionString: database.urls.reader, requireSync: [] },
    { connections: 2, timeoutMs: 10_000 },
  );
  onTestFinished(() => tree.close());
  return tree;
}

/** The newest checkpoint, as a file beside the configuration. */
export async function saveCheckpoint(
  ledger: PublishedLedger,
  database: TestDatabase,
  size?: number,
): Promise<string> {
  const tree = openTree(ledger, database);
  const found = size === undefined ? await tree.latestCheckpoint() : await tree.checkpointCovering(size - 1);
  const file = join(ledger.dir, `checkpoint-${found?.size}`);
  await writeFile(file, found?.note ?? "");
  return file;
}

/** A server of the published log, as plain as it can be; `change` may answer something else. */
export async function serveLog(
  ledger: PublishedLedger,
  database: TestDatabase,
  change: (path: string, bytes: Uint8Array) => Uint8Array | undefined = (_, bytes) => bytes,
): Promise<string> {
  const tree = openTree(ledger, database);
  const rows = await ledger.entries();
  const read = async (path: string): Promise<Uint8Array | undefined> => {
    if (path === "checkpoint") return Buffer.from((await tree.latestCheckpoint())?.note ?? "");
    const bundle = parseBundlePath(path);
    if (bundle) {
      const some = rows.slice(bundle.index * 256, bundle.index * 256 + bundle.width);
      return some.length === bundle.width
        ? formatBundle(some.map(({ row }) => Buffer.from(row.leaf)))
        : undefined;
    }
    const tile = parseTilePath(path);
    const [bytes] = tile ? await tree.readTiles([tile]) : [];
    return bytes && formatTile([...chunksOf(bytes)]);
  };
  const server = createServer((request, response) => {
    const path = (request.url ?? "").replace(/^\/log\//, "");
    void read(path).then((bytes) => {
      const answer = bytes && change(path, bytes);
      response.writeHead(answer ? 200 : 404).end(answer);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/log`;
}

function* chunksOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 32) yield bytes.subarray(at, at + 32);
}
