// The embedded database's files: <dataDir>/postgres (the cluster) and <dataDir>/postgres.json (its port and passwords).
//
// Promise: the cluster appears under its name only complete, with roles and database, and on the disk; an interrupted
// first start leaves nothing that hurts the next. No password reaches PostgreSQL, its logs or its arguments in clear:
// it is given SCRAM verifiers (RFC 5803). Leaves out: running the server (server.ts), tables (migrations).

import { spawn } from "node:child_process";
import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";
import { chown, mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { type Account, asAccount, dataArgument } from "./account.ts";
import { syncDirectory, systemCode, writeDurably } from "./file.ts";
import type { Programs } from "./programs.ts";

/** The database's name in every embedded cluster. */
export const DATABASE = "scimseal";

const identitySchema = z.object({
  version: z.literal(1),
  port: z.int().min(1).max(65535),
  passwords: z.object({
    superuser: z.string().min(1),
    owner: z.string().min(1),
    writer: z.string().min(1),
    reader: z.string().min(1),
  }),
});

/** What postgres.json holds: the port the server had last, and the roles' passwords. */
export type Identity = z.infer<typeof identitySchema>;

/** The role behind each password. */
export const ROLES = {
  superuser: "postgres",
  owner: "scimseal_owner",
  writer: "scimseal_writer",
  reader: "scimseal_reader",
} as const;

// initdb's "trust" serves the single-user session below, before any server listens; this file replaces it before one does.
const HOST_RULES = "# Only loopback, only with a password.\nhost all all 127.0.0.1/32 scram-sha-256\n";

/** The environment of all PostgreSQL programs: nothing of ours, since the server's account can read its own. */
export const SERVER_ENVIRONMENT = { LC_ALL: "C", TZ: "UTC", PATH: "/usr/local/bin:/usr/bin:/bin" };

/** Where the cluster of a data directory is. */
export function clusterDirectory(dataDir: string): string {
  return join(dataDir, "postgres");
}

/** Reads postgres.json; undefined if there is none. */
export async function readIdentity(dataDir: string): Promise<Identity | undefined> {
  const path = join(dataDir, "postgres.json");
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
  try {
    return identitySchema.parse(JSON.parse(text));
  } catch {
    // The parser's message could quote a password, so it is not passed on as the cause.
    throw new Error(
      `${path} is damaged; restore it from a backup (it holds the passwords of the database beside it)`,
    );
  }
}

/** Replaces postgres.json durably. */
export async function writeIdentity(dataDir: string, identity: Identity): Promise<void> {
  await writeDurably(join(dataDir, "postgres.json"), `${JSON.stringify(identity, null, 2)}\n`);
}

/** Whether the data directory holds a complete cluster. */
export async function hasCluster(dataDir: string): Promise<boolean> {
  try {
    await readFile(join(clusterDirectory(dataDir), "PG_VERSION"));
    return true;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return false;
    throw error;
  }
}

/** Makes the cluster of an empty data directory, or does nothing if it has one. `port` goes into a new identity. */
export async function ensureCluster(
  dataDir: string,
  programs: Programs,
  account: Account | undefined,
  port: number,
): Promise<Identity> {
  const saved = await readIdentity(dataDir);
  if (await hasCluster(dataDir)) {
    if (saved !== undefined) return saved;
    throw new Error(
      `${join(dataDir, "postgres.json")} is missing, and with it the passwords of the database beside it; restore it from a backup`,
    );
  }
  const identity: Identity = {
    version: 1,
    port,
    passwords: { superuser: secret(), owner: secret(), writer: secret(), reader: secret() },
  };
  await removeLeftovers(dataDir);
  const fresh = join(dataDir, `postgres.new-${randomBytes(4).toString("hex")}`);
  await mkdir(fresh, { mode: 0o700 });
  if (account !== undefined) await chown(fresh, account.uid, account.gid);
  const run = (program: string, args: string[], input?: string) =>
    runIn(fresh, program, args, account, input);
  const data = dataArgument(fresh, account);
  const layout = ["--encoding=UTF8", "--locale=C", "--data-checksums", "--auth=trust"];
  await run(programs.initdb, [
    "-D",
    data,
    "-U",
    ROLES.superuser,
    ...layout,
    "--no-sync",
    "--no-instructions",
  ]);
  const session = ["--single", "-D", data, "-c", "exit_on_error=on", "-c", "fsync=off", "postgres"];
  await run(programs.postgres, session, rolesAndDatabase(identity));
  await replaceHostRules(join(fresh, "pg_hba.conf"), account);
  await run(programs.initdb, ["-D", data, "--sync-only"]);
  // The passwords first. If we crash here, the next start finds no cluster and makes both anew.
  await writeIdentity(dataDir, identity);
  await rename(fresh, clusterDirectory(dataDir));
  await syncDirectory(dataDir);
  return identity;
}

// What an interrupted first start left. Its initdb may even still run; it fails by itself when its directory goes.
async function removeLeftovers(dataDir: string): Promise<void> {
  for (const name of await readdir(dataDir)) {
    if (!name.startsWith("postgres.new-")) continue;
    await rm(join(dataDir, name), { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  }
}

// Single-user mode takes one statement a line. The roles can log in and nothing else; migrations grant them what they need.
function rolesAndDatabase(identity: Identity): string {
  const { superuser, owner, writer, reader } = identity.passwords;
  const login = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD";
  const statements = [
    `ALTER ROLE ${ROLES.superuser} PASSWORD '${scramVerifier(superuser)}'`,
    `CREATE ROLE ${ROLES.owner} ${login} '${scramVerifier(owner)}'`,
    `CREATE ROLE ${ROLES.writer} ${login} '${scramVerifier(writer)}'`,
    `CREATE ROLE ${ROLES.reader} ${login} '${scramVerifier(reader)}'`,
    `CREATE DATABASE ${DATABASE} OWNER ${ROLES.owner}`,
    `REVOKE ALL ON DATABASE ${DATABASE}, postgres, template1 FROM PUBLIC`,
    `GRANT CONNECT ON DATABASE ${DATABASE} TO ${ROLES.writer}, ${ROLES.reader}`,
  ];
  return `${statements.join(";\n")};\n`;
}

/** A SCRAM-SHA-256 verifier in PostgreSQL's spelling of RFC 5803. The password is ASCII, so SASLprep leaves it as it is. */
export function scramVerifier(password: string): string {
  const iterations = 4096; // PostgreSQL's default; the password has 256 bits, so more would only slow logins down
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password, salt, iterations, 32, "sha256");
  const keyed = (text: string) => createHmac("sha256", salted).update(text).digest();
  const storedKey = createHash("sha256").update(keyed("Client Key")).digest("base64");
  return `SCRAM-SHA-256$${iterations}:${salt.toString("base64")}$${storedKey}:${keyed("Server Key").toString("base64")}`;
}

function secret(): string {
  return randomBytes(32).toString("base64url");
}

// Removed and made anew with "wx" rather than opened: the directory is the account's, which could have put a link there.
async function replaceHostRules(path: string, account: Account | undefined): Promise<void> {
  await rm(path, { force: true });
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(HOST_RULES);
    if (account !== undefined) await file.chown(account.uid, account.gid);
  } finally {
    await file.close();
  }
}

function runIn(
  directory: string,
  program: string,
  args: readonly string[],
  account: Account | undefined,
  input = "",
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      ...asAccount(account),
      cwd: directory,
      env: SERVER_ENVIRONMENT,
      detached: true, // a Ctrl-C is for us to act on, not for half a cluster
      stdio: ["pipe", "ignore", "pipe"],
    });
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => {
      said = (said + chunk.toString("utf8")).slice(-4000);
    });
    child.stdin.on("error", () => {}); // it ended without reading all; its exit status says why
    child.stdin.end(input);
    child.on("error", (cause) => reject(new Error(`cannot run ${program}: ${cause.message}`, { cause })));
    child.on("close", (code, signal) => {
      if (code === 0) resolve();
      else
        reject(
          new Error(
            `${program} failed (${signal ?? `exit status ${code}`}): ${withoutVerifiers(said).trim()}`,
          ),
        );
    });
  });
}

// A statement that fails in single-user mode is quoted in the log, and those that make roles hold verifiers.
function withoutVerifiers(text: string): string {
  return text.replaceAll(/SCRAM-SHA-256\$[^']*/g, "…");
}
