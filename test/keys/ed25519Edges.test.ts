// Ed25519 on the edges where verifiers differ: the portable path, libsodium, node:crypto and WebCrypto give one
// verdict, the right one, on published cases and on our own (test/vectors/makeEd25519.ts).

import { webcrypto } from "node:crypto";
import * as ed25519 from "@noble/ed25519";
import { sha512 } from "@noble/hashes/sha2.js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createFastVerify, fastVerify } from "../../src/keys/fastVerify.ts";
import { createSigner, generateKey } from "../../src/keys/signer.ts";
import type { Sodium } from "../../src/keys/sodium.ts";
import { isStrictPublicKey, isStrictSignature, verifySignature } from "../../src/ledger/ed25519.ts";
import { createWebVerify } from "../../src/ledger/webVerify.ts";
import edges from "../vectors/ed25519Edges.json" with { type: "json" };
import published from "../vectors/ed25519Public.json" with { type: "json" };
import { makeEdgeVectors } from "../vectors/makeEd25519.ts";

const nodeVerify = createFastVerify(undefined);
const webVerify = createWebVerify(webcrypto.subtle);
const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex, "hex"));

async function verdicts(key: Uint8Array, message: Uint8Array, signature: Uint8Array) {
  return {
    portable: verifySignature(key, message, signature),
    fast: fastVerify(key, message, signature),
    node: nodeVerify(key, message, signature),
    web: await webVerify(key, message, signature),
  };
}

const all = (valid: boolean) => ({ portable: valid, fast: valid, node: valid, web: valid });

test("a libsodium with cofactor is not believed", () => {
  const torsion = edges.cases.filter(({ desc }) => desc.endsWith("good with cofactor only"));
  expect(torsion.length).toBeGreaterThan(4);
  // Says yes to what a verifier with cofactor and lenient decoding says yes to.
  const withCofactor = createFastVerify({
    crypto_sign_verify_detached(signature: Uint8Array, message: Uint8Array, key: Uint8Array) {
      ed25519.hashes.sha512 = sha512;
      return ed25519.verify(signature, message, key, { zip215: true });
    },
  } as unknown as Sodium);
  for (const { key, message, signature } of torsion)
    expect(withCofactor(bytes(key), bytes(message), bytes(signature))).toBe(false);
});

test("the vectors are what their maker makes", () => {
  expect(makeEdgeVectors()).toEqual(edges);
});

test("every published case has its verdict, on every path", async () => {
  expect(published.groups.map(({ cases }) => cases.length)).toEqual([151, 12]);
  for (const group of published.groups) {
    for (const { id, key, message, signature, valid } of group.cases) {
      const found = await verdicts(bytes(key), bytes(message), bytes(signature));
      expect({ group: group.name, id, ...found }).toEqual({ group: group.name, id, ...all(valid) });
    }
  }
});

describe("our own edges", () => {
  test.each(edges.cases)("$desc", async ({ key, message, signature, valid, lax }) => {
    const [k, m, s] = [bytes(key), bytes(message), bytes(signature)];
    expect(await verdicts(k, m, s)).toEqual(all(valid));
    // Where a lenient verifier says yes, it is our strictness that refuses, and nothing else.
    ed25519.hashes.sha512 = sha512;
    expect(s.length === 64 && ed25519.verify(s, m, k, { zip215: true })).toBe(lax);
  });

  test.each(edges.keys)("key: $desc", async ({ key, strict }) => {
    expect(isStrictPublicKey(bytes(key))).toBe(strict);
    if (!strict) {
      const signature = bytes(edges.cases[0]?.signature ?? "");
      expect(isStrictSignature(signature)).toBe(true);
      expect(await verdicts(bytes(key), Uint8Array.of(1), signature)).toEqual(all(false));
    }
  });

  // So that a platform's own strictness is not needed for it.
  test("R that is not canonical or of small order is refused from its bytes", () => {
    const points = edges.keys.filter(({ key, desc }) => key.length === 64 && !desc.includes("no point"));
    for (const { key, strict, desc } of points)
      expect({ desc, strict: isStrictSignature(bytes(key + "00".repeat(32))) }).toEqual({ desc, strict });
  });

  test("the points of small order are eight, and are known as such from their bytes", () => {
    const keys = edges.keys.filter(({ desc }) => desc.startsWith("small order"));
    const points = keys.map(({ key }) => ed25519.Point.fromHex(key));
    expect(new Set(points.map((point) => point.toHex())).size).toBe(8);
    expect(points.every((point) => point.isSmallOrder())).toBe(true);
  });
});

test("more keys than are kept, one after the other and again", async () => {
  const message = Buffer.from("m");
  const signers = Array.from({ length: 70 }, () => createSigner(generateKey()));
  const made = signers.map((signer) => ({
    key: Buffer.from(signer.publicJwk.x, "base64url"),
    signature: signer.sign(message),
  }));
  for (const { key, signature } of [...made, ...made.slice(0, 3)]) {
    expect(await verdicts(key, message, signature)).toEqual(all(true));
  }
  const [first, second] = made;
  if (!first || !second) throw new Error("no signatures were made");
  expect(await verdicts(first.key, message, second.signature)).toEqual(all(false));
});

test("any bytes as key and signature have one verdict", async () => {
  const part = fc.uint8Array({ minLength: 32, maxLength: 32 });
  await fc.assert(
    fc.asyncProperty(part, part, part, async (key, r, s) => {
      const found = await verdicts(key, Uint8Array.of(1, 2), Uint8Array.from([...r, ...s.slice(0, 31), 0]));
      expect(found).toEqual(all(false));
    }),
    { numRuns: 100 },
  );
});

test("a platform without Ed25519 is an error, not a verdict", async () => {
  const good = edges.cases[0];
  if (!good) throw new Error("no case");
  const verify = createWebVerify<webcrypto.CryptoKey>({
    importKey: () => Promise.reject(new Error("NotSupportedError")),
    verify: () => Promise.resolve(true),
  });
  await expect(verify(bytes(good.key), bytes(good.message), bytes(good.signature))).rejects.toThrow(
    "NotSupportedError",
  );
});
