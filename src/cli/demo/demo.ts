// `scimseal demo`: everything on loopback, for real: an embedded PostgreSQL, a SCIM server as target, the proxy between,
// and a day of Okta and Entra traffic through it. Stays up until a signal ends it, and can be started again on the same
// data directory.

import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { stringify } from "yaml";
import { type App, PortTakenError, startApp } from "../../app.ts";
import { addCredential } from "../../auth/credentialFile.ts";
import { addSignInLink } from "../../auth/session/signInLink.ts";
import { loadConfig } from "../../config/load.ts";
import { saveKey } from "../../keys/keyFile.ts";
import { loadPinned } from "../../keys/keyring.ts";
import { generateSealingKey } from "../../keys/sealingKey.ts";
import { formatPinnedJwk, formatPrivateJwk, generateKey } from "../../keys/signer.ts";
import { generateTokenKey } from "../../keys/tokenKey.ts";
import { formatVerifierKey, makeLogKey } from "../../ledger/note/verifierKey.ts";
import { writeDurably } from "../../storage/embedded/file.ts";
import { lockOwner } from "../../storage/embedded/lock.ts";
import { createLog } from "../../telemetry/log.ts";
import { DEFAULT_DATA_DIR } from "../ledgerSource.ts";
import { printable, shellWord } from "../printable.ts";
import { checkRuntime } from "../runtime.ts";
import { stopOnSignal } from "../signals.ts";
import { formatSignInUrl } from "../token.ts";
import { tamperDemo } from "./demoTamper.ts";

interface DemoOptions {
  traffic: boolean;
  scimPort: number;
  adminPort: number;
  dataDir: string;
}

/** What `demo.json` holds; secrets of a demonstration, mode 0600. */
export interface DemoFile {
  scimBaseUrl: string;
  clientToken: string;
  adminUrl: string;
  auditorToken: string;
  /** Signs in to the dashboard as an administrator: once, and for a quarter of an hour after the start. */
  dashboardUrl: string;
  ledger: string;
  targetUrl: string;
  targetToken: string;
  databaseUrl: string;
  databaseSuperuserUrl: string;
}

/** Made once for a data directory and kept, so that a restarted demonstration goes on under the same tokens. */
interface Secrets {
  oktaToken: string;
  entraToken: string;
  auditorToken: string;
  targetToken: string;
}

const LEDGER = "main";
const ORIGIN = "demo.scimseal.example/main";
const STATUS_TIMEOUT_MS = 10_000;

/** Adds the command. */
export function registerDemo(program: Command): void {
  const demo = program
    .command("demo")
    .description("run everything on this machine and play a day of provisioning through it")
    .option("--no-traffic", "do not play the day")
    .option("--scim-port <port>", "port of the SCIM listener; 0: any free one", parsePort, 8080)
    .option("--admin-port <port>", "port of the admin listener; 0: any free one", parsePort, 8081)
    .option("--data-dir <dir>", "where everything is kept", DEFAULT_DATA_DIR)
    .action(async (options: DemoOptions) => {
      checkRuntime();
      await runDemo(options);
    });
  demo
    .command("tamper")
    .description(
      "edit an old entry of the running demonstration as the database's superuser, and see the alarm",
    )
    .action(async (_options: object, command: Command) => {
      // --data-dir is the demonstration's own option, wherever it stands on the line.
      const { dataDir } = command.optsWithGlobals<DemoOptions>();
      if (!(await tamperDemo(dataDir, say))) process.exitCode = 1;
    });
}

async function runDemo(options: DemoOptions): Promise<void> {
  const startedAt = performance.now();
  // Only here: the target's packages are development dependencies, which the image leaves out.
  const { startTarget } = await import("../../demo/target.ts");
  const dataDir = resolve(options.dataDir);
  const log = createLog({ level: "warn", format: "auto" });
  await mkdir(join(dataDir, "keys"), { recursive: true, mode: 0o700 });
  const owner = await lockOwner(dataDir);
  if (owner !== undefined) {
    throw new Error(`process ${owner} runs on ${dataDir} already; stop it, or choose another --data-dir`);
  }
  // It says "ready", so one that a killed run left must not stand while this run is not.
  await rm(join(dataDir, "demo.json"), { force: true });
  const secrets = await ensureSecrets(dataDir);
  const target = await startTarget({
    token: secrets.targetToken,
    journalFile: join(dataDir, "target-journal.ndjson"),
  });
  let app: App;
  try {
    await ensureKeys(dataDir);
    const configFile = await writeConfig(dataDir, options, target.url);
    app = await startApp(await loadConfig(configFile), log);
  } catch (cause) {
    await target.close();
    if (cause instanceof PortTakenError)
      throw new Error(
        `${cause.said}; end what listens there, or take free ones: npm start -- --scim-port 0 --admin-port 0`,
        { cause },
      );
    throw cause;
  }
  const stopped = stopOnSignal(async () => {
    say("\nStopping: recording what is under way, then the database.");
    await app.stop();
    await target.close();
    await rm(join(dataDir, "demo.json"), { force: true });
  }, log);
  const scimBaseUrl = `${app.publicUrl}/okta/scim/v2`;
  const demo: DemoFile = {
    scimBaseUrl,
    clientToken: secrets.oktaToken,
    adminUrl: app.adminUrl,
    auditorToken: secrets.auditorToken,
    dashboardUrl: await makeSignIn(dataDir, app.adminUrl),
    ledger: LEDGER,
    targetUrl: target.url,
    targetToken: secrets.targetToken,
    databaseUrl: app.embeddedUrls?.writer ?? "",
    databaseSuperuserUrl: app.embeddedUrls?.superuser ?? "",
  };
  await writeDurably(join(dataDir, "demo.json"), `${JSON.stringify(demo, null, 2)}\n`);
  say(
    `Ready after ${((performance.now() - startedAt) / 1000).toFixed(1)} s: PostgreSQL, a SCIM target and the proxy are running.`,
  );
  sayPinned(dataDir, options.dataDir);
  // Behind an open alarm every write is refused, and a day of refusals would say nothing about why.
  if (await sayAlarm(demo, options.dataDir)) {
    if (options.traffic) say("\nThe day is not played.");
  } else if (options.traffic && !(await play(scimBaseUrl, `${app.publicUrl}/entra/scim/v2`, secrets)))
    await sayAlarm(demo, options.dataDir);
  sayHow(demo, options.dataDir);
  await stopped;
}

/** False if an answer was not the expected one. */
async function play(baseUrl: string, entraBaseUrl: string, secrets: Secrets): Promise<boolean> {
  const { playDay } = await import("../../demo/day.ts");
  say("\nA day of provisioning, through the proxy:");
  let unexpected = 0;
  for await (const line of playDay({
    baseUrl,
    entraBaseUrl,
    token: secrets.oktaToken,
    entraToken: secrets.entraToken,
  })) {
    if (!line.expected) unexpected++;
    say(
      `  ${line.expected ? " " : "!"} ${line.status} ${printable(`${line.method} ${line.path}`.padEnd(56))} ${printable(line.what)}`,
    );
  }
  say(
    unexpected === 0
      ? "Every answer was the expected one."
      : `${unexpected} answer(s) were not the expected ones.`,
  );
  return unexpected === 0;
}

/** The key to verify with, from the file that was made before the ledger began: nothing that the server says. */
function sayPinned(dataDir: string, shownDir: string): void {
  const file = join("keys", "main.genesis.pub.jwk");
  const [key] = loadPinned([join(dataDir, file)]);
  if (!key) throw new Error(`${join(dataDir, file)} holds no key`);
  say(`Pinned key ${formatVerifierKey(makeLogKey(ORIGIN, key.bytes))}   (file ${join(shownDir, file)})`);
}

/** Says what is open and what to do; false if no alarm about tampering is. */
async function sayAlarm({ adminUrl, auditorToken }: DemoFile, dataDir: string): Promise<boolean> {
  const response = await fetch(`${adminUrl}/audit/v1/status`, {
    headers: { authorization: `Bearer ${auditorToken}` },
    signal: AbortSignal.timeout(STATUS_TIMEOUT_MS),
  });
  if (!response.ok) throw new Error(`the admin listener answers ${response.status} to how the ledger is`);
  // The shape of our own API.
  const { ledgers } = (await response.json()) as { ledgers: LedgerStatus[] };
  const [broken] = ledgers.filter(({ state }) => state === "broken");
  if (!broken) return false;
  const codes = [...new Set(broken.alarms.filter(({ isTamper }) => isTamper).map(({ code }) => code))];
  const place = broken.brokenAt === null ? "" : ` at #${broken.brokenAt}`;
  say(`
Ledger ${broken.name} is BROKEN${place} (${codes.join(", ")}), and the alarm is open: writes are refused (503).
Take note of it, which is an entry too, and writes go on${broken.brokenAt === null ? "" : " (verify stays BROKEN, for good)"}:
  npx scimseal doctor --acknowledge${where(dataDir)}
or stop this and begin anew:
  rm -rf ${shellWord(dataDir)}`);
  return true;
}

interface LedgerStatus {
  name: string;
  state: string;
  brokenAt: number | null;
  alarms: { code: string; isTamper: boolean }[];
}

/** The option that follow-up commands need. */
function where(dataDir: string): string {
  return dataDir === DEFAULT_DATA_DIR ? "" : ` --data-dir ${shellWord(dataDir)}`;
}

function sayHow(demo: DemoFile, dataDir: string): void {
  say(`
SCIM base URL  ${demo.scimBaseUrl}
Client token   ${demo.clientToken}
Dashboard      ${demo.dashboardUrl}   (works once; another: npx scimseal token signin --role admin --data-dir ${shellWord(dataDir)} --url ${demo.adminUrl})
Admin          ${demo.adminUrl}   (/healthz /readyz /metrics /audit/v1/entries)
Auditor token  ${demo.auditorToken}

Create a user:
  curl -sS -X POST ${demo.scimBaseUrl}/Users -H 'Authorization: Bearer ${demo.clientToken}' -H 'Content-Type: application/scim+json' -d '{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"new.${randomBytes(3).toString("hex")}@example.com","active":true}'

See its record, request and outcome in one line, then check the whole ledger:
  curl -sS '${demo.adminUrl}/audit/v1/transactions?limit=1' -H 'Authorization: Bearer ${demo.auditorToken}'
  npx scimseal verify${where(dataDir)}

Edit an old entry behind its back, and see the alarm:
  npx scimseal demo tamper${where(dataDir)}

Ctrl-C stops everything.`);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function ensureSecrets(dataDir: string): Promise<Secrets> {
  const file = join(dataDir, "demo-secrets.json");
  if (existsSync(file)) return JSON.parse(await readFile(file, "utf8")) as Secrets;
  const now = new Date();
  const mint = async (scope: Parameters<typeof addCredential>[1]) =>
    (await addCredential(dataDir, scope, now)).token;
  const secrets: Secrets = {
    oktaToken: await mint({ kind: "client", connector: "okta", name: "okta-demo" }),
    entraToken: await mint({ kind: "client", connector: "entra", name: "entra-demo" }),
    auditorToken: await mint({ kind: "auditor", ledgers: "*", name: "auditor-demo" }),
    targetToken: randomBytes(32).toString("base64url"),
  };
  // A crash before this line leaves tokens nobody knows; the next start mints others.
  await writeDurably(file, `${JSON.stringify(secrets, null, 2)}\n`);
  return secrets;
}

async function makeSignIn(dataDir: string, adminUrl: string): Promise<string> {
  const reach = { role: "admin", ledgers: "*", name: "admin-demo" } as const;
  const { secret } = await addSignInLink(dataDir, reach, new Date());
  return formatSignInUrl(adminUrl, secret);
}

async function ensureKeys(dataDir: string): Promise<void> {
  const path = (name: string) => join(dataDir, "keys", name);
  if (!existsSync(path("main.genesis.pub.jwk"))) {
    // The pinned half is written last: without it the keys were never used, and new ones may be made.
    await rm(path("main.jwk"), { force: true });
    await rm(path("main.token.key"), { force: true });
    const key = generateKey();
    await saveKey(path("main.jwk"), formatPrivateJwk(key));
    await saveKey(path("main.token.key"), generateTokenKey());
    await saveKey(path("main.genesis.pub.jwk"), formatPinnedJwk(key));
  }
  // A directory of a demonstration before attachments were sealed has none yet.
  if (!existsSync(path("main.sealing.jwks"))) await saveKey(path("main.sealing.jwks"), generateSealingKey());
}

async function writeConfig(dataDir: string, options: DemoOptions, targetUrl: string): Promise<string> {
  const target = { url: targetUrl, auth: { bearer: { file: "target-token" } } };
  const { targetToken } = JSON.parse(await readFile(join(dataDir, "demo-secrets.json"), "utf8")) as Secrets;
  await writeDurably(join(dataDir, "target-token"), `${targetToken}\n`);
  const file = join(dataDir, "scimseal.yaml");
  const config = {
    dataDir: ".",
    scim: { listen: { port: options.scimPort } },
    admin: { listen: { port: options.adminPort } },
    ledgers: {
      [LEDGER]: {
        origin: ORIGIN,
        signingKey: { file: "keys/main.jwk" },
        pinnedKeys: ["keys/main.genesis.pub.jwk"],
        tokenKey: { file: "keys/main.token.key" },
        sealingKey: { file: "keys/main.sealing.jwks" },
      },
    },
    connectors: {
      okta: { ledger: LEDGER, idp: "okta", target },
      entra: { ledger: LEDGER, idp: "entra", target },
    },
  };
  await writeDurably(file, stringify(config));
  return file;
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^[0-9]+$/.test(text) || port > 65_535)
    throw new InvalidArgumentError("a port is a number from 0 to 65535");
  return port;
}
