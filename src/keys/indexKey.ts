/**
 * The keys of a ledger's index: tokens by which a value is found without standing there, digests that tell values
 * apart, and the sealed values themselves, padded.
 *
 * The adversary holds the whole database and a dictionary of names and addresses: without this key he can test none of
 * them. What he does learn is how often a token occurs and which rows share one. Every subkey is derived from the
 * ledger's sealing key, so that the index of another ledger has other tokens for the same names.
 */
import { createCipheriv, createDecipheriv, createSecretKey } from "node:crypto";
import type { TokenKind } from "../scim/search/tokens.ts";
import { createMac } from "./hmac.ts";
import { drawNonce, NONCE_BYTES } from "./nonce.ts";

export interface IndexKey {
  /** Names the key, not secret: an index made under another one must be made anew. 11 base64url characters. */
  readonly id: string;
  /** A keyed token: 64 bits as a signed number, PostgreSQL's bigint. The same for the same kind and text. */
  token(kind: TokenKind, text: string): bigint;
  /** 16 bytes: the same for the same attribute and exact value; of a lone surrogate, as for U+FFFD (UTF-8 has no other). */
  digest(attribute: string, value: string): Uint8Array;
  /** Seals a value (AES-256-GCM, a random nonce each time). `aad` says where it stands, and must be given to open it. */
  seal(value: string, aad: string): Uint8Array;
  /** The value; undefined if it was not sealed under this key for this place. */
  open(sealed: Uint8Array, aad: string): string | undefined;
}

const CIPHER = "aes-256-gcm";
const TAG_BYTES = 16;
const DIGEST_BYTES = 16;
const PAD_BLOCK = 32;
const PAD_BYTE = 0xff;

/** A byte that no UTF-8 holds fills up to the block: the exact length of an address would single out its owner. */
function pad(value: string): Buffer {
  const text = Buffer.from(value, "utf8");
  const padded = Buffer.alloc(Math.max(1, Math.ceil(text.length / PAD_BLOCK)) * PAD_BLOCK, PAD_BYTE);
  text.copy(padded);
  return padded;
}

function unpad(padded: Buffer): string {
  const end = padded.indexOf(PAD_BYTE);
  return padded.toString("utf8", 0, end === -1 ? padded.length : end);
}

/** `derive`: 32 bytes for a purpose, the same in every instance that holds the ledger's key. */
export function createIndexKey(derive: (purpose: string) => Uint8Array): IndexKey {
  const tokens = createMac(derive("index token"));
  const digests = createMac(derive("index digest"));
  const names = createSecretKey(derive("index name"));
  return {
    id: Buffer.from(derive("index id")).subarray(0, 8).toString("base64url"),
    // A NUL keeps the parts apart: "a" + "bc" is not "ab" + "c".
    token: (kind, text) => Buffer.from(tokens(`${kind}\0${text}`, "binary"), "latin1").readBigInt64BE(0),
    digest: (attribute, value) =>
      Buffer.from(digests(`${attribute}\0${value}`, "binary").slice(0, DIGEST_BYTES), "latin1"),
    seal(value, aad) {
      const nonce = drawNonce();
      const cipher = createCipheriv(CIPHER, names, nonce, { authTagLength: TAG_BYTES });
      cipher.setAAD(Buffer.from(aad, "utf8"));
      return Buffer.concat([nonce, cipher.update(pad(value)), cipher.final(), cipher.getAuthTag()]);
    },
    open(sealed, aad) {
      if (sealed.length < NONCE_BYTES + TAG_BYTES) return undefined;
      const tagAt = sealed.length - TAG_BYTES;
      const cipher = createDecipheriv(CIPHER, names, sealed.subarray(0, NONCE_BYTES), {
        authTagLength: TAG_BYTES,
      });
      cipher.setAAD(Buffer.from(aad, "utf8"));
      cipher.setAuthTag(sealed.subarray(tagAt));
      const padded = cipher.update(sealed.subarray(NONCE_BYTES, tagAt));
      try {
        cipher.final();
      } catch {
        // The one thing that final() throws for: another key, another place, or changed bytes.
        return undefined;
      }
      return unpad(padded);
    },
  };
}
