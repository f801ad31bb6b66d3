// One-time sign-in links: they work once, whoever comes at the same time, whatever is restarted, and not for long.

import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { SESSION_ABSOLUTE_MS } from "../../src/auth/session/sessions.ts";
import { SignInDesk } from "../../src/auth/session/signInDesk.ts";
import {
  addSignInLink,
  LINK_LIFE_MS,
  linkState,
  listSignInLinks,
  redeemSignInLink,
  revokeSignInLink,
  signInLinkPath,
} from "../../src/auth/session/signInLink.ts";

const NOW = new Date("2030-01-01T00:00:00Z");
const later = (ms: number) => new Date(NOW.getTime() + ms);
const record = async () => {};

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "scimseal-signin-"));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

function makeDesk() {
  const clock = { nowMs: NOW.getTime(), tickMs: 0 };
  const errors: object[] = [];
  const log = { warn() {}, error: (fields: object) => errors.push(fields) };
  const desk = new SignInDesk(dataDir, { log, now: () => clock.nowMs, monotonic: () => clock.tickMs });
  return { desk, clock, errors };
}

test("the file keeps a hash and no secret, for its owner only", async () => {
  const { secret, link } = await addSignInLink(dataDir, { ledgers: "*", role: "admin" }, NOW);
  expect(secret).toMatch(/^scl_[A-Za-z0-9_-]{43}$/);
  expect(link).toMatchObject({
    name: `signin-${link.id}`,
    role: "admin",
    expires: later(LINK_LIFE_MS).toISOString(),
  });
  const text = await readFile(signInLinkPath(dataDir), "utf8");
  expect(text).not.toContain(secret.slice(4));
  expect((await stat(signInLinkPath(dataDir))).mode & 0o777).toBe(0o600);
});

test("it works once", async () => {
  const { secret } = await addSignInLink(dataDir, { ledgers: "*" }, NOW);
  expect(await redeemSignInLink(dataDir, secret, NOW)).toMatchObject({ used: NOW.toISOString() });
  expect(await redeemSignInLink(dataDir, secret, NOW)).toBeUndefined();
});

test("of many who come at the same time one gets in", async () => {
  const { secret } = await addSignInLink(dataDir, { ledgers: "*" }, NOW);
  const desks = [makeDesk().desk, makeDesk().desk];
  const all = await Promise.all(
    Array.from({ length: 8 }, (_, i) => desks[i % 2]?.signIn(secret, true, record)),
  );
  expect(all.filter((session) => session !== undefined)).toHaveLength(1);
});

test("it is too old after a quarter of an hour, to the millisecond", async () => {
  const { secret } = await addSignInLink(dataDir, { ledgers: "*" }, NOW);
  expect(await redeemSignInLink(dataDir, secret, later(LINK_LIFE_MS))).toBeUndefined();
  expect(await redeemSignInLink(dataDir, secret, later(LINK_LIFE_MS - 1))).toBeDefined();
});

test("what is no link of ours is none, and takes no lock", async () => {
  await addSignInLink(dataDir, { ledgers: "*" }, NOW);
  await writeFile(`${signInLinkPath(dataDir)}.tmp`, "", { mode: 0o600 });
  for (const guess of ["", "scl_", `scl_${"A".repeat(43)}`, "x".repeat(100_000)])
    expect(await redeemSignInLink(dataDir, guess, NOW)).toBeUndefined();
});

test("a link opens a session with its reach, under another token", async () => {
  const { desk } = makeDesk();
  const { secret } = await addSignInLink(
    dataDir,
    { ledgers: ["main"], connectors: ["okta"], role: "operator", name: "front-desk" },
    NOW,
  );
  const session = await desk.signIn(secret, true, record);
  expect(session?.auditor).toEqual({
    auditor: "front-desk",
    role: "operator",
    ledgers: new Set(["main"]),
    connectors: new Set(["okta"]),
    canReadBodies: false,
  });
  expect(session?.token).not.toContain(secret.slice(4));
  expect(desk.find(session?.token ?? "", true)?.auditor.auditor).toBe("front-desk");
  // The secret is not the session.
  expect(desk.find(secret.slice(4), true)).toBeUndefined();
});

test("nobody is in whose sign-in could not be recorded, and the link is spent", async () => {
  const { desk } = makeDesk();
  const { secret } = await addSignInLink(dataDir, { ledgers: "*" }, NOW);
  await expect(desk.signIn(secret, true, () => Promise.reject(new Error("ledger away")))).rejects.toThrow(
    "ledger away",
  );
  expect(await desk.signIn(secret, true, record)).toBeUndefined();
});

test("it stays spent after a restart, and sessions do not outlive the process", async () => {
  const { secret } = await addSignInLink(dataDir, { ledgers: "*" }, NOW);
  const session = await makeDesk().desk.signIn(secret, true, record);
  const { desk } = makeDesk();
  expect(await desk.signIn(secret, true, record)).toBeUndefined();
  expect(desk.find(session?.token ?? "", true)).toBeUndefined();
});

test("a revoked link does not work, and the session it opened ends within a second", async () => {
  const { desk, clock } = makeDesk();
  const [used, unused] = [
    await addSignInLink(dataDir, { ledgers: "*" }, NOW),
    await addSignInLink(dataDir, { ledgers: "*" }, NOW),
  ];
  const session = await desk.signIn(used.secret, true, record);
  for (const { link } of [used, unused]) await revokeSignInLink(dataDir, link.id, NOW);
  expect(await desk.signIn(unused.secret, true, record)).toBeUndefined();
  clock.tickMs += 1000;
  expect(desk.find(session?.token ?? "", true)).toBeUndefined();
  expect(await revokeSignInLink(dataDir, "ffffffffffff", NOW)).toBeUndefined();
});

test("another link does not end a session; a broken file leaves it open and is told", async () => {
  const { desk, clock, errors } = makeDesk();
  const { secret } = await addSignInLink(dataDir, { ledgers: "*" }, NOW);
  const token = (await desk.signIn(secret, true, record))?.token ?? "";
  await addSignInLink(dataDir, { ledgers: "*" }, NOW);
  clock.tickMs += 1000;
  expect(desk.find(token, true)).toBeDefined();
  await writeFile(signInLinkPath(dataDir), "{", { mode: 0o600 });
  clock.tickMs += 1000;
  expect(desk.find(token, true)).toBeDefined();
  expect(errors).toHaveLength(1);
});

test("records go when the sessions they opened are over", async () => {
  const first = await addSignInLink(dataDir, { ledgers: "*" }, NOW);
  await redeemSignInLink(dataDir, first.secret, NOW);
  const beforeEnd = later(LINK_LIFE_MS + SESSION_ABSOLUTE_MS - 1);
  await addSignInLink(dataDir, { ledgers: "*" }, beforeEnd);
  expect((await listSignInLinks(dataDir)).map((link) => linkState(link, beforeEnd.getTime()))).toEqual([
    "used",
    "open",
  ]);
  await addSignInLink(dataDir, { ledgers: "*" }, later(LINK_LIFE_MS + SESSION_ABSOLUTE_MS));
  expect((await listSignInLinks(dataDir)).some(({ id }) => id === first.link.id)).toBe(false);
});
