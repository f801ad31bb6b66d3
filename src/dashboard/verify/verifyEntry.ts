// "Verify in this browser": an entry checked here, with a key that the person pinned, by the code that the command line
// and the offline page run (src/ledger). Five questions, each with its own answer: is the leaf signed by a trusted key;
// does it follow the entry before it; did a trusted key sign the checkpoint; does the proof lead from the leaf to the
// checkpoint's root; are the contents shown here the ones that the leaf commits to. And a sixth of two entries together:
// are they this transaction, and is the second the outcome of the first. The server is the adversary: everything it sends
// is recomputed, and nothing it says about itself counts.

import { decodeBase64 } from "../../ledger/base64.ts";
import { decodeBase64url, encodeBase64url } from "../../ledger/base64url.ts";
import { verifySignature } from "../../ledger/ed25519.ts";
import { commitTo, equalBytes, GENESIS_PREV, hashLeaf } from "../../ledger/hash.ts";
import type { PublicKey } from "../../ledger/key.ts";
import { parseLeaf } from "../../ledger/leaf.ts";
import { parseCheckpoint } from "../../ledger/note/checkpoint.ts";
import { openNote } from "../../ledger/note/note.ts";
import { makeLogKey } from "../../ledger/note/verifierKey.ts";
import { followRotations } from "../../ledger/rotation.ts";
import { checkInclusion } from "../../ledger/tree/proof.ts";
import { chooseVerifier } from "../../verifier/signatures.ts";
import type { InclusionAnswer, ShownEntry } from "../api/types.ts";

/** One question and its answer. */
export interface Step {
  readonly name: "signature" | "link" | "checkpoint" | "inclusion" | "contents" | "transaction";
  readonly verdict: "good" | "bad" | "skipped";
  /** In words, with the numbers that were compared. */
  readonly detail: string;
}

/** What is checked. */
export interface EntryEvidence {
  /** The entry that the page shows. */
  readonly entry: ShownEntry;
  /** The leaf before it; undefined for the first entry. */
  readonly previousLeaf: string | undefined;
  readonly proof: InclusionAnswer;
  /** Leaves of all key rotations, oldest first: a pinned first key vouches for those after it. */
  readonly rotations: readonly { leaf: string }[];
}

/** What a page shows as one transaction. */
export interface TransactionParts {
  /** Which one was asked for. */
  readonly txn: string;
  /** Its first entry, if there is one. */
  readonly request: ShownEntry | null;
}

/** The keys that a person pinned, and for which ledger if he said so. */
export interface Pinned {
  readonly keys: readonly PublicKey[];
  readonly origin?: string;
}

/** Checks one entry. Never throws for what the server sent: that is a bad verdict. */
export async function verifyEntry(
  { entry, previousLeaf, proof, rotations }: EntryEvidence,
  pinned: Pinned,
): Promise<{ readonly steps: readonly Step[]; readonly by: "WebCrypto" | "portable" }> {
  const { name: by, verifyBatch } = await chooseVerifier(globalThis.crypto?.subtle);
  const leaf = parseLeaf(entry.leaf);
  if (typeof leaf === "string") {
    const detail = `The leaf cannot be read: ${leaf}.`;
    return { by, steps: [{ name: "signature", verdict: "bad", detail }] };
  }
  const { all } = followRotations({ current: pinned.keys, all: pinned.keys }, rotations, verifySignature);
  const hash = hashLeaf(leaf.bytes);
  const steps: Step[] = [];

  const key = all.find(({ kid }) => kid === leaf.kid);
  const [isSigned = false] = key
    ? await verifyBatch([{ publicKey: key.bytes, message: leaf.signingInput, signature: leaf.signature }])
    : [];
  const isPlace = leaf.claims.seq === entry.seq && (!pinned.origin || leaf.claims.log === pinned.origin);
  steps.push({
    name: "signature",
    verdict: isSigned && isPlace ? "good" : "bad",
    detail: !key
      ? `Signed under key ${leaf.kid}, which is none of the trusted ones, nor one that they handed over to.`
      : !isSigned
        ? `The signature is not one of key ${leaf.kid} over these bytes.`
        : !isPlace
          ? `The leaf says that it is entry ${leaf.claims.seq} of ${leaf.claims.log}, which was not asked for.`
          : `Ed25519 over ${leaf.signingInput.length} bytes, key ${leaf.kid}${pinned.keys.some(({ kid }) => kid === leaf.kid) ? "" : " (which a trusted key handed over to)"}.`,
  });
  steps.push(checkLink(leaf.claims, previousLeaf));
  const checkpoint = openCheckpoint(proof, all, leaf.claims.log);
  steps.push(checkpoint.step);
  steps.push(checkPath(proof, entry.seq, hash, checkpoint.root, checkpoint.size));
  steps.push(checkContents(leaf.claims.attachments, entry));
  return { steps, by };
}

function checkLink({ seq, prev }: { seq: number; prev: string }, previousLeaf: string | undefined): Step {
  const before = previousLeaf === undefined ? undefined : hashLeaf(new TextEncoder().encode(previousLeaf));
  const expected = before ?? (seq === 0 ? GENESIS_PREV : undefined);
  const claimed = decodeBase64url(prev);
  if (!expected) return { name: "link", verdict: "bad", detail: `Entry ${seq - 1} is not there.` };
  const isSame = claimed !== undefined && equalBytes(claimed, expected);
  const what = seq === 0 ? "the beginning" : `SHA-256 of entry ${seq - 1}`;
  return isSame
    ? { name: "link", verdict: "good", detail: `prev is ${what}, computed here: ${prev}.` }
    : {
        name: "link",
        verdict: "bad",
        detail: `prev is ${prev}, and ${what} is ${encodeBase64url(expected)}.`,
      };
}

function openCheckpoint(
  { tree }: InclusionAnswer,
  keys: readonly PublicKey[],
  log: string,
): { step: Step; root?: Uint8Array; size?: number } {
  const fail = (detail: string) => ({
    step: { name: "checkpoint" as const, verdict: "bad" as const, detail },
  });
  if (tree.checkpoint === null) return fail("No checkpoint of this size was signed.");
  let opened: ReturnType<typeof openNote>;
  try {
    opened = openNote(
      tree.checkpoint,
      keys.map(({ bytes }) => makeLogKey(log, bytes)),
    );
  } catch (cause) {
    return fail(
      `The ledger's name or a key cannot be one: ${cause instanceof Error ? cause.message : "unknown"}.`,
    );
  }
  if (typeof opened === "string") return fail(`The checkpoint: ${opened}.`);
  const checkpoint = parseCheckpoint(opened.text);
  if (typeof checkpoint === "string") return fail(`The checkpoint: ${checkpoint}.`);
  if (checkpoint.origin !== log) return fail(`The checkpoint is of ${checkpoint.origin}.`);
  const others = opened.unverified.length;
  const detail = `${checkpoint.size} entries, signed as ${checkpoint.origin}${others > 0 ? `; ${others} more signature${others > 1 ? "s" : ""} of others, not checked here` : ""}.`;
  return {
    step: { name: "checkpoint", verdict: "good", detail },
    root: checkpoint.root,
    size: checkpoint.size,
  };
}

function checkPath(
  { hashes }: InclusionAnswer,
  seq: number,
  leafHash: Uint8Array,
  root: Uint8Array | undefined,
  size: number | undefined,
): Step {
  if (!root || size === undefined)
    return {
      name: "inclusion",
      verdict: "skipped",
      detail: "Without a checkpoint there is nothing to lead to.",
    };
  const path = hashes.map(decodeBase64);
  const isWhole = path.every((one) => one !== undefined);
  return isWhole && checkInclusion(path, seq, size, leafHash, root)
    ? {
        name: "inclusion",
        verdict: "good",
        detail: `${path.length} hashes lead from this leaf to the signed root of ${size} entries.`,
      }
    : {
        name: "inclusion",
        verdict: "bad",
        detail: "The proof does not lead from this leaf to the signed root.",
      };
}

function checkContents(
  refs: readonly { readonly name: string; readonly commitment: string; readonly size: number }[],
  { attachments = [] }: ShownEntry,
): Step {
  if (refs.length === 0)
    return { name: "contents", verdict: "good", detail: "The entry has no contents beside the leaf." };
  const checked: string[] = [];
  const absent: string[] = [];
  for (const { name, commitment } of refs) {
    const shown = attachments.find((one) => one.name === name);
    const salt = shown?.salt === undefined ? undefined : decodeBase64(shown.salt);
    const content = shown?.content === undefined ? undefined : decodeBase64(shown.content);
    if (!salt || !content) {
      absent.push(name);
      continue;
    }
    if (salt.length !== 32 || encodeBase64url(commitTo(salt, content)) !== commitment)
      return { name: "contents", verdict: "bad", detail: `${name} is not what the leaf commits to.` };
    checked.push(name);
  }
  const left = absent.length > 0 ? ` Not given, so not checked: ${absent.join(", ")}.` : "";
  const right =
    checked.length > 0 ? `SHA-256(salt ‖ content) is as the leaf says: ${checked.join(", ")}.` : "";
  // One that was not looked at is enough: it may be the one that matters.
  return { name: "contents", verdict: absent.length > 0 ? "skipped" : "good", detail: (right + left).trim() };
}

/**
 * Whether an entry is the one that the page shows it as: the request (or refusal) of this transaction, or the outcome of
 * this very request. By the leaves alone, which the other questions are about.
 */
export function checkPart(entry: ShownEntry, { txn, request }: TransactionParts): Step {
  const bad = (detail: string): Step => ({ name: "transaction", verdict: "bad", detail });
  const leaf = parseLeaf(entry.leaf);
  if (typeof leaf === "string") return bad(`The leaf cannot be read: ${leaf}.`);
  const { claims } = leaf;
  if (claims.type === "event") return bad("The leaf is an event, not a part of a transaction.");
  if (claims.txn !== txn.toLowerCase())
    return bad(`The leaf is of transaction ${claims.txn}, which was not asked for.`);
  if (entry === request)
    return claims.type === "response"
      ? bad("The leaf is an outcome, shown as a request.")
      : { name: "transaction", verdict: "good", detail: `The leaf is the ${claims.type} of ${txn}.` };
  const asked = request && parseLeaf(request.leaf);
  if (!asked || typeof asked === "string") return bad("The request that it answers is not here.");
  if (claims.type !== "response" || asked.claims.type !== "request")
    return bad(`The leaf is a ${claims.type} beside a ${asked.claims.type}, not the outcome of a request.`);
  if (claims.requestSeq !== asked.claims.seq || claims.connector !== asked.claims.connector)
    return bad(
      `The leaf answers entry ${claims.requestSeq} of ${claims.connector}, and the request is entry ${asked.claims.seq} of ${asked.claims.connector}.`,
    );
  return {
    name: "transaction",
    verdict: "good",
    detail: `The leaf is the outcome of entry ${claims.requestSeq}.`,
  };
}
