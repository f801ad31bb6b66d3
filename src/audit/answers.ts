// The JSON answers of the audit API as schemas, and the shapes that several of them share. They type the handlers, make
// the OpenAPI document, and the tests hold every answer to them. Integers are JSON numbers; hashes are base64 with
// padding (RFC 4648 §4), as checkpoints and proof files spell them, unless a description says otherwise.

import { z } from "zod";
import { encodeBase64 } from "../ledger/base64.ts";
import type { StoredEntry } from "../ledger/verify.ts";
import { describeRow } from "../storage/reader.ts";
import type { StoredCheckpoint } from "../storage/tree/treeStore.ts";
import type { AnchorStatus, NamedLedger } from "./context.ts";

const hash = z.base64().length(44);
const count = z.int().min(0);
const ledger = z.string().describe("The ledger's name.");
const claims = z
  .record(z.string(), z.unknown())
  .optional()
  .describe("What the leaf says, parsed; absent if it cannot be read. Its signature is not checked here.");

const sealed = z
  .string()
  .optional()
  .describe("Why it cannot be opened, if it cannot; salt and content are empty then.");

export const entrySchema = z
  .strictObject({
    seq: count.describe("Place in the ledger, from 0; the index of the leaf in the tree."),
    leaf: z.string().describe("The exact leaf: a compact JWS. Check this, not `entry`."),
    leafHash: hash.describe("RFC 6962 leaf hash, SHA-256(0x00 ‖ leaf)."),
    intact: z.boolean().describe("The leaf can be read, and the stored hash is its hash."),
    entry: claims,
    attachments: z
      .array(
        z.strictObject({
          name: z.string(),
          salt: z.base64().describe("32 bytes: commitment = SHA-256(salt ‖ content)."),
          content: z.base64(),
          sealed,
        }),
      )
      .optional()
      .describe("Only if asked for. May hold personal data."),
  })
  .meta({ id: "Entry", description: "One entry of a ledger." });

export const anchoringSchema = z
  .strictObject({
    upTo: count.describe(
      "The tree of this size is kept outside the database as the ledger's policy asks; 0: none is.",
    ),
    notAnchoredSince: count
      .nullable()
      .describe(
        "Entries of this checkpoint from this seq on rest on the database and the signing key alone.",
      ),
    statement: z.string().describe("The same in words."),
  })
  .meta({ id: "Anchoring", description: "How far a checkpoint is anchored: never a bare OK." });

export const checkpointSchema = z
  .strictObject({
    size: count.describe("Number of entries in the tree."),
    root: hash.describe("RFC 6962 root of that many entries."),
    note: z.string().describe("The signed note, verbatim: what a verifier opens with pinned keys."),
    publishedAt: z.iso.datetime().describe("By the database's clock; not signed."),
    anchored: anchoringSchema,
  })
  .meta({ id: "Checkpoint", description: "A signed checkpoint (C2SP tlog-checkpoint)." });

const treeSchema = z
  .strictObject({
    size: count,
    root: hash,
    checkpoint: z
      .string()
      .nullable()
      .describe(
        "The signed note of exactly this size; null if none was signed: then nothing vouches for this root.",
      ),
  })
  .meta({ id: "Tree", description: "A tree of the ledger's first `size` entries." });

export const findingSchema = z
  .strictObject({
    seq: count.optional().describe("Where, if it has a place."),
    code: z.string().describe("The stable name of what was found."),
    detail: z.string(),
  })
  .meta({ id: "Finding", description: "Something that is not as it must be." });

export const entryAnswer = z.strictObject({ ledger, entry: entrySchema });

export const coversSchema = z
  .strictObject({
    from: z.literal(0),
    to: count.describe("Entries from `from` up to this one, itself excluded, were searched."),
    size: count.describe("Entries that the ledger has; those from `to` on are not in the index yet."),
    skipped: count
      .describe("Of those that were searched, entries that the index could not take; absent: none.")
      .optional(),
  })
  .meta({ id: "Covers", description: "The range of the ledger that an answer covers." });

/** A page of GET /audit/v1/entries, older than the rest: its hashes and salts are base64url without padding. */
export const entriesAnswer = z.strictObject({
  ledger,
  covers: coversSchema,
  entries: z.array(
    z.strictObject({
      seq: count,
      leaf: z.string(),
      leafHash: z.base64url().describe("base64url, as `prev` of the next entry."),
      intact: z.boolean(),
      isCut: z
        .boolean()
        .describe(
          "True: the index does not have all names of its transaction (too many, or not readable). Absent in pages that the index was not asked for.",
        )
        .optional(),
      entry: claims,
      attachments: z
        .array(
          z.strictObject({
            name: z.string(),
            salt: z.base64url().describe("base64url."),
            content: z.base64().describe("base64 with padding."),
            sealed,
          }),
        )
        .optional(),
    }),
  ),
  next: z
    .union([count, z.string()])
    .nullable()
    .describe("For the next page give a number as `after`, a text as `cursor`; null at the end."),
});

export const transactionAnswer = z.strictObject({
  ledger,
  txn: z.uuid(),
  state: z
    .enum(["open", "closed", "refused"])
    .describe("open: no outcome yet; closed: it has one; refused: never forwarded."),
  request: entrySchema
    .nullable()
    .describe("The intent, or the refusal; null if it cannot be found any more."),
  outcome: entrySchema.nullable(),
  names: z
    .record(z.string(), z.string())
    .describe(
      "Best known names of what the operations of a Bulk are about, by TYPE/ID as they stand in what is shown; personal. Not signed.",
    ),
});

export const inclusionAnswer = z.strictObject({
  ledger,
  origin: z.string(),
  seq: count,
  leafHash: hash,
  tree: treeSchema,
  hashes: z.array(hash).describe("RFC 6962 §2.1.1, from the leaf's sibling towards the root."),
  anchored: anchoringSchema,
});

export const consistencyAnswer = z.strictObject({
  ledger,
  origin: z.string(),
  from: treeSchema,
  to: treeSchema,
  hashes: z.array(hash).describe("RFC 6962 §2.1.2."),
  anchored: anchoringSchema,
});

export const checkpointAnswer = z.strictObject({ ledger, origin: z.string(), checkpoint: checkpointSchema });

export const checkpointsAnswer = z.strictObject({
  ledger,
  origin: z.string(),
  checkpoints: z.array(checkpointSchema),
  next: count.nullable().describe("Give this as `after` for the next page; null at the end."),
});

export const jwksAnswer = z.strictObject({
  keys: z.array(
    z.strictObject({
      kty: z.literal("OKP"),
      crv: z.literal("Ed25519"),
      x: z.base64url(),
      kid: z.string().describe("RFC 7638 thumbprint."),
      alg: z.literal("EdDSA"),
      use: z.literal("sig"),
    }),
  ),
});

/** An entry as these answers show it. */
export function showEntry(row: StoredEntry): z.input<typeof entrySchema> {
  const { leafHash, claims: entry, intact } = describeRow(row);
  return {
    seq: row.seq,
    leaf: row.leaf,
    leafHash: toBase64(Buffer.from(leafHash, "base64url")),
    intact,
    ...(entry && { entry: { ...entry } }),
    ...(row.attachments && {
      attachments: row.attachments.map(({ name, salt, content, sealed }) => ({
        name,
        salt: toBase64(salt),
        content: toBase64(content),
        ...(sealed && { sealed: sealed.detail }),
      })),
    }),
  };
}

/** A stored checkpoint, with how far it is anchored. */
export function showCheckpoint(
  { size, root, note, publishedAt }: StoredCheckpoint,
  { anchored }: Pick<NamedLedger, "anchored">,
): z.input<typeof checkpointSchema> {
  return {
    size,
    root: encodeBase64(root),
    note,
    publishedAt: publishedAt.toISOString(),
    anchored: describeAnchoring(size, anchored()),
  };
}

/** How much of a tree of this size is anchored. */
export function describeAnchoring(
  size: number,
  { size: upTo }: AnchorStatus,
): z.input<typeof anchoringSchema> {
  if (upTo >= size) return { upTo, notAnchoredSince: null, statement: `anchored up to ${upTo}` };
  const since = `not anchored since ${upTo}`;
  return {
    upTo,
    notAnchoredSince: upTo,
    statement: upTo === 0 ? since : `anchored up to ${upTo}, ${since}`,
  };
}

/** base64 of any length, by the runtime: attachments can be large. */
export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}
