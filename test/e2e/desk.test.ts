// The desk over a whole system: a person signs in by a link of the command line, looks, takes note of an alarm, and is found
// in the ledger for it; also over a stop.

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { operations } from "../../src/audit/api.ts";
import { registerToken } from "../../src/cli/token.ts";
import { parseLeaf } from "../../src/ledger/leaf.ts";
import { runCommand } from "../cli/run.ts";
import { disarm, querySql, runSql } from "../storage/writerHarness.ts";
import { type System, startSystem } from "../support/system.ts";

let dataDir: string;
let system: System;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "scimseal-desk-"));
  system = await startSystem({ dataDir });
  for (const name of ["ada", "bob"]) {
    const body = JSON.stringify({ schemas: [USER], userName: `${name}@example.com`, active: true });
    expect((await system.request("POST", "/Users", { body })).status).toBe(201);
  }
});

afterAll(async () => {
  await system.stop();
  await rm(dataDir, { recursive: true, force: true });
});

interface Status {
  ledgers: { state: string; brokenAt: number | null; acknowledged: number; alarms: { id: string }[] }[];
}

const USER = "urn:ietf:params:scim:schemas:core:2.0:User";

test("a link of the command line lets in once, and the sign-in is in the ledger before the answer", async () => {
  const { out, err } = await makeLink("--role", "auditor", "--name", "desk-ada");
  expect(out).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/#signin=scl_[\w-]{43}\n$/);
  expect(err).toContain("auditor of all ledgers");
  const cookie = await signIn(out);
  const signedIn = (await events()).filter(({ name }) => name === "signed-in");
  expect(signedIn).toEqual([{ name: "signed-in", auditor: "desk-ada", role: "auditor", by: "link" }]);
  expect((await post("/session", "", { link: secretOf(out) })).status).toBe(401);
  const session = await read("/session", cookie);
  expect(session).toMatchObject({ name: "desk-ada", roles: ["auditor"], ledgers: ["main"], connectors: "*" });
  expect(system.logs()).not.toContain(secretOf(out));
  expect(await readFile(join(dataDir, "signin-links.json"), "utf8")).not.toContain(secretOf(out).slice(4));
});

test("revoking the sign-in on the command line ends the session", async () => {
  const cookie = await signIn((await makeLink("--name", "desk-gone")).out);
  expect((await get("/session", cookie)).status).toBe(200);
  const place = ["--data-dir", dataDir];
  const { out } = await runCommand(registerToken, "token", "list", ...place);
  const [, id = ""] = /^([0-9a-f]{12})\b.*desk-gone/m.exec(out) ?? [];
  await runCommand(registerToken, "token", "revoke", id, ...place);
  await vi.waitFor(async () => expect((await get("/session", cookie)).status).toBe(401), 5_000);
});

test("an operator sees connectors and health, and nothing that was recorded", async () => {
  const cookie = await signIn((await makeLink("--role", "operator", "--name", "desk-op")).out);
  const { connectors } = await read<{ connectors: object[] }>("/audit/v1/connectors", cookie);
  expect(connectors).toMatchObject([
    {
      name: "okta",
      baseUrl: system.baseUrl,
      ledger: "main",
      targetHost: new URL(system.targetUrl).host,
      credentials: [{ name: "okta-test", method: "bearer", state: "active", lastUse: expect.any(String) }],
      health: { state: "ok", lastOutcome: "answered", failures: 0 },
    },
    { name: "entra", health: { state: "idle" } },
  ]);
  expect(JSON.stringify(connectors)).not.toContain(system.token);
  await vi.waitFor(async () => {
    const { ledgers } = await read<Status>("/audit/v1/status", cookie);
    expect(ledgers).toMatchObject([
      { name: "main", state: "verified", brokenAt: null, alarms: [], isWritable: true },
    ]);
  }, 10_000);
  expect((await get("/audit/v1/entries", cookie)).status).toBe(403);
});

describe("what is not for somebody comes out nowhere", () => {
  /** Every answer that a GET of the API gives, about the first account of okta. */
  async function answersTo(cookie: string): Promise<string[]> {
    const [row] = await querySql(
      system.superuserUrl,
      "SELECT seq, leaf FROM ledger_main.entry WHERE type = 'request' ORDER BY seq LIMIT 1",
    );
    const parsed = parseLeaf(String(row?.leaf));
    if (typeof parsed === "string" || parsed.claims.type !== "request") throw new Error("no request");
    const { id, txn } = parsed.claims;
    const values: Record<string, string> = {
      ledger: "main",
      seq: String(row?.seq),
      id,
      txn,
      size: "3",
      level: "0",
      place: "000.p/3",
      type: "User",
      userName: "ada@example.com",
    };
    const answers: string[] = [];
    for (const { method, path, id: name, query } of operations) {
      if (method !== "get" || name === "getLive" || path === "/audit/v1/openapi.json") continue;
      const resource = path.startsWith("/audit/v1/accounts") || path.startsWith("/audit/v1/groups");
      const filled = path.replace(/\{(\w+)\}/g, (_, key: string) =>
        resource && key === "id" ? userId : (values[key] ?? key),
      );
      const wanted = new URLSearchParams();
      if ("include" in query.shape) wanted.set("include", "attachments");
      if (name === "getConsistencyProof") wanted.set("from", "1");
      for (const more of ["", ...("text" in query.shape ? ["ada"] : [])]) {
        if (more !== "") wanted.set("text", more);
        const answer = await get(`${filled}?${wanted}`, cookie);
        answers.push(`${name} ${answer.status} ${await answer.text()}`);
      }
    }
    return answers;
  }
  /** What tells of somebody: names, also within attachments. */
  const tells = (answers: readonly string[], ...what: string[]) =>
    answers
      .filter((answer) => {
        const opened = answer.replace(/"content":"([A-Za-z0-9+/=]+)"/g, (_, content: string) =>
          Buffer.from(content, "base64").toString(),
        );
        return what.some((one) => opened.includes(one));
      })
      .map((answer) => answer.split(" ", 2).join(" "))
      .sort();
  let userId = "";

  beforeAll(async () => {
    const body = JSON.stringify({ schemas: [USER], userName: "eve@example.org", active: true });
    const entra = system.baseUrl.replace("/okta/", "/entra/");
    const answer = await fetch(`${entra}/Users`, {
      method: "POST",
      headers: { authorization: `Bearer ${system.otherToken}`, "content-type": "application/scim+json" },
      body,
    });
    expect(answer.status).toBe(201);
    const token = { authorization: `Bearer ${system.auditorToken}` };
    await vi.waitFor(async () => {
      const url = `${system.app.adminUrl}/audit/v1/transactions?filter=${encodeURIComponent('outcome eq "answered"')}`;
      const { transactions } = (await (await fetch(url, { headers: token })).json()) as {
        transactions: object[];
      };
      expect(transactions).toHaveLength(3);
    }, 20_000);
    const found = await fetch(`${system.app.adminUrl}/audit/v1/accounts?text=ada`, { headers: token });
    userId = ((await found.json()) as { accounts: { id: string }[] }).accounts[0]?.id ?? "";
    expect(userId).not.toBe("");
  });

  test("an auditor finds both, so there is something to hide", async () => {
    const cookie = await signIn((await makeLink("--name", "desk-all")).out);
    const found = tells(await answersTo(cookie), "ada@example.com");
    for (const name of [
      "exportTransactionsCsv",
      "exportTransactionsNdjson",
      "getAccount",
      "getAccountByName",
      "getEntry",
      "getEntryById",
      "getTransaction",
      "listAccounts",
      "listEntries",
      "listTransactions",
    ])
      expect(found).toContain(`${name} 200`);
  });

  test("an auditor of the other connector finds his own only", async () => {
    const scope = ["--connector-scope", "entra", "--name", "desk-entra"];
    const answers = await answersTo(await signIn((await makeLink(...scope)).out));
    expect(tells(answers, "ada@", "bob@", '"connector":"okta"', "okta-test")).toEqual([]);
    expect(tells(answers, "eve@example.org")).toEqual(
      expect.arrayContaining(["listAccounts 200", "listEntries 200", "listTransactions 200"]),
    );
  });

  test("an operator finds nobody", async () => {
    const answers = await answersTo(await signIn((await makeLink("--role", "operator")).out));
    expect(tells(answers, "ada@", "bob@", "eve@", userId)).toEqual([]);
    expect(tells(answers, '"failures"')).toEqual(["listConnectors 200"]);
  });
});

test("what was looked at is in the ledger after a stop, before its end", async () => {
  const cookie = await signIn((await makeLink("--name", "desk-look")).out);
  await get("/audit/v1/entries?limit=5&include=attachments", cookie);
  await get("/audit/v1/ledgers/nope/entries/0", cookie);
  const pack = await get("/audit/v1/ledgers/main/evidence?from=0&to=1", cookie);
  await pack.arrayBuffer();
  await system.stop();
  system = await startSystem({ dataDir });
  const found = await events();
  const names = found.map(({ name }) => String(name));
  const stopped = names.lastIndexOf("instance-stopped");
  expect(names.slice(0, stopped)).toEqual(
    expect.arrayContaining(["entries-viewed", "access-denied", "export-made"]),
  );
  expect(names.slice(stopped)).not.toContain("entries-viewed");
  expect(found).toContainEqual(
    expect.objectContaining({
      name: "entries-viewed",
      auditor: "desk-look",
      kinds: { bodies: 1 },
      entries: 5,
      from: 0,
      to: 4,
    }),
  );
  expect(found).toContainEqual({
    name: "access-denied",
    auditor: "desk-look",
    role: "auditor",
    reasons: { ledger_unknown: 1 },
  });
  expect(found).toContainEqual({
    name: "export-made",
    auditor: "desk-look",
    role: "auditor",
    kind: "evidence",
    from: 0,
    to: 1,
  });
});

test("an administrator takes note of an alarm, and writes go on", async () => {
  const admin = await signIn((await makeLink("--role", "admin", "--name", "desk-admin")).out);
  const auditor = await signIn((await makeLink("--name", "desk-reader")).out);
  await runSql(
    system.superuserUrl,
    `BEGIN; ${disarm("ledger_main")}; UPDATE ledger_main.entry SET leaf = overlay(leaf placing (CASE substr(leaf, 300, 1) WHEN 'A' THEN 'B' ELSE 'A' END) from 300) WHERE seq = 3; COMMIT`,
  );
  const broken = async () => {
    const { ledgers } = await read<Status>("/audit/v1/status", auditor);
    const [main] = ledgers;
    if (!main) throw new Error("the ledger is not in the status");
    return main;
  };
  await vi.waitFor(async () => expect(await broken()).toMatchObject({ state: "broken", isWritable: false }), {
    timeout: 30_000,
    interval: 200,
  });
  const { alarms, brokenAt } = await broken();
  expect(brokenAt).toBe(3);
  const path = (id: string) => `/audit/v1/ledgers/main/alarms/${id}/acknowledge`;
  expect((await post(path(alarms[0]?.id ?? ""), auditor)).status).toBe(403);
  expect((await post(path("019cad8f-ac10-7000-8000-00000000a1a2"), admin)).status).toBe(404);
  await vi.waitFor(
    async () => {
      for (const { id } of (await broken()).alarms)
        await Promise.all([post(path(id), admin), post(path(id), admin)]);
      expect(await broken()).toMatchObject({ isWritable: true, alarms: [] });
    },
    { timeout: 30_000, interval: 500 },
  );
  // That somebody took note of it mends nothing.
  await vi.waitFor(async () =>
    expect(await broken()).toMatchObject({ state: "acknowledged", brokenAt: null }),
  );
  expect((await broken()).acknowledged).toBeGreaterThan(0);
  const noted = (await events()).filter(({ name }) => name === "alarm-acknowledged");
  expect(noted.length).toBeGreaterThan(0);
  for (const { by } of noted) expect(by).toBe("desk-admin");
  // However often he was asked to.
  expect(new Set(noted.map(({ alarm }) => alarm)).size).toBe(noted.length);
}, 90_000);

async function makeLink(...options: string[]) {
  const url = system.app.adminUrl;
  return runCommand(registerToken, "token", "signin", "--data-dir", dataDir, "--url", url, ...options);
}

function secretOf(link: string): string {
  return link.trim().split("#signin=")[1] ?? "";
}

async function signIn(link: string): Promise<string> {
  const answer = await post("/session", "", { link: secretOf(link) });
  expect(answer.status).toBe(204);
  return (answer.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
}

function get(path: string, cookie: string): Promise<Response> {
  return fetch(`${system.app.adminUrl}${path}`, { headers: { cookie } });
}

async function read<Body>(path: string, cookie: string): Promise<Body> {
  return (await (await get(path, cookie)).json()) as Body;
}

function post(path: string, cookie: string, body: object = {}): Promise<Response> {
  const { adminUrl } = system.app;
  return fetch(`${adminUrl}${path}`, {
    method: "POST",
    headers: { cookie, origin: adminUrl, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

async function events(): Promise<Readonly<Record<string, unknown>>[]> {
  const rows = await querySql(
    system.superuserUrl,
    "SELECT leaf FROM ledger_main.entry WHERE type = 'event' ORDER BY seq",
  );
  return rows
    .map(({ leaf }) => parseLeaf(String(leaf)))
    .flatMap((parsed) =>
      typeof parsed !== "string" && parsed.claims.type === "event" ? parsed.claims.event : [],
    );
}
