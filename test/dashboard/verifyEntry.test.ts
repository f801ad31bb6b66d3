// "Verify in this browser" against a server that lies: every piece of evidence changed in turn, each found by the step
// that is there for it, and by no wrong one.

import { describe, expect, test } from "vitest";
import type { InclusionAnswer, ShownEntry } from "../../src/dashboard/api/types.ts";
import { readFacts, readTransaction } from "../../src/dashboard/verify/claims.ts";
import {
  checkPart,
  type EntryEvidence,
  type Step,
  verifyEntry,
} from "../../src/dashboard/verify/verifyEntry.ts";
import { encodeBase64 } from "../../src/ledger/base64.ts";
import { hashLeaf } from "../../src/ledger/hash.ts";
import type { PublicKey } from "../../src/ledger/key.ts";
import { climb } from "../../src/ledger/tree/proof.ts";
import { hashLevels } from "../../src/ledger/tree/treeLevels.ts";
import { newSigner, ORIGIN, publicKeyOf } from "../ledger/chain.ts";
import { Published } from "../ledger/evidence/packs.ts";

const published = Published.of(9);
const rotatedAt = published.size;
published.rotate();
published.add(4);
published.publish();
const pinned: { keys: readonly PublicKey[] } = { keys: [published.genesis] };

function evidenceOf(seq: number): EntryEvidence {
  const row = published.chain.rows[seq];
  const checkpoint = published.checkpoints.at(-1);
  if (!row || !checkpoint) throw new Error("no such entry");
  const leaves = published.chain.rows
    .slice(0, checkpoint.size)
    .map(({ leaf }) => hashLeaf(Buffer.from(leaf)));
  const hashes = [...climb(0, seq, checkpoint.size)].map(({ begin, end }) =>
    encodeBase64(hashLevels(Buffer.concat(leaves.slice(begin, end))).root),
  );
  const anchored = { upTo: 0, notAnchoredSince: 0, statement: "not anchored since 0" };
  const proof: InclusionAnswer = {
    ledger: "main",
    origin: ORIGIN,
    seq,
    leafHash: encodeBase64(hashLeaf(Buffer.from(row.leaf))),
    tree: { size: checkpoint.size, root: "", checkpoint: checkpoint.note },
    hashes,
    anchored,
  };
  const entry: ShownEntry = {
    seq,
    leaf: row.leaf,
    leafHash: proof.leafHash,
    intact: true,
    attachments: (row.attachments ?? []).map(({ name, salt, content }) => ({
      name,
      salt: Buffer.from(salt).toString("base64"),
      content: Buffer.from(content).toString("base64"),
    })),
  };
  return { entry, proof, previousLeaf: published.chain.rows[seq - 1]?.leaf, rotations: [] };
}

const verdictsOf = async (evidence: EntryEvidence, keys = pinned) =>
  Object.fromEntries((await verifyEntry(evidence, keys)).steps.map(({ name, verdict }) => [name, verdict]));
const ALL_GOOD: Partial<Record<Step["name"], Step["verdict"]>> = {
  signature: "good",
  link: "good",
  checkpoint: "good",
  inclusion: "good",
  contents: "good",
};

describe("the truth", () => {
  const rotations = [{ leaf: published.chain.rows[rotatedAt]?.leaf ?? "" }];

  test("entries before and after a rotation, the first one too", async () => {
    for (const seq of [0, 1, 2, rotatedAt, rotatedAt + 1])
      expect(await verdictsOf({ ...evidenceOf(seq), rotations })).toEqual(ALL_GOOD);
  });

  test("without the rotation the key after it is nobody's", async () => {
    const verdicts = await verdictsOf(evidenceOf(rotatedAt + 1));
    expect(verdicts).toMatchObject({ signature: "bad", checkpoint: "bad", inclusion: "skipped" });
  });

  test("a rotation that no trusted key signed hands over nothing", async () => {
    const other = Published.of(0);
    other.rotate();
    const forged = [{ leaf: other.chain.rows.at(-1)?.leaf ?? "" }];
    expect(await verdictsOf({ ...evidenceOf(rotatedAt + 1), rotations: forged })).toMatchObject({
      signature: "bad",
    });
  });
});

describe("lies", () => {
  const rotations = [{ leaf: published.chain.rows[rotatedAt]?.leaf ?? "" }];
  const good = { ...evidenceOf(3), rotations };
  const flip = (text: string, at: number) =>
    text.slice(0, at) + (text[at] === "A" ? "B" : "A") + text.slice(at + 1);
  const cases: readonly (readonly [
    what: string,
    EntryEvidence,
    Partial<Record<Step["name"], Step["verdict"]>>,
  ])[] = [
    [
      "a signature that is changed",
      {
        ...good,
        entry: { ...good.entry, leaf: flip(good.entry.leaf, good.entry.leaf.lastIndexOf(".") + 10) },
      },
      { signature: "bad", inclusion: "bad" },
    ],
    [
      "another entry in its place",
      { ...good, entry: { ...evidenceOf(5).entry, seq: 3 } },
      { signature: "bad", link: "bad", inclusion: "bad" },
    ],
    ["another entry before it", { ...good, previousLeaf: published.chain.rows[1]?.leaf }, { link: "bad" }],
    ["no entry before it", { ...good, previousLeaf: undefined }, { link: "bad" }],
    [
      "a hash of the proof that is changed",
      {
        ...good,
        proof: { ...good.proof, hashes: good.proof.hashes.with(1, encodeBase64(new Uint8Array(32))) },
      },
      { inclusion: "bad" },
    ],
    [
      "a proof that is cut",
      { ...good, proof: { ...good.proof, hashes: good.proof.hashes.slice(1) } },
      { inclusion: "bad" },
    ],
    [
      "a checkpoint of another root",
      {
        ...good,
        proof: {
          ...good.proof,
          tree: {
            ...good.proof.tree,
            checkpoint: (good.proof.tree.checkpoint ?? "").replace(
              /\n[^\n]{44}\n/,
              `\n${encodeBase64(new Uint8Array(32))}\n`,
            ),
          },
        },
      },
      { checkpoint: "bad", inclusion: "skipped" },
    ],
    [
      "no checkpoint",
      { ...good, proof: { ...good.proof, tree: { ...good.proof.tree, checkpoint: null } } },
      { checkpoint: "bad", inclusion: "skipped" },
    ],
    [
      "contents that are changed",
      {
        ...good,
        entry: {
          ...good.entry,
          attachments: (good.entry.attachments ?? []).map((one) => ({
            ...one,
            content: btoa('{"active":false}'),
          })),
        },
      },
      { contents: "bad" },
    ],
    [
      "contents that are kept back",
      { ...good, entry: { ...good.entry, attachments: [] } },
      { contents: "skipped" },
    ],
    [
      "contents of which one is kept back",
      { ...good, entry: { ...good.entry, attachments: (good.entry.attachments ?? []).slice(0, 1) } },
      { contents: "skipped" },
    ],
  ];

  test("the evidence has a body and facts to change", () => {
    expect(good.entry.attachments?.length).toBe(2);
  });

  test.each(cases)("%s", async (_, evidence, expected) => {
    expect(await verdictsOf(evidence)).toEqual({ ...ALL_GOOD, ...expected });
  });

  test("a leaf that is none", async () => {
    const { steps } = await verifyEntry({ ...good, entry: { ...good.entry, leaf: "x.y.z" } }, pinned);
    expect(steps).toMatchObject([{ name: "signature", verdict: "bad" }]);
  });

  test("a key that nobody pinned, and a pinned key for another ledger", async () => {
    const stranger = { keys: [publicKeyOf(newSigner())] };
    expect(await verdictsOf(good, stranger)).toMatchObject({
      signature: "bad",
      checkpoint: "bad",
      inclusion: "skipped",
    });
    const elsewhere = { ...pinned, origin: "another.example/log" };
    expect(await verdictsOf(good, elsewhere)).toMatchObject({ signature: "bad" });
  });
});

describe("an entry as a part of a transaction", () => {
  // Entry 0 opens the ledger; then come requests, each with its outcome after it.
  const [request, outcome, other, otherOutcome] = [1, 2, 3, 4].map((seq) => evidenceOf(seq).entry);
  if (!request || !outcome || !other || !otherOutcome) throw new Error("there are no such entries");
  const txn = String(published.chain.rows[1]?.txn);
  const parts = { txn, request };

  test("its request and its outcome", () => {
    expect(checkPart(request, parts)).toMatchObject({ name: "transaction", verdict: "good" });
    expect(checkPart(outcome, parts)).toMatchObject({ name: "transaction", verdict: "good" });
  });

  test.each([
    ["another transaction's request", other, { txn, request: other }],
    ["another transaction's outcome", otherOutcome, parts],
    ["an outcome as a request", outcome, { txn, request: outcome }],
    ["a request as an outcome", { ...request }, parts],
    ["an outcome without its request", outcome, { txn, request: null }],
    ["an event", evidenceOf(0).entry, parts],
    ["what is no leaf", { ...outcome, leaf: "x.y.z" }, parts],
  ] as const)("%s is refused", (_, entry, of) => {
    expect(checkPart(entry, of)).toMatchObject({ name: "transaction", verdict: "bad" });
  });

  test("an outcome of the same transaction, but of another entry", () => {
    const { chain } = Published.of(0);
    chain.request(txn);
    chain.request(txn);
    chain.add({ type: "response", txn, connector: "okta", requestSeq: 1, outcome: "answered" });
    const [, , second, answer] = chain.rows.map(({ seq, leaf }) => ({
      seq,
      leaf,
      leafHash: "",
      intact: true,
    }));
    if (!second || !answer) throw new Error("there are no such entries");
    expect(checkPart(answer, { txn, request: second })).toMatchObject({ verdict: "bad" });
  });

  test("is shown as its leaves say, whatever is said beside them", () => {
    const forged = { type: "refusal", actor: { client: "nobody" }, outcome: "refused", status: 500 };
    const given = {
      ledger: "main",
      txn,
      state: "refused" as const,
      request: { ...request, entry: forged },
      outcome: { ...outcome, entry: forged },
      names: {},
    };
    const shown = readTransaction(given);
    expect(shown.state).toBe("closed");
    expect(shown.request).toMatchObject({ intact: true, entry: { type: "request", txn, seq: 1 } });
    expect(shown.outcome).toMatchObject({ intact: true, entry: { type: "response", outcome: "answered" } });
    expect(readFacts(shown)).toMatchObject({ connector: "okta", outcome: "answered", status: 201 });
    const unread = readTransaction({ ...given, request: { ...request, leaf: "x.y.z", entry: forged } });
    expect([unread.request?.entry, unread.request?.intact, readFacts(unread)]).toEqual([
      undefined,
      false,
      undefined,
    ]);
    const misplaced = readTransaction({ ...given, outcome: { ...outcome, seq: 9 } });
    expect(misplaced.outcome?.intact).toBe(false);
    expect(readTransaction({ ...given, outcome: null }).state).toBe("open");
  });
});
