/**
 * `scimseal keys list|show|rotate|sealing`: the keys of each ledger: which sign, which are pinned, where they lie, who may read them.
 * It prints public halves only. A verifier should be given these keys by another way than the evidence.
 */
import { statSync } from "node:fs";
import type { Command } from "commander";
import { loadConfig } from "../../config/load.ts";
import type { LedgerConfig } from "../../config/schema.ts";
import { readKeyFile, saveKey } from "../../keys/keyFile.ts";
import { loadPinned } from "../../keys/keyring.ts";
import { generateSealingKey } from "../../keys/sealingKey.ts";
import { loadSigner } from "../../keys/signer.ts";
import { formatPublicJwk, type PublicJwk } from "../../ledger/key.ts";
import { formatTable } from "../printable.ts";
import { registerRotate } from "./keysRotate.ts";

/** One key of a ledger, as it is shown. */
interface ShownKey {
  ledger: string;
  use: "signing" | "pinned";
  kid: string;
  path: string;
  mode: string;
  jwk: PublicJwk;
}

/** Adds the command. */
export function registerKeys(program: Command): void {
  const keys = program.command("keys").description("show and rotate the keys of the ledgers");
  registerRotate(keys);

  keys
    .command("sealing")
    .description(
      "make the key file that attachments are sealed with; to replace a key, one with a new key in front",
    )
    .requiredOption("--out <file>", "file to make, mode 0600; must not exist")
    .option("--older <file>", "key file whose keys the new one must still open: the ledger's present one")
    .action(async ({ out, older }: { out: string; older?: string }, command: Command) => {
      const from = older === undefined ? undefined : { text: readKeyFile(older), path: older };
      await saveKey(out, generateSealingKey(from));
      command
        .configureOutput()
        .writeOut?.(
          `${out} is made. Name it as sealingKey of the ledger, and keep a copy apart from the database: without it the attachments are lost.\n`,
        );
    });

  withConfig(keys.command("list"))
    .description("one line a key")
    .action(async (options: { config: string; ledger?: string }, command: Command) => {
      const shown = await readKeys(options, command);
      const rows = shown.map(({ ledger, use, kid, mode, path }) => [ledger, use, kid, mode, path]);
      command.configureOutput().writeOut?.(formatTable([["LEDGER", "USE", "KID", "MODE", "PATH"], ...rows]));
    });

  withConfig(keys.command("show"))
    .description("public keys in full")
    .option("--jwks", "as one JWK set (RFC 7517), for a verifier")
    .action(async (options: { config: string; ledger?: string; jwks?: true }, command: Command) => {
      const shown = await readKeys(options, command);
      const output = options.jwks ? { keys: toJwks(shown) } : shown;
      command.configureOutput().writeOut?.(`${JSON.stringify(output, null, 2)}\n`);
    });
}

function withConfig(command: Command): Command {
  return command
    .requiredOption("--config <file>", "configuration file")
    .option("--ledger <name>", "this ledger only");
}

async function readKeys(options: { config: string; ledger?: string }, command: Command): Promise<ShownKey[]> {
  const { ledgers } = await loadConfig(options.config, { secrets: "deferred" });
  const only = options.ledger;
  if (only !== undefined && !Object.hasOwn(ledgers, only)) {
    command.error(
      `error: no ledger is called ${only}; the configuration has: ${Object.keys(ledgers).join(", ")}`,
    );
  }
  return Object.entries(ledgers)
    .filter(([name]) => only === undefined || name === only)
    .flatMap(([name, ledger]) => keysOf(name, ledger));
}

function keysOf(ledger: string, config: LedgerConfig): ShownKey[] {
  const secret = (path: string): ShownKey => {
    const { kid, publicJwk } = loadSigner(path);
    return { ledger, use: "signing", kid, path, mode: modeOf(path), jwk: publicJwk };
  };
  const shown = [secret(config.signingKey.file)];
  for (const path of config.pinnedKeys) {
    for (const { kid, bytes } of loadPinned([path])) {
      shown.push({ ledger, use: "pinned", kid, path, mode: modeOf(path), jwk: formatPublicJwk(bytes) });
    }
  }
  return shown;
}

function modeOf(path: string): string {
  return (statSync(path).mode & 0o777).toString(8).padStart(4, "0");
}

function toJwks(shown: readonly ShownKey[]): object[] {
  const byKid = new Map(shown.map(({ kid, jwk }) => [kid, { ...jwk, kid, alg: "EdDSA", use: "sig" }]));
  return [...byKid.values()];
}
