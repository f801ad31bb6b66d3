// Verification of a range on demand: every entry by LedgerVerifier, and the tree: the entries' own hashes must be those in
// the tiles, and the tiles must lead to the root that the latest checkpoint signs. Findings are values and all are kept.
// What a range cannot show: whether its keys were trusted by rotations before it. It takes the ledger's keys as given,
// so an auditor who trusts only pinned keys runs `scimseal verify`.

import { fastVerify } from "../../keys/fastVerify.ts";
import { encodeBase64url } from "../../ledger/base64url.ts";
import type { Entry } from "../../ledger/entry.ts";
import { equalBytes, HASH_BYTES } from "../../ledger/hash.ts";
import { type PublicKey, thumbprint } from "../../ledger/key.ts";
import type { Checkpoint } from "../../ledger/note/checkpoint.ts";
import { openCheckpoint } from "../../ledger/note/logPolicy.ts";
import type { LogKey } from "../../ledger/note/verifierKey.ts";
import { checkInclusion } from "../../ledger/tree/proof.ts";
import { TILE_WIDTH, type TileReader, tileWidthAt } from "../../ledger/tree/tile.ts";
import { proveInclusion, TileError } from "../../ledger/tree/tileProof.ts";
import { LedgerVerifier, type StoredEntry } from "../../ledger/verify.ts";
import { readEntry } from "../../storage/reader.ts";
import { TreeIncompleteError } from "../../storage/tree/treeStore.ts";
import type { AuditFinding, NamedLedger } from "../context.ts";
import { claimsOf, hashStored } from "../storedLeaf.ts";

/** What came of a range; `checked` entries were there. `covered` is the size of the tree they were compared with. */
export interface RangeReport {
  readonly checked: number;
  readonly covered: number;
  readonly findings: readonly AuditFinding[];
}

/** Entries in memory at a time, with their attachments. */
const PAGE = 50;

/** Verifies the entries from seq `from` to seq `to`, both included, with these keys of the ledger. */
export async function verifyRange(
  ledger: NamedLedger,
  keys: readonly LogKey[],
  from: number,
  to: number,
): Promise<RangeReport> {
  const findings: AuditFinding[] = [];
  const latest = await openLatest(ledger, keys);
  if (typeof latest === "string") findings.push({ code: "checkpoint_untrusted", detail: latest });
  const size = typeof latest === "object" ? latest.size : 0;
  const run = await RangeRun.begin(ledger, keys, from);
  const hashes = new Map<number, Uint8Array>();
  for (let after = from - 1; after < to; ) {
    const { entries } = await ledger.reader.page(after, Math.min(PAGE, to - after), true);
    for (const row of entries.filter(({ seq }) => seq <= to)) {
      findings.push(...(await run.push(row)));
      hashes.set(row.seq, hashStored(row));
    }
    after = entries.at(-1)?.seq ?? to;
  }
  for (let seq = run.next; seq <= Math.min(to, size - 1); seq++)
    findings.push({ seq, code: "missing", detail: "there is no entry with this seq" });
  if (typeof latest === "object") findings.push(...(await checkTree(ledger, latest, hashes, from, to)));
  return { checked: hashes.size, covered: size, findings };
}

/** The latest checkpoint as its signed note has it; a string says why it is not to be believed, undefined: none yet. */
export async function openLatest(
  { tree, origin }: NamedLedger,
  keys: readonly LogKey[],
): Promise<Checkpoint | string | undefined> {
  const stored = await tree.latestCheckpoint();
  if (!stored) return undefined;
  const signed = openCheckpoint(
    stored.note,
    { origin, logKeys: keys, threshold: 0, witnesses: [] },
    fastVerify,
  );
  if (typeof signed === "string") return `the latest checkpoint: ${signed}`;
  const { checkpoint } = signed;
  return checkpoint.size === stored.size && equalBytes(checkpoint.root, stored.root)
    ? checkpoint
    : "the latest checkpoint's columns differ from its signed note";
}

/** A LedgerVerifier that begins in the middle. */
class RangeRun {
  readonly #ledger: NamedLedger;
  readonly #from: number;
  readonly #verifier: LedgerVerifier;
  /** Leaf hash of the row before, if the verifier holds it for bad and it is not. */
  #unlinked: Uint8Array | undefined;

  private constructor(ledger: NamedLedger, keys: readonly LogKey[], from: number) {
    this.#ledger = ledger;
    this.#from = from;
    const pinned = keys.map(({ publicKey }): PublicKey => ({ kid: thumbprint(publicKey), bytes: publicKey }));
    this.#verifier = new LedgerVerifier({ origin: ledger.origin, pinned, verify: fastVerify });
  }

  /** Takes the entry before the range as what the first link is checked against; it is itself not reported. */
  static async begin(ledger: NamedLedger, keys: readonly LogKey[], from: number): Promise<RangeRun> {
    const run = new RangeRun(ledger, keys, from);
    if (from === 0) return run;
    run.#verifier.skipTo(from - 1);
    const before = await readEntry(ledger.reader, from - 1);
    await run.push(before ?? { seq: from - 1, leaf: "" });
    return run;
  }

  /** The seq that comes next. */
  get next(): number {
    return this.#verifier.size;
  }

  /** What was found at a row, and before it. */
  async push(row: StoredEntry): Promise<AuditFinding[]> {
    const unlinked = this.#unlinked;
    this.#unlinked = undefined;
    const isNext = row.seq === this.#verifier.size;
    const claims = this.#verifier.push(row);
    const findings = this.#verifier.findings.splice(0);
    if (claims && unlinked && isNext && claims.prev !== encodeBase64url(unlinked)) {
      const detail = "prev is not the leaf hash of the entry before";
      findings.push({ seq: row.seq, code: "link_broken", detail });
    }
    const orphan = findings.findIndex(({ code }) => code === "outcome_orphan");
    if (orphan < 0 || !claims || !(await this.#closesEarlier(claims))) return findings;
    findings.splice(orphan, 1);
    // The verifier will not check the next link against a row that it found something about.
    if (findings.length === 0) this.#unlinked = hashStored(row);
    return findings;
  }

  /** Whether an outcome's request lies before the range, where the verifier has not seen it. */
  async #closesEarlier(claims: Entry): Promise<boolean> {
    if (claims.type !== "response" || claims.requestSeq >= this.#from) return false;
    const row = await readEntry(this.#ledger.reader, claims.requestSeq);
    const request = row && claimsOf(row);
    return request?.type === "request" && request.txn === claims.txn;
  }
}

/** Compares what the entries hash to with the tree, tile by tile. */
async function checkTree(
  ledger: NamedLedger,
  latest: Checkpoint,
  hashes: ReadonlyMap<number, Uint8Array>,
  from: number,
  to: number,
): Promise<AuditFinding[]> {
  const findings: AuditFinding[] = [];
  const end = Math.min(to + 1, latest.size);
  for (let index = Math.floor(from / TILE_WIDTH); index * TILE_WIDTH < end; index++) {
    const first = Math.max(from, index * TILE_WIDTH);
    const found = await noteDamage(first, () => checkTile(ledger.tree, latest, hashes, index, first));
    findings.push(...found);
  }
  return findings;
}

/** One proof through a tile is enough: it is made from all of the tile's hashes. */
async function checkTile(
  reader: TileReader,
  { size, root }: Checkpoint,
  hashes: ReadonlyMap<number, Uint8Array>,
  index: number,
  first: number,
): Promise<AuditFinding[]> {
  const tile = { level: 0, index, width: tileWidthAt(0, index, size) };
  const [bytes] = await reader.readTiles([tile]);
  if (bytes?.length !== tile.width * HASH_BYTES) throw new TileError(tile, "not as many hashes as it has");
  const hashAt = (i: number) => bytes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES);
  const findings: AuditFinding[] = [];
  for (let i = 0; i < tile.width; i++) {
    const seq = index * TILE_WIDTH + i;
    const hash = hashes.get(seq);
    if (hash && !equalBytes(hash, hashAt(i)))
      findings.push({ seq, code: "tree_mismatch", detail: "the tree holds another hash than the entry's" });
  }
  if (findings.length > 0) return findings;
  const proof = await proveInclusion({ size, reader }, first, size);
  if (checkInclusion(proof, first, size, hashAt(first % TILE_WIDTH), root)) return [];
  const detail = `the tiles over entry ${first} do not lead to the root that the latest checkpoint signs`;
  return [{ seq: first, code: "tile_mismatch", detail }];
}

/** A tree that cannot be read is a finding; a database that does not answer is not. */
export async function noteDamage(
  seq: number,
  check: () => Promise<AuditFinding[]>,
): Promise<readonly AuditFinding[]> {
  try {
    return await check();
  } catch (cause) {
    if (!(cause instanceof TileError || cause instanceof TreeIncompleteError)) throw cause;
    return [{ seq, code: "tree_incomplete", detail: cause.message }];
  }
}
