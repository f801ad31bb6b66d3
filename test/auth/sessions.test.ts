// Sessions: who is in, for how long, by which kind of cookie, and how many.

import { expect, test } from "vitest";
import { identify } from "../../src/auth/auditors.ts";
import { SESSION_ABSOLUTE_MS, SESSION_IDLE_MS, Sessions } from "../../src/auth/session/sessions.ts";

const auditor = identify("somebody", { ledgers: ["main"], connectors: ["okta"] });
const MINUTE_MS = 60_000;

function start(maxSessions = 10) {
  const clock = { nowMs: Date.parse("2030-01-01T00:00:00Z") };
  const sessions = new Sessions({ now: () => clock.nowMs, maxSessions });
  const open = (linkId = "0123456789ab", isSecure = true) =>
    sessions.open({ auditor, linkId, isSecure }).token;
  return { clock, sessions, open };
}

test("a session is found by its token, with who it is and until when", () => {
  const { clock, sessions, open } = start();
  const token = open();
  expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/);
  expect(sessions.find(token, true)).toMatchObject({
    auditor: { auditor: "somebody", role: "auditor", ledgers: new Set(["main"]), canReadBodies: true },
    expiresMs: clock.nowMs + SESSION_ABSOLUTE_MS,
  });
  expect(
    sessions.find(
      token.replace(/^./, (first) => (first === "A" ? "B" : "A")),
      true,
    ),
  ).toBeUndefined();
  expect(sessions.find("", true)).toBeUndefined();
});

test("every sign-in has a token of its own", () => {
  const { open } = start();
  expect(open()).not.toBe(open());
});

test("the token of one kind of cookie counts by no other", () => {
  const { sessions, open } = start();
  expect(sessions.find(open("0123456789ab", true), false)).toBeUndefined();
  expect(sessions.find(open("0123456789ab", false), true)).toBeUndefined();
  expect(sessions.find(open("0123456789ab", false), false)).toBeDefined();
});

test("it ends when it was idle too long, and use puts that off", () => {
  const { clock, sessions, open } = start();
  const token = open();
  clock.nowMs += SESSION_IDLE_MS - 1;
  expect(sessions.find(token, true)).toBeDefined();
  clock.nowMs += SESSION_IDLE_MS - 1;
  expect(sessions.find(token, true)).toBeDefined();
  clock.nowMs += SESSION_IDLE_MS;
  expect(sessions.find(token, true)).toBeUndefined();
});

test("a look at whether it still counts is no use", () => {
  const { clock, sessions, open } = start();
  const token = open();
  clock.nowMs += SESSION_IDLE_MS - 1;
  expect(sessions.find(token, true, false)).toBeDefined();
  clock.nowMs += 1;
  expect(sessions.find(token, true, false)).toBeUndefined();
});

test("it ends after its absolute time, however much it is used", () => {
  const { clock, sessions, open } = start();
  const token = open();
  const end = clock.nowMs + SESSION_ABSOLUTE_MS;
  while (clock.nowMs + 10 * MINUTE_MS < end) {
    clock.nowMs += 10 * MINUTE_MS;
    expect(sessions.find(token, true)).toBeDefined();
  }
  clock.nowMs = end;
  expect(sessions.find(token, true)).toBeUndefined();
});

test("signing out ends it, and an end for a revoked sign-in ends those of that sign-in", () => {
  const { sessions, open } = start();
  const [mine, other] = [open("aaaaaaaaaaaa"), open("bbbbbbbbbbbb")];
  sessions.endUnless((id) => id !== "aaaaaaaaaaaa");
  expect(sessions.find(mine, true)).toBeUndefined();
  expect(sessions.find(other, true)).toBeDefined();
  sessions.end(other);
  expect(sessions.find(other, true)).toBeUndefined();
});

test("there are never more than so many: the one used longest ago gives way", () => {
  const { sessions, open } = start(3);
  const tokens = [open(), open(), open()];
  expect(sessions.find(tokens[0] ?? "", true)).toBeDefined();
  const newest = open();
  const found = [...tokens, newest].map((token) => sessions.find(token, true) !== undefined);
  expect(found).toEqual([true, false, true, true]);
});
