// Verification of what someone brings: a leaf, alone or with a proof file, or an evidence pack. Two questions, both answered by
// findings: is it in order by itself, under the keys of the ledger that it names; and does this ledger still say the
// same. The second is why one asks here and not only offline: a signed leaf or checkpoint that the ledger does not
// continue shows that the ledger was cut, restored or forked. Never throws because of what was brought.

import { fastVerify } from "../../keys/fastVerify.ts";
import { decodeBase64 } from "../../ledger/base64.ts";
import { verifyPack } from "../../ledger/evidence/verifyPack.ts";
import { equalBytes, HASH_BYTES, hashLeaf } from "../../ledger/hash.ts";
import { thumbprint } from "../../ledger/key.ts";
import { type ParsedLeaf, parseLeaf } from "../../ledger/leaf.ts";
import type { Checkpoint } from "../../ledger/note/checkpoint.ts";
import { checkTlogProof } from "../../ledger/note/tlogProof.ts";
import type { LogKey } from "../../ledger/note/verifierKey.ts";
import { checkInclusion } from "../../ledger/tree/proof.ts";
import { proveInclusion, readRoot } from "../../ledger/tree/tileProof.ts";
import { readEntry } from "../../storage/reader.ts";
import type { AuditFinding, NamedLedger } from "../context.ts";
import { bytesOf } from "../storedLeaf.ts";
import { noteDamage, openLatest } from "./verifyRange.ts";

/** What was found about something brought. */
export interface Verdict {
  /** The ledger that it is of, if it is of one that the auditor may read. */
  readonly ledger: NamedLedger | undefined;
  /** What it says it is of; not to be believed unless there is a ledger. */
  readonly origin: string | undefined;
  readonly firstSeq: number | undefined;
  readonly lastSeq: number | undefined;
  readonly entries: number;
  readonly findings: readonly AuditFinding[];
}

/** Checks a leaf, and a proof file if one comes with it. */
export async function verifyLeaf(
  ledgers: readonly NamedLedger[],
  leaf: string,
  proof: string | undefined,
): Promise<Verdict> {
  const parsed = parseLeaf(leaf);
  if (typeof parsed === "string") {
    const detail = `the leaf is unreadable: ${parsed}`;
    return { ...NOTHING, findings: [{ code: "malformed", detail }] };
  }
  const { seq, log: origin } = parsed.claims;
  const place = { origin, firstSeq: seq, lastSeq: seq, entries: 1 };
  const ledger = ledgers.find((one) => one.origin === origin);
  if (!ledger) return { ...place, ledger, findings: [{ seq, ...UNKNOWN_ORIGIN }] };
  const { all } = await ledger.keys();
  const signed = checkSignature(parsed, all);
  // What nobody of this ledger signed is nothing to look for in it.
  if (signed) return { ...place, ledger, findings: [signed] };
  const hash = hashLeaf(bytesOf({ leaf }));
  const findings = [
    ...(await compareEntry(ledger, seq, leaf)),
    ...(await proveHere(ledger, all, seq, hash)),
    ...(proof === undefined ? [] : await compareProof(ledger, all, seq, hash, proof)),
  ];
  return { ...place, ledger, findings };
}

/** Checks an evidence pack of this ledger, as it comes. Rejects only with what the chunks reject with. */
export async function verifyBroughtPack(
  ledger: NamedLedger,
  chunks: AsyncIterable<Uint8Array>,
): Promise<Verdict> {
  const { all } = await ledger.keys();
  const report = await verifyPack(chunks, {
    pinned: all.map(({ publicKey }) => ({ kid: thumbprint(publicKey), bytes: publicKey })),
    origin: ledger.origin,
    verify: fastVerify,
    verifyBatch: async (jobs) => {
      // A large pack must not keep the proxy from its work: between two batches others have their turn.
      await new Promise((resolve) => setImmediate(resolve));
      return jobs.map(({ publicKey, message, signature }) => fastVerify(publicKey, message, signature));
    },
  });
  const { origin, firstSeq, lastSeq, entries, sizes, root: rootText, findingsLeftOut } = report;
  const findings: AuditFinding[] = [...report.findings];
  if (findingsLeftOut > 0)
    findings.push({ code: "findings_left_out", detail: `there are ${findingsLeftOut} findings more` });
  const root = rootText === undefined ? undefined : decodeBase64(rootText);
  if (sizes.last !== undefined && root?.length === HASH_BYTES)
    findings.push(...(await compareTree(ledger, all, { size: sizes.last, root })));
  return { ledger, origin, firstSeq, lastSeq, entries, findings };
}

const NOTHING = {
  ledger: undefined,
  origin: undefined,
  firstSeq: undefined,
  lastSeq: undefined,
  entries: 0,
} as const;

const UNKNOWN_ORIGIN = {
  code: "origin_unknown",
  detail: "it is of no ledger that this token may read, so there is no key to check it with",
} as const;

function checkSignature(leaf: ParsedLeaf, keys: readonly LogKey[]): AuditFinding | undefined {
  const { seq } = leaf.claims;
  const key = keys.find(({ publicKey }) => thumbprint(publicKey) === leaf.kid);
  if (!key) return { seq, code: "key_not_trusted", detail: "it is signed by no key of the ledger" };
  return fastVerify(key.publicKey, leaf.signingInput, leaf.signature)
    ? undefined
    : { seq, code: "signature_invalid", detail: "the signature does not match the leaf" };
}

async function compareEntry({ reader }: NamedLedger, seq: number, leaf: string): Promise<AuditFinding[]> {
  const row = await readEntry(reader, seq);
  if (!row)
    return [
      { seq, code: "entry_missing", detail: "a key of the ledger signed it and the ledger does not have it" },
    ];
  return row.leaf === leaf
    ? []
    : [{ seq, code: "entry_differs", detail: "the ledger has another leaf in this place" }];
}

async function proveHere(
  ledger: NamedLedger,
  keys: readonly LogKey[],
  seq: number,
  hash: Uint8Array,
): Promise<readonly AuditFinding[]> {
  const latest = await openLatest(ledger, keys);
  if (typeof latest === "string") return [{ seq, code: "checkpoint_untrusted", detail: latest }];
  if (!latest || latest.size <= seq)
    return [{ seq, code: "entry_not_covered", detail: "no checkpoint covers it yet; ask again in a second" }];
  const { size, root } = latest;
  return noteDamage(seq, async () => {
    const proof = await proveInclusion({ size, reader: ledger.tree }, seq, size);
    if (checkInclusion(proof, seq, size, hash, root)) return [];
    return [
      { seq, code: "tree_mismatch", detail: `it is not in the tree of ${size} that the ledger signed last` },
    ];
  });
}

async function compareProof(
  ledger: NamedLedger,
  keys: readonly LogKey[],
  seq: number,
  hash: Uint8Array,
  proof: string,
): Promise<readonly AuditFinding[]> {
  const policy = { origin: ledger.origin, logKeys: keys, threshold: 0, witnesses: [] };
  const checked = checkTlogProof(proof, hash, policy, { verify: fastVerify });
  if (typeof checked === "string") return [{ seq, code: "proof_invalid", detail: checked }];
  if (checked.index !== seq)
    return [{ seq, code: "seq_mismatch", detail: `the proof is that of entry ${checked.index}` }];
  return compareTree(ledger, keys, checked.checkpoint);
}

/** Whether a tree that the ledger signed once is the beginning of the one that it signs now. */
async function compareTree(
  ledger: NamedLedger,
  keys: readonly LogKey[],
  { size, root }: Pick<Checkpoint, "size" | "root">,
): Promise<readonly AuditFinding[]> {
  const latest = await openLatest(ledger, keys);
  // Said already, where the entry was looked for; a pack's own findings do not say it.
  if (typeof latest === "string") return [{ code: "checkpoint_untrusted", detail: latest }];
  if (!latest || size > latest.size) {
    const detail = `the ledger once signed a tree of ${size} entries and signs ${latest?.size ?? "none"} now: its end was cut off, or an older database restored`;
    return [{ code: "ledger_cut", detail }];
  }
  return noteDamage(size, async () => {
    const own =
      size === latest.size ? latest.root : await readRoot({ size: latest.size, reader: ledger.tree }, size);
    if (equalBytes(own, root)) return [];
    const detail = `the ledger once signed another tree of ${size} entries than the one it has now: there are two histories`;
    return [{ code: "ledger_forked", detail }];
  });
}
