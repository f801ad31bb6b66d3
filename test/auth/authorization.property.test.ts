/** Whatever stands in an Authorization header, it is read or it is nobody: nothing throws. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { parseAuthorization } from "../../src/auth/authorization.ts";
import { ClientAuthenticator } from "../../src/auth/clients.ts";
import { CredentialStore } from "../../src/auth/credentialStore.ts";
import { parseConfig } from "../../src/config/load.ts";
import { createTokenKey } from "../../src/keys/tokenKey.ts";

const dataDir = mkdtempSync(path.join(tmpdir(), "scimseal-property-"));
afterAll(() => rmSync(dataDir, { recursive: true }));

const log = { warn() {}, error() {} };
const config = parseConfig(
  `
ledgers: { main: { origin: o, signingKey: { file: k }, pinnedKeys: [p], tokenKey: { file: t }, sealingKey: { file: s } } }
connectors:
  okta:
    ledger: main
    target: { url: "http://127.0.0.1:1", auth: { none: true } }
    clients:
      basic: [{ name: basic, username: user, password: { env: SECRET } }]
      oauth: [{ name: oauth, clientId: client, clientSecret: { env: SECRET } }]
      jwt: [{ name: jwt, issuer: issuer, audience: scim, jwksUrl: "http://127.0.0.1:1/" }]
`,
  "/nowhere/x.yaml",
  { environment: { SECRET: "a secret of some length" }, secrets: "deferred" },
);
const authenticator = new ClientAuthenticator(config, {
  log,
  credentials: new CredentialStore(dataDir, { log }),
  keyOfLedger: () => createTokenKey(new Uint8Array(32), "o"),
});

const segment = fc.oneof(
  fc.string().map((text) => Buffer.from(text).toString("base64url")),
  fc.json().map((text) => Buffer.from(text).toString("base64url")),
  fc
    .record(
      {
        alg: fc.constantFrom("none", "HS256", "RS256", "EdDSA"),
        typ: fc.string(),
        iss: fc.constantFrom("issuer", "urn:scimseal:token"),
        client_id: fc.constant("client"),
        kid: fc.anything(),
      },
      { requiredKeys: [] },
    )
    .map((value) => Buffer.from(JSON.stringify(value)).toString("base64url")),
);
const header = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: "binary" }).map((text) => `Bearer ${text}`),
  fc.string({ unit: "binary" }).map((text) => `Basic ${text}`),
  fc.string({ unit: "binary" }).map((text) => `Basic ${Buffer.from(text).toString("base64")}`),
  fc.array(segment, { minLength: 2, maxLength: 5 }).map((parts) => `Bearer ${parts.join(".")}`),
);

test("no header throws, and none that was made up is somebody", async () => {
  await fc.assert(
    fc.asyncProperty(header, async (value) => {
      expect(await authenticator.authenticate(value)).toBeUndefined();
    }),
    { numRuns: 1000 },
  );
});

test("every user and password comes back out of Basic as it went in", () => {
  const text = fc.string({ unit: "grapheme" });
  fc.assert(
    fc.property(
      text.filter((user) => !user.includes(":")),
      text,
      (username, password) => {
        const encoded = Buffer.from(`${username}:${password}`).toString("base64");
        expect(parseAuthorization(`Basic ${encoded}`)).toEqual({ scheme: "basic", username, password });
      },
    ),
  );
});
