/**
 * Opens sealed attachments for whoever holds the sealing key: the auditors' API, the monitor, the index, exports.
 *
 * Total: what cannot be opened gives the reason, never an exception, since the bytes come from a database that somebody
 * may have changed. No data key is kept from one opening to the next: one that was removed from the ledger, by a thief or
 * to erase an account, opens nothing any more from that moment on.
 */
import { createDecipheriv, createSecretKey, type KeyObject } from "node:crypto";
import { SALT_BYTES } from "../ledger/hash.ts";
import {
  parseSealed,
  type Sealed,
  type SealedPart,
  sealedEntry,
  sealedPlace,
  sealedPlaceOfOne,
  TAG_BYTES,
  takeApart,
} from "../ledger/sealedAttachment.ts";
import type { AttachmentOpener } from "../ledger/sealing.ts";
import { dataKeyId, KNOWN_KEY } from "./attachmentSeal.ts";
import { DATA_KEY_BYTES, SealError, type SealingKey } from "./sealingKey.ts";

/** An opener of one ledger's attachments. */
export function createAttachmentOpener(sealingKey: SealingKey, origin: string): AttachmentOpener {
  return {
    begin(contents) {
      /** The keys of a row, joined, by its id; undefined while nobody gave them, or where they cannot be unwrapped. */
      const rows = new Map<string, Uint8Array | undefined>();
      const keys = new Map<string, KeyObject>();
      const parsed = new Map<Uint8Array, Sealed>();
      const missing: Uint8Array[] = [];
      for (const content of contents) {
        const sealed = parseSealed(content);
        if (!sealed) continue;
        parsed.set(content, sealed);
        for (const { blockId } of sealed.parts) {
          const id = idText(blockId);
          if (rows.has(id)) continue;
          rows.set(id, undefined);
          missing.push(blockId);
        }
      }
      const keyOf = ({ blockId, slot, keyId }: SealedPart): KeyObject | undefined => {
        const place = `${idText(keyId)}${slot}${idText(blockId)}`;
        const key = keys.get(place) ?? takeKey(rows.get(idText(blockId)), slot, keyId);
        if (key) keys.set(place, key);
        return key;
      };
      /** The plaintexts of the parts, joined; or why there are none. */
      const openParts = (
        content: Uint8Array,
        isTogether: boolean,
        placeOf: (part: number, parts: number) => string,
      ): Uint8Array | string => {
        const sealed = parsed.get(content);
        if (!sealed || sealed.version > 1 !== isTogether) return "it is not sealed as it should be";
        const plain: Uint8Array[] = [];
        for (const [i, part] of sealed.parts.entries()) {
          const secret = keyOf(part);
          if (!secret) return "its data key is not there, or not under this sealing key";
          const bytes = decrypt(secret, part, placeOf(i, sealed.parts.length));
          if (!bytes) return "it was changed, or sealed for another place";
          plain.push(bytes);
        }
        const [only] = plain;
        return plain.length === 1 && only ? only : Buffer.concat(plain);
      };
      return {
        missing,
        add({ id, wrapped }) {
          rows.set(idText(id), unwrap(sealingKey, id, wrapped));
        },
        openAll(entryId, named, content) {
          const entry = sealedEntry(origin, entryId, named);
          const plain = openParts(content, true, (i, n) => sealedPlace(entry, i, n));
          if (typeof plain === "string") return plain;
          return takeApart(plain, named) ?? "it does not hold what the leaf names";
        },
        openOne(entryId, name, content) {
          const plain = openParts(content, false, (i, n) => sealedPlaceOfOne(origin, entryId, name, i, n));
          if (typeof plain === "string") return plain;
          if (plain.length < SALT_BYTES) return "it has no salt";
          return { name, salt: plain.subarray(0, SALT_BYTES), content: plain.subarray(SALT_BYTES) };
        },
      };
    },
  };
}

function unwrap(sealingKey: SealingKey, id: Uint8Array, wrapped: Uint8Array): Uint8Array | undefined {
  try {
    return sealingKey.unwrap(wrapped, id);
  } catch (cause) {
    if (cause instanceof SealError) return undefined;
    throw cause;
  }
}

/**
 * The id commits to the key: a part must not open under two keys to two texts. Nor under the key that everybody knows: whoever
 * can change rows could seal anything under that.
 */
function takeKey(joined: Uint8Array | undefined, slot: number, id: Uint8Array): KeyObject | undefined {
  const bytes = joined?.subarray(slot * DATA_KEY_BYTES, (slot + 1) * DATA_KEY_BYTES);
  if (bytes?.length !== DATA_KEY_BYTES || Buffer.compare(bytes, KNOWN_KEY) === 0) return undefined;
  return Buffer.compare(dataKeyId(bytes), id) === 0 ? createSecretKey(bytes) : undefined;
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
