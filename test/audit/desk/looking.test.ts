// Looking is written down: by the real writer into a real ledger, in batches, bounded, and refused where it must not fail.

import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { Looking, type LookingLedger, type LookingOptions } from "../../../src/audit/desk/looking.ts";
import { dropDatabase, makeDatabase, makeLedger, type TestDatabase } from "../../storage/writerHarness.ts";
import { makeAuditor } from "../harness.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await makeDatabase();
});
afterAll(() => dropDatabase(database));

const BATCH_MS = 100;

async function start(options: Partial<LookingOptions> = {}) {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  const errors: unknown[] = [];
  const looking = new Looking({
    ledgers: new Map([["main", writer]]),
    onError: (error) => errors.push(error),
    batchMs: BATCH_MS,
    strangerBatchMs: BATCH_MS,
    ...options,
  });
  const events = async () =>
    (await ledger.entries())
      .filter(({ claims }) => claims.type === "event" && claims.event.name !== "ledger-opened")
      .map(({ claims, facts }) => ({ event: claims.type === "event" ? claims.event : undefined, facts }));
  return { ledger, writer, looking, errors, events };
}

const alice = makeAuditor("desk-1");

test("many looks of one auditor are one entry: counts and range in the leaf, filters beside it", async () => {
  const { ledger, looking, events } = await start();
  for (let i = 0; i < 500; i++)
    looking.looked("main", {
      auditor: alice,
      kind: "search",
      count: 2,
      from: 10 + i,
      to: 20 + i,
      facts: { filter: 'userName sw "ada"' },
    });
  looking.looked("main", { auditor: alice, kind: "bodies", count: 1, from: 3, to: 3 });
  looking.looked("main", { auditor: alice, kind: "search", count: 0 });
  await vi.waitFor(async () => expect(await events()).toHaveLength(1), 10_000);
  const [entry] = await events();
  expect(entry?.event).toEqual({
    name: "entries-viewed",
    auditor: "desk-1",
    role: "auditor",
    kinds: { search: 501, bodies: 1 },
    entries: 1001,
    from: 3,
    to: 519,
  });
  expect(entry?.facts).toEqual({ looks: [{ kind: "search", filter: 'userName sw "ada"' }] });
  expect((await ledger.verify()).findings).toEqual([]);
});

test("nothing personal stands in the leaf", async () => {
  const { ledger, looking } = await start();
  looking.looked("main", { auditor: alice, kind: "search", count: 0, facts: { text: "canary@example.com" } });
  await looking.exporting("main", {
    auditor: alice,
    kind: "csv",
    count: 0,
    facts: { filter: "canary@example.com" },
  });
  await looking.stop();
  const rows = await ledger.entries();
  expect(rows.filter(({ facts }) => JSON.stringify(facts ?? {}).includes("canary"))).toHaveLength(2);
  for (const { row } of rows)
    expect(Buffer.from(row.leaf.split(".")[1] ?? "", "base64url").toString()).not.toContain("canary");
});

test("auditors and kinds of news are kept apart; each is written again only after its time", async () => {
  const { looking, events } = await start();
  const look = (name: string) =>
    looking.looked("main", { auditor: makeAuditor(name), kind: "entries", count: 1 });
  look("one");
  look("two");
  looking.denied({ auditor: alice, ledger: "main", reason: "forbidden" });
  looking.denied({ auditor: alice, ledger: "main", reason: "forbidden" });
  looking.denied({ ledger: "main", reason: "unauthenticated" });
  await vi.waitFor(async () => expect(await events()).toHaveLength(4), 10_000);
  const found = (await events()).map(({ event }) => event);
  expect(found).toContainEqual({
    name: "access-denied",
    auditor: "desk-1",
    role: "auditor",
    reasons: { forbidden: 2 },
  });
  expect(found).toContainEqual({ name: "access-denied", reasons: { unauthenticated: 1 } });
  look("one");
  await looking.stop();
  expect(await events()).toHaveLength(5);
});

test("a flood of different filters is bounded, and what is left out is counted", async () => {
  const { looking, events } = await start();
  for (let i = 0; i < 200; i++)
    looking.looked("main", {
      auditor: alice,
      kind: "search",
      count: 1,
      facts: { filter: `${i}${"x".repeat(5000)}` },
    });
  await looking.stop();
  const facts = (await events())[0]?.facts as { looks: { filter: string }[]; leftOut: number };
  expect(facts.looks).toHaveLength(50);
  expect(facts.leftOut).toBe(150);
  expect(Math.max(...facts.looks.map(({ filter }) => filter.length))).toBeLessThan(1100);
});

test("what is asked for and is not there is told to the ledgers of whoever asked, and to no other", async () => {
  const { ledger, writer, looking, events } = await start();
  const foreign = await makeLedger(database);
  const foreignWriter = await foreign.writer();
  const both = new Looking({
    ledgers: new Map([
      ["main", writer],
      ["foreign", foreignWriter],
    ]),
    onError: () => {},
  });
  const mine = makeAuditor("mine", { ledgers: new Set(["main"]) });
  both.denied({ auditor: mine, ledger: "nope", reason: "ledger_unknown" });
  await both.stop();
  await looking.stop();
  expect(await events()).toHaveLength(1);
  expect(
    (await foreign.entries()).filter(({ claims }) => JSON.stringify(claims).includes("access-denied")),
  ).toEqual([]);
  expect((await ledger.verify()).findings).toEqual([]);
});

test("an export is in the ledger before it begins; where it cannot be, there is none", async () => {
  const { writer, looking, events } = await start();
  await looking.exporting("main", {
    auditor: alice,
    kind: "evidence",
    count: 0,
    from: 0,
    to: 9,
    facts: { attachments: "yes" },
  });
  expect(await events()).toEqual([
    {
      event: { name: "export-made", auditor: "desk-1", role: "auditor", kind: "evidence", from: 0, to: 9 },
      facts: { attachments: "yes" },
    },
  ]);
  await writer.stop();
  const refused = looking.exporting("main", { auditor: alice, kind: "evidence", count: 0 });
  await expect(refused).rejects.toMatchObject({ code: "not_recorded" });
});

test("of one auditor thirty exports a minute are recorded, and no more are made", async () => {
  let now = 1_000;
  const { looking, events } = await start({ now: () => now });
  const ask = (auditor = alice) => looking.exporting("main", { auditor, kind: "csv", count: 0 });
  await Promise.all(Array.from({ length: 30 }, () => ask()));
  await expect(ask()).rejects.toMatchObject({ code: "rate_limited" });
  await ask(makeAuditor("desk-2"));
  expect(await events()).toHaveLength(31);
  now += 59_999;
  await expect(ask()).rejects.toMatchObject({ code: "rate_limited" });
  now += 1;
  await ask();
  expect(await events()).toHaveLength(32);
});

test("a sign-in is in every ledger that the person may read; it fails only if none takes it", async () => {
  const { writer, events } = await start();
  const away: LookingLedger = { append: () => Promise.reject(new Error("away")) };
  const errors: string[] = [];
  const looking = new Looking({
    ledgers: new Map<string, LookingLedger>([
      ["main", writer],
      ["away", away],
    ]),
    onError: (_error, ledger) => errors.push(ledger),
  });
  await looking.signedIn(makeAuditor("desk-1", { role: "admin" }));
  expect(errors).toEqual(["away"]);
  expect((await events()).map(({ event }) => event)).toEqual([
    { name: "signed-in", auditor: "desk-1", role: "admin", by: "link" },
  ]);
  const elsewhere = looking.signedIn(makeAuditor("desk-2", { ledgers: new Set(["away"]) }));
  await expect(elsewhere).rejects.toMatchObject({ code: "not_recorded" });
});

test("reading never waits for writing: a ledger that takes nothing loses no look", async () => {
  const { writer } = await start();
  let isAway = true;
  const drafts: unknown[] = [];
  const errors: unknown[] = [];
  const shaky: LookingLedger = {
    append: (draft) => {
      if (isAway) return Promise.reject(new Error("away"));
      drafts.push(draft.body.event);
      return writer.append(draft);
    },
  };
  const looking = new Looking({
    ledgers: new Map([["main", shaky]]),
    onError: (error) => errors.push(error),
    batchMs: 20,
  });
  looking.looked("main", { auditor: alice, kind: "entries", count: 1, from: 5, to: 5 });
  await vi.waitFor(() => expect(errors.length).toBeGreaterThan(0), 10_000);
  looking.looked("main", { auditor: alice, kind: "entries", count: 1, from: 7, to: 7 });
  isAway = false;
  await vi.waitFor(() => expect(drafts).toHaveLength(1), 10_000);
  expect(drafts[0]).toMatchObject({ kinds: { entries: 2 }, entries: 2, from: 5, to: 7 });
});

test("after the stop nothing is taken, and nothing stays behind", async () => {
  const { looking, events } = await start();
  looking.looked("main", { auditor: alice, kind: "entries", count: 1 });
  await looking.stop();
  expect(await events()).toHaveLength(1);
  looking.looked("main", { auditor: alice, kind: "entries", count: 1 });
  looking.looked("nope", { auditor: alice, kind: "entries", count: 1 });
  await sleep(BATCH_MS * 2);
  expect(await events()).toHaveLength(1);
});
