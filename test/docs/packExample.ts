// The evidence pack that docs/FORMAT.md shows: the vectors from entry 7 on, under checkpoints of the test keys. The
// same bytes every time. Run by node, it puts its parts into the page's examples that are marked `pack NAME`.

import { readFileSync, writeFileSync } from "node:fs";
import { createSigner, type PrivateJwk } from "../../src/keys/signer.ts";
import { formatVerifierKey, makeLogKey } from "../../src/ledger/note/verifierKey.ts";
import { publicKeyOf } from "../ledger/chain.ts";
import { Published, takeApart } from "../ledger/evidence/packs.ts";
import type { Vectors } from "../vectors/makeEntry.ts";

/** The example: where it stands, the pack, and the text of each marked part. */
export interface PackExample {
  published: Published;
  pack: Uint8Array;
  parts: Readonly<Record<string, string>>;
}

/** Finds the marked examples: an HTML comment `pack NAME`, then a fenced block. */
export const PACK_EXAMPLE = /(<!-- pack (\S+) -->\n```\w*\n)([\s\S]*?)(\n```)/g;

/** Makes it from the vectors of entries. */
export async function makePackExample(vectors: Vectors): Promise<PackExample> {
  const [first, second] = vectors.keys.map(({ privateJwk }) => createSigner(privateJwk as PrivateJwk));
  if (!first || !second) throw new Error("the vectors have no keys");
  const published = new Published(first, vectors.origin);
  for (const { seq, leaf, leafHash, payload, attachments } of vectors.entries) {
    published.chain.rows.push({
      seq,
      leaf,
      leafHash: Buffer.from(leafHash, "base64url"),
      type: payload.type,
      txn: payload.type === "event" ? null : payload.txn,
      attachments: attachments.map(({ name, salt, text }) => ({
        name,
        salt: Buffer.from(salt, "base64url"),
        content: Buffer.from(text),
      })),
    });
    if (seq === 2) published.publish(first);
  }
  published.publish(second);
  const pack = await published.pack({
    query: { kind: "range", from: 7 },
    earlierSizes: [3],
    madeBy: "scimseal 0.0.0",
    now: Date.UTC(2026, 2, 3),
  });
  const members = await takeApart(pack);
  const textOf = (name: string): string =>
    Buffer.from(members.find((member) => member.name === name)?.bytes ?? [])
      .toString()
      .trimEnd();
  const keys = [first, second].map((signer) => makeLogKey(vectors.origin, publicKeyOf(signer).bytes));
  return {
    published,
    pack,
    parts: {
      vkeys: keys.map(formatVerifierKey).join("\n"),
      roots: [1, 2, 3, published.size].map((size) => `${size}  ${rootOf(published, size)}`).join("\n"),
      "checkpoint:3": published.checkpoints[0]?.note.trimEnd() ?? "",
      "checkpoint:10": textOf("checkpoints/last.txt"),
      consistency: textOf("consistency.json"),
      "proof:7": textOf("proofs/0000000000000007.tlog-proof"),
      statement: textOf("statement.json"),
      members: members.map(({ name, bytes }) => `${String(bytes.length).padStart(5)}  ${name}`).join("\n"),
    },
  };
}

function rootOf(published: Published, size: number): string {
  return Buffer.from(published.tree(size).root).toString("base64");
}

if (import.meta.main) {
  // The file was made by makeVectors, and a test holds it to that shape.
  const vectors = JSON.parse(readFileSync("test/vectors/entry.json", "utf8")) as Vectors;
  const { parts } = await makePackExample(vectors);
  const filled = readFileSync("docs/FORMAT.md", "utf8").replace(
    PACK_EXAMPLE,
    (_, open: string, name: string, _old: string, close: string) => `${open}${parts[name] ?? ""}${close}`,
  );
  writeFileSync("docs/FORMAT.md", filled);
}
