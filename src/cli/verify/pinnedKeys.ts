// `--key` and `--witness` of the verifying commands: a key as vkey (C2SP signed-note), written out or in a file, or as
// a file with a JWK or JWKS. A vkey of a log also says which ledger it is for.

import { existsSync, readFileSync } from "node:fs";
import { loadPinned } from "../../keys/keyring.ts";
import { type PublicKey, thumbprint } from "../../ledger/key.ts";
import { parseWitnessPolicy, type WitnessPolicy } from "../../ledger/note/logPolicy.ts";
import { parseVerifierKey } from "../../ledger/note/verifierKey.ts";

export interface PinnedKeys {
  keys: PublicKey[];
  /** The name in the vkeys; undefined if all keys are JWKs. */
  origin?: string;
}

/** Reads what `--key` was given. Throws with what to do if one of them is no public key of a log. */
export function readPinnedKeys(given: readonly string[]): PinnedKeys {
  const keys = new Map<string, PublicKey>();
  const origins = new Set<string>();
  for (const one of given) {
    const text = readVkeyText(one);
    if (text === undefined) {
      for (const key of loadPinned([one])) keys.set(key.kid, key);
      continue;
    }
    const key = parseVerifierKey(text);
    if (typeof key === "string") throw new Error(`--key ${one}: ${key}`);
    if (key.type !== "log") throw new Error(`--key ${one}: this is the key of a witness, not of a ledger`);
    keys.set(thumbprint(key.publicKey), { kid: thumbprint(key.publicKey), bytes: key.publicKey });
    origins.add(key.name);
  }
  const [origin, another] = origins;
  if (another !== undefined) throw new Error(`the keys are of different ledgers: ${origin} and ${another}`);
  return { keys: [...keys.values()], ...(origin !== undefined && { origin }) };
}

/** Reads what `--witness` and `--witnesses-needed` were given; without a number, all of them are needed. */
export function readWitnesses(given: readonly string[], needed: number | undefined): WitnessPolicy {
  const vkeys = given.map((one) => readVkeyText(one) ?? one);
  const policy = parseWitnessPolicy({ threshold: needed ?? vkeys.length, witnesses: vkeys });
  if (typeof policy === "string") throw new Error(`--witness: ${policy}`);
  return policy;
}

/** The vkey itself, or the one in a file; undefined for a file that holds something else. */
function readVkeyText(one: string): string | undefined {
  if (!existsSync(one)) return one.includes("+") ? one : undefined;
  const text = readFileSync(one, "utf8").trim();
  return text.startsWith("{") || !text.includes("+") ? undefined : text;
}
