// The image without a container: its files laid out in a directory, run as its entrypoint would, by an account that can
// write nothing but /data, against a PostgreSQL that is not its own. Also what its lines promise.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, posix } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { addCredential } from "../../src/auth/credentialFile.ts";
import { startTarget, type Target } from "../../src/demo/target.ts";
import { saveKey } from "../../src/keys/keyFile.ts";
import { generateSealingKey } from "../../src/keys/sealingKey.ts";
import { formatPinnedJwk, formatPrivateJwk, generateKey } from "../../src/keys/signer.ts";
import { generateTokenKey } from "../../src/keys/tokenKey.ts";
import { type EmbeddedPostgres, startEmbedded } from "../../src/storage/embedded/embedded.ts";
import { layOut, productionPackages, readDockerfile } from "./image.ts";

const image = await readDockerfile("Dockerfile");
/** Static imports and re-exports, but for those of types alone. */
const IMPORT = /^(?:import (?!type\b)(?:[^"';]*? from )?|export (?!type\b)[^"';=]*? from )"([^"]+)";/gm;
const quiet = { info() {}, warn() {}, error() {} };

test("the base is Node 24, installs leave development and optional packages out", () => {
  expect(image.from).toEqual(["node:24-slim", "node:24-slim", "node:24-slim"]);
  // The second makes the dashboard, in a stage of its own that leaves nothing else behind.
  expect(image.installs).toEqual([
    "npm ci --omit=dev --omit=optional --ignore-scripts",
    "npm ci --ignore-scripts",
  ]);
  expect(image.made).toEqual(["dist/dashboard"]);
});

test("it does not run as root, and says so by number", () => {
  expect(image.user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
  expect(image.volumes).toEqual([image.env.SCIMSEAL_DATA_DIR]);
});

test("the build context holds what is copied, and nothing else", async () => {
  const lines = (await readFile(".dockerignore", "utf8")).split("\n").filter((line) => !/^(#|$)/.test(line));
  expect(lines[0]).toBe("*");
  const allowed = lines.slice(1).map((line) => line.slice(1));
  expect(allowed.sort()).toEqual(
    [...new Set([...image.copied, "package-lock.json", ".npmrc", "tsconfig.json"])].sort(),
  );
});

test("every import that serving reaches is a package of the image", async () => {
  const packages = new Set((await productionPackages()).map((path) => path.slice("node_modules/".length)));
  const seen = new Set<string>();
  const missing: string[] = [];
  const visit = async (file: string): Promise<void> => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = await readFile(file, "utf8");
    for (const [, from = ""] of text.matchAll(IMPORT)) {
      if (from.startsWith(".")) await visit(posix.join(dirname(file), from));
      else if (!from.startsWith("node:")) {
        const name = from
          .split("/")
          .slice(0, from.startsWith("@") ? 2 : 1)
          .join("/");
        if (!packages.has(name)) missing.push(`${file}: ${from}`);
      }
    }
  };
  await visit("src/main.ts");
  expect(seen.size).toBeGreaterThan(60);
  expect(missing).toEqual([]);
});

describe("laid out and run", () => {
  let root = "";
  let app = "";
  let database: EmbeddedPostgres;
  let target: Target;
  let token = "";
  let process_: ChildProcess;
  let urls: { scimUrl: string; adminUrl: string };
  const at = (...parts: string[]) => join(root, ...parts);
  /** The image's account, if this test may become it. */
  const [uid = 0, gid = 0] = image.user.split(":").map(Number);
  const account = process.getuid?.() === 0 ? { uid, gid } : {};

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "scimseal-image-"));
    app = at("app");
    await chmod(root, 0o755);
    layOut(image, await productionPackages(), app);
    database = await startEmbedded({ dataDir: at("database"), log: quiet });
    target = await startTarget({ token: "target-token" });
    await configure();
    process_ = spawn(
      process.execPath,
      [...image.entrypoint.slice(1), "serve", "--config", at("config", "scimseal.yaml")],
      {
        cwd: app,
        env: environment(),
        stdio: ["ignore", "pipe", "inherit"],
        ...account,
      },
    );
    urls = await readyUrls(process_);
  });

  afterAll(async () => {
    process_?.kill("SIGKILL");
    await target?.close();
    await database?.stop();
    await rm(root, { recursive: true, force: true });
  });

  /** What an operator mounts: configuration and keys below /config, an empty /data. */
  async function configure(): Promise<void> {
    for (const name of ["config", "data", "tmp"]) await mkdir(at(name), { mode: 0o700 });
    const key = generateKey();
    await saveKey(at("config", "main.jwk"), formatPrivateJwk(key));
    await saveKey(at("config", "main.token.key"), generateTokenKey());
    await saveKey(at("config", "main.sealing.jwks"), generateSealingKey());
    await saveKey(at("config", "main.pub.jwk"), formatPinnedJwk(key));
    token = (await addCredential(at("data"), { kind: "client", connector: "okta" }, new Date())).token;
    const config = {
      scim: { listen: { port: 0 } },
      admin: { listen: { port: 0 } },
      database: { url: { env: "WRITER" }, ownerUrl: { env: "OWNER" }, readerUrl: { env: "READER" } },
      ledgers: {
        main: {
          origin: "image.example.com/main",
          signingKey: { file: "main.jwk" },
          pinnedKeys: ["main.pub.jwk"],
          tokenKey: { file: "main.token.key" },
          sealingKey: { file: "main.sealing.jwks" },
        },
      },
      connectors: {
        okta: { ledger: "main", target: { url: target.url, auth: { bearer: { env: "TARGET" } } } },
      },
    };
    await writeFile(at("config", "scimseal.yaml"), stringify(config), { mode: 0o644 });
    if (account.uid === undefined) return;
    for (const name of ["config", "data", "tmp"]) {
      await chown(at(name), uid, gid);
      for (const file of await readdir(at(name))) await chown(at(name, file), uid, gid);
    }
  }

  function environment(): NodeJS.ProcessEnv {
    const { writer, owner, reader } = database.urls;
    const secrets = { WRITER: writer, OWNER: owner, READER: reader, TARGET: "target-token" };
    return { ...image.env, SCIMSEAL_DATA_DIR: at("data"), TMPDIR: at("tmp"), ...secrets };
  }

  async function run(...args: string[]): Promise<string> {
    const [, ...entry] = image.entrypoint;
    const { stdout } = await promisify(execFile)(process.execPath, [...entry, ...args], {
      cwd: app,
      env: environment(),
      ...account,
    });
    return stdout;
  }

  test("the health check passes while it lives and fails elsewhere", async () => {
    const [, ...args] = image.healthcheck;
    const check = (url: string) =>
      promisify(execFile)(process.execPath, args, { env: { ...image.env, HEALTH_URL: url }, cwd: app });
    await check(`${urls.adminUrl}/healthz`);
    await expect(check(`${urls.adminUrl}/nothing`)).rejects.toMatchObject({ code: 1 });
    await expect(check("http://127.0.0.1:1/healthz")).rejects.toMatchObject({ code: 1 });
  });

  test("a write passes and is recorded; the ledger verifies from inside", async () => {
    const answer = await fetch(`${urls.scimUrl}/okta/scim/v2/Users`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/scim+json" },
      body: JSON.stringify({
        schemas: ["urn:ietf:params:scim:schemas:core:2.0:User"],
        userName: "image@example.com",
      }),
    });
    expect(answer.status).toBe(201);
    const report = JSON.parse(await run("verify", "--json", "--config", at("config", "scimseal.yaml")));
    // Ledger opened, instance started, request, response.
    expect(report).toMatchObject({ ok: true, size: 4 });
  });

  test("the dashboard is in it", async () => {
    const page = await fetch(`${urls.adminUrl}/`);
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining("<script")]);
  });

  test("the embedded database is not there, and the error says what to do", async () => {
    const config = (await readFile(at("config", "scimseal.yaml"), "utf8")).replace(
      /^database:\n(?: .*\n)+/m,
      "",
    );
    const file = at("config", "embedded.yaml");
    await writeFile(file, config.replace(/^/, "dataDir: ../tmp/embedded\n"), { mode: 0o644 });
    const started = promisify(execFile)(process.execPath, ["bin/scimseal.js", "serve", "--config", file], {
      cwd: app,
      env: { TMPDIR: at("tmp"), TARGET: "target-token" },
      ...account,
    });
    await expect(started).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining("database.url") });
    await rm(at("tmp", "embedded"), { recursive: true, force: true });
  });

  test("SIGTERM ends it in good order, and it wrote nowhere but below /data", async () => {
    process_.kill("SIGTERM");
    const [code] = await once(process_, "exit");
    expect(code).toBe(0);
    expect(await readdir(at("tmp"))).toEqual([]);
    expect(await readdir(app)).toEqual([...image.copied, "dist", "node_modules"].sort());
    expect(await readdir(at("data"))).toContain("ledgers.json");
  });
});

/** Reads the log until it says where the listeners are. */
async function readyUrls(child: ChildProcess): Promise<{ scimUrl: string; adminUrl: string }> {
  if (!child.stdout) throw new Error("the process has no output to read");
  const lines = createInterface({ input: child.stdout });
  for await (const line of lines) {
    const { msg, scimUrl, adminUrl } = JSON.parse(line) as Record<string, string>;
    if (msg !== "scimseal is ready" || scimUrl === undefined || adminUrl === undefined) continue;
    child.stdout.resume();
    const local = (url: string) => url.replace("0.0.0.0", "127.0.0.1");
    return { scimUrl: local(scimUrl), adminUrl: local(adminUrl) };
  }
  throw new Error("the process ended before it was ready");
}
