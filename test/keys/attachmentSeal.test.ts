// Sealing: what opens where, and under whose key.

import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createAttachmentOpener } from "../../src/keys/attachmentOpen.ts";
import { createAttachmentSealer } from "../../src/keys/attachmentSeal.ts";
import { createSealingKey } from "../../src/keys/sealingKey.ts";
import { type Attachment, parseSealed } from "../../src/ledger/sealedAttachment.ts";
import type { SealedEntry, SealingTask } from "../../src/ledger/sealing.ts";
import { markStored } from "../../src/storage/attachmentSealer.ts";
import { sealByHand } from "../support/sealing.ts";

const ORIGIN = "scim.example.com/main";
const KEY = createSealingKey([new Uint8Array(32).fill(7)], ORIGIN);
const SALT = new Uint8Array(32).fill(3);

const sealer = () => createAttachmentSealer(KEY, ORIGIN, randomBytes);

function request(txn: string, content: Uint8Array | string, more: Partial<SealingTask> = {}): SealingTask {
  return {
    entryId: `entry-${txn}`,
    type: "request",
    txn,
    connector: "okta",
    attachments: [{ name: "body", salt: SALT, content: Buffer.from(content) }],
    ...more,
  };
}

const NOTHING = new Uint8Array();

/** As the leaf names what these are. */
const body = (sealed: Uint8Array) => {
  const plain = (parseSealed(sealed)?.parts ?? []).reduce(
    (sum, { ciphertext }) => sum + ciphertext.length,
    0,
  );
  return [{ name: "body", size: plain - SALT.length }];
};

function open(sealed: SealedEntry, entryId: string, opener = createAttachmentOpener(KEY, ORIGIN)) {
  const { content = NOTHING } = sealed;
  const opening = opener.begin([content]);
  for (const block of sealed.blocks) opening.add(block);
  return textOf(opening.openAll(entryId, body(content), content));
}

/** Of the first attachment; or why there is none. */
function textOf(opened: readonly Attachment[] | string): string {
  return typeof opened === "string" ? opened : Buffer.from(opened[0]?.content ?? []).toString();
}

const keysOf = (sealed: SealedEntry) =>
  (parseSealed(sealed.content ?? NOTHING)?.parts ?? []).map(({ keyId }) =>
    Buffer.from(keyId).toString("hex"),
  );

test("opens to the same salts and bytes, in its place only", () => {
  const attachments = [
    { name: "n0", salt: SALT, content: Buffer.from("Ada") },
    { name: "n1", salt: new Uint8Array(32).fill(4), content: Buffer.from("") },
    { name: "n2", salt: new Uint8Array(32).fill(5), content: Buffer.from("Lovelace") },
  ];
  const named = [3, 0, 8].map((size, i) => ({ name: `n${i}`, size }));
  const { content = NOTHING, blocks } = sealer().seal(request("a", "", { attachments }));
  const opening = createAttachmentOpener(KEY, ORIGIN).begin([content]);
  expect(opening.missing).toHaveLength(1);
  expect(opening.openAll("entry-a", named, content)).toMatch("its data key is not there");
  for (const block of blocks) opening.add(block);
  expect(opening.openAll("entry-a", named, content)).toEqual(
    attachments.map(({ name, salt, content }) => ({ name, salt: Buffer.from(salt), content })),
  );
  expect(opening.openAll("entry-b", named, content)).toMatch("another place");
  // Under other names, in another order, with other sizes: one too many, one too few, cut elsewhere.
  const [n0, n1, n2] = named;
  for (const other of [
    [n1, n0, n2],
    [{ ...n0, name: "n2" }, n1, { ...n2, name: "n0" }],
    [{ ...n0, size: 4 }, n1, { ...n2, size: 7 }],
    [...named, { name: "x", size: 0 }],
    named.slice(1),
    [],
  ])
    expect(opening.openAll("entry-a", other as typeof named, content)).toMatch("another place");
  expect(opening.openOne("entry-a", "n0", content)).toMatch("not sealed as it should be");
  expect(Buffer.from(content).includes("Ada")).toBe(false);
  expect(Buffer.from(content).includes(Buffer.from(SALT))).toBe(false);
});

test("another ledger's key, and a stranger's, open nothing", () => {
  const sealed = sealer().seal(request("a", "Ada"));
  const elsewhere = createAttachmentOpener(createSealingKey([new Uint8Array(32).fill(7)], "other"), "other");
  expect(open(sealed, "entry-a", elsewhere)).toMatch("not under this sealing key");
  const stranger = createAttachmentOpener(createSealingKey([new Uint8Array(32).fill(8)], ORIGIN), ORIGIN);
  expect(open(sealed, "entry-a", stranger)).toMatch("not under this sealing key");
});

test("each opening asks the ledger for the keys again: one that is gone there opens nothing", () => {
  const sealed = sealer().seal(request("a", "Ada"));
  const opener = createAttachmentOpener(KEY, ORIGIN);
  expect(open(sealed, "entry-a", opener)).toBe("Ada");
  expect(opener.begin([sealed.content ?? NOTHING]).missing).toHaveLength(1);
  expect(open({ ...sealed, blocks: [] }, "entry-a", opener)).toMatch("its data key is not there");
});

test("no changed byte opens, and nothing throws", () => {
  const sealed = sealer().seal(request("a", "Ada Lovelace"));
  const { content = NOTHING } = sealed;
  for (let at = 0; at < content.length; at++) {
    const changed = Uint8Array.from(content);
    changed[at] = (changed[at] ?? 0) ^ 1;
    expect(open({ ...sealed, content: changed }, "entry-a")).toMatch(/^(it |its data key)/);
  }
});

test("hostile bytes are no sealed attachment", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, isVersioned) => {
      if (isVersioned) bytes[0] = 1 + ((bytes[1] ?? 0) % 3);
      const opening = createAttachmentOpener(KEY, ORIGIN).begin([bytes]);
      expect(typeof opening.openOne("entry", "body", bytes)).toBe("string");
      expect(typeof opening.openAll("entry", [{ name: "body", size: 1 }], bytes)).toBe("string");
    }),
  );
});

test("parts swapped, dropped or repeated do not open", () => {
  const sealed = sealer().seal(
    request("a", "x[one,two]", {
      attachments: [
        {
          name: "body",
          salt: SALT,
          content: Buffer.from("x[one,two]"),
          spans: [
            { start: 2, end: 6, operation: 0 },
            { start: 6, end: 9, operation: 1 },
          ],
        },
      ],
      operations: [
        { resourceType: "User", resourceId: "1" },
        { resourceType: "User", resourceId: "2" },
      ],
    }),
  );
  expect(open(sealed, "entry-a")).toBe("x[one,two]");
  const { content = NOTHING } = sealed;
  const parts = parseSealed(content)?.parts ?? [];
  expect(parts).toHaveLength(4);
  const place = (i: number) => (parts[i]?.blockId.byteOffset ?? 0) - content.byteOffset;
  const piece = (i: number) =>
    content.subarray(place(i), i + 1 < parts.length ? place(i + 1) : content.length);
  const join = (...pieces: Uint8Array[]) => {
    const head = Buffer.from(content.subarray(0, 5));
    head.writeUInt32BE(pieces.length, 1);
    return new Uint8Array(Buffer.concat([head, ...pieces]));
  };
  for (const forged of [
    join(piece(0), piece(2), piece(1), piece(3)),
    join(piece(0), piece(1), piece(3)),
    join(piece(0), piece(1), piece(1), piece(3)),
    join(piece(0), piece(1), piece(2)),
  ])
    expect(open({ ...sealed, content: forged }, "entry-a")).toMatch("another place");
});

test("one account, one key; two accounts, two; the same id elsewhere is another account", () => {
  const one = sealer();
  const about = (txn: string, resourceType: string, resourceId: string, connector = "okta") =>
    one.seal(request(txn, "x", { connector, subject: { resourceType, resourceId } }));
  const first = about("1", "User", "7");
  expect(keysOf(about("2", "User", "7"))).toEqual(keysOf(first));
  for (const other of [about("3", "User", "8"), about("4", "Group", "7"), about("5", "User", "7", "entra")])
    expect(keysOf(other)).not.toEqual(keysOf(first));
  expect(keysOf(about("6", "Me", "7"))).toEqual(keysOf(first));
});

test("a create's key becomes the account's when the answer names it, and the answer is under it too", () => {
  const one = sealer();
  const created = one.seal(request("1", "x", { subject: { resourceType: "User" } }));
  expect(created.accounts).toEqual([]);
  const answered = one.seal(request("1", "y", { type: "response", subject: { resourceId: "7" } }));
  expect(keysOf(answered)).toEqual(keysOf(created));
  expect(answered.accounts).toHaveLength(1);
  const [part] = parseSealed(created.content ?? NOTHING)?.parts ?? [];
  expect(answered.accounts[0]?.key).toEqual(
    new Uint8Array([...(created.blocks[0]?.id ?? []), part?.slot ?? 0]),
  );
  expect(Buffer.from(answered.accounts[0]?.account ?? []).toString()).not.toContain("7");
  markStored([created, answered]);
  one.closed("1");
  const later = one.seal(request("2", "z", { subject: { resourceType: "User", resourceId: "7" } }));
  expect(keysOf(later)).toEqual(keysOf(created));
});

test("data keys come by the block: many accounts, each with its own, in one row", () => {
  const one = sealer();
  const entries = Array.from({ length: 17 }, (_, i) => one.seal(request(`${i}`, `Ada ${i}`)));
  expect(new Set(entries.flatMap(keysOf)).size).toBe(17);
  const blocks = new Set(entries.flatMap((entry) => entry.blocks));
  expect(blocks.size).toBe(2);
  const places = entries.flatMap(({ content }) =>
    (parseSealed(content ?? NOTHING)?.parts ?? []).map(
      ({ blockId, slot }) => `${Buffer.from(blockId).toString("hex")} ${slot}`,
    ),
  );
  expect(new Set(places).size).toBe(17);
  // Opened together, the ledger is asked for two rows.
  const opener = createAttachmentOpener(KEY, ORIGIN);
  const opening = opener.begin(entries.map(({ content = NOTHING }) => content));
  expect(opening.missing).toHaveLength(2);
  for (const block of blocks) opening.add(block);
  for (const [i, { content = NOTHING }] of entries.entries()) {
    expect(textOf(opening.openAll(`entry-${i}`, body(content), content))).toBe(`Ada ${i}`);
  }
});

test("one key taken out of its block opens nothing any more; the others go on", () => {
  const one = sealer();
  const [erased, kept] = [one.seal(request("a", "Ada")), one.seal(request("b", "Bob"))];
  const [block] = erased.blocks;
  const [part] = parseSealed(erased.content ?? NOTHING)?.parts ?? [];
  if (!block || !part) throw new Error("nothing sealed");
  // What an erasure does: the block wrapped again, with zero bytes in place of the key.
  const keys = Buffer.from(KEY.unwrap(block.wrapped, block.id));
  keys.fill(0, part.slot * 32, (part.slot + 1) * 32);
  const blocks = [{ ...block, wrapped: KEY.wrap(keys, block.id) }];
  expect(open({ ...erased, blocks }, "entry-a")).toMatch("its data key is not there");
  expect(open({ ...kept, blocks }, "entry-b")).toBe("Bob");
  // Nor is a block cut short, or none of a whole number of keys, anything but a reason.
  for (const size of [0, 31, 33, 32 * 257])
    expect(
      open({ ...kept, blocks: [{ ...block, wrapped: KEY.wrap(Buffer.alloc(size), block.id) }] }, "entry-b"),
    ).toMatch("its data key is not there");
});

test("an answer that names another account moves neither: each keeps its own key, known to this process or not", () => {
  const one = sealer();
  const change = (txn: string, resourceId: string, answered: string) => {
    const subject = { resourceType: "User", resourceId };
    const asked = one.seal(request(txn, "x", { subject }));
    const answer = one.seal(
      request(txn, "y", { type: "response", subject: { resourceType: "User", resourceId: answered } }),
    );
    markStored([asked, answer]);
    one.closed(txn);
    return { key: keysOf(asked)[0], accounts: new Set([...asked.accounts, ...answer.accounts]) };
  };
  const [x, y] = [change("1", "X", "X"), change("2", "Y", "Y")];
  expect(change("3", "X", "Y").key).toBe(x.key);
  expect(change("4", "X", "Z").accounts.size).toBe(0);
  expect(change("5", "X", "X").key).toBe(x.key);
  expect(change("6", "Y", "Y").key).toBe(y.key);
  const z = change("7", "Z", "Z");
  expect([x.key, y.key]).not.toContain(z.key);
  expect(z.accounts.size).toBe(1);
});

test("sealed again and again, a Bulk's operations that share a key bring one account, the first that was named", () => {
  const one = sealer();
  const spans = [
    { start: 0, end: 1, operation: 0 },
    { start: 1, end: 2, operation: 1 },
  ];
  const attachments = [{ name: "body", salt: SALT, content: Buffer.from("ab"), spans }];
  const asked = one.seal(
    request("1", "", {
      attachments,
      operations: [{ resourceType: "User" }, { resourceType: "User", sameAs: 0 }],
    }),
  );
  const answers = Array.from({ length: 5 }, () =>
    one.seal(
      request("1", "", {
        type: "response",
        attachments,
        operations: [{ resourceId: "A" }, { resourceId: "B" }],
      }),
    ),
  );
  expect(answers.map(({ accounts }) => accounts.length)).toEqual([1, 1, 1, 1, 1]);
  markStored([asked, ...answers]);
  one.closed("1");
  const [a] = keysOf(one.seal(request("2", "x", { subject: { resourceType: "User", resourceId: "A" } })));
  const [b] = keysOf(one.seal(request("3", "x", { subject: { resourceType: "User", resourceId: "B" } })));
  expect(keysOf(asked)).toContain(a);
  expect(keysOf(asked)).not.toContain(b);
});

test("the data key that everybody knows opens nothing, wherever it stands", () => {
  // Whoever can change rows and has no key seals what he likes under 32 zero bytes, by docs/FORMAT.md.
  const known = Buffer.alloc(32);
  const named = [{ name: "body", size: 6 }];
  const boundTo = `scimseal/v2/attachments\0${ORIGIN}\0entry-a\0body:6\0${"0/1"}`;
  const forge = (version: 2 | 3, ...place: Uint8Array[]) =>
    sealByHand(version, known, boundTo, [SALT, Buffer.from("forged")], Buffer.concat(place));
  const mark = sealer().mark();
  const erased = { id: Buffer.alloc(32, 1), wrapped: KEY.wrap(Buffer.alloc(64, 0), Buffer.alloc(32, 1)) };
  for (const [content, row] of [
    [forge(2), mark],
    [forge(3, mark.id, Buffer.from([0])), mark],
    [forge(3, erased.id, Buffer.from([1])), erased],
  ] as const) {
    const opening = createAttachmentOpener(KEY, ORIGIN).begin([content]);
    expect(opening.missing.map((id) => Buffer.from(id))).toEqual([Buffer.from(row.id)]);
    opening.add(row);
    expect(opening.openAll("entry-a", named, content)).toMatch("its data key is not there");
  }
});

test("a slot behind the end of its block opens nothing", () => {
  const sealed = sealer().seal(request("a", "Ada"));
  const { content = NOTHING } = sealed;
  const [block] = sealed.blocks;
  if (!block) throw new Error("nothing sealed");
  const keys = KEY.unwrap(block.wrapped, block.id);
  const { slot = 0 } = parseSealed(content)?.parts[0] ?? {};
  const short = (count: number) => [{ ...block, wrapped: KEY.wrap(keys.subarray(0, 32 * count), block.id) }];
  expect(open({ ...sealed, blocks: short(slot + 1) }, "entry-a")).toBe("Ada");
  expect(open({ ...sealed, blocks: short(slot) }, "entry-a")).toMatch("its data key is not there");
});

test("rows are brought until their commit was proved, and not after", () => {
  const one = sealer();
  const update = (txn: string) =>
    one.seal(request(txn, "x", { subject: { resourceType: "User", resourceId: "7" } }));
  const first = update("1");
  const second = update("2");
  // The first may not have got in: the second brings the very same rows.
  expect(second.blocks).toEqual(first.blocks);
  expect(second.accounts).toEqual(first.accounts);
  markStored([first]);
  const third = update("3");
  expect([...third.blocks, ...third.accounts].filter(({ isStored }) => !isStored)).toEqual([]);
});

test("an account has the same key after its transactions are closed, and beside one that is under way", () => {
  const one = sealer();
  const about = { subject: { resourceType: "User", resourceId: "7" } };
  const seal = (txn: string, type: "request" | "response" = "request") => {
    const sealed = one.seal(request(txn, `Ada ${txn}`, { ...about, type }));
    markStored([sealed]);
    return sealed;
  };
  const first = seal("a");
  seal("a", "response");
  one.closed("a");
  one.closed("a");
  const [second, beside] = [seal("b"), seal("c")];
  one.closed("b");
  const third = seal("d");
  const ids = [first, second, beside, third].flatMap(keysOf);
  expect([ids.length, new Set(ids).size]).toEqual([4, 1]);
  expect(third.accounts).toEqual([]);
  expect([...second.blocks, ...third.blocks].every(({ isStored }) => isStored)).toBe(true);
  expect(open({ ...third, blocks: first.blocks }, "entry-d")).toBe("Ada d");
});

test("an account whose key was never proved to be stored brings it again, closed or not", () => {
  const one = sealer();
  const about = { subject: { resourceType: "User", resourceId: "7" } };
  const first = one.seal(request("a", "Ada", about));
  one.closed("a");
  const second = one.seal(request("b", "Ada", about));
  expect(second.blocks).toEqual(first.blocks);
  expect(second.accounts).toEqual(first.accounts);
  // The key is there, the row is not: it comes again.
  for (const block of second.blocks) block.isStored = true;
  one.closed("b");
  expect(one.seal(request("c", "Ada", about)).accounts).toEqual(first.accounts);
});

test("signed again after a lost race, it is sealed again under the same keys for its new place", () => {
  const one = sealer();
  const before = one.seal(request("1", "x"));
  const again = one.seal(request("1", "x", { entryId: "entry-again" }));
  expect(keysOf(again)).toEqual(keysOf(before));
  expect(open(again, "entry-again")).toBe("x");
});

test("a Bulk: each operation under its account's key, all else under the transaction's", () => {
  const one = sealer();
  const body = "{ops:[create,update,follow]}";
  const spans = [
    { start: 6, end: 13, operation: 0 },
    { start: 13, end: 20, operation: 1 },
    { start: 20, end: 26, operation: 2 },
  ];
  const known = one.seal(request("0", "x", { subject: { resourceType: "User", resourceId: "7" } }));
  const bulk = one.seal(
    request("1", body, {
      attachments: [{ name: "body", salt: SALT, content: Buffer.from(body), spans }],
      operations: [
        { resourceType: "User" },
        { resourceType: "User", resourceId: "7" },
        { resourceType: "User", sameAs: 0 },
      ],
    }),
  );
  expect(open(bulk, "entry-1")).toBe(body);
  const [rest, create, update, follow, end] = keysOf(bulk);
  expect(end).toBe(rest);
  expect(update).toBe(keysOf(known)[0]);
  expect(follow).toBe(create);
  expect(new Set([rest, create, update]).size).toBe(3);
  // In another order than the request; the second item is nobody's.
  const answer = one.seal(
    request("1", "[u,?,c]", {
      type: "response",
      attachments: [
        {
          name: "body",
          salt: SALT,
          content: Buffer.from("[u,?,c]"),
          spans: [
            { start: 1, end: 3, operation: 1 },
            { start: 5, end: 6, operation: 0 },
          ],
        },
      ],
      operations: [{ resourceId: "8" }, { resourceId: "7" }],
    }),
  );
  expect(open(answer, "entry-1")).toBe("[u,?,c]");
  expect(keysOf(answer)).toEqual([rest, update, rest, create, rest]);
  markStored([bulk, answer]);
  one.closed("1");
  const later = one.seal(request("2", "x", { subject: { resourceType: "User", resourceId: "8" } }));
  expect(keysOf(later)).toEqual([create]);
});

test("whatever the spans, what is opened is what was sealed", () => {
  const span = fc.record({ start: fc.nat(40), end: fc.nat(40), operation: fc.nat(3) });
  fc.assert(
    fc.property(fc.string({ maxLength: 40 }), fc.array(span, { maxLength: 6 }), (text, spans) => {
      const content = Buffer.from(text);
      const operations = ["1", "2", "1"].map((resourceId) => ({ resourceType: "User", resourceId }));
      const attachments = [{ name: "body", salt: SALT, content, spans }];
      expect(open(sealer().seal(request("1", "", { attachments, operations })), "entry-1")).toBe(text);
    }),
  );
});
