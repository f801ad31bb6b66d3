// The sealing key of the tests' ledgers: the same for all of them, so that whoever opens one needs to be handed nothing.

import { createAttachmentOpener } from "../../src/keys/attachmentOpen.ts";
import { createAttachmentSealer } from "../../src/keys/attachmentSeal.ts";
import { createSealingKey, type SealingKey } from "../../src/keys/sealingKey.ts";
import type { AttachmentOpener, AttachmentSealer } from "../../src/ledger/sealing.ts";
import { drawRandomBytes } from "../../src/nodeCrypto.ts";

const KEY = new Uint8Array(32).fill(0x5e);

/** The text of its key file. */
export const TEST_SEALING_JWKS = JSON.stringify({
  keys: [{ kty: "oct", k: Buffer.from(KEY).toString("base64url") }],
});

export function testSealingKey(origin: string): SealingKey {
  return createSealingKey([KEY], origin);
}

/** A sealer of its own for each writer. */
export function testSealer(origin: string): AttachmentSealer {
  return createAttachmentSealer(testSealingKey(origin), origin, drawRandomBytes);
}

export function testOpener(origin: string): AttachmentOpener {
  return createAttachmentOpener(testSealingKey(origin), origin);
}
