// `scimseal keys rotate`: gives a ledger a new signing key. The old key's last word is the entry that introduces the
// new one, so whoever pinned the first key can follow the chain; after that entry the old key signs nothing that
// verifies. Running instances notice the entry and take up the new key by themselves.

import { existsSync } from "node:fs";
import { rename } from "node:fs/promises";
import type { Command } from "commander";
import { loadConfig } from "../../config/load.ts";
import { saveKey } from "../../keys/keyFile.ts";
import { formatPrivateJwk, generateKey, loadSigner } from "../../keys/signer.ts";
import { addressesOf, writerSettings } from "../../ledgers.ts";
import { createWriter, nextKeyPath } from "../../ledgerWriter.ts";
import { openEmbedded } from "../../storage/embedded/embedded.ts";

const quiet = { info() {}, warn() {}, error() {} };

/** Adds the subcommand below `keys`. */
export function registerRotate(keys: Command): void {
  keys
    .command("rotate")
    .description("replace a ledger's signing key; the old one introduces the new one")
    .requiredOption("--config <file>", "configuration file")
    .requiredOption("--ledger <name>", "the ledger")
    .action(async (options: { config: string; ledger: string }, command: Command) => {
      const kid = await rotate(options.config, options.ledger);
      command
        .configureOutput()
        .writeOut?.(
          `ledger ${options.ledger} is signed by ${kid} from now on; pinned keys stay as they are\n`,
        );
    });
}

async function rotate(file: string, name: string): Promise<string> {
  const config = await loadConfig(file, { secrets: "deferred" });
  const ledger = config.ledgers[name];
  if (!ledger)
    throw new Error(`no ledger is called ${name}; there are: ${Object.keys(config.ledgers).join(", ")}`);
  const path = ledger.signingKey.file;
  const nextPath = nextKeyPath(path);
  // A rotation that crashed before its entry left a key nobody knows; it serves for this one.
  if (!existsSync(nextPath)) await saveKey(nextPath, formatPrivateJwk(generateKey()));
  const next = loadSigner(nextPath);
  const database = ledger.database ?? config.database;
  const embedded =
    database.kind === "embedded" ? await openEmbedded({ dataDir: config.dataDir, log: quiet }) : undefined;
  try {
    const settings = writerSettings(config, name, addressesOf(database, embedded?.urls).writer);
    const writer = createWriter(settings, quiet, { batchCommitted() {} });
    await writer.start();
    try {
      // Crash after the last rotation's entry: the ledger expects `next` already, and only the rename is missing.
      if (writer.kid !== next.kid) {
        await writer.append({
          body: { type: "event", event: { name: "key-rotated", kid: next.kid, jwk: next.publicJwk } },
          attachments: [],
        });
      }
    } finally {
      await writer.stop();
    }
  } finally {
    await embedded?.close();
  }
  // Crash before this line: instances find the key at its next path, and a repeated rotate ends here.
  await rename(nextPath, path);
  return next.kid;
}
