// Attachments as a scimseal of before stored them, by docs/FORMAT.md: until version 4 of the tables each in a row of its own,
// sealed by itself; until version 3 in clear.

import { createCipheriv, randomBytes } from "node:crypto";
import { dataKeyId } from "../../src/keys/attachmentSeal.ts";
import type { StoredAttachment } from "../../src/ledger/verify.ts";
import { testSealingKey } from "../support/sealing.ts";
import type { TestLedger } from "./writerHarness.ts";

const hex = (bytes: Uint8Array) => `'\\x${Buffer.from(bytes).toString("hex")}'`;

/** Puts rows of that time in the place of those that the ledger has. */
export async function storeAsBefore(ledger: TestLedger, version: 2 | 3): Promise<void> {
  const { schema, origin } = ledger;
  const dataKey = randomBytes(32);
  const id = dataKeyId(dataKey);
  const statements = [`DELETE FROM ${schema}.attachment`];
  if (version === 3) {
    const wrapped = testSealingKey(origin).wrap(dataKey, id);
    statements.push(`INSERT INTO ${schema}.data_key VALUES (${hex(id)}, ${hex(wrapped)})`);
  }
  for (const { row, claims } of await ledger.entries())
    for (const attachment of row.attachments ?? []) {
      const { name, salt, content } = attachment;
      const columns =
        version === 2
          ? `${hex(salt)}, ${hex(content)}`
          : `NULL, ${hex(sealOne(dataKey, `scimseal/v1/attachment\0${origin}\0${claims.id}\0${name}\0${"0/1"}`, attachment))}`;
      statements.push(`INSERT INTO ${schema}.attachment VALUES (${row.seq}, '${name}', ${columns})`);
    }
  await ledger.tamper(statements.join("; "));
}

function sealOne(dataKey: Uint8Array, place: string, { salt, content }: StoredAttachment): Uint8Array {
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", dataKey, nonce);
  cipher.setAAD(Buffer.from(place));
  const ciphertext = Buffer.concat([cipher.update(salt), cipher.update(content), cipher.final()]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(ciphertext.length);
  const head = Buffer.from([1, 0, 0, 0, 1]);
  return Buffer.concat([head, dataKeyId(dataKey), nonce, length, ciphertext, cipher.getAuthTag()]);
}
