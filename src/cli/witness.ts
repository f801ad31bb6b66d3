// `scimseal witness`: a witness (C2SP tlog-witness) for those who have none. It should run on another machine, under
// another hand, than the ledgers that it watches: what it adds is that somebody else remembers.

import { existsSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { parse } from "yaml";
import { errorCode } from "../config/privateFile.ts";
import { saveKey } from "../keys/keyFile.ts";
import { formatPrivateJwk, generateKey, loadSigner } from "../keys/signer.ts";
import { decodeBase64url } from "../ledger/base64url.ts";
import type { WitnessSigner } from "../ledger/note/cosignature.ts";
import {
  formatVerifierKey,
  type LogKey,
  makeWitnessKey,
  parseVerifierKey,
} from "../ledger/note/verifierKey.ts";
import {
  createWitnessServer,
  Witness,
  type WitnessedLog,
  type WitnessLog,
} from "../monitor/witness/witnessServer.ts";
import { lockDataDirectory } from "../storage/embedded/lock.ts";
import { createLog } from "../telemetry/log.ts";
import { printable } from "./printable.ts";
import { checkRuntime } from "./runtime.ts";
import { stopOnSignal } from "./signals.ts";

interface WitnessFlags {
  dir: string;
  config?: string;
  name?: string;
  listen?: string;
  log?: string[];
}

/** What a witness is made of, from flags or the small file. */
export interface WitnessSettings {
  dir: string;
  name: string;
  host: string;
  port: number;
  logs: WitnessedLog[];
}

/** A witness that listens. */
export interface RunningWitness {
  url: string;
  /** The witness's own verifier key: what ledgers and auditors pin. */
  vkey: string;
  stop(): Promise<void>;
}

const DEFAULT_LISTEN = "127.0.0.1:8090";

/** Adds the command. */
export function registerWitness(program: Command): void {
  program
    .command("witness")
    .description("run a witness that cosigns the checkpoints of ledgers (C2SP tlog-witness)")
    .requiredOption("--dir <dir>", "where its key and what it has seen are kept")
    .option("--config <file>", "YAML file with name, listen and logs: [{ origin, keys: [vkey, ...] }]")
    .option("--name <name>", "its name, such as witness.example.com/w1; never change it")
    .option("--listen <host:port>", `where it listens (default: ${DEFAULT_LISTEN})`)
    .option("--log <vkey...>", "verifier key of a log; its name is the origin")
    .action(async (flags: WitnessFlags) => {
      checkRuntime();
      const log = createLog({ level: "info", format: "auto" });
      const witness = await startWitness(readWitnessSettings(flags), log);
      process.stdout.write(`Witness ${printable(witness.vkey)}\nlistens on ${witness.url}/add-checkpoint\n`);
      await stopOnSignal(() => witness.stop(), log);
    });
}

/** Flags over the file. @throws {Error} that says what is missing or wrong, and where. */
export function readWitnessSettings(flags: WitnessFlags): WitnessSettings {
  const file: SettingsFile = flags.config === undefined ? { logs: [] } : readFile(flags.config);
  const name = flags.name ?? file.name;
  if (name === undefined)
    throw new Error("say --name: how the witness is called, such as witness.example.com/w1");
  const { host, port } = parseListen(flags.listen ?? file.listen ?? DEFAULT_LISTEN);
  const logs = [...file.logs];
  for (const vkey of flags.log ?? []) addKey(logs, undefined, parseLogKey(vkey, "--log"));
  if (logs.length === 0)
    throw new Error("no log: name at least one with --log VKEY, or under logs in the file");
  return { dir: resolve(flags.dir), name, host, port, logs };
}

/** Makes the key if there is none, and listens. Throws if another process runs on the directory. */
export async function startWitness(settings: WitnessSettings, log: WitnessLog): Promise<RunningWitness> {
  const { dir, name, host, port, logs } = settings;
  const stateDir = join(dir, "seen");
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  // Two witnesses over one state could each cosign what the other must not.
  const lock = await lockDataDirectory(dir);
  try {
    const signer = await loadWitnessSigner(join(dir, "witness.jwk"), name);
    const server = createWitnessServer(new Witness({ signer, logs, stateDir, now: Date.now, log }));
    await new Promise<void>((done, reject) => {
      server.once("error", (cause) =>
        reject(
          new Error(
            `cannot listen on ${host}:${port}: ${cause.message}; say another address: --listen ${host}:0 takes a free port`,
            { cause },
          ),
        ),
      );
      server.listen({ host, port }, done);
    });
    // A TCP server's address is never a string.
    const bound = server.address() as AddressInfo;
    return {
      url: `http://${host.includes(":") ? `[${host}]` : host}:${bound.port}`,
      vkey: formatVerifierKey(signer.key),
      stop: async () => {
        const closed = new Promise<void>((done) => server.close(() => done()));
        server.closeIdleConnections();
        await closed;
        await lock.release();
      },
    };
  } catch (cause) {
    await lock.release();
    throw cause;
  }
}

async function loadWitnessSigner(path: string, name: string): Promise<WitnessSigner> {
  if (!existsSync(path)) await saveKey(path, formatPrivateJwk(generateKey()));
  const signer = loadSigner(path);
  const publicKey = decodeBase64url(signer.publicJwk.x);
  if (!publicKey) throw new Error(`${path} holds no public key`);
  return { key: makeWitnessKey(name, publicKey), sign: (bytes) => signer.sign(bytes) };
}

interface SettingsFile {
  name?: string;
  listen?: string;
  logs: WitnessedLog[];
}

function readFile(path: string): SettingsFile {
  const wrong = (what: string, options?: ErrorOptions) => new Error(`${path}: ${what}`, options);
  let value: unknown;
  try {
    value = parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw wrong(`cannot be read as YAML (${errorCode(cause)})`, { cause });
  }
  if (!isRecord(value)) throw wrong("must hold name, listen and logs");
  const unknown = Object.keys(value).find((key) => !["name", "listen", "logs"].includes(key));
  if (unknown !== undefined) throw wrong(`${unknown} is no key of this file: name, listen and logs are`);
  const { name, listen, logs = [] } = value;
  if (name !== undefined && typeof name !== "string") throw wrong("name must be text");
  if (listen !== undefined && typeof listen !== "string") throw wrong("listen must be host:port");
  if (!Array.isArray(logs)) throw wrong("logs must be a list of { origin, keys }");
  const known: WitnessedLog[] = [];
  for (const [i, log] of logs.entries()) {
    const { origin, keys } = isRecord(log) ? log : {};
    if (origin !== undefined && typeof origin !== "string") throw wrong(`logs[${i}].origin must be text`);
    if (!Array.isArray(keys) || keys.length === 0)
      throw wrong(`logs[${i}].keys must be a list of verifier keys`);
    for (const key of keys) addKey(known, origin, parseLogKey(String(key), `${path}: logs[${i}].keys`));
  }
  return {
    ...(name === undefined ? {} : { name }),
    ...(listen === undefined ? {} : { listen }),
    logs: known,
  };
}

function addKey(logs: WitnessedLog[], origin: string | undefined, key: LogKey): void {
  const of = origin ?? key.name;
  const at = logs.findIndex((log) => log.origin === of);
  const keys = [...(logs[at]?.keys ?? []), key];
  logs.splice(at < 0 ? logs.length : at, 1, { origin: of, keys });
}

function parseLogKey(vkey: string, where: string): LogKey {
  const key = parseVerifierKey(vkey);
  if (typeof key === "string") throw new Error(`${where}: not a verifier key: ${key}`);
  if (key.type !== "log") throw new Error(`${where}: the key of a witness, not of a log`);
  return key;
}

function parseListen(text: string): { host: string; port: number } {
  const match = /^(\[[0-9A-Fa-f:.]+\]|[^:\s]+):([0-9]{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  const host = match?.[1]?.replace(/^\[|\]$/g, "");
  if (host === undefined || port > 65_535) throw new Error(`--listen ${text}: not of the form host:port`);
  return { host, port };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
