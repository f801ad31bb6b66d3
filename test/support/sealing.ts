// The sealing key of the tests' ledgers: the same for all of them, so that whoever opens one needs to be handed nothing.

import { createCipheriv, createHmac, randomBytes } from "node:crypto";
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

/** One part as docs/FORMAT.md says, by node:crypto alone; `place`: block and slot, in version 3. */
export function sealByHand(
  version: 1 | 2 | 3,
  dataKey: Uint8Array,
  boundTo: string,
  plain: readonly Uint8Array[],
  place: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", dataKey, nonce);
  cipher.setAAD(Buffer.from(boundTo));
  const ciphertext = Buffer.concat([...plain.map((bytes) => cipher.update(bytes)), cipher.final()]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(ciphertext.length);
  const head = Buffer.from([version, 0, 0, 0, 1]);
  const id = createHmac("sha256", dataKey).update("scimseal data key").digest();
  return Buffer.concat([head, place, id, nonce, length, ciphertext, cipher.getAuthTag()]);
}

export function testOpener(origin: string): AttachmentOpener {
  return createAttachmentOpener(testSealingKey(origin), origin);
}
