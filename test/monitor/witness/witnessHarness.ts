// What the tests of the witness share: a log with two histories, a witness's key, and servers that go away with a test.

import { mkdtemp, rm } from "node:fs/promises";
import type { createServer, IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { encodeBase64 } from "../../../src/ledger/base64.ts";
import { formatCheckpoint } from "../../../src/ledger/note/checkpoint.ts";
import { signNote } from "../../../src/ledger/note/note.ts";
import { makeLogKey, makeWitnessKey } from "../../../src/ledger/note/verifierKey.ts";
import { proveConsistency } from "../../../src/ledger/tree/tileProof.ts";
import { hashLevels, readLevels } from "../../../src/ledger/tree/treeLevels.ts";
import { Witness, type WitnessAnswer } from "../../../src/monitor/witness/witnessServer.ts";
import { nodeSha256 } from "../../../src/nodeCrypto.ts";
import { makeKeys } from "../monitorHarness.ts";

export const ORIGIN = "log.example.com/main";
export const NOW = 1_800_000_000_000;
export const quiet = { info() {}, warn() {}, error() {} };

/** A log of 600 leaves, and another history that parts from it at leaf 100. */
export const leaves = (fork: number) =>
  Buffer.concat(
    Array.from({ length: 600 }, (_, i) => nodeSha256(Buffer.from(`${i >= fork ? "other" : "leaf"} ${i}`))),
  );
export const HISTORY = leaves(600);
export const FORK = leaves(100);
export const rootOf = (history: Buffer, size: number) =>
  hashLevels(history.subarray(0, size * 32), nodeSha256).root;
export const proofOf = (history: Buffer, from: number, to: number) =>
  proveConsistency({ size: 600, reader: readLevels(hashLevels(history, nodeSha256)) }, from, to, nodeSha256);

export const logKeys = makeKeys();
export const logKey = makeLogKey(ORIGIN, logKeys.pinned[0]?.bytes ?? new Uint8Array());
export const noteOf = (
  size: number,
  { history = HISTORY, root = rootOf(history, size), origin = ORIGIN, keys = logKeys } = {},
) =>
  signNote(formatCheckpoint({ origin, size, root }), {
    key: makeLogKey(ORIGIN, keys.pinned[0]?.bytes ?? new Uint8Array()),
    sign: (bytes) => keys.signer.sign(bytes),
  });

export const witnessKeys = makeKeys();
export const signer = {
  key: makeWitnessKey("witness.example.com/w", witnessKeys.pinned[0]?.bytes ?? new Uint8Array()),
  sign: (bytes: Uint8Array) => witnessKeys.signer.sign(bytes),
};

/** A witness over a directory; two over one are a witness and its restart. */
export const newWitness = (stateDir: string) =>
  new Witness({ signer, logs: [{ origin: ORIGIN, keys: [logKey] }], stateDir, now: () => NOW, log: quiet });

/** A directory that goes away with the test. */
export async function newStateDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "scimseal-witness-"));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

export async function submission(
  from: number,
  to: number,
  note = noteOf(to),
  history = HISTORY,
): Promise<Buffer> {
  const proof = from <= to ? await proofOf(history, from, to) : [];
  return Buffer.from([`old ${from}`, ...proof.map(encodeBase64), "", note].join("\n"));
}

export async function submit(
  witness: Witness,
  ...args: Parameters<typeof submission>
): Promise<WitnessAnswer> {
  return witness.addCheckpoint(await submission(...args));
}

/** Listens until the test ends; its URL. */
export async function listen(server: ReturnType<typeof createServer>): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // A TCP server's address is never a string.
}

export function drained(request: IncomingMessage, then: () => unknown): void {
  request.resume().on("end", then);
}
