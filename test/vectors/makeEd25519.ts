// Makes test/vectors/ed25519Edges.json: signatures and keys on the edges where Ed25519 verifiers are known to differ,
// made with the torsion points and known scalars. `lax` says that a verifier with cofactor and lenient decoding (ZIP
// 215) accepts the signature: what refuses it is the strictness under test and not some mistake in the vector.
// Run `node test/vectors/makeEd25519.ts`, then `biome check --write test/vectors`.

import { writeFileSync } from "node:fs";
import * as ed25519 from "@noble/ed25519";
import { sha512 } from "@noble/hashes/sha2.js";

/** A signature; binary values are hexadecimal. */
export interface SignatureCase {
  desc: string;
  key: string;
  message: string;
  signature: string;
  /** The one verdict of all paths. */
  valid: boolean;
  lax: boolean;
}

/** What test/vectors/ed25519Edges.json holds. */
export interface EdgeVectors {
  about: string;
  keys: { desc: string; key: string; strict: boolean }[];
  cases: SignatureCase[];
}

const { Point } = ed25519;
type Point = InstanceType<typeof Point>;

const P = Point.CURVE().p;
const L = Point.CURVE().n;
const SIGN = 1n << 255n;
/** A point of order 8; its multiples are all eight points of small order. */
const TORSION = Point.fromHex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a");
/** Any scalars do; these are used nowhere else. */
const SECRET = 123_456_789_123_456_789n;
const NONCE = 987_654_321_987_654_321n;
const HONEST = Point.BASE.multiply(SECRET);

/** Builds the vectors. The same every time, on every machine. */
export function makeEdgeVectors(): EdgeVectors {
  ed25519.hashes.sha512 = sha512;
  return {
    about: "Edges of Ed25519 verification, in hexadecimal. Made by test/vectors/makeEd25519.ts.",
    keys: makeKeys(),
    cases: makeSignatures(),
  };
}

function makeKeys(): EdgeVectors["keys"] {
  const multiples = Array.from({ length: 8 }, (_, i) => times(TORSION, i));
  const honest = HONEST.toHex();
  return [
    { desc: "a key as keys are made", key: honest, strict: true },
    { desc: "mixed order: a point with a part of order 8", key: HONEST.add(TORSION).toHex(), strict: true },
    ...multiples.map((point, i) => ({
      desc: `small order: ${i} times the point of order 8`,
      key: point.toHex(),
      strict: false,
    })),
    ...lenientSmallOrder().map(({ desc, bytes }) => ({ desc, key: hex(bytes), strict: false })),
    ...[2n, 3n, 4n, 5n, 6n, 9n, 10n, 13n, 14n, 15n, 16n, 18n].flatMap((y) =>
      [0n, SIGN].map((sign) => ({
        desc: `y = p + ${y}, not canonical, sign ${sign === 0n ? 0 : 1}`,
        key: hex(encode(P + y + sign)),
        strict: false,
      })),
    ),
    { desc: "all bits set", key: "ff".repeat(32), strict: false },
    { desc: "y = 2, on no point of the curve", key: hex(encode(2n)), strict: false },
    { desc: "a byte short", key: honest.slice(2), strict: false },
    { desc: "a byte long", key: `${honest}00`, strict: false },
    { desc: "empty", key: "", strict: false },
  ];
}

function makeSignatures(): SignatureCase[] {
  const honest = HONEST.toBytes();
  const good = seal(honest, { r: times(Point.BASE, NONCE).toBytes(), nonce: NONCE, secret: SECRET });
  const { key, message } = good;
  const variant = (desc: string, signature: string, lax = false) =>
    check({ desc, key, message, signature, valid: false }, lax);
  const r = good.signature.slice(0, 64);
  const s = decodeNumber(good.signature.slice(64));
  const mixed = HONEST.add(TORSION).toBytes();
  const cases = [
    check({ desc: "an honest signature", ...good, valid: true }, true),
    ...[1n, 2n, 8n].map((n) => variant(`S + ${n}L`, r + hex(encode(s + n * L)))),
    ...[253n, 254n, 255n].map((bit) => variant(`S with bit ${bit} set`, r + hex(encode(s | (1n << bit))))),
    variant("S = L", r + hex(encode(L))),
    variant("S = 0", r + "00".repeat(32)),
    variant("a byte short", good.signature.slice(0, -2)),
    variant("a byte long", `${good.signature}00`),
    variant("empty", ""),
    ...Array.from({ length: 8 }, (_, i) => {
      const sealed = seal(honest, { r: times(TORSION, i).toBytes(), nonce: 0n, secret: SECRET });
      return check(
        { desc: `R of small order, ${i} times the point of order 8`, ...sealed, valid: false },
        true,
      );
    }),
    ...lenientSmallOrder().map(({ desc, bytes }) => {
      const sealed = seal(honest, { r: bytes, nonce: 0n, secret: SECRET });
      return check({ desc: `R: ${desc}`, ...sealed, valid: false }, true);
    }),
    ...[1, 4, 7].map((i) => {
      const bent = times(Point.BASE, NONCE).add(times(TORSION, i)).toBytes();
      const sealed = seal(honest, { r: bent, nonce: NONCE, secret: SECRET });
      return check(
        { desc: `R with a torsion part (${i}): good with cofactor only`, ...sealed, valid: false },
        true,
      );
    }),
    ...[0, 1, 3, 4].map((i) => {
      const bent = times(Point.BASE, NONCE)
        .add(times(TORSION, 8 - i))
        .toBytes();
      const sealed = seal(mixed, { r: bent, nonce: NONCE, secret: SECRET, remainder: BigInt(i) });
      return check(
        { desc: `a key of mixed order, R to match (${i}): good without cofactor`, ...sealed, valid: true },
        true,
      );
    }),
    ...[1, 2, 4, 7].map((i) => {
      const plain = times(Point.BASE, NONCE).toBytes();
      const sealed = seal(mixed, { r: plain, nonce: NONCE, secret: SECRET, remainder: BigInt(i) });
      return check(
        { desc: `a key of mixed order (${i}): good with cofactor only`, ...sealed, valid: false },
        true,
      );
    }),
  ];
  const smallKeys = [
    ...Array.from({ length: 8 }, (_, i) => ({
      desc: `a key of small order, ${i} times the point of order 8`,
      bytes: Uint8Array.from(times(TORSION, i).toBytes()),
    })),
    ...lenientSmallOrder().map(({ desc, bytes }) => ({ desc: `key: ${desc}`, bytes })),
  ];
  for (const { desc, bytes } of smallKeys) {
    // With k a multiple of 8 the key drops out of the equation: anyone can sign, with and without cofactor.
    const plain = times(Point.BASE, NONCE).toBytes();
    const sealed = seal(bytes, { r: plain, nonce: NONCE, secret: 0n, remainder: 0n });
    cases.push(check({ desc: `${desc}: signed by anyone`, ...sealed, valid: false }, true));
  }
  return cases;
}

/** Encodings of small-order points that a lenient decoder reads: y not reduced, or a sign where x is 0. */
function lenientSmallOrder(): { desc: string; bytes: Uint8Array }[] {
  return [
    { desc: "y = p, not canonical", bytes: encode(P) },
    { desc: "y = p, not canonical, sign set", bytes: encode(P + SIGN) },
    { desc: "y = p + 1, not canonical", bytes: encode(P + 1n) },
    { desc: "y = p + 1, not canonical, sign set", bytes: encode(P + 1n + SIGN) },
    { desc: "y = 1, sign set although x is 0", bytes: encode(1n + SIGN) },
    { desc: "y = -1, sign set although x is 0", bytes: encode(P - 1n + SIGN) },
  ];
}

/** Signs the first message for which k has the wished remainder by 8: S = nonce + k·secret, over exactly these bytes. */
function seal(key: Uint8Array, how: { r: Uint8Array; nonce: bigint; secret: bigint; remainder?: bigint }) {
  for (let i = 0; ; i++) {
    const message = Buffer.from(`message ${i}`);
    const k = decodeNumber(hex(sha512(Buffer.concat([how.r, key, message])))) % L;
    if (how.remainder !== undefined && k % 8n !== how.remainder) continue;
    const s = encode((how.nonce + k * how.secret) % L);
    return { key: hex(key), message: hex(message), signature: hex(how.r) + hex(s) };
  }
}

function check(vector: Omit<SignatureCase, "lax">, lax: boolean): SignatureCase {
  return { ...vector, lax };
}

function times(point: Point, n: number | bigint): Point {
  return point.multiply(BigInt(n), false);
}

function encode(n: bigint): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, i) => Number((n >> BigInt(8 * i)) & 255n));
}

function decodeNumber(littleEndian: string): bigint {
  return BigInt(`0x${Buffer.from(littleEndian, "hex").reverse().toString("hex")}`);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

if (import.meta.main) {
  writeFileSync("test/vectors/ed25519Edges.json", `${JSON.stringify(makeEdgeVectors(), null, 2)}\n`);
}
