/** Signing keys, pinned keys and token keys, on real files; thumbprints against jose's. */
import { chmod, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { calculateJwkThumbprint, FlattenedSign, importJWK } from "jose";
import { afterAll, beforeAll, expect, test } from "vitest";
import { KeyError, saveKey } from "../../src/keys/keyFile.ts";
import { loadPinned } from "../../src/keys/keyring.ts";
import {
  createSigner,
  formatPinnedJwk,
  formatPrivateJwk,
  generateKey,
  loadSigner,
} from "../../src/keys/signer.ts";
import { createTokenKey, generateTokenKey, loadTokenKey } from "../../src/keys/tokenKey.ts";
import { verifySignature } from "../../src/ledger/leaf.ts";

let directory: string;
let count = 0;
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "scimseal-keys-"));
});
afterAll(() => rm(directory, { recursive: true }));

const fresh = (name: string) => path.join(directory, `${count++}-${name}`);

async function written(text: string, mode = 0o600): Promise<string> {
  const file = fresh("key");
  await writeFile(file, text, { mode });
  await chmod(file, mode);
  return file;
}

test("a saved key is private, loads, and has jose's thumbprint", async () => {
  const jwk = generateKey();
  const file = fresh("main.jwk");
  await saveKey(file, formatPrivateJwk(jwk));
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const signer = loadSigner(file);
  expect(signer.kid).toBe(await calculateJwkThumbprint(signer.publicJwk, "sha256"));
  expect(signer.publicJwk).toEqual({ kty: "OKP", crv: "Ed25519", x: jwk.x });
});

test("signatures are Ed25519's: the portable verifier accepts them, and jose makes the same bytes", async () => {
  const jwk = generateKey();
  const signer = createSigner(jwk);
  const payload = Buffer.from('{"v":1}');
  const jws = await new FlattenedSign(payload)
    .setProtectedHeader({ alg: "EdDSA" })
    .sign(await importJWK({ ...jwk }, "EdDSA"));
  const input = Buffer.from(`${jws.protected}.${jws.payload}`);
  const signature = signer.sign(input);
  expect(Buffer.from(signature).toString("base64url")).toBe(jws.signature);
  const publicKey = Buffer.from(jwk.x, "base64url");
  expect(verifySignature(publicKey, input, signature)).toBe(true);
  expect(verifySignature(publicKey, Buffer.from("other"), signature)).toBe(false);
});

test("an existing key is never overwritten", async () => {
  const file = await written("precious");
  await expect(saveKey(file, "new")).rejects.toThrow(/exists already/);
});

test.each([0o644, 0o640, 0o604, 0o660])("a key of mode %o is refused, naming chmod", async (mode) => {
  const file = await written(formatPrivateJwk(generateKey()), mode);
  expect(() => loadSigner(file)).toThrow(/chmod 600/);
  const token = await written(generateTokenKey(), mode);
  expect(() => loadTokenKey(token, "o")).toThrow(/chmod 600/);
});

const good = generateKey();
const other = generateKey();
const { d: _d, ...publicPart } = good;
test.each([
  ["nothing", "", /not JSON/],
  ["no JWK", "[]", /kty OKP/],
  ["a public key", JSON.stringify(publicPart), /no private part/],
  ["another curve", JSON.stringify({ ...good, crv: "X25519" }), /crv Ed25519/],
  ["halves of two keys", JSON.stringify({ ...good, x: other.x }), /not a usable signing key/],
  ["a short private part", JSON.stringify({ ...good, d: "AAAA" }), /not a usable signing key/],
  ["cut off", JSON.stringify(good).slice(0, -10), /not JSON/],
])("a signing key file with %s is refused, and its text is not repeated", async (_name, text, message) => {
  const file = await written(text);
  const error = (() => {
    try {
      loadSigner(file);
    } catch (caught) {
      return caught;
    }
    return undefined;
  })();
  expect(error).toBeInstanceOf(KeyError);
  expect(String(error)).toMatch(message);
  expect(String(error)).not.toContain(good.d);
  expect(String((error as KeyError).cause)).not.toContain(good.d);
});

test("a missing key names the path", () => {
  expect(() => loadSigner(path.join(directory, "none.jwk"))).toThrow(/none\.jwk cannot be read \(ENOENT\)/);
});

test("pinned keys come from JWK and JWKS files, once each", async () => {
  const single = await written(formatPinnedJwk(good), 0o644);
  const set = await written(
    JSON.stringify({ keys: [good, other].map(({ kty, crv, x }) => ({ kty, crv, x })) }),
  );
  const pinned = loadPinned([single, set]);
  expect(pinned.map(({ kid }) => kid)).toEqual([createSigner(good).kid, createSigner(other).kid]);
});

test.each([
  ["private key", formatPrivateJwk(good), /private key/],
  ["empty set", '{"keys":[]}', /holds no key/],
  ["RSA key", '{"kty":"RSA","n":"AQAB","e":"AQAB"}', /not an Ed25519/],
  ["text", "hello", /not JSON/],
])("a pinned %s is refused", async (_name, text, message) => {
  const file = await written(text, 0o644);
  expect(() => loadPinned([file])).toThrow(message);
});

test("tokens are stable, short, and differ by kind of ledger, key and value", async () => {
  const file = await written(generateTokenKey());
  const key = loadTokenKey(file, "scim.example.com/main");
  const token = key.token("id", "ada@example.com");
  expect(token).toMatch(/^t:[A-Za-z0-9_-]{22}$/);
  expect(loadTokenKey(file, "scim.example.com/main").token("id", "ada@example.com")).toBe(token);
  expect(loadTokenKey(file, "scim.example.com/two").token("id", "ada@example.com")).not.toBe(token);
  expect(key.token("id", "Ada@example.com")).not.toBe(token);
  // From another implementation of RFC 5869 and RFC 2104.
  expect(createTokenKey(new Uint8Array(32), "o").token("id", "x")).toBe("t:IyTsA9UHtUY7kwyGCITihK");
  expect(key.digest(Buffer.from("a"))).toMatch(/^[0-9a-f]{64}$/);
  expect(key.derive("a")).not.toEqual(key.derive("b"));
});

test.each(["", "AAAA", `${"A".repeat(43)}=`, `${"A".repeat(42)}B`, "!".repeat(43)])(
  "a token key file that says %j is refused",
  async (text) => {
    const file = await written(text);
    expect(() => loadTokenKey(file, "o")).toThrow(/32 bytes in base64url/);
  },
);
