// What verifying costs: a whole ledger with signatures on all cores against the rate of node:crypto's own verification;
// the parts without signatures; an inclusion proof from a ledger of a million entries; a pack in a real browser.

import { generateKeyPairSync, sign, verify } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { PreparedRows } from "../src/cli/verify/preparedRows.ts";
import { SignatureThreads } from "../src/cli/verify/signatureThreads.ts";
import { fastVerify } from "../src/keys/fastVerify.ts";
import { createSigner, generateKey } from "../src/keys/signer.ts";
import { hashLeaf } from "../src/ledger/hash.ts";
import { parsePublicJwk } from "../src/ledger/key.ts";
import { formatVerifierKey, makeLogKey } from "../src/ledger/note/verifierKey.ts";
import { proveInclusion } from "../src/ledger/tree/tileProof.ts";
import { TreeBuilder } from "../src/ledger/tree/tree.ts";
import { LedgerVerifier, type StoredEntry } from "../src/ledger/verify.ts";
import { Publisher } from "../src/monitor/publisher/publisher.ts";
import { nodeCodec, nodeSha256 } from "../src/nodeCrypto.ts";
import { startEmbedded } from "../src/storage/embedded/embedded.ts";
import { connect } from "../src/storage/postgres.ts";
import { migrate } from "../src/storage/schema.ts";
import { TreeStore } from "../src/storage/tree/treeStore.ts";
import { writeVerifier } from "../src/verifier/build.ts";
import { startChromium } from "../test/browser/chromium.ts";
import { Chain, newSigner, ORIGIN, publicKeyOf } from "../test/ledger/chain.ts";
import { Published } from "../test/ledger/evidence/packs.ts";
import { median } from "./figures.ts";

const ENTRIES = 20_001;
const PAGE = 2_000;
const PROOF_ENTRIES = 1_000_000;
const PROOFS = 500;
const ROUNDS = 5;

export interface VerifyReport {
  cores: number;
  /** Signatures a second, one core, node:crypto over messages of a leaf's size. */
  rawVerifyPerSecond: number;
  /** Entries a second with hash, link, signature and tree, on all cores; and as a share of raw rate × cores. */
  fullPerSecond: number;
  fullShare: number;
  /** Entries a second on one core without signatures: all that a leaf says and its link; hash and tree alone. */
  withoutSignaturesPerSecond: number;
  hashAndTreePerSecond: number;
  /** An inclusion proof from a ledger of a million entries, milliseconds. */
  proof: { p50Ms: number; p99Ms: number };
  /** A pack of 10,001 entries in headless Chromium with WebCrypto, from the click to the verdict. */
  browserMs: number;
}

/** Medians over interleaved rounds. */
export async function measureVerify(say: (line: string) => void): Promise<VerifyReport> {
  const cores = availableParallelism();
  const signer = newSigner();
  const rows = ledgerOf(signer);
  const raw: number[] = [];
  const full: number[] = [];
  const without: number[] = [];
  const tree: number[] = [];
  const threads = new SignatureThreads();
  for (let round = 0; round <= ROUNDS; round++) {
    const figures = [
      rawRate(),
      await rateOf(() => verifyAll(rows, signer, threads)),
      await rateOf(async () => verifyWithout(rows, signer)),
      await rateOf(async () => growTree(rows)),
    ];
    say(`round ${round}: ${figures.map(Math.round).join(", ")} a second`);
    // The first round warms up.
    if (round > 0) for (const [i, list] of [raw, full, without, tree].entries()) list.push(figures[i] ?? 0);
  }
  await threads.close();
  const rawVerifyPerSecond = Math.round(median(raw));
  const fullPerSecond = Math.round(median(full));
  say("a million entries for the proofs");
  const proof = await measureProofs();
  say("a pack in Chromium");
  const browserMs = await measureBrowser();
  return {
    cores,
    rawVerifyPerSecond,
    fullPerSecond,
    fullShare: Math.round((fullPerSecond / (rawVerifyPerSecond * cores)) * 1000) / 1000,
    withoutSignaturesPerSecond: Math.round(median(without)),
    hashAndTreePerSecond: Math.round(median(tree)),
    proof,
    browserMs,
  };
}

function ledgerOf(signer: ReturnType<typeof newSigner>): StoredEntry[] {
  const chain = new Chain(signer);
  chain.event({ name: "ledger-opened", kid: signer.kid });
  while (chain.rows.length < ENTRIES) chain.response(chain.request());
  return chain.rows.map(({ seq, leaf }) => ({ seq, leaf }));
}

async function rateOf(work: () => Promise<void>): Promise<number> {
  const at = performance.now();
  await work();
  return (ENTRIES / (performance.now() - at)) * 1000;
}

function rawRate(): number {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const message = Buffer.alloc(900, 7);
  const signature = sign(null, message, privateKey);
  const count = 4_000;
  const at = performance.now();
  for (let i = 0; i < count; i++) verify(null, message, publicKey, signature);
  return (count / (performance.now() - at)) * 1000;
}

async function verifyAll(
  rows: readonly StoredEntry[],
  signer: ReturnType<typeof newSigner>,
  threads: SignatureThreads,
): Promise<void> {
  const prepared = new PreparedRows(threads, [publicKeyOf(signer)]);
  const verifier = new LedgerVerifier({
    origin: ORIGIN,
    pinned: [publicKeyOf(signer)],
    verify: prepared.verify,
    ...nodeCodec,
  });
  const tree = new TreeBuilder(nodeSha256);
  async function* pages() {
    for (let at = 0; at < rows.length; at += PAGE) yield rows.slice(at, at + PAGE);
  }
  for await (const row of prepared.rows(pages())) {
    verifier.push(row);
    tree.append(verifier.head.hash);
  }
  assertClean(verifier, tree);
}

function verifyWithout(rows: readonly StoredEntry[], signer: ReturnType<typeof newSigner>): void {
  const pinned = [publicKeyOf(signer)];
  const verifier = new LedgerVerifier({ origin: ORIGIN, pinned, verify: () => true, ...nodeCodec });
  const tree = new TreeBuilder(nodeSha256);
  for (const row of rows) {
    verifier.push(row);
    tree.append(verifier.head.hash);
  }
  assertClean(verifier, tree);
}

function assertClean(verifier: LedgerVerifier, tree: TreeBuilder): void {
  if (verifier.findings.length > 0 || verifier.size !== ENTRIES || tree.size !== ENTRIES)
    throw new Error("the benchmark's own ledger does not verify");
}

function growTree(rows: readonly StoredEntry[]): void {
  const tree = new TreeBuilder(nodeSha256);
  for (const { leaf } of rows) tree.append(hashLeaf(Buffer.from(leaf, "latin1"), nodeSha256));
  if (tree.size !== ENTRIES) throw new Error("the tree lost leaves");
}

async function measureProofs(): Promise<VerifyReport["proof"]> {
  const quiet = { info() {}, warn() {}, error() {} };
  const dataDir = await mkdtemp(join(tmpdir(), "scimseal-bench-"));
  const server = await startEmbedded({ dataDir, log: quiet });
  const address = (connectionString: string) => ({ connectionString, requireSync: [] });
  try {
    const owner = await connect(address(server.urls.owner), "bench", 5_000);
    await migrate(owner, "main", ORIGIN, { writer: "scimseal_writer", reader: "scimseal_reader" });
    await owner.query("SELECT ledger_main.ensure_partitions($1)", [PROOF_ENTRIES]);
    await owner.end();
    const superuser = await connect(address(server.urls.superuser), "bench", 5_000);
    // Only the tree looks at these rows: the leaf hash of entry i is SHA-256 of i.
    await superuser.query(
      `INSERT INTO ledger_main.entry SELECT i, 'x', sha256(int8send(i)), 'request', NULL, '00000000-0000-7000-8000-000000000000'
       FROM generate_series(0::bigint, ${PROOF_ENTRIES - 1}) AS i`,
    );
    await superuser.end();
    const signer = createSigner(generateKey());
    const key = parsePublicJwk(signer.publicJwk);
    if (!key) throw new Error("the signer's key is no key");
    await new Promise<void>((resolve, reject) => {
      const publisher = new Publisher({
        ledger: "main",
        origin: ORIGIN,
        database: address(server.urls.writer),
        signer,
        reloadSigner: async () => signer,
        pinned: [key],
        verify: fastVerify,
        digest: nodeSha256,
        intervalMs: 1_000,
        heartbeatMs: 60_000,
        now: Date.now,
        log: quiet,
        onCheckpoint: ({ size }) => {
          if (size === PROOF_ENTRIES) void publisher.stop().then(resolve, reject);
        },
        onFinding: ({ detail }) => reject(new Error(detail)),
      });
      void publisher.start();
    });
    const reader = new TreeStore("main", address(server.urls.reader), {
      connections: 2,
      timeoutMs: 10_000,
      digest: nodeSha256,
    });
    const times: number[] = [];
    for (let i = 0; i < PROOFS; i++) {
      const index = Math.floor(Math.random() * PROOF_ENTRIES);
      const at = performance.now();
      await proveInclusion({ size: PROOF_ENTRIES, reader }, index, PROOF_ENTRIES, nodeSha256);
      times.push(performance.now() - at);
    }
    await reader.close();
    times.sort((a, b) => a - b);
    const quantile = (q: number) => Math.round((times[Math.floor(PROOFS * q)] ?? 0) * 1000) / 1000;
    return { p50Ms: quantile(0.5), p99Ms: quantile(0.99) };
  } finally {
    await server.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function measureBrowser(): Promise<number> {
  const dir = await mkdtemp(join(tmpdir(), "scimseal-bench-"));
  const browser = await startChromium();
  try {
    const ledger = Published.of(5_000);
    const pack = join(dir, "pack.tar");
    await writeFile(pack, await ledger.pack());
    await writeVerifier(join(dir, "verifier.html"));
    const page = await browser.newPage();
    await page.goto(pathToFileURL(join(dir, "verifier.html")).href);
    const times: number[] = [];
    for (let i = 0; i < 3; i++) {
      await page.setInputFiles("#pack", pack);
      await page.fill("#key", formatVerifierKey(makeLogKey(ORIGIN, ledger.genesis.bytes)));
      const at = performance.now();
      await page.click("#check");
      await page.waitForSelector("#check:not([disabled])");
      times.push(performance.now() - at);
      const verdict = await page.textContent("#verdict");
      if (!verdict?.startsWith("All is well: 10001 entries")) throw new Error(`the page says: ${verdict}`);
    }
    return Math.round(median(times));
  } finally {
    await browser.close();
    await rm(dir, { recursive: true, force: true });
  }
}
