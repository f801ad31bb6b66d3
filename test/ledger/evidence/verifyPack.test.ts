// Evidence packs: those that are made verify, and whatever is done to one is found and named.

import { describe, expect, test } from "vitest";
import type { EntryVerdict } from "../../../src/ledger/evidence/packBody.ts";
import { parseWitnessPolicy } from "../../../src/ledger/note/logPolicy.ts";
import { formatVerifierKey, makeWitnessKey } from "../../../src/ledger/note/verifierKey.ts";
import { newSigner, ORIGIN, publicKeyOf } from "../chain.ts";
import { ACCOUNT, changePack, changeText, nameOf, Published, putTogether, takeApart } from "./packs.ts";

const ledger = Published.of(300);
const whole = await ledger.pack();

/** The first checkpoint of at least this size. */
const earlier = (size: number): string => ledger.checkpoints.find((one) => one.size >= size)?.note ?? "";

const codesOf = async (pack: Uint8Array, options = {}): Promise<string[]> => {
  const { ok, findings } = await ledger.verify(pack, options);
  expect(ok).toBe(findings.length === 0);
  return findings.map(({ code, seq }) => (seq === undefined ? code : `${code}@${seq}`));
};

describe("a pack that was made verifies", () => {
  test("of the whole ledger", async () => {
    const verdicts: EntryVerdict[] = [];
    const report = await ledger.verify(whole, { onEntry: (verdict: EntryVerdict) => verdicts.push(verdict) });
    expect(report).toMatchObject({
      ok: true,
      origin: ORIGIN,
      entries: 601,
      proved: 601,
      attachments: 600,
      firstSeq: 0,
      lastSeq: 600,
      sizes: { first: 3, last: 601 },
      completeness: "gap_free",
      findings: [],
    });
    expect(verdicts.map(({ seq }) => seq)).toEqual(Array.from({ length: 601 }, (_, i) => i));
    expect(verdicts.every(({ claims }) => claims !== undefined)).toBe(true);
  });

  test.each([
    { kind: "range", from: 5, to: 5 },
    { kind: "range", from: 250, to: 262 },
    { kind: "range", from: 255, to: 512 },
    { kind: "range", from: 590 },
  ] as const)("$from to $to", async (query) => {
    const { ok, findings, firstSeq, lastSeq, completeness } = await ledger.verify(
      await ledger.pack({ query }),
    );
    expect({ ok, findings }).toEqual({ ok: true, findings: [] });
    expect([firstSeq, lastSeq, completeness]).toEqual([
      query.from,
      "to" in query ? query.to : 600,
      "gap_free",
    ]);
  });

  test("of an account", async () => {
    const pack = await ledger.pack({ query: { kind: "account", ...ACCOUNT } });
    const report = await ledger.verify(pack);
    expect(report).toMatchObject({ ok: true, entries: 150, completeness: "selection" });
  });

  test("of a transaction", async () => {
    const txn = ledger.chain.rows[21]?.txn ?? "";
    const pack = await ledger.pack({ query: { kind: "transaction", txn } });
    expect(await ledger.verify(pack)).toMatchObject({ ok: true, entries: 2, firstSeq: 21, lastSeq: 22 });
  });

  test("without attachments, and it says so", async () => {
    const pack = await ledger.pack({ withoutAttachments: "this auditor may not see them" });
    const { ok, attachments, statement } = await ledger.verify(pack);
    expect({ ok, attachments }).toEqual({ ok: true, attachments: 0 });
    expect(statement?.leftOut).toEqual(["attachments: this auditor may not see them"]);
  });

  test("in pieces of any size, and after zeros that another tar added", async () => {
    for (const size of [1, 511, 512, 70_001]) {
      const some = await ledger.pack({ query: { kind: "range", from: 10, to: 12 } });
      const pieces = Array.from({ length: Math.ceil(some.length / size) }, (_, i) =>
        some.subarray(i * size, (i + 1) * size),
      );
      const { verifyPack } = await import("../../../src/ledger/evidence/verifyPack.ts");
      expect(await verifyPack(pieces, { pinned: [ledger.genesis] })).toMatchObject({ ok: true, entries: 3 });
    }
    expect(await codesOf(Buffer.concat([whole, Buffer.alloc(10_240)]))).toEqual([]);
  });

  test("over rotations of the key, for whoever pinned the first or a later one", async () => {
    const rotating = Published.of(3);
    const second = rotating.rotate();
    rotating.publish();
    rotating.add(3).publish();
    rotating.rotate();
    rotating.add(300).publish();
    const pack = await rotating.pack();
    expect(await rotating.verify(pack)).toMatchObject({ ok: true, findings: [], rotations: 2, entries: 615 });
    const late = await rotating.pack({ query: { kind: "range", from: 20, to: 40 } });
    expect(await rotating.verify(late)).toMatchObject({ ok: true, findings: [], rotations: 2 });
    expect(await rotating.verify(late, { pinned: [publicKeyOf(second)] })).toMatchObject({
      ok: true,
      findings: [],
    });
    expect((await rotating.verify(late, { pinned: [publicKeyOf(newSigner())] })).ok).toBe(false);
    const untold = await changePack(late, (member) => (member.name.startsWith("rotations/") ? [] : member));
    const codes = new Set((await rotating.verify(untold)).findings.map(({ code }) => code));
    expect([...codes].sort()).toEqual(["checkpoint_untrusted", "key_not_trusted"]);
  });
});

describe("what a verifier holds against a pack", () => {
  test("another key than the pinned one", async () => {
    const codes = await codesOf(whole, { pinned: [publicKeyOf(newSigner())] });
    expect(new Set(codes.map((code) => code.split("@")[0]))).toEqual(
      new Set(["checkpoint_untrusted", "key_not_trusted"]),
    );
  });

  test("another origin", async () => {
    expect(await codesOf(whole, { origin: "test.scimseal.example/other" })).toContain("statement_mismatch");
  });

  test.each([3, 255, 601])("its own earlier checkpoint of about %i entries", async (size) => {
    const report = await ledger.verify(whole, { earlier: earlier(size) });
    expect(report).toMatchObject({ ok: true, earlier: { isContinued: true } });
  });

  test("a checkpoint from within a range, without any proof for it", async () => {
    const pack = await ledger.pack({ query: { kind: "range", from: 300, to: 500 } });
    expect(await ledger.verify(pack, { earlier: earlier(400) })).toMatchObject({
      ok: true,
      earlier: { isContinued: true },
    });
    const alone = await ledger.verify(pack, { earlier: earlier(100) });
    expect(alone.findings.map(({ code }) => code)).toEqual(["earlier_not_compared"]);
    expect(alone).toMatchObject({ ok: false, judgement: "not_compared" });
    const size = ledger.checkpoints.find((one) => one.size >= 100)?.size ?? 0;
    const told = await ledger.pack({ query: { kind: "range", from: 300, to: 500 }, earlierSizes: [size] });
    expect(await ledger.verify(told, { earlier: earlier(100) })).toMatchObject({
      ok: true,
      earlier: { isContinued: true },
    });
    // The newest tree, wherever the range ends: the checkpoint that an auditor kept is seldom older than the range.
    expect(await ledger.verify(pack, { earlier: earlier(601) })).toMatchObject({
      ok: true,
      judgement: "ok",
      sizes: { last: 601 },
    });
  });

  test("a checkpoint of a later tree finds nothing wrong, and what else is wrong stays broken", async () => {
    const later = Published.of(0);
    later.chain.rows.splice(0, 1, ...ledger.chain.rows);
    later.chain.signer = ledger.chain.signer;
    later.add(1);
    const note = later.publish();
    const report = await ledger.verify(whole, { earlier: note });
    expect(report).toMatchObject({ ok: false, judgement: "not_compared", earlier: { isContinued: false } });
    expect(report.findings).toEqual([
      {
        code: "earlier_not_compared",
        detail: expect.stringMatching(
          /of 603 entries, and the pack's tree has 601: ask for a pack of a later/,
        ),
      },
    ]);
    // Signed by a key that came after this pack: its signature cannot be judged, and is not held against the pack.
    later.rotate();
    expect(await ledger.verify(whole, { earlier: later.publish() })).toMatchObject({
      judgement: "not_compared",
    });
    const bad = await changeText(whole, "statement.json", (text) =>
      text.replace('"count": 601', '"count": 600'),
    );
    expect(await ledger.verify(bad, { earlier: note })).toMatchObject({ judgement: "broken" });
  });

  test("a ledger rewritten with the real key is not the continuation of the earlier one", async () => {
    const other = new Published(ledger.chain.signer);
    other.chain.event({ name: "ledger-opened", kid: ledger.genesis.kid });
    other.add(300).publish();
    const { ok, findings } = await other.verify(await other.pack(), { earlier: earlier(255) });
    expect({ ok, codes: findings.map(({ code }) => code) }).toEqual({
      ok: false,
      codes: ["earlier_mismatch"],
    });
  });

  test("what was given as an earlier checkpoint and is none of this ledger: nothing is said against the pack", async () => {
    const own = earlier(255);
    const [{ note: strange } = { note: "" }] = Published.of(3).checkpoints;
    for (const [given, why] of [
      ["garbage", "no checkpoint (the note has no empty line"],
      [own.slice(0, -1), "no checkpoint (the note has no signature, or its last line is not ended)"],
      [
        own.replaceAll(ORIGIN, "elsewhere.example/main"),
        `is of the ledger elsewhere.example/main, and this is ${ORIGIN}`,
      ],
      [
        own.replace(/\n.(?=.{42}=\n\n)/, (start) => (start === "\nA" ? "\nB" : "\nA")),
        "has no good signature by a key that this ledger had then",
      ],
      [strange, "another ledger of the same name, or it was rewritten with another key"],
    ] as const) {
      const report = await ledger.verify(whole, { earlier: given });
      expect(report).toMatchObject({ ok: false, judgement: "not_compared", earlier: undefined });
      expect(report.findings).toEqual([
        { code: "earlier_not_compared", detail: expect.stringContaining(why) },
      ]);
    }
    const bad = await changeText(whole, nameOf("entries", 0), (text) => text.replace(/.\n/, "\n"));
    expect(await ledger.verify(bad, { earlier: strange })).toMatchObject({ judgement: "broken" });
  });

  test("fewer witnesses than it asks for", async () => {
    const vkey = formatVerifierKey(makeWitnessKey("witness.example/w", publicKeyOf(newSigner()).bytes));
    const witnesses = parseWitnessPolicy({ threshold: 1, witnesses: [vkey] });
    expect(await codesOf(whole, { witnesses })).toEqual(["not_witnessed"]);
  });
});

describe("whatever is done to a pack is found", () => {
  const flip = (bytes: Uint8Array, at = Math.floor(bytes.length / 2)): Uint8Array =>
    bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));

  test("one bit of any member", async () => {
    const pack = await ledger.pack({ query: { kind: "range", from: 11, to: 14 }, earlierSizes: [3] });
    const members = await takeApart(pack);
    for (const { name } of members) {
      const bad = await changePack(pack, (member) =>
        member.name === name ? { name, bytes: flip(member.bytes) } : member,
      );
      const isHint = ["README.txt", "keys.json"].includes(name);
      const { ok } = await ledger.verify(bad, { earlier: earlier(3) });
      expect([name, ok]).toEqual([name, isHint]);
    }
  });

  test("any member left out, doubled, or swapped with the next", async () => {
    const pack = await ledger.pack({ query: { kind: "range", from: 11, to: 13 } });
    const members = await takeApart(pack);
    for (const [i, member] of members.entries()) {
      const next = members[i + 1];
      const variants = {
        "left out": members.toSpliced(i, 1),
        doubled: members.toSpliced(i, 0, member),
        ...(next && { swapped: members.toSpliced(i, 2, next, member) }),
      };
      for (const [what, changed] of Object.entries(variants)) {
        expect([member.name, what, (await ledger.verify(putTogether(changed))).ok]).toEqual([
          member.name,
          what,
          false,
        ]);
      }
    }
  });

  test("a flipped bit of a leaf names that entry alone", async () => {
    const bad = await changeText(whole, nameOf("entries", 256), (text) => {
      const lines = text.split("\n");
      lines[10] = lines[10]?.replace(/.$/, (last) => (last === "A" ? "Q" : "A")) ?? "";
      return lines.join("\n");
    });
    expect(await codesOf(bad)).toEqual(["proof_invalid@266", "signature_invalid@266"]);
  });

  test("an entry taken out with its proof", async () => {
    const bad = await changePack(
      await changeText(whole, nameOf("entries", 256), (text) => text.split("\n").toSpliced(10, 1).join("\n")),
      (member) => (member.name.includes("0000000000000266") ? [] : member),
    );
    expect(await codesOf(bad)).toEqual(["missing@267", "statement_mismatch", "statement_mismatch"]);
  });

  test("an entry of another ledger under the same key", async () => {
    const other = new Published(ledger.chain.signer);
    other.chain.event({ name: "ledger-opened", kid: ledger.genesis.kid });
    other.add(10);
    const leaf = other.chain.rows[7]?.leaf ?? "";
    const bad = await changeText(whole, nameOf("entries", 0), (text) =>
      text.split("\n").with(7, leaf).join("\n"),
    );
    expect(await codesOf(bad)).toEqual(expect.arrayContaining(["proof_invalid@7"]));
  });

  test("the newest five cut off, checkpoint and all: only an earlier checkpoint shows it", async () => {
    const cut = Published.of(0);
    cut.chain.rows.splice(0, 1, ...ledger.chain.rows.slice(0, 596));
    cut.chain.signer = ledger.chain.signer;
    cut.checkpoints.length = 0;
    cut.publish();
    const pack = await cut.pack();
    expect(await codesOf(pack)).toEqual([]);
    expect(await codesOf(pack, { earlier: ledger.checkpoints.at(-1)?.note })).toEqual([
      "earlier_not_compared",
    ]);
  });

  test("a statement that says something else", async () => {
    for (const [from, to] of [
      ['"count": 601', '"count": 600'],
      ['"gapFree": true', '"gapFree": false'],
      ['"lastSeq": 600', '"lastSeq": 599'],
      [ORIGIN, "test.scimseal.example/other"],
      ['"last": 601', '"last": 602'],
    ] as const) {
      const bad = await changeText(whole, "statement.json", (text) => text.replace(from, to));
      expect(new Set(await codesOf(bad))).toEqual(new Set(["statement_mismatch"]));
    }
  });

  test("bytes cut off anywhere", async () => {
    const pack = await ledger.pack({ query: { kind: "range", from: 11, to: 12 } });
    for (let at = 0; at < pack.length; at += 700) {
      const { ok, findings } = await ledger.verify(pack.subarray(0, at));
      expect([at, ok, findings.some(({ code }) => code === "pack_malformed")]).toEqual([at, false, true]);
    }
  });
});
