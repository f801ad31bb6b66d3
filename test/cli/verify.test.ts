// `scimseal verify` on a live ledger, on a published one, on leaves: what a superuser does to entries, tiles and
// checkpoints is found and named; what nothing from outside was compared with is never called anchored.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { formatPinnedJwk } from "../../src/keys/signer.ts";
import { newSigner } from "../ledger/chain.ts";
import { passMany, publish } from "../monitor/publisher/publisherHarness.ts";
import { dropDatabase, makeDatabase, passOne, type TestDatabase } from "../storage/writerHarness.ts";
import {
  makePublished,
  type PublishedLedger,
  run,
  saveCheckpoint,
  serveLog,
  verifyJson,
} from "./publishedLedger.ts";

const SWAPPED =
  "UPDATE $.entry e SET leaf = o.leaf, leaf_hash = o.leaf_hash FROM $.entry o WHERE e.seq IN (101, 102) AND o.seq = 203 - e.seq";

let database: TestDatabase;
beforeAll(async () => {
  database = await makeDatabase();
});
afterAll(() => dropDatabase(database));

describe("a live ledger", () => {
  test("entries, tiles and checkpoints agree; without a checkpoint from outside that is said", async () => {
    const ledger = await makePublished(database, 150);
    const { status, report } = await verifyJson("--config", ledger.configFile);
    expect(report).toMatchObject({ ok: true, size: 301, findings: [], open: 0 });
    expect(Number(report.checkpoints)).toBeGreaterThanOrEqual(2);
    expect([status, report.tiles, report.comparedUpTo]).toEqual([0, 1, undefined]);
    const { text } = await run("verify", "--config", ledger.configFile);
    expect(text).toMatch(/^OK: 301 entries/);
    expect(text).toContain("NOT ANCHORED");
    const checkpoint = await saveCheckpoint(ledger, database);
    const anchored = await run("verify", "--config", ledger.configFile, "--checkpoint", checkpoint);
    expect(anchored.text).toContain("Anchored up to entry 300");
  });

  test("the data directory's anchor is compared without being named, and says up to where", async () => {
    const ledger = await makePublished(database, 20);
    const { mkdir, rename } = await import("node:fs/promises");
    await mkdir(join(ledger.dir, "anchors"));
    await rename(
      await saveCheckpoint(ledger, database, 11),
      join(ledger.dir, `anchors/${ledger.name}.checkpoint`),
    );
    const { report } = await verifyJson("--config", ledger.configFile);
    expect(report.comparedUpTo).toBeGreaterThanOrEqual(11);
    expect(report.ok).toBe(true);
  });

  test("a rotated key is followed by entries and checkpoints", async () => {
    const ledger = await makeRotated(40);
    const { report } = await verifyJson("--config", ledger.configFile);
    expect(report).toMatchObject({ ok: true, findings: [] });
    const pack = join(ledger.dir, "rotated.tar");
    await run("export", "--config", ledger.configFile, "--out", pack);
    expect((await verifyJson("--pack", pack, "--key", ledger.keyFile)).report).toMatchObject({
      ok: true,
      rotations: 1,
    });
  });

  test.each([
    ["an entry is changed", "UPDATE $.entry SET leaf = reverse(leaf) WHERE seq = 100", "malformed@100"],
    [
      "an entry and its hash are exchanged for another's",
      "UPDATE $.entry e SET leaf = o.leaf, leaf_hash = o.leaf_hash FROM $.entry o WHERE o.seq = 101 AND e.seq = 103",
      "seq_mismatch@103",
    ],
    [
      "a tile has a flipped bit",
      "UPDATE $.tile SET hashes = set_byte(hashes, 32 * 7, 1 + get_byte(hashes, 32 * 7) % 255) WHERE index = 0",
      "tile_mismatch@7",
    ],
    [
      "a checkpoint's note is changed",
      "UPDATE $.checkpoint SET note = replace(note, '=', 'A') WHERE id = (SELECT min(id) FROM $.checkpoint)",
      "checkpoint_untrusted",
    ],
    [
      "a checkpoint's root is changed",
      "UPDATE $.checkpoint SET root = sha256(root) WHERE id = (SELECT max(id) FROM $.checkpoint)",
      "checkpoint_mismatch@300",
    ],
    [
      "the newest five are deleted",
      "DELETE FROM $.entry WHERE seq > 295; DELETE FROM $.attachment WHERE seq > 295; DELETE FROM $.outcome WHERE seq > 295",
      "checkpoint_ahead@296",
    ],
    ["the middle is deleted", "DELETE FROM $.entry WHERE seq BETWEEN 200 AND 201", "missing@200"],
  ])("%s", async (_, statement, code) => {
    const ledger = await makePublished(database, 150);
    await ledger.tamper(statement.replaceAll("$", ledger.schema));
    const { status, codes } = await verifyJson("--config", ledger.configFile);
    expect(codes).toContain(code);
    expect(status).toBe(1);
  });

  test("the newest are deleted with their checkpoints: only one from outside shows it", async () => {
    const ledger = await makePublished(database, 100);
    const checkpoint = await saveCheckpoint(ledger, database);
    await ledger.tamper(
      ["entry", "attachment", "outcome"]
        .map((table) => `DELETE FROM ${ledger.schema}.${table} WHERE seq > 100`)
        .concat(`DELETE FROM ${ledger.schema}.checkpoint WHERE size > 101`)
        .join("; "),
    );
    expect((await verifyJson("--config", ledger.configFile)).report.ok).toBe(true);
    const { status, codes } = await verifyJson("--config", ledger.configFile, "--checkpoint", checkpoint);
    expect([status, codes]).toEqual([1, ["checkpoint_ahead@101"]]);
  });
});

test("what is given as --checkpoint and is none of this ledger: the ledger is not called broken, and what to give is said", async () => {
  const ledger = await makePublished(database, 20);
  const url = await serveLog(ledger, database);
  const pack = join(ledger.dir, "pack.tar");
  await run("export", "--config", ledger.configFile, "--out", pack);
  const own = await readFile(await saveCheckpoint(ledger, database, 11), "utf8");
  const file = join(ledger.dir, "given");
  const other = await makePublished(database, 30);
  const strange = (await readFile(await saveCheckpoint(other, database), "utf8")).split("\n");
  const waysToVerify = [
    ["--config", ledger.configFile],
    ["--config", ledger.configFile, "--no-signatures"],
    ["--url", url, "--key", ledger.keyFile],
    ["--pack", pack, "--key", ledger.keyFile],
  ];
  for (const way of waysToVerify) {
    await writeFile(file, "garbage\n");
    await expect(run("verify", ...way, "--checkpoint", file)).rejects.toThrow(
      /--checkpoint .*given: this is no checkpoint \(the note has no empty line.*give the whole signed note/,
    );
    for (const [given, why] of [
      [strange.join("\n"), `of the ledger ${other.origin}, and this is ${ledger.origin}`],
      [
        own.replace(/\n.(?=.{42}=\n\n)/, (start) => (start === "\nA" ? "\nB" : "\nA")),
        "has no good signature by a key that this ledger had then",
      ],
    ] as const) {
      await writeFile(file, given);
      const { status, text } = await run("verify", ...way, "--checkpoint", file);
      expect([status, text]).toEqual([2, expect.stringContaining(`NOT COMPARED: the checkpoint you gave`)]);
      expect(text).toContain(why);
      expect(text).not.toContain("BROKEN");
      expect((await verifyJson(...way, "--checkpoint", file)).report.ok).toBe(false);
    }
  }
  // What is wrong with the ledger itself comes first.
  await ledger.tamper(`UPDATE ${ledger.schema}.entry SET leaf = reverse(leaf) WHERE seq = 12`);
  const { status, text } = await run("verify", "--config", ledger.configFile, "--checkpoint", file);
  expect([status, text]).toEqual([1, expect.stringMatching(/^entry 12: malformed.*NOT COMPARED.*BROKEN: /s)]);
});

describe("without the entries' signatures", () => {
  test("checkpoints stand for them; those of events and after the last checkpoint are checked", async () => {
    const ledger = await makePublished(database, 150);
    const { status, report } = await verifyJson("--config", ledger.configFile, "--no-signatures");
    expect(report).toMatchObject({
      ok: true,
      size: 301,
      findings: [],
      vouchedFor: 301,
      signaturesChecked: 1,
    });
    expect([status, report.tiles]).toEqual([0, 1]);
    await passMany(await ledger.writer(), 3);
    const later = await verifyJson("--config", ledger.configFile, "--no-signatures");
    // The event at the beginning, and the six entries that came.
    expect(later.report).toMatchObject({ ok: true, size: 307, vouchedFor: 301, signaturesChecked: 7 });
    const { text } = await run("verify", "--config", ledger.configFile, "--no-signatures");
    expect(text).toMatch(/^OK: 307 entries, every hash and link checked, and 7 signature/);
    expect(text).toContain("NOT CHECKED: attachments and outcomes");
    expect(text).toContain("NOT ANCHORED");
    const { head, root } = (await verifyJson("--config", ledger.configFile)).report;
    expect(later.report).toMatchObject({ head, root });
  });

  test("a rotated key is followed", async () => {
    const ledger = await makeRotated(20);
    const { report } = await verifyJson("--config", ledger.configFile, "--no-signatures");
    expect(report).toMatchObject({ ok: true, findings: [] });
  });

  test.each([
    ["a leaf is changed", "UPDATE $.entry SET leaf = reverse(leaf) WHERE seq = 100", "malformed@100"],
    [
      "a letter of a signature is changed, and the column with it",
      "UPDATE $.entry SET leaf = c.leaf, leaf_hash = sha256('\\x00'::bytea || convert_to(c.leaf, 'UTF8')) FROM (SELECT overlay(leaf PLACING (CASE WHEN substr(leaf, length(leaf) - 20, 1) = 'A' THEN 'B' ELSE 'A' END) FROM length(leaf) - 20 FOR 1) AS leaf FROM $.entry WHERE seq = 100) c WHERE seq = 100",
      "link_broken@101",
    ],
    ["two are swapped", SWAPPED, "seq_mismatch@101"],
    ["the newest five are deleted", "DELETE FROM $.entry WHERE seq > 295", "checkpoint_ahead@296"],
    ["the middle is deleted", "DELETE FROM $.entry WHERE seq BETWEEN 200 AND 201", "missing@200"],
    [
      "a tile has a flipped bit",
      "UPDATE $.tile SET hashes = set_byte(hashes, 32 * 7, 1 + get_byte(hashes, 32 * 7) % 255) WHERE index = 0",
      "tile_mismatch@7",
    ],
    [
      "a checkpoint's root is changed",
      "UPDATE $.checkpoint SET root = sha256(root) WHERE id = (SELECT max(id) FROM $.checkpoint)",
      "checkpoint_mismatch@300",
    ],
  ])("%s", async (_, statement, code) => {
    const ledger = await makePublished(database, 150);
    await ledger.tamper(statement.replaceAll("$", ledger.schema));
    const { status, codes } = await verifyJson("--config", ledger.configFile, "--no-signatures");
    expect(codes).toContain(code);
    expect(status).toBe(1);
  });

  test("the newest entry, rewritten after the last checkpoint by somebody without the key", async () => {
    const ledger = await makePublished(database, 20);
    await passMany(await ledger.writer(), 3);
    await ledger.tamper(
      `UPDATE ${ledger.schema}.entry SET leaf = left(leaf, -86) || repeat('A', 86) WHERE seq = (SELECT max(seq) FROM ${ledger.schema}.entry)`,
    );
    const { codes } = await verifyJson("--config", ledger.configFile, "--no-signatures");
    expect(codes).toEqual(["signature_invalid@46"]);
  });

  test.each([
    [
      "that says to be of more entries than its note",
      "UPDATE $.checkpoint SET size = 1000000 WHERE size = 41",
    ],
    [
      "that hides before all others",
      "INSERT INTO $.checkpoint (id, size, root, note) OVERRIDING SYSTEM VALUE SELECT -1, 1000000, root, note FROM $.checkpoint WHERE size = 41",
    ],
  ])("a checkpoint %s speaks for nothing", async (_, statement) => {
    const ledger = await makePublished(database, 20);
    await passMany(await ledger.writer(), 3);
    await ledger.tamper(
      `${statement.replaceAll("$", ledger.schema)}; UPDATE ${ledger.schema}.entry SET leaf = left(leaf, -86) || repeat('A', 86) WHERE seq = (SELECT max(seq) FROM ${ledger.schema}.entry)`,
    );
    // Whatever else is brought to it.
    const own = await readFile(await saveCheckpoint(ledger, database, 41), "utf8");
    const foreign = join(ledger.dir, "foreign");
    await writeFile(foreign, own.replaceAll(ledger.origin, "elsewhere.example/main"));
    for (const given of [[], ["--checkpoint", foreign]]) {
      const { status, codes } = await verifyJson("--config", ledger.configFile, "--no-signatures", ...given);
      expect([status, codes.length > 0]).toEqual([1, true]);
    }
  });

  test("nothing is said where no checkpoint speaks, and of what has no tree", async () => {
    const ledger = await makePublished(database, 20);
    await ledger.tamper(`DELETE FROM ${ledger.schema}.checkpoint`);
    await expect(run("verify", "--config", ledger.configFile, "--no-signatures")).rejects.toThrow(
      "no signed checkpoint",
    );
    await expect(run("verify", "--export", "x", "--key", "y", "--no-signatures")).rejects.toThrow(
      "not for --export",
    );
  });
});

describe("a published ledger", () => {
  test("it verifies by its tiles, with a vkey or a JWK, and against an earlier checkpoint", async () => {
    const ledger = await makePublished(database, 150);
    const url = await serveLog(ledger, database);
    const checkpoint = await saveCheckpoint(ledger, database, 10);
    const { status, report } = await verifyJson(
      "--url",
      url,
      "--key",
      ledger.vkey,
      "--checkpoint",
      checkpoint,
    );
    expect(report).toMatchObject({ ok: true, size: 301, findings: [], open: 0 });
    expect([status, Number(report.comparedUpTo) >= 10, report.tiles]).toEqual([0, true, 3]);
    expect((await verifyJson("--url", `${url}/`, "--key", ledger.keyFile)).report).toMatchObject({
      ok: true,
    });
  });

  test("a changed bundle, tile or checkpoint is found; what is not there is an error", async () => {
    const ledger = await makePublished(database, 150);
    const verify = async (file: string, change: (bytes: Uint8Array) => Uint8Array | undefined) => {
      const url = await serveLog(ledger, database, (path, bytes) => (path === file ? change(bytes) : bytes));
      return (await verifyJson("--url", url, "--key", ledger.keyFile)).codes;
    };
    const flip = (at: number) => (bytes: Uint8Array) => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));
    expect(await verify("tile/entries/001.p/45", flip(700))).toEqual(
      expect.arrayContaining(["tile_mismatch@256"]),
    );
    expect(await verify("tile/0/001.p/45", flip(64))).toEqual(["tile_mismatch@258"]);
    expect(await verify("tile/1/000.p/1", flip(31))).toEqual(["tile_mismatch@0"]);
    // Another letter of the root that is still base64: "AAAA…" stays a well-formed checkpoint whatever the root was.
    const letter = ledger.origin.length + 10;
    const otherRoot = (bytes: Uint8Array) =>
      bytes.map((byte, i) => (i === letter ? (byte === 65 ? 66 : 65) : byte));
    expect((await verify("checkpoint", otherRoot)).length).toBe(1);
    await expect(verify("tile/entries/000", () => undefined)).rejects.toThrow("404");
    await expect(verify("tile/entries/000", (bytes) => bytes.subarray(0, 90))).rejects.toThrow(
      "no bundle of 256",
    );
  });

  test("a token goes by https, or nowhere but to this machine", async () => {
    const ledger = await makePublished(database, 1);
    const tokenFile = join(ledger.dir, "token");
    await writeFile(tokenFile, "secret");
    const args = ["--url", "http://ledger.example/l", "--key", ledger.keyFile, "--token-file", tokenFile];
    await expect(run("verify", ...args)).rejects.toThrow("https only");
  });
});

describe("what is asked for", () => {
  test("nothing is believed without a key of one's own", async () => {
    for (const flag of ["--pack", "--url", "--export"])
      await expect(run("verify", flag, "x")).rejects.toThrow(`${flag} needs --key`);
  });

  test("a file that is not there is said with the flag that named it", async () => {
    const ledger = await makePublished(database, 1);
    const { keyFile, dir } = ledger;
    for (const flag of ["--pack", "--export"]) {
      await expect(run("verify", flag, "gone.tar", "--key", keyFile)).rejects.toThrow(
        new Error(`${flag} gone.tar: there is no such file`),
      );
      await expect(run("verify", flag, dir, "--key", keyFile)).rejects.toThrow("that is a directory");
    }
    const checkpoint = run("verify", "--config", ledger.configFile, "--checkpoint", "gone.txt");
    await expect(checkpoint).rejects.toThrow("--checkpoint gone.txt: there is no such file");
    const out = join(dir, "out.tar");
    await expect(
      run("export", "--config", ledger.configFile, "--checkpoint", "gone.txt", "--out", out),
    ).rejects.toThrow("--checkpoint gone.txt: there is no such file");
  });

  test("one thing at a time", async () => {
    await expect(run("verify", "--pack", "a", "--url", "b", "--key", "c")).rejects.toThrow("say one of");
    await expect(run("verify", "--url", "b", "--witness", "w")).rejects.toThrow("--witness is for --pack");
  });

  test("keys that are none are refused with the reason", async () => {
    const ledger = await makePublished(database, 1);
    const other = join(ledger.dir, "other.jwk");
    await writeFile(other, formatPinnedJwk(newSigner().publicJwk));
    const pack = join(ledger.dir, "pack.tar");
    await run("export", "--config", ledger.configFile, "--out", pack);
    expect((await verifyJson("--pack", pack, "--key", other)).status).toBe(1);
    await expect(run("verify", "--pack", pack, "--key", `${ledger.vkey}x`)).rejects.toThrow("--key");
    const vkeyFile = join(ledger.dir, "vkey");
    await writeFile(vkeyFile, `${ledger.vkey}\n`);
    expect((await verifyJson("--pack", pack, "--key", vkeyFile)).status).toBe(0);
    expect((await readFile(pack)).length % 512).toBe(0);
  });
});

/** So many transactions, then another key and one transaction more, all of it published. */
async function makeRotated(transactions: number): Promise<PublishedLedger> {
  const ledger = await makePublished(database, transactions);
  const next = newSigner();
  const writer = await ledger.writer({ reloadSigner: async () => next });
  await writer.append({
    body: { type: "event", event: { name: "key-rotated", kid: next.kid, jwk: next.publicJwk } },
    attachments: [],
  });
  await passOne(await ledger.writer({ signer: next, reloadSigner: async () => next }));
  const publisher = await publish(ledger, { signer: next, reloadSigner: async () => next });
  await publisher.reaches(ledger.size + 3);
  await publisher.publisher.stop();
  return ledger;
}
