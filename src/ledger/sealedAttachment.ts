// The bytes of a sealed attachment (docs/FORMAT.md, "Sealed at rest"): one or more parts, each AES-256-GCM under the data
// key of one account or transaction. The plaintexts of the parts, joined, are the 32-byte salt and then the content that
// the leaf commits to. Pure: layout and additional data only, no cipher. Parsing is strict: one spelling, nothing after
// the last part; total: hostile bytes give undefined.

/** One part as it is stored. */
export interface SealedPart {
  /** Names the data key and commits to it: HMAC-SHA-256(data key, "scimseal data key"). */
  keyId: Uint8Array;
  nonce: Uint8Array;
  ciphertext: Uint8Array;
  tag: Uint8Array;
}

export const SEAL_VERSION = 1;
export const KEY_ID_BYTES = 32;
export const NONCE_BYTES = 12;
export const TAG_BYTES = 16;
/** Version and number of parts. */
export const SEAL_HEAD_BYTES = 5;
/** Of one part, beside its ciphertext: key id, nonce, length, tag. */
export const PART_BYTES = KEY_ID_BYTES + NONCE_BYTES + 4 + TAG_BYTES;

/** Reads the parts; they share the memory of `bytes`. Undefined: not a sealed attachment. */
export function parseSealed(bytes: Uint8Array): SealedPart[] | undefined {
  if (bytes.length < SEAL_HEAD_BYTES + PART_BYTES || bytes[0] !== SEAL_VERSION) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = view.getUint32(1);
  if (count === 0 || count > (bytes.length - SEAL_HEAD_BYTES) / PART_BYTES) return undefined;
  const parts: SealedPart[] = [];
  let at = SEAL_HEAD_BYTES;
  for (let i = 0; i < count; i++) {
    if (at + PART_BYTES > bytes.length) return undefined;
    const keyId = bytes.subarray(at, at + KEY_ID_BYTES);
    const nonce = bytes.subarray(at + KEY_ID_BYTES, at + KEY_ID_BYTES + NONCE_BYTES);
    at += KEY_ID_BYTES + NONCE_BYTES;
    const size = view.getUint32(at);
    at += 4;
    if (at + size + TAG_BYTES > bytes.length) return undefined;
    const tagAt = at + size;
    parts.push({
      keyId,
      nonce,
      ciphertext: bytes.subarray(at, tagAt),
      tag: bytes.subarray(tagAt, tagAt + TAG_BYTES),
    });
    at = tagAt + TAG_BYTES;
  }
  return at === bytes.length ? parts : undefined;
}

/** What a part is bound to, besides its key: it opens in this place of this entry of this ledger and in no other. */
export function sealedPlace(
  origin: string,
  entryId: string,
  name: string,
  part: number,
  parts: number,
): string {
  return `scimseal/v1/attachment\0${origin}\0${entryId}\0${name}\0${part}/${parts}`;
}
