// In place of src/keys/attachmentSeal.ts and attachmentOpen.ts: the same bytes without a cipher and without keys.

import type { AttachmentOpener, AttachmentSealer } from "../../src/ledger/sealing.ts";

const SALT_BYTES = 32;

export function createAttachmentSealer(): AttachmentSealer {
  return {
    seal: ({ attachments }) => ({
      contents: attachments.map(({ salt, content }) => Buffer.concat([salt, content])),
      keys: [],
      accounts: [],
    }),
    closed() {},
    mark: () => ({ id: Buffer.alloc(SALT_BYTES), wrapped: Buffer.alloc(0) }),
    assertOpens() {},
  };
}

export function createAttachmentOpener(): AttachmentOpener {
  return {
    begin: () => ({
      missing: [],
      add() {},
      open: (_entryId, _name, content) => ({
        salt: content.subarray(0, SALT_BYTES),
        content: content.subarray(SALT_BYTES),
      }),
    }),
  };
}
