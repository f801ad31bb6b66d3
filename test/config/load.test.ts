/** The loader, on texts and real files: every refusal names key, line and remedy, and never repeats a value. */
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { inspect } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ConfigError, loadConfig, parseConfig } from "../../src/config/load.ts";
import { Secret } from "../../src/config/secret.ts";
import { schemaOf } from "../../src/storage/schema.ts";

let directory: string;
let file: string;
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "scimseal-config-"));
  file = path.join(directory, "scimseal.yaml");
  await mkdir(path.join(directory, "keys"));
  for (const name of ["keys/main.jwk", "keys/main.token.key", "keys/main.sealing.jwks"]) {
    await writeFile(path.join(directory, name), "{}", { mode: 0o600 });
  }
  await writeFile(path.join(directory, "secret"), "from a file\n", { mode: 0o600 });
});
afterAll(() => rm(directory, { recursive: true }));

const MINIMAL = `publicUrl: https://scim.example.com/
ledgers:
  main:
    origin: scim.example.com/main
    signingKey: { file: keys/main.jwk }
    pinnedKeys: [keys/main.pub.jwk]
    tokenKey: { file: keys/main.token.key }
    sealingKey: { file: keys/main.sealing.jwks }
connectors:
  okta:
    ledger: main
    target:
      url: https://app.example.com/scim/v2/
      auth: { bearer: { env: TARGET_TOKEN } }
`;
const ENVIRONMENT = { TARGET_TOKEN: "canary-5f1c" };

function load(text: string, environment: Record<string, string> = ENVIRONMENT) {
  return parseConfig(text, file, { environment });
}

function problems(text: string, environment: Record<string, string> = ENVIRONMENT): string[] {
  try {
    load(text, environment);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message.split("\n").map((line) => line.replace(file, "F"));
  }
  throw new Error("the configuration was accepted");
}

test("a short file comes out whole: defaults, absolute paths, wrapped secrets", () => {
  const config = load(MINIMAL);
  expect(config).toMatchObject({
    file,
    dataDir: path.join(directory, "data"),
    publicUrl: "https://scim.example.com",
    scim: { listen: { host: "127.0.0.1", port: 8080 }, trustedProxies: [], limits: { bodyBytes: 1_048_576 } },
    admin: { listen: { host: "127.0.0.1", port: 8081 } },
    database: { kind: "embedded", port: 0 },
    appendDeadlineMs: 2000,
    failClosed: { status: 503, retryAfterSeconds: 5 },
    log: { level: "info", format: "auto" },
  });
  expect(config.ledgers.main?.signingKey.file).toBe(path.join(directory, "keys/main.jwk"));
  const okta = config.connectors.okta;
  expect(okta).toMatchObject({ idp: "other", ids: "opaque", redact: [], auditReads: false });
  expect(okta?.clients).toEqual({ basic: [], jwt: [], oauth: [] });
  expect(okta?.target).toMatchObject({ url: "https://app.example.com/scim/v2", timeoutMs: 50_000 });
  if (okta?.target.auth.kind !== "bearer") throw new Error("not bearer");
  expect(okta.target.auth.token.reveal()).toBe("canary-5f1c");
});

test("a ledger's name is as long as a PostgreSQL schema can be called, a connector's as a host name's part", () => {
  const longest = "x".repeat(56);
  const called = (name: string) =>
    MINIMAL.replace("  main:", `  ${name}:`).replace("ledger: main", `ledger: ${name}`);
  expect(Object.keys(load(called(longest)).ledgers)).toEqual([longest]);
  expect(schemaOf(longest)).toBe(`"ledger_${longest}"`);
  for (const name of [`${longest}x`, "-x", "x-", "x_y", "X"]) {
    expect(problems(called(name)).join()).toMatch(/F:3: ledgers.*at most 56 characters/);
    expect(() => schemaOf(name)).toThrow("at most 56 characters");
  }
  expect(Object.keys(load(MINIMAL.replace("  okta:", `  ${"x".repeat(63)}:`)).connectors)).toHaveLength(1);
});

test("names from a request find nothing on a prototype", () => {
  const { connectors, ledgers } = load(MINIMAL);
  for (const name of ["constructor", "__proto__", "toString", "hasOwnProperty"]) {
    expect(connectors[name]).toBeUndefined();
    expect(ledgers[name]).toBeUndefined();
  }
});

test("a secret shows in no printed form", () => {
  const config = load(MINIMAL);
  const secret = new Secret("canary-5f1c");
  const printed = [
    inspect(config, { depth: 20, showHidden: true }),
    JSON.stringify(config),
    `${secret}`,
    inspect(secret, { showHidden: true }),
  ];
  expect(printed.join("\n")).not.toContain("canary-5f1c");
});

test("a secret comes from a file, without its last line break", () => {
  const { connectors } = load(MINIMAL.replace("{ env: TARGET_TOKEN }", "{ file: secret }"));
  const auth = connectors.okta?.target.auth;
  expect(auth?.kind === "bearer" && auth.token.reveal()).toBe("from a file");
});

test("an inline secret is refused without being repeated", () => {
  const found = problems(MINIMAL.replace("{ env: TARGET_TOKEN }", "hunter2-canary"));
  expect(found).toHaveLength(1);
  expect(found[0]).toMatch(/^F:14: connectors\.okta\.target\.auth\.bearer: .*in clear.*\{ env: NAME \}/);
  expect(found[0]).not.toContain("hunter2");
});

test.each([
  ["unset variable", "{ env: NOWHERE }", /NOWHERE is not set/],
  ["missing file", "{ file: nowhere }", /nowhere cannot be read \(ENOENT\)/],
  ["both", "{ env: TARGET_TOKEN, file: secret }", /either env or file/],
  ["neither", "{}", /either env or file/],
  ["a stray key", "{ environment: X }", /environment: is not a key; known here: env, file/],
])("a secret that names %s is refused", (_name, reference, message) => {
  expect(problems(MINIMAL.replace("{ env: TARGET_TOKEN }", reference)).join()).toMatch(message);
});

test("a secret with a line break inside would end a header, and is refused", () => {
  expect(problems(MINIMAL, { TARGET_TOKEN: "a\r\nEvil: 1" }).join()).toMatch(/line break/);
});

test("deferred secrets throw only when they are revealed", () => {
  const config = parseConfig(MINIMAL, file, { environment: {}, secrets: "deferred" });
  const auth = config.connectors.okta?.target.auth;
  expect(() => auth?.kind === "bearer" && auth.token.reveal()).toThrow(/TARGET_TOKEN is not set/);
});

test.each([
  ["abc", /must be a number, and is text/],
  [".nan", /must be a number/],
  ["-1", /must be 1024 or more/],
  ["1.5e3.2", /must be a number/],
  ["1048576.5", /number/],
  [".inf", /number/],
  ["", /must be a number, and is empty/],
  ["99999999999", /must be 67108864 or less/],
])("the limit %j is refused with its line (case 28)", (value, message) => {
  const found = problems(`${MINIMAL}scim:\n  limits:\n    bodyBytes: ${value}\n`);
  for (const problem of found) expect(problem).toMatch(/^F:17: scim\.limits\.bodyBytes: /);
  expect(found[0]).toMatch(message);
});

test.each([
  ["databse: {}", "F:15: databse: is not a key; did you mean database?"],
  ["scim: { lisen: {} }", "F:15: scim.lisen: is not a key; did you mean listen?"],
  ["admin: { limits: {} }", "F:15: admin.limits: is not a key; known here: listen, tls, publicUrl"],
])("the unknown key of %j is named with its line and the nearest key", (line, message) => {
  expect(problems(`${MINIMAL}${line}\n`)).toEqual([message]);
});

test("all problems of a pass come at once, in the order of the file", () => {
  const text = MINIMAL.replace("ledger: main", "ledgr: main").replace("https://app", "ftp://app");
  const lines = problems(`${text}log: { level: loud }\n`).map((line) => Number(line.split(":")[1]));
  expect(lines.length).toBeGreaterThanOrEqual(4);
  expect(lines).toEqual(lines.toSorted((a, b) => a - b));
});

test.each([
  [
    "no ledger",
    MINIMAL.replace(/ledgers:[\s\S]*?connectors:/, "connectors:"),
    /No ledger configured: name at least one/,
  ],
  ["no connector", MINIMAL.replace(/connectors:[\s\S]*/, ""), /No connector configured/],
  [
    "a ledger that is not there",
    MINIMAL.replace("ledger: main", "ledger: mian"),
    /F:11: .*No ledger configured: "mian"/,
  ],
  ["nothing", "", /No ledger configured/],
  ["a list", "- a", /must be a mapping/],
  ["broken YAML", "a: [", /F:1: is not valid YAML/],
  ["a key twice", `${MINIMAL}publicUrl: https://b.example.com\n`, /F:15: is not valid YAML/],
  ["a reserved name", MINIMAL.replace("okta:", "oauth2:"), /path of the listener's own/],
  ["a bad name", MINIMAL.replace("okta:", "Okta_1:"), /F:10: .*lower-case/],
  [
    "a ledger without a sealing key",
    MINIMAL.replace(/ {4}sealingKey.*\n/, ""),
    /F:3: ledgers\.main\.sealingKey: is required: .*scimseal keys sealing --out FILE/,
  ],
  ["a missing key", MINIMAL.replace(/ {4}tokenKey.*\n/, ""), /F:3: ledgers\.main\.tokenKey: is required/],
  ["no pinned key", MINIMAL.replace("[keys/main.pub.jwk]", "[]"), /names no key/],
  ["one address twice", `${MINIMAL}admin: { listen: { port: 8080 } }\n`, /must not share an address/],
  [
    "two kinds of auth",
    MINIMAL.replace("{ bearer:", "{ none: true, bearer:"),
    /exactly one of bearer, basic/,
  ],
  ["no auth", MINIMAL.replace("{ bearer: { env: TARGET_TOKEN } }", "{}"), /exactly one of bearer, basic/],
  ["an origin with a space", MINIMAL.replace("scim.example.com/main", "a b"), /neither spaces nor plus/],
  [
    "embedded and url",
    `${MINIMAL}database: { embedded: {}, url: { env: TARGET_TOKEN } }\n`,
    /PostgreSQL URL/,
  ],
  [
    "a URL that is no database",
    `${MINIMAL}database: { url: { env: TARGET_TOKEN } }\n`,
    /not a PostgreSQL URL/,
  ],
  ["database {}", `${MINIMAL}database: {}\n`, /says neither embedded nor url/],
  [
    "a bad network",
    `${MINIMAL}scim: { trustedProxies: [10.0.0.0/33] }\n`,
    /neither an address nor a network/,
  ],
  [
    "a limit above another",
    `${MINIMAL}scim: { limits: { bodyBytes: 9000000 } }\n`,
    /must not be above bulkBytes/,
  ],
  ["status 500", `${MINIMAL}failClosed: { status: 500 }\n`, /must be one of: 503, 429/],
  ["a URL with a password", MINIMAL.replace("//app", "//u:hunter2@app"), /credentials, which are refused/],
  ["a URL with a query", MINIMAL.replace("/scim/v2/", "/scim?x=1"), /no query/],
])("%s is refused", (_name, text, message) => {
  const found = problems(text).join("\n");
  expect(found).toMatch(message);
  expect(found).not.toContain("hunter2");
});

test.each([
  "169.254.169.254",
  "[::ffff:a9fe:a9fe]",
  "2852039166",
  "0xA9FEA9FE",
  "0251.0376.0251.0376",
  "0.0.0.0",
  "[fd00:ec2::254]",
  "[fe80::1]",
])("the target address %s is refused (case 93)", (host) => {
  const [found] = problems(MINIMAL.replace("app.example.com", host));
  expect(found).toMatch(/^F:13: connectors\.okta\.target\.url: .*refused as an address/);
});

test.each(["127.0.0.1:8080", "10.1.2.3", "[::1]:8080", "192.168.0.9"])(
  "the target address %s is allowed",
  (host) => {
    expect(load(MINIMAL.replace("app.example.com", host)).connectors.okta?.target.url).toContain(host);
  },
);

test.each([
  ["http://keys.example.com/jwks", /must be https/],
  ["https://169.254.169.254/jwks", /refused as an address/],
])("the key URL %s is refused", (url, message) => {
  const jwt = `    clients: { jwt: [{ name: a, issuer: i, audience: b, jwksUrl: "${url}" }] }\n`;
  expect(problems(MINIMAL + jwt).join()).toMatch(message);
});

test("variables override scalar keys, and a database URL from there replaces the embedded one", () => {
  const config = load(`${MINIMAL}database: { embedded: { port: 1 } }\n`, {
    ...ENVIRONMENT,
    SCIMSEAL_SCIM_LISTEN_PORT: "0",
    SCIMSEAL_DATABASE_URL: "postgresql://u:p@db/scimseal",
    SCIMSEAL_APPEND_DEADLINE_MS: "500",
    SCIMSEAL_FAIL_CLOSED_STATUS: "429",
    SCIMSEAL_DATA_DIR: "elsewhere",
    SCIMSEAL_PORT: "tcp://10.0.0.1:80",
  });
  expect(config.scim.listen.port).toBe(0);
  expect(config.appendDeadlineMs).toBe(500);
  expect(config.failClosed.status).toBe(429);
  expect(config.dataDir).toBe(path.join(directory, "elsewhere"));
  if (config.database.kind !== "external") throw new Error("not external");
  expect(config.database.url.reveal()).toBe("postgresql://u:p@db/scimseal");
});

test("a bad override is named by its variable, and so is one that nearly matches", () => {
  expect(problems(MINIMAL, { ...ENVIRONMENT, SCIMSEAL_SCIM_LISTEN_PORT: "abc" })).toEqual([
    "F: scim.listen.port: must be a number, and is text (set by SCIMSEAL_SCIM_LISTEN_PORT)",
  ]);
  expect(problems(MINIMAL, { ...ENVIRONMENT, SCIMSEAL_SCIM_LISTEN_PROT: "1" })).toEqual([
    "F: the environment sets SCIMSEAL_SCIM_LISTEN_PROT, which is no key; did you mean SCIMSEAL_SCIM_LISTEN_PORT?",
  ]);
});

test("a key file that others can read stops the start, naming chmod (case 96)", async () => {
  await writeFile(file, MINIMAL);
  const key = path.join(directory, "keys/main.jwk");
  await chmod(key, 0o644);
  const open = loadConfig(file, { environment: ENVIRONMENT });
  await expect(open).rejects.toThrow(
    /scimseal\.yaml:5: ledgers\.main\.signingKey\.file: .*mode 0644.*chmod 600/,
  );
  await chmod(key, 0o600);
  await expect(loadConfig(file, { environment: ENVIRONMENT })).resolves.toMatchObject({ file });
});

test("a missing configuration says how to name or make one", async () => {
  await expect(loadConfig(path.join(directory, "none.yaml"))).rejects.toThrow(
    /ENOENT.*--config FILE.*scimseal init/,
  );
});
