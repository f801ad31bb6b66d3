/** How a ledger proves itself, as the loader reads it: defaults that are safe, and refusals that name the key. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ConfigError, parseConfig } from "../../src/config/load.ts";
import { createSigner, generateKey } from "../../src/keys/signer.ts";
import { parsePublicJwk } from "../../src/ledger/key.ts";
import { formatVerifierKey, makeLogKey, makeWitnessKey } from "../../src/ledger/note/verifierKey.ts";

let directory: string;
let file: string;
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "scimseal-config-"));
  file = path.join(directory, "scimseal.yaml");
  for (const name of ["main.jwk", "main.token.key", "main.sealing.jwks"]) {
    await writeFile(path.join(directory, name), "{}", { mode: 0o600 });
  }
});
afterAll(() => rm(directory, { recursive: true }));

const SECRET = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
const ENVIRONMENT = {
  T: "canary-5f1c",
  HOOK: SECRET,
  SLACK: "https://hooks.example.com/services/canary-9a2b",
};

/** A file with these lines inside its ledger, and these at the end. */
function load(ledger = "", rest = "", environment: Record<string, string> = ENVIRONMENT) {
  const text = `ledgers:
  main:
    origin: scim.example.com/main
    signingKey: { file: main.jwk }
    pinnedKeys: [main.pub.jwk]
    tokenKey: { file: main.token.key }
    sealingKey: { file: main.sealing.jwks }
${ledger === "" ? "" : `    ${ledger}\n`}connectors:
  okta: { ledger: main, target: { url: "https://app.example.com/scim/v2", auth: { none: true } } }
${rest}
`;
  return parseConfig(text, file, { environment });
}

function problemsOf(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error("the configuration was accepted");
}

const publicKey = () => {
  const key = parsePublicJwk(createSigner(generateKey()).publicJwk);
  if (!key) throw new Error("no key");
  return key.bytes;
};
const witness = (name: string, key = publicKey()) => formatVerifierKey(makeWitnessKey(name, key));

test("what is not said is closed and careful", () => {
  const { ledgers, alarms } = load();
  expect(ledgers.main).toMatchObject({
    publish: { intervalMs: 1000, heartbeatMs: 60_000, tiles: "auditors", entries: "auditors" },
    anchors: { directories: [] },
    witnesses: { threshold: 0, list: [] },
    monitor: { onTamper: "refuse", entriesPerSecond: 500 },
  });
  expect(ledgers.main?.anchors.url).toBeUndefined();
  expect(alarms).toEqual({ webhooks: [] });
});

test("everything at once comes out whole: paths absolute, secrets wrapped", () => {
  const vkey = witness("w.example.org");
  const { ledgers, alarms } = load(
    `publish: { intervalMs: 2000, heartbeatMs: 2000, tiles: public }
    anchors: { directories: [copies, /mnt/share], url: { url: "https://a.example.net/main/", token: { env: T } } }
    witnesses: { threshold: 1, list: [{ vkey: "${vkey}", url: "http://localhost:9000/" }] }
    monitor: { onTamper: alarm, entriesPerSecond: 1 }`,
    `alarms:
  webhooks:
    - { url: "https://alarms.example.com/in", secret: { env: HOOK } }
    - { secretUrl: { env: SLACK }, secret: { env: HOOK }, format: slack }`,
  );
  const main = ledgers.main;
  expect(main?.publish).toEqual({
    intervalMs: 2000,
    heartbeatMs: 2000,
    tiles: "public",
    entries: "auditors",
  });
  expect(main?.anchors.directories).toEqual([path.join(directory, "copies"), "/mnt/share"]);
  expect(main?.anchors.url?.url).toBe("https://a.example.net/main");
  expect(main?.anchors.url?.token?.reveal()).toBe("canary-5f1c");
  expect(main?.witnesses).toEqual({ threshold: 1, list: [{ vkey, url: "http://localhost:9000" }] });
  expect(main?.monitor).toEqual({ onTamper: "alarm", entriesPerSecond: 1 });
  expect(alarms.webhooks.map(({ url, secret, format }) => [url.reveal(), secret.reveal(), format])).toEqual([
    ["https://alarms.example.com/in", SECRET, "standard"],
    [ENVIRONMENT.SLACK, SECRET, "slack"],
  ]);
  expect(JSON.stringify(alarms)).not.toMatch(/canary|whsec/);
});

const twin = publicKey();
test.each([
  [
    "more than one checkpoint a second",
    "publish: { intervalMs: 999 }",
    /publish\.intervalMs: must be 1000 or more/,
  ],
  [
    "a heartbeat below the interval",
    "publish: { intervalMs: 5000, heartbeatMs: 4000 }",
    /heartbeatMs: must not be below/,
  ],
  ["another audience", "publish: { tiles: everybody }", /tiles: must be one of: public, auditors/],
  ["an unknown key", "publish: { tile: public }", /did you mean tiles\?/],
  ["a directory twice", "anchors: { directories: [a, ./a] }", /names a directory twice/],
  ["the data directory's own anchors", "anchors: { directories: [data/anchors] }", /dataDir's own anchors/],
  [
    "an anchor in clear",
    "anchors: { url: { url: 'http://a.example.net/x' } }",
    /anchors\.url\.url: must be https/,
  ],
  [
    "an anchor at a metadata service",
    "anchors: { url: { url: 'https://169.254.169.254/x' } }",
    /refused as an address/,
  ],
  [
    "an inline token",
    "anchors: { url: { url: 'https://a.example.net', token: canary } }",
    /in clear, which is refused/,
  ],
  [
    "no key",
    "witnesses: { list: [{ vkey: nonsense, url: 'https://w.example.org' }] }",
    /list\[0\]\.vkey: is no verifier key/,
  ],
  [
    "the key of a log",
    `witnesses: { list: [{ vkey: "${formatVerifierKey(makeLogKey("l", publicKey()))}", url: 'https://w.example.org' }] }`,
    /vkey: is the key of a log/,
  ],
  ["more than there are", "witnesses: { threshold: 1 }", /witnesses: is not possible: the threshold 1/],
  [
    "one witness as two",
    `witnesses: { threshold: 2, list: [{ vkey: "${witness("a", twin)}", url: 'https://a.example.org' }, { vkey: "${witness("b", twin)}", url: 'https://b.example.org' }] }`,
    /has the key of another/,
  ],
  ["no pace", "monitor: { entriesPerSecond: 0 }", /entriesPerSecond: must be 1 or more/],
  ["another answer", "monitor: { onTamper: ignore }", /onTamper: must be one of: refuse, alarm/],
])("%s is refused", (_name, ledger, message) => {
  const found = problemsOf(() => load(ledger));
  expect(found).toMatch(message);
  expect(found).not.toContain("canary");
});

test.each([
  ["neither address", "{ secret: { env: HOOK } }", /must say either url or secretUrl/],
  [
    "both addresses",
    "{ url: 'https://a.example.com', secretUrl: { env: SLACK }, secret: { env: HOOK } }",
    /either url or/,
  ],
  ["no secret", "{ url: 'https://a.example.com' }", /webhooks\[0\]\.secret: is required/],
  [
    "a weak secret",
    "{ url: 'https://a.example.com', secret: { env: T } }",
    /must be whsec_ and 24 to 64 bytes/,
  ],
  ["an address in clear", "{ url: 'http://a.example.com', secret: { env: HOOK } }", /url: must be https/],
  [
    "a secret address that is none",
    "{ secretUrl: { env: T }, secret: { env: HOOK } }",
    /secretUrl: is not a URL/,
  ],
  [
    "another format",
    "{ url: 'https://a.example.com', secret: { env: HOOK }, format: teams }",
    /one of: standard, slack/,
  ],
])("a webhook with %s is refused", (_name, webhook, message) => {
  const found = problemsOf(() => load("", `alarms: { webhooks: [${webhook}] }`));
  expect(found).toMatch(message);
  expect(found).not.toMatch(/canary|whsec_Bw/);
});
