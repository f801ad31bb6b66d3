/**
 * The key that signs entries: Ed25519 (RFC 8032), kept as a private OKP JWK (RFC 8037 §2) in a file of mode 0600.
 *
 * Signing is synchronous: by libsodium where it is installed, else by node:crypto. Before a key is used at all it signs a
 * probe, and the portable verifier that auditors run has to accept it: a key whose halves do not match would otherwise
 * sign entries that nobody can check. Leaves out rotation, which is an event of the ledger.
 */
import { createPrivateKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { equalBytes } from "../ledger/hash.ts";
import { formatPublicJwk, type PublicJwk, parsePublicJwk } from "../ledger/key.ts";
import { verifySignature } from "../ledger/leaf.ts";
import { openFastSign } from "./fastSign.ts";
import { KeyError, readKeyFile } from "./keyFile.ts";

/** A loaded signing key. */
export interface Signer {
  /** RFC 7638 thumbprint of the public key (SHA-256, base64url). */
  readonly kid: string;
  /** The public half, safe to publish. */
  readonly publicJwk: PublicJwk;
  /** Signs exact bytes; 64 bytes come back. */
  sign(bytes: Uint8Array): Uint8Array;
}

/** A private Ed25519 key as JWK. */
export interface PrivateJwk extends PublicJwk {
  d: string;
}

/** Makes a new key from the system's randomness. Save `formatPrivateJwk(key)` with `saveKey`. */
export function generateKey(): PrivateJwk {
  return exportPrivateJwk(generateKeyPairSync("ed25519").privateKey);
}

/** The text of a private key file. */
export function formatPrivateJwk(key: PrivateJwk): string {
  return `${JSON.stringify({ ...key, alg: "EdDSA", use: "sig" }, null, 2)}\n`;
}

/** The text of a public key file, with its `kid`. @throws {Error} if it is no Ed25519 key. */
export function formatPinnedJwk(key: PublicJwk): string {
  const parsed = parsePublicJwk(key);
  if (parsed === undefined) throw new Error("not an Ed25519 public key");
  const jwk = { ...formatPublicJwk(parsed.bytes), kid: parsed.kid, alg: "EdDSA", use: "sig" };
  return `${JSON.stringify(jwk, null, 2)}\n`;
}

/** Loads a signing key and proves it by use. @throws {KeyError} naming the file and the remedy. */
export function loadSigner(path: string): Signer {
  return createSigner(parsePrivateJwk(readKeyFile(path), path), path);
}

/** A signer over a key in memory; `path` only names it in errors. @throws {KeyError} */
export function createSigner(jwk: PrivateJwk, path = "the key"): Signer {
  const unusable = (why: string, options?: ErrorOptions) =>
    new KeyError(
      path,
      `${path} is not a usable signing key: ${why}. Restore it from a backup, or make a new one with scimseal init`,
      options,
    );
  const { kty, crv, x, d } = jwk;
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: { kty, crv, x, d }, format: "jwk" });
  } catch (cause) {
    throw unusable("it cannot be read as an Ed25519 private JWK", { cause });
  }
  const parsed = parsePublicJwk(exportPrivateJwk(key));
  if (parsed === undefined) throw unusable("it is not Ed25519");
  const publicJwk = formatPublicJwk(parsed.bytes);
  // The `x` of the file may not belong to its `d`; what counts is the public key that people have pinned.
  if (publicJwk.x !== x) throw unusable("its public half does not belong to its private half");
  const probe = Buffer.from("scimseal signing key self-test");
  if (!verifySignature(parsed.bytes, probe, sign(null, probe, key))) {
    throw unusable("what it signs does not verify");
  }
  const slow = (bytes: Uint8Array): Uint8Array => sign(null, bytes, key);
  const fast = openFastSign(Buffer.from(d, "base64url"));
  const isSame = fast !== undefined && equalBytes(fast(probe), slow(probe));
  return { kid: parsed.kid, publicJwk, sign: isSame ? fast : slow };
}

function parsePrivateJwk(text: string, path: string): PrivateJwk {
  const wrong = (why: string, options?: ErrorOptions) =>
    new KeyError(path, `${path} is not a signing key: ${why}`, options);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's message quotes the text, which is the key: it goes no further.
    throw wrong("it is not JSON");
  }
  if (typeof value !== "object" || value === null) throw wrong("it is not a JWK");
  const { kty, crv, x, d } = value as Record<string, unknown>; // Narrowed field by field below.
  if (kty !== "OKP" || crv !== "Ed25519") throw wrong("it must be a JWK with kty OKP and crv Ed25519");
  if (typeof d !== "string") throw wrong("it has no private part (d); is it the public key?");
  if (typeof x !== "string") throw wrong("it has no public part (x)");
  return { kty, crv, x, d };
}

function exportPrivateJwk(key: KeyObject): PrivateJwk {
  const { x, d } = key.export({ format: "jwk" });
  if (x === undefined || d === undefined)
    throw new Error("the runtime exported an Ed25519 key without its parts");
  return { kty: "OKP", crv: "Ed25519", x, d };
}
