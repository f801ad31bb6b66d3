// The verifier's findings, code by code, on ledgers in memory.

import fc from "fast-check";
import { expect, test } from "vitest";
import { fastVerify } from "../../src/keys/fastVerify.ts";
import { hashLeaf } from "../../src/ledger/hash.ts";
import {
  type FindingCode,
  LedgerVerifier,
  type StoredEntry,
  type VerifierOptions,
} from "../../src/ledger/verify.ts";
import { newUuid, nodeSha256 } from "../../src/nodeCrypto.ts";
import { Chain, newSigner, ORIGIN, publicKeyOf, signAny } from "./chain.ts";

const signer = newSigner();
const stranger = newSigner();

/** Opened, two whole transactions, one that is open: 6 entries. */
function filled(by = signer): Chain {
  const chain = new Chain(by);
  chain.event({ name: "ledger-opened", kid: by.kid });
  chain.response(chain.request());
  chain.response(chain.request());
  chain.request();
  return chain;
}

function verify(rows: readonly StoredEntry[], options: Partial<VerifierOptions> = {}): LedgerVerifier {
  const verifier = new LedgerVerifier({
    origin: ORIGIN,
    pinned: [publicKeyOf(signer)],
    verify: fastVerify,
    ...options,
  });
  for (const row of rows) verifier.push(row);
  return verifier;
}

const found = (verifier: LedgerVerifier) => verifier.findings.map(({ seq, code }) => `${seq} ${code}`);

test("a sound ledger has no findings, and its open transactions are counted", () => {
  const { rows } = filled();
  const verifier = verify(rows);
  expect(verifier.findings).toEqual([]);
  expect(verifier.size).toBe(6);
  expect([...verifier.open.values()]).toEqual([5]);
  expect(Buffer.from(verifier.head.hash)).toEqual(Buffer.from(rows.at(-1)?.leafHash ?? ""));
});

test("leaves alone, as in an export, are verified without columns and attachments", () => {
  const rows = filled().rows.map(({ seq, leaf }) => ({ seq, leaf }));
  expect(verify(rows).findings).toEqual([]);
});

test("a leaf that is known to be signed costs no signature check; its key must be trusted, and all else fits as ever", () => {
  const { rows } = filled();
  const known = rows.slice(0, 3).map(({ leafHash }) => Buffer.from(leafHash ?? []).toString("hex"));
  const isSigned = (seq: number, hash: Uint8Array) => known[seq] === Buffer.from(hash).toString("hex");
  let asked = 0;
  const counting: VerifierOptions["verify"] = (...args) => {
    asked++;
    return fastVerify(...args);
  };
  expect(verify(rows, { isSigned, verify: counting }).findings).toEqual([]);
  expect(asked).toBe(rows.length - known.length);
  // One letter of it changed: it is another leaf, which nobody knows.
  const [first, second, ...rest] = rows;
  if (!first || !second) throw new Error("too few rows");
  const leaf = `${second.leaf.slice(0, -5)}${second.leaf.at(-5) === "A" ? "B" : "A"}${second.leaf.slice(-4)}`;
  const changed = [first, { ...second, leaf, leafHash: hashLeaf(Buffer.from(leaf)) }, ...rest];
  expect(found(verify(changed, { isSigned }))).toContain("1 signature_invalid");
  const pinned = [publicKeyOf(newSigner())];
  expect(found(verify(rows, { isSigned, pinned }))).toContain("0 key_not_trusted");
});

/** The same row with its leaf signed anew by the ledger's own key, its columns made to fit. */
function resigned(row: StoredEntry, change: object): StoredEntry {
  const payload = JSON.parse(Buffer.from(row.leaf.split(".")[1] ?? "", "base64url").toString()) as object;
  const leaf = signAny(signer, JSON.stringify({ ...payload, ...change }));
  return { ...row, leaf, leafHash: hashLeaf(Buffer.from(leaf)) };
}

type Change = (rows: StoredEntry[], row: StoredEntry) => StoredEntry[];
const at3 =
  (change: (row: StoredEntry) => StoredEntry): Change =>
  (rows, row) =>
    rows.with(3, change(row));

test.for<[FindingCode, string, Change]>([
  ["malformed", "a leaf that is no leaf", at3((row) => ({ ...row, leaf: "x" }))],
  ["missing", "no row", (rows) => rows.toSpliced(3, 1)],
  ["seq_mismatch", "a row twice", (rows, row) => rows.toSpliced(4, 0, row)],
  ["seq_mismatch", "a leaf that says another seq", at3((row) => resigned(row, { seq: 4 }))],
  [
    "origin_mismatch",
    "a leaf of another ledger under the same key",
    at3((row) => resigned(row, { log: "other/ledger" })),
  ],
  [
    "link_broken",
    "a leaf that follows another",
    at3((row) => resigned(row, { prev: Buffer.alloc(32, 7).toString("base64url") })),
  ],
  ["column_mismatch", "leaf_hash", at3((row) => ({ ...row, leafHash: new Uint8Array(32) }))],
  ["column_mismatch", "a leaf_hash cut short", at3((row) => ({ ...row, leafHash: new Uint8Array(3) }))],
  ["column_mismatch", "type", at3((row) => ({ ...row, type: "refusal" }))],
  ["column_mismatch", "txn", at3((row) => ({ ...row, txn: null }))],
  ["column_mismatch", "instance", at3((row) => ({ ...row, instance: newUuid() }))],
  ["attachment_missing", "an attachment gone", at3((row) => ({ ...row, attachments: [] }))],
  ["attachment_mismatch", "another content", at3((row) => bent(row, { content: Buffer.from("[]") }))],
  ["attachment_mismatch", "another salt", at3((row) => bent(row, { salt: new Uint8Array(32) }))],
  ["attachment_mismatch", "a salt of 31 bytes", at3((row) => bent(row, { salt: new Uint8Array(31) }))],
  [
    "attachment_unknown",
    "one more",
    at3((row) => ({
      ...row,
      attachments: [
        ...(row.attachments ?? []),
        { name: "more", salt: new Uint8Array(32), content: new Uint8Array() },
      ],
    })),
  ],
  [
    "outcome_orphan",
    "a response to nothing",
    (rows, row) => rows.with(4, resigned(rows[4] ?? row, { requestSeq: 1 })),
  ],
  ["outcome_orphan", "a second response", (rows, row) => rows.with(5, asNext(rows[4] ?? row, 5, rows[4]))],
  [
    "outcome_duplicate",
    "a second request for an open transaction",
    (rows, row) => rows.with(4, asNext(row, 4, row)),
  ],
  [
    "key_not_trusted",
    "signed by a stranger",
    (rows) => rows.with(3, filled(stranger).rows[3] ?? expect.fail()),
  ],
  [
    "signature_invalid",
    "the signature of another leaf",
    at3((row) => ({ ...row, leaf: swapSignature(row.leaf) })),
  ],
])("%s: %s", ([code, , change]) => {
  const { rows } = filled();
  const verifier = verify(change([...rows], rows[3] ?? expect.fail()));
  const seqs = verifier.findings.filter((finding) => finding.code === code).map(({ seq }) => seq);
  expect(seqs.length).toBeGreaterThan(0);
  for (const seq of seqs) expect([3, 4, 5]).toContain(seq);
});

function bent(row: StoredEntry, change: object): StoredEntry {
  return { ...row, attachments: (row.attachments ?? []).map((attachment) => ({ ...attachment, ...change })) };
}

function asNext(row: StoredEntry, seq: number, before: StoredEntry | undefined): StoredEntry {
  const prev = Buffer.from(before?.leafHash ?? "").toString("base64url");
  return { ...resigned(row, { seq, prev }), seq };
}

function swapSignature(leaf: string): string {
  const [header, payload] = leaf.split(".");
  return `${header}.${payload}.${Buffer.from(signer.sign(Buffer.from("other"))).toString("base64url")}`;
}

test("a bad entry is named once: the entry after it is not blamed for the link", () => {
  const { rows } = filled();
  expect(found(verify(rows.with(2, { ...(rows[2] ?? expect.fail()), leaf: "x" })))).toEqual(["2 malformed"]);
});

test("a ledger signed by the wrong key is not trusted in any entry", () => {
  const verifier = verify(filled(stranger).rows);
  expect(found(verifier)).toEqual([0, 1, 2, 3, 4, 5].map((seq) => `${seq} key_not_trusted`));
});

test("the end cut off cannot be seen from inside; the head says so", () => {
  const { rows } = filled();
  const verifier = verify(rows.slice(0, 3));
  expect(verifier.findings).toEqual([]);
  expect(verifier.head.size).toBe(3);
});

// case 66
test("after a rotation the new key signs, the old one does not, and the first one is all that is pinned", () => {
  const next = newSigner();
  const chain = filled();
  chain.event({ name: "key-rotated", jwk: next.publicJwk });
  chain.signer = next;
  chain.response(chain.request());
  expect(verify(chain.rows).findings).toEqual([]);
  chain.signer = signer;
  chain.request();
  expect(found(verify(chain.rows))).toEqual(["9 key_not_trusted"]);
});

// case 66
test("a rotation that the current key did not sign introduces nobody", () => {
  const chain = filled();
  chain.signer = stranger;
  chain.event({ name: "key-rotated", jwk: stranger.publicJwk });
  chain.request();
  expect(found(verify(chain.rows))).toEqual(["6 key_not_trusted", "7 key_not_trusted"]);
});

test("a ledger that begins under one pinned key does not go on under another without a rotation", () => {
  const chain = filled();
  chain.signer = stranger;
  chain.request();
  const pinned = [publicKeyOf(signer), publicKeyOf(stranger)];
  expect(found(verify(chain.rows, { pinned }))).toEqual(["6 key_not_trusted"]);
});

test("whatever rows come in, findings come out: never an error, and never silence about a change", () => {
  const { rows } = filled();
  const sound = verify(rows).findings.length;
  expect(sound).toBe(0);
  const bytes = fc.uint8Array({ maxLength: 40 });
  const change = fc.record(
    {
      seq: fc.integer({ min: 0, max: 9 }),
      leaf: fc.oneof(
        fc.string(),
        fc.json().map((payload) => signAny(signer, payload)),
        fc.constantFrom(...rows.map(({ leaf }) => leaf)),
      ),
      leafHash: bytes,
      type: fc.string(),
      txn: fc.option(fc.uuid()),
      instance: fc.uuid(),
      attachments: fc.array(fc.record({ name: fc.string(), salt: bytes, content: bytes }), {
        minLength: 2,
        maxLength: 3,
      }),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.nat(5), change, (at, fields) => {
      const row = rows[at] ?? expect.fail();
      const changed = { ...row, ...fields };
      const isChanged = Object.entries(fields).some(
        ([name, value]) => row[name as keyof StoredEntry] !== value,
      );
      const verifier = verify(rows.with(at, changed));
      if (isChanged) expect(verifier.findings.length).toBeGreaterThan(0);
    }),
    { numRuns: 250 },
  );
});

test("the order and number of rows can not be changed unnoticed, but for the end", () => {
  const { rows } = filled();
  fc.assert(
    fc.property(fc.shuffledSubarray(rows, { minLength: 1 }), (some) => {
      const isPrefix = some.every((row, i) => row === rows[i]);
      expect(verify(some).findings.length > 0).toBe(!isPrefix);
    }),
  );
});

test("portable and fast verification give the same report", () => {
  const { rows } = filled();
  const bad = [...rows.slice(0, 4), filled(stranger).rows[4] ?? expect.fail(), ...rows.slice(5)];
  for (const input of [rows, bad]) {
    const portable = new LedgerVerifier({ origin: ORIGIN, pinned: [publicKeyOf(signer)] });
    for (const row of input) portable.push(row);
    expect(portable.findings).toEqual(verify(input, { digest: nodeSha256 }).findings);
  }
});

test("a row planted far beyond the end is named, and the gap before it without an end of names", () => {
  const { rows } = filled();
  const far = { seq: 4_000_000_000_000_000, leaf: rows.at(-1)?.leaf ?? "" };
  const { findings } = verify([...rows, far]);
  expect(findings.length).toBeLessThan(10_100);
  expect(findings[0]).toMatchObject({ seq: 6, code: "missing" });
  expect(findings.find(({ detail }) => detail.includes("to 3999999999999999"))).toMatchObject({
    seq: 10_006,
    code: "missing",
  });
  expect(findings.at(-1)?.seq).toBe(far.seq);
});

test("what is left out on purpose is no finding, and links are checked again from there on", () => {
  const { rows } = filled();
  const pinned = [publicKeyOf(signer)];
  const from = (tail: readonly StoredEntry[]) => {
    const verifier = new LedgerVerifier({ origin: ORIGIN, pinned, verify: fastVerify });
    verifier.skipTo(tail[0]?.seq ?? 0);
    for (const row of tail) verifier.push(row);
    return found(verifier);
  };
  expect(from(rows.slice(3))).toEqual([]);
  const other = filled().rows;
  const [a, b, c] = [rows[3], other[4], other[5]];
  if (!a || !b || !c) throw new Error("the chain is too short");
  expect(from([a, b, c])).toContain("4 link_broken");
});
