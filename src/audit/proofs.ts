// Proofs for outsiders: that an entry is in a tree (RFC 6962 §2.1.1) and that one tree is the beginning of another
// (§2.1.2), for any sizes up to the latest checkpoint's. A proof is checked here by the same pure code that verifiers
// run before it is given: what does not lead to the signed root is a problem of the ledger, not an answer.

import { z } from "zod";
import { encodeBase64 } from "../ledger/base64.ts";
import { formatTlogProof, TLOG_PROOF_EXTENSION } from "../ledger/note/tlogProof.ts";
import { checkConsistency, checkInclusion, type Proof } from "../ledger/tree/proof.ts";
import { proveConsistency, proveInclusion, readRoot, type TiledTree } from "../ledger/tree/tileProof.ts";
import type { StoredCheckpoint } from "../storage/tree/treeStore.ts";
import { consistencyAnswer, describeAnchoring, inclusionAnswer } from "./answers.ts";
import type { NamedLedger } from "./context.ts";
import { readEntryFor } from "./entries.ts";
import { ledgerOperation, type Operation } from "./http/operation.ts";
import { formatOf, integer, LEDGER_PATH, ledgerName, wantsText } from "./http/parameter.ts";
import { Problem } from "./http/problem.ts";
import { hashStored } from "./storedLeaf.ts";

const TAG = "Proofs";

const getInclusionProof = ledgerOperation(
  {
    method: "get",
    path: "/audit/v1/ledgers/{ledger}/entries/{seq}/proof",
    id: "getInclusionProof",
    tag: TAG,
    summary: "Proof that an entry is in the tree of a later size",
    scope: "connectors",
    description:
      "Without `size`: in the first checkpoint that covers the entry. A proof file (C2SP tlog-proof) holds the signed " +
      "checkpoint, so it is made only for sizes of which one was signed.",
    params: z.strictObject({ ledger: ledgerName, seq: integer("The entry's seq.") }),
    query: z.strictObject({
      size: integer("Size of the tree, above seq and at most the latest checkpoint's.", 1).optional(),
      format: formatOf("tlog-proof"),
    }),
    answer: inclusionAnswer,
    raw: { "text/plain": `A proof file (${TLOG_PROOF_EXTENSION}).` },
    problems: ["entry_unknown", "entry_not_covered", "checkpoint_unknown", "ledger_inconsistent"],
  },
  async ({ context, auditor, ledger, request, params: { seq }, query: { size: wanted, format } }) => {
    const leafHash = hashStored(await readEntryFor({ context, auditor }, ledger, seq, false));
    const latest = await latestOf(ledger, seq);
    if (wanted !== undefined && wanted <= seq)
      throw new Problem("invalid_parameter", `size: a tree of ${wanted} entries does not hold entry ${seq}`);
    const covering = wanted === undefined ? await ledger.tree.checkpointCovering(seq) : undefined;
    const tree = await openTree(ledger, latest, wanted ?? (covering ?? latest).size);
    const hashes = await proveInclusion(tree.tiles, seq, tree.size);
    if (!checkInclusion(hashes, seq, tree.size, leafHash, tree.root))
      throw notOfTree(`entry ${seq}`, tree.size);
    if (wantsText(request, format))
      return { kind: "raw", mediaType: "text/plain", body: formatFile(seq, hashes, tree) };
    return {
      kind: "json",
      body: {
        ledger: ledger.name,
        origin: ledger.origin,
        seq,
        leafHash: encodeBase64(leafHash),
        tree: showTree(tree),
        hashes: hashes.map(encodeBase64),
        anchored: describeAnchoring(tree.size, ledger.anchored()),
      },
    };
  },
);

const getConsistencyProof = ledgerOperation(
  {
    method: "get",
    path: "/audit/v1/ledgers/{ledger}/consistency",
    id: "getConsistencyProof",
    tag: TAG,
    summary: "Proof that the tree of one size is the beginning of the tree of another",
    scope: "connectors",
    params: LEDGER_PATH,
    query: z.strictObject({
      from: integer("Size of the older tree."),
      to: integer("Size of the newer tree; left out: the latest checkpoint's.").optional(),
    }),
    answer: consistencyAnswer,
    problems: ["checkpoint_unknown", "ledger_inconsistent"],
  },
  async ({ ledger, query: { from, to } }) => {
    const latest = await ledger.tree.latestCheckpoint();
    if (!latest) throw new Problem("checkpoint_unknown", "No checkpoint was signed yet.");
    const newer = await openTree(ledger, latest, to ?? latest.size);
    if (from > newer.size)
      throw new Problem("invalid_parameter", `from: ${from} is above the newer tree's size, ${newer.size}`);
    const older = await openTree(ledger, latest, from);
    const hashes = await proveConsistency(newer.tiles, older.size, newer.size);
    if (!checkConsistency(hashes, older.size, newer.size, older.root, newer.root))
      throw notOfTree(`the tree of ${older.size}`, newer.size);
    return {
      kind: "json",
      body: {
        ledger: ledger.name,
        origin: ledger.origin,
        from: showTree(older),
        to: showTree(newer),
        hashes: hashes.map(encodeBase64),
        anchored: describeAnchoring(newer.size, ledger.anchored()),
      },
    };
  },
);

/** A tree of some size, readable, with its root: the signed one where a checkpoint of that size was signed. */
export interface OpenedTree {
  readonly tiles: TiledTree;
  readonly size: number;
  readonly root: Uint8Array;
  readonly checkpoint: StoredCheckpoint | undefined;
}

/** Opens the tree of a size. @throws {Problem} invalid_parameter beyond the latest checkpoint, ledger_inconsistent */
export async function openTree(
  { tree: reader }: NamedLedger,
  latest: StoredCheckpoint,
  size: number,
): Promise<OpenedTree> {
  if (size > latest.size)
    throw new Problem("invalid_parameter", `${size} is above the latest checkpoint's size, ${latest.size}`);
  const tiles = { size: latest.size, reader };
  const checkpoint = size === latest.size ? latest : await reader.checkpointOf(size);
  return { tiles, size, checkpoint, root: checkpoint?.root ?? (await readRoot(tiles, size)) };
}

/** The latest checkpoint, which covers an entry that is there. @throws {Problem} entry_not_covered */
export async function latestOf({ tree }: NamedLedger, seq: number): Promise<StoredCheckpoint> {
  const latest = await tree.latestCheckpoint();
  if (latest && latest.size > seq) return latest;
  throw new Problem(
    "entry_not_covered",
    `No checkpoint covers entry ${seq} yet; one is signed within a second or so.`,
  );
}

function formatFile(index: number, hashes: Proof, { size, checkpoint }: OpenedTree): string {
  if (checkpoint) return formatTlogProof({ index, hashes, checkpoint: checkpoint.note });
  const problem = `No checkpoint of size ${size} was signed; leave size out, or ask /checkpoints for the sizes there are.`;
  throw new Problem("checkpoint_unknown", problem);
}

function showTree({ size, root, checkpoint }: OpenedTree) {
  return { size, root: encodeBase64(root), checkpoint: checkpoint?.note ?? null };
}

function notOfTree(what: string, size: number): Problem {
  const problem = `By what is stored, ${what} is not in the tree of ${size}: entries, tiles and checkpoints disagree.`;
  return new Problem("ledger_inconsistent", problem);
}

export const proofOperations: readonly Operation[] = [getInclusionProof, getConsistencyProof];
