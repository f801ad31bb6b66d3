/**
 * The configuration in parts, to tell what of it changed: one for each ledger, each connector and each other top-level
 * key, as text that is the same for the same content, whatever the order of keys and the comments. Overrides of the
 * environment are in it. A secret is in it as the file names it (`{ env: NAME }`), never with its value.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import { applyOverrides, type Environment, isRecord, processEnvironment } from "./environment.ts";
import { outlineKeys } from "./outline.ts";
import { configSchema } from "./schema.ts";
import { Secret } from "./secret.ts";

/** What a configuration file says, in parts. */
export interface ConfigurationParts {
  /** SHA-256 of the file's bytes, hexadecimal. */
  sha256: string;
  /** By name: `scim`, `ledgers.main`, `connectors.okta`. */
  parts: ReadonlyMap<string, string>;
}

/** Keys that hold things by name, each a part of its own. */
const NAMED: ReadonlySet<string> = new Set(["ledgers", "connectors"]);

/** Reads a file that `loadConfig` has accepted. Rejects if it cannot be read any more. */
export async function readParts(
  file: string,
  environment: Environment = processEnvironment(),
): Promise<ConfigurationParts> {
  const bytes = await readFile(file);
  const read: unknown = parse(bytes.toString("utf8"));
  const root = isRecord(read) ? read : {};
  const secret = new Secret("");
  const schema = configSchema({
    path: (text) => text,
    privateFile: () => undefined,
    secret: () => ({ secret }),
  });
  applyOverrides(root, outlineKeys(schema), environment);
  const parts = new Map<string, string>();
  for (const [key, value] of Object.entries(root)) {
    if (!NAMED.has(key) || !isRecord(value)) parts.set(key, textOf(value));
    else for (const [name, one] of Object.entries(value)) parts.set(`${key}.${name}`, textOf(one));
  }
  return { sha256: createHash("sha256").update(bytes).digest("hex"), parts };
}

function textOf(value: unknown): string {
  return JSON.stringify(value, (_, one: unknown) =>
    isRecord(one) ? Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1))) : one,
  );
}
