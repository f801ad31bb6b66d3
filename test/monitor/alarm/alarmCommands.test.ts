// What a person does about alarms: `scimseal doctor --acknowledge` takes note by an entry, and `scimseal demo tamper`
// shows one coming. Both against a real ledger with the monitor beside it.

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { tamperDemo } from "../../../src/cli/demo/demoTamper.ts";
import { registerDoctor } from "../../../src/cli/doctor/doctor.ts";
import { acknowledgeAlarms, describeResumption } from "../../../src/cli/doctor/doctorAcknowledge.ts";
import { checkHistory } from "../../../src/cli/doctor/doctorLedger.ts";
import { loadConfig } from "../../../src/config/load.ts";
import { saveKey } from "../../../src/keys/keyFile.ts";
import { formatPinnedJwk, formatPrivateJwk, generateKey } from "../../../src/keys/signer.ts";
import { generateTokenKey } from "../../../src/keys/tokenKey.ts";
import { Alarms } from "../../../src/monitor/alarm/alarm.ts";
import { formatRaised } from "../../../src/monitor/alarm/alarmEvent.ts";
import { Monitor } from "../../../src/monitor/monitor.ts";
import { newUuid, nodeSha256 } from "../../../src/nodeCrypto.ts";
import { describeRow } from "../../../src/storage/reader.ts";
import { LedgerWriter } from "../../../src/storage/writer/writer.ts";
import { runCommand } from "../../cli/run.ts";
import { dropDatabase, makeDatabase, quiet, type TestDatabase } from "../../storage/writerHarness.ts";
import { TEST_SEALING_JWKS } from "../../support/sealing.ts";
import { LEDGER, makeCopy, makeKeys, ORIGIN, passMany, publish, type TestCopy } from "../monitorHarness.ts";

let server: TestDatabase;
let copy: TestCopy;
let dir: string;
const closers: (() => unknown)[] = [];
beforeAll(async () => {
  server = await makeDatabase();
});
afterAll(() => dropDatabase(server));

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "scimseal-alarm-"));
  closers.push(() => rm(dir, { recursive: true }));
  const jwk = generateKey();
  copy = await makeCopy(server, makeKeys(jwk));
  await copy.write((writer) => passMany(writer, 30));
  await publish(copy, [20]);
  await saveKey(join(dir, "main.jwk"), formatPrivateJwk(jwk));
  await saveKey(join(dir, "token.key"), generateTokenKey());
  await saveKey(join(dir, "sealing.jwks"), TEST_SEALING_JWKS);
  await writeFile(join(dir, "pinned.jwk"), formatPinnedJwk(jwk));
  await writeFile(join(dir, "url"), copy.url("writer"), { mode: 0o600 });
  const target = { url: "http://127.0.0.1:9/scim/v2", auth: { bearer: { file: "none" } } };
  await writeFile(
    join(dir, "scimseal.yaml"),
    stringify({
      dataDir: ".",
      database: { url: { file: "url" } },
      ledgers: {
        [LEDGER]: {
          origin: ORIGIN,
          signingKey: { file: "main.jwk" },
          pinnedKeys: ["pinned.jwk"],
          tokenKey: { file: "token.key" },
          sealingKey: { file: "sealing.jwks" },
        },
      },
      connectors: { okta: { ledger: LEDGER, idp: "okta", target } },
    }),
  );
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function raise(seq: number): Promise<string> {
  const id = newUuid();
  const event = formatRaised({ id, code: "signature_invalid", seq });
  await copy.write((writer) => writer.append({ body: { type: "event", event }, attachments: [] }));
  return id;
}

const doctor = (...args: string[]) =>
  runCommand((program) => registerDoctor(program, async () => []), "doctor", ...args);

test("one alarm by its id, then all that are open; each by an entry, and nothing is written when none is open", async () => {
  const [one, two, three] = [await raise(3), await raise(4), await raise(5)];
  const config = join(dir, "scimseal.yaml");
  expect(await acknowledgeAlarms({ config, alarm: two })).toEqual([
    { ledger: LEDGER, alarm: two, code: "signature_invalid", at: 4 },
  ]);
  await expect(acknowledgeAlarms({ config, alarm: two })).rejects.toThrow(`no alarm ${two} is open`);
  const { out, error } = await doctor("--acknowledge", "--data-dir", dir);
  expect(error).toBeUndefined();
  expect(out).toContain(`signature_invalid at entry 3 (alarm ${one})`);
  expect(out).toContain(`signature_invalid at entry 5 (alarm ${three})`);
  const [row] = await copy.query("SELECT count(*) AS n FROM entry");
  expect((await doctor("--acknowledge", "--config", config)).out).toBe("No alarm is open.\n");
  expect(JSON.parse((await doctor("--acknowledge", "--config", config, "--json")).out)).toEqual([]);
  expect(await copy.query("SELECT count(*) AS n FROM entry")).toEqual([row]);
});

test("no checkpoint is signed while an anchor holds what the ledger does not continue: that is said until one is", async () => {
  const config = join(dir, "scimseal.yaml");
  const { ledgers } = await loadConfig(config, { secrets: "deferred" });
  const ledger = ledgers[LEDGER] ?? expect.fail("no ledger");
  const checks = async () => {
    const address = { connectionString: copy.url("reader"), requireSync: [] };
    const all = await checkHistory(LEDGER, ledger, address, (command) => command);
    return all.filter(({ name }) => name === `ledger ${LEDGER}: checkpoints`);
  };
  await raise(3);
  expect((await doctor("--acknowledge", "--config", config)).out).not.toContain("checkpoint");
  expect(await checks()).toEqual([]);
  const event = formatRaised({ id: newUuid(), code: "anchor_ahead" });
  await copy.write((writer) => writer.append({ body: { type: "event", event }, attachments: [] }));
  const { out } = await doctor("--acknowledge", "--config", config);
  expect(out).toContain(
    "While anchor_ahead is found, an instance that starts signs no checkpoint, and what is written then is not anchored",
  );
  expect(await checks()).toEqual([
    expect.objectContaining({
      status: "warn",
      detail: expect.stringMatching(/^none was signed since anchor_ahead was acknowledged \(20.*Z\): what/),
      remedy: expect.stringContaining(`stop all instances, move ${LEDGER}.checkpoint away`),
    }),
  ]);
  await publish(copy, []);
  expect(await checks()).toEqual([]);
});

test.each([
  [["--acknowledge", "--config", "x", "--data-dir", "y"], /either --config FILE or --data-dir DIR/],
  [["--data-dir", "nowhere"], /no scimseal.yaml in it/],
  [["--alarm", "x", "--config", "y"], /goes with --acknowledge/],
] as const)("doctor %j says what is missing", async (args, message) => {
  const { err, error } = await doctor(...args);
  expect(`${err}${error instanceof Error ? error.message : ""}`).toMatch(message);
});

test("demo tamper: edits an old entry past the trigger, the alarm arrives, doctor --acknowledge ends the block", async () => {
  const { alarms } = await watch();
  const adminUrl = await serveEntries();
  await writeFile(
    join(dir, "demo.json"),
    JSON.stringify({
      adminUrl,
      auditorToken: "auditor",
      ledger: LEDGER,
      databaseSuperuserUrl: copy.url("superuser"),
    }),
  );
  const said: string[] = [];
  expect(await tamperDemo(dir, (text) => said.push(text))).toBe(true);
  const text = said.join("\n");
  const edited = Number(/Entry (\d+) of ledger/.exec(text)?.[1]);
  expect(text).toMatch(new RegExp(`ALARM after [0-4]\\.\\d s: signature_invalid at entry ${edited}\\.`));
  expect(text).toContain(`scimseal doctor --acknowledge --data-dir ${dir}`);
  // The tree may have told before the entry itself did.
  expect(alarms.isBlocked()).toBeDefined();
  expect(alarms.open).toContainEqual(expect.objectContaining({ code: "signature_invalid", seq: edited }));
  // A believable edit: the leaf can still be read, and says that somebody else asked.
  const [row] = await copy.query(`SELECT leaf FROM entry WHERE seq = ${edited}`);
  const [, payload = ""] = String(row?.leaf).split(".");
  const { actor } = JSON.parse(Buffer.from(payload, "base64url").toString()) as { actor: { client: string } };
  expect(text).toContain(`reads "${actor.client}" now`);
  // The trigger is as it was.
  await expect(copy.query("UPDATE entry SET leaf = leaf WHERE seq = 1")).rejects.toThrow("append-only");
  expect((await doctor("--acknowledge", "--data-dir", dir)).out).toContain(`at entry ${edited}`);
  // The edit breaks the tree too, and that alarm may come after the first was acknowledged.
  const acknowledgeAll = async () => {
    await doctor("--acknowledge", "--data-dir", dir);
    return alarms.isBlocked();
  };
  await expect.poll(acknowledgeAll, { timeout: 10_000 }).toBeUndefined();
});

test("demo tamper without a demonstration says how to start one", async () => {
  await expect(tamperDemo(join(dir, "nowhere"), () => {})).rejects.toThrow("npm start");
});

async function watch() {
  const writer = new LedgerWriter(copy.writerOptions());
  await writer.start();
  const opened = copy.open();
  const alarms = new Alarms({
    ledger: LEDGER,
    onTamper: "refuse",
    record: (event) => writer.append({ body: { type: "event", event }, attachments: [] }),
    log: quiet,
    uuid: newUuid,
    now: Date.now,
  });
  // The paces of a real instance.
  const monitor = new Monitor({
    ledger: LEDGER,
    origin: ORIGIN,
    pinned: copy.keys.pinned,
    ...opened,
    alarms,
    digest: nodeSha256,
    log: quiet,
    now: Date.now,
    positionFile: join(dir, "position.json"),
    entriesPerSecond: 500,
  });
  await monitor.start();
  closers.push(async () => {
    await monitor.stop();
    await opened.close();
    await writer.stop();
  });
  return { alarms, monitor };
}

/** A /readyz at the configured address, which answers as told, the last answer again and again. */
async function serveReadiness(...answers: object[][]): Promise<{ url: string; asked: () => number }> {
  let asked = 0;
  const listener = createServer((_request, response) => {
    const reasons = answers[Math.min(asked++, answers.length - 1)] ?? [];
    response
      .writeHead(reasons.length > 0 ? 503 : 200)
      .end(JSON.stringify({ ready: reasons.length === 0, reasons }));
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  closers.push(() => {
    listener.closeAllConnections();
    listener.close();
  });
  const { port } = listener.address() as AddressInfo; // A TCP server's address is never a string.
  await change((config) => ({ ...config, admin: { listen: { host: "127.0.0.1", port } } }));
  return { url: `http://127.0.0.1:${port}/readyz`, asked: () => asked };
}

async function change(how: (config: Record<string, unknown>) => object): Promise<void> {
  const file = join(dir, "scimseal.yaml");
  await writeFile(file, stringify(how(parse(await readFile(file, "utf8")))));
}

const TAMPERED = { reason: "tampered", ledger: LEDGER, detail: "an alarm" };

test.each([
  ["in words", []],
  ["as JSON", ["--json"]],
] as const)("doctor --acknowledge %s comes back when the instance has taken it up", async (_, flags) => {
  await raise(3);
  const instance = await serveReadiness([TAMPERED], [TAMPERED], []);
  const { out } = await doctor("--acknowledge", "--data-dir", dir, ...flags);
  expect(instance.asked()).toBe(3);
  if (flags.length === 0)
    expect(out).toContain(`Writes are taken again, says the instance at ${instance.url}`);
  else expect(JSON.parse(out)).toMatchObject([{ ledger: LEDGER, at: 3 }]);
});

test("an instance that is not ready for another reason is not said to take writes", async () => {
  const id = await raise(3);
  const done = [{ ledger: LEDGER, alarm: id, code: "signature_invalid", at: 3 }];
  const config = join(dir, "scimseal.yaml");
  const reasons = [
    { reason: "not_durable", ledger: LEDGER },
    { reason: "tampered", ledger: "another" },
  ];
  const { url } = await serveReadiness(reasons);
  expect(await describeResumption({ config }, done, 0)).toBe(
    `No alarm stops writes any more, but the instance at ${url} is not ready (not_durable): see there why.\n`,
  );
  await serveReadiness([{ reason: "stopping" }]);
  expect(await describeResumption({ config }, done, 0)).toContain("is not ready (stopping)");
  await serveReadiness([TAMPERED]);
  expect(await describeResumption({ config }, done, 0)).toContain("Writes are still refused");
});

test("nothing in the ledger to acknowledge, and yet the instance refuses: both are said", async () => {
  const { url } = await serveReadiness([TAMPERED]);
  const { out } = await doctor("--acknowledge", "--data-dir", dir);
  expect(out).toMatch(/^No alarm is open\.\nBut the instance at /);
  expect(out).toContain(`${url} refuses writes for an alarm that is not in the ledger:`);
  expect((await doctor("--acknowledge", "--data-dir", dir, "--json")).out).toBe("[]\n");
});

test("an alarm that never stopped writes: what an instance makes of it is said, and nothing is waited for", async () => {
  await raise(3);
  const instance = await serveReadiness([]);
  await change((config) => {
    const ledgers = config.ledgers as Record<string, object>;
    return { ...config, ledgers: { [LEDGER]: { ...ledgers[LEDGER], monitor: { onTamper: "alarm" } } } };
  });
  const { out } = await doctor("--acknowledge", "--data-dir", dir);
  expect(out).toMatch(/Recorded in the ledger\.\nAn instance that runs takes it up within about 5 s\.\n$/);
  expect(instance.asked()).toBe(0);
});

/** The one question that the command asks of the admin listener, answered from the real ledger. */
async function serveEntries(): Promise<string> {
  const { reader, close } = copy.open();
  const listener = createServer(async (request, response) => {
    const after = Number(new URL(request.url ?? "", "http://x").searchParams.get("after"));
    if (request.headers.authorization !== "Bearer auditor") return response.writeHead(401).end();
    const { entries } = await reader.page(after, 1000, false);
    const listed = entries.map((row) => ({ seq: row.seq, entry: describeRow(row).claims }));
    response.end(JSON.stringify({ ledger: LEDGER, entries: listed, next: null }));
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  closers.push(async () => {
    listener.closeAllConnections();
    listener.close();
    await close();
  });
  return `http://127.0.0.1:${(listener.address() as AddressInfo).port}`; // A TCP server's address is never a string.
}
