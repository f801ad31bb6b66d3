/** `scimseal keys` on a real installation. */
import { chmod, mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { registerKeys } from "../../src/cli/keys/keys.ts";
import { createSetup } from "../../src/cli/setup/setup.ts";
import { runCommand } from "./run.ts";

let base: string;
let config: string;
beforeEach(async () => {
  base = await mkdtemp(path.join(tmpdir(), "scimseal-keycli-"));
  const setup = await createSetup({
    dir: base,
    connector: "okta",
    idp: "okta",
    publicUrl: "https://scim.example.com",
    targetUrl: "https://app.example.com",
    targetAuth: { kind: "none" },
  });
  config = setup.configFile;
});
afterEach(() => rm(base, { recursive: true }));

const keys = (...args: string[]) => runCommand(registerKeys, "keys", ...args, "--config", config);

test("list names kid, mode and path; show --jwks is a set with public halves only", async () => {
  const { d, x } = JSON.parse(await readFile(path.join(base, "keys/main.jwk"), "utf8"));
  const pinned = JSON.parse(await readFile(path.join(base, "keys/main.genesis.pub.jwk"), "utf8"));
  const list = (await keys("list")).out;
  expect(list).toContain(`main    signing  ${pinned.kid}  0600  ${path.join(base, "keys/main.jwk")}\n`);
  expect(list).toContain(`main    pinned   ${pinned.kid}  0644`);
  const jwks = (await keys("show", "--jwks", "--ledger", "main")).out;
  expect(JSON.parse(jwks)).toEqual({
    keys: [{ kty: "OKP", crv: "Ed25519", x, kid: pinned.kid, alg: "EdDSA", use: "sig" }],
  });
  const show = (await keys("show")).out;
  expect(JSON.parse(show)).toHaveLength(2);
  for (const text of [list, jwks, show]) expect(text).not.toContain(d);
});

test("a key that others can read is an error that names chmod; an unknown ledger is named", async () => {
  expect((await keys("list", "--ledger", "other")).err).toMatch(
    /no ledger is called other; the configuration has: main/,
  );
  await chmod(path.join(base, "keys/main.jwk"), 0o644);
  expect(String((await keys("list")).error)).toMatch(/chmod 600/);
});

test("sealing makes a key file that nobody else can read, overwrites none, and keeps the keys of an older one", async () => {
  const at = (name: string) => path.join(base, name);
  const make = (...args: string[]) => runCommand(registerKeys, "keys", "sealing", ...args);
  expect((await make("--out", at("new.jwks"))).out).toContain("keep a copy apart from the database");
  expect((await stat(at("new.jwks"))).mode & 0o777).toBe(0o600);
  expect(String((await make("--out", at("new.jwks"))).error)).toMatch(/never overwritten/);
  expect((await make("--out", at("next.jwks"), "--older", at("new.jwks"))).error).toBeUndefined();
  const keysIn = async (name: string) =>
    (JSON.parse(await readFile(at(name), "utf8")) as { keys: { k: string }[] }).keys.map(({ k }) => k);
  const [[old], next] = [await keysIn("new.jwks"), await keysIn("next.jwks")];
  expect(next).toEqual([expect.stringMatching(/^[\w-]{43}$/), old]);
  expect(next[0]).not.toBe(old);
});
