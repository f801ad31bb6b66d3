// `scimseal witness`: settings from flags and file, a key made once and kept private, a service that cosigns.

import { chmod, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readWitnessSettings, registerWitness, startWitness } from "../../src/cli/witness.ts";
import { formatCheckpoint } from "../../src/ledger/note/checkpoint.ts";
import { openCheckpoint } from "../../src/ledger/note/logPolicy.ts";
import { signNote } from "../../src/ledger/note/note.ts";
import { formatVerifierKey, makeLogKey, parseVerifierKey } from "../../src/ledger/note/verifierKey.ts";
import { makeKeys } from "../monitor/monitorHarness.ts";
import { quiet } from "../storage/writerHarness.ts";
import { runCommand } from "./run.ts";

const ORIGIN = "log.example.com/main";
const keys = makeKeys();
const logKey = makeLogKey(ORIGIN, keys.pinned[0]?.bytes ?? new Uint8Array());
const vkey = formatVerifierKey(logKey);
const NAME = "witness.example.com/w1";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "scimseal-witness-"));
});
afterEach(() => rm(dir, { recursive: true }));

const flags = { dir: "d", name: NAME, log: [vkey] };

test("it makes its key once, mode 0600, and cosigns", async () => {
  const settings = { ...readWitnessSettings({ ...flags, listen: "127.0.0.1:0" }), dir };
  const first = await startWitness(settings, quiet);
  const note = signNote(formatCheckpoint({ origin: ORIGIN, size: 1, root: new Uint8Array(32) }), {
    key: logKey,
    sign: (bytes) => keys.signer.sign(bytes),
  });
  const answer = await fetch(`${first.url}/add-checkpoint`, { method: "POST", body: `old 0\n\n${note}` });
  const witness = parseVerifierKey(first.vkey);
  if (typeof witness === "string" || witness.type !== "witness")
    throw new Error("the witness prints no key of a witness");
  const policy = { origin: ORIGIN, logKeys: [logKey], threshold: 1, witnesses: [witness] };
  expect(openCheckpoint(note + (await answer.text()), policy)).toMatchObject({ isWitnessed: true });
  expect((await stat(join(dir, "witness.jwk"))).mode & 0o777).toBe(0o600);
  await expect(startWitness(settings, quiet)).rejects.toThrow(/in use|already/);
  await first.stop();
  const second = await startWitness(settings, quiet);
  expect(second.vkey).toBe(first.vkey);
  const again = await fetch(`${second.url}/add-checkpoint`, { method: "POST", body: `old 0\n\n${note}` });
  expect([again.status, await again.text()]).toEqual([409, "1\n"]);
  await second.stop();
  await chmod(join(dir, "witness.jwk"), 0o644);
  await expect(startWitness(settings, quiet)).rejects.toThrow("chmod 600");
});

test("the small file, and flags over it", async () => {
  const file = join(dir, "witness.yaml");
  const other = formatVerifierKey(makeLogKey("rotated", makeKeys().pinned[0]?.bytes ?? new Uint8Array()));
  await writeFile(
    file,
    `name: ${NAME}\nlisten: "[::1]:8099"\nlogs:\n  - origin: ${ORIGIN}\n    keys:\n      - ${vkey}\n      - ${other}\n`,
  );
  const settings = readWitnessSettings({ dir: "d", config: file });
  expect(settings).toMatchObject({ name: NAME, host: "::1", port: 8099, logs: [{ origin: ORIGIN }] });
  expect(settings.logs[0]?.keys.map(({ name }) => name)).toEqual([ORIGIN, "rotated"]);
  const over = readWitnessSettings({ dir: "d", config: file, listen: "0.0.0.0:1", log: [other] });
  expect(over).toMatchObject({ host: "0.0.0.0", port: 1, logs: [{ origin: ORIGIN }, { origin: "rotated" }] });
});

test.each([
  ["no name", { dir: "d", log: [vkey] }, "--name"],
  ["no log", { dir: "d", name: NAME }, "--log"],
  ["no vkey", { ...flags, log: ["x"] }, "not a verifier key"],
  ["a port that is none", { ...flags, listen: "127.0.0.1:99999" }, "host:port"],
  ["no port", { ...flags, listen: "127.0.0.1" }, "host:port"],
])("%s: says what to do", (_, given, message) => {
  expect(() => readWitnessSettings(given)).toThrow(message);
});

test.each([
  ["not YAML", "{", "cannot be read"],
  ["an unknown key", "nam: x\n", "nam is no key of this file"],
  ["a log without keys", `logs: [{ origin: x }]\n`, "logs[0].keys"],
  ["a key that is none", `logs: [{ keys: [y] }]\n`, "not a verifier key"],
  ["no map", "[]\n", "must hold name"],
])("a file with %s is refused", async (_, text, message) => {
  const file = join(dir, "witness.yaml");
  await writeFile(file, text);
  expect(() => readWitnessSettings({ ...flags, config: file })).toThrow(message);
});

test("the command says what it needs", async () => {
  const { err } = await runCommand(registerWitness, "witness");
  expect(err).toContain("--dir");
});
