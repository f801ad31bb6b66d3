/**
 * Opens sealed attachments for whoever holds the sealing key: the auditors' API, the monitor, the index, exports.
 *
 * Total: what cannot be opened gives the reason, never an exception, since the bytes come from a database that somebody
 * may have changed. No data key is kept from one opening to the next: one that was removed from the ledger, by a thief or
 * to erase an account, opens nothing any more from that moment on.
 */
import { createDecipheriv, createSecretKey, type KeyObject } from "node:crypto";
import { parseSealed, type SealedPart, sealedPlace, TAG_BYTES } from "../ledger/sealedAttachment.ts";
import type { AttachmentOpener } from "../ledger/sealing.ts";
import { dataKeyId } from "./attachmentSeal.ts";
import { SealError, type SealingKey } from "./sealingKey.ts";

const SALT_BYTES = 32;

/** An opener of one ledger's attachments. */
export function createAttachmentOpener(sealingKey: SealingKey, origin: string): AttachmentOpener {
  return {
    begin(contents) {
      const keys = new Map<string, KeyObject | undefined>();
      const parsed = new Map<Uint8Array, SealedPart[]>();
      const missing = new Map<string, Uint8Array>();
      for (const content of contents) {
        const parts = parseSealed(content);
        if (!parts) continue;
        parsed.set(content, parts);
        for (const { keyId } of parts) {
          const id = idText(keyId);
          if (keys.has(id)) continue;
          keys.set(id, undefined);
          missing.set(id, keyId);
        }
      }
      return {
        missing: [...missing.values()],
        add({ id, wrapped }) {
          const secret = unwrap(sealingKey, id, wrapped);
          if (secret) keys.set(idText(id), secret);
        },
        open(entryId, name, content) {
          const parts = parsed.get(content);
          if (!parts) return "it is not a sealed attachment";
          const plain: Uint8Array[] = [];
          for (const [i, part] of parts.entries()) {
            const secret = keys.get(idText(part.keyId));
            if (!secret) return "its data key is not there, or not under this sealing key";
            const bytes = decrypt(secret, part, sealedPlace(origin, entryId, name, i, parts.length));
            if (!bytes) return "it was changed, or sealed for another place";
            plain.push(bytes);
          }
          const [only] = plain;
          const whole = plain.length === 1 && only ? only : Buffer.concat(plain);
          if (whole.length < SALT_BYTES) return "it has no salt";
          return { salt: whole.subarray(0, SALT_BYTES), content: whole.subarray(SALT_BYTES) };
        },
      };
    },
  };
}

function unwrap(sealingKey: SealingKey, id: Uint8Array, wrapped: Uint8Array): KeyObject | undefined {
  try {
    const dataKey = sealingKey.unwrap(wrapped, id);
    // The id commits to the key: a part must not open under two keys to two texts.
    return Buffer.compare(dataKeyId(dataKey), id) === 0 ? createSecretKey(dataKey) : undefined;
  } catch (cause) {
    if (cause instanceof SealError) return undefined;
    throw cause;
  }
}

function decrypt(secret: KeyObject, part: SealedPart, place: string): Uint8Array | undefined {
  const cipher = createDecipheriv("aes-256-gcm", secret, part.nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(place));
  cipher.setAuthTag(part.tag);
  const bytes = cipher.update(part.ciphertext);
  try {
    cipher.final();
    return bytes;
  } catch {
    // The one thing final() throws for: the tag does not fit.
    return undefined;
  }
}

function idText(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString("latin1");
}
