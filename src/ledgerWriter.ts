// A ledger's writer with everything it needs: the key files, what this runtime has for hashes and ids, the clock. And
// which key file to believe after a rotation.

import { existsSync } from "node:fs";
import { createAttachmentSealer } from "./keys/attachmentSeal.ts";
import { fastVerify } from "./keys/fastVerify.ts";
import { loadPinned } from "./keys/keyring.ts";
import { loadSealingKey } from "./keys/sealingKey.ts";
import { loadSigner, type Signer } from "./keys/signer.ts";
import type { PublicKey } from "./ledger/key.ts";
import { drawRandomBytes, newUuid, nodeSha256, toBase64url } from "./nodeCrypto.ts";
import type { DatabaseAddress } from "./storage/postgres.ts";
import {
  LedgerWriter,
  type WriterLog,
  type WriterObserver,
  type WriterOptions,
} from "./storage/writer/writer.ts";

/** Plain data; holds a connection string, so never to be logged. */
export interface WriterSettings {
  ledger: string;
  origin: string;
  database: DatabaseAddress;
  appendDeadlineMs: number;
  signingKeyFile: string;
  pinnedKeyFiles: readonly string[];
  sealingKeyFile: string;
}

/** Where a writer has its time and its ids from. */
export type WriterTime = Pick<WriterOptions, "now" | "monotonic" | "uuid">;

const REAL_TIME: WriterTime = { now: Date.now, uuid: newUuid };

/** The writer, not started. Another time than the real one is for whoever writes a history. */
export function createWriter(
  settings: WriterSettings,
  log: WriterLog,
  observer: WriterObserver,
  time: WriterTime = REAL_TIME,
): LedgerWriter {
  const { ledger, origin, database, appendDeadlineMs, signingKeyFile, pinnedKeyFiles, sealingKeyFile } =
    settings;
  return new LedgerWriter({
    ledger,
    origin,
    database,
    appendDeadlineMs,
    signer: loadSigner(signingKeyFile),
    reloadSigner: async (expected) => reloadSigner(signingKeyFile, expected),
    pinned: loadPinned(pinnedKeyFiles),
    verify: fastVerify,
    sealer: createAttachmentSealer(loadSealingKey(sealingKeyFile, origin), origin, drawRandomBytes),
    digest: nodeSha256,
    base64url: toBase64url,
    randomBytes: drawRandomBytes,
    ...time,
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
