// The vector of sealed attachments in docs/FORMAT.md ("Sealed at rest"), two ways: by the product's code, and by steps
// of node:crypto that were written from that page alone.

import { createCipheriv, createDecipheriv, createHash, createHmac, hkdfSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { createAttachmentOpener } from "../../src/keys/attachmentOpen.ts";
import { createAttachmentSealer } from "../../src/keys/attachmentSeal.ts";
import { createSealingKey } from "../../src/keys/sealingKey.ts";

const page = readFileSync("docs/FORMAT.md", "utf8");
const vector = JSON.parse(
  /<!-- sealed attachments -->\n```json\n(.*?)```/s.exec(page)?.[1] ?? "{}",
) as Record<
  | "sealingKey"
  | "origin"
  | "entryId"
  | "blockId"
  | "dataKeys"
  | "dataKeyId"
  | "nonce"
  | "stored"
  | "wrapNonce"
  | "wrapped",
  string
> & { slot: number; attachments: Record<"name" | "salt" | "content" | "commitment", string>[] };
const hex = (name: Exclude<keyof typeof vector, "attachments" | "slot">) => Buffer.from(vector[name], "hex");
const { origin, entryId, slot } = vector;
const dataKey = hex("dataKeys").subarray(32 * slot, 32 * slot + 32);
const attachments = vector.attachments.map(({ name, salt, content }) => ({
  name,
  salt: Buffer.from(salt, "hex"),
  content: Buffer.from(content, "hex"),
}));

test("the product opens it, and seals the same bytes from the same key and nonce", () => {
  const key = createSealingKey([hex("sealingKey")], origin);
  const stored = hex("stored");
  const opening = createAttachmentOpener(key, origin).begin([stored]);
  expect(opening.missing.map((id) => Buffer.from(id).toString("hex"))).toEqual([vector.blockId]);
  opening.add({ id: hex("blockId"), wrapped: hex("wrapped") });
  const named = attachments.map(({ name, content }) => ({ name, size: content.length }));
  expect(opening.openAll(entryId, named, stored)).toEqual(attachments);

  const drawn: Record<number, Buffer> = { 512: hex("dataKeys"), 32: hex("blockId"), 12: hex("nonce") };
  const sealer = createAttachmentSealer(key, origin, (size) => drawn[size] ?? Buffer.alloc(0));
  // The keys of a block are handed out one after the other.
  const sealed = Array.from({ length: 16 }, () => sealer.seal({ entryId, type: "refusal", attachments }));
  expect(sealed.map(({ content }) => Buffer.from(content ?? []).toString("hex"))).toContain(vector.stored);
});

test("the page alone leads to the same bytes, and back", () => {
  // The data key: its id, and how it is wrapped.
  const id = createHmac("sha256", dataKey).update("scimseal data key").digest();
  expect(id.toString("hex")).toBe(vector.dataKeyId);
  const wrappingKey = Buffer.from(
    hkdfSync("sha256", hex("sealingKey"), origin, "scimseal/v1/sealing/data key", 32),
  );
  const wrappingId = createHmac("sha256", hex("sealingKey"))
    .update("scimseal sealing key")
    .digest()
    .subarray(0, 8);
  const wrap = createCipheriv("aes-256-gcm", wrappingKey, hex("wrapNonce"));
  wrap.setAAD(Buffer.concat([Buffer.from(`scimseal/v1/data key\0${origin}\0`), wrappingId, hex("blockId")]));
  const wrapped = Buffer.concat([wrap.update(hex("dataKeys")), wrap.final()]);
  expect(Buffer.concat([wrappingId, hex("wrapNonce"), wrapped, wrap.getAuthTag()]).toString("hex")).toBe(
    vector.wrapped,
  );

  // The attachments: one part, of salt and content of each.
  const layout = attachments.map(({ name, content }) => `${name}:${content.length}`).join(",");
  const place = Buffer.from(`scimseal/v2/attachments\0${origin}\0${entryId}\0${layout}\0${"0/1"}`);
  const seal = createCipheriv("aes-256-gcm", dataKey, hex("nonce"));
  seal.setAAD(place);
  const plain = Buffer.concat(attachments.flatMap(({ salt, content }) => [salt, content]));
  const ciphertext = Buffer.concat([seal.update(plain), seal.final()]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(ciphertext.length);
  const head = Buffer.concat([Buffer.from([3, 0, 0, 0, 1]), hex("blockId"), Buffer.from([slot])]);
  expect(Buffer.concat([head, id, hex("nonce"), length, ciphertext, seal.getAuthTag()]).toString("hex")).toBe(
    vector.stored,
  );

  // And back, from the stored bytes: what the leaf commits to.
  const stored = hex("stored");
  const open = createDecipheriv("aes-256-gcm", dataKey, stored.subarray(70, 82), {
    authTagLength: 16,
  });
  open.setAAD(place);
  open.setAuthTag(stored.subarray(-16));
  const opened = Buffer.concat([open.update(stored.subarray(86, -16)), open.final()]);
  expect(opened.equals(plain)).toBe(true);
  expect(
    attachments.map(({ salt, content }) => createHash("sha256").update(salt).update(content).digest("hex")),
  ).toEqual(vector.attachments.map(({ commitment }) => commitment));
});

test("the page names the data key that is no secret, and the product's mark is that one", () => {
  const id = createHmac("sha256", Buffer.alloc(32)).update("scimseal data key").digest();
  expect(page).toContain(`\`${id.toString("hex")}\``);
  const key = createSealingKey([hex("sealingKey")], origin);
  const mark = createAttachmentSealer(key, origin, () => new Uint8Array()).mark();
  expect(Buffer.from(mark.id).equals(id)).toBe(true);
  expect(Buffer.from(key.unwrap(mark.wrapped, id)).equals(Buffer.alloc(32))).toBe(true);
});
