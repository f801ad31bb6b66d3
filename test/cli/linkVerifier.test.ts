// Hash, link and place of leaves without their signatures: what is whole passes by its first characters alone, what is not
// is named as the full verifier names it, and the hashes are those of the leaves, whatever stands in them.

import fc from "fast-check";
import { expect, test } from "vitest";
import { LinkVerifier } from "../../src/cli/verify/linkVerifier.ts";
import { GENESIS_PREV, hashLeaf } from "../../src/ledger/hash.ts";
import { LedgerVerifier } from "../../src/ledger/verify.ts";
import { hashLeafText, nodeCodec } from "../../src/nodeCrypto.ts";
import { Chain, newSigner, ORIGIN, publicKeyOf } from "../ledger/chain.ts";

const signer = newSigner();

function rowsOf(transactions: number): { seq: number; leaf: string }[] {
  const chain = new Chain(signer);
  chain.event({ name: "ledger-opened", kid: signer.kid });
  for (let i = 0; i < transactions; i++) chain.response(chain.request());
  return chain.rows.map(({ seq, leaf }) => ({ seq, leaf }));
}

const rows = rowsOf(60);

test("a whole chain has no findings, and its hashes are the leaves'", () => {
  const links = new LinkVerifier(ORIGIN);
  for (const row of rows)
    expect(Buffer.from(links.push(row))).toEqual(Buffer.from(hashLeaf(Buffer.from(row.leaf))));
  expect([links.findings, links.size]).toEqual([[], rows.length]);
});

test.each(["a.example/1", "a.example/12", "a.example/123", 'ä.example/"1'])(
  "numbers and links are told one from the other however they lie in the blocks of base64url (%s)",
  (origin) => {
    let prev = GENESIS_PREV;
    const links = new LinkVerifier(origin);
    for (let seq = 0; seq <= 1_001; seq++) {
      const leaf = leafOf(origin, { seq, prev });
      const right = links.findings.length;
      links.push({ seq, leaf });
      expect(links.findings.length).toBe(right);
      // The same one place further on: it neither has this number nor follows itself.
      if (seq % 100 === 99) {
        const wrong = new LinkVerifier(origin);
        wrong.push({ seq: 0, leaf: leafOf(origin, { seq: 0, prev: GENESIS_PREV }) });
        wrong.push({ seq: seq + 1, leaf });
        expect(wrong.findings.map(({ code }) => code)).toEqual(["seq_mismatch", "link_broken"]);
      }
      prev = hashLeaf(Buffer.from(leaf));
    }
  },
);

test("a leaf that says the same in another order of members is as good", () => {
  const links = new LinkVerifier(ORIGIN);
  const [first] = rows;
  const [header, payload = "", signature] = (first?.leaf ?? "").split(".");
  const { v, log, ...rest } = JSON.parse(Buffer.from(payload, "base64url").toString());
  const turned = Buffer.from(JSON.stringify({ ...rest, log, v })).toString("base64url");
  links.push({ seq: 0, leaf: [header, turned, signature].join(".") });
  expect(links.findings).toEqual([]);
});

test("whatever is done to leaves or their order, the place is named as by the verifier of everything, or later in the tree", () => {
  const change = fc.oneof(
    fc.record({ kind: fc.constant("swap" as const), a: fc.nat(119), b: fc.nat(119) }),
    fc.record({ kind: fc.constant("byte" as const), a: fc.nat(119), b: fc.nat(2_000) }),
    fc.record({ kind: fc.constant("wide" as const), a: fc.nat(119), b: fc.nat(2_000) }),
  );
  fc.assert(
    fc.property(change, ({ kind, a, b }) => {
      const changed = rows.map((row) => ({ ...row }));
      const [one, other] = [changed[a], changed[b % changed.length]];
      if (!one || !other) return;
      const at = b % one.leaf.length;
      const unit = one.leaf.charCodeAt(at);
      if (kind === "swap") [one.leaf, other.leaf] = [other.leaf, one.leaf];
      // A unit with the same low byte must not pass for the letter that stood there.
      else if (kind === "wide") one.leaf = replaceAt(one.leaf, at, String.fromCharCode(unit + 0x100));
      else one.leaf = replaceAt(one.leaf, at, unit === 65 ? "B" : "A");
      const links = new LinkVerifier(ORIGIN);
      const full = new LedgerVerifier({
        ...nodeCodec,
        origin: ORIGIN,
        pinned: [publicKeyOf(signer)],
        verify: () => true,
      });
      for (const row of changed) {
        const before = full.findings.length;
        full.push(row);
        const hash = links.push(row);
        expect(Buffer.from(hash)).toEqual(Buffer.from(hashLeaf(Buffer.from(row.leaf))));
        if (full.findings.length === before) continue;
        // A link is broken by the leaf before too: the hash of that one differs, whether or not it was named.
        const isSeen = links.findings.length > 0 || hash.some((byte, i) => byte !== hashAt(row.seq)[i]);
        expect(isSeen).toBe(true);
      }
      const isChanged = changed.some(({ leaf }, i) => leaf !== rows[i]?.leaf);
      const last = changed.length - 1;
      const isOnlyLast = changed.every(({ leaf }, i) => i === last || leaf === rows[i]?.leaf);
      // The successor's link tells; the newest one has none, and the tree's root alone tells of it.
      if (isChanged && !isOnlyLast) expect(links.findings.length).toBeGreaterThan(0);
    }),
    { numRuns: 300 },
  );
});

test.each([
  ["seq_mismatch", (claims: Record<string, unknown>) => ({ ...claims, seq: 8 })],
  ["origin_mismatch", (claims: Record<string, unknown>) => ({ ...claims, log: "another.example/log" })],
  ["link_broken", (claims: Record<string, unknown>) => ({ ...claims, prev: "A".repeat(43) })],
  ["malformed", ({ seq: _, ...claims }: Record<string, unknown>) => claims],
])("%s is named", (code, change) => {
  const links = new LinkVerifier(ORIGIN);
  for (const { seq, leaf } of rows.slice(0, 6)) {
    const [header, payload = "", signature] = leaf.split(".");
    const claims = change(JSON.parse(Buffer.from(payload, "base64url").toString()));
    const forged = [header, Buffer.from(JSON.stringify(claims)).toString("base64url"), signature].join(".");
    links.push({ seq, leaf: seq === 5 ? forged : leaf });
  }
  expect(links.findings.map((finding) => [finding.seq, finding.code])).toEqual([[5, code]]);
});

test("a leaf of any length has its hash", () => {
  const hash = Buffer.alloc(32);
  for (const text of ["", "a".repeat(21_844), "é".repeat(21_845), "€".repeat(65_535), "a".repeat(200_000)])
    expect([hashLeafText(text, hash), hash]).toEqual([
      Buffer.from(hashLeaf(Buffer.from(text))).toString("base64url"),
      Buffer.from(hashLeaf(Buffer.from(text))),
    ]);
});

/** A leaf as a writer begins it; what follows is not looked at. */
function leafOf(origin: string, { seq, prev }: { seq: number; prev: Uint8Array }): string {
  const [header, payload = "", signature] = (rows[seq % 2]?.leaf ?? "").split(".");
  const { v, log: _, seq: __, prev: ___, ...rest } = JSON.parse(Buffer.from(payload, "base64url").toString());
  const claims = { v, log: origin, seq, prev: Buffer.from(prev).toString("base64url"), ...rest };
  return [header, Buffer.from(JSON.stringify(claims)).toString("base64url"), signature].join(".");
}

function replaceAt(text: string, at: number, by: string): string {
  return `${text.slice(0, at)}${by}${text.slice(at + 1)}`;
}

function hashAt(seq: number): Uint8Array {
  return hashLeaf(Buffer.from(rows[seq]?.leaf ?? ""));
}
