// State at T (acceptance 4): random SCIM histories in every dialect of the catalogue, Bulk included, go through the proxy
// to a real SCIM server. After each write the server is asked directly for everything it has; what the ledger says of
// that moment must be the same, resource by resource.

import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Happening, happeningOf } from "../../src/audit/accounts/history.ts";
import { idpShapes } from "../../src/demo/day.ts";
import { fillShape, type IdpShape } from "../../src/demo/shape.ts";
import { describeState, type JsonValue } from "../../src/scim/state/describe.ts";
import { type PlacedWrite, replay } from "../../src/scim/state/replay.ts";
import type { HistoryRow } from "../../src/storage/accounts/historyRows.ts";
import { type System, startSystem } from "../support/system.ts";
import { randomBulk, randomPatch } from "./stateHistories.ts";

interface Placed extends PlacedWrite {
  readonly key: string;
  /** Of the snapshot that was taken after it. */
  readonly index: number;
}
type Resource = { [name: string]: JsonValue };

let system: System;
/** What the server had, once for every write that the ledger has an outcome or a refusal for, in order. */
const snapshots: ReadonlyMap<string, Resource>[] = [];
const known: { User: string[]; Group: string[] } = { User: [], Group: [] };

beforeAll(async () => {
  system = await startSystem();
}, 60_000);
afterAll(async () => {
  await system.stop();
});

/** Everything at the target, by `User/id`. */
async function askServer(): Promise<ReadonlyMap<string, Resource>> {
  const found = new Map<string, Resource>();
  for (const type of ["User", "Group"] as const) {
    const answer = await fetch(`${system.targetUrl}/${type}s?startIndex=1&count=10000`, {
      headers: { authorization: `Bearer ${system.targetToken}` },
    });
    const { Resources = [] } = (await answer.json()) as { Resources?: Resource[] };
    for (const resource of Resources) found.set(`${type}/${resource.id}`, resource);
    known[type] = Resources.map((resource) => String(resource.id));
  }
  return found;
}

async function send(method: string, path: string, body: string | undefined, headers = {}): Promise<void> {
  const response = await system.request(method, path, { ...(body === undefined ? {} : { body }), headers });
  await response.arrayBuffer();
  snapshots.push(await askServer());
}

const writes = idpShapes.filter((shape) => shape.method !== "GET" && !shape.path.endsWith(".search"));
const shapesBy = (isFitting: (shape: IdpShape) => boolean) => writes.filter(isFitting);
const creations = shapesBy(({ method, path }) => method === "POST" && path !== "/Bulk");
const changes = shapesBy(({ method }) => method === "PUT" || method === "PATCH");
const rest = shapesBy((shape) => !creations.includes(shape) && !changes.includes(shape));

const pick = fc.nat({ max: 1_000 });
const shapeOf = (shapes: readonly IdpShape[]) =>
  fc.record({
    kind: fc.constant("shape" as const),
    shape: fc.constantFrom(...shapes),
    one: pick,
    two: pick,
    group: pick,
    run: fc.nat({ max: 6 }),
  });
const commands = fc.oneof(
  { weight: 3, arbitrary: shapeOf(creations) },
  { weight: 6, arbitrary: shapeOf(changes) },
  { weight: 1, arbitrary: shapeOf(rest) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("patch" as const), patch: randomPatch, one: pick }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("bulk" as const), bulk: randomBulk }) },
);
type Command = typeof commands extends fc.Arbitrary<infer T> ? T : never;

const at = (list: readonly string[], index: number) => list[index % Math.max(1, list.length)];

async function run(command: Command): Promise<void> {
  if (command.kind === "shape") {
    const { shape, one, two, group, run } = command;
    const id = at(known.User, one);
    const otherId = at(known.User, two);
    const groupId = at(known.Group, group);
    const filled = fillShape(shape, {
      ...(id === undefined ? {} : { id }),
      ...(otherId === undefined ? {} : { otherId }),
      ...(groupId === undefined ? {} : { groupId }),
      password: "correct-horse-battery",
      run: `${run}`,
    });
    await send(filled.method, filled.target, filled.body?.toString("utf8"), filled.headers);
  } else if (command.kind === "patch") {
    const { type, operations } = command.patch(known.User);
    const id = at(known[type], command.one) ?? "none-yet";
    await send("PATCH", `/${type}s/${id}`, patchBody(operations));
  } else {
    await send("POST", "/Bulk", JSON.stringify(command.bulk(known.User, known.Group)));
  }
}

function patchBody(operations: readonly unknown[]): string {
  return JSON.stringify({
    schemas: ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
    Operations: operations,
  });
}

test("the ledger knows what the server had at every moment", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(commands, { minLength: 25, maxLength: 25, size: "max" }), async (history) => {
      for (const command of history) await run(command);
    }),
    { numRuns: 8, seed: 42, endOnFailure: true },
  );
  const happenings = await readHappenings();
  expect(happenings).toHaveLength(snapshots.length);
  const placed = happenings.flatMap((happening, index) =>
    happening.changes().map(({ resourceType, resourceId, write }) => ({
      key: `${resourceType}/${resourceId}`,
      opened: happening.seq,
      closed: happening.closedSeq,
      index,
      write,
    })),
  );
  const answers = await readAnswers(happenings);
  /** Whether an answer before this one said that there is such a resource. */
  const isNamed = (key: string, before: number) =>
    answers.slice(0, before).some((answer) => answer.includes(key.split("/")[1] ?? "-"));
  let compared = 0;
  let partial = 0;
  for (const [key, own] of Map.groupBy(placed, (write) => write.key)) {
    const steps = [...replay(own)];
    for (let index = own[0]?.index ?? 0; index < snapshots.length; index++) {
      const step = steps.findLast(({ placed }) => placed.index <= index);
      if (step === undefined) continue;
      const { state, unknown, uncertain } = describeState(step.after);
      const server = plain(snapshots[index]?.get(key) ?? null);
      const ledger = plain(state);
      if (own[0]?.write.action === "create") {
        const wanted = { key, index, ledger: server, unknown: [], uncertain: [] };
        expect({ key, index, ledger, unknown, uncertain }).toEqual(wanted);
        compared++;
      } else {
        // This server now and then leaves a resource behind of which its Bulk answer says nothing: what the ledger knows
        // of it begins with a later change, and must be right as far as it goes.
        expect({ key, isNamed: isNamed(key, own[0]?.index ?? 0) }).toEqual({ key, isNamed: false });
        if (unknown.length === 0) expect({ key, index, ledger }).toEqual({ key, index, ledger: server });
        else expect({ key, index, isRight: isPartOf(ledger, server) }).toEqual({ key, index, isRight: true });
        partial++;
      }
    }
  }
  expect(compareBlind(placed)).toBeGreaterThan(100);
  const unnamed = [...(snapshots.at(-1) ?? new Map()).keys()].filter(
    (key) => !placed.some((write) => write.key === key),
  );
  expect(unnamed.filter((key) => isNamed(key, answers.length))).toEqual([]);
  expect(compared).toBeGreaterThan(1_000);
  expect(partial).toBeLessThan(compared / 2);
}, 120_000);

interface AccountAnswer {
  covers: { to: number; size: number };
  account: { id: string; names: { userName?: string } };
  state: Resource | null;
  unknown: string[];
  uncertain: string[];
  changes: { seq: number; verdict: string; diff: { path: string; new: JsonValue }[] }[];
  memberships: { id: string; from: { seq: number }; to: { seq: number } | null; isCertain: boolean }[];
}

async function ask(path: string): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`${system.app.adminUrl}/audit/v1${path}`, {
    headers: { authorization: `Bearer ${system.auditorToken}` },
  });
  return { status: response.status, body: await response.json() };
}

async function askAccount(path: string): Promise<AccountAnswer> {
  const { status, body } = await ask(path);
  expect({ status, body }).toMatchObject({ status: 200 });
  return body as AccountAnswer;
}

test("the API tells the same of any account, group and moment", async () => {
  const happenings = await readHappenings();
  const seqAt = (index: number) => happenings[index]?.closedSeq ?? happenings[index]?.seq ?? 0;
  const last = snapshots.length - 1;
  await expect
    .poll(async () => ((await ask("/accounts")).body as AccountAnswer).covers?.to, { timeout: 30_000 })
    .toBeGreaterThan(seqAt(last));
  const created = happenings.flatMap((happening, index) =>
    happening
      .changes()
      .flatMap(({ resourceType, resourceId, write }) =>
        write.action === "create" && write.verdict === "applied" ? [{ resourceType, resourceId, index }] : [],
      ),
  );
  let members = 0;
  for (const { resourceType, resourceId, index } of created.filter(
    (one, nth) => nth % (one.resourceType === "Group" ? 2 : 8) === 0,
  )) {
    const key = `${resourceType}/${resourceId}`;
    for (const at of [index, Math.floor((index + last) / 2), last]) {
      const told = await askAccount(`/accounts/${resourceType}/${resourceId}?at=seq:${seqAt(at)}`);
      const server = plain(snapshots[at]?.get(key) ?? null);
      expect({ key, at, ledger: plain(told.state) }).toEqual({ key, at, ledger: server });
      expect({ key, unknown: told.unknown, uncertain: told.uncertain }).toEqual({
        key,
        unknown: [],
        uncertain: [],
      });
      if (resourceType === "Group") {
        const group = (await ask(`/groups/${resourceId}/members?at=seq:${seqAt(at)}`)).body as {
          members: { id: string; isCertain: boolean }[];
          isWhole: boolean;
        };
        const there = (snapshots[at]?.get(key)?.members ?? []) as { value: string }[];
        expect(new Set(group.members.map(({ id }) => id))).toEqual(new Set(there.map(({ value }) => value)));
        expect(group.isWhole && group.members.every(({ isCertain }) => isCertain)).toBe(true);
        members += there.length;
      } else {
        const groups = [...(snapshots[at] ?? new Map<string, Resource>())].filter(
          ([name, { members = [] }]) =>
            name.startsWith("Group/") &&
            (members as { value: string }[]).some(({ value }) => value === resourceId),
        );
        const now = told.memberships.filter(
          ({ from, to }) => from.seq <= seqAt(at) && (to === null || to.seq > seqAt(at)),
        );
        // A group that the server left behind without a word is known from the first change that was.
        const isKnown = (name: string) => created.some((one) => `Group/${one.resourceId}` === name);
        expect({
          key,
          at,
          groups: now
            .map(({ id }) => `Group/${id}`)
            .filter(isKnown)
            .sort(),
        }).toEqual({
          key,
          at,
          groups: groups
            .map(([name]) => name)
            .filter(isKnown)
            .sort(),
        });
      }
    }
  }
  expect(members).toBeGreaterThan(2);
}, 120_000);

test("accounts are found by name, by words and by filter", async () => {
  const [, user] = [...(snapshots.at(-1) ?? [])].find(([key]) => key.startsWith("User/")) ?? [];
  const userName = String(user?.userName);
  const byName = await askAccount(`/accounts/by-name/${encodeURIComponent(userName.toUpperCase())}`);
  expect(byName.account).toMatchObject({ id: user?.id, names: { userName } });
  expect(plain(byName.state)).toEqual(plain(user));
  for (const search of [
    `text=${encodeURIComponent(userName.slice(0, 5))}`,
    `filter=${encodeURIComponent(`userName eq "${userName}" and resourceType eq "User"`)}`,
  ]) {
    const { accounts } = (await ask(`/accounts?${search}&limit=1000`)).body as { accounts: { id: string }[] };
    expect(accounts.map(({ id }) => id)).toContain(user?.id);
  }
  const pages: string[] = [];
  for (let cursor = ""; ; ) {
    const { accounts, next } = (await ask(`/accounts?limit=7${cursor}`)).body as {
      accounts: { type: string; id: string }[];
      next: string | null;
    };
    pages.push(...accounts.map(({ type, id }) => `${type}/${id}`));
    if (next === null) break;
    cursor = `&cursor=${next}`;
  }
  expect(new Set(pages).size).toBe(pages.length);
  expect(pages).toContain(`User/${user?.id}`);
  expect(await ask("/accounts/User/nobody-of-this-id")).toMatchObject({
    status: 404,
    body: { code: "account_unknown" },
  });
  expect(await ask(`/accounts/User/${user?.id}?at=yesterday`)).toMatchObject({ status: 400 });
  expect(await ask("/accounts?filter=status%20eq%20404")).toMatchObject({
    status: 400,
    body: { code: "invalid_filter" },
  });
});

/** The same as if the target had answered changes with 204, as many do: what the requests say must lead to the same. */
function compareBlind(placed: readonly Placed[]): number {
  let compared = 0;
  for (const [key, own] of Map.groupBy(placed, (write) => write.key)) {
    // RFC 7644 §3.5.2.3 leaves sub-attributes alone that a replaced complex attribute does not name; this server does not.
    const isApart = own.some(({ write }) => `${JSON.stringify(write.body)}`.includes('"value":"name"'));
    if (isApart || own[0]?.write.action !== "create") continue;
    const blind = own.map((step) => {
      const { answer, ...write } = step.write;
      return write.action === "create" && answer !== undefined ? step : { ...step, write };
    });
    const steps = [...replay(blind)];
    for (const { placed, after } of steps) {
      const { index } = placed;
      // Of the operations of one Bulk, the last.
      if (steps.findLast((step) => step.placed.index === index)?.placed !== placed) continue;
      const server = plain(snapshots[index]?.get(key) ?? null);
      expect({ key, index, ledger: plain(describeState(after).state) }).toEqual({
        key,
        index,
        ledger: server,
      });
      compared++;
    }
  }
  return compared;
}

async function readHappenings(): Promise<Happening[]> {
  const rows = (await system.entries()).flatMap(({ claims, row: { attachments = [] } }): HistoryRow[] =>
    claims.type === "event" ? [] : [{ claims, attachments }],
  );
  const outcomes = new Map(
    rows.flatMap((row) => (row.claims.type === "response" ? [[row.claims.txn, row]] : [])),
  );
  return rows.flatMap((row) => {
    const { claims } = row;
    if (claims.type === "response") return [];
    const happening = happeningOf(row, outcomes.get(claims.txn));
    return happening === undefined ? [] : [happening];
  });
}

/** The target's answer to each of them; empty if there is none. */
async function readAnswers(happenings: readonly Happening[]): Promise<string[]> {
  const texts = new Map<number, string>();
  for (const { row } of await system.entries()) {
    const body = row.attachments?.find(({ name }) => name === "body");
    if (body) texts.set(row.seq, Buffer.from(body.content).toString());
  }
  return happenings.map(({ closedSeq = -1 }) => texts.get(closedSeq) ?? "");
}

const bookkeeping = new Set(["id", "meta", "schemas", "groups", "password", "$ref"]);

/** Without what the server derives, without empty values, lists in one order. */
function plain(value: unknown, name = ""): unknown {
  if (Array.isArray(value)) {
    const items = value.map((item) => plain(item, name)).filter((item) => item !== undefined);
    // A set (RFC 7643 §2.4); this server may hold a member twice.
    const texts = [...new Set(items.map((item) => JSON.stringify(item)))].sort();
    return texts.length === 0 ? undefined : texts.map((text): unknown => JSON.parse(text));
  }
  if (typeof value !== "object" || value === null) return value ?? (name === "" ? null : undefined);
  const kept = Object.entries(value)
    // A member's type is looked up by this server whenever it is asked.
    .filter(([key]) => !bookkeeping.has(key) && !(key === "type" && name === "members"))
    .map(([key, inner]): [string, unknown] => [key.toLowerCase(), plain(inner, key)])
    .filter(([, inner]) => inner !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return kept.length === 0 && name !== "" ? undefined : Object.fromEntries(kept);
}

/** Whether all of one value stands in another; of lists, every element. */
function isPartOf(part: unknown, whole: unknown): boolean {
  if (Array.isArray(part)) {
    const texts = new Set(Array.isArray(whole) ? whole.map((item) => JSON.stringify(item)) : []);
    return part.every((item) => texts.has(JSON.stringify(item)));
  }
  if (typeof part !== "object" || part === null) return part === whole;
  if (typeof whole !== "object" || whole === null) return Object.keys(part).length === 0;
  const others = new Map(Object.entries(whole));
  return Object.entries(part).every(([key, inner]) => isPartOf(inner, others.get(key)));
}
