/** Minted credentials: the file, the server's view of it, rotation and revocation, with real files and a set clock. */
import { chmod, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { digestToken, isToken, mintCredential } from "../../src/auth/credential.ts";
import {
  addCredential,
  credentialPath,
  credentialUsePath,
  listCredentials,
  revokeCredential,
} from "../../src/auth/credentialFile.ts";
import { CredentialStore, readLastUse } from "../../src/auth/credentialStore.ts";

let dataDir: string;
let nowMs: number;
let tickMs: number;
let errors: string[];
beforeEach(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), "scimseal-auth-"));
  nowMs = Date.parse("2026-06-01T12:00:00Z");
  tickMs = 0;
  errors = [];
});
afterEach(() => rm(dataDir, { recursive: true }));

const client = { kind: "client", connector: "okta" } as const;
const now = () => new Date(nowMs);

function openStore(): CredentialStore {
  const log = {
    warn: (_fields: object, message: string) => errors.push(message),
    error: (_fields: object, message: string) => errors.push(message),
  };
  return new CredentialStore(dataDir, { log, now: () => nowMs, monotonic: () => tickMs });
}

test("tokens have their kind's prefix and 256 bits, and only the hash is kept (case 89)", async () => {
  const one = await addCredential(dataDir, client, now());
  const two = await addCredential(dataDir, { kind: "auditor", ledgers: ["main"] }, now());
  expect(one.token).toMatch(/^scs_[A-Za-z0-9_-]{43}$/);
  expect(two.token).toMatch(/^sca_[A-Za-z0-9_-]{43}$/);
  for (const name of await readdir(dataDir)) {
    const text = await readFile(path.join(dataDir, name), "utf8");
    for (const { token } of [one, two]) expect(text).not.toContain(token.slice(10));
  }
  expect((await stat(credentialPath(dataDir))).mode & 0o777).toBe(0o600);
  expect((await listCredentials(dataDir)).map(({ sha256 }) => sha256)).toEqual(
    [one, two].map(({ token }) => digestToken(token)),
  );
});

test("two live tokens work at once; a revoked one is refused within a second (case 89)", async () => {
  const first = await addCredential(dataDir, { ...client, name: "okta-1" }, now());
  const store = openStore();
  expect(store.find("client", first.token)?.name).toBe("okta-1");
  const second = await addCredential(dataDir, { ...client, name: "okta-2" }, now());
  tickMs += 1000;
  expect(store.find("client", second.token)?.name).toBe("okta-2");
  expect(store.find("client", first.token)?.name).toBe("okta-1");
  await revokeCredential(dataDir, first.credential.id, now());
  tickMs += 1000;
  expect(store.find("client", first.token)).toBeUndefined();
  expect(store.find("client", second.token)?.name).toBe("okta-2");
});

test("the same with the real clock", async () => {
  const { token, credential } = await addCredential(dataDir, client, new Date());
  const store = new CredentialStore(dataDir, { log: { warn() {}, error() {} } });
  expect(store.find("client", token)).toBeDefined();
  await revokeCredential(dataDir, credential.prefix, new Date());
  await new Promise((resolve) => setTimeout(resolve, 1000));
  expect(store.find("client", token)).toBeUndefined();
  store.close();
});

test("the file is looked at once a second, not at each request", async () => {
  const { token, credential } = await addCredential(dataDir, client, now());
  const store = openStore();
  await revokeCredential(dataDir, credential.id, now());
  tickMs += 999;
  expect(store.find("client", token)).toBeDefined();
  tickMs += 1;
  expect(store.find("client", token)).toBeUndefined();
});

test("a token is good from its begin to its end", async () => {
  const at = (text: string) => new Date(text);
  const { token } = await addCredential(
    dataDir,
    { ...client, notBefore: at("2026-06-02T00:00:00Z"), expires: at("2026-06-03T00:00:00Z") },
    now(),
  );
  const store = openStore();
  for (const [time, good] of [
    ["2026-06-01T23:59:59.999Z", false],
    ["2026-06-02T00:00:00Z", true],
    ["2026-06-02T23:59:59.999Z", true],
    ["2026-06-03T00:00:00Z", false],
  ] as const) {
    nowMs = Date.parse(time);
    expect(store.find("client", token) !== undefined, time).toBe(good);
  }
});

test("a client's token is no auditor's, and a strange one is nobody's", async () => {
  const { token } = await addCredential(dataDir, client, now());
  const auditor = await addCredential(dataDir, { kind: "auditor", ledgers: "*" }, now());
  const store = openStore();
  expect(store.find("auditor", token)).toBeUndefined();
  expect(store.find("client", auditor.token)).toBeUndefined();
  expect(store.find("auditor", auditor.token)).toMatchObject({ ledgers: "*" });
  for (const strange of [
    "",
    "scs_",
    mintCredential(client, now()).token,
    token.slice(0, -1),
    `${token}A`,
    token.toLowerCase(),
    ` ${token}`,
  ]) {
    expect(store.find("client", strange), strange).toBeUndefined();
  }
});

test.each([
  ["broken", (file: string) => writeFile(file, "{")],
  ["of another form", (file: string) => writeFile(file, '{"version":2,"credentials":[]}')],
  ["open to others", (file: string) => chmod(file, 0o644)],
  ["gone", (file: string) => rm(file)],
])("a file that is %s leaves the last good one in force, with one line in the log", async (_name, spoil) => {
  const { token } = await addCredential(dataDir, client, now());
  const good = await readFile(credentialPath(dataDir));
  const store = openStore();
  await spoil(credentialPath(dataDir));
  for (let second = 0; second < 3; second++) {
    tickMs += 1000;
    expect(store.find("client", token)).toBeDefined();
  }
  expect(errors).toEqual(["credential file unusable; the last good one stays in force"]);
  await rm(credentialPath(dataDir), { force: true });
  await writeFile(credentialPath(dataDir), good, { mode: 0o600 });
  tickMs += 1000;
  expect(store.find("client", token)).toBeDefined();
  expect(errors).toHaveLength(1);
});

test.each([
  ["broken", "{", 0o600, /is not JSON/],
  [
    "of another form",
    '{"version":1,"credentials":[{"kind":"client"}]}',
    0o600,
    /form of a credential file at: credentials\.0/,
  ],
  ["open to others", '{"version":1,"credentials":[]}', 0o644, /chmod 600/],
])("a file that is %s stops the start and every command", async (_name, text, mode, message) => {
  await writeFile(credentialPath(dataDir), text, { mode });
  expect(() => openStore()).toThrow(message);
  await expect(listCredentials(dataDir)).rejects.toThrow(message);
  await expect(addCredential(dataDir, client, now())).rejects.toThrow(message);
  expect(await readFile(credentialPath(dataDir), "utf8")).toBe(text);
  expect(await readdir(dataDir)).toEqual(["credentials.json"]);
});

test("no file means no tokens yet, and the first one is taken up", async () => {
  const store = openStore();
  const { token } = await addCredential(dataDir, client, now());
  tickMs += 1000;
  expect(store.find("client", token)).toBeDefined();
  expect(errors).toEqual([]);
});

test("many commands at once lose nothing", async () => {
  const names = Array.from({ length: 12 }, (_, index) => `t-${index}`);
  await Promise.all(names.map((name) => addCredential(dataDir, { ...client, name }, now())));
  expect((await listCredentials(dataDir)).map(({ name }) => name).toSorted()).toEqual(names.toSorted());
  expect(await readdir(dataDir)).toEqual(["credentials.json"]);
});

test("what a killed command left behind is taken over", async () => {
  const lock = `${credentialPath(dataDir)}.tmp`;
  await writeFile(lock, "half");
  const longAgo = new Date(Date.now() - 60_000);
  await utimes(lock, longAgo, longAgo);
  await addCredential(dataDir, client, now());
  expect(await listCredentials(dataDir)).toHaveLength(1);
});

test("a live credential's name is not given twice; a revoked one's may be", async () => {
  const { credential } = await addCredential(dataDir, { ...client, name: "okta-1" }, now());
  await expect(addCredential(dataDir, { ...client, name: "okta-1" }, now())).rejects.toThrow(
    /exists already/,
  );
  await revokeCredential(dataDir, credential.id, now());
  await addCredential(dataDir, { ...client, name: "okta-1" }, now());
});

test("revoking keeps the first time, and says if there is nothing to revoke", async () => {
  const { credential } = await addCredential(dataDir, client, now());
  const first = await revokeCredential(dataDir, credential.id, now());
  nowMs += 5000;
  expect((await revokeCredential(dataDir, credential.id, now())).revoked).toBe(first.revoked);
  await expect(revokeCredential(dataDir, "scs_nobody", now())).rejects.toThrow(/no credential/);
});

test("last use is written at the end, and kept from one process to the next", async () => {
  const one = await addCredential(dataDir, client, now());
  const two = await addCredential(dataDir, client, now());
  const before = openStore();
  before.find("client", one.token);
  before.close();
  nowMs += 1000;
  const after = openStore();
  after.find("client", two.token);
  after.close();
  expect(readLastUse(dataDir)).toEqual({
    [one.credential.id]: "2026-06-01T12:00:00.000Z",
    [two.credential.id]: "2026-06-01T12:00:01.000Z",
  });
  expect((await stat(credentialUsePath(dataDir))).mode & 0o777).toBe(0o600);
  await writeFile(credentialUsePath(dataDir), "junk");
  expect(readLastUse(dataDir)).toEqual({});
});

test("finding a token takes microseconds", async () => {
  const { token } = await addCredential(dataDir, client, now());
  const store = openStore();
  for (let i = 0; i < 20_000; i++) store.find("client", token);
  const start = performance.now();
  for (let i = 0; i < 20_000; i++) store.find("client", token);
  // 2 µs where it was measured; the bound leaves room for a busy machine.
  expect((performance.now() - start) / 20_000).toBeLessThan(0.05);
});

test("isToken holds tokens apart from everything else", () => {
  expect(isToken(mintCredential(client, now()).token)).toBe(true);
  for (const other of ["", "scs_", "scx_".padEnd(47, "a"), `${mintCredential(client, now()).token}\n`])
    expect(isToken(other)).toBe(false);
});
