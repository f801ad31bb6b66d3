// The audit API over a real ledger: who may read what, every entry and proof checked by the pure code that verifiers run,
// the published log, verification, and what is answered to everything else.

import type { Server } from "node:http";
import request from "supertest";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  checkpointAnswer,
  checkpointsAnswer,
  consistencyAnswer,
  entriesAnswer,
  entryAnswer,
  inclusionAnswer,
  jwksAnswer,
  transactionAnswer,
} from "../../src/audit/answers.ts";
import { problemSchema } from "../../src/audit/http/problem.ts";
import { decodeBase64 } from "../../src/ledger/base64.ts";
import { verifyPack } from "../../src/ledger/evidence/verifyPack.ts";
import { hashLeaf } from "../../src/ledger/hash.ts";
import { parseLeaf } from "../../src/ledger/leaf.ts";
import { openCheckpoint, parseLogPolicy } from "../../src/ledger/note/logPolicy.ts";
import { checkTlogProof } from "../../src/ledger/note/tlogProof.ts";
import { checkConsistency, checkInclusion } from "../../src/ledger/tree/proof.ts";
import { tilesOf } from "../../src/ledger/tree/tile.ts";
import { parseBundle } from "../../src/ledger/tree/tileBundle.ts";
import { formatBundlePath, formatTilePath } from "../../src/ledger/tree/tilePath.ts";
import { dropDatabase, intentDraft, makeDatabase, type TestDatabase } from "../storage/writerHarness.ts";
import { watchAnswers } from "./described.ts";
import {
  asBytes,
  get,
  makePublished,
  type PublishedLedger,
  publicKeyOf,
  rotate,
  serve,
  TOKENS,
} from "./harness.ts";

let database: TestDatabase;
let main: PublishedLedger;
let other: PublishedLedger;
let open: PublishedLedger;
let server: Server;
let undescribed: string[] = [];
let size = 0;
const MAIN = "/audit/v1/ledgers/main";

beforeAll(async () => {
  database = await makeDatabase();
  main = await makePublished(database, "main");
  other = await makePublished(database, "other");
  open = await makePublished(database, "open", { tiles: "public", entries: "public" });
  await main.grow(100);
  await main.publish();
  await rotate(main);
  await main.grow(240);
  await main.publish(500);
  await main.publish();
  size = await main.size();
  await open.grow(3);
  await open.publish();
  server = serve([main, other, open]).server;
  undescribed = watchAnswers(server);
});

afterAll(async () => {
  await Promise.all([main, other, open].map((ledger) => ledger?.close()));
  if (database) await dropDatabase(database);
});

const policy = () => {
  const parsed = parseLogPolicy({ origin: main.origin, logKeys: vkeys });
  if (typeof parsed === "string") throw new Error(parsed);
  return parsed;
};
let vkeys: string[] = [];

const bytes = (text: string) => decodeBase64(text) ?? new Uint8Array();

async function leafOf(seq: number): Promise<string> {
  const { body } = await get(server, `${MAIN}/entries/${seq}`).expect(200);
  return entryAnswer.parse(body).entry.leaf;
}

test("keys: JWKS and vkeys name both keys, the one that signs now first", async () => {
  const jwks = jwksAnswer.parse((await get(server, "/ledgers/main/jwks.json").expect(200)).body);
  expect(jwks.keys.map(({ kid }) => kid)).toEqual([main.signers[1].kid, main.signers[0].kid]);
  const { text } = await get(server, "/ledgers/main/vkey")
    .expect(200)
    .expect("content-type", /text\/plain/);
  vkeys = text.trimEnd().split("\n");
  expect(policy().logKeys.map(({ publicKey }) => Buffer.from(publicKey).toString("base64url"))).toEqual(
    jwks.keys.map(({ x }) => x),
  );
});

test("the published checkpoint opens with the vkeys, and is cached for a second", async () => {
  const answer = await get(server, "/ledgers/main/checkpoint").expect(200);
  expect(answer.headers["content-type"]).toContain("text/plain");
  expect(answer.headers["cache-control"]).toBe("private, max-age=1");
  expect(answer.headers.vary).toMatch(/authorization/i);
  const signed = openCheckpoint(answer.text, policy());
  expect(signed).toMatchObject({ checkpoint: { origin: main.origin, size } });
});

test("all tiles and bundles of the tree are there, and are the tree", async () => {
  const leaves: Uint8Array[] = [];
  for (const tile of tilesOf(size)) {
    const answer = await get(server, `/ledgers/main/${formatTilePath(tile)}`)
      .buffer()
      .parse(asBytes);
    expect(answer.status).toBe(200);
    expect(answer.headers["content-type"]).toBe("application/octet-stream");
    expect(answer.body).toEqual(Buffer.from((await main.tree.readTiles([tile]))[0] ?? []));
    expect(answer.headers["cache-control"]).toBe(
      tile.width === 256 ? "private, max-age=31536000, immutable" : "private, max-age=300",
    );
    if (tile.level > 0) continue;
    const bundle = await get(server, `/ledgers/main/${formatBundlePath(tile)}`)
      .buffer()
      .parse(asBytes);
    const entries = parseBundle(bundle.body, tile.width) ?? [];
    expect(Buffer.concat(entries.map((entry) => hashLeaf(entry)))).toEqual(answer.body);
    leaves.push(...entries);
  }
  expect(leaves).toHaveLength(size);
  expect(Buffer.from(leaves[7] ?? []).toString()).toBe(await leafOf(7));
});

test("a narrower partial tile is there for whoever holds an older checkpoint", async () => {
  const answer = await get(server, "/ledgers/main/tile/0/001.p/3").buffer().parse(asBytes).expect(200);
  expect(answer.body).toHaveLength(96);
});

test.each([
  ["beyond the checkpoint", "tile/0/003"],
  ["wider than the checkpoint's", "tile/0/002.p/255"],
  ["of a level there is not", "tile/2/000.p/1"],
  ["spelled another way", "tile/0/1"],
  ["percent-encoded", "tile/0/00%31"],
  ["full and called partial", "tile/0/000.p/256"],
  ["of no level", "tile/x/000"],
  ["a bundle beyond the checkpoint", "tile/entries/003"],
  ["a bundle spelled another way", "tile/entries/0"],
])("no tile: %s", async (_, path) => {
  const answer = await get(server, `/ledgers/main/${path}`).expect(404);
  expect(problemSchema.parse(JSON.parse(answer.text)).code).toBe("tile_unknown");
  expect(answer.headers["cache-control"]).toBe("no-store");
});

test("entries that no checkpoint covers yet are not published", async () => {
  await other.grow(1);
  for (const path of ["checkpoint", "tile/0/000.p/1", "tile/entries/000.p/1"])
    expect((await get(server, `/ledgers/other/${path}`)).status).toBe(404);
  const proof = await get(server, "/audit/v1/ledgers/other/entries/0/proof").expect(404);
  expect(JSON.parse(proof.text).code).toBe("entry_not_covered");
});

test("what is published for everyone needs no token and may lie in shared caches", async () => {
  const checkpoint = await get(server, "/ledgers/open/checkpoint", "").expect(200);
  expect(checkpoint.headers["cache-control"]).toBe("public, max-age=1");
  expect(checkpoint.headers.vary).toBeUndefined();
  for (const path of ["tile/0/000.p/6", "tile/entries/000.p/6", "jwks.json", "vkey"])
    await get(server, `/ledgers/open/${path}`, "").expect(200);
  await get(server, "/audit/v1/ledgers/open/entries/0", "").expect(401);
});

test("without a token nothing tells whether there is a ledger; with one, foreign is missing", async () => {
  for (const path of ["checkpoint", "tile/0/000", "tile/entries/000", "jwks.json", "vkey"]) {
    const [own, missing] = [
      await get(server, `/ledgers/main/${path}`, ""),
      await get(server, `/ledgers/nowhere/${path}`, ""),
    ];
    expect([own.status, own.text]).toEqual([401, missing.text]);
    expect(own.headers["www-authenticate"]).toContain("Bearer");
    const foreign = await get(server, `/ledgers/main/${path}`, TOKENS.other);
    expect([foreign.status, foreign.text]).toEqual([
      404,
      (await get(server, `/ledgers/__proto__/${path}`, TOKENS.other)).text,
    ]);
  }
  for (const path of ["entries/0", "entries/x", "checkpoints/latest", "consistency?from=0", "evidence"]) {
    const foreign = await get(server, `${MAIN}/${path}`, TOKENS.other);
    const missing = await get(server, `/audit/v1/ledgers/nowhere/${path}`, TOKENS.other);
    expect([foreign.status, foreign.text]).toEqual([404, missing.text]);
    expect((await get(server, `${MAIN}/${path}`, "token-wrong")).status).toBe(401);
  }
});

test("an entry by seq and by id, with attachments only if asked for", async () => {
  for (const seq of [0, 150, 201, 333, size - 1]) {
    const { entry } = entryAnswer.parse((await get(server, `${MAIN}/entries/${seq}`)).body);
    expect([entry.seq, entry.intact, entry.attachments]).toEqual([seq, true, undefined]);
    expect(bytes(entry.leafHash)).toEqual(hashLeaf(Buffer.from(entry.leaf)));
    const parsed = parseLeaf(entry.leaf);
    if (typeof parsed === "string") throw new Error(parsed);
    const byId = await get(server, `${MAIN}/entries/by-id/${parsed.claims.id}?include=attachments`);
    const found = entryAnswer.parse(byId.body).entry;
    expect(found.leaf).toBe(entry.leaf);
    expect(found.attachments?.map(({ name }) => name)).toEqual(
      parsed.claims.attachments.map(({ name }) => name),
    );
  }
});

test("an attachment that somebody changed is there, empty, with the reason", async () => {
  const table = "ledger_main.attachment WHERE seq = 333";
  const changed =
    "content = set_byte(content, octet_length(content) - 1, get_byte(content, octet_length(content) - 1) # 1)";
  const change = `UPDATE ${table.replace(" WHERE", ` SET ${changed} WHERE`)}`;
  await main.tamper(change);
  try {
    for (const path of [
      `${MAIN}/entries/333?include=attachments`,
      "/audit/v1/entries?ledger=main&after=332&limit=1&include=attachments",
    ]) {
      const { body } = await get(server, path).expect(200);
      const [attachment] = (body.entry ?? body.entries[0]).attachments;
      expect(attachment).toMatchObject({ salt: "", content: "", sealed: expect.stringContaining("changed") });
    }
  } finally {
    await main.tamper(change);
  }
});

test("what is not there is named: entry, id, transaction, checkpoint", async () => {
  const missing = "018f0000-0000-7000-8000-000000000009";
  const cases = [
    [`entries/${size + 5}`, "entry_unknown"],
    [`entries/by-id/${missing}`, "entry_unknown"],
    ["entries/by-id/ffffffff-ffff-7fff-8fff-ffffffffffff", "entry_unknown"],
    ["entries/by-id/00000000-0000-4000-8000-000000000000", "entry_unknown"],
    [`transactions/${missing}`, "transaction_unknown"],
    ["checkpoints/3", "checkpoint_unknown"],
    [`entries/${size + 5}/proof`, "entry_unknown"],
    ["evidence?txn=018f0000-0000-7000-8000-000000000009", "evidence_empty"],
  ] as const;
  for (const [path, code] of cases) {
    const answer = await get(server, `${MAIN}/${path}`).expect(404);
    expect([path, problemSchema.parse(JSON.parse(answer.text)).code]).toEqual([path, code]);
  }
});

test("a transaction closed, and one open", async () => {
  const parsed = parseLeaf(await leafOf(2));
  if (typeof parsed === "string" || parsed.claims.type === "event") throw new Error("no transaction");
  const closed = await get(server, `${MAIN}/transactions/${parsed.claims.txn}?include=attachments`);
  const found = transactionAnswer.parse(closed.body);
  expect(found.state).toBe("closed");
  expect(found.request?.entry).toMatchObject({ type: "request", txn: parsed.claims.txn });
  expect(found.request?.attachments?.map(({ name }) => name)).toEqual(["facts", "body"]);
  expect(found.outcome?.entry).toMatchObject({ type: "response", requestSeq: found.request?.seq });

  const txn = "018f0000-0000-7000-8000-0000000000aa";
  await other.write((writer) => writer.append(intentDraft(txn)));
  const waiting = await get(server, `/audit/v1/ledgers/other/transactions/${txn}`);
  expect(transactionAnswer.parse(waiting.body)).toMatchObject({ state: "open", outcome: null });
});

test("inclusion proofs in every later tree check out, and with the signed root where there is one", async () => {
  for (const [seq, query, tree] of [
    [0, "", 201],
    [200, "", 201],
    [201, "", 500],
    [201, `?size=${size}`, size],
    [37, "?size=38", 38],
    [256, "?size=511", 511],
    [size - 1, "", size],
  ] as const) {
    const { body } = await get(server, `${MAIN}/entries/${seq}/proof${query}`).expect(200);
    const proof = inclusionAnswer.parse(body);
    expect([proof.seq, proof.tree.size]).toEqual([seq, tree]);
    const leafHash = hashLeaf(Buffer.from(await leafOf(seq)));
    expect(bytes(proof.leafHash)).toEqual(leafHash);
    const hashes = proof.hashes.map(bytes);
    expect(checkInclusion(hashes, seq, tree, leafHash, bytes(proof.tree.root))).toBe(true);
    expect(proof.tree.checkpoint !== null).toBe([201, 500, size].includes(tree));
    if (proof.tree.checkpoint === null) continue;
    const signed = openCheckpoint(proof.tree.checkpoint, policy());
    expect(signed).toMatchObject({ checkpoint: { size: tree, root: bytes(proof.tree.root) } });
  }
});

test("a proof file comes by Accept or by format, and checks out offline", async () => {
  const byAccept = await get(server, `${MAIN}/entries/9/proof?size=500`).set("accept", "text/plain");
  const byFormat = await get(server, `${MAIN}/entries/9/proof?size=500&format=tlog-proof`);
  expect(byAccept.headers["content-type"]).toContain("text/plain");
  expect(byFormat.text).toBe(byAccept.text);
  const checked = checkTlogProof(byFormat.text, hashLeaf(Buffer.from(await leafOf(9))), policy());
  expect(checked).toMatchObject({ index: 9, checkpoint: { size: 500 } });
  const unsigned = await get(server, `${MAIN}/entries/9/proof?size=499&format=tlog-proof`).expect(404);
  expect(JSON.parse(unsigned.text).code).toBe("checkpoint_unknown");
});

test("consistency proofs between any two sizes check out", async () => {
  for (const [from, to] of [
    [0, size],
    [1, 2],
    [201, 500],
    [256, size],
    [499, 511],
    [size, size],
    [201, undefined],
  ] as const) {
    const query = to === undefined ? `from=${from}` : `from=${from}&to=${to}`;
    const proof = consistencyAnswer.parse((await get(server, `${MAIN}/consistency?${query}`)).body);
    expect([proof.from.size, proof.to.size]).toEqual([from, to ?? size]);
    const hashes = proof.hashes.map(bytes);
    const roots = [bytes(proof.from.root), bytes(proof.to.root)] as const;
    expect(checkConsistency(hashes, from, to ?? size, ...roots)).toBe(true);
  }
});

test("checkpoints: the latest, past ones, pages of all, and how far each is anchored", async () => {
  main.anchoredSize = 300;
  const latest = checkpointAnswer.parse((await get(server, `${MAIN}/checkpoints/latest`)).body);
  expect(latest.checkpoint).toMatchObject({
    size,
    anchored: {
      upTo: 300,
      notAnchoredSince: 300,
      statement: "anchored up to 300, not anchored since 300",
    },
  });
  const past = checkpointAnswer.parse((await get(server, `${MAIN}/checkpoints/201`)).body);
  expect(past.checkpoint.anchored).toEqual({
    upTo: 300,
    notAnchoredSince: null,
    statement: "anchored up to 300",
  });
  main.anchoredSize = 0;
  const note = await get(server, `${MAIN}/checkpoints/201?format=note`).expect(200);
  expect(note.text).toBe(past.checkpoint.note);
  const sizes: number[] = [];
  for (let after: number | null = -1; after !== null && sizes.length < 4; ) {
    const { body } = await get(server, `${MAIN}/checkpoints?after=${after}&limit=2`);
    const page = checkpointsAnswer.parse(body);
    sizes.push(...page.checkpoints.map((checkpoint) => checkpoint.size));
    after = page.next;
  }
  expect(sizes).toEqual([201, 500, size]);
});

test("an evidence pack verifies with nothing but the first key", async () => {
  for (const query of ["?from=180&to=230", "?from=600&include=attachments", "?account=User/none"]) {
    const answer = await get(server, `${MAIN}/evidence${query}`).buffer().parse(asBytes);
    if (query.includes("account")) {
      expect(answer.status).toBe(404);
      continue;
    }
    expect([answer.status, answer.headers["content-type"]]).toEqual([200, "application/x-tar"]);
    const report = await verifyPack([answer.body], { pinned: [publicKeyOf(main.signers[0])] });
    expect([report.findings, report.ok, report.completeness]).toEqual([[], true, "gap_free"]);
  }
  const head = await request(server).head(`${MAIN}/evidence`).set("authorization", `Bearer ${TOKENS.all}`);
  expect([head.status, head.headers["content-type"]]).toEqual([200, "application/x-tar"]);
});

test("the list of entries is as it was", async () => {
  const { body } = await get(server, "/audit/v1/entries?ledger=main&after=5&limit=2&include=attachments");
  const page = entriesAnswer.parse(body);
  expect([page.ledger, page.entries.map(({ seq }) => seq), page.next]).toEqual(["main", [6, 7], 7]);
  expect(page.entries[0]?.leafHash).toBe(hashOf(page.entries[0]?.leaf ?? ""));
});

function hashOf(leaf: string): string {
  return Buffer.from(hashLeaf(Buffer.from(leaf))).toString("base64url");
}

test.each([
  "entries/-1",
  "entries/01",
  "entries/1e3",
  "entries/9007199254740993",
  "entries/0?include=everything",
  "entries/0?other=1",
  "entries/by-id/nothing",
  "entries/5/proof?size=5",
  "entries/5/proof?size=99999",
  "entries/5/proof?size=6&size=7",
  "entries/5/proof?format=xml",
  "transactions/x",
  "consistency",
  "consistency?from=5&to=4",
  "consistency?from=1&to=99999",
  "checkpoints?limit=0",
  "checkpoints/x",
  "evidence?txn=018f0000-0000-7000-8000-000000000009&from=1",
  "evidence?account=User",
  "entries/%E0%A4%A",
])("%s is refused with what is wrong", async (path) => {
  const answer = await get(server, `${MAIN}/${path}`).expect(400);
  expect(answer.headers["content-type"]).toContain("application/problem+json");
  expect(problemSchema.parse(JSON.parse(answer.text)).code).toBe("invalid_parameter");
});

test("HEAD is GET without a body; OPTIONS and other methods say what there is", async () => {
  const path = `${MAIN}/checkpoints/latest`;
  const full = await get(server, path);
  const head = await request(server).head(path).set("authorization", `Bearer ${TOKENS.all}`).expect(200);
  expect(head.headers["content-length"]).toBe(full.headers["content-length"]);
  expect(head.text).toBeUndefined();
  const options = await request(server).options(path).expect(204);
  expect(options.headers.allow).toBe("GET, HEAD, OPTIONS");
  const wrong = await request(server).delete(path).set("authorization", `Bearer ${TOKENS.all}`).expect(405);
  expect([wrong.headers.allow, JSON.parse(wrong.text).code]).toEqual([
    "GET, HEAD, OPTIONS",
    "method_not_allowed",
  ]);
  await request(server).delete(path).expect(401);
  await request(server).put("/ledgers/main/checkpoint").expect(405);
  // One URL for each thing of the log (C2SP tlog-tiles).
  for (const path of ["checkpoint", "vkey", "jwks.json", "tile/0/000"]) {
    await get(server, `/ledgers/main/${path}`).expect(200);
    for (const slashes of ["/", "//"]) await get(server, `/ledgers/main/${path}${slashes}`).expect(404);
  }
});

test("a tile that was read once is not sent again", async () => {
  const first = await get(server, "/ledgers/main/tile/0/000").buffer().parse(asBytes);
  const again = await get(server, "/ledgers/main/tile/0/000").set("if-none-match", first.headers.etag ?? "");
  expect(again.status).toBe(304);
});

test("below /audit/v1 only the two documents need no token", async () => {
  await get(server, "/audit/v1/", "").expect(200);
  await get(server, "/audit/v1/openapi.json", "").expect(200);
  await get(server, "/audit/v1/nowhere", "").expect(401);
  const nowhere = await get(server, "/audit/v1/nowhere").expect(404);
  expect(JSON.parse(nowhere.text).code).toBe("not_found");
  await request(server).post("/audit/v1/verify").send({ leaf: "x" }).expect(401);
});

test("an entry that is gone is the ledger's fault, whatever it is asked by", async () => {
  const row = "ledger_main.entry WHERE seq = 320";
  const { id } = entryAnswer.parse((await get(server, `${MAIN}/entries/320`)).body).entry.entry ?? {};
  await main.tamper(`CREATE TABLE kept AS SELECT * FROM ${row}; DELETE FROM ${row}`);
  try {
    for (const path of ["entries/320", "entries/320/proof", "entries/320?include=attachments"]) {
      const { text } = await get(server, `${MAIN}/${path}`).expect(500);
      expect(problemSchema.parse(JSON.parse(text)).code).toBe("ledger_inconsistent");
    }
    await get(server, `${MAIN}/entries/by-id/${id}`).expect(404);
    await get(server, "/ledgers/main/tile/entries/001").expect(500);
  } finally {
    await main.tamper("INSERT INTO ledger_main.entry SELECT * FROM kept; DROP TABLE kept");
  }
});

test("whatever was answered here, the document says that it may be", async () => {
  for (const path of [
    "/audit/v1/",
    "/audit/v1/openapi.json",
    "/audit/v1/status",
    "/audit/v1/connectors",
    "/session",
  ]) {
    await get(server, `${path}?other=1`);
    await get(server, path);
  }
  expect(undescribed).toEqual([]);
});

test("an address that guesses tokens, or asks without end, is slowed down; health is not", async () => {
  const limited = serve([main], { authFailures: 2, requests: 5, verifications: 1, signIns: 1 }).server;
  const statuses: number[] = [];
  for (let i = 0; i < 3; i++) statuses.push((await get(limited, `${MAIN}/entries/0`, "wrong")).status);
  expect(statuses).toEqual([401, 401, 429]);
  const other = serve([main], { authFailures: 9, requests: 3, verifications: 1, signIns: 1 }).server;
  const path = `${MAIN}/verify-range`;
  const ask = () =>
    request(other).post(path).set("authorization", `Bearer ${TOKENS.all}`).send({ from: 0, to: 0 });
  expect([(await ask()).status, (await ask()).status]).toEqual([200, 429]);
  expect((await get(other, "/ledgers/main/vkey")).status).toBe(200);
  const refused = await get(other, "/ledgers/main/vkey").expect(429);
  expect(problemSchema.parse(JSON.parse(refused.text)).code).toBe("rate_limited");
  expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);
  await get(other, "/healthz", "").expect(200);
});
