/**
 * Keyed tokens for identifiers that are personal: they stand in a leaf instead of an e-mail address or a login.
 *
 * The adversary holds the whole ledger and a dictionary of addresses: without this key he can test none of them.
 * Destroying the key makes every token meaningless. The key file is 32 random bytes in base64url, mode 0600; each
 * ledger and each purpose uses a subkey of its own (HKDF, RFC 5869), so that tokens of two ledgers cannot be matched.
 */
import { hkdfSync, randomBytes } from "node:crypto";
import { decodeBase64url } from "../ledger/base64url.ts";
import { createMac } from "./hmac.ts";
import { KeyError, readKeyFile } from "./keyFile.ts";

/** The key of one ledger. */
export interface TokenKey {
  /** `t:` and 22 base64url characters (132 bits): the same for the same kind and value, forever. */
  token(kind: "id", value: string): string;
  /** Keyed digest of bytes, as hex, for the question "was this the same body?". */
  digest(bytes: Uint8Array): string;
  /** 32 bytes for another purpose, bound to its name; the same in every instance that holds the key. */
  derive(purpose: string): Uint8Array;
}

/** Makes the text of a new key file. Save it with `saveKey`. */
export function generateTokenKey(): string {
  return `${randomBytes(32).toString("base64url")}\n`;
}

/** Loads a key file for the ledger with this origin. @throws {KeyError} */
export function loadTokenKey(path: string, origin: string): TokenKey {
  const bytes = decodeBase64url(readKeyFile(path).trim());
  if (bytes?.length !== 32) {
    throw new KeyError(
      path,
      `${path} is not a token key: it must hold 32 bytes in base64url (43 characters)`,
    );
  }
  return createTokenKey(bytes, origin);
}

/** The key of a ledger over 32 bytes in memory. */
export function createTokenKey(master: Uint8Array, origin: string): TokenKey {
  const derive = (purpose: string) =>
    new Uint8Array(hkdfSync("sha256", master, Buffer.from(origin), `scimseal/v1/${purpose}`, 32));
  const tokens = createMac(derive("token"));
  const digests = createMac(derive("digest"));
  return {
    token(kind, value) {
      // The NUL keeps kind and value apart: "a" + "bc" is not "ab" + "c".
      return `t:${tokens(`${kind}\0${value}`, "base64url").slice(0, 22)}`;
    },
    digest: (bytes) => digests(bytes, "hex"),
    derive,
  };
}
