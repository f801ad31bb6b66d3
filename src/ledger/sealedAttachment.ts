// The bytes of sealed attachments (docs/FORMAT.md, "Sealed at rest"): one or more parts, each AES-256-GCM under the data
// key of one account or transaction. The plaintexts of the parts, joined, are each attachment's 32-byte salt and then the
// content that the leaf commits to: since version 2 of all attachments of the entry, in the leaf's order and with its
// sizes; in version 1 of one. Since version 3 a part says in which block of data keys its own stands. Pure: layout and
// additional data only, no cipher. Parsing is strict: one spelling in each version, nothing after the last part; total:
// hostile bytes give undefined.

import type { AttachmentRef } from "./entry.ts";
import { SALT_BYTES } from "./hash.ts";

/** The row in which all attachments of an entry stand, sealed together. No attachment is called that. */
export const SEALED_TOGETHER = "*";

/** One part as it is stored. */
export interface SealedPart {
  /** The row of data keys in which its own stands. Before version 3 a row held one key, and had its id. */
  blockId: Uint8Array;
  /** Which key of that row, from 0. */
  slot: number;
  /** Names the data key and commits to it: HMAC-SHA-256(data key, "scimseal data key"). */
  keyId: Uint8Array;
  nonce: Uint8Array;
  ciphertext: Uint8Array;
  tag: Uint8Array;
}

/** What is written. Versions 1 and 2 are only read. */
export const SEAL_VERSION = 3;
export const BLOCK_ID_BYTES = 32;
export const KEY_ID_BYTES = 32;
export const NONCE_BYTES = 12;
export const TAG_BYTES = 16;
/** Version and number of parts. */
export const SEAL_HEAD_BYTES = 5;
/** Where a part's key stands: block id, slot. */
export const KEY_PLACE_BYTES = BLOCK_ID_BYTES + 1;
/** Of one part before version 3, beside its ciphertext: key id, nonce, length, tag. */
const OLD_PART_BYTES = KEY_ID_BYTES + NONCE_BYTES + 4 + TAG_BYTES;
/** Of one part, beside its ciphertext: where its key stands, key id, nonce, length, tag. */
export const PART_BYTES = KEY_PLACE_BYTES + OLD_PART_BYTES;

/** What stands in one row. */
export interface Sealed {
  /** 1: one attachment; 2 and 3: all of an entry. */
  version: 1 | 2 | 3;
  parts: SealedPart[];
}

/** An attachment as a leaf names it. */
export type NamedSize = Pick<AttachmentRef, "name" | "size">;

export interface Attachment {
  name: string;
  salt: Uint8Array;
  content: Uint8Array;
}

/** Reads the parts; they share the memory of `bytes`. Undefined: nothing sealed in a version that is known. */
export function parseSealed(bytes: Uint8Array): Sealed | undefined {
  const [version] = bytes;
  if (version !== 1 && version !== 2 && version !== 3) return undefined;
  const placeBytes = version === 3 ? KEY_PLACE_BYTES : 0;
  const partBytes = placeBytes + OLD_PART_BYTES;
  if (bytes.length < SEAL_HEAD_BYTES + partBytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = view.getUint32(1);
  if (count === 0 || count > (bytes.length - SEAL_HEAD_BYTES) / partBytes) return undefined;
  const parts: SealedPart[] = [];
  let at = SEAL_HEAD_BYTES;
  const take = (size: number) => {
    at += size;
    return bytes.subarray(at - size, at);
  };
  for (let i = 0; i < count; i++) {
    if (at + partBytes > bytes.length) return undefined;
    const place = take(placeBytes);
    const keyId = take(KEY_ID_BYTES);
    const nonce = take(NONCE_BYTES);
    const size = view.getUint32(at);
    at += 4;
    if (at + size + TAG_BYTES > bytes.length) return undefined;
    parts.push({
      blockId: version === 3 ? place.subarray(0, BLOCK_ID_BYTES) : keyId,
      slot: place[BLOCK_ID_BYTES] ?? 0,
      keyId,
      nonce,
      ciphertext: take(size),
      tag: take(TAG_BYTES),
    });
  }
  return at === bytes.length ? { version, parts } : undefined;
}

/** Where a data key stands, in one spelling. */
export function formatKeyPlace(blockId: Uint8Array, slot: number): Uint8Array {
  const place = new Uint8Array(KEY_PLACE_BYTES);
  place.set(blockId);
  place[BLOCK_ID_BYTES] = slot;
  return place;
}

/** Takes the joined plaintexts of version 2 or 3 apart, as the leaf names them. Undefined if that is not what they are. */
export function takeApart(plain: Uint8Array, named: readonly NamedSize[]): Attachment[] | undefined {
  let at = 0;
  const attachments = named.map(({ name, size }) => {
    const salt = plain.subarray(at, at + SALT_BYTES);
    const content = plain.subarray(at + SALT_BYTES, at + SALT_BYTES + size);
    at += SALT_BYTES + size;
    return { name, salt, content };
  });
  return at === plain.length ? attachments : undefined;
}

/** What an entry's attachments are bound to, besides their keys: this entry of this ledger, and their names and sizes. */
export function sealedEntry(origin: string, entryId: string, named: readonly NamedSize[]): string {
  const layout = named.map(({ name, size }) => `${name}:${size}`).join();
  return `scimseal/v2/attachments\0${origin}\0${entryId}\0${layout}\0`;
}

/** What a part is bound to: it opens in this place and in no other. `entry`: of `sealedEntry`. */
export function sealedPlace(entry: string, part: number, parts: number): string {
  return `${entry}${part}/${parts}`;
}

/** The same of version 1, where a row holds one attachment. */
export function sealedPlaceOfOne(
  origin: string,
  entryId: string,
  name: string,
  part: number,
  parts: number,
): string {
  return `scimseal/v1/attachment\0${origin}\0${entryId}\0${name}\0${part}/${parts}`;
}
