// docs/verify/verify_pack.py: a verifier in another language, written from docs/FORMAT.md alone. It must come to the
// verdict of the product, for good and for tampered packs. Where there is no Python, the test says so and runs nothing.

import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { formatPublicJwk } from "../../src/ledger/key.ts";
import { formatVerifierKey, makeLogKey } from "../../src/ledger/note/verifierKey.ts";
import { newSigner, ORIGIN, publicKeyOf } from "../ledger/chain.ts";
import { changePack, changeText, nameOf, Published, takeApart } from "../ledger/evidence/packs.ts";
import edges from "../vectors/ed25519Edges.json" with { type: "json" };
import published from "../vectors/ed25519Public.json" with { type: "json" };
import type { Vectors } from "../vectors/makeEntry.ts";
import { makePackExample } from "./packExample.ts";

const SCRIPT = "docs/verify/verify_pack.py";
const python = ["python3", "python"].find(
  (name) => spawnSync(name, ["-c", "import sys; sys.exit(sys.version_info < (3, 8))"]).status === 0,
);
if (python === undefined) console.warn(`there is no Python 3 here: ${SCRIPT} was not run`);

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "scimseal-python-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** Exit status and last line; undefined where there is no Python. */
async function check(pack: Uint8Array, key: string, earlier?: string) {
  const files = { pack: join(dir, "pack.tar"), key: join(dir, "key"), earlier: join(dir, "earlier") };
  await writeFile(files.pack, pack);
  await writeFile(files.key, key);
  if (earlier !== undefined) await writeFile(files.earlier, earlier);
  const args = [SCRIPT, files.pack, files.key, ...(earlier === undefined ? [] : [files.earlier])];
  const { status, stdout, stderr } = spawnSync(python ?? "", args, { encoding: "utf8" });
  return { status, text: `${stdout}${stderr}` };
}

test("it is short, and needs the standard library only", async () => {
  const text = await readFile(SCRIPT, "utf8");
  expect(text.split("\n").length).toBeLessThan(150);
  const imports = [...text.matchAll(/^\s*(?:import|from) (.*)$/gm)].map(([, what]) => what);
  expect(imports).toEqual(["base64, hashlib, json, os, re, sys, tarfile"]);
});

describe.runIf(python !== undefined)("beside the product", () => {
  const ledger = Published.of(5);
  ledger.rotate();
  ledger.publish();
  ledger.add(8).publish();
  const key = JSON.stringify(formatPublicJwk(ledger.genesis.bytes));
  const vkey = formatVerifierKey(makeLogKey(ORIGIN, ledger.genesis.bytes));

  async function expectSame(pack: Uint8Array, isGood: boolean, earlier?: string): Promise<string> {
    const report = await ledger.verify(pack, earlier === undefined ? {} : { earlier });
    const { status, text } = await check(pack, key, earlier);
    expect([report.ok, status, text]).toEqual([isGood, isGood ? 0 : 1, text]);
    return text;
  }

  test("the pack of the page", async () => {
    const vectors = JSON.parse(await readFile("test/vectors/entry.json", "utf8")) as Vectors;
    const { pack, parts } = await makePackExample(vectors);
    const [first = ""] = (parts.vkeys ?? "").split("\n");
    const { status, text } = await check(pack, first, `${parts["checkpoint:3"]}\n`);
    expect([status, text.startsWith("OK: 3 entries of scim.example.com/main, tree of 10")]).toEqual([
      0,
      true,
    ]);
  });

  test("good packs, with a JWK or a vkey, over a rotation, and an earlier checkpoint", async () => {
    expect(await expectSame(await ledger.pack(), true)).toContain("OK: 28 entries");
    expect((await check(await ledger.pack(), vkey)).status).toBe(0);
    for (const { size, note } of ledger.checkpoints) {
      const pack = await ledger.pack({ query: { kind: "range", from: 14, to: 20 }, earlierSizes: [size] });
      if (size <= 21) await expectSame(pack, true, note);
    }
    const selection = await ledger.pack({
      query: { kind: "transaction", txn: ledger.chain.rows[3]?.txn ?? "" },
    });
    await expectSame(selection, true);
    await expectSame(await ledger.pack({ withoutAttachments: "why not" }), true);
  });

  test("a checkpoint that the pack cannot be compared with is neither good nor bad; findings come first", async () => {
    const [oldest] = ledger.checkpoints;
    const pack = await ledger.pack({ query: { kind: "range", from: 14, to: 20 } });
    const newer = Published.of(0);
    newer.chain.rows.splice(0, 1, ...ledger.chain.rows);
    newer.chain.signer = ledger.chain.signer;
    newer.add(1);
    newer.rotate();
    // Once by the key that the pack knows, once by one that came after it.
    for (const later of [newer.publish(ledger.chain.signer), newer.publish()]) {
      expect((await ledger.verify(pack, { earlier: later })).judgement).toBe("not_compared");
      const { status, text } = await check(pack, key, later);
      expect([status, text]).toEqual([2, expect.stringMatching(/^NOT COMPARED: your checkpoint is of \d+/)]);
    }
    const apart = await check(pack, key, oldest?.note);
    expect([apart.status, apart.text]).toEqual([2, expect.stringContaining("in itself: 7 entries")]);
    const bad = await changeText(pack, nameOf("entries", 14), (text) =>
      text.replace(/.\n/, (end) => (end === "A\n" ? "Q\n" : "A\n")),
    );
    expect(await expectSame(bad, false, newer.publish(ledger.chain.signer))).toContain("BROKEN: 7 entries");
  });

  test("called in another way it says how to call it, and a key that is none is named", async () => {
    const run = (...args: string[]) => spawnSync(python ?? "", [SCRIPT, ...args], { encoding: "utf8" });
    for (const [args, status] of [
      [[], 2],
      [["--help"], 0],
      [["one"], 2],
    ] as const)
      expect(run(...args)).toMatchObject({
        status,
        stdout: expect.stringContaining("usage: verify_pack.py PACK KEY"),
      });
    expect(run("pack", "no-such.jwk")).toMatchObject({
      status: 2,
      stdout: expect.stringContaining("KEY is no file"),
    });
  });

  test("one changed bit of each member that counts", async () => {
    const pack = await ledger.pack({ query: { kind: "range", from: 12, to: 14 } });
    for (const { name } of await takeApart(pack)) {
      // The middle of the statement is its query, which this verifier leaves to others.
      if (["README.txt", "keys.json", "statement.json", "consistency.json"].includes(name)) continue;
      const bad = await changePack(pack, (member) =>
        member.name === name
          ? {
              name,
              bytes: member.bytes.map((byte, i) =>
                i === Math.floor(member.bytes.length / 2) ? byte ^ 1 : byte,
              ),
            }
          : member,
      );
      await expectSame(bad, false);
    }
  });

  test("an entry or a proof left out, a member twice, another key", async () => {
    const pack = await ledger.pack();
    const without = await changeText(pack, nameOf("entries", 0), (text) =>
      text.split("\n").toSpliced(9, 1).join("\n"),
    );
    expect(await expectSame(without, false)).toContain("entries are not those of the statement");
    await expectSame(
      await changePack(pack, (member) => (member.name === nameOf("proofs", 4) ? [] : member)),
      false,
    );
    await expectSame(
      await changePack(pack, (member) => (member.name === "keys.json" ? [member, member] : member)),
      false,
    );
    const other = JSON.stringify(formatPublicJwk(publicKeyOf(newSigner()).bytes));
    expect((await check(pack, other)).status).toBe(1);
  });

  test("what is given as a checkpoint and is none of this ledger says nothing about the pack; findings come first", async () => {
    const pack = await ledger.pack();
    const [{ note } = { note: "" }] = ledger.checkpoints;
    const given = [
      "garbage",
      `${ORIGIN}\nmany\n`,
      "\u0000\ufffd",
      note.slice(0, -9),
      note.replace(/.{9}=\n$/, "AAAAAAAAA=\n"),
      note.replaceAll(ORIGIN, "elsewhere.example/main"),
      new Published(newSigner()).add(5).publish(),
    ];
    const bad = await changeText(pack, nameOf("entries", 0), (text) =>
      text.replace(/.\n/, (end) => (end === "A\n" ? "Q\n" : "A\n")),
    );
    for (const earlier of given) {
      expect((await ledger.verify(pack, { earlier })).judgement).toBe("not_compared");
      const { status, text } = await check(pack, key, earlier);
      expect([status, text]).toEqual([2, expect.stringContaining("EARLIER is no checkpoint")]);
      expect((await ledger.verify(bad, { earlier })).judgement).toBe("broken");
      expect((await check(bad, key, earlier)).status).toBe(1);
    }
  });

  test("what no entry names is not evidence, though it lies beside what is", async () => {
    const pack = await ledger.pack({ query: { kind: "range", from: 12, to: 14 } });
    const plant = (name: string) =>
      changePack(pack, (member) =>
        member.name === nameOf("proofs", 14) ? [member, { name, bytes: Buffer.alloc(32) }] : member,
      );
    const folder = "attachments/0000000000000012";
    for (const name of [`${folder}/planted`, `${folder}/planted.salt`, "evil.txt", nameOf("proofs", 77)]) {
      expect(await expectSame(await plant(name), false)).toContain(name);
    }
    // A statement that says that they were left out makes nobody believe attachments that were not looked at.
    const swapped = await changePack(pack, (member) =>
      member.name.endsWith("/body") ? { ...member, bytes: Buffer.from("{}") } : member,
    );
    const hidden = await changeText(swapped, "statement.json", (text) =>
      text.replace('"included"', '"left_out"'),
    );
    await expectSame(hidden, false);
  });

  test("its Ed25519 refuses what it must: the edge cases of all implementations", async () => {
    const program = [
      "import importlib.util, json, sys",
      `spec = importlib.util.spec_from_file_location("v", ${JSON.stringify(SCRIPT)})`,
      "v = importlib.util.module_from_spec(spec); spec.loader.exec_module(v)",
      "def ok(c):",
      "    try: return bool(v.signed(bytes.fromhex(c[0]), bytes.fromhex(c[1]), bytes.fromhex(c[2])))",
      "    except ValueError: return False",
      "print(json.dumps([ok(c) for c in json.load(sys.stdin)]))",
    ].join("\n");
    const cases = [...edges.cases, ...published.groups.flatMap((group) => group.cases)];
    const input = JSON.stringify(cases.map(({ key, message, signature }) => [key, message, signature]));
    const { stdout, stderr } = spawnSync(python ?? "", ["-c", program], { input, encoding: "utf8" });
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toEqual(cases.map(({ valid }) => valid));
  });
});
