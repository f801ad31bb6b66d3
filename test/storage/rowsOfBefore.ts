// Attachments as a scimseal of before stored them, by docs/FORMAT.md: until version 5 of the tables under data keys with a row
// each; until version 4 each in a row of its own, sealed by itself; until version 3 in clear.

import { randomBytes } from "node:crypto";
import { dataKeyId } from "../../src/keys/attachmentSeal.ts";
import { sealByHand, testSealingKey } from "../support/sealing.ts";
import type { TestLedger } from "./writerHarness.ts";

const hex = (bytes: Uint8Array) => `'\\x${Buffer.from(bytes).toString("hex")}'`;

/** Puts rows of that time in the place of those that the ledger has. */
export async function storeAsBefore(ledger: TestLedger, version: 2 | 3 | 5): Promise<void> {
  const { schema, origin } = ledger;
  const dataKey = randomBytes(32);
  const id = dataKeyId(dataKey);
  const statements = [`DELETE FROM ${schema}.attachment`];
  if (version > 2) {
    const wrapped = testSealingKey(origin).wrap(dataKey, id);
    statements.push(`INSERT INTO ${schema}.data_key VALUES (${hex(id)}, ${hex(wrapped)})`);
  }
  const store = (seq: number, name: string, columns: string) =>
    statements.push(`INSERT INTO ${schema}.attachment VALUES (${seq}, '${name}', ${columns})`);
  for (const { row, claims } of await ledger.entries()) {
    const attachments = row.attachments ?? [];
    if (version === 5 && attachments.length > 0) {
      const layout = attachments.map(({ name, content }) => `${name}:${content.length}`).join();
      const place = `scimseal/v2/attachments\0${origin}\0${claims.id}\0${layout}\0${"0/1"}`;
      const plain = attachments.flatMap(({ salt, content }) => [salt, content]);
      store(row.seq, "*", `NULL, ${hex(sealByHand(2, dataKey, place, plain))}`);
    } else
      for (const { name, salt, content } of attachments) {
        const place = `scimseal/v1/attachment\0${origin}\0${claims.id}\0${name}\0${"0/1"}`;
        const sealed = `NULL, ${hex(sealByHand(1, dataKey, place, [salt, content]))}`;
        store(row.seq, name, version === 2 ? `${hex(salt)}, ${hex(content)}` : sealed);
      }
  }
  await ledger.tamper(statements.join("; "));
}
