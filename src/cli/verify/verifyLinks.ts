// `scimseal verify --no-signatures`: a ledger in its database by hash, link and tree, several times as fast as with every
// signature. What it stands on: a signed checkpoint's root fixes every leaf under it, so that these need no signature of
// their own to be looked at. Signatures are checked where no checkpoint speaks for them: of the entries after the largest
// one, and of events, which may introduce the key of a later one. Leaves out attachments, outcomes and the tables' other
// columns.

import { fastVerify } from "../../keys/fastVerify.ts";
import { TreeAudit } from "../../ledger/evidence/treeAudit.ts";
import type { PublicKey } from "../../ledger/key.ts";
import { parseLeaf } from "../../ledger/leaf.ts";
import type { Finding, StoredEntry } from "../../ledger/verify.ts";
import { fromBase64url, nodeSha256, toBase64url } from "../../nodeCrypto.ts";
import type { LedgerSource } from "../ledgerSource.ts";
import { compareTiles, ExpectedCheckpoints, readPublished } from "./expectedCheckpoints.ts";
import { LinkVerifier } from "./linkVerifier.ts";
import type { LiveOptions } from "./verifyLive.ts";
import type { LinkReport, ReportFinding } from "./verifyReport.ts";

const PAGE_ENTRIES = 5_000;

/** Rejects if the ledger cannot be read to the end, or no checkpoint speaks for any of it. */
export async function verifyLinks(
  { origin, pinned, tree, reader }: LedgerSource,
  { outside, progress }: Pick<LiveOptions, "outside" | "progress">,
): Promise<LinkReport> {
  const audit = new TreeAudit({ origin, pinned, verify: fastVerify, digest: nodeSha256 });
  const latest = await tree.latestCheckpoint();
  const expected = new ExpectedCheckpoints(audit, outside, readPublished(tree, latest?.id ?? 0));
  // Which of them can be leant on shows when the tree has reached it.
  const vouchedFor = Math.max(latest?.size ?? 0, expected.largestOutside);
  if (vouchedFor === 0)
    throw new Error("there is no signed checkpoint to hold the entries against: verify with signatures");
  const links = new LinkVerifier(origin);
  const signatures = new SignatureCheck(pinned);
  const missing: ReportFinding[] = [];
  const total = await tree.size();
  await expected.reach();
  for (let after: number | undefined = -1; after !== undefined; ) {
    const { entries, next } = await reader.page(after, PAGE_ENTRIES, false);
    for (const row of entries) {
      if (row.seq !== links.size) break;
      const isVouchedFor = row.type !== "event" && row.seq < vouchedFor;
      const signer = isVouchedFor ? undefined : signatures.check(row);
      const filled = audit.append(links.push(row));
      if (filled.length > 0) await compareTiles(tree, audit, filled);
      const rotated = signer && audit.followSigned(row.leaf, signer, row.type === "event");
      if (rotated) signatures.rotate(rotated);
      if (expected.isDue) await expected.reach();
    }
    progress.show(links.size, total, "entries");
    const last = entries.at(-1);
    if (last && last.seq >= links.size) {
      const detail = "there is no entry with this seq; nothing after it was looked at";
      missing.push({ seq: links.size, code: "missing", detail });
      break;
    }
    after = next;
  }
  progress.end();
  await expected.end(missing.length === 0);
  // What the tables say of a checkpoint is nobody's word: one that was leant on must have been opened, and have agreed.
  if (missing.length === 0 && expected.agreedUpTo < vouchedFor) {
    const detail = `there is no checkpoint of ${vouchedFor} entries that agrees: the signatures of those from ${expected.agreedUpTo} on were not checked`;
    // Only what was given may be at fault alone: the ledger's own newest one must agree all the same.
    const isOwnGood = expected.agreedUpTo >= (latest?.size ?? 0);
    if (isOwnGood && audit.notCompared.length > 0) audit.notCompared.push(detail);
    else missing.push({ seq: expected.agreedUpTo, code: "checkpoint_untrusted", detail });
  }
  const findings = [...links.findings, ...signatures.findings, ...missing, ...audit.findings];
  return {
    ok: findings.length + audit.notCompared.length === 0,
    size: links.size,
    head: toBase64url(links.head),
    signaturesChecked: signatures.checked,
    vouchedFor: Math.min(vouchedFor, expected.agreedUpTo),
    findings,
    root: Buffer.from(audit.root()).toString("base64"),
    checkpoints: audit.checkpoints,
    tiles: audit.tiles,
    comparedUpTo: expected.comparedUpTo,
    notCompared: audit.notCompared,
  };
}

/** Signatures one by one, of the entries that no checkpoint speaks for. */
class SignatureCheck {
  readonly findings: Finding[] = [];
  checked = 0;
  #trusted: readonly PublicKey[];

  constructor(pinned: readonly PublicKey[]) {
    this.#trusted = pinned;
  }

  /** Whose signature it is; undefined, and a finding, if it is nobody's whom one can trust. */
  check({ seq, leaf }: StoredEntry): PublicKey | undefined {
    this.checked++;
    const parsed = parseLeaf(leaf, fromBase64url);
    if (typeof parsed === "string") {
      this.findings.push({ seq, code: "malformed", detail: `the leaf is unreadable: ${parsed}` });
      return undefined;
    }
    const key = this.#trusted.find(({ kid }) => kid === parsed.kid);
    if (key && fastVerify(key.bytes, parsed.signingInput, parsed.signature)) {
      this.#trusted = [key];
      return key;
    }
    const detail = key
      ? "the signature does not match the leaf"
      : `signed by key ${parsed.kid}, which is not the trusted key here`;
    this.findings.push({ seq, code: key ? "signature_invalid" : "key_not_trusted", detail });
    return undefined;
  }

  /** From the next entry on it is this key. */
  rotate(key: PublicKey): void {
    this.#trusted = [key];
  }
}
