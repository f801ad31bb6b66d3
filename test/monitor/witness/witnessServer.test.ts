// The witness server over real files and sockets. It signs one history only, whoever asks in whatever order, also after
// a restart, and answers as C2SP tlog-witness says.

import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { encodeBase64 } from "../../../src/ledger/base64.ts";
import { openCheckpoint } from "../../../src/ledger/note/logPolicy.ts";
import { signNote } from "../../../src/ledger/note/note.ts";
import { createWitnessServer, parseSubmission } from "../../../src/monitor/witness/witnessServer.ts";
import { makeKeys } from "../monitorHarness.ts";
import {
  FORK,
  HISTORY,
  listen,
  logKey,
  logKeys,
  NOW,
  newStateDir,
  newWitness,
  noteOf,
  ORIGIN,
  signer,
  submission,
  submit,
} from "./witnessHarness.ts";

let stateDir: string;
beforeEach(async () => {
  stateDir = await newStateDir();
});

test("cosigns the first checkpoint and every consistent extension", async () => {
  const witness = newWitness(stateDir);
  for (const [from, to] of [
    [0, 10],
    [10, 10],
    [10, 300],
    [300, 600],
  ] as const) {
    const answer = await submit(witness, from, to);
    expect(answer.status, `${from} to ${to}`).toBe(200);
    const policy = { origin: ORIGIN, logKeys: [logKey], threshold: 1, witnesses: [signer.key] };
    expect(openCheckpoint(noteOf(to) + answer.body, policy)).toMatchObject({
      isWitnessed: true,
      cosignatures: [{ time: NOW / 1000 }],
    });
  }
});

test("an old size that is not its own: 409 and its size, as the specification spells it", async () => {
  const witness = newWitness(stateDir);
  await submit(witness, 0, 300);
  for (const from of [0, 10, 301]) {
    const answer = await submit(witness, from, 600);
    expect(answer).toEqual({ status: 409, contentType: "text/x.tlog.size", body: "300\n" });
  }
});

test("a rollback, and a second tree of one size: 409, and nothing is signed or kept", async () => {
  const witness = newWitness(stateDir);
  await submit(witness, 0, 300);
  expect(await submit(witness, 10, 10)).toMatchObject({ status: 409, body: "300\n" });
  expect(await submit(witness, 300, 300, noteOf(300, { history: FORK }), FORK)).toMatchObject({
    status: 409,
  });
  expect(await submit(witness, 300, 10)).toMatchObject({ status: 400 });
  expect(await submit(witness, 300, 600)).toMatchObject({ status: 200 });
});

test("another history: 422 with every proof there is", async () => {
  const witness = newWitness(stateDir);
  await submit(witness, 0, 300);
  for (const history of [FORK, HISTORY]) {
    expect(await submit(witness, 300, 600, noteOf(600, { history: FORK }), history)).toMatchObject({
      status: 422,
    });
  }
  const text = (await submission(300, 600)).toString();
  for (const [what, changed] of [
    ["a hash left out", text.replace(/\n[^\n]+\n/, "\n")],
    ["a hash twice", text.replace(/(\n[^\n]+)\n/, "$1$1\n")],
    ["a hash changed", text.replace(/\n[^\n]{4}/, "\nAAAA")],
  ] as const) {
    expect(await witness.addCheckpoint(Buffer.from(changed)), what).toMatchObject({ status: 422 });
  }
  expect(await witness.addCheckpoint(Buffer.from(text))).toMatchObject({ status: 200 });
});

test("a proof from size zero must be empty", async () => {
  const hash = encodeBase64(new Uint8Array(32));
  expect(
    await newWitness(stateDir).addCheckpoint(Buffer.from(`old 0\n${hash}\n\n${noteOf(10)}`)),
  ).toMatchObject({
    status: 422,
  });
});

test("an unknown origin is 404, a key that is not the log's 403", async () => {
  const witness = newWitness(stateDir);
  expect(await submit(witness, 0, 10, noteOf(10, { origin: "log.example.com/other" }))).toMatchObject({
    status: 404,
  });
  expect(await submit(witness, 0, 10, noteOf(10, { keys: makeKeys() }))).toMatchObject({ status: 403 });
  const [text = "", lines = ""] = noteOf(10).split("\n\n");
  const forged = `${text}\n\n${lines.slice(0, -20)}AAAA${lines.slice(-16)}`;
  expect(await submit(witness, 0, 10, forged)).toMatchObject({ status: 403 });
});

test.each([
  ["nothing", ""],
  ["no empty line", "old 0\n"],
  ["no old size", `\n\n${noteOf(10)}`],
  ["a size with a zero before it", `old 00\n\n${noteOf(10)}`],
  ["a negative size", `old -1\n\n${noteOf(10)}`],
  ["a carriage return", `old 0\r\n\r\n${noteOf(10)}`],
  ["a hash of 31 bytes", `old 0\n${encodeBase64(new Uint8Array(31))}\n\n${noteOf(10)}`],
  ["64 lines of proof", `old 0\n${`${encodeBase64(new Uint8Array(32))}\n`.repeat(64)}\n${noteOf(10)}`],
  [
    "a note that is no checkpoint",
    `old 0\n\n${signNote("hello\n", { key: logKey, sign: (b) => logKeys.signer.sign(b) })}`,
  ],
  ["a note without a signature", `old 0\n\n${noteOf(10).split("\n\n")[0]}\n\n`],
])("malformed: %s is 400", async (_, body) => {
  expect(typeof parseSubmission(Buffer.from(body))).toBe("string");
  expect(await newWitness(stateDir).addCheckpoint(Buffer.from(body))).toMatchObject({ status: 400 });
});

test("a restart remembers; a damaged state signs nothing", async () => {
  await submit(newWitness(stateDir), 0, 300);
  expect(await submit(newWitness(stateDir), 0, 10)).toMatchObject({ status: 409, body: "300\n" });
  const [file = ""] = await readdir(stateDir);
  expect(await readFile(join(stateDir, file), "utf8")).toBe(noteOf(300));
  await writeFile(join(stateDir, file), "rubbish");
  expect(await submit(newWitness(stateDir), 0, 10)).toMatchObject({ status: 500 });
  expect(await submit(newWitness(stateDir), 300, 600)).toMatchObject({ status: 500 });
});

test("what cannot be kept is not signed", async () => {
  const witness = newWitness(stateDir);
  await submit(witness, 0, 10);
  await rm(stateDir, { recursive: true });
  expect(await submit(witness, 10, 300)).toMatchObject({ status: 500 });
  await writeFile(stateDir, "");
});

test("of two that come at once from one size, one wins; the state never goes back", async () => {
  const witness = newWitness(stateDir);
  await submit(witness, 0, 10);
  const answers = await Promise.all([600, 300, 200, 599].map((to) => submit(witness, 10, to)));
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409]);
  const size = Number(answers.find(({ status }) => status === 409)?.body);
  expect(await submit(witness, 0, 10)).toMatchObject({ status: 409, body: `${size}\n` });
});

test("more than can wait are sent away", async () => {
  const witness = newWitness(stateDir);
  const answers = await Promise.all(Array.from({ length: 40 }, () => submit(witness, 0, 10)));
  const statuses = answers.map(({ status }) => status);
  expect(statuses.filter((status) => status === 200)).toHaveLength(1);
  expect(statuses.filter((status) => status === 503).length).toBeGreaterThan(0);
});

test("over HTTP: other paths, methods and sizes", async () => {
  const url = await listen(createWitnessServer(newWitness(stateDir)));
  expect((await fetch(`${url}/`)).status).toBe(404);
  expect((await fetch(`${url}/add-checkpoint`)).status).toBe(405);
  const answer = await fetch(`${url}/add-checkpoint`, { method: "POST", body: "x".repeat(70_000) });
  expect(answer.status).toBe(413);
  const conflict = await fetch(`${url}/add-checkpoint`, { method: "POST", body: await submission(5, 10) });
  expect([conflict.status, conflict.headers.get("content-type")]).toEqual([409, "text/x.tlog.size"]);
});
