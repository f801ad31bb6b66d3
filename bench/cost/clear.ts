// In place of src/keys/attachmentSeal.ts and attachmentOpen.ts: the same bytes without a cipher and without keys.

import { takeApart } from "../../src/ledger/sealedAttachment.ts";
import type { AttachmentOpener, AttachmentSealer } from "../../src/ledger/sealing.ts";

const ID_BYTES = 32;

export function createAttachmentSealer(): AttachmentSealer {
  return {
    seal: ({ attachments }) => ({
      ...(attachments.length > 0 && {
        content: Buffer.concat(attachments.flatMap(({ salt, content }) => [salt, content])),
      }),
      blocks: [],
      accounts: [],
    }),
    closed() {},
    mark: () => ({ id: Buffer.alloc(ID_BYTES), wrapped: Buffer.alloc(0) }),
    assertOpens() {},
  };
}

export function createAttachmentOpener(): AttachmentOpener {
  return {
    begin: () => ({
      missing: [],
      add() {},
      openAll: (_entryId, named, content) => takeApart(content, named) ?? "it is something else",
      openOne: () => "it is something else",
    }),
  };
}
