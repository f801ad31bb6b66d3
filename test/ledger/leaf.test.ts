// Leaves: one spelling only, and nothing that is read from one can throw.

import fc from "fast-check";
import { compactVerify, importJWK } from "jose";
import { expect, test } from "vitest";
import { fastVerify } from "../../src/keys/fastVerify.ts";
import { MAX_LEAF_BYTES } from "../../src/ledger/entry.ts";
import { commitTo, equalBytes, hashLeaf, sha256 } from "../../src/ledger/hash.ts";
import { formatHeader, formatSigningInput, parseLeaf, verifySignature } from "../../src/ledger/leaf.ts";
import { nodeSha256 } from "../../src/nodeCrypto.ts";
import { Chain, newSigner, publicKeyOf, signAny } from "./chain.ts";

const signer = newSigner();
const chain = new Chain(signer);
const opening = chain.event({ name: "ledger-opened", kid: signer.kid });
const request = chain.request();
const leaf = request.leaf.toString("latin1");
const [header = "", payload = "", signature = ""] = leaf.split(".");
const claims = JSON.parse(Buffer.from(payload, "base64url").toString()) as Record<string, unknown>;

const b64 = (text: string | Uint8Array) => Buffer.from(text).toString("base64url");

test("a leaf reads back as what was signed", () => {
  const parsed = parseLeaf(leaf);
  if (typeof parsed === "string") expect.fail(parsed);
  expect(parsed.kid).toBe(signer.kid);
  expect(parsed.claims).toMatchObject({ seq: 1, type: "request", prev: b64(opening.leafHash) });
  expect(verifySignature(publicKeyOf(signer).bytes, parsed.signingInput, parsed.signature)).toBe(true);
});

test("any JOSE library can check a leaf alone", async () => {
  const key = await importJWK({ ...signer.publicJwk, alg: "EdDSA" });
  const verified = await compactVerify(leaf, key);
  expect(verified.protectedHeader).toEqual({ alg: "EdDSA", kid: signer.kid, typ: "scimseal+jws" });
  expect(JSON.parse(Buffer.from(verified.payload).toString())).toEqual(claims);
});

const headers = (value: unknown) => `${b64(JSON.stringify(value))}.${payload}.${signature}`;
const payloads = (value: unknown) => signAny(signer, JSON.stringify(value));

test.for<[string, string]>([
  ["nothing", ""],
  ["two parts", `${header}.${payload}`],
  ["four parts", `${leaf}.${signature}`],
  ["an empty part", `${header}..${signature}`],
  ["a line break at the end", `${leaf}\n`],
  ["a space before", ` ${leaf}`],
  ["padding", `${leaf}=`],
  ["a signature of 63 bytes", `${header}.${payload}.${b64(Buffer.alloc(63))}`],
  ["a signature of 65 bytes", `${header}.${payload}.${b64(Buffer.alloc(65))}`],
  ["more than a leaf may hold", `${header}.${"A".repeat(MAX_LEAF_BYTES)}.${signature}`],
  ["alg none", headers({ alg: "none", kid: signer.kid, typ: "scimseal+jws" })],
  ["another alg", headers({ alg: "HS256", kid: signer.kid, typ: "scimseal+jws" })],
  ["another typ", headers({ alg: "EdDSA", kid: signer.kid, typ: "JWT" })],
  ["a header in another order", headers({ kid: signer.kid, alg: "EdDSA", typ: "scimseal+jws" })],
  ["a header with more in it", headers({ alg: "EdDSA", kid: signer.kid, typ: "scimseal+jws", jwk: {} })],
  [
    "a header with a space",
    `${b64(`{"alg":"EdDSA", "kid":"${signer.kid}","typ":"scimseal+jws"}`)}.${payload}.${signature}`,
  ],
  ["a kid that is no text", headers({ alg: "EdDSA", kid: 1, typ: "scimseal+jws" })],
  ["a header that is null", `${b64("null")}.${payload}.${signature}`],
  ["a payload that is no JSON", signAny(signer, "{")],
  ["a payload with a byte order mark", signAny(signer, `\ufeff${JSON.stringify(claims)}`)],
  ["a payload that is null", signAny(signer, "null")],
  ["a payload that is a list", signAny(signer, "[]")],
  ["another version", payloads({ ...claims, v: 2 })],
  ["seq as text", payloads({ ...claims, seq: "1" })],
  ["a seq below zero", payloads({ ...claims, seq: -1 })],
  ["a seq beyond 2^53", payloads({ ...claims, seq: 2 ** 53 })],
  ["an unknown type", payloads({ ...claims, type: "note" })],
  ["no attachments", payloads({ ...claims, attachments: undefined })],
  ["attachments that are none", payloads({ ...claims, attachments: [null] })],
  [
    "a commitment that is no text",
    payloads({ ...claims, attachments: [{ name: "a", size: 1, mediaType: "x", commitment: 1 }] }),
  ],
  ["an event without an event", payloads({ ...claims, type: "event" })],
  ["an event without a name", payloads({ ...claims, type: "event", event: {} })],
  ["a response without requestSeq", payloads({ ...claims, type: "response", outcome: "answered" })],
  ["a request without a txn", payloads({ ...claims, txn: undefined })],
])("refused: %s", ([, text]) => {
  expect(typeof parseLeaf(text)).toBe("string");
});

test("invalid UTF-8 in the payload is refused, not repaired", () => {
  const bytes = Buffer.from(JSON.stringify(claims).replace("okta", "ok\u00e9a"), "latin1");
  const input = `${formatHeader(signer.kid)}.${b64(bytes)}`;
  expect(typeof parseLeaf(`${input}.${b64(signer.sign(Buffer.from(input)))}`)).toBe("string");
});

// case 65
test("the encoding is injective: entries that differ have leaves that differ", () => {
  const text = fc.string({ unit: "grapheme", maxLength: 8 });
  const bodies = fc.record({ txn: text, connector: text, path: text });
  const inputOf = ({ txn, connector, path }: { txn: string; connector: string; path: string }) =>
    formatSigningInput(header, {
      ...(claims as { seq: number }),
      ...{ v: 1, log: "l", seq: 1, prev: "", id: "", time: "", instance: "", attachments: [] },
      ...{ type: "refusal", txn, connector, actor: { client: "", method: "basic" } },
      ...{ http: { method: "", path }, refusal: { code: "", status: 400 } },
    });
  fc.assert(
    fc.property(bodies, bodies, (a, b) => {
      const isSame = a.txn === b.txn && a.connector === b.connector && a.path === b.path;
      expect(inputOf(a) === inputOf(b)).toBe(isSame);
    }),
  );
  expect(inputOf({ txn: "ab", connector: "c", path: "" })).not.toBe(
    inputOf({ txn: "a", connector: "bc", path: "" }),
  );
});

// case 65
test("a commitment is injective in salt and bytes, and a leaf hash is neither a plain nor a node hash", () => {
  const salt = new Uint8Array(32);
  expect(() => commitTo(new Uint8Array(31), Uint8Array.of(0))).toThrow(RangeError);
  expect(() => commitTo(new Uint8Array(33), new Uint8Array())).toThrow(RangeError);
  expect(commitTo(salt, Uint8Array.of(0))).not.toEqual(commitTo(salt, Uint8Array.of(0, 0)));
  const bytes = Buffer.from("leaf");
  expect(hashLeaf(bytes)).not.toEqual(sha256(bytes));
  expect(hashLeaf(bytes)).toEqual(sha256(Uint8Array.of(0), bytes));
});

// case 65: the same bytes today, after a restart and on another runtime
test("the encoding is stable", () => {
  const input = formatSigningInput(formatHeader("K"), {
    v: 1,
    log: "l",
    seq: 0,
    prev: "AAAA",
    id: "i",
    time: "2026-01-01T00:00:00.000Z",
    instance: "n",
    type: "event",
    event: { name: "ledger-opened", kid: "ü\u2028" },
    attachments: [],
  });
  expect(b64(hashLeaf(Buffer.from(input), nodeSha256))).toBe("TYqJ0-GW3ntLbuZDMNgCjDaDVRThgb0likZx7MWVkN8");
  expect(equalBytes(hashLeaf(Buffer.from(input)), hashLeaf(Buffer.from(input), nodeSha256))).toBe(true);
});

test("no change of a single character of a leaf goes unnoticed", () => {
  const key = publicKeyOf(signer).bytes;
  fc.assert(
    fc.property(fc.nat(leaf.length - 1), fc.constantFrom(..."ABab01-_.= "), (at, character) => {
      const changed = leaf.slice(0, at) + character + leaf.slice(at + 1);
      if (changed === leaf) return;
      const parsed = parseLeaf(changed);
      if (typeof parsed === "string") return;
      expect(parsed.kid === signer.kid && fastVerify(key, parsed.signingInput, parsed.signature)).toBe(false);
    }),
    { numRuns: 1_000 },
  );
});

test("the fast and the portable verification agree on good and on bent signatures, messages and keys", () => {
  const key = publicKeyOf(signer).bytes;
  const bend = (bytes: Uint8Array, at: number, by: number) => {
    const bent = Uint8Array.from(bytes);
    bent[at % bent.length] = (bent[at % bent.length] ?? 0) ^ by;
    return bent;
  };
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 40 }),
      fc.constantFrom("none", "key", "message", "signature"),
      fc.nat(63),
      fc.integer({ min: 1, max: 255 }),
      (message, what, at, by) => {
        const good = Uint8Array.from(signer.sign(message));
        const bent = {
          key: what === "key" ? bend(key, at, by) : key,
          message: what === "message" ? Uint8Array.from([...message, by]) : message,
          signature: what === "signature" ? bend(good, at, by) : good,
        };
        const fast = fastVerify(bent.key, bent.message, bent.signature);
        expect(fast).toBe(verifySignature(bent.key, bent.message, bent.signature));
        expect(fast).toBe(what === "none");
      },
    ),
    { numRuns: 200 },
  );
});

test("both refuse what is laxly valid: small-order keys, S beyond the order, signatures of a wrong length", () => {
  const message = Buffer.from("m");
  const good = signer.sign(message);
  const key = publicKeyOf(signer).bytes;
  // L, the order of the base point, little-endian (RFC 8032 §5.1).
  const order = 2n ** 252n + 27_742_317_777_372_353_535_851_937_790_883_648_493n;
  let s = order;
  for (let i = 31; i >= 0; i--) s += BigInt(good[32 + i] ?? 0) << BigInt(8 * i);
  const malleable = Uint8Array.from(good);
  for (let i = 0; i < 32; i++) malleable[32 + i] = Number((s >> BigInt(8 * i)) & 255n);
  const identity = new Uint8Array(32);
  identity[0] = 1;
  const nothing = new Uint8Array(64);
  nothing[0] = 1;
  for (const verify of [fastVerify, verifySignature]) {
    expect(verify(key, message, good)).toBe(true);
    expect(verify(key, message, malleable)).toBe(false);
    expect(verify(identity, message, nothing)).toBe(false);
    expect(verify(key, message, good.slice(0, 63))).toBe(false);
    expect(verify(key.slice(0, 31), message, good)).toBe(false);
  }
});
