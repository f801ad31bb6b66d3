/**
 * Makes a new installation on disk: configuration, keys, secrets, data directory, two tokens.
 *
 * Promise: nothing that exists is overwritten, and a step that fails takes back what this run made, so that a second
 * try starts from the same place. If the process is killed in between, the files that are left are named by the next
 * run's refusal, and can be removed by hand; no token of that half was ever shown.
 */
import { chmod, mkdir, open, rm, rmdir, stat, unlink } from "node:fs/promises";
import path from "node:path";
import { addCredential, credentialPath } from "../../auth/credentialFile.ts";
import { loadConfig } from "../../config/load.ts";
import { errorCode } from "../../config/privateFile.ts";
import { generateSealingKey } from "../../keys/sealingKey.ts";
import { formatPinnedJwk, formatPrivateJwk, generateKey } from "../../keys/signer.ts";
import { generateTokenKey } from "../../keys/tokenKey.ts";

/** Where a secret of the configuration is: named by the operator, or handed to us to keep in a file of mode 0600. */
export type SecretPlace = { env: string } | { file: string } | { text: string };

/** How the proxy will prove itself to the target. */
export type SetupAuth =
  | { kind: "bearer"; secret: SecretPlace }
  | { kind: "basic"; username: string; secret: SecretPlace }
  | { kind: "oauth"; tokenUrl: string; clientId: string; secret: SecretPlace }
  | { kind: "none" };

/** All that `scimseal init` needs to know. */
export interface SetupAnswers {
  dir: string;
  connector: string;
  idp: "okta" | "entra" | "other";
  publicUrl: string;
  targetUrl: string;
  targetAuth: SetupAuth;
  /** Name of the variable with the PostgreSQL URL; without it the embedded server is used. */
  databaseUrlEnv?: string;
}

/** What was made. The tokens are to be shown once. */
export interface Setup {
  configFile: string;
  /** The SCIM base URL to give to the identity provider. */
  baseUrl: string;
  clientToken: string;
  auditorToken: string;
  /** The public key to hand to whoever will verify the ledger. */
  pinnedKeyFile: string;
}

/** The installation cannot be made; nothing of it is left. */
export class SetupError extends Error {
  override readonly name = "SetupError";
}

/** Makes the installation. @throws {SetupError} or {ConfigError} after taking everything back. */
export async function createSetup(answers: SetupAnswers, now: Date = new Date()): Promise<Setup> {
  const dir = path.resolve(answers.dir);
  const at = (...parts: string[]) => path.join(dir, ...parts);
  const made = new MadeFiles();
  const configFile = at("scimseal.yaml");
  const dataDir = at("data");
  await refuseExisting([
    configFile,
    at("keys", "main.jwk"),
    at("keys", "main.token.key"),
    at("keys", "main.sealing.jwks"),
    credentialPath(dataDir),
  ]);
  try {
    await made.directory(dir, 0o755);
    await made.directory(at("keys"), 0o700);
    await made.directory(dataDir, 0o700);
    const key = generateKey();
    await made.file(at("keys", "main.jwk"), formatPrivateJwk(key), 0o600);
    await made.file(at("keys", "main.genesis.pub.jwk"), formatPinnedJwk(key), 0o644);
    await made.file(at("keys", "main.token.key"), generateTokenKey(), 0o600);
    await made.file(at("keys", "main.sealing.jwks"), generateSealingKey(), 0o600);
    const secret = await keepSecret(answers, dir, made);
    await made.file(configFile, formatConfig(answers, secret), 0o644);
    // The answers are judged by the same rules as any configuration. A variable may be set later, by the service.
    await loadConfig(configFile, { secrets: "deferred", environment: {} });
    made.adopt(credentialPath(dataDir));
    const { connector } = answers;
    const client = await addCredential(dataDir, { kind: "client", connector, name: `${connector}-1` }, now);
    const auditor = await addCredential(dataDir, { kind: "auditor", ledgers: "*", name: "auditor-1" }, now);
    return {
      configFile,
      baseUrl: `${answers.publicUrl.replace(/\/+$/, "")}/${connector}/scim/v2`,
      clientToken: client.token,
      auditorToken: auditor.token,
      pinnedKeyFile: at("keys", "main.genesis.pub.jwk"),
    };
  } catch (error) {
    await made.takeBack();
    throw error;
  }
}

async function refuseExisting(files: readonly string[]): Promise<void> {
  for (const file of files) {
    try {
      await stat(file);
    } catch (error) {
      if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") continue;
      throw new SetupError(`${file} cannot be looked at (${errorCode(error)})`, { cause: error });
    }
    throw new SetupError(
      `${file} exists already, and nothing is overwritten: choose another --dir, or move it away`,
    );
  }
}

/** Remembers what this run made, to take it back. */
class MadeFiles {
  readonly #undo: (() => Promise<void>)[] = [];

  /** Makes a directory unless it exists; an existing one keeps its content and is tightened if it must be private. */
  async directory(dir: string, mode: number): Promise<void> {
    const first = await mkdir(dir, { recursive: true, mode });
    if (first === undefined) {
      if (mode === 0o700) await chmod(dir, mode);
      return;
    }
    // `first` is the topmost directory that was missing: all from there down are ours and, once our files went, empty.
    for (let ours = first; ; ) {
      const target = ours;
      this.#undo.push(() => rmdir(target));
      if (ours === dir) break;
      ours = path.join(ours, path.relative(ours, dir).split(path.sep)[0] ?? "");
    }
  }

  /** Writes a new file and flushes it. */
  async file(file: string, text: string, mode: number): Promise<void> {
    try {
      const handle = await open(file, "wx", mode);
      this.#undo.push(() => unlink(file));
      try {
        await handle.writeFile(text);
        await handle.sync();
      } finally {
        await handle.close();
      }
    } catch (cause) {
      throw new SetupError(`${file} cannot be written (${errorCode(cause)})`, { cause });
    }
  }

  /** Takes charge of a file that another part will make. */
  adopt(file: string): void {
    this.#undo.push(() => rm(file, { force: true }));
  }

  /** Removes everything, newest first. What cannot be removed is left, and the next run will name it. */
  async takeBack(): Promise<void> {
    for (const undo of this.#undo.toReversed()) await Promise.allSettled([undo()]);
  }
}

/** Writes a secret that was handed over into a file of its own; returns how the configuration names it. */
async function keepSecret(
  { targetAuth, connector }: SetupAnswers,
  dir: string,
  made: MadeFiles,
): Promise<string> {
  if (targetAuth.kind === "none") return "";
  const { secret } = targetAuth;
  if ("env" in secret) return `{ env: ${quote(secret.env)} }`;
  if ("file" in secret) return `{ file: ${quote(path.resolve(secret.file))} }`;
  await made.directory(path.join(dir, "secrets"), 0o700);
  await made.file(path.join(dir, "secrets", `${connector}-target`), `${secret.text}\n`, 0o600);
  return `{ file: ${quote(`secrets/${connector}-target`)} }`;
}

/** JSON's strings are YAML's double-quoted strings. */
function quote(text: string): string {
  return JSON.stringify(text);
}

function formatConfig(answers: SetupAnswers, secret: string): string {
  const { connector, idp, publicUrl, targetUrl, targetAuth, databaseUrlEnv } = answers;
  return `# scimseal configuration. Every key is explained in docs/CONFIGURATION.md; paths start at this file.
dataDir: ./data
publicUrl: ${quote(publicUrl)}

scim:
  listen: { host: 127.0.0.1, port: 8080 } # Identity providers reach it through your TLS terminator; or set tls here.
  # trustedProxies: [127.0.0.1]
admin:
  listen: { host: 127.0.0.1, port: 8081 }

database:
  ${formatDatabase(databaseUrlEnv)}

ledgers:
  main:
    origin: ${quote(`${originHost(publicUrl)}/main`)} # The ledger's name for the world. Never change it.
    signingKey: { file: keys/main.jwk }
    pinnedKeys: [keys/main.genesis.pub.jwk]
    tokenKey: { file: keys/main.token.key }
    sealingKey: { file: keys/main.sealing.jwks } # Keep a copy apart from the database.

connectors:
  ${connector}:
    ledger: main
    idp: ${idp}
    target:
      url: ${quote(targetUrl)}
      auth: ${formatAuth(targetAuth, secret)}
`;
}

function formatDatabase(urlEnv: string | undefined): string {
  if (urlEnv === undefined) return "embedded: { port: 0 }";
  return `url: { env: ${quote(urlEnv)} } # The writer's role.
  # ownerUrl: { env: NAME } # The owner's role, to let scimseal make its tables at start.`;
}

/** A wrong URL is refused a moment later, by the configuration's own rules. */
function originHost(publicUrl: string): string {
  return URL.canParse(publicUrl) ? new URL(publicUrl).host : "invalid";
}

function formatAuth(auth: SetupAuth, secret: string): string {
  switch (auth.kind) {
    case "bearer":
      return `{ bearer: ${secret} }`;
    case "basic":
      return `{ basic: { username: ${quote(auth.username)}, password: ${secret} } }`;
    case "oauth":
      return `{ oauth: { tokenUrl: ${quote(auth.tokenUrl)}, clientId: ${quote(auth.clientId)}, clientSecret: ${secret} } }`;
    case "none":
      return "{ none: true }";
  }
}
