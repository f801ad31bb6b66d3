// The doors of a running instance: every kind of client credential, the token endpoint on the listener, health and
// metrics, and the auditor's door to the entries.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { CredentialRequest } from "../../src/auth/credential.ts";
import { addCredential, revokeCredential } from "../../src/auth/credentialFile.ts";
import { ALL_WELL, checkInvariants, ORIGIN, ofType, type System, startSystem } from "../support/system.ts";
import { closeConnections, exchangeRaw, sendRaw } from "./rawClient.ts";

const PASSWORD = "p:ä$$ word with spaces";
const CLIENT_SECRET = "s3cret+/=%&ü";
let system: System;
let scopedToken: string;

beforeAll(async () => {
  process.env.DOORS_PASSWORD = PASSWORD;
  process.env.DOORS_CLIENT_SECRET = CLIENT_SECRET;
  const keys = {
    signingKey: { file: "keys/main.jwk" },
    pinnedKeys: ["keys/main.genesis.pub.jwk"],
    tokenKey: { file: "keys/main.token.key" },
    sealingKey: { file: "keys/main.sealing.jwks" },
  };
  system = await startSystem({
    config: {
      ledgers: { main: { origin: ORIGIN, ...keys }, other: { origin: `${ORIGIN}-other`, ...keys } },
    },
    connector: {
      clients: {
        basic: [{ name: "basic-test", username: "okta@example", password: { env: "DOORS_PASSWORD" } }],
        oauth: [{ name: "oauth-test", clientId: "entra-app", clientSecret: { env: "DOORS_CLIENT_SECRET" } }],
      },
    },
  });
  const scope: CredentialRequest = { kind: "auditor", ledgers: ["other"], name: "other-auditor" };
  scopedToken = (await addCredential(system.dataDir, scope, new Date())).token;
});
afterEach(() => {
  closeConnections();
});
afterAll(async () => {
  expect(await checkInvariants({ ...system, journal: system.journal() })).toEqual(ALL_WELL);
  await system.stop();
});

let names = 0;
const createBody = () =>
  JSON.stringify({
    schemas: ["urn:ietf:params:scim:schemas:core:2.0:User"],
    userName: `doors-${names++}@example.com`,
  });

async function create(authorization: string): Promise<{ status: number; actor: unknown }> {
  const before = (await system.entries()).length;
  const response = await fetch(`${system.baseUrl}/Users`, {
    method: "POST",
    headers: { authorization, "content-type": "application/scim+json" },
    body: createBody(),
  });
  const added = (await system.entries()).slice(before);
  return { status: response.status, actor: ofType(added, "request")[0]?.claims.actor };
}
const basic = (user: string, password: string) => Buffer.from(`${user}:${password}`).toString("base64");

describe("client credentials", () => {
  test("a minted token is accepted as Bearer in any case, and bare as Okta may send it", async () => {
    const actor = { client: "okta-test", method: "bearer" };
    for (const authorization of [
      `Bearer ${system.token}`,
      `bearer ${system.token}`,
      `BEARER  ${system.token}`,
      system.token,
    ]) {
      expect(await create(authorization)).toEqual({ status: 201, actor });
    }
  });

  test("HTTP Basic is accepted with any character in its password", async () => {
    expect(await create(`Basic ${basic("okta@example", PASSWORD)}`)).toEqual({
      status: 201,
      actor: { client: "basic-test", method: "basic" },
    });
  });

  test("what is almost a credential is a 401 with a SCIM error, and leaves nothing", async () => {
    const before = (await system.entries()).length;
    for (const authorization of [
      "",
      "Bearer",
      "Bearer ",
      `Bearer ${system.token}x`,
      `Bearer ${system.token.slice(0, -1)}`,
      `Bearer "${system.token}"`,
      `Bearer ${system.token}, Bearer ${system.token}`,
      `Token ${system.token}`,
      `Bearer${system.token}`,
      `Bearer ${system.auditorToken}`,
      system.auditorToken,
      `Bearer ${system.targetToken}`,
      `Basic ${basic("okta@example", "wrong")}`,
      `Basic ${basic("okta@example", "")}`,
      `Basic ${basic("", PASSWORD)}`,
      `Basic ${basic("okta@example", PASSWORD)}!`,
      `Bearer ${basic("okta@example", PASSWORD)}`,
      "Bearer eyJhbGciOiJub25lIn0.e30.",
    ]) {
      const response = await fetch(`${system.baseUrl}/Users`, { headers: { authorization } });
      expect([authorization, response.status]).toEqual([authorization, 401]);
      expect(response.headers.get("www-authenticate")).toContain("Bearer");
      expect(await response.json()).toMatchObject({
        schemas: ["urn:ietf:params:scim:api:messages:2.0:Error"],
        status: "401",
      });
    }
    expect((await system.entries()).length).toBe(before);
  });

  test("a revoked token stops working while the instance runs; its successor works beside it before", async () => {
    const scope = { kind: "client", connector: "okta", name: "okta-next" } as const;
    const { token, credential } = await addCredential(system.dataDir, scope, new Date());
    await expect.poll(async () => (await create(`Bearer ${token}`)).status, { timeout: 10_000 }).toBe(201);
    expect((await create(`Bearer ${system.token}`)).status).toBe(201);
    await revokeCredential(system.dataDir, credential.id, new Date());
    await expect.poll(async () => (await create(`Bearer ${token}`)).status, { timeout: 10_000 }).toBe(401);
    expect(await readFile(join(system.dataDir, "credentials.json"), "utf8")).not.toContain(token);
  });
});

describe("the token endpoint", () => {
  const form = (
    fields: Record<string, string>,
    headers: Record<string, string> = {},
    path = "/oauth2/token",
  ) =>
    fetch(`${system.app.scimUrl}${path}`, {
      method: "POST",
      body: new URLSearchParams(fields),
      headers,
    });
  const credentials = { client_id: "entra-app", client_secret: CLIENT_SECRET };

  test("client credentials in the body or in the header buy a token that opens their connector only", async () => {
    const encoded = basic(encodeURIComponent("entra-app"), encodeURIComponent(CLIENT_SECRET));
    for (const response of [
      await form({ grant_type: "client_credentials", ...credentials }),
      await form({ grant_type: "client_credentials" }, { authorization: `Basic ${encoded}` }),
      await form({ grant_type: "client_credentials", ...credentials }, {}, "/oauth2/token?api-version=1"),
    ]) {
      expect(response.status).toBe(200);
      expect(response.headers.get("cache-control")).toBe("no-store");
      const granted = (await response.json()) as { access_token: string; token_type: string };
      expect(granted.token_type).toBe("Bearer");
      expect(await create(`Bearer ${granted.access_token}`)).toEqual({
        status: 201,
        actor: { client: "oauth-test", method: "oauth" },
      });
      const next = await fetch(`${system.app.scimUrl}/entra/scim/v2/Users`, {
        headers: { authorization: `Bearer ${granted.access_token}` },
      });
      expect(next.status).toBe(404);
    }
  });

  test("wrong credentials are a 401 in OAuth's own form", async () => {
    const response = await form({ grant_type: "client_credentials", ...credentials, client_secret: "x" });
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ error: "invalid_client" });
  });

  test("more than 8 KiB are not read", async () => {
    const response = await form({ grant_type: "client_credentials", x: "y".repeat(9000) });
    expect(response.status).toBe(413);
  });

  test("it has one spelling and one method", async () => {
    const fields = { grant_type: "client_credentials", ...credentials };
    const authorization = `Bearer ${system.token}`;
    const statuses = [
      (await form(fields, { authorization }, "/OAuth2/Token")).status,
      (await form(fields, { authorization }, "/oauth2/token/")).status,
      (await form(fields, { authorization }, "/oauth2//token")).status,
      (await fetch(`${system.app.scimUrl}/oauth2/token`, { headers: { authorization } })).status,
    ];
    expect(statuses).toEqual([404, 404, 400, 404]);
  });

  test("its framing is held to the same rules", async () => {
    const body = new URLSearchParams({ grant_type: "client_credentials", ...credentials }).toString();
    const lines = [
      "POST /oauth2/token HTTP/1.1",
      "Host: a",
      "Content-Type: application/x-www-form-urlencoded",
      `Content-Length: ${body.length}`,
    ];
    const send = (...more: string[]) => [...lines, ...more, "", body].join("\r\n");
    const [good] = await exchangeRaw(system.app.scimUrl, send("X-A: b"));
    expect(good?.status).toBe(200);
    for (const line of [
      "Host: b",
      "Content-Type: application/x-www-form-urlencoded",
      "Transfer-Encoding: chunked",
    ]) {
      const responses = await sendRaw(system.app.scimUrl, send(line));
      expect(responses.map(({ status }) => status)).toEqual([400]);
    }
    const [patient] = await exchangeRaw(system.app.scimUrl, send("Expect: 100-continue"));
    expect(patient?.status).toBe(200);
  });

  test("secrets and tokens stay out of the log", () => {
    expect(system.logs()).not.toContain(CLIENT_SECRET);
    expect(system.logs()).not.toContain(PASSWORD);
    expect(system.logs()).not.toContain(system.token);
  });
});

describe("health and metrics", () => {
  const admin = (path: string, init?: RequestInit) => fetch(`${system.app.adminUrl}${path}`, init);

  test("alive and ready are told on the admin listener only", async () => {
    expect(await (await admin("/healthz")).json()).toEqual({ status: "alive" });
    const ready = await admin("/readyz");
    expect([ready.status, await ready.json()]).toEqual([200, { ready: true, reasons: [] }]);
    for (const path of ["/healthz", "/readyz", "/metrics", "/audit/v1/entries"]) {
      const headers = { authorization: `Bearer ${system.auditorToken}` };
      expect((await fetch(`${system.app.scimUrl}${path}`, { headers })).status).toBe(401);
    }
    expect((await admin("/okta/scim/v2/Users")).status).toBe(404);
  });

  test("requests and refusals are counted by closed labels", async () => {
    await system.request("POST", "/Users", { body: "[]" });
    await exchangeRaw(system.app.scimUrl, "nonsense\r\n\r\n");
    const text = await (await admin("/metrics")).text();
    expect(text).toMatch(/^scimseal_requests_total\{connector="okta",kind="write",status="201"\} [1-9]/m);
    expect(text).toMatch(
      /^scimseal_refusals_total\{connector="okta",code="body_invalid",reason="body_invalid"\} 1$/m,
    );
    expect(text).toMatch(
      /^scimseal_refusals_total\{connector="none",code="framing_invalid",reason="framing_invalid"\} [1-9]/m,
    );
    expect(text).toMatch(/^scimseal_ledger_entries\{ledger="main"\} [1-9]/m);
    expect(text).toMatch(/^scimseal_open_transactions\{ledger="main"\} 0$/m);
    expect(text).toMatch(/^scimseal_ledger_ready\{ledger="other"\} 1$/m);
    expect(text).not.toContain("doors-0");
  });

  test("so are the refusals that no pipeline sees: an expectation, and those of the token endpoint", async () => {
    const counted = async (code: string) => {
      const text = await (await admin("/metrics")).text();
      const line = `^scimseal_refusals_total\\{connector="none",code="${code}",reason="${code}"\\} (\\d+)$`;
      return Number(new RegExp(line, "m").exec(text)?.[1] ?? 0);
    };
    const codes = ["expectation_failed", "body_too_large", "authentication_failed"];
    const before = await Promise.all(codes.map(counted));
    await exchangeRaw(system.app.scimUrl, "GET / HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n\r\n");
    const tokenRequest = (body: URLSearchParams) =>
      fetch(`${system.app.scimUrl}/oauth2/token`, { method: "POST", body });
    await tokenRequest(new URLSearchParams({ x: "y".repeat(9000) }));
    await tokenRequest(
      new URLSearchParams({ grant_type: "client_credentials", client_id: "x", client_secret: "y" }),
    );
    expect(await Promise.all(codes.map(counted))).toEqual(before.map((count) => count + 1));
  });
});

describe("the entries API", () => {
  interface Page {
    ledger: string;
    next: number | null;
    entries: { seq: number; leaf: string; intact: boolean; attachments?: { name: string }[] }[];
  }
  const entries = (query: string, token: string | undefined = system.auditorToken, method = "GET") =>
    fetch(`${system.app.adminUrl}/audit/v1/entries${query}`, {
      method,
      headers: token === "" ? {} : { authorization: `Bearer ${token}` },
    });
  const page = async (query: string, token?: string) => (await (await entries(query, token)).json()) as Page;

  test("pages join into the whole ledger, in order, leaf by exact leaf", async () => {
    const stored = (await system.entries()).map(({ row }) => row);
    expect(stored.length).toBeGreaterThan(7);
    const collected: Page["entries"] = [];
    let after: number | null = -1;
    let pages = 0;
    while (after !== null) {
      const { entries: found, next }: Page = await page(`?ledger=main&after=${after}&limit=3`);
      expect(found.length).toBeLessThanOrEqual(3);
      collected.push(...found);
      after = next;
      if (found.length > 0) pages++;
    }
    expect(collected.map(({ seq, leaf }) => [seq, leaf])).toEqual(stored.map(({ seq, leaf }) => [seq, leaf]));
    expect(collected.every(({ intact }) => intact)).toBe(true);
    expect(pages).toBe(Math.ceil(stored.length / 3));
    const beyond = await page(`?after=${stored.length + 100}`);
    expect([beyond.entries, beyond.next]).toEqual([[], null]);
  });

  test("attachments come only when they are asked for", async () => {
    expect((await page("?limit=1000")).entries.some(({ attachments }) => attachments)).toBe(false);
    const found = (await page("?limit=1000&include=attachments")).entries;
    expect(found.some(({ attachments }) => attachments?.some(({ name }) => name === "facts"))).toBe(true);
  });

  test("an auditor of another ledger cannot tell this one from one that is not there", async () => {
    // case 94
    await expect.poll(async () => (await entries("?ledger=other", scopedToken)).status).toBe(200);
    const foreign = await entries("?ledger=main", scopedToken);
    const missing = await entries("?ledger=nowhere", scopedToken);
    const odd = await entries("?ledger=__proto__", scopedToken);
    expect([foreign.status, missing.status, odd.status]).toEqual([404, 404, 404]);
    const body = await foreign.text();
    expect(await missing.text()).toBe(body);
    expect(await odd.text()).toBe(body);
    expect((await page("", scopedToken)).ledger).toBe("other");
  });

  test("neither a client's token nor none at all opens it", async () => {
    for (const token of ["", system.token, `${system.auditorToken}x`]) {
      const response = await entries("", token);
      expect(response.status).toBe(401);
      expect(response.headers.get("www-authenticate")).toContain("Bearer");
    }
    expect((await system.request("GET", "/Users", { token: system.auditorToken })).status).toBe(401);
  });

  test.each(["POST", "PUT", "PATCH", "DELETE"])("an auditor cannot %s", async (method) => {
    expect((await entries("", system.auditorToken, method)).status).toBe(405);
  });

  test.each([
    "?limit=0",
    "?limit=1001",
    "?limit=abc",
    "?limit=1.5",
    "?limit=-1",
    "?after=-2",
    "?after=NaN",
    "?after=1e99",
    "?after=1&after=2",
    "?include=everything",
    "?unknown=1",
    "?ledger[a]=b",
    "?ledger=a&ledger=b",
  ])("%s is refused with what is wrong", async (query) => {
    const response = await entries(query);
    expect(response.status).toBe(400);
    expect(response.headers.get("content-type")).toContain("application/problem+json");
    expect(await response.json()).toMatchObject({ code: "invalid_parameter" });
  });
});
