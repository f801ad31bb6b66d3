// "Verify in this browser" against a server that lies: every piece of evidence changed in turn, each found by the step
// that is there for it, and by no wrong one.

import { describe, expect, test } from "vitest";
import type { InclusionAnswer, ShownEntry } from "../../src/dashboard/api/types.ts";
import { type EntryEvidence, type Step, verifyEntry } from "../../src/dashboard/verify/verifyEntry.ts";
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
const ALL_GOOD: Record<Step["name"], Step["verdict"]> = {
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
  ];

  test("the evidence has a body to change", () => {
    expect(good.entry.attachments?.length).toBeGreaterThan(0);
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
