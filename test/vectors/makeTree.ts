// Makes test/vectors/tree.json: roots of larger trees, and good and bad proofs in a form that any language reads. All
// of it comes from the recursive reference, nothing from src. After a change run `node test/vectors/makeTree.ts`, then
// `biome check --write test/vectors`, and read the difference.

import { writeFileSync } from "node:fs";
import { countedLeafHashes, ReferenceTree } from "./treeReference.ts";

/** A proof to check; hashes in hexadecimal. `ok` says whether it must pass. */
export interface InclusionCase {
  what: string;
  ok: boolean;
  index: number;
  size: number;
  leafHash: string;
  root: string;
  proof: string[];
}

export interface ConsistencyCase {
  what: string;
  ok: boolean;
  oldSize: number;
  newSize: number;
  oldRoot: string;
  newRoot: string;
  proof: string[];
}

/** What test/vectors/tree.json holds. */
export interface TreeVectors {
  about: string;
  roots: { size: number; root: string }[];
  inclusion: InclusionCase[];
  consistency: ConsistencyCase[];
}

const SIZES = [1, 2, 3, 255, 256, 257, 300, 511, 512, 513, 4096, 65_535, 65_536, 65_537, 70_000];
const tree = new ReferenceTree(countedLeafHashes(Math.max(...SIZES)));
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const rootOf = (size: number) => hex(tree.root(size));
const EMPTY = rootOf(0);
const OTHER = hex(tree.hash([7, 9]));

/** Builds the vectors. The same every time, on every machine. */
export function makeVectors(): TreeVectors {
  return {
    about:
      "Trees whose leaf i is the decimal number i in ASCII (leaf hash SHA-256(0x00, leaf)); hexadecimal. Made by test/vectors/makeTree.ts.",
    roots: SIZES.map((size) => ({ size, root: rootOf(size) })),
    inclusion: [
      [0, 1],
      [2, 3],
      [5, 8],
      [256, 257],
      [299, 300],
    ].flatMap(([index = 0, size = 0]) => inclusionCases(index, size)),
    consistency: [
      [1, 2],
      [3, 7],
      [6, 8],
      [256, 300],
      [257, 300],
    ]
      .flatMap(([oldSize = 0, newSize = 0]) => consistencyCases(oldSize, newSize))
      .concat(edgeCases()),
  };
}

/** A good proof and its named mutations, none of which may pass. */
function inclusionCases(index: number, size: number): InclusionCase[] {
  const proof = tree.inclusion(index, size).map(hex);
  const good = { index, size, leafHash: hex(tree.hash([index, index + 1])), root: rootOf(size), proof };
  const bad: Record<string, Partial<InclusionCase>> = {
    "the index after": { index: index + 1 },
    "an index in the other half": { index: index + Math.ceil(size / 2) },
    "an index beyond the tree": { index: size },
    "twice the size": { size: size * 2 },
    "half the size": { size: Math.floor(size / 2) },
    "size 0": { index: 0, size: 0, root: EMPTY, proof: [] },
    "another leaf": { leafHash: OTHER },
    "the root of the empty tree": { root: EMPTY },
    "another root": { root: OTHER },
    "a short root": { root: good.root.slice(2) },
    "a short leaf hash": { leafHash: good.leafHash.slice(2) },
    ...mutations(good.proof, good.root),
  };
  if (index > 0) bad["the index before"] = { index: index - 1 };
  return expand(good, bad, `leaf ${index} of ${size}`);
}

function consistencyCases(oldSize: number, newSize: number): ConsistencyCase[] {
  const proof = tree.consistency(oldSize, newSize).map(hex);
  const good = { oldSize, newSize, oldRoot: rootOf(oldSize), newRoot: rootOf(newSize), proof };
  const bad: Record<string, Partial<ConsistencyCase>> = {
    "an old size one less": { oldSize: oldSize - 1 },
    "an old size one more": { oldSize: oldSize + 1 },
    "swapped sizes": { oldSize: newSize, newSize: oldSize },
    "swapped roots": { oldRoot: good.newRoot, newRoot: good.oldRoot },
    "twice the new size": { newSize: newSize * 2 },
    "another old root": { oldRoot: OTHER },
    "another new root": { newRoot: OTHER },
    "the old root twice": { newRoot: good.oldRoot },
    "the new root twice": { oldRoot: good.newRoot },
    "a short old root": { oldRoot: good.oldRoot.slice(2) },
    "a short new root": { newRoot: good.newRoot.slice(2) },
    "the old root in front": { proof: [good.oldRoot, ...proof] },
    ...mutations(proof, good.newRoot),
  };
  return expand(good, bad, `${oldSize} to ${newSize}`);
}

/** Sizes for which nothing is hashed. */
function edgeCases(): ConsistencyCase[] {
  const empty = { oldSize: 0, newSize: 0, oldRoot: EMPTY, newRoot: EMPTY, proof: [] as string[] };
  const five = { oldSize: 5, newSize: 5, oldRoot: rootOf(5), newRoot: rootOf(5), proof: [] as string[] };
  const grown = { ...empty, newSize: 5, newRoot: rootOf(5) };
  return [
    { what: "0 to 0", ok: true, ...empty },
    { what: "0 to 0: a hash too many", ok: false, ...empty, proof: [EMPTY] },
    { what: "0 to 0: no root of the empty tree", ok: false, ...empty, oldRoot: OTHER, newRoot: OTHER },
    { what: "0 to 5", ok: true, ...grown },
    { what: "0 to 5: a hash too many", ok: false, ...grown, proof: [rootOf(5)] },
    { what: "0 to 5: no root of the empty tree", ok: false, ...grown, oldRoot: OTHER },
    { what: "0 to 5: a short new root", ok: false, ...grown, newRoot: grown.newRoot.slice(2) },
    { what: "5 to 5", ok: true, ...five },
    { what: "5 to 5: a hash too many", ok: false, ...five, proof: [rootOf(5)] },
    { what: "5 to 5: two roots", ok: false, ...five, newRoot: OTHER },
    { what: "5 to 0", ok: false, ...five, newSize: 0, newRoot: EMPTY },
    { what: "5 to 4: without proof", ok: false, ...five, newSize: 4, newRoot: rootOf(4) },
  ];
}

function mutations(proof: string[], root: string): Record<string, { proof: string[] }> {
  const bad: Record<string, { proof: string[] }> = {
    "the root behind": { proof: [...proof, root] },
    "the root in front": { proof: [root, ...proof] },
    "an empty hash behind": { proof: [...proof, ""] },
    "an empty hash in front": { proof: ["", ...proof] },
  };
  proof.forEach((hash, i) => {
    const flipped = Buffer.from(hash, "hex");
    flipped.writeUInt8(flipped.readUInt8(i % 32) ^ (1 << (i % 8)), i % 32);
    bad[`a bit of hash ${i} flipped`] = { proof: proof.with(i, flipped.toString("hex")) };
    bad[`hash ${i} missing`] = { proof: proof.toSpliced(i, 1) };
    bad[`hash ${i} twice`] = { proof: proof.toSpliced(i, 0, hash) };
    bad[`hash ${i} a byte longer`] = { proof: proof.with(i, `${hash}00`) };
    bad[`hash ${i} a byte shorter`] = { proof: proof.with(i, hash.slice(2)) };
  });
  if (proof.length > 1) bad["the proof backwards"] = { proof: proof.toReversed() };
  return bad;
}

function expand<Case extends object>(good: Case, bad: Record<string, Partial<Case>>, name: string) {
  return [
    { what: name, ok: true, ...good },
    ...Object.entries(bad).map(([what, change]) => ({
      what: `${name}: ${what}`,
      ok: false,
      ...good,
      ...change,
    })),
  ];
}

if (import.meta.main) {
  writeFileSync("test/vectors/tree.json", `${JSON.stringify(makeVectors(), null, 2)}\n`);
}
