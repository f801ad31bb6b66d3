/** Authentication of clients against a real configuration, real JWKS servers and every JWT attack of case 91. */
import { createHmac } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { exportJWK, exportSPKI, generateKeyPair, importJWK, type JWTHeaderParameters, SignJWT } from "jose";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { AuditorAuthenticator } from "../../src/auth/auditors.ts";
import { ClientAuthenticator } from "../../src/auth/clients.ts";
import { addCredential } from "../../src/auth/credentialFile.ts";
import { CredentialStore } from "../../src/auth/credentialStore.ts";
import { parseConfig } from "../../src/config/load.ts";
import { createTokenKey } from "../../src/keys/tokenKey.ts";

const NOW_MS = Date.parse("2026-06-01T12:00:00Z");
const NOW_S = NOW_MS / 1000;
const log = { warn() {}, error() {} };
const rsa = await generateKeyPair("RS256", { extractable: true });
const stranger = await generateKeyPair("RS256", { extractable: true });
const publicJwk = { ...(await exportJWK(rsa.publicKey)), kid: "k1", alg: "RS256", use: "sig" };

let dataDir: string;
let server: http.Server;
let jwksUrl: string;
let fetches: number;
let answer: (response: http.ServerResponse) => void;
let store: CredentialStore;
let tokens: { okta: string; entra: string; gone: string; auditor: string };

const serveKeys =
  (...keys: object[]) =>
  (response: http.ServerResponse) =>
    response.end(JSON.stringify({ keys }));

beforeAll(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), "scimseal-clients-"));
  server = http.createServer((request, response) => {
    fetches++;
    if (request.url === "/evil") serveKeys({ ...publicJwk, kid: "evil" })(response);
    else answer(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`; // A TCP server's address is never a string.
  const mint = async (connector: string) =>
    (await addCredential(dataDir, { kind: "client", connector, name: `${connector}-1` }, new Date(NOW_MS)))
      .token;
  const auditor = await addCredential(dataDir, { kind: "auditor", ledgers: ["main"] }, new Date(NOW_MS));
  tokens = {
    okta: await mint("okta"),
    entra: await mint("entra"),
    gone: await mint("gone"),
    auditor: auditor.token,
  };
  store = new CredentialStore(dataDir, { log, now: () => NOW_MS });
});
afterAll(async () => {
  store.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(dataDir, { recursive: true });
});

let tickMs: number;
beforeEach(() => {
  fetches = 0;
  tickMs = 0;
  answer = serveKeys(publicJwk);
});

function authenticator(): ClientAuthenticator {
  const text = `
ledgers:
  main: { origin: o/main, signingKey: { file: k }, pinnedKeys: [p], tokenKey: { file: t }, sealingKey: { file: s } }
connectors:
  okta:
    ledger: main
    target: { url: "http://127.0.0.1:1", auth: { none: true } }
    clients:
      basic:
        - { name: basic-1, username: okta, password: { env: P1 } }
        - { name: basic-2, username: okta, password: { env: P2 } }
        - { name: basic-old, username: okta, password: { env: P3 }, expires: 2026-01-01T00:00:00Z }
        - { name: basic-next, username: okta, password: { env: P4 }, notBefore: 2027-01-01T00:00:00Z }
  entra:
    ledger: main
    target: { url: "http://127.0.0.1:1", auth: { none: true } }
    clients:
      basic: [{ name: shared, username: okta, password: { env: P1 } }]
      jwt:
        - { name: jwt-1, issuer: "https://issuer.example", audience: scim, jwksUrl: "${jwksUrl}", typ: at+jwt, requiredClaims: { tid: tenant-1 } }
`;
  const environment = { P1: "pass:wörd-1", P2: "password-2", P3: "password-3", P4: "password-4" };
  const config = parseConfig(text, "/nowhere/scimseal.yaml", {
    environment: { ...environment },
    secrets: "deferred",
  });
  return new ClientAuthenticator(config, {
    log,
    credentials: store,
    keyOfLedger: () => createTokenKey(new Uint8Array(32), "o/main"),
    now: () => NOW_MS,
    jwks: { monotonic: () => tickMs },
  });
}

const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;

test("a minted token opens its connector: Bearer in any case, or bare as Okta sends it", async () => {
  const auth = authenticator();
  for (const scheme of ["Bearer ", "bearer ", "BEARER ", "Bearer   ", ""]) {
    const identity = await auth.authenticate(scheme + tokens.okta);
    expect(identity).toEqual({ client: "okta-1", method: "bearer", connectors: new Set(["okta"]) });
  }
  expect((await auth.authenticate(`Bearer ${tokens.entra}`))?.connectors).toEqual(new Set(["entra"]));
});

test.each([
  ["nothing", () => undefined],
  ["an empty header", () => ""],
  ["another scheme", () => `Token ${tokens.okta}`],
  ["two tokens", () => `Bearer ${tokens.okta} ${tokens.okta}`],
  ["two values", () => `Bearer ${tokens.okta}, Bearer ${tokens.okta}`],
  ["an auditor's token", () => `Bearer ${tokens.auditor}`],
  ["a token of a connector that is no more", () => `Bearer ${tokens.gone}`],
  ["a token cut short", () => `Bearer ${tokens.okta.slice(0, -1)}`],
  ["something bare that is no token", () => "secret"],
  ["a huge header", () => `Bearer ${"a".repeat(100_000)}`],
  ["Basic that is not base64", () => "Basic ???"],
  ["Basic without a colon", () => basic("okta")],
])("%s is nobody", async (_name, header) => {
  expect(await authenticator().authenticate(header())).toBeUndefined();
});

test("Basic: two passwords for one user, colons and umlauts, and one identity over all connectors", async () => {
  const auth = authenticator();
  expect(await auth.authenticate(basic("okta:pass:wörd-1"))).toEqual({
    client: "basic-1",
    method: "basic",
    connectors: new Set(["okta", "entra"]),
  });
  expect(await auth.authenticate(basic("okta:password-2").replace("Basic", "bASIC"))).toMatchObject({
    client: "basic-2",
  });
});

test.each([
  "okta:wrong",
  "okta:",
  ":password-2",
  "Okta:password-2",
  "nobody:password-2",
  "okta:password-3",
  "okta:password-4",
  "okta:password-2 ",
])("Basic %j is nobody", async (text) => {
  expect(await authenticator().authenticate(basic(text))).toBeUndefined();
});

interface Shape {
  header?: Partial<JWTHeaderParameters>;
  claims?: Record<string, unknown>;
  key?: Parameters<SignJWT["sign"]>[0];
}
function sign({ header, claims, key = rsa.privateKey }: Shape = {}): Promise<string> {
  return new SignJWT({
    iss: "https://issuer.example",
    aud: "scim",
    exp: NOW_S + 300,
    tid: "tenant-1",
    ...claims,
  })
    .setProtectedHeader({ alg: "RS256", kid: "k1", typ: "at+jwt", ...header })
    .sign(key);
}
const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

test("a good JWT opens its connector, and keys are fetched once for many", async () => {
  const auth = authenticator();
  const token = `Bearer ${await sign()}`;
  const identities = await Promise.all(Array.from({ length: 20 }, () => auth.authenticate(token)));
  for (const identity of identities) {
    expect(identity).toEqual({ client: "jwt-1", method: "jwt", connectors: new Set(["entra"]) });
  }
  expect(fetches).toBe(1);
  expect(
    await auth.authenticate(`Bearer ${await sign({ claims: { aud: ["other", "scim"] } })}`),
  ).toBeDefined();
});

const claims = { iss: "https://issuer.example", aud: "scim", exp: NOW_S + 300, tid: "tenant-1" };
const attacks: [string, () => Promise<string> | string][] = [
  ["alg none", () => `${encode({ alg: "none", typ: "at+jwt" })}.${encode(claims)}.`],
  [
    "alg none with a signature",
    async () => `${encode({ alg: "none", typ: "at+jwt" })}.${encode(claims)}.${(await sign()).split(".")[2]}`,
  ],
  [
    "HS256 with the RSA public key as secret",
    async () => {
      const input = `${encode({ alg: "HS256", kid: "k1", typ: "at+jwt" })}.${encode(claims)}`;
      const mac = createHmac("sha256", await exportSPKI(rsa.publicKey))
        .update(input)
        .digest("base64url");
      return `${input}.${mac}`;
    },
  ],
  ["another key", () => sign({ key: stranger.privateKey })],
  [
    "a changed payload",
    async () => (await sign()).replace(/\.[^.]+\./, `.${encode({ ...claims, sub: "admin" })}.`),
  ],
  ["a wrong audience", () => sign({ claims: { aud: "other" } })],
  ["no audience", () => sign({ claims: { aud: undefined } })],
  ["a wrong issuer", () => sign({ claims: { iss: "https://evil.example" } })],
  ["no issuer", () => sign({ claims: { iss: undefined } })],
  ["a wrong typ", () => sign({ header: { typ: "JWT" } })],
  ["expired", () => sign({ claims: { exp: NOW_S - 61 } })],
  ["no end", () => sign({ claims: { exp: undefined } })],
  ["not yet valid", () => sign({ claims: { nbf: NOW_S + 61 } })],
  ["a wrong tenant", () => sign({ claims: { tid: "tenant-2" } })],
  ["no tenant", () => sign({ claims: { tid: undefined } })],
  [
    "jku",
    () => sign({ header: { jku: jwksUrl.replace("jwks", "evil"), kid: "evil" }, key: stranger.privateKey }),
  ],
  ["jku with the right key", () => sign({ header: { jku: jwksUrl } })],
  [
    "jwk",
    async () => sign({ header: { jwk: await exportJWK(stranger.publicKey) }, key: stranger.privateKey }),
  ],
  ["jwk with the right key", async () => sign({ header: { jwk: await exportJWK(rsa.publicKey) } })],
  ["x5u", () => sign({ header: { x5u: jwksUrl } })],
  [
    "a kid that climbs",
    () =>
      sign({ header: { kid: "../../../../dev/null" }, key: new Uint8Array(32) }).catch(
        () =>
          `${encode({ alg: "RS256", kid: "../../../../dev/null", typ: "at+jwt" })}.${encode(claims)}.AAAA`,
      ),
  ],
  ["a kid for SQL", () => sign({ header: { kid: "k1' OR '1'='1" } })],
  [
    "an unknown crit",
    () =>
      `${encode({ alg: "RS256", kid: "k1", typ: "at+jwt", crit: ["exp"], exp: 1 })}.${encode(claims)}.AAAA`,
  ],
  ["an encrypted one", () => "e30.e30.e30.e30.e30"],
  ["no JSON", () => "AAAA.AAAA.AAAA"],
  ["nothing between dots", () => ".."],
  [
    "our own issuer with a made-up key",
    () =>
      sign({
        header: { alg: "HS256" },
        claims: { iss: "urn:scimseal:token", client_id: "x" },
        key: new Uint8Array(32),
      }),
  ],
];
test.each(attacks)("a JWT with %s is nobody (case 91)", async (_name, make) => {
  const auth = authenticator();
  expect(await auth.authenticate(`Bearer ${await make()}`)).toBeUndefined();
  // The same authenticator still knows a good one: the attack has poisoned nothing.
  expect(await auth.authenticate(`Bearer ${await sign()}`)).toBeDefined();
});

test("a true signature by the issuer's key under an algorithm that is not configured is nobody's", async () => {
  const { kid, kty, n, e } = { ...publicJwk };
  answer = serveKeys({ kid, kty, n, e });
  const auth = authenticator();
  const key = await importJWK(await exportJWK(rsa.privateKey), "PS256");
  expect(await auth.authenticate(`Bearer ${await sign({ header: { alg: "PS256" }, key })}`)).toBeUndefined();
  expect(await auth.authenticate(`Bearer ${await sign()}`)).toBeDefined();
});

test("a key the issuer has just begun to use is fetched, after a pause, and the old one goes with the issuer's list", async () => {
  const auth = authenticator();
  const next = await generateKeyPair("RS256", { extractable: true });
  const old = `Bearer ${await sign()}`;
  const fresh = `Bearer ${await sign({ header: { kid: "k2" }, key: next.privateKey })}`;
  expect(await auth.authenticate(old)).toBeDefined();
  answer = serveKeys({ ...(await exportJWK(next.publicKey)), kid: "k2" });
  expect(await auth.authenticate(fresh)).toBeUndefined();
  tickMs += 30_000;
  expect(await auth.authenticate(fresh)).toBeDefined();
  expect(await auth.authenticate(old)).toBeUndefined();
  expect(fetches).toBe(2);
});

test("a flood of unknown key ids makes one fetch in 30 s", async () => {
  const auth = authenticator();
  await auth.authenticate(`Bearer ${await sign()}`);
  for (let i = 0; i < 50; i++) await auth.authenticate(`Bearer ${await sign({ header: { kid: `x${i}` } })}`);
  expect(fetches).toBe(1);
  tickMs += 30_000;
  for (let i = 0; i < 50; i++) await auth.authenticate(`Bearer ${await sign({ header: { kid: `x${i}` } })}`);
  expect(fetches).toBe(2);
});

test.each<[string, (response: http.ServerResponse) => void]>([
  ["500", (response) => response.writeHead(500).end("{}")],
  ["a redirect", (response) => response.writeHead(302, { location: "/evil" }).end()],
  ["no JSON", (response) => response.end("<html>")],
  ["no keys", (response) => response.end("{}")],
  ["too much", (response) => response.end(JSON.stringify({ keys: [publicJwk], pad: "x".repeat(300_000) }))],
  ["a reset", (response) => response.socket?.destroy()],
  [
    "half an answer",
    (response) =>
      response.writeHead(200, { "content-length": "1000" }).write("{", () => response.socket?.destroy()),
  ],
  ["a symmetric key", serveKeys({ kty: "oct", k: "AAAA", kid: "k1", alg: "RS256" })],
])("keys answered with %s: nobody, one fetch for many tokens, and good again later", async (_name, bad) => {
  answer = bad;
  const auth = authenticator();
  const token = `Bearer ${await sign()}`;
  for (let i = 0; i < 5; i++) expect(await auth.authenticate(token)).toBeUndefined();
  expect(fetches).toBe(1);
  answer = serveKeys(publicJwk);
  tickMs += 30_000;
  expect(await auth.authenticate(token)).toBeDefined();
});

test("an issuer that never answers is given up after three seconds", async () => {
  answer = () => undefined;
  const start = performance.now();
  expect(await authenticator().authenticate(`Bearer ${await sign()}`)).toBeUndefined();
  expect(performance.now() - start).toBeLessThan(4500);
});

test("while the issuer is away, keys at hand serve for a day", async () => {
  const auth = authenticator();
  const token = `Bearer ${await sign()}`;
  expect(await auth.authenticate(token)).toBeDefined();
  answer = (response) => response.writeHead(503).end();
  tickMs += 12 * 3_600_000;
  expect(await auth.authenticate(token)).toBeDefined();
  tickMs += 13 * 3_600_000;
  expect(await auth.authenticate(token)).toBeUndefined();
});

test("auditors: their own tokens, their own ledgers, nothing else", () => {
  const auditors = new AuditorAuthenticator(store);
  expect(auditors.authenticate(`Bearer ${tokens.auditor}`)?.ledgers).toEqual(new Set(["main"]));
  expect(auditors.authenticate(`Bearer ${tokens.okta}`)).toBeUndefined();
  expect(auditors.authenticate(basic("okta:password-2"))).toBeUndefined();
  expect(auditors.authenticate(undefined)).toBeUndefined();
});
