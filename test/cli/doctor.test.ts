/** `scimseal doctor` against real files and real servers: what is wrong is found, named, and comes with a remedy. */
import { chmod, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Check, errorText, judgeCertificate } from "../../src/cli/doctor/check.ts";
import { checkNode, formatChecks, registerDoctor, runDoctor } from "../../src/cli/doctor/doctor.ts";
import { createSetup } from "../../src/cli/setup/setup.ts";
import { commandName } from "../../src/config/commandName.ts";
import { saveKey } from "../../src/keys/keyFile.ts";
import { formatPrivateJwk, generateKey } from "../../src/keys/signer.ts";
import { runCommand } from "./run.ts";

let base: string;
let config: string;
let server: http.Server;
let seen: http.IncomingMessage[];
let answer: (request: http.IncomingMessage, response: http.ServerResponse) => unknown;
beforeEach(async () => {
  base = await mkdtemp(path.join(tmpdir(), "scimseal-doctor-"));
  seen = [];
  answer = (_request, response) => response.end("{}");
  server = http.createServer((request, response) => {
    seen.push(request);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  await writeFile(path.join(base, "secret"), "target-secret\n", { mode: 0o600 });
  const setup = await createSetup({
    dir: path.join(base, "i"),
    connector: "okta",
    idp: "okta",
    publicUrl: "https://scim.example.com",
    targetUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/scim/v2`, // A TCP server's address is never a string.
    targetAuth: { kind: "bearer", secret: { file: path.join(base, "secret") } },
  });
  config = setup.configFile;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(base, { recursive: true });
});

const run = () => runDoctor(config, async () => [{ name: "database", status: "ok", detail: "durable" }]);
const bad = (checks: Check[]) => checks.filter(({ status }) => status !== "ok");

test("a fresh installation with a living target is well, and the target saw one authenticated read", async () => {
  const checks = await run();
  expect(bad(checks)).toEqual([]);
  expect(checks.map(({ name }) => name)).toContain("database");
  expect(seen.map(({ method, url }) => `${method} ${url}`)).toEqual(["GET /scim/v2/ServiceProviderConfig"]);
  expect(seen[0]?.headers.authorization).toBe("Bearer target-secret");
});

test.each([
  [401, "fail", /refuses the credential/],
  [500, "fail", /target is not well/],
  [404, "warn", /SCIM base URL/],
  [302, "warn", /SCIM base URL/],
] as const)("a target that answers %d is a %s", async (status, verdict, remedy) => {
  answer = (_request, response) => response.writeHead(status, { location: "/elsewhere" }).end();
  const [check] = bad(await run());
  expect(check).toMatchObject({
    name: "connector okta: target",
    status: verdict,
    remedy: expect.stringMatching(remedy),
  });
  expect(seen).toHaveLength(1);
});

test("a public URL that no identity provider would call is a warning", async () => {
  const text = await readFile(config, "utf8");
  const withUrl = (url: string) => writeFile(config, text.replace("https://scim.example.com", url));
  await withUrl("http://scim.example.com");
  expect(bad(await run())).toEqual([
    {
      name: "public URL",
      status: "warn",
      detail: expect.stringContaining("http://scim.example.com is not https"),
      remedy: expect.stringContaining("scim.tls"),
    },
  ]);
  await withUrl("http://127.0.0.1:8080");
  expect(bad(await run())).toEqual([]);
});

test("a target whose clock is wrong is a warning", async () => {
  answer = (_request, response) =>
    response.writeHead(200, { date: new Date(Date.now() - 3_600_000).toUTCString() }).end();
  expect(bad(await run())).toEqual([
    expect.objectContaining({
      name: "connector okta: target clock",
      status: "warn",
      detail: expect.stringMatching(/3600 s behind|3601 s behind/),
    }),
  ]);
});

test("a target that is not there is a failure with the reason", async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  expect(bad(await run())).toEqual([
    expect.objectContaining({ status: "fail", detail: expect.stringContaining("ECONNREFUSED") }),
  ]);
  server = http.createServer().listen(0, "127.0.0.1");
});

test("open key files and directories are failures, and the other checks still run", async () => {
  await chmod(path.join(base, "i/keys/main.jwk"), 0o644);
  await chmod(path.join(base, "i/data"), 0o755);
  const checks = await run();
  const remedies = bad(checks).map(({ name, detail, remedy }) => `${name}: ${detail} ${remedy}`);
  expect(
    remedies.some((text) => /configuration: ledgers\.main\.signingKey\.file.*chmod 600/.test(text)),
  ).toBe(true);
  expect(remedies.some((text) => /ledger main: signing key.*chmod 600/.test(text))).toBe(true);
  expect(remedies.some((text) => /data directory.*0755.*chmod 700/.test(text))).toBe(true);
  expect(seen).toHaveLength(1);
});

test("a missing secret is named, and does not keep the other checks from running", async () => {
  await rm(path.join(base, "secret"));
  const names = bad(await run()).map(({ name }) => name);
  expect(names).toEqual(["configuration", "connector okta: target"]);
});

test("a configuration that cannot be read ends it there, with every problem", async () => {
  await writeFile(config, "databse: {}\n");
  const checks = await run();
  expect(bad(checks).map(({ detail }) => detail)).toEqual(
    expect.arrayContaining([
      expect.stringContaining("did you mean database?"),
      expect.stringContaining("No ledger configured"),
    ]),
  );
  expect(seen).toEqual([]);
});

test("credentials: none for a connector, and one that is about to end", async () => {
  await rm(path.join(base, "i/data/credentials.json"));
  expect(bad(await run())).toEqual([
    expect.objectContaining({
      name: "connector okta",
      remedy: `${commandName()} token mint --config ${config} --connector okta`,
    }),
  ]);
});

test("a credential for the target is asked for as the proxy asks for it: by Basic (RFC 6749 §2.3.1)", async () => {
  const { port } = server.address() as AddressInfo;
  const text = await readFile(config, "utf8");
  const oauth = `{ oauth: { tokenUrl: "http://127.0.0.1:${port}/token", clientId: "a b", clientSecret: { file: ${JSON.stringify(path.join(base, "secret"))} }, scope: s } }`;
  await writeFile(config, text.replace(/auth: .*/, `auth: ${oauth}`));
  let form = "";
  answer = (request, response) => {
    if (request.url !== "/token") return response.end("{}");
    request.on("data", (chunk) => {
      form += chunk;
    });
    return request.on("end", () => {
      const asked = request.headers.authorization === `Basic ${btoa("a%20b:target-secret")}`;
      response.writeHead(asked ? 200 : 401).end(JSON.stringify({ access_token: "granted" }));
    });
  };
  expect(bad(await run())).toEqual([]);
  expect(form).toBe("grant_type=client_credentials&scope=s");
  expect(seen.at(-1)?.headers.authorization).toBe("Bearer granted");
});

test("without --config it takes the demonstration's data directory, or says what to say", async () => {
  const before = process.cwd();
  try {
    process.chdir(base);
    const doctor = () => runCommand((program) => registerDoctor(program, async () => []), "doctor");
    expect((await doctor()).error).toEqual(
      new Error(
        "say which installation: --config FILE, or --data-dir DIR of a demonstration (there is no .scimseal/scimseal.yaml here)",
      ),
    );
    await rename(path.join(base, "i"), path.join(base, ".scimseal"));
    expect((await doctor()).out).toContain("ok    configuration: .scimseal/scimseal.yaml");
  } finally {
    process.chdir(before);
  }
});

test("what the ledger says of its key replaces what the files alone say", async () => {
  await rename(path.join(base, "i/keys/main.jwk"), path.join(base, "old"));
  await saveKey(path.join(base, "i/keys/main.jwk"), formatPrivateJwk(generateKey()));
  expect(bad(await run())).toEqual([expect.objectContaining({ name: "ledger main: keys", status: "warn" })]);
  const judged = await runDoctor(config, async () => [
    { name: "ledger main: keys", status: "ok", detail: "introduced" },
  ]);
  expect(judged.filter(({ name }) => name === "ledger main: keys")).toEqual([
    expect.objectContaining({ status: "ok" }),
  ]);
});

test("a database check that throws is a failure, not a crash", async () => {
  const checks = await runDoctor(config, async () => {
    throw new Error("no way there", { cause: Object.assign(new Error("refused"), { code: "ECONNREFUSED" }) });
  });
  expect(bad(checks)).toEqual([
    expect.objectContaining({ name: "database", detail: "no way there: refused (ECONNREFUSED)" }),
  ]);
});

test("the command: exit code, JSON, and no escape sequence from a server", async () => {
  const database = async (): Promise<Check[]> => [
    { name: "database", status: "warn", detail: "\u001b[31mred", remedy: "none" },
  ];
  const before = process.exitCode;
  const text = await runCommand((program) => registerDoctor(program, database), "doctor", "--config", config);
  expect(process.exitCode).toBe(before);
  expect(text.out).toContain("warn  database: \\u{1b}[31mred\n      → none\n");
  answer = (_request, response) => response.writeHead(401).end();
  const json = await runCommand(
    (program) => registerDoctor(program, database),
    "doctor",
    "--config",
    config,
    "--json",
  );
  expect(process.exitCode).toBe(1);
  process.exitCode = before;
  expect(JSON.parse(json.out)).toContainEqual(
    expect.objectContaining({ name: "connector okta: target", status: "fail" }),
  );
  expect(text.out + json.out).not.toContain("target-secret");
});

test.each([
  ["24.18.1", "ok"],
  ["24.21.0", "ok"],
  ["25.0.0", "ok"],
  ["24.18.0", "fail"],
  ["24.9.9", "fail"],
  ["22.99.0", "fail"],
])("Node %s: %s", (version, status) => {
  expect(checkNode(version).status).toBe(status);
});

test("certificates: well, soon, over", () => {
  const day = 86_400_000;
  const verdicts = [100, 20, -1].map((days) => judgeCertificate("c", new Date(days * day + 1000), 0).status);
  expect(verdicts).toEqual(["ok", "warn", "fail"]);
});

test("the summary counts, and an error is told with its causes", () => {
  expect(formatChecks([{ name: "a", status: "ok", detail: "b" }])).toBe(
    "ok    a: b\n\n1 checks, 0 failed, 0 with a warning\n",
  );
  expect(errorText(new Error("a", { cause: new Error("b") }))).toBe("a: b");
});
