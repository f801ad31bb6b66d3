/** OAuth 2.0 client credentials: RFC 6749 §4.4 and §5.2, and what an access token opens, for how long. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { decodeJwt } from "jose";
import { afterAll, expect, test, vi } from "vitest";
import { ClientAuthenticator } from "../../src/auth/clients.ts";
import { CredentialStore } from "../../src/auth/credentialStore.ts";
import { tokenEndpoint } from "../../src/auth/tokenEndpoint.ts";
import { parseConfig } from "../../src/config/load.ts";
import { createTokenKey } from "../../src/keys/tokenKey.ts";

const dataDir = mkdtempSync(path.join(tmpdir(), "scimseal-oauth-"));
afterAll(() => rmSync(dataDir, { recursive: true }));

let nowMs = Date.parse("2026-06-01T12:00:00Z");
const SECRETS = { S1: "first secret/1", S2: "second-secret" };

function authenticator(
  options: { key?: Uint8Array; secrets?: Record<string, string>; entraOnly?: true } = {},
): ClientAuthenticator {
  const target = `{ url: "http://127.0.0.1:1", auth: { none: true } }`;
  const text = `
ledgers:
  main: { origin: o/main, signingKey: { file: k }, pinnedKeys: [p], tokenKey: { file: t }, sealingKey: { file: s } }
connectors:
  entra:
    ledger: main
    target: ${target}
    clients:
      oauth:
        - { name: entra-1, clientId: "entra id", clientSecret: { env: S1 } }
        - { name: entra-2, clientId: "entra id", clientSecret: { env: S2 }, tokenTtlSeconds: 60 }
  other:
    ledger: main
    target: ${target}
    clients:
      oauth: [{ name: other-1, clientId: "entra id", clientSecret: { env: S1 } }]
`;
  const environment = { ...SECRETS, ...options.secrets };
  const shown = options.entraOnly ? text.slice(0, text.indexOf("  other:")) : text;
  const config = parseConfig(shown, "/nowhere/x.yaml", { environment, secrets: "deferred" });
  const log = { warn() {}, error() {} };
  return new ClientAuthenticator(config, {
    log,
    credentials: new CredentialStore(dataDir, { log }),
    keyOfLedger: () => createTokenKey(options.key ?? new Uint8Array(32), "o/main"),
    now: () => nowMs,
  });
}

const FORM = "application/x-www-form-urlencoded";
function ask(
  body: Record<string, string> | string,
  headers: Record<string, string> = {},
  auth = authenticator(),
) {
  const text = typeof body === "string" ? body : new URLSearchParams(body).toString();
  return tokenEndpoint(auth.oauth, {
    headers: { "content-type": FORM, ...headers },
    body: Buffer.from(text),
  });
}
const good = { grant_type: "client_credentials", client_id: "entra id", client_secret: SECRETS.S1 };
const encode = (text: string) => encodeURIComponent(text).replaceAll("%20", "+");
const basic = (id: string, secret: string) => ({
  authorization: `Basic ${Buffer.from(`${encode(id)}:${encode(secret)}`).toString("base64")}`,
});

async function tokenOf(answer: Promise<{ body: string }>): Promise<string> {
  return JSON.parse((await answer).body).access_token;
}

test("a client that leaves out the form-encoding before Base64, as curl does, is let in with its own secret only", async () => {
  const auth = authenticator({ secrets: { S1: "a+b/c%2F=%" } });
  const plain = (secret: string) => ({
    authorization: `Basic ${Buffer.from(`entra id:${secret}`).toString("base64")}`,
  });
  const grant = { grant_type: "client_credentials" };
  expect((await ask(grant, plain("a+b/c%2F=%"), auth)).status).toBe(200);
  expect((await ask({ ...grant, client_id: "entra id" }, plain("a+b/c%2F=%"), auth)).status).toBe(200);
  expect((await ask(grant, basic("entra id", "a+b/c%2F=%"), auth)).status).toBe(200);
  for (const wrong of ["a b/c%2F=%", "a+b/c/=%", "a%2Bb/c%2F=%"])
    expect((await ask(grant, plain(wrong), auth)).status).toBe(401);
});

test("credentials that read the same either way are tried once, and one token is made", async () => {
  const auth = authenticator();
  const issue = vi.spyOn(auth.oauth, "issue");
  const plain = { authorization: `Basic ${Buffer.from("nobody:second-secret").toString("base64")}` };
  expect((await ask({ grant_type: "client_credentials" }, plain, auth)).status).toBe(401);
  expect(issue).toHaveBeenCalledTimes(1);
});

test("client_secret_post and client_secret_basic give a Bearer token that no cache may keep", async () => {
  for (const answer of [
    await ask(good),
    await ask({ grant_type: "client_credentials", scope: "scim" }, basic("entra id", SECRETS.S1)),
    await ask(good, { "content-type": `${FORM}; charset=UTF-8` }),
  ]) {
    expect(answer.status).toBe(200);
    expect(answer.headers).toMatchObject({ "cache-control": "no-store", pragma: "no-cache" });
    expect(JSON.parse(answer.body)).toEqual({
      access_token: expect.any(String),
      token_type: "Bearer",
      expires_in: 3600,
    });
  }
});

test("an access token opens the connectors of its client, in every instance with the same key", async () => {
  const token = await tokenOf(ask(good));
  expect(await authenticator().authenticate(`Bearer ${token}`)).toEqual({
    client: "entra-1",
    method: "oauth",
    connectors: new Set(["entra", "other"]),
  });
  const second = await tokenOf(ask({ ...good, client_secret: SECRETS.S2 }));
  expect(await authenticator().authenticate(`Bearer ${second}`)).toMatchObject({
    client: "entra-2",
    connectors: new Set(["entra"]),
  });
  expect(decodeJwt(token)).not.toHaveProperty("client_secret");
});

test("an access token ends: by time, with its secret, and with the ledger's key", async () => {
  const token = `Bearer ${await tokenOf(ask({ ...good, client_secret: SECRETS.S2 }))}`;
  expect(await authenticator().authenticate(token)).toBeDefined();
  expect(await authenticator({ secrets: { S2: "replaced" } }).authenticate(token)).toBeUndefined();
  expect(await authenticator({ key: new Uint8Array(32).fill(1) }).authenticate(token)).toBeUndefined();
  nowMs += 59_000;
  expect(await authenticator().authenticate(token)).toBeDefined();
  nowMs += 1000;
  expect(await authenticator().authenticate(token)).toBeUndefined();
});

test("an access token opens what it was issued for, not what its client may do by now", async () => {
  const token = await tokenOf(ask(good, {}, authenticator({ entraOnly: true })));
  expect((await authenticator().authenticate(`Bearer ${token}`))?.connectors).toEqual(new Set(["entra"]));
});

test("a token with a changed audience is nobody's", async () => {
  const [header, payload, signature] = (await tokenOf(ask(good))).split(".");
  const claims = JSON.parse(Buffer.from(payload ?? "", "base64url").toString());
  const forged = Buffer.from(JSON.stringify({ ...claims, aud: ["entra", "other", "third"] })).toString(
    "base64url",
  );
  expect(await authenticator().authenticate(`Bearer ${header}.${forged}.${signature}`)).toBeUndefined();
});

test.each<[string, Record<string, string> | string, Record<string, string>, number, string]>([
  ["a wrong secret", { ...good, client_secret: "wrong" }, {}, 401, "invalid_client"],
  ["an unknown client", { ...good, client_id: "nobody" }, {}, 401, "invalid_client"],
  ["no credentials", { grant_type: "client_credentials" }, {}, 401, "invalid_client"],
  ["an id alone", { grant_type: "client_credentials", client_id: "entra id" }, {}, 401, "invalid_client"],
  ["wrong Basic", { grant_type: "client_credentials" }, basic("entra id", "wrong"), 401, "invalid_client"],
  [
    "Basic that is junk",
    { grant_type: "client_credentials" },
    { authorization: "Basic ?" },
    401,
    "invalid_client",
  ],
  [
    "Basic with bad escapes",
    { grant_type: "client_credentials" },
    { authorization: `Basic ${btoa("a:%zz")}` },
    401,
    "invalid_client",
  ],
  [
    "another scheme",
    { grant_type: "client_credentials" },
    { authorization: "Bearer x" },
    401,
    "invalid_client",
  ],
  ["both ways at once", good, basic("entra id", SECRETS.S1), 400, "invalid_request"],
  [
    "two identifiers",
    { grant_type: "client_credentials", client_id: "other" },
    basic("entra id", SECRETS.S1),
    400,
    "invalid_request",
  ],
  [
    "no grant type",
    { client_id: good.client_id, client_secret: good.client_secret },
    {},
    400,
    "invalid_request",
  ],
  ["another grant type", { ...good, grant_type: "password" }, {}, 400, "unsupported_grant_type"],
  ["a parameter twice", `${new URLSearchParams(good)}&client_id=x`, {}, 400, "invalid_request"],
  ["JSON", JSON.stringify(good), { "content-type": "application/json" }, 400, "invalid_request"],
  ["too much", `${new URLSearchParams(good)}&x=${"a".repeat(9000)}`, {}, 400, "invalid_request"],
  ["nothing", "", {}, 401, "invalid_client"],
])("%s is refused", async (_name, body, headers, status, code) => {
  const answer = await ask(body, headers);
  expect(answer.status).toBe(status);
  expect(JSON.parse(answer.body).error).toBe(code);
  expect(answer.headers["www-authenticate"] !== undefined).toBe(status === 401);
  expect(answer.body).not.toContain(SECRETS.S1);
});
