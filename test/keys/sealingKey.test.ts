import { randomBytes } from "node:crypto";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { KeyError, saveKey } from "../../src/keys/keyFile.ts";
import {
  createSealingKey,
  generateSealingKey,
  loadSealingKey,
  SealError,
} from "../../src/keys/sealingKey.ts";

const ORIGIN = "scim.example.com/main";
let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "scimseal-sealing-"));
});
afterAll(() => rm(dir, { recursive: true }));

const dataKey = new Uint8Array(randomBytes(32));
const id = new Uint8Array(randomBytes(32));

test("a key file opens what it wrapped, for this ledger and this id only", async () => {
  const path = join(dir, "one.jwks");
  await saveKey(path, generateSealingKey());
  const key = loadSealingKey(path, ORIGIN);
  const wrapped = key.wrap(dataKey, id);
  expect(Buffer.from(key.unwrap(wrapped, id))).toEqual(Buffer.from(dataKey));
  expect(Buffer.from(wrapped).includes(Buffer.from(dataKey))).toBe(false);
  // Another ledger's; another row's.
  expect(() => loadSealingKey(path, `${ORIGIN}2`).unwrap(wrapped, id)).toThrow(SealError);
  expect(() => key.unwrap(wrapped, new Uint8Array(32))).toThrow(SealError);
  for (let at = 0; at < wrapped.length; at++) {
    const changed = Uint8Array.from(wrapped);
    changed[at] = (changed[at] ?? 0) ^ 1;
    expect(() => key.unwrap(changed, id)).toThrow(SealError);
  }
  expect(() => key.unwrap(wrapped.subarray(1), id)).toThrow("another length");
});

test("a new key in front seals, the old ones still open, and what is derived stays", async () => {
  const [before, after] = [join(dir, "before.jwks"), join(dir, "after.jwks")];
  const text = generateSealingKey();
  await saveKey(before, text);
  await saveKey(after, generateSealingKey({ text, path: before }));
  const [older, newer] = [loadSealingKey(before, ORIGIN), loadSealingKey(after, ORIGIN)];
  expect(newer.unwrap(older.wrap(dataKey, id), id)).toEqual(older.unwrap(older.wrap(dataKey, id), id));
  expect(() => older.unwrap(newer.wrap(dataKey, id), id)).toThrow(
    /wrapped under key [0-9a-f]{16}; the key file holds/,
  );
  expect(newer.derive("account")).toEqual(older.derive("account"));
});

test("a file that was given a new key while it is in use is read again when that key is met", async () => {
  const path = join(dir, "living.jwks");
  const text = generateSealingKey();
  await saveKey(path, text);
  const running = loadSealingKey(path, ORIGIN);
  const old = running.wrap(dataKey, id);
  await rm(path);
  await saveKey(path, generateSealingKey({ text, path }));
  const restarted = loadSealingKey(path, ORIGIN);
  const wrapped = restarted.wrap(dataKey, id);
  expect(Buffer.from(running.unwrap(wrapped, id))).toEqual(Buffer.from(dataKey));
  expect(Buffer.from(running.unwrap(old, id))).toEqual(Buffer.from(dataKey));
  // From now on it wraps as the others do.
  expect(Buffer.from(running.wrap(dataKey, id)).subarray(0, 8)).toEqual(Buffer.from(wrapped).subarray(0, 8));
  // A key that is in no file stays unknown, and a file that is gone changes nothing.
  await rm(path);
  const strange = createSealingKey([new Uint8Array(32).fill(9)], ORIGIN).wrap(dataKey, id);
  expect(() => running.unwrap(strange, id)).toThrow(SealError);
  expect(Buffer.from(running.unwrap(wrapped, id))).toEqual(Buffer.from(dataKey));
});

test("what is derived is bound to origin and purpose, and tells nothing of the key", () => {
  const secret = new Uint8Array(32).fill(1);
  const key = createSealingKey([secret], ORIGIN);
  const all = [
    key.derive("a"),
    key.derive("b"),
    createSealingKey([secret], "another").derive("a"),
    createSealingKey([new Uint8Array(32).fill(2)], ORIGIN).derive("a"),
    secret,
  ].map((bytes) => Buffer.from(bytes).toString("hex"));
  expect(new Set(all).size).toBe(5);
});

test.each([
  ["no JSON", "it is not JSON", "secret-key-text"],
  ["no set", "JWK set", JSON.stringify({ kty: "oct", k: "A".repeat(43) })],
  ["an empty set", "JWK set", JSON.stringify({ keys: [] })],
  ["another kind of key", "kty oct", JSON.stringify({ keys: [{ kty: "OKP", k: "A".repeat(43) }] })],
  ["a short key", "256 bits", JSON.stringify({ keys: [{ kty: "oct", k: "AAAA" }] })],
  [
    "a key twice",
    "a key twice",
    JSON.stringify({ keys: Array(2).fill({ kty: "oct", k: Buffer.alloc(32, 1).toString("base64url") }) }),
  ],
])("%s is refused, and the message quotes nothing", async (name, why, text) => {
  const path = join(dir, `${name}.jwks`);
  await writeFile(path, text, { mode: 0o600 });
  const load = () => loadSealingKey(path, ORIGIN);
  expect(load).toThrow(KeyError);
  expect(load).toThrow(why);
  expect(load).not.toThrow("secret-key-text");
  expect(load).toThrow("scimseal keys sealing");
});

test("a file that others can reach is refused", async () => {
  const path = join(dir, "open.jwks");
  await saveKey(path, generateSealingKey());
  await chmod(path, 0o640);
  expect(() => loadSealingKey(path, ORIGIN)).toThrow("chmod 600");
});
