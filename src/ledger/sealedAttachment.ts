// The bytes of sealed attachments (docs/FORMAT.md, "Sealed at rest"): one or more parts, each AES-256-GCM under the data
// key of one account or transaction. The plaintexts of the parts, joined, are each attachment's 32-byte salt and then the
// content that the leaf commits to: in version 2 of all attachments of the entry, in the leaf's order and with its sizes; in
// version 1 of one. Pure: layout and additional data only, no cipher. Parsing is strict: one spelling, nothing after the
// last part; total: hostile bytes give undefined.

import type { AttachmentRef } from "./entry.ts";
import { SALT_BYTES } from "./hash.ts";

/** The row in which all attachments of an entry stand, sealed together. No attachment is called that. */
export const SEALED_TOGETHER = "*";

/** One part as it is stored. */
export interface SealedPart {
  /** Names the data key and commits to it: HMAC-SHA-256(data key, "scimseal data key"). */
  keyId: Uint8Array;
  nonce: Uint8Array;
  ciphertext: Uint8Array;
  tag: Uint8Array;
}

/** What is written. Version 1 is only read. */
export const SEAL_VERSION = 2;
export const KEY_ID_BYTES = 32;
export const NONCE_BYTES = 12;
export const TAG_BYTES = 16;
/** Version and number of parts. */
export const SEAL_HEAD_BYTES = 5;
/** Of one part, beside its ciphertext: key id, nonce, length, tag. */
export const PART_BYTES = KEY_ID_BYTES + NONCE_BYTES + 4 + TAG_BYTES;

/** What stands in one row. */
export interface Sealed {
  /** 1: one attachment; 2: all of an entry. */
  version: 1 | 2;
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
  if (bytes.length < SEAL_HEAD_BYTES + PART_BYTES || (version !== 1 && version !== 2)) return undefined;
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
  return at === bytes.length ? { version, parts } : undefined;
}

/** Takes the joined plaintexts of version 2 apart, as the leaf names them. Undefined if that is not what they are. */
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
