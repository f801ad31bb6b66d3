// `scimseal export`: packs from a real ledger, which verify, and what cannot be exported is said.

import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { registerExport } from "../../src/cli/export.ts";
import { changeText, nameOf, takeApart } from "../ledger/evidence/packs.ts";
import { passMany, publish } from "../monitor/publisher/publisherHarness.ts";
import { dropDatabase, makeDatabase, querySql, type TestDatabase } from "../storage/writerHarness.ts";
import { makePublished, type PublishedLedger, run, saveCheckpoint, verifyJson } from "./publishedLedger.ts";
import { runCommand } from "./run.ts";

let database: TestDatabase;
let ledger: PublishedLedger;
let count = 0;

beforeAll(async () => {
  database = await makeDatabase();
});
afterAll(() => dropDatabase(database));

async function exportPack(...args: string[]): Promise<string> {
  ledger ??= await makePublished(database, 300);
  const out = join(ledger.dir, `pack-${++count}.tar`);
  await run("export", "--config", ledger.configFile, "--out", out, ...args);
  return out;
}

async function verifyPack(pack: string, ...args: string[]) {
  return verifyJson("--pack", pack, "--key", ledger.keyFile, "--threads", "2", ...args);
}

test("the whole ledger", async () => {
  const pack = await exportPack();
  const { status, report } = await verifyPack(pack);
  expect(report).toMatchObject({
    ok: true,
    entries: 601,
    proved: 601,
    attachments: 600,
    completeness: "gap_free",
    sizes: { last: 601 },
    findings: [],
  });
  expect(status).toBe(0);
  expect((await stat(pack)).mode & 0o777).toBe(0o600);
  const { text } = await run("verify", "--pack", pack, "--key", ledger.vkey);
  expect(text).toMatch(/^OK: 601 entries/);
  expect(text).toContain("NOT ANCHORED");
});

test("a range, and the next one from where it ended, with an earlier checkpoint each", async () => {
  const first = await exportPack("--from", "0", "--to", "299");
  const second = await exportPack("--from", "300");
  expect((await verifyPack(first)).report).toMatchObject({ ok: true, entries: 300 });
  expect((await verifyPack(second)).report).toMatchObject({ ok: true, entries: 301, firstSeq: 300 });
  const early = await saveCheckpoint(ledger, database, 1);
  const apart = await verifyPack(second, "--checkpoint", early);
  expect(apart.codes).toEqual(["earlier_not_compared"]);
  expect([apart.status, apart.report.judgement]).toEqual([2, "not_compared"]);
  const told = await exportPack("--from", "300", "--checkpoint", early);
  expect((await verifyPack(told, "--checkpoint", early)).report).toMatchObject({
    ok: true,
    earlier: { isContinued: true },
  });
});

test("a checkpoint of a later tree: not compared, and not broken unless something else is", async () => {
  const growing = await makePublished(database, 20);
  const old = join(growing.dir, "old.tar");
  await run("export", "--config", growing.configFile, "--out", old, "--to", "9");
  await passMany(await growing.writer(), 2);
  const publisher = await publish(growing);
  await publisher.reaches(growing.size + 4);
  await publisher.publisher.stop();
  const later = await saveCheckpoint(growing, database);
  const check = (pack: string) =>
    run("verify", "--pack", pack, "--key", growing.keyFile, "--checkpoint", later, "--threads", "2");
  const { status, text } = await check(old);
  expect([status, text.split("\n")[0]]).toEqual([
    2,
    expect.stringMatching(/^NOT COMPARED: your checkpoint is of 45 entries, and the pack's tree has 41: ask/),
  ]);
  expect(text).not.toMatch(/BROKEN|NOT SHOWN/);
  const bad = join(growing.dir, "bad.tar");
  await writeFile(
    bad,
    await changeText(await readFile(old), nameOf("entries", 0), (leaves) => leaves.replace(/.\n/, "_\n")),
  );
  const broken = await check(bad);
  expect(broken.status).toBe(1);
  expect(broken.text).toMatch(/^entry 0: .*\n(entry 0: .*\n)*BROKEN: \d finding\(s\) in 10 entries\./);
  expect(broken.text).toContain("NOT COMPARED: your checkpoint");
  // One that is made now is of the newest tree, wherever its range ends.
  const now = join(growing.dir, "now.tar");
  await run("export", "--config", growing.configFile, "--out", now, "--to", "9");
  expect(await check(now)).toMatchObject({ status: 0, text: expect.stringContaining("It continues your") });
});

test("what was made is said on standard error: what of, of which tree, and whether it names people", async () => {
  await exportPack("--to", "1");
  const say = async (...args: string[]) => {
    const out = join(ledger.dir, `said-${++count}`);
    const { err } = await runCommand(
      registerExport,
      "export",
      "--config",
      ledger.configFile,
      "--out",
      out,
      ...args,
    );
    return err.replace(out, "FILE");
  };
  expect(await say("--from", "3", "--to", "8")).toBe(
    "FILE: entries 3 to 8, proved in a tree of 601 entries; holds personal data\n",
  );
  expect(await say("--to", "1", "--no-attachments")).toMatch(/; without attachments\n$/);
  expect(await say("--leaves")).toMatch(/^FILE: 601 leaves, without attachments/);
});

test("a transaction, open or closed", async () => {
  await exportPack();
  const [row] = await querySql(
    database.urls.superuser,
    `SELECT txn FROM ${ledger.schema}.entry WHERE seq = 1`,
  );
  const txn = String(row?.txn);
  const { report } = await verifyPack(await exportPack("--txn", txn.toUpperCase()));
  expect(report).toMatchObject({ ok: true, entries: 2, firstSeq: 1 });
  await expect(exportPack("--txn", "019cad8f-ac03-7000-8000-000000000000")).rejects.toThrow("no transaction");
});

test("without attachments", async () => {
  const pack = await exportPack("--no-attachments", "--to", "10");
  expect((await verifyPack(pack)).report).toMatchObject({ ok: true, attachments: 0 });
  const names = (await takeApart(await readFile(pack))).map(({ name }) => name);
  expect(names.filter((name) => name.startsWith("attachments/"))).toEqual([]);
});

test("leaves only, as before", async () => {
  const out = await exportPack("--leaves");
  expect((await readFile(out, "latin1")).trimEnd().split("\n")).toHaveLength(601);
  const { status, text } = await run("verify", "--export", out, "--key", ledger.keyFile);
  expect([status, text.slice(0, 15)]).toEqual([0, "OK: 601 entries"]);
  await writeFile(`${out}-cut`, (await readFile(out, "latin1")).split("\n").toSpliced(7, 1).join("\n"));
  const cut = await verifyJson("--export", `${out}-cut`, "--key", ledger.keyFile);
  expect([cut.status, cut.codes[0]]).toEqual([1, "seq_mismatch@7"]);
});

test("a damaged ledger gives a pack that does not verify", async () => {
  const damaged = await makePublished(database, 20);
  await damaged.tamper(`UPDATE ${damaged.schema}.attachment SET content = 'x' WHERE seq = 3`);
  const out = join(damaged.dir, "pack.tar");
  await run("export", "--config", damaged.configFile, "--out", out);
  const { codes } = await verifyJson("--pack", out, "--key", damaged.keyFile);
  // What cannot be opened cannot be in it.
  expect(codes).toEqual(["attachment_missing@3", "attachment_missing@3"]);
});

test("without the sealing key a pack has no attachments and says why; verify says what it did not check", async () => {
  await exportPack("--to", "1");
  const config = join(ledger.dir, "keyless.yaml");
  const text = await readFile(ledger.configFile, "utf8");
  await writeFile(config, text.replace("sealing.jwks", "elsewhere.jwks"));
  const out = join(ledger.dir, "keyless.tar");
  await run("export", "--config", config, "--out", out, "--to", "10");
  const { report } = await verifyPack(out);
  expect(report).toMatchObject({ ok: true, attachments: 0 });
  expect((await run("verify", "--pack", out, "--key", ledger.keyFile)).text).toMatch(
    /sealed, and whoever exported/,
  );
  const live = await run("verify", "--config", config);
  expect(live.text).toMatch(/^OK: 601 entries, every signature and link checked\./);
  expect(live.text).toContain(
    "SEALED: 600 attachment(s) are sealed and were not checked. Give the key: --sealing-key FILE.",
  );
  const named = await run("verify", "--config", config, "--sealing-key", join(ledger.dir, "sealing.jwks"));
  expect(named.text).toMatch(/^OK: 601 entries, every signature, link and attachment checked\./);
});

test("what cannot be exported is said, and leaves no file", async () => {
  await expect(exportPack("--to", "601")).rejects.toThrow("covers entries up to 600");
  await expect(exportPack("--from", "9", "--to", "8")).rejects.toThrow("no entries from 9 to 8");
  await expect(exportPack("--account", "User/none")).rejects.toThrow("name no User none");
  await expect(exportPack("--account", "User")).rejects.toThrow("TYPE/ID");
  await expect(exportPack("--leaves", "--to", "8")).rejects.toThrow("--leaves writes all");
  await expect(stat(join(ledger.dir, `pack-${count}.tar`))).rejects.toThrow("ENOENT");
  const mine = join(ledger.dir, `pack-${count + 1}.tar`);
  await writeFile(mine, "mine");
  await expect(exportPack()).rejects.toThrow("EEXIST");
  expect(await readFile(mine, "utf8")).toBe("mine");
});
