/** `scimseal token` on a real installation. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { listCredentials } from "../../src/auth/credentialFile.ts";
import { CredentialStore } from "../../src/auth/credentialStore.ts";
import { redeemSignInLink } from "../../src/auth/session/signInLink.ts";
import { createSetup } from "../../src/cli/setup/setup.ts";
import { parseTime, registerToken } from "../../src/cli/token.ts";
import { runCommand } from "./run.ts";

let base: string;
let config: string;
let dataDir: string;
beforeEach(async () => {
  base = await mkdtemp(path.join(tmpdir(), "scimseal-token-"));
  const setup = await createSetup({
    dir: path.join(base, "i"),
    connector: "okta",
    idp: "okta",
    publicUrl: "https://scim.example.com",
    targetUrl: "https://app.example.com",
    targetAuth: { kind: "bearer", secret: { env: "NOT_SET_HERE" } },
  });
  config = setup.configFile;
  dataDir = path.join(base, "i", "data");
});
afterEach(() => rm(base, { recursive: true }));

const token = (...args: string[]) => runCommand(registerToken, "token", ...args);

test("mint prints the token alone on standard output, and it works", async () => {
  const { out, err } = await token(
    "mint",
    "--config",
    config,
    "--connector",
    "okta",
    "--name",
    "okta-2",
    "--expires",
    "90d",
  );
  expect(out).toMatch(/^scs_[A-Za-z0-9_-]{43}\n$/);
  expect(err).toMatch(/Minted okta-2 \(id [0-9a-f]{12}\)\. It expires 20/);
  expect(err).not.toContain(out.trim());
  const store = new CredentialStore(dataDir, { log: { warn() {}, error() {} } });
  expect(store.find("client", out.trim())?.name).toBe("okta-2");
  store.close();
});

test("an auditor's token may be bound to ledgers; --data-dir serves instead of --config", async () => {
  const { out } = await token("mint", "--data-dir", dataDir, "--auditor", "--ledger", "main", "subsidiary");
  expect(out).toMatch(/^sca_/);
  expect((await listCredentials(dataDir)).at(-1)).toMatchObject({
    kind: "auditor",
    ledgers: ["main", "subsidiary"],
  });
});

test.each([
  [["--connector", "entra"], /no connector is called entra; the configuration has: okta/],
  [["--auditor", "--ledger", "other"], /no ledger is called other/],
  [["--connector", "okta", "--auditor"], /say either --connector/],
  [[], /say either --connector/],
  [["--connector", "okta", "--ledger", "main"], /say either --connector/],
  [["--connector", "okta", "--name", "Ada Lovelace"], /lower-case/],
  [["--connector", "okta", "--name", "okta-1"], /exists already/],
  [["--connector", "okta", "--expires", "soon"], /write 90d/],
  [["--connector", "okta", "--expires", "1d", "--not-before", "2d"], /must be after/],
])("mint %j is refused and mints nothing", async (args, message) => {
  const { out, err, error } = await token("mint", "--config", config, ...args);
  expect(`${err}${error}`).toMatch(message);
  expect(out).toBe("");
  expect(await listCredentials(dataDir)).toHaveLength(2);
});

test("list shows state and last use, and no token and no hash; revoke ends one", async () => {
  const minted = await token("mint", "--config", config, "--connector", "okta", "--name", "okta-2");
  const store = new CredentialStore(dataDir, { log: { warn() {}, error() {} } });
  store.find("client", minted.out.trim());
  store.close();
  const { out } = await token("revoke", minted.out.slice(0, 10), "--config", config);
  expect(out).toMatch(/^Revoked okta-2/);
  const table = (await token("list", "--config", config)).out;
  expect(table).toMatch(/revoked +connector okta +okta-2 .*\d{4}-\d\d-\d\dT\d\d:\d\d\n/);
  expect(table).toMatch(/active +connector okta +okta-1 .*unknown\n/);
  expect(table).toMatch(/active +auditor of all ledgers/);
  const json = (await token("list", "--config", config, "--json")).out;
  expect(JSON.parse(json)).toHaveLength(3);
  for (const text of [table, json]) {
    expect(text).not.toContain(minted.out.trim().slice(10));
    expect(text).not.toMatch(/[0-9a-f]{64}/);
  }
});

test("escape sequences in a file that was tampered with do not reach the terminal (case 53)", async () => {
  const [credential] = await listCredentials(dataDir);
  const evil = { ...credential, connector: "okta\u001b[2J\u202e" };
  await writeFile(
    path.join(dataDir, "credentials.json"),
    JSON.stringify({ version: 1, credentials: [evil] }),
  );
  const { out } = await token("list", "--data-dir", dataDir);
  expect(out).toContain("okta\\u{1b}[2J\\u{202e}");
  for (const character of ["\u001b", "\u202e"]) expect(out).not.toContain(character);
});

test("times: spans from now, dates, and times without a zone as UTC", () => {
  expect(parseTime("2030-01-31").toISOString()).toBe("2030-01-31T00:00:00.000Z");
  expect(parseTime("2030-01-31T10:00").toISOString()).toBe("2030-01-31T10:00:00.000Z");
  expect(parseTime("2030-01-31T10:00:00+02:00").toISOString()).toBe("2030-01-31T08:00:00.000Z");
  expect(Math.abs(parseTime("90d").getTime() - Date.now() - 90 * 86_400_000)).toBeLessThan(1000);
  for (const bad of ["", "1", "90", "1w", "-1d", "2030", "2030-13-01", "2030-02-31T99:00"])
    expect(() => parseTime(bad), bad).toThrow();
});

test("roles and connector scopes are kept with the credential, and shown", async () => {
  await token("mint", "--config", config, "--operator", "--name", "front-desk");
  await token("mint", "--config", config, "--admin", "--ledger", "main");
  await token("mint", "--config", config, "--auditor", "--connector-scope", "okta", "--name", "okta-audit");
  expect((await listCredentials(dataDir)).slice(-3)).toMatchObject([
    { kind: "auditor", role: "operator", ledgers: "*", name: "front-desk" },
    { kind: "auditor", role: "admin", ledgers: ["main"], name: expect.stringMatching(/^admin-/) },
    { kind: "auditor", ledgers: "*", connectors: ["okta"] },
  ]);
  // As it always was: who reads and has no role is an auditor.
  expect((await listCredentials(dataDir)).at(-1)).not.toHaveProperty("role");
  const { out } = await token("list", "--config", config);
  expect(out).toContain("operator of all ledgers");
  expect(out).toContain("admin of main");
  expect(out).toContain("auditor of all ledgers, connectors okta");
});

test("what does not go together, or is not configured, is refused", async () => {
  for (const wrong of [
    ["--auditor", "--admin"],
    ["--connector", "okta", "--operator"],
    ["--connector", "okta", "--connector-scope", "okta"],
    ["--auditor", "--connector-scope", "oktta"],
    ["--admin", "--ledger", "mian"],
  ]) {
    const { error, out } = await token("mint", "--config", config, ...wrong);
    expect([wrong.join(" "), error !== undefined, out]).toEqual([wrong.join(" "), true, ""]);
  }
});

test("a sign-in link is for the configured address, works through its secret, and stands in the list", async () => {
  const { out, err } = await token("signin", "--config", config, "--role", "admin", "--name", "desk");
  const [, secret = ""] = /^http:\/\/127\.0\.0\.1:8081\/#signin=(scl_[\w-]{43})\n$/.exec(out) ?? [];
  expect(err).toMatch(/^Signs in desk \(id [0-9a-f]{12}\) as admin of all ledgers\. Works once, until 20/);
  expect(err).not.toContain(secret);
  expect((await token("list", "--config", config)).out).toMatch(/sign-in open .*desk/);
  expect(await redeemSignInLink(dataDir, secret, new Date())).toMatchObject({ name: "desk", role: "admin" });
  expect((await token("list", "--config", config)).out).toMatch(/sign-in used .*desk/);
});

test("a sign-in link needs an address, and takes another one", async () => {
  const unknown = await token("signin", "--data-dir", dataDir);
  expect(unknown.error).toBeDefined();
  expect(unknown.err).toContain("--url");
  const given = await token(
    "signin",
    "--config",
    config,
    "--url",
    "https://audit.example.com/activity?x=1#y",
  );
  expect(given.out).toMatch(/^https:\/\/audit\.example\.com\/#signin=/);
  expect((await token("signin", "--config", config, "--url", "javascript:alert(1)")).error).toBeDefined();
  expect((await token("signin", "--config", config, "--role", "root")).error).toBeDefined();
});
