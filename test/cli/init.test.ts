/** `scimseal init`: what it makes loads, nothing is overwritten, nothing half done is left, and the text is what to paste. */
import { spawn, spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { AuditorAuthenticator } from "../../src/auth/auditors.ts";
import { CredentialStore } from "../../src/auth/credentialStore.ts";
import { checkListeners } from "../../src/cli/doctor/doctorFiles.ts";
import { registerInit } from "../../src/cli/setup/init.ts";
import { loadConfig } from "../../src/config/load.ts";
import { loadPinned } from "../../src/keys/keyring.ts";
import { loadSealingKey } from "../../src/keys/sealingKey.ts";
import { loadSigner } from "../../src/keys/signer.ts";
import { loadTokenKey } from "../../src/keys/tokenKey.ts";
import { runCommand } from "./run.ts";

let base: string;
let dir: string;
beforeEach(async () => {
  base = await mkdtemp(path.join(tmpdir(), "scimseal-init-"));
  dir = path.join(base, "deep", "installation");
});
afterEach(() => rm(base, { recursive: true }));

const init = (...args: string[]) =>
  runCommand(
    registerInit,
    "init",
    "--yes",
    "--dir",
    dir,
    "--public-url",
    "https://scim.example.com/",
    "--target-url",
    "https://app.example.com/scim/v2",
    ...args,
  );
const bearer = ["--target-secret-env", "TARGET_TOKEN"];
const environment = { TARGET_TOKEN: "t", DATABASE_URL: "postgresql://u:p@h/d" };
const modeOf = async (...parts: string[]) => (await stat(path.join(dir, ...parts))).mode & 0o777;
const load = () => loadConfig(path.join(dir, "scimseal.yaml"), { environment });

test("Okta: what it makes loads and belongs together, and the text is what to paste", async () => {
  const { out, error } = await init("--idp", "okta", ...bearer);
  expect(error).toBeUndefined();
  const config = await load();
  const ledger = config.ledgers.main;
  if (ledger === undefined) throw new Error("no ledger");
  expect(ledger.origin).toBe("scim.example.com/main");
  expect(loadPinned(ledger.pinnedKeys).map(({ kid }) => kid)).toEqual([
    loadSigner(ledger.signingKey.file).kid,
  ]);
  expect(loadTokenKey(ledger.tokenKey.file, ledger.origin).token("id", "a")).toMatch(/^t:/);
  expect(loadSealingKey(ledger.sealingKey.file, ledger.origin).derive("a")).toHaveLength(32);
  expect(config.connectors.okta).toMatchObject({
    ledger: "main",
    idp: "okta",
    target: { auth: { kind: "bearer" } },
  });
  expect(config.database).toEqual({ kind: "embedded", port: 0 });
  for (const secret of [
    "keys/main.jwk",
    "keys/main.token.key",
    "keys/main.sealing.jwks",
    "data/credentials.json",
  ])
    expect(await modeOf(secret)).toBe(0o600);
  for (const closed of ["keys", "data"]) expect(await modeOf(closed)).toBe(0o700);

  expect(out).toMatch(/SCIM connector base URL +https:\/\/scim\.example\.com\/okta\/scim\/v2\n/);
  expect(out).toMatch(/Unique identifier field for users +userName\n/);
  expect(out).toMatch(/Authentication Mode +HTTP Header\n/);
  const store = new CredentialStore(config.dataDir, { log: { warn() {}, error() {} } });
  expect(store.find("client", /scs_\S+/.exec(out)?.[0] ?? "")).toMatchObject({ connector: "okta" });
  const auditor = new AuditorAuthenticator(store).authenticate(`Bearer ${/sca_\S+/.exec(out)?.[0]}`);
  expect(auditor?.ledgers).toBe("*");
  store.close();
});

test("the commands it prints can be pasted, wherever the installation lies", async () => {
  dir = path.join(base, "Ada's proxy $HOME");
  const { out } = await init("--idp", "okta", ...bearer);
  const lines = [...out.matchAll(/^ {2}\d\. .*?(--config .*)$/gm)].map(([, words]) => words);
  expect(lines).toHaveLength(2);
  for (const words of lines) {
    const { stdout } = spawnSync("sh", ["-c", `printf '%s\\n' ${words}`], { encoding: "utf8" });
    expect(stdout).toBe(`--config\n${path.join(dir, "scimseal.yaml")}\n`);
  }
});

test("a public URL that no identity provider would call is made as asked, and said plainly, as doctor says it", async () => {
  const { out, error } = await init(...bearer, "--public-url", "http://scim.example.com:8080");
  expect(error).toBeUndefined();
  const config = await load();
  expect(config.publicUrl).toBe("http://scim.example.com:8080");
  const said = checkListeners(config).find(({ name }) => name === "public URL");
  expect(said?.status).toBe("warn");
  expect(out).toContain(`\nWarning: ${said?.detail}.\n  → ${said?.remedy}\n`);
});

test.each(["https://scim.example.com", "http://127.0.0.1:8080", "http://localhost", "http://[::1]:8080"])(
  "the public URL %s is nothing to warn of",
  async (url) => {
    const { out, error } = await init(...bearer, "--public-url", url);
    expect(error).toBeUndefined();
    expect(out).not.toContain("Warning");
  },
);

test("Entra: the tenant URL carries the flag", async () => {
  const { out } = await init("--idp", "entra", "--connector", "hr", ...bearer);
  expect(out).toMatch(/Tenant URL +https:\/\/scim\.example\.com\/hr\/scim\/v2\?aadOptscim062020\n/);
  expect(out).toMatch(/Secret Token +scs_[A-Za-z0-9_-]{43}\n/);
  expect((await load()).connectors.hr?.idp).toBe("entra");
});

test("every kind of credential, and an external database, come out as asked", async () => {
  const secretFile = path.join(base, "password");
  await writeFile(secretFile, 'p"a: #{}\n', { mode: 0o600 });
  const odd = 'o"dd: #{user}';
  await init(
    "--target-auth",
    "basic",
    "--target-username",
    odd.replace(":", ""),
    "--target-secret-file",
    secretFile,
    "--database-url-env",
    "DATABASE_URL",
  );
  const { connectors, database } = await load();
  const auth = connectors.other?.target.auth;
  if (auth?.kind !== "basic") throw new Error("not basic");
  expect([auth.username, auth.password.reveal()]).toEqual([odd.replace(":", ""), 'p"a: #{}']);
  expect(database.kind).toBe("external");
});

test.each([
  [
    "oauth",
    [
      "--target-auth",
      "oauth",
      "--target-token-url",
      "https://a.example/t",
      "--target-client-id",
      "c",
      ...bearer,
    ],
    "oauth",
  ],
  ["none", ["--target-auth", "none"], "none"],
])("--target-auth %s", async (_name, args, kind) => {
  expect((await init(...args)).error).toBeUndefined();
  expect((await load()).connectors.other?.target.auth.kind).toBe(kind);
});

test("a secret on standard input is kept in a file of its own, mode 0600, and not in the configuration", async () => {
  const script = `
    import { Command } from "commander";
    import { registerInit } from "./src/cli/setup/init.ts";
    const program = new Command(); registerInit(program); await program.parseAsync();`;
  const child = spawn(
    process.execPath,
    [
      "--input-type=module",
      "-e",
      script,
      "--",
      "init",
      "--dir",
      dir,
      "--public-url",
      "https://p.example",
      "--target-url",
      "https://t.example",
      "--target-secret-file",
      "-",
    ],
    { cwd: fileURLToPath(new URL("../..", import.meta.url)), stdio: ["pipe", "pipe", "inherit"] },
  );
  child.stdout.resume();
  child.stdin.end("canary-77\n");
  const code = await new Promise((resolve) => child.on("exit", resolve));
  expect(code).toBe(0);
  expect(await modeOf("secrets", "other-target")).toBe(0o600);
  expect(await readFile(path.join(dir, "scimseal.yaml"), "utf8")).not.toContain("canary-77");
  const auth = (await load()).connectors.other?.target.auth;
  expect(auth?.kind === "bearer" && auth.token.reveal()).toBe("canary-77");
});

test.each([
  "scimseal.yaml",
  "keys/main.jwk",
  "keys/main.token.key",
  "keys/main.sealing.jwks",
  "data/credentials.json",
])("an existing %s stops it, untouched", async (name) => {
  await mkdir(path.dirname(path.join(dir, name)), { recursive: true });
  await writeFile(path.join(dir, name), "precious");
  const { error, out } = await init(...bearer);
  expect(String(error)).toMatch(/exists already/);
  expect(out).toBe("");
  expect(await readFile(path.join(dir, name), "utf8")).toBe("precious");
  const files = (await readdir(dir, { recursive: true, withFileTypes: true })).filter((entry) =>
    entry.isFile(),
  );
  expect(files).toHaveLength(1);
});

test.each([
  ["a refused target", ["--target-url", "http://169.254.169.254/"], /refused as an address/],
  ["a public URL that is none", ["--public-url", "scim"], /is not a URL/],
  ["a connector's name that is none", ["--connector", "../x"], /lower-case|exists|written/],
  ["a reserved connector's name", ["--connector", "oauth2"], /listener's own/],
])("%s leaves nothing behind", async (_name, args, message) => {
  const { error } = await init(...bearer, ...args);
  expect(String(error)).toMatch(message);
  expect(await readdir(base)).toEqual([]);
});

test("a step that fails in the middle takes back what was made, and keeps what was there", async () => {
  await mkdir(path.join(dir, "keys"), { recursive: true });
  await writeFile(path.join(dir, "keys", "main.genesis.pub.jwk"), "someone's");
  const { error } = await init(...bearer);
  expect(String(error)).toMatch(/genesis\.pub\.jwk cannot be written \(EEXIST\)/);
  expect((await readdir(dir, { recursive: true })).toSorted()).toEqual(["keys", "keys/main.genesis.pub.jwk"]);
});

test("without a terminal it names the flag that is missing", async () => {
  const { err, error } = await runCommand(registerInit, "init", "--yes", "--dir", dir);
  expect(error).toBeDefined();
  expect(err).toMatch(/--target-url is missing/);
  expect(await readdir(base)).toEqual([]);
});
