// What verifying costs: a whole ledger with signatures on all cores against the rate of node:crypto's own verification;
// the parts without signatures; an inclusion proof from a ledger of a million entries; a pack in a real browser.

import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { LinkVerifier } from "../src/cli/verify/linkVerifier.ts";
import { PreparedRows } from "../src/cli/verify/preparedRows.ts";
import { SignatureThreads } from "../src/cli/verify/signatureThreads.ts";

import { fastVerify } from "../src/keys/fastVerify.ts";
import { createSigner, generateKey } from "../src/keys/signer.ts";
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
/** Over all entries, where one takes a fifteenth of a second. */
const PASSES = 8;

export interface VerifyReport {
  cores: number;
  /** Signatures a second, node:crypto over messages of a leaf's size: one thread alone, and one a core at once. */
  rawVerifyPerSecond: number;
  rawAllCoresPerSecond: number;
  /**
   * Entries a second with hash, link, signature and tree, on all cores; as a share of one thread's raw rate × cores, and of
   * what the cores do together, which is less where two of them are one core's two threads. Of the medians over the rounds.
   */
  fullPerSecond: number;
  fullShare: number;
  fullShareOfAllCores: number;
  /** Entries a second of one core without signatures: hash, link and tree; and all else that a leaf says. */
  withoutSignatures: CoreRate;
  judged: CoreRate;
  /** An inclusion proof from a ledger of a million entries, milliseconds. */
  proof: { p50Ms: number; p99Ms: number };
  /** A pack of 10,001 entries in headless Chromium with WebCrypto, from the click to the verdict. */
  browserMs: number;
}

/**
 * What one core does in a second of its time, over some passes. A core of a virtual machine may be one of two threads of a
 * real one and do half while the other is busy for somebody else: the best pass is what a core does that is left alone.
 */
interface CoreRate {
  best: number;
  median: number;
}

/** Medians over interleaved rounds. */
export async function measureVerify(say: (line: string) => void): Promise<VerifyReport> {
  const cores = availableParallelism();
  const signer = newSigner();
  const rows = ledgerOf(signer);
  const rounds: Record<"raw" | "rawAll" | "full", number>[] = [];
  const passes: Record<"without" | "judged", number[]> = { without: [], judged: [] };
  const threads = new SignatureThreads();
  const rawThreads = Array.from(
    { length: cores },
    () => new Worker(new URL("./rawVerify.ts", import.meta.url)),
  );
  for (let round = 0; round <= ROUNDS; round++) {
    const one = {
      raw: await rawRate(rawThreads.slice(0, 1)),
      rawAll: await rawRate(rawThreads),
      full: await rateOf(() => verifyAll(rows, signer, threads)),
    };
    const without = ratesOfCore(() => verifyWithout(rows));
    const judged = ratesOfCore(() => judge(rows, signer));
    say(
      `round ${round}: ${JSON.stringify({ ...one, without: coreRate(without), judged: coreRate(judged) }, (_, value) => (typeof value === "number" ? Math.round(value) : value))}`,
    );
    // The first round warms up.
    if (round === 0) continue;
    rounds.push(one);
    passes.without.push(...without);
    passes.judged.push(...judged);
  }
  await threads.close();
  await Promise.all(rawThreads.map((thread) => thread.terminate()));
  const rate = (of: (round: (typeof rounds)[number]) => number) => Math.round(median(rounds.map(of)));
  const [raw, rawAll, full] = [
    rate((round) => round.raw),
    rate((round) => round.rawAll),
    rate((round) => round.full),
  ];
  const share = (of: number) => Math.round((full / of) * 1000) / 1000;
  say("a million entries for the proofs");
  const proof = await measureProofs();
  say("a pack in Chromium");
  const browserMs = await measureBrowser();
  return {
    cores,
    rawVerifyPerSecond: raw,
    rawAllCoresPerSecond: rawAll,
    fullPerSecond: full,
    fullShare: share(raw * cores),
    fullShareOfAllCores: share(rawAll),
    withoutSignatures: coreRate(passes.without),
    judged: coreRate(passes.judged),
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

/** Entries a second of processor time, of all threads of this process, in each pass. */
function ratesOfCore(work: () => void): number[] {
  return Array.from({ length: PASSES }, () => {
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    return (ENTRIES / (user + system)) * 1e6;
  });
}

function coreRate(rates: readonly number[]): CoreRate {
  return { best: Math.round(Math.max(...rates)), median: Math.round(median(rates)) };
}

/** Signatures a second of these threads together. */
async function rawRate(threads: readonly Worker[]): Promise<number> {
  const at = performance.now();
  const counts = threads.map(async (thread) => {
    const answered = once(thread, "message");
    thread.postMessage(null);
    const [count] = (await answered) as [number];
    return count;
  });
  const total = (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
  return (total / (performance.now() - at)) * 1000;
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

function verifyWithout(rows: readonly StoredEntry[]): void {
  const links = new LinkVerifier(ORIGIN);
  const tree = new TreeBuilder(nodeSha256);
  for (const row of rows) tree.append(links.push(row));
  assertClean(links, tree);
}

function judge(rows: readonly StoredEntry[], signer: ReturnType<typeof newSigner>): void {
  const pinned = [publicKeyOf(signer)];
  const verifier = new LedgerVerifier({ origin: ORIGIN, pinned, verify: () => true, ...nodeCodec });
  const tree = new TreeBuilder(nodeSha256);
  for (const row of rows) {
    verifier.push(row);
    tree.append(verifier.head.hash);
  }
  assertClean(verifier, tree);
}

function assertClean(verifier: LedgerVerifier | LinkVerifier, tree: TreeBuilder): void {
  if (verifier.findings.length > 0 || verifier.size !== ENTRIES || tree.size !== ENTRIES)
    throw new Error("the benchmark's own ledger does not verify");
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
