// Signatures in a browser: by WebCrypto where it knows Ed25519, else by the portable code. Both give the same verdict
// (src/ledger/webVerify.ts). The portable one lets the page breathe in between.

import { verifySignature } from "../ledger/ed25519.ts";
import type { VerifyBatch } from "../ledger/evidence/packBody.ts";
import { createWebVerify, type SubtleEd25519 } from "../ledger/webVerify.ts";

export interface BatchVerifier {
  name: "WebCrypto" | "portable";
  verifyBatch: VerifyBatch;
}

/** y of the base point (RFC 8032 §5.1): a key that every implementation takes. */
const BASE_POINT = new Uint8Array(32).fill(0x66).with(0, 0x58);
const BREATH_MS = 30;

/** The fastest that this platform has. */
export async function chooseVerifier<Key>(subtle: SubtleEd25519<Key> | undefined): Promise<BatchVerifier> {
  if (subtle && (await knowsEd25519(subtle))) {
    const verify = createWebVerify(subtle);
    return {
      name: "WebCrypto",
      verifyBatch: (jobs) =>
        Promise.all(jobs.map(({ publicKey, message, signature }) => verify(publicKey, message, signature))),
    };
  }
  return { name: "portable", verifyBatch: verifyPatiently };
}

async function knowsEd25519<Key>(subtle: SubtleEd25519<Key>): Promise<boolean> {
  try {
    const key = await subtle.importKey("raw", BASE_POINT, "Ed25519", false, ["verify"]);
    // A platform may take the key and still not verify.
    await subtle.verify("Ed25519", key, new Uint8Array(64), new Uint8Array(1));
    return true;
  } catch (cause) {
    // This is how a platform says that it does not know the algorithm, in several types of exception.
    if (cause instanceof Error) return false;
    throw cause;
  }
}

const verifyPatiently: VerifyBatch = async (jobs) => {
  const verdicts: boolean[] = [];
  let breathed = performance.now();
  for (const { publicKey, message, signature } of jobs) {
    verdicts.push(verifySignature(publicKey, message, signature));
    if (performance.now() - breathed < BREATH_MS) continue;
    await new Promise((resolve) => setTimeout(resolve, 0));
    breathed = performance.now();
  }
  return verdicts;
};
