// A ledger's writer with everything it needs: the key files, what this runtime has for hashes and ids, the clock. And
// which key file to believe after a rotation.

import { existsSync } from "node:fs";
import { fastVerify } from "./keys/fastVerify.ts";
import { loadPinned } from "./keys/keyring.ts";
import { loadSigner, type Signer } from "./keys/signer.ts";
import type { PublicKey } from "./ledger/key.ts";
import { drawRandomBytes, newUuid, nodeSha256, toBase64url } from "./nodeCrypto.ts";
import type { DatabaseAddress } from "./storage/postgres.ts";
import { LedgerWriter, type WriterLog, type WriterObserver } from "./storage/writer.ts";

/** Plain data; holds a connection string, so never to be logged. */
export interface WriterSettings {
  ledger: string;
  origin: string;
  database: DatabaseAddress;
  appendDeadlineMs: number;
  signingKeyFile: string;
  pinnedKeyFiles: readonly string[];
}

/** The writer, not started. */
export function createWriter(
  settings: WriterSettings,
  log: WriterLog,
  observer: WriterObserver,
): LedgerWriter {
  const { ledger, origin, database, appendDeadlineMs, signingKeyFile, pinnedKeyFiles } = settings;
  return new LedgerWriter({
    ledger,
    origin,
    database,
    appendDeadlineMs,
    signer: loadSigner(signingKeyFile),
    reloadSigner: async (expected) => reloadSigner(signingKeyFile, expected),
    pinned: loadPinned(pinnedKeyFiles),
    verify: fastVerify,
    digest: nodeSha256,
    base64url: toBase64url,
    randomBytes: drawRandomBytes,
    uuid: newUuid,
    now: Date.now,
    log,
    observer,
  });
}

/** Where a rotation keeps the new key until the ledger knows it. */
export function nextKeyPath(file: string): string {
  return `${file}.next`;
}

/** The signing key that the ledger expects: a rotation may have crashed after its entry and before its rename. */
export function reloadSigner(file: string, expected: readonly PublicKey[]): Signer {
  const next = nextKeyPath(file);
  const candidates = [file, ...(existsSync(next) ? [next] : [])].map((path) => loadSigner(path));
  const [current] = candidates;
  if (!current) throw new Error(`${file} holds no key`);
  return candidates.find(({ kid }) => expected.some((key) => key.kid === kid)) ?? current;
}
