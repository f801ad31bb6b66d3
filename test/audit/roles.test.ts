// Who may call what: every route of the listener, by every kind of caller, with tokens and with sessions; and that another
// tenant's things look exactly like things that are not there. Real credentials, real sessions, a real ledger.

import { mkdtemp, rm } from "node:fs/promises";
import type { IncomingMessage, Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Registry } from "prom-client";
import request from "supertest";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createAdminServer } from "../../src/admin.ts";
import { operations } from "../../src/audit/api.ts";
import type { Denial, Look } from "../../src/audit/context.ts";
import type { Operation } from "../../src/audit/http/operation.ts";
import { Problem } from "../../src/audit/http/problem.ts";
import { AuditorAuthenticator } from "../../src/auth/auditors.ts";
import type { Reach } from "../../src/auth/credential.ts";
import { addCredential, revokeCredential } from "../../src/auth/credentialFile.ts";
import { CredentialStore } from "../../src/auth/credentialStore.ts";
import { SignInDesk } from "../../src/auth/session/signInDesk.ts";
import { addSignInLink } from "../../src/auth/session/signInLink.ts";
import { newUuid } from "../../src/nodeCrypto.ts";
import {
  dropDatabase,
  intentDraft,
  makeDatabase,
  outcomeDraft,
  quiet,
  type TestDatabase,
} from "../storage/writerHarness.ts";
import { makePublished, type PublishedLedger, serve } from "./harness.ts";

/** The least role of every operation that is not for auditors. One that is new is for auditors, or stands here. */
const OPEN = new Set(["getPage", "getDocument", "signIn", "currentSession"]);
const LEAST: Readonly<Record<string, "operator" | "admin">> = {
  getStatus: "operator",
  listConnectors: "operator",
  getSession: "operator",
  signOut: "operator",
  getOverview: "operator",
  acknowledgeAlarm: "admin",
};
/** What shows a whole ledger whatever is asked, and is refused to whoever is scoped to some connectors. */
const WHOLE = new Set(["getEntryBundle", "getTile", "verify", "verifyRange", "acknowledgeAlarm"]);
/** A range of everybody's entries, unless a transaction is asked for. */
const WHOLE_AS_ASKED = new Set(["getEvidence"]);

const ALARM = "019cad8f-ac10-7000-8000-00000000a1a2";
const CALLERS = {
  operator: { ledgers: "*", role: "operator" },
  auditor: { ledgers: "*" },
  admin: { ledgers: "*", role: "admin" },
  foreign: { ledgers: ["other"] },
  "foreign-admin": { ledgers: ["other"], role: "admin" },
  scoped: { ledgers: "*", connectors: ["entra"] },
} as const satisfies Record<
  string,
  { ledgers: "*" | readonly string[] } & Omit<Reach, "ledgers" | "connectors"> & {
      connectors?: readonly string[];
    }
>;
type Caller = keyof typeof CALLERS;

let dataDir: string;
let database: TestDatabase;
let main: PublishedLedger;
let other: PublishedLedger;
let server: Server;
let store: CredentialStore;
const looks: Look[] = [];
const denials: Denial[] = [];
const tokens = new Map<string, string>();
const cookies = new Map<string, string>();
/** Of connector okta, in ledger main. */
let txn = "";
let id = "";
const acknowledged: string[] = [];
const desk = { nowMs: Date.now(), tickMs: 0 };

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "scimseal-roles-"));
  database = await makeDatabase();
  main = await makePublished(database, "main");
  other = await makePublished(database, "other");
  await main.grow(3);
  await main.write(async (writer) => {
    const draft = intentDraft();
    const recorded = await writer.append({ ...draft, body: { ...draft.body, connector: "entra" } });
    await writer.append(outcomeDraft(recorded));
  });
  await main.publish();
  await other.grow(1);
  const row = (await main.audit.reader.page(0, 1, false)).entries[0];
  const claims = JSON.parse(Buffer.from(row?.leaf.split(".")[1] ?? "", "base64url").toString());
  txn = claims.txn;
  id = claims.id;

  const now = new Date();
  for (const [name, { ledgers, ...rest }] of Object.entries(CALLERS)) {
    const reach: Reach = {
      ledgers: ledgers === "*" ? "*" : [...ledgers],
      ...("role" in rest && { role: rest.role }),
      ...("connectors" in rest && { connectors: [...rest.connectors] }),
    };
    tokens.set(name, (await addCredential(dataDir, { kind: "auditor", name, ...reach }, now)).token);
  }
  const expires = new Date(now.getTime() - 1000);
  const mint = (name: string, more: object = {}) =>
    addCredential(dataDir, { kind: "auditor", ledgers: "*", role: "admin", name, ...more }, now);
  tokens.set("expired", (await mint("expired", { expires })).token);
  const revoked = await mint("revoked");
  tokens.set("revoked", revoked.token);
  await revokeCredential(dataDir, revoked.credential.id, now);
  tokens.set("client", (await addCredential(dataDir, { kind: "client", connector: "okta" }, now)).token);
  tokens.set("invented", `sca_${"A".repeat(43)}`);

  store = new CredentialStore(dataDir, { log: quiet });
  const auditors = new AuditorAuthenticator(store);
  const sessions = new SignInDesk(dataDir, {
    log: quiet,
    now: () => desk.nowMs,
    monotonic: () => desk.tickMs,
  });
  main.audit.acknowledge = async (alarm) => {
    acknowledged.push(alarm);
    return alarm === ALARM;
  };
  const { context } = serve([main, other]);
  server = createAdminServer({
    audit: {
      ...context,
      authenticate: (authorization) => auditors.authenticate(authorization),
      sessions,
      looked: (_ledger, look) => looks.push(look),
      denied: (denial) => denials.push(denial),
      connectors: () => ["okta", "entra", "elsewhere"].map((name) => connectorOf(name)),
    },
    registry: new Registry(),
    readiness: () => [],
    limits: { authFailures: 1e5, requests: 1e5, verifications: 1e5, signIns: 1e5 },
  });
  // One that stays: a listener made anew for each request would have another port, and another origin, each time.
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  for (const name of Object.keys(CALLERS)) cookies.set(name, await signIn(name as Caller));
});

afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
  store.close();
  await main.close();
  await other.close();
  await dropDatabase(database);
  await rm(dataDir, { recursive: true, force: true });
});

const describeAs = (operation: Operation) => `${operation.method.toUpperCase()} ${operation.path}`;

const closed = operations.filter(({ id }) => !OPEN.has(id));

describe.each(closed.map((operation) => ({ what: describeAs(operation), operation })))(
  "$what",
  ({ operation }) => {
    test("without a valid token or session: 401, and nothing else", async () => {
      const bodies = new Set<string>();
      for (const name of ["", "expired", "revoked", "client", "invented"]) {
        const answer = await ask(operation, name === "" ? {} : bearer(name));
        expect([name, answer.status, answer.body.code]).toEqual([name, 401, "unauthenticated"]);
        bodies.add(answer.text);
      }
      const answer = await ask(operation, { cookie: `scimseal=${"A".repeat(43)}` });
      bodies.add(answer.text);
      expect(bodies.size).toBe(1);
    });

    test.each(["operator", "auditor", "admin"] as const)("as %s", async (role) => {
      const least = LEAST[operation.id] ?? "auditor";
      const ranks = ["operator", "auditor", "admin"];
      const isAllowed = ranks.indexOf(role) >= ranks.indexOf(least);
      expect(outcomeOf(await ask(operation, bearer(role)))).toBe(isAllowed ? "allowed" : "forbidden");
      // Signing out would end the session that the next operations need.
      if (operation.id !== "signOut")
        expect(outcomeOf(await ask(operation, session(role)))).toBe(isAllowed ? "allowed" : "forbidden");
    });

    test("as an auditor of another ledger: as if this one were not there", async () => {
      const caller = operation.id === "acknowledgeAlarm" ? "foreign-admin" : "foreign";
      const [mine, none] = [
        await ask(operation, bearer(caller)),
        await ask(operation, bearer(caller), "nope"),
      ];
      expect(mine.status).toBe(none.status);
      expect(mine.text).toBe(none.text);
      expect(headersOf(mine)).toEqual(headersOf(none));
      if (namesLedger(operation)) expect(mine.body.code).toBe("ledger_unknown");
      else expect(mine.text).not.toContain(main.origin);
    });

    test("as an auditor of another connector", async () => {
      const answer = await ask(operation, bearer("scoped"));
      const isWhole = WHOLE.has(operation.id) || WHOLE_AS_ASKED.has(operation.id);
      expect(outcomeOf(answer)).toBe(isWhole ? "forbidden" : "allowed");
      expect(answer.text).not.toContain("okta-test");
      expect(answer.text).not.toContain(txn);
    });
  },
);

test("every operation says the role that this test holds it to", () => {
  for (const operation of operations) {
    if (OPEN.has(operation.id)) expect([operation.id, operation.access]).toEqual([operation.id, "anyone"]);
    else
      expect([operation.id, operation.role ?? "auditor"]).toEqual([
        operation.id,
        LEAST[operation.id] ?? "auditor",
      ]);
  }
});

describe("an auditor scoped to connectors", () => {
  const paths = (seq: number, entry: string, transaction: string) => [
    `/audit/v1/ledgers/main/entries/${seq}`,
    `/audit/v1/ledgers/main/entries/${seq}?include=attachments`,
    `/audit/v1/ledgers/main/entries/${seq}/proof`,
    `/audit/v1/ledgers/main/entries/by-id/${entry}`,
    `/audit/v1/ledgers/main/transactions/${transaction}`,
    `/audit/v1/ledgers/main/evidence?txn=${transaction}`,
  ];

  test("gets entries, proofs and packs of its own", async () => {
    const seq = (await main.size()) - 1;
    const row = (await main.audit.reader.page(seq - 1, 1, false)).entries[0];
    const claims = JSON.parse(Buffer.from(row?.leaf.split(".")[1] ?? "", "base64url").toString());
    for (const path of paths(seq, claims.id, claims.txn))
      expect([path, (await request(server).get(path).set(bearer("scoped"))).status]).toEqual([path, 200]);
  });

  test("those of others, events among them, are not there in the same words", async () => {
    denials.length = 0;
    // The next entry that there will be: a number of one digit, too.
    const next = await main.size();
    expect(next).toBeLessThan(10);
    const missing = paths(next, newUuid(), newUuid());
    for (const [i, path] of paths(1, id, txn).entries()) {
      const [theirs, none] = await Promise.all(
        [path, missing[i] ?? ""].map((one) => request(server).get(one).set(bearer("scoped"))),
      );
      expect([path, theirs?.status]).toEqual([path, 404]);
      expect(theirs?.text).toBe(none?.text.replace(`entry ${next}`, "entry 1"));
      const { etag: _, ...headers } = theirs ? headersOf(theirs) : {};
      expect(none && headersOf(none)).toMatchObject(headers);
    }
    const event = await request(server).get("/audit/v1/ledgers/main/entries/0").set(bearer("scoped"));
    expect(event.body.code).toBe("entry_unknown");
    // That he tried is noted; what was never there is not.
    expect(denials.map(({ reason }) => reason)).toEqual([
      ...Array.from({ length: 4 }, () => "entry_unknown"),
      ...Array.from({ length: 2 }, () => "transaction_unknown"),
      "entry_unknown",
    ]);
  });

  test("sees its own connector only", async () => {
    const names = async (caller: string) => {
      const { body } = await request(server).get("/audit/v1/connectors").set(bearer(caller)).expect(200);
      return body.connectors.map(({ name }: { name: string }) => name);
    };
    expect(await names("scoped")).toEqual(["entra"]);
    expect(await names("operator")).toEqual(["okta", "entra", "elsewhere"]);
    expect(await names("foreign")).toEqual(["elsewhere"]);
  });
});

describe("sessions", () => {
  test("say who is in", async () => {
    const { body } = await request(server).get("/session").set(session("scoped")).expect(200);
    expect(body).toEqual({
      name: "scoped",
      roles: ["auditor"],
      ledgers: ["main", "other"],
      connectors: ["entra"],
      expires: new Date(desk.nowMs + 12 * 3_600_000).toISOString(),
    });
    const token = await request(server).get("/session").set(bearer("foreign")).expect(200);
    expect(token.body).toMatchObject({ ledgers: ["other"], connectors: "*", expires: null });
  });

  test("whether anybody is signed in can be asked without an error; a wrong token stays one", async () => {
    const current = (headers: Record<string, string> = {}) =>
      request(server).get("/session/current").set(headers);
    denials.length = 0;
    for (const headers of [{}, { cookie: `scimseal=${"A".repeat(43)}` }]) {
      const nobody = await current(headers).expect(200);
      expect(nobody.body).toEqual({ session: null });
      expect(nobody.headers["cache-control"]).toContain("no-store");
    }
    expect(denials).toEqual([]);
    for (const caller of [session("scoped"), bearer("foreign")]) {
      const { body } = await request(server).get("/session").set(caller).expect(200);
      expect((await current(caller).expect(200)).body).toEqual({ session: body });
    }
    expect((await current(bearer("revoked"))).body.code).toBe("unauthenticated");
    const cookie = await signIn("auditor");
    const other = await current({ cookie, origin: "https://evil.example", "sec-fetch-site": "cross-site" });
    expect([other.status, other.body.code]).toEqual([403, "cross_site"]);
    desk.nowMs += 30 * 60_000;
    expect((await current({ cookie }).expect(200)).body).toEqual({ session: null });
    desk.nowMs -= 30 * 60_000;
  });

  test("the cookie is for this host, for no script, and for no other site", async () => {
    const answer = await postLink(await makeLink());
    expect(answer.status).toBe(204);
    expect(answer.text).toBe("");
    expect(answer.headers["set-cookie"]).toEqual([
      expect.stringMatching(/^scimseal=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/),
    ]);
  });

  test("a link replayed is refused as one that never was, and the refusal is noted", async () => {
    const link = await makeLink();
    await postLink(link);
    denials.length = 0;
    const [replayed, never] = [await postLink(link), await postLink(`scl_${"A".repeat(43)}`)];
    expect([replayed.status, replayed.body.code]).toEqual([401, "link_invalid"]);
    expect(replayed.text).toBe(never.text);
    expect(headersOf(replayed)).toEqual(headersOf(never));
    expect(replayed.headers["set-cookie"]).toBeUndefined();
    expect(denials).toEqual([{ reason: "link_invalid" }, { reason: "link_invalid" }]);
  });

  test("one that was planted before the sign-in is not taken over, and ends", async () => {
    const planted = await signIn("auditor");
    const answer = await postLink(await makeLink(), { cookie: planted });
    const given = cookieOf(answer);
    expect(given).not.toBe(planted);
    expect((await request(server).get("/session").set({ cookie: planted })).status).toBe(401);
    expect((await request(server).get("/session").set({ cookie: given })).status).toBe(200);
    // Twice the same name: one of them is somebody else's.
    expect(
      (
        await request(server)
          .get("/session")
          .set({ cookie: `${given}; ${given}` })
      ).status,
    ).toBe(401);
  });

  test("end by signing out, by time, and by revocation of the token they do not have", async () => {
    const cookie = await signIn("auditor");
    const out = await request(server).delete("/session").set({ cookie, origin: origin() }).expect(204);
    expect(out.headers["set-cookie"]?.[0]).toMatch(/^scimseal=; .*Max-Age=0/);
    await request(server).get("/session").set({ cookie }).expect(401);
    const idle = await signIn("auditor");
    const before = desk.nowMs;
    desk.nowMs += 30 * 60_000;
    await request(server).get("/session").set({ cookie: idle }).expect(401);
    desk.nowMs = before;
  });

  test.each([
    ["another site", { origin: "https://evil.example" }],
    ["another port of this host", { origin: "http://127.0.0.1:1" }],
    ["a page without an origin", { origin: "null" }],
    ["a sibling domain", { "sec-fetch-site": "same-site" }],
    ["a link on another site", { "sec-fetch-site": "cross-site" }],
  ])("what comes from %s is refused, for reading and for changing", async (_where, headers) => {
    const cookie = session("admin").cookie;
    denials.length = 0;
    for (const asked of [
      request(server).get("/audit/v1/entries"),
      request(server).post(`/audit/v1/ledgers/main/alarms/${ALARM}/acknowledge`),
      request(server).delete("/session"),
    ]) {
      const answer = await asked.set({ cookie, ...headers });
      expect([answer.status, answer.body.code]).toEqual([403, "cross_site"]);
    }
    expect(denials.map(({ reason, auditor }) => [reason, auditor?.auditor])).toEqual(
      Array.from({ length: 3 }, () => ["cross_site", "admin"]),
    );
    const link = await makeLink();
    expect((await postLink(link, headers)).status).toBe(403);
    // It was not spent.
    expect((await postLink(link)).status).toBe(204);
  });

  test("another site keeps no session alive", async () => {
    const cookie = await signIn("auditor");
    const before = desk.nowMs;
    const asked = (origin_: string) => request(server).get("/session").set({ cookie, origin: origin_ });
    desk.nowMs += 20 * 60_000;
    await asked("https://evil.example").expect(403);
    desk.nowMs += 9 * 60_000;
    await asked(origin()).expect(200);
    desk.nowMs += 20 * 60_000;
    await asked("https://evil.example").expect(403);
    desk.nowMs += 10 * 60_000;
    await asked(origin()).expect(401);
    desk.nowMs = before;
  });

  test("a change must say where it comes from", async () => {
    const cookie = session("admin").cookie;
    const path = `/audit/v1/ledgers/main/alarms/${ALARM}/acknowledge`;
    expect((await request(server).post(path).set({ cookie })).status).toBe(403);
    const before = acknowledged.length;
    await request(server).post(path).set({ cookie, "sec-fetch-site": "same-origin" }).expect(200);
    await request(server).post(path).set({ cookie, origin: origin() }).expect(200);
    expect(acknowledged.length).toBe(before + 2);
    // A token is no cookie: whoever has it says by it that he means it.
    await request(server)
      .post(path)
      .set({ ...bearer("admin"), origin: "https://evil.example" })
      .expect(200);
  });

  test("a name that was pointed at this address is no address of ours", async () => {
    const rebound = { host: "evil.example:80", origin: "http://evil.example:80" };
    const answer = await request(server)
      .get("/audit/v1/entries")
      .set({ ...session("admin"), ...rebound });
    expect([answer.status, answer.body.code]).toEqual([403, "cross_site"]);
    expect((await postLink(await makeLink(), rebound)).status).toBe(403);
  });

  test("a token that is wrong is not helped out by a cookie", async () => {
    const answer = await request(server)
      .get("/session")
      .set({ ...session("admin"), ...bearer("revoked") });
    expect(answer.status).toBe(401);
  });

  test("a method that is not there says so to whoever is known only", async () => {
    await request(server).put("/audit/v1/status").expect(401);
    await request(server).put("/audit/v1/status").set(bearer("operator")).expect(405);
    await request(server).get("/audit/v1/nothing").set(bearer("scoped")).expect(404);
  });
});

describe("looking is noted", () => {
  const looked = async (path: string, caller: string) => {
    looks.length = 0;
    await request(server).get(path).set(bearer(caller));
    return looks.map(({ auditor, kind, count, from, to }) => [auditor.auditor, kind, count, from, to]);
  };

  test("with who, what, how much and where", async () => {
    const entry = "/audit/v1/ledgers/main/entries/1";
    expect(await looked("/audit/v1/entries?ledger=main&after=0&limit=2", "auditor")).toEqual([
      ["auditor", "entries", 2, 1, 2],
    ]);
    expect(await looked(entry, "scoped")).toEqual([]);
    expect(await looked(entry, "admin")).toEqual([["admin", "entries", 1, 1, 1]]);
    expect(await looked(`${entry}?include=attachments`, "auditor")).toEqual([["auditor", "bodies", 1, 1, 1]]);
    expect((await looked(`/audit/v1/ledgers/main/transactions/${txn}`, "auditor"))[0]?.slice(0, 3)).toEqual([
      "auditor",
      "transaction",
      2,
    ]);
    expect(await looked("/audit/v1/status", "operator")).toEqual([]);
  });

  test("and so are denials", async () => {
    denials.length = 0;
    await request(server).get("/audit/v1/ledgers/main/entries/1").set(bearer("operator")).expect(403);
    await request(server).get("/audit/v1/ledgers/main/entries/1").set(bearer("foreign")).expect(404);
    await request(server).get("/audit/v1/ledgers/main/entries/1").set(bearer("revoked")).expect(401);
    await request(server).get("/audit/v1/ledgers/main/entries/1").expect(401);
    expect(denials.map(({ auditor, ledger, reason }) => [auditor?.auditor, ledger, reason])).toEqual([
      ["operator", "main", "forbidden"],
      ["foreign", "main", "ledger_unknown"],
      [undefined, "main", "unauthenticated"],
    ]);
  });

  test("an export that cannot be recorded is refused before its first byte; a HEAD is none", async () => {
    const { context } = serve([main]);
    let asked = 0;
    const strict = createAdminServer({
      audit: {
        ...context,
        exporting: () => {
          asked++;
          return Promise.reject(new Problem("not_recorded", "The ledger takes no entries now."));
        },
      },
      registry: new Registry(),
      readiness: () => [],
    });
    const path = "/audit/v1/ledgers/main/evidence?from=0&to=1";
    const token = { authorization: "Bearer token-all" };
    const answer = await request(strict).get(path).set(token);
    expect([answer.status, answer.body.code, asked]).toEqual([503, "not_recorded", 1]);
    await request(strict).head(path).set(token).expect(200);
    // What there is nothing of is not exported.
    const nothing = await request(strict).get("/audit/v1/ledgers/main/evidence?from=100000").set(token);
    expect([nothing.status, asked]).toEqual([404, 1]);
  });
});

test("behind a public address the cookie is Secure, and only that address is ours", async () => {
  const { context } = serve([]);
  const sessions = new SignInDesk(dataDir, { log: quiet });
  const behind = createAdminServer({
    audit: { ...context, sessions, publicOrigin: "https://audit.example.com" },
    registry: new Registry(),
    readiness: () => [],
  });
  const public_ = { origin: "https://audit.example.com", host: "audit.example.com" };
  const link = await makeLink();
  const elsewhere = await request(behind)
    .post("/session")
    .set({ ...public_, origin: "https://audit.example.org" })
    .send({ link });
  expect(elsewhere.status).toBe(403);
  const answer = await request(behind).post("/session").set(public_).send({ link }).expect(204);
  const [cookie = ""] = (answer.headers["set-cookie"] as unknown as string[]) ?? [];
  expect(cookie).toMatch(/^__Host-scimseal=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Secure$/);
  const value = cookie.split(";")[0] ?? "";
  await request(behind)
    .get("/session")
    .set({ ...public_, cookie: value })
    .expect(200);
  // Under the other name it could have been planted over plain HTTP.
  await request(behind)
    .get("/session")
    .set({ ...public_, cookie: value.replace("__Host-", "") })
    .expect(401);
});

test("guessing links is slowed down", async () => {
  const { context } = serve([]);
  const slow = createAdminServer({
    audit: { ...context, sessions: new SignInDesk(dataDir, { log: quiet }) },
    registry: new Registry(),
    readiness: () => [],
  });
  await new Promise<void>((resolve) => slow.listen(0, "127.0.0.1", resolve));
  try {
    const statuses: number[] = [];
    for (let i = 0; i < 12; i++) statuses.push((await postLink(`scl_${"B".repeat(43)}`, {}, slow)).status);
    expect(statuses).toEqual([...Array.from({ length: 10 }, () => 401), 429, 429]);
    // Who is in already may go on, and a link is not spent by the refusal.
    await request(slow).get("/session").expect(401);
  } finally {
    await new Promise((resolve) => slow.close(resolve));
  }
});

/** An operation with values for its parameters that are there in ledger main. */
function ask(operation: Operation, headers: Record<string, string>, ledger = "main"): request.Test {
  const values: Record<string, string> = {
    ledger,
    seq: "1",
    id: operation.id === "acknowledgeAlarm" ? ALARM : id,
    txn,
    size: "7",
    level: "0",
    place: "000.p/1",
    type: "User",
    userName: "ada@example.com",
  };
  const path = operation.path.replace(/\{(\w+)\}/g, (_, name: string) => values[name] ?? name);
  const query = operation.query.shape;
  const wanted: Record<string, string> = {
    ...("ledger" in query && { ledger }),
    ...(operation.id === "getConsistencyProof" && { from: "1" }),
  };
  const asked = request(server)[operation.method](path).query(wanted).set(headers);
  // Events have no end: that they begin is all that is asked here.
  if (operation.id === "getLive") return asked.buffer(true).parse(readUnlessEvents);
  return operation.method === "post" ? asked.set("content-type", "application/json").send("{}") : asked;
}

function readUnlessEvents(
  response: request.Response,
  done: (error: Error | null, body: unknown) => void,
): void {
  const isEvents = response.headers["content-type"]?.startsWith("text/event-stream");
  let text = "";
  const end = () => {
    response.text = text;
    done(null, isEvents ? {} : JSON.parse(text));
  };
  response.on("data", (chunk: Buffer) => {
    text += chunk.toString();
    if (!isEvents) return;
    response.removeListener("end", end);
    end();
    (response as unknown as IncomingMessage).destroy();
  });
  response.on("end", end);
}

function namesLedger({ path, query }: Operation): boolean {
  return path.includes("{ledger}") || "ledger" in query.shape;
}

function outcomeOf({ status, body }: request.Response): string {
  if (status === 401 || status === 403) return body.code;
  return body?.code === "ledger_unknown" || status >= 500 ? `${status} ${body?.code}` : "allowed";
}

/** What a caller could tell two answers apart by. */
function headersOf({ headers }: request.Response): Record<string, unknown> {
  const { date: _date, ...rest } = headers as Record<string, unknown>;
  return rest;
}

function bearer(name: string): { authorization: string } {
  return { authorization: `Bearer ${tokens.get(name)}` };
}

/** As a page of this listener asks. */
function session(name: Caller): { cookie: string; origin: string } {
  return { cookie: cookies.get(name) ?? "", origin: origin() };
}

function origin(of: Server = server): string {
  const address = of.address();
  return `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
}

async function makeLink(name: Caller = "auditor"): Promise<string> {
  const { ledgers, ...rest } = CALLERS[name];
  const reach: Reach = {
    ledgers: ledgers === "*" ? "*" : [...ledgers],
    ...("role" in rest && { role: rest.role }),
    ...("connectors" in rest && { connectors: [...rest.connectors] }),
  };
  return (await addSignInLink(dataDir, { ...reach, name }, new Date(desk.nowMs))).secret;
}

function postLink(link: string, headers: Record<string, string> = {}, to: Server = server): request.Test {
  const own = Object.keys(headers).some((name) => name !== "cookie") ? {} : { origin: origin(to) };
  return request(to)
    .post("/session")
    .set({ ...own, ...headers })
    .send({ link });
}

async function signIn(name: Caller): Promise<string> {
  return cookieOf(await postLink(await makeLink(name)).expect(204));
}

function cookieOf(answer: request.Response): string {
  const [cookie = ""] = (answer.headers["set-cookie"] as unknown as string[]) ?? [];
  return cookie.split(";")[0] ?? "";
}

function connectorOf(name: string) {
  return {
    name,
    baseUrl: `https://scim.example.com/${name}/scim/v2`,
    idp: "okta",
    ledger: name === "elsewhere" ? "other" : "main",
    targetHost: "app.example.com",
    credentials: [],
    health: { state: "idle" as const, lastOutcome: null, lastAnswered: null, lastFailed: null, failures: 0 },
  };
}
