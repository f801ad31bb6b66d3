// Verification on demand over a real ledger, sound and tampered with: ranges, and what someone brings. Garbage is a verdict
// or a problem, never an accident.

import type { Server } from "node:http";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { problemSchema } from "../../../src/audit/http/problem.ts";
import { MAX_PACK_BODY_BYTES, MAX_TEXT_BODY_BYTES } from "../../../src/audit/verification/verify.ts";
import { sha256 } from "../../../src/ledger/hash.ts";
import { dropDatabase, makeDatabase, type TestDatabase } from "../../storage/writerHarness.ts";
import { watchAnswers } from "../described.ts";
import {
  asBytes,
  get,
  makePublished,
  type PublishedLedger,
  post,
  rotate,
  serve,
  TOKENS,
} from "../harness.ts";

let database: TestDatabase;
let main: PublishedLedger;
let other: PublishedLedger;
let server: Server;
let errors: unknown[] = [];
let undescribed: string[] = [];
let size = 0;
const MAIN = "/audit/v1/ledgers/main";
/** Above what a test file may ask for in a minute. */
const LIMITS = { authFailures: 1e4, requests: 1e5, verifications: 1e5, signIns: 1e4 };

beforeAll(async () => {
  database = await makeDatabase();
  main = await makePublished(database, "main");
  other = await makePublished(database, "other");
  await main.grow(120);
  await rotate(main);
  await main.grow(160);
  await main.publish();
  size = await main.size();
  ({ server, errors } = serve([main, other], LIMITS));
  undescribed = watchAnswers(server);
});

afterAll(async () => {
  await Promise.all([main, other].map((ledger) => ledger?.close()));
  if (database) await dropDatabase(database);
});

interface Finding {
  seq?: number;
  code: string;
}

const codes = (findings: readonly Finding[]) => findings.map(({ seq, code }) => [seq, code]);

async function verifyRange(from: number, to: number) {
  const { body, status } = await post(server, `${MAIN}/verify-range`).send({ from, to });
  expect(status).toBe(200);
  return body as { ok: boolean; checked: number; covered: number; findings: Finding[]; anchored: object };
}

async function verify(value: object, query = "") {
  const { body, status } = await post(server, `/audit/v1/verify${query}`).send(value);
  expect(status).toBe(200);
  return body as { ok: boolean; kind: string; ledger: string | null; findings: Finding[] };
}

async function leafOf(seq: number): Promise<string> {
  return (await get(server, `${MAIN}/entries/${seq}`).expect(200)).body.entry.leaf;
}

/** Changes rows, runs, and puts them back. */
async function whileTampered(tamper: string, repair: string, run: () => Promise<void>): Promise<void> {
  await main.tamper(tamper);
  try {
    await run();
  } finally {
    await main.tamper(repair);
  }
}

test.each([
  ["all", 0, 560],
  ["one", 7, 7],
  ["from an outcome on", 101, 300],
  ["over the rotation", 230, 260],
  ["from the rotation on", 241, 420],
  ["the first", 0, 0],
])("a sound range: %s", async (_, from, to) => {
  const report = await verifyRange(from, Math.min(to, size - 1));
  expect(report).toMatchObject({ ok: true, findings: [], checked: Math.min(to, size - 1) - from + 1 });
  expect(report.covered).toBe(size);
});

test("beyond the checkpoint a range is checked and not called ok", async () => {
  await main.grow(1);
  const report = await verifyRange(size - 3, size + 1);
  expect(report).toMatchObject({ ok: false, findings: [], checked: 5, covered: size });
  await main.publish();
  size = await main.size();
  expect(await verifyRange(size - 3, size - 1)).toMatchObject({ ok: true });
});

test.each([
  [{ from: 5, to: 4 }, 400],
  [{ from: 0, to: 10_000 }, 400],
  [{ from: -1, to: 4 }, 400],
  [{ from: 0.5, to: 4 }, 400],
  [{ from: "0", to: 4 }, 400],
  [{ from: 0 }, 400],
  [{ from: 0, to: 1, more: true }, 400],
  [{ from: 0, to: 9_999 }, 404],
])("range %j is refused", async (range, status) => {
  const answer = await post(server, `${MAIN}/verify-range`).send(range).expect(status);
  problemSchema.parse(JSON.parse(answer.text));
});

test.each(["[]", "5", "null", '"x"', '{"more":1,"from":0,"to":1}'])(
  "a body %s is refused as the body",
  async (text) => {
    for (const path of [`${MAIN}/verify-range`, "/audit/v1/verify"]) {
      const asked = post(server, path).set("content-type", "application/json").send(text);
      const { detail, code } = problemSchema.parse(JSON.parse((await asked.expect(400)).text));
      expect(code).toBe("invalid_parameter");
      expect(detail).not.toContain("query");
    }
  },
);

test("tampered entries are found and named", async () => {
  const table = "ledger_main.entry";
  const swap = `UPDATE ${table} SET leaf = overlay(leaf placing CASE WHEN substr(leaf, 200, 1) = 'A' THEN 'B' ELSE 'A' END from 200 for 1) WHERE seq = 50`;
  const leaf = await leafOf(50);
  await whileTampered(swap, `UPDATE ${table} SET leaf = '${leaf}' WHERE seq = 50`, async () => {
    const { ok, findings } = await verifyRange(40, 60);
    expect(ok).toBe(false);
    expect(codes(findings)).toContainEqual([50, "tree_mismatch"]);
    expect(new Set(findings.map(({ seq }) => seq))).toEqual(new Set([50]));
  });
  await whileTampered(
    `UPDATE ${table} SET seq = 900 WHERE seq = 300`,
    `UPDATE ${table} SET seq = 300 WHERE seq = 900`,
    async () => {
      const { findings } = await verifyRange(290, 310);
      expect(codes(findings)).toContainEqual([300, "missing"]);
      const single = await get(server, `${MAIN}/entries/300`).expect(500);
      expect(JSON.parse(single.text).code).toBe("ledger_inconsistent");
      const bundle = await get(server, "/ledgers/main/tile/entries/001").expect(500);
      expect(JSON.parse(bundle.text).code).toBe("ledger_inconsistent");
    },
  );
  const attachment = "ledger_main.attachment";
  await whileTampered(
    `UPDATE ${attachment} SET content = content || 'x'::bytea WHERE seq = 300`,
    `UPDATE ${attachment} SET content = substr(content, 1, length(content) - 1) WHERE seq = 300`,
    async () => {
      const named = (await verifyRange(0, 400)).findings;
      expect(new Set(codes(named).map(String))).toEqual(new Set(["300,attachment_mismatch"]));
    },
  );
});

test("a broken link right behind an outcome whose request is before the range is found", async () => {
  // Entry 60 signed again, as if its predecessor were another: only the link and the tree can tell.
  const leaf = await leafOf(60);
  const [header = "", payload = ""] = leaf.split(".");
  const claims = JSON.parse(Buffer.from(payload, "base64url").toString());
  const forged = { ...claims, prev: Buffer.from(sha256(Buffer.from("x"))).toString("base64url") };
  const input = `${header}.${Buffer.from(JSON.stringify(forged)).toString("base64url")}`;
  const signature = Buffer.from(main.signers[0].sign(Buffer.from(input))).toString("base64url");
  const table = "ledger_main.entry";
  await whileTampered(
    `UPDATE ${table} SET leaf = '${input}.${signature}' WHERE seq = 60`,
    `UPDATE ${table} SET leaf = '${leaf}' WHERE seq = 60`,
    async () => {
      for (const from of [58, 59, 60])
        expect(codes((await verifyRange(from, 70)).findings)).toContainEqual([60, "link_broken"]);
    },
  );
});

test("tampered tiles and checkpoints are found, and no proof is given from them", async () => {
  const flip = "UPDATE ledger_main.tile SET hashes = set_byte(hashes, 40, get_byte(hashes, 40) # 1)";
  await whileTampered(`${flip} WHERE index = 0`, `${flip} WHERE index = 0`, async () => {
    const { findings } = await verifyRange(0, 300);
    expect(codes(findings)).toEqual([[1, "tree_mismatch"]]);
    const far = await verifyRange(5, 9);
    expect(codes(far.findings)).toEqual([[5, "tile_mismatch"]]);
    const proof = await get(server, `${MAIN}/entries/5/proof`).expect(500);
    expect(JSON.parse(proof.text).code).toBe("ledger_inconsistent");
  });
  const move = "UPDATE ledger_main.checkpoint SET root = set_byte(root, 3, get_byte(root, 3) # 1)";
  await whileTampered(`${move}`, `${move}`, async () => {
    expect(codes((await verifyRange(5, 9)).findings)).toEqual([[undefined, "checkpoint_untrusted"]]);
    const consistency = await get(server, `${MAIN}/consistency?from=10`).expect(500);
    expect(JSON.parse(consistency.text).code).toBe("ledger_inconsistent");
  });
  expect(errors.length).toBeGreaterThan(0);
});

test("a leaf that is in the ledger, alone and with its proof file", async () => {
  const leaf = await leafOf(33);
  expect(await verify({ leaf })).toMatchObject({ ok: true, kind: "leaf", ledger: "main", findings: [] });
  const jose = await post(server, "/audit/v1/verify").type("application/jose").send(`${leaf}\n`);
  expect(jose.body).toMatchObject({ ok: true, kind: "leaf" });
  const proof = (await get(server, `${MAIN}/entries/33/proof?format=tlog-proof`)).text;
  expect(await verify({ leaf, proof })).toMatchObject({ ok: true, kind: "tlog-proof", findings: [] });
  const wrong = (await get(server, `${MAIN}/entries/34/proof?format=tlog-proof`)).text;
  expect(codes((await verify({ leaf, proof: wrong })).findings)).toEqual([[33, "proof_invalid"]]);
  expect(codes((await verify({ leaf, proof: "x" })).findings)).toEqual([[33, "proof_invalid"]]);
});

test("a leaf of the ledger's key that the ledger does not have", async () => {
  const [header = "", payload = ""] = (await leafOf(500)).split(".");
  const claims = JSON.parse(Buffer.from(payload, "base64url").toString());
  const sign = (changed: object) => {
    const input = `${header}.${Buffer.from(JSON.stringify({ ...claims, ...changed })).toString("base64url")}`;
    return `${input}.${Buffer.from(main.signers[1].sign(Buffer.from(input))).toString("base64url")}`;
  };
  const another = await verify({ leaf: sign({ time: "2020-01-01T00:00:00.000Z" }) });
  expect(codes(another.findings)).toEqual([
    [500, "entry_differs"],
    [500, "tree_mismatch"],
  ]);
  const cut = await verify({ leaf: sign({ seq: 5_000 }) });
  expect(codes(cut.findings)).toEqual([
    [5_000, "entry_missing"],
    [5_000, "entry_not_covered"],
  ]);
  const foreign = await verify({ leaf: sign({ log: "elsewhere.example/log" }) });
  expect([foreign.ledger, codes(foreign.findings)]).toEqual([null, [[500, "origin_unknown"]]]);
  const flipped = await leafOf(500);
  const broken = `${flipped.slice(0, -4)}${flipped.at(-4) === "A" ? "B" : "A"}${flipped.slice(-3)}`;
  expect(codes((await verify({ leaf: broken })).findings)).toEqual([[500, "signature_invalid"]]);
});

test("an auditor of another ledger hears of this one's leaf what he hears of any foreign one", async () => {
  const leaf = await leafOf(3);
  const { body } = await post(server, "/audit/v1/verify", TOKENS.other).send({ leaf });
  expect([body.ledger, codes(body.findings)]).toEqual([null, [[3, "origin_unknown"]]]);
  await post(server, "/audit/v1/verify?ledger=main", TOKENS.other).send({ leaf }).expect(404);
});

test("a proof file of a checkpoint that the ledger does not continue shows the cut and the fork", async () => {
  const leaf = await leafOf(0);
  const hash = sha256(Uint8Array.of(0), Buffer.from(leaf));
  const proofOf = (siblings: readonly Uint8Array[]) => {
    const root = siblings.reduce((node, sibling) => sha256(Uint8Array.of(1), node, sibling), hash);
    const lines = siblings.map((sibling) => `${Buffer.from(sibling).toString("base64")}\n`).join("");
    return `c2sp.org/tlog-proof@v1\nindex 0\n${lines}\n${main.sign(2 ** siblings.length, root)}`;
  };
  expect(await verify({ leaf, proof: proofOf([]) })).toMatchObject({ ok: true });
  const fork = await verify({ leaf, proof: proofOf([hash]) });
  expect(codes(fork.findings)).toEqual([[undefined, "ledger_forked"]]);
  const cut = await verify({ leaf, proof: proofOf(Array.from({ length: 10 }, () => hash)) });
  expect(codes(cut.findings)).toEqual([[undefined, "ledger_cut"]]);
});

test("an evidence pack, good and tampered with", async () => {
  const pack: Buffer = (
    await get(server, `${MAIN}/evidence?from=230&to=250&include=attachments`).buffer().parse(asBytes)
  ).body;
  const send = (body: Buffer, query = "?ledger=main") =>
    post(server, `/audit/v1/verify${query}`).type("application/x-tar").send(body);
  const good = await send(pack).expect(200);
  expect(good.body).toMatchObject({
    kind: "evidence-pack",
    ok: true,
    ledger: "main",
    firstSeq: 230,
    lastSeq: 250,
    entries: 21,
    findings: [],
  });
  const bad = Buffer.from(pack);
  const at = bad.indexOf(await leafOf(240)) + 300;
  bad[at] = (bad[at] ?? 0) ^ 1;
  const found = await send(bad).expect(200);
  expect(found.body.ok).toBe(false);
  expect(found.body.findings.length).toBeGreaterThan(0);
  expect((await send(pack.subarray(0, pack.length / 2)).expect(200)).body.ok).toBe(false);
  expect((await send(pack, "?ledger=other").expect(200)).body.ok).toBe(false);
  const unsaid = await send(pack, "").expect(400);
  expect(JSON.parse(unsaid.text).detail).toContain("ledger:");
});

test("bodies have limits and types", async () => {
  const { code } = JSON.parse((await post(server, "/audit/v1/verify").type("text/xml").send("<a/>")).text);
  expect(code).toBe("media_type_unsupported");
  const large = await post(server, "/audit/v1/verify")
    .type("application/jose")
    .send("a".repeat(MAX_TEXT_BODY_BYTES + 1));
  expect([large.status, JSON.parse(large.text).code]).toEqual([413, "body_too_large"]);
  const declared = await post(server, "/audit/v1/verify?ledger=main")
    .type("application/x-tar")
    .set("content-length", String(MAX_PACK_BODY_BYTES + 1))
    .send(Buffer.alloc(10))
    .then(
      ({ status }) => status,
      () => "closed",
    );
  expect([413, "closed"]).toContain(declared);
  const packed = await post(server, "/audit/v1/verify")
    .type("application/json")
    .set("content-encoding", "gzip")
    .send("{}");
  expect(packed.status).toBe(415);
});

test("garbage is a verdict or a problem, never an accident", async () => {
  const seen = errors.length;
  const leaf = await leafOf(12);
  const proof = (await get(server, `${MAIN}/entries/12/proof?format=tlog-proof`)).text;
  const mutated = fc
    .tuple(fc.constantFrom(leaf, proof), fc.nat(), fc.string({ unit: "binary", maxLength: 8 }))
    .map(([text, at, by]) => {
      const place = at % text.length;
      return text.slice(0, place) + by + text.slice(place + by.length);
    });
  const body = fc.oneof(
    fc.record({ leaf: fc.oneof(mutated, fc.constant(leaf)), proof: mutated }),
    fc.record({ leaf: mutated }),
    fc.json().map((text) => JSON.parse(text)),
  );
  await fc.assert(
    fc.asyncProperty(body, async (value) => {
      const { status } = await post(server, "/audit/v1/verify")
        .type("application/json")
        .send(JSON.stringify(value));
      expect([200, 400]).toContain(status);
    }),
    { numRuns: 150 },
  );
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 2_000 }), async (bytes) => {
      for (const type of ["application/x-tar", "application/jose", "application/json"]) {
        const answer = await post(server, "/audit/v1/verify?ledger=main").type(type).send(Buffer.from(bytes));
        expect([200, 400]).toContain(answer.status);
        if (answer.status === 200) expect(answer.body.ok).toBe(false);
      }
    }),
    { numRuns: 50 },
  );
  expect(errors.length).toBe(seen);
});

test("whatever was answered here, the document says that it may be", () => {
  expect(undescribed).toEqual([]);
});
