// docs/FORMAT.md against the vectors, the vectors against the product, and the vectors against a verifier that was
// written from the page. An auditor relies on the page; this is what makes it safe to.

import { createHash, createHmac, hkdfSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { compactVerify, importJWK } from "jose";
import { describe, expect, test } from "vitest";
import { leafOf } from "../vectors/entryCases.ts";
import { EXAMPLE, makeVectors, renderExample, type Vectors } from "../vectors/makeEntry.ts";
import { makePackExample, PACK_EXAMPLE } from "./packExample.ts";
import { commitmentOf, leafHashOf, thumbprintOf, verifyByThePage } from "./pageVerifier.ts";

const page = readFileSync("docs/FORMAT.md", "utf8");
// The file was made by makeVectors, and the first test holds it to that shape.
const vectors = JSON.parse(readFileSync("test/vectors/entry.json", "utf8")) as Vectors;
const pinned = vectors.keys.slice(0, 1).map(({ privateJwk }) => privateJwk.x);

test("the product still makes the vectors, byte for byte", () => {
  expect(makeVectors()).toEqual(vectors);
});

describe("the page's examples", () => {
  const examples = [...page.matchAll(EXAMPLE)];

  test("there is one for each kind", () => {
    const kinds = new Set(examples.map(([, , name]) => name?.split(":")[0]));
    expect([...kinds].sort()).toEqual(["attachment", "hash", "header", "keys", "leaf", "payload", "token"]);
  });

  test.each(examples.map(([, , name = "", text = ""]) => ({ name, text })))(
    "$name is the vector",
    ({ name, text }) => {
      expect(text).toBe(renderExample(vectors, name));
    },
  );
});

describe("the page's evidence pack", async () => {
  const { parts, pack, published } = await makePackExample(vectors);
  const examples = [...page.matchAll(PACK_EXAMPLE)];

  test("each part is shown once", () => {
    expect(examples.map(([, , name]) => name).sort()).toEqual(Object.keys(parts).sort());
  });

  test.each(examples.map(([, , name = "", text = ""]) => ({ name, text })))(
    "$name is the pack's",
    (example) => {
      expect(example.text).toBe(parts[example.name]);
    },
  );

  test("it verifies, and continues the checkpoint of 3", async () => {
    const report = await published.verify(pack, { earlier: published.checkpoints[0]?.note ?? "" });
    expect(report).toMatchObject({
      ok: true,
      entries: 3,
      rotations: 1,
      earlier: { size: 3, isContinued: true },
    });
  });
});

describe("the vectors verify", () => {
  test.each(vectors.cases)("$desc", ({ rows, findings }) => {
    const read = rows.map((row) => ({ ...row, leaf: leafOf(row, vectors.entries) }));
    expect(verifyByThePage(read, vectors.origin, pinned)).toEqual(findings);
  });

  test.each(vectors.entries)(
    "entry $seq: hash, commitments and payload",
    ({ leaf, leafHash, payload, attachments }) => {
      expect(leafHashOf(leaf)).toBe(leafHash);
      expect(JSON.parse(Buffer.from(leaf.split(".")[1] ?? "", "base64url").toString())).toEqual(payload);
      expect(attachments.map(({ name }) => name)).toEqual(payload.attachments.map(({ name }) => name));
      for (const [i, { salt, text, commitment }] of attachments.entries()) {
        expect(commitmentOf(salt, text)).toBe(commitment);
        expect(payload.attachments[i]).toMatchObject({ commitment, size: Buffer.byteLength(text) });
      }
    },
  );

  test.each(vectors.entries)("entry $seq: any JOSE library can check it alone", async ({ seq, leaf }) => {
    const key = vectors.keys[seq <= 6 ? 0 : 1];
    const { kty, crv, x } = key?.privateJwk ?? { kty: "", crv: "", x: "" };
    const { protectedHeader } = await compactVerify(leaf, await importJWK({ kty, crv, x }, "EdDSA"));
    expect(protectedHeader.kid).toBe(thumbprintOf(x));
  });

  test("a whole ledger under another name is found", () => {
    const rows = vectors.entries.map(({ seq, leaf }) => ({ seq, leaf }));
    const codes = verifyByThePage(rows, "scim.example.com/other", pinned).map(({ code }) => code);
    expect(codes).toEqual(rows.map(() => "origin_mismatch"));
  });
});

describe("keyed values, by section 6", () => {
  const { master, subkeys, token, digest } = vectors.tokenKey;
  const subkey = (purpose: string) =>
    Buffer.from(
      hkdfSync("sha256", Buffer.from(master, "base64url"), vectors.origin, `scimseal/v1/${purpose}`, 32),
    );

  test("subkeys", () => {
    expect(subkey("token").toString("hex")).toBe(subkeys.token);
    expect(subkey("digest").toString("hex")).toBe(subkeys.digest);
  });

  test("token", () => {
    const mac = createHmac("sha256", subkey("token")).update(`id\0${token.id}`).digest("base64url");
    expect(`t:${mac.slice(0, 22)}`).toBe(token.token);
    expect(vectors.entries[3]?.payload).toMatchObject({ scim: { resourceId: token.token } });
  });

  test("digest", () => {
    expect(createHmac("sha256", subkey("digest")).update(digest.text).digest("hex")).toBe(digest.hmacSha256);
    expect(vectors.entries[5]?.attachments[0]?.text).toContain(digest.hmacSha256);
  });

  test("a plain digest is that of the stored body; a body that lost its password has none", () => {
    for (const { payload, attachments } of vectors.entries) {
      const facts = JSON.parse(attachments.find(({ name }) => name === "facts")?.text ?? "{}");
      const body = attachments.find(({ name }) => name === "body");
      if (payload.type !== "request" || !body) continue;
      const isRedacted = payload.attachments.some(({ redacted }) => redacted !== undefined);
      const plain = createHash("sha256").update(body.text).digest("hex");
      expect(facts.sha256).toBe(isRedacted ? undefined : plain);
      expect(typeof facts.hmacSha256).toBe(isRedacted ? "string" : "undefined");
    }
  });

  test("no leaf of the vectors holds an address or the password", () => {
    const said = vectors.entries.map(({ payload }) => JSON.stringify(payload)).join();
    for (const secret of ["ada@example.com", "correct horse", "192.0.2.7"])
      expect(said).not.toContain(secret);
    expect(JSON.stringify(vectors.entries)).not.toContain("correct horse");
  });
});

describe("the page names every code of the source", () => {
  const codesOf = (file: string, type: string): string[] => {
    const text = readFileSync(file, "utf8");
    const union = new RegExp(`export type ${type} =([^;]*);`).exec(text)?.[1] ?? "";
    return [...union.matchAll(/"([^"]+)"/g)].map(([, code = ""]) => code);
  };

  test.each([
    ["src/ledger/verify.ts", "FindingCode", 15],
    ["src/ledger/evidence/packFinding.ts", "PackFindingCode", 9],
    ["src/ledger/evidence/treeAudit.ts", "TreeFindingCode", 4],
    ["src/ledger/entry.ts", "Outcome", 8],
    ["src/ledger/entry.ts", "EventName", 6],
    ["src/ledger/entry.ts", "EntryType", 4],
    ["src/scim/effect.ts", "Effect", 11],
    ["src/scim/effect.ts", "UnparsedCode", 10],
    ["src/scim/operation.ts", "ScimAction", 8],
    ["src/scim/facts.ts", "UnicodeHint", 4],
  ])("%s: %s", (file, type, atLeast) => {
    const codes = codesOf(file, type);
    expect(codes.length).toBeGreaterThanOrEqual(atLeast);
    expect(codes.filter((code) => !page.includes(`\`${code}\``))).toEqual([]);
  });

  test("facts", () => {
    const text = readFileSync("src/scim/facts.ts", "utf8");
    const body = /export interface Facts \{([\s\S]*?)\n\}/.exec(text)?.[1] ?? "";
    const members = [...body.matchAll(/^ {2}(\w+)\?:/gm)].map(([, name = ""]) => name);
    expect(members).toContain("userName");
    expect(members.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  });
});
