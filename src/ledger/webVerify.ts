// Ed25519 verification by WebCrypto (W3C Web Cryptography Level 2), the browser's fast path. Browsers differ in what
// they let pass, so keys and signatures first go through the checks that all paths share (ed25519.ts). It promises
// the verdict of `verifySignature`. Pure: the browser's `crypto.subtle` is a parameter.

import { encodeBase64url } from "./base64url.ts";
import { isStrictPublicKey, isStrictSignature } from "./ed25519.ts";

/** What is needed of `crypto.subtle`, a browser's or Node's. `Key` is its opaque CryptoKey. */
export interface SubtleEd25519<Key> {
  importKey(
    format: "raw",
    keyData: Uint8Array<ArrayBuffer>,
    algorithm: "Ed25519",
    extractable: boolean,
    usages: "verify"[],
  ): Promise<Key>;
  verify(
    algorithm: "Ed25519",
    key: Key,
    signature: Uint8Array<ArrayBuffer>,
    data: Uint8Array<ArrayBuffer>,
  ): Promise<boolean>;
}

/** `VerifySignature`, later. Rejects only where the platform cannot do Ed25519 at all: that is no verdict. */
export type VerifySignatureAsync = (
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
) => Promise<boolean>;

const MAX_KEYS = 64;

/** A verifier on WebCrypto that keeps the keys it has imported, the last few. */
export function createWebVerify<Key>(subtle: SubtleEd25519<Key>): VerifySignatureAsync {
  const keys = new Map<string, Promise<Key>>();
  const importOnce = (bytes: Uint8Array): Promise<Key> => {
    const name = encodeBase64url(bytes);
    const known = keys.get(name);
    if (known !== undefined) return known;
    if (keys.size >= MAX_KEYS) keys.clear();
    const key = subtle.importKey("raw", Uint8Array.from(bytes), "Ed25519", false, ["verify"]);
    keys.set(name, key);
    return key;
  };
  return async (publicKey, message, signature) => {
    if (!isStrictSignature(signature) || !isStrictPublicKey(publicKey)) return false;
    // The copies: WebCrypto refuses views of shared memory, and nobody can change a copy while it is being checked.
    const [signatureCopy, messageCopy] = [Uint8Array.from(signature), Uint8Array.from(message)];
    return subtle.verify("Ed25519", await importOnce(publicKey), signatureCopy, messageCopy);
  };
}
