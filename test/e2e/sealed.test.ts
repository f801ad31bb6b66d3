// Sealed at rest: after a day of traffic about people with recognisable names, nothing in the database, its files and WAL,
// or the data directory tells of any of them without the sealing key; nor can anybody be found by trying names.

import { createHash, createHmac } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { playDay } from "../../src/demo/day.ts";
import { loadPinned } from "../../src/keys/keyring.ts";
import { loadSealingKey } from "../../src/keys/sealingKey.ts";
import { commitTo } from "../../src/ledger/hash.ts";
import { parseSealed } from "../../src/ledger/sealedAttachment.ts";
import { LedgerReader } from "../../src/storage/reader.ts";
import { querySql, until } from "../storage/writerHarness.ts";
import {
  ALL_WELL,
  checkInvariants,
  ORIGIN,
  ofType,
  type RecordedEntry,
  type System,
  startSystem,
} from "../support/system.ts";
import {
  findInDatabase,
  findInFiles,
  flushDatabase,
  type Needle,
  needlesOf,
  newCanary,
} from "./canarySearch.ts";

/** A person: every value is about her, and none may be found. */
interface Person {
  name: string;
  given: string;
  id?: string;
}

const PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const people: Person[] = Array.from({ length: 8 }, () => ({ name: newCanary(), given: newCanary() }));
const group = newCanary();
const password = newCanary();
/** Written into a table in clear: it must be found, or the search is blind. */
const control = newCanary();
const secrets = () => [group, password, ...people.flatMap(({ name, given }) => [name, given])];

let system: System;
let entries: RecordedEntry[];
function userOf({ name, given }: Person): string {
  return JSON.stringify({
    schemas: ["urn:ietf:params:scim:schemas:core:2.0:User"],
    userName: `${name}@people.example`,
    externalId: `x-${name}`,
    displayName: `Zoë ${given}`,
    name: { givenName: given, familyName: name },
    emails: [{ value: `${name}@people.example`, type: "work", primary: true }],
    password,
    active: true,
  });
}

async function send(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
  const text = typeof body === "string" ? body : body && JSON.stringify(body);
  const response = await system.request(method, path, text === undefined ? {} : { body: text as string });
  const answer = await response.text();
  return answer === "" ? {} : (JSON.parse(answer) as Record<string, unknown>);
}

const patch = (...operations: object[]) => ({ schemas: [PATCH_OP], Operations: operations });

beforeAll(async () => {
  system = await startSystem({ connector: { auditReads: true } });
  const day = {
    baseUrl: system.baseUrl,
    entraBaseUrl: system.baseUrl.replace("/okta/", "/entra/"),
    token: system.token,
    entraToken: system.otherToken,
    seed: 7,
  };
  for await (const line of playDay(day)) expect(line.expected, JSON.stringify(line)).toBe(true);
  const [ada, bob, eve, ...others] = people;
  if (!ada || !bob || !eve) throw new Error("no people");
  for (const person of [ada, bob, eve]) person.id = String((await send("POST", "/Users", userOf(person))).id);
  // Again: the target's error quotes the name.
  await send("POST", "/Users", userOf(ada));
  await send("PUT", `/Users/${ada.id}`, userOf(ada));
  await send("PATCH", `/Users/${bob.id}`, patch({ op: "Replace", path: "displayName", value: bob.given }));
  await send(
    "PATCH",
    `/Users/${bob.id}`,
    patch({ op: "Replace", value: { "name.givenName": bob.given, active: "False" } }),
  );
  const { id: groupId } = await send("POST", "/Groups", {
    displayName: group,
    members: [{ value: ada.id, display: ada.name }],
  });
  const members = `members[display eq "${ada.name}"]`;
  await send(
    "PATCH",
    `/Groups/${String(groupId)}`,
    patch({ op: "add", path: "members", value: [{ value: bob.id, display: bob.name }] }),
  );
  await send("PATCH", `/Groups/${String(groupId)}`, patch({ op: "remove", path: members }));
  await send("GET", `/Users?filter=${encodeURIComponent(`userName eq "${eve.name}@people.example"`)}`);
  await send("DELETE", `/Users/${eve.name}%40people.example`);
  await send("POST", "/Bulk", {
    schemas: ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
    Operations: [
      ...others.map((person, i) => ({
        method: "POST",
        path: "/Users",
        bulkId: `b${i}`,
        data: JSON.parse(userOf(person)) as object,
      })),
      {
        method: "PATCH",
        path: `/Users/${eve.id}`,
        data: patch({ op: "replace", path: "displayName", value: eve.given }),
      },
      { method: "PUT", path: "/Users/bulkId:b0", data: JSON.parse(userOf(ada)) as object },
    ],
  });
  // Refused: a body that two readers could read differently.
  await send("POST", "/Users", `{"userName":"${ada.name}","USERNAME":"${bob.name}"}`);
  await send("DELETE", `/Users/${bob.id}`);
  entries = await system.entries();
  const [{ next = "0" } = {}] = await querySql(
    system.superuserUrl,
    "SELECT next::text FROM ledger_main.index_state",
  );
  if (next !== "0") await until(() => isIndexed(), "the index has all of it", 20_000);
  await querySql(
    system.superuserUrl,
    `CREATE TABLE public.control AS SELECT '${control}'::text AS t, '${control}'::bytea AS b`,
  );
  await flushDatabase(system.superuserUrl);
}, 120_000);

afterAll(() => system.stop());

async function isIndexed(): Promise<boolean> {
  const [row] = await querySql(system.superuserUrl, "SELECT next::int FROM ledger_main.index_state");
  return Number(row?.next) >= entries.length;
}

test("the people did go through, and whoever has the key reads them", () => {
  const stored = entries.flatMap(({ row }) =>
    (row.attachments ?? []).map(({ content }) => Buffer.from(content).toString()),
  );
  for (const secret of [group, ...people.flatMap(({ name, given }) => [name, given])])
    expect(
      stored.some((text) => text.includes(secret)),
      secret,
    ).toBe(true);
  expect(stored.some((text) => text.includes(password))).toBe(false);
  expect(ofType(entries, "refusal").length).toBeGreaterThan(0);
});

test("no table holds a name, an address or a password, in any spelling; the search is not blind", async () => {
  const needles = secrets().flatMap(needlesOf);
  expect(await findInDatabase(system.superuserUrl, needles)).toEqual([]);
  expect(await findInDatabase(system.superuserUrl, needlesOf(control))).toEqual(
    expect.arrayContaining([expect.stringContaining("public.control")]),
  );
});

test("no file does: PostgreSQL's own, its WAL, the data directory", async () => {
  const needles: Needle[] = secrets().flatMap(needlesOf);
  // The key files are what this is about; that they hold no name is plain.
  expect(await findInFiles(system.dataDir, needles)).toEqual([]);
  const found = await findInFiles(system.dataDir, needlesOf(control));
  expect(found).toEqual(expect.arrayContaining([expect.stringMatching(/pg_wal/)]));
  expect(found).toEqual(expect.arrayContaining([expect.stringMatching(/base\//)]));
});

test("no attachment stands in clear, and no two of them look alike", async () => {
  const rows = await querySql(
    system.superuserUrl,
    "SELECT count(*)::int AS n, count(salt)::int AS salts, count(DISTINCT content)::int AS kinds FROM ledger_main.attachment",
  );
  expect(rows).toEqual([{ n: expect.any(Number), salts: 0, kinds: rows[0]?.n }]);
  expect(Number(rows[0]?.n)).toBeGreaterThan(100);
});

test("a Bulk is sealed under the keys of all whom it is about, and theirs are the same elsewhere", async () => {
  const bulk = ofType(entries, "request")
    .filter(({ claims }) => claims.scim.action === "bulk")
    .at(-1);
  const keysAt = async (seq = -1) => {
    const [row] = await querySql(
      system.superuserUrl,
      `SELECT content FROM ledger_main.attachment WHERE seq = ${seq}`,
    );
    const sealed = Buffer.isBuffer(row?.content) ? parseSealed(row.content) : undefined;
    return (sealed?.parts ?? []).map(({ keyId }) => Buffer.from(keyId).toString("hex"));
  };
  const keys = await keysAt(bulk?.claims.seq);
  // The five that it makes, the two that it changes (one of them made by it), and the rest.
  expect(new Set(keys).size).toBe(7);
  const answer = ofType(entries, "response").find(({ claims }) => claims.txn === bulk?.claims.txn);
  const answered = new Set(await keysAt(answer?.claims.seq));
  expect([...answered].filter((key) => !keys.includes(key))).toEqual([]);
  expect(answered.size).toBe(7);
});

/** Everything that is stored, cut in all the ways in which a digest or a salt could stand in it. */
async function readStored(): Promise<{ strings: Set<string>; values: Buffer[]; words: Set<string> }> {
  const tables = await querySql(
    system.superuserUrl,
    "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'ledger_main' AND tablename !~ '_[0-9]{6}$' OR tablename IN ('entry_000000', 'attachment_000000')",
  );
  const values: Buffer[] = [];
  let texts = "";
  for (const { name } of tables) {
    for (const row of await querySql(system.superuserUrl, `SELECT * FROM ledger_main."${String(name)}"`)) {
      for (const value of Object.values(row)) {
        if (Buffer.isBuffer(value)) values.push(value);
        else if (Array.isArray(value)) values.push(...value.map((item) => int8(String(item))));
        else if (typeof value === "string") {
          texts += `${value}\n`;
          for (const part of value.split("."))
            texts += `${Buffer.from(part, "base64url").toString("latin1")}\n`;
        }
      }
    }
  }
  const strings = new Set<string>();
  for (const value of values) {
    // Short ones at every place; of long ones the beginning, where anything but ciphertext could be.
    for (const size of [8, 16, 32])
      for (let at = 0; at + size <= Math.min(value.length, 160); at++)
        strings.add(value.toString("latin1", at, at + size));
  }
  const words = new Set<string>();
  for (const [word] of texts.matchAll(/[\w-]{22,}/g)) {
    words.add(word.slice(0, 22));
    words.add(word.slice(0, 32));
  }
  return { strings, values, words };
}

function int8(text: string): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(/^-?\d+$/.test(text) ? BigInt.asIntN(64, BigInt(text)) : 0n);
  return bytes;
}

test("with every address and even every exact body at hand, but no key, nobody is found by a commitment", async () => {
  const { values } = await readStored();
  const commitments = new Set(
    entries.flatMap(({ claims }) => claims.attachments.map(({ commitment }) => commitment)),
  );
  const salts = new Set<string>();
  for (const value of values)
    for (let at = 0; at + 32 <= Math.min(value.length, 160); at++)
      salts.add(value.toString("latin1", at, at + 32));
  for (const { row } of entries) if (row.leafHash) salts.add(Buffer.from(row.leafHash).toString("latin1"));
  salts.add(Buffer.alloc(32).toString("latin1"));
  const exact = entries
    .flatMap(({ row: { attachments = [] } }) => attachments.filter(({ name }) => name === "body"))
    .slice(-8);
  const guesses = [
    ...exact.map(({ content }) => content),
    ...people.map(({ name }) => Buffer.from(`${name}@people.example`)),
  ];
  const plain = guesses.flatMap((guess) => [guess, Buffer.concat([Buffer.alloc(32), guess])]);
  const found = plain.filter((guess) =>
    commitments.has(createHash("sha256").update(guess).digest("base64url")),
  );
  for (const salt of salts) {
    const before = createHash("sha256").update(Buffer.from(salt, "latin1"));
    for (const guess of guesses)
      if (commitments.has(before.copy().update(guess).digest("base64url"))) found.push(guess);
  }
  expect(found).toEqual([]);
  // It is the salt alone that is missing: with the sealed one, the same guess is proved.
  for (const { salt, content } of exact)
    expect(commitments.has(Buffer.from(commitTo(salt, content)).toString("base64url"))).toBe(true);
});

test("nor by a digest, plain or keyed with anything that is known; with the key she is", async () => {
  const { strings, values, words } = await readStored();
  const [ledger] = loadPinned([join(system.dataDir, "keys/main.genesis.pub.jwk")]);
  const known: (string | Buffer)[] = [
    "",
    "scimseal",
    ORIGIN,
    "main",
    "okta",
    Buffer.alloc(32),
    Buffer.from(ledger?.bytes ?? []),
  ];
  for (const value of values) if (value.length <= 32) known.push(value);
  const keys = [...new Set(known.map((key) => Buffer.from(key).toString("latin1")))].slice(0, 200);
  const found: string[] = [];
  const isThere = (digest: Buffer) =>
    [8, 16, 32].some((size) => strings.has(digest.toString("latin1", 0, size))) ||
    words.has(digest.toString("base64url").slice(0, 22)) ||
    words.has(digest.toString("hex").slice(0, 32));
  for (const { name, id = "" } of people) {
    const address = `${name}@people.example`;
    const spellings = [
      address,
      address.toLowerCase(),
      name,
      `x-${name}`,
      id,
      `User\0${id}`,
      `okta\0User\0${id}`,
    ].filter((text) => text !== "");
    const guesses = spellings.flatMap((text) => [
      text,
      `email\0${text}`,
      `userName\0${text}`,
      `eq\0${text}`,
      `id\0${text}`,
    ]);
    for (const guess of guesses) {
      for (const algorithm of ["sha256", "sha1", "md5", "sha512"])
        if (isThere(createHash(algorithm).update(guess).digest())) found.push(`${algorithm} ${guess}`);
      for (const key of keys)
        if (
          strings.has(
            createHmac("sha256", Buffer.from(key, "latin1")).update(guess).digest().toString("latin1", 0, 8),
          )
        )
          found.push(`hmac ${guess}`);
    }
  }
  expect(found).toEqual([]);
  const account = loadSealingKey(join(system.dataDir, "keys/main.sealing.jwks"), ORIGIN).derive("account");
  const [ada] = people;
  expect(isThere(createHmac("sha256", account).update(`okta\0User\0${ada?.id}`).digest())).toBe(true);
});

test("without the key the ledger verifies as to signatures and links, and says what it did not check", async () => {
  const reader = new LedgerReader(
    "main",
    { connectionString: system.superuserUrl, requireSync: [] },
    { connections: 1, timeoutMs: 30_000 },
  );
  try {
    const pinned = loadPinned([join(system.dataDir, "keys/main.genesis.pub.jwk")]);
    const { ok, findings, sealed, size } = await reader.verify({ origin: ORIGIN, pinned });
    expect({ ok, findings }).toEqual({ ok: true, findings: [] });
    expect(sealed).toBe(entries.reduce((sum, { claims }) => sum + claims.attachments.length, 0));
    expect(size).toBeGreaterThanOrEqual(entries.length);
  } finally {
    await reader.close();
  }
});

test("the key files are apart from all that: nothing else holds the key", async () => {
  const { keys } = JSON.parse(await readFile(join(system.dataDir, "keys/main.sealing.jwks"), "utf8")) as {
    keys: { k: string }[];
  };
  const raw = Buffer.from(keys[0]?.k ?? "", "base64url");
  const needles: Needle[] = [
    { spelling: "base64url", bytes: Buffer.from(keys[0]?.k ?? "none") },
    { spelling: "raw", bytes: raw },
    { spelling: "hex", bytes: Buffer.from(raw.toString("hex")) },
  ];
  expect(await findInFiles(system.dataDir, needles)).toEqual(["keys/main.sealing.jwks: base64url"]);
});

test("the ledger is whole", async () => {
  const journal = system.journal().filter(({ sha256 }) => system.bodies.has(sha256));
  expect(journal.length).toBeGreaterThan(5);
  expect(await checkInvariants({ ...system, journal })).toEqual(ALL_WELL);
});
