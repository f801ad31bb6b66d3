// Anchors of all kinds against real ledgers: what they keep, how durably, and that a database which was set back, cut or
// rewritten does not pass and does not wipe out the note that tells of it.

import { chmod, mkdir, mkdtemp, readdir, readFile, rm, rmdir, stat, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { fastVerify } from "../../../src/keys/fastVerify.ts";
import { createSigner, generateKey, type Signer } from "../../../src/keys/signer.ts";
import { parsePublicJwk } from "../../../src/ledger/key.ts";
import { formatCheckpoint } from "../../../src/ledger/note/checkpoint.ts";
import { signNote } from "../../../src/ledger/note/note.ts";
import { type LogKey, makeLogKey } from "../../../src/ledger/note/verifierKey.ts";
import { hashLevels, readLevels } from "../../../src/ledger/tree/treeLevels.ts";
import type { Finding } from "../../../src/monitor/alarm/alarm.ts";
import { type Anchor, type AnchoredTree, checkAnchor } from "../../../src/monitor/anchor/anchor.ts";
import { dataDirAnchor, directoryAnchor } from "../../../src/monitor/anchor/anchorFile.ts";
import { AnchorKeeper } from "../../../src/monitor/anchor/anchorKeeper.ts";
import { AnchorMark } from "../../../src/monitor/anchor/anchorMark.ts";
import { UrlAnchor } from "../../../src/monitor/anchor/anchorUrl.ts";
import { TreeIncompleteError } from "../../../src/storage/tree/treeStore.ts";
import {
  dropDatabase,
  makeDatabase,
  makeLedger,
  quiet,
  type TestDatabase,
  type TestLedger,
} from "../../storage/writerHarness.ts";
import { passMany, publish, treeOf } from "../publisher/publisherHarness.ts";

let database: TestDatabase;
let directory: string;
beforeAll(async () => {
  database = await makeDatabase();
  directory = await mkdtemp(join(tmpdir(), "scimseal-anchor-"));
});
afterAll(async () => {
  await dropDatabase(database);
  await rm(directory, { recursive: true });
});

const ORIGIN = "test.scimseal.example/anchor";
const keyOf = (signer: Signer, origin = ORIGIN): LogKey => {
  const key = parsePublicJwk(signer.publicJwk);
  if (!key) throw new Error("no key");
  return makeLogKey(origin, key.bytes);
};
const signer = createSigner(generateKey());

/** A tree in memory whose leaf i is 32 bytes of i + `shift`. */
function memoryTree(size: number, shift: number | ((i: number) => number) = 0) {
  const leaves = new Uint8Array(size * 32);
  const shiftOf = (i: number) => (typeof shift === "number" ? shift : shift(i));
  for (let i = 0; i < size; i++) leaves.fill(i + shiftOf(i), i * 32, i * 32 + 32);
  const levels = hashLevels(leaves);
  const tree: AnchoredTree = {
    ...readLevels(levels),
    size: async () => size,
    leafHashes: async (from, to) => {
      if (to > size) throw new TreeIncompleteError("entries are missing");
      return leaves.subarray(from * 32, to * 32);
    },
  };
  const note = (by = signer, origin = ORIGIN) =>
    signNote(formatCheckpoint({ origin, size, root: levels.root }), {
      key: keyOf(by, origin),
      sign: by.sign,
    });
  return { tree, note, root: levels.root, size };
}

test.for([{ recomputeBelow: 0 }, { recomputeBelow: 1e6 }])(
  "a ledger that is the anchor's tree or its extension passes, with %o",
  async (options) => {
    for (const size of [0, 1, 255, 256, 300, 700]) {
      const result = await checkAnchor(
        memoryTree(size).note(),
        [keyOf(signer)],
        memoryTree(700).tree,
        options,
      );
      expect(result).toEqual({ ok: true, size });
    }
  },
);

test("each way to be wrong has its code", async () => {
  const { tree, note } = memoryTree(300);
  const keys = [keyOf(signer)];
  const codeOf = async (text: string, by: readonly LogKey[] = keys, from: AnchoredTree = tree) => {
    const result = await checkAnchor(text, by, from);
    return result.ok ? "ok" : result.code;
  };
  expect(await codeOf(memoryTree(301).note())).toBe("anchor_ahead");
  expect(await codeOf(memoryTree(300, 1).note())).toBe("anchor_mismatch");
  expect(await codeOf(memoryTree(299, 1).note())).toBe("anchor_mismatch");
  const stranger = createSigner(generateKey());
  expect(await codeOf(note(stranger))).toBe("anchor_unreadable");
  expect(await codeOf(note(), [])).toBe("anchor_unreadable");
  expect(await codeOf(note(signer, "other.example/x"))).toBe("anchor_unreadable");
  for (const text of ["", "x", note().replace("\n300\n", "\n299\n"), note().slice(0, -1)]) {
    expect(await codeOf(text)).toBe("anchor_unreadable");
  }
  // An old key of the ledger's is as good as the one of today.
  expect(await codeOf(note(), [keyOf(stranger), ...keys])).toBe("ok");
  const holed: AnchoredTree = {
    ...tree,
    leafHashes: () => Promise.reject(new TreeIncompleteError("entries 3 to 3 are not all there")),
  };
  expect(await codeOf(note(), keys, holed)).toBe("anchor_mismatch");
  // A database that does not answer says nothing about the ledger.
  const away = { ...tree, size: () => Promise.reject(new Error("away")) };
  await expect(checkAnchor(note(), keys, away)).rejects.toThrow("away");
});

test("a file is replaced as a whole, is private, and leaves nothing beside it", async () => {
  const dataDir = await mkdtemp(join(directory, "data-"));
  const anchor = dataDirAnchor(dataDir, "main");
  expect(await anchor.read()).toBeUndefined();
  for (const note of ["one\n", "two\n"]) {
    await anchor.write(note);
    expect(await anchor.read()).toBe(note);
  }
  expect(await readdir(join(dataDir, "anchors"))).toEqual(["main.checkpoint"]);
  expect((await stat(join(dataDir, "anchors"))).mode & 0o777).toBe(0o700);
  expect((await stat(anchor.name)).mode & 0o777).toBe(0o600);
  // What is longer than any note is cut and then is no note.
  await writeFile(anchor.name, "x".repeat(2_000_000));
  expect((await anchor.read())?.length).toBe(1_000_001);
});

test("a further directory must be there: nothing is written below a mount point without its share", async () => {
  const missing = join(directory, "not-mounted");
  const anchor = directoryAnchor(missing, "main");
  await expect(anchor.read()).rejects.toThrow(/main\.checkpoint cannot be read \(ENOENT\)/);
  await expect(anchor.write("x\n")).rejects.toThrow(/cannot be written \(ENOENT\)/);
  await mkdir(missing);
  expect(await anchor.read()).toBeUndefined();
  await anchor.write("x\n");
  expect(await readFile(join(missing, "main.checkpoint"), "utf8")).toBe("x\n");
  await rm(missing, { recursive: true });
  await writeFile(missing, "a file");
  await expect(anchor.read()).rejects.toThrow("ENOTDIR");
});

/** A server that keeps what is PUT, or does what the test says. */
async function serve(handle?: (request: IncomingMessage, response: ServerResponse) => void) {
  const seen: { method: string | undefined; authorization: string | undefined; type: string | undefined }[] =
    [];
  let kept: Buffer | undefined;
  const server: Server = createServer((request, response) => {
    const { authorization, "content-type": type } = request.headers;
    seen.push({ method: request.method, authorization, type });
    if (handle) return handle(request, response);
    if (request.method === "GET") return response.writeHead(kept ? 200 : 404).end(kept);
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      kept = Buffer.concat(chunks);
      response.writeHead(204).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo; // A TCP server's address is one.
  return { url: `http://127.0.0.1:${port}/notes/main`, seen };
}

test("an endpoint gets the note by PUT and gives it by GET, with the token", async () => {
  const { url, seen } = await serve();
  const anchor = new UrlAnchor({ url, token: () => "canary-token" });
  expect(await anchor.read()).toBeUndefined();
  const { note } = memoryTree(3);
  await anchor.write(note());
  expect(await anchor.read()).toBe(note());
  expect(seen).toEqual([
    { method: "GET", authorization: "Bearer canary-token", type: undefined },
    { method: "PUT", authorization: "Bearer canary-token", type: "text/plain; charset=utf-8" },
    { method: "GET", authorization: "Bearer canary-token", type: undefined },
  ]);
});

test.for<[string, (request: IncomingMessage, response: ServerResponse) => void, RegExp]>([
  ["refuses", (_, response) => response.writeHead(403).end("no"), /answered (GET|PUT) with 403/],
  [
    "redirects",
    (_, response) => response.writeHead(302, { location: "http://127.0.0.1:1/" }).end(),
    /with 302/,
  ],
  ["hangs up", (request) => request.socket.destroy(), /cannot be reached/],
  ["never answers", () => {}, /cannot be reached/],
  ["never ends", (_, response) => response.writeHead(200).write("x"), /cannot be reached/],
  [
    "answers without end",
    (_, response) => response.writeHead(200).end("x".repeat(1_100_000)),
    /cannot be reached/,
  ],
])("an endpoint that %s is an error in time, without the token", async ([, handle, message]) => {
  const { url } = await serve(handle);
  const anchor = new UrlAnchor({ url, token: () => "canary-token", timeoutMs: 300 });
  for (const work of [() => anchor.read(), () => anchor.write("x\n")]) {
    const failure = await work().then(
      () => expect.fail("it passed"),
      (cause: unknown) => cause,
    );
    if (!(failure instanceof Error)) throw failure;
    expect(failure.message).toMatch(message);
    expect(`${failure.message} ${failure.cause}`).not.toContain("canary");
  }
});

test("an endpoint at an address nobody may be made to call is not called", async () => {
  for (const host of ["169.254.169.254", "[fd00:ec2::254]", "0.0.0.0"]) {
    await expect(new UrlAnchor({ url: `http://${host}/x` }).read()).rejects.toThrow("refused as an address");
  }
});

/** Anchors in memory that can be out of reach. */
function memoryAnchor(name = "memory", note?: string) {
  const anchor = {
    name,
    note,
    writes: 0,
    isAway: false,
    async read() {
      if (anchor.isAway) throw new Error(`${name} is away`);
      return anchor.note;
    },
    async write(text: string) {
      if (anchor.isAway) throw new Error(`${name} is away`);
      anchor.writes++;
      anchor.note = text;
    },
  };
  return anchor satisfies Anchor;
}

function keeperOf(tree: AnchoredTree, anchors: readonly Anchor[], keys: readonly LogKey[] = [keyOf(signer)]) {
  const findings: Finding[] = [];
  const keeper = new AnchorKeeper({
    anchors,
    tree,
    keys: async () => keys,
    now: () => 1_000,
    log: quiet,
    onFinding: (finding) => findings.push(finding),
  });
  return { keeper, findings };
}

const kept = (size: number, shift = 0) => {
  const { root, note } = memoryTree(size, shift);
  return { size, root, note: note() };
};

test("every anchor gets the newest checkpoint; one that was away gets it when it is back", async () => {
  const [near, far] = [memoryAnchor("near"), memoryAnchor("far")];
  const { keeper, findings } = keeperOf(memoryTree(50).tree, [near, far]);
  far.isAway = true;
  expect(await keeper.check()).toBeUndefined();
  keeper.keep(kept(10));
  await keeper.settled();
  expect(keeper.size).toBe(10);
  expect(keeper.status).toEqual([
    { name: "near", size: 10, keptAt: 1_000, problem: undefined },
    { name: "far", size: undefined, keptAt: undefined, problem: "far is away" },
  ]);
  far.isAway = false;
  for (const size of [11, 12, 13, 20]) keeper.keep(kept(size));
  await keeper.settled();
  expect([near.note, far.note]).toEqual([kept(20).note, kept(20).note]);
  // Of those that wait only the last is written.
  expect([near.writes, far.writes]).toEqual([2, 1]);
  keeper.keep(kept(20));
  keeper.keep(kept(19));
  await keeper.settled();
  expect(near.note).toBe(kept(20).note);
  expect(keeper.size).toBe(20);
  expect(findings).toEqual([]);
});

test.for<[string, number, number, string]>([
  ["shorter", 20, 0, "anchor_ahead"],
  ["another", 50, 1, "anchor_mismatch"],
])(
  "a note of a tree that the ledger does not extend is never replaced: the ledger is %s",
  async ([, size, shift, code]) => {
    const anchor = memoryAnchor("a", kept(30).note);
    const { keeper, findings } = keeperOf(memoryTree(size, shift).tree, [anchor]);
    expect(await keeper.check()).toMatchObject({ code, detail: expect.stringMatching(/^a: the /) });
    keeper.keep(kept(size, shift));
    await keeper.settled();
    expect(anchor.note).toBe(kept(30).note);
    expect(findings.length).toBeGreaterThan(0);
    expect(new Set(findings.map((finding) => finding.code))).toEqual(new Set([code]));
    // Also when nobody asked for a check first.
    const second = keeperOf(memoryTree(size, shift).tree, [anchor]);
    second.keeper.keep(kept(size, shift));
    await second.keeper.settled();
    expect(anchor.note).toBe(kept(30).note);
    expect(second.findings).toMatchObject([{ code }]);
  },
);

test("a ledger that is set back under a running process does not reach the note either", async () => {
  const anchor = memoryAnchor("a");
  let tree = memoryTree(50).tree;
  const moving: AnchoredTree = {
    size: () => tree.size(),
    leafHashes: (from, to) => tree.leafHashes(from, to),
    readTiles: (tiles) => tree.readTiles(tiles),
  };
  const { keeper, findings } = keeperOf(moving, [anchor]);
  keeper.keep(kept(30));
  await keeper.settled();
  tree = memoryTree(60, 1).tree;
  keeper.keep(kept(60, 1));
  await keeper.settled();
  expect(anchor.note).toBe(kept(30).note);
  expect(findings).toMatchObject([{ code: "anchor_mismatch" }]);
  // Of the same size, another tree.
  keeper.keep(kept(30, 1));
  await keeper.settled();
  expect(anchor.note).toBe(kept(30).note);
});

test("after a cut that was told, only what follows from it is the same finding", async () => {
  let tree = memoryTree(50).tree;
  const moving: AnchoredTree = {
    size: () => tree.size(),
    leafHashes: (from, to) => tree.leafHashes(from, to),
    readTiles: (tiles) => tree.readTiles(tiles),
  };
  const dir = await mkdtemp(join(directory, "mark-"));
  const [large, small] = [memoryAnchor("large", kept(30).note), memoryAnchor("small", kept(10).note)];
  const look = async () => {
    const findings: Finding[] = [];
    const news: string[] = [];
    const mark = new AnchorMark(join(dir, "mark.json"), moving);
    const keeper = new AnchorKeeper({
      anchors: [large, small],
      tree: moving,
      keys: async () => [keyOf(signer)],
      now: () => 1_000,
      log: quiet,
      onFinding: (finding) => findings.push(finding),
      mark,
      onNews: () => news.push("news"),
    });
    const first = await keeper.check();
    await mark.told();
    return { codes: findings.map(({ code }) => code), first: first?.code, news: news.length };
  };
  // Cut to 20: the smaller one still holds.
  tree = memoryTree(20).tree;
  expect(await look()).toEqual({ codes: ["anchor_ahead"], first: "anchor_ahead", news: 1 });
  // Other entries after the 20: the larger one was lost by that cut, and by no other.
  tree = grownTree(20, 40).tree;
  expect(await look()).toEqual({ codes: ["anchor_ahead"], first: "anchor_ahead", news: 0 });
  // A note that the ledger still had then, and has no more: something else was done.
  small.note = kept(10, 3).note;
  expect(await look()).toEqual({
    codes: ["anchor_ahead", "anchor_mismatch"],
    first: "anchor_ahead",
    news: 0,
  });
  tree = memoryTree(60, (i) => (i < 9 ? 0 : 50)).tree;
  small.note = kept(10).note;
  const cut = await look();
  expect([cut.codes, cut.news]).toEqual([["anchor_mismatch", "anchor_mismatch"], 1]);
});

test("an anchor that is away has not changed its mind: what was found there stands until it is seen to be well", async () => {
  const dir = await mkdtemp(join(directory, "away-"));
  const tree = memoryTree(20).tree;
  const far = memoryAnchor("far", kept(30).note);
  const news: string[] = [];
  const start = () => {
    const mark = new AnchorMark(join(dir, "mark.json"), tree);
    const keeper = new AnchorKeeper({
      anchors: [memoryAnchor("near", kept(10).note), far],
      tree,
      keys: async () => [keyOf(signer)],
      now: () => 1_000,
      log: quiet,
      onFinding: () => {},
      mark,
      onNews: () => news.push("news"),
    });
    return { keeper, mark };
  };
  const { keeper, mark } = start();
  expect(await keeper.check()).toMatchObject({ code: "anchor_ahead" });
  await mark.told();
  far.isAway = true;
  expect(await keeper.check()).toMatchObject({ code: "anchor_ahead" });
  // After a restart nothing is known of it, and so nothing is forgotten either.
  const later = start();
  expect(await later.keeper.check()).toBeUndefined();
  far.isAway = false;
  expect(await later.keeper.check()).toMatchObject({ code: "anchor_ahead" });
  expect(news).toEqual(["news"]);
  far.note = kept(20).note;
  expect(await later.keeper.check()).toBeUndefined();
  await expect(readFile(join(dir, "mark.json"))).rejects.toThrow("ENOENT");
});

test("how far it reaches that could not be written is written when it can be, though nothing was added", async () => {
  const dir = await mkdtemp(join(directory, "full-"));
  const file = join(dir, "mark.json");
  let tree = memoryTree(20).tree;
  const mark = new AnchorMark(file, {
    size: () => tree.size(),
    leafHashes: (from, to) => tree.leafHashes(from, to),
  });
  const sizeKept = async () => JSON.parse(await readFile(file, "utf8")).size;
  expect(await mark.isNews()).toBe(true);
  await mark.told();
  tree = memoryTree(30).tree;
  // As on a full disk.
  await mkdir(`${file}.tmp`);
  await expect(mark.follow()).rejects.toThrow("EISDIR");
  expect(await sizeKept()).toBe(20);
  await rmdir(`${file}.tmp`);
  await mark.follow();
  expect(await sizeKept()).toBe(30);
});

/** The first leaves of `memoryTree`, and others after them. */
function grownTree(common: number, size: number) {
  return memoryTree(size, (i) => (i < common ? 0 : 100));
}

test("a note that is gone while we watch is a finding", async () => {
  const anchor = memoryAnchor("a", kept(30).note);
  const { keeper } = keeperOf(memoryTree(50).tree, [anchor]);
  expect(await keeper.check()).toBeUndefined();
  anchor.note = undefined;
  expect(await keeper.check()).toMatchObject({ code: "anchor_missing" });
});

/** Sets the ledger back to its first entries, checkpoints and tiles with them, as a restored backup would. */
async function restoreOlder(ledger: TestLedger, size: number): Promise<void> {
  await ledger.tamper(`SET search_path = ${ledger.schema};
    DELETE FROM entry WHERE seq >= ${size}; DELETE FROM attachment WHERE seq >= ${size}; DELETE FROM outcome WHERE seq >= ${size};
    DELETE FROM checkpoint WHERE size > ${size}; DELETE FROM tile WHERE (index + 1) * 256 > ${size}`);
}

test("a restored older database is found after a restart, before and after it went on", async () => {
  const ledger = await makeLedger(database);
  const writer = await ledger.writer();
  const dataDir = await mkdtemp(join(directory, "data-"));
  const tree = treeOf(ledger, database);
  const keys = [keyOf(ledger.signer, ledger.origin)];
  const start = () => {
    const made = keeperOf(tree, [dataDirAnchor(dataDir, ledger.name)], keys);
    return { ...made, options: { guard: () => made.keeper.check() } };
  };
  const first = start();
  const one = await publish(ledger, {
    ...first.options,
    onCheckpoint: (stored) => first.keeper.keep(stored),
  });
  await passMany(writer, 20);
  await one.reaches(41);
  await passMany(writer, 150);
  await one.reaches(341);
  await one.publisher.stop();
  await first.keeper.settled();
  await writer.stop();
  expect(first.keeper.size).toBe(341);
  expect(first.findings).toEqual([]);
  await restoreOlder(ledger, 41);

  const cut = start();
  const second = await publish(ledger, cut.options);
  expect(await second.finds()).toMatchObject({ code: "anchor_ahead" });
  await second.publisher.stop();

  await passMany(await ledger.writer(), 200);
  const rewritten = start();
  const third = await publish(ledger, {
    ...rewritten.options,
    onCheckpoint: (stored) => rewritten.keeper.keep(stored),
  });
  expect(await third.finds()).toMatchObject({ code: "anchor_mismatch" });
  await third.publisher.stop();
  await rewritten.keeper.settled();
  // Nothing in the database alone would tell: the ledger verifies, and the note in the file is still the old one.
  expect((await ledger.verify()).findings).toEqual([]);
  const note = await readFile(join(dataDir, "anchors", `${ledger.name}.checkpoint`), "utf8");
  expect(note).toContain("\n341\n");
  expect((await checkAnchor(note, keys, tree, { verify: fastVerify })).ok).toBe(false);
});

test("a directory that cannot be written is told, and the others go on", async () => {
  const locked = await mkdtemp(join(directory, "locked-"));
  // Not by permission: a test may run as root, whom none stops.
  await mkdir(join(locked, "main.checkpoint.tmp"));
  await chmod(locked, 0o700);
  const near = memoryAnchor("near");
  const { keeper, findings } = keeperOf(memoryTree(50).tree, [directoryAnchor(locked, "main"), near]);
  keeper.keep(kept(10));
  await keeper.settled();
  expect(keeper.status.map(({ problem }) => problem)).toEqual([
    expect.stringContaining("cannot be written (EISDIR)"),
    undefined,
  ]);
  expect(near.note).toBe(kept(10).note);
  expect(findings).toEqual([]);
});
