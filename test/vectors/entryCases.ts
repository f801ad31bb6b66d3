// Ledgers that were tampered with, made from the vector ledger. The findings are the product's own verifier's;
// test/docs/format.test.ts reaches the same ones by another way, from docs/FORMAT.md alone.

import type { Signer } from "../../src/keys/signer.ts";
import { LEAF_TYP } from "../../src/ledger/entry.ts";
import { LedgerVerifier } from "../../src/ledger/verify.ts";
import { base64url, digest, ORIGIN, type VectorEntry, type VectorSigners } from "./entryLedger.ts";

const encoder = new TextEncoder();

/** A row as a verifier is given it. `entry` stands for the leaf of that vector entry. */
export interface VectorRow {
  seq: number;
  entry?: number;
  leaf?: string;
  attachments?: { name: string; salt: string; text: string }[];
}

/** A ledger that was tampered with, and what a verifier has to find, in this order. */
export interface VectorCase {
  desc: string;
  rows: VectorRow[];
  findings: { seq: number; code: string }[];
}

/** Builds the cases. */
export function makeCases(entries: readonly VectorEntry[], keys: VectorSigners): VectorCase[] {
  const rows = (): VectorRow[] => entries.map(({ seq }) => ({ seq, entry: seq }));
  const withLeaf = (seq: number, leaf: string) =>
    rows().map((row): VectorRow => (row.seq === seq ? { seq, leaf } : row));
  const entry = (seq: number): VectorEntry => {
    const found = entries[seq];
    if (!found) throw new Error(`the vectors have no entry ${seq}`);
    return found;
  };
  const resigned = (payload: object, signer: Signer) =>
    sealLeaf({ alg: "EdDSA", kid: signer.kid, typ: LEAF_TYP }, payload, signer);
  const last = entries.length - 1;
  const [header = "", payload = "", signature = ""] = entry(2).leaf.split(".");
  const failed = base64url(encoder.encode(JSON.stringify({ ...entry(2).payload, status: 500 })));
  const response = { ...entry(4).payload, seq: last + 1, prev: entry(last).leafHash };
  const cases: Omit<VectorCase, "findings">[] = [
    { desc: "nothing was changed", rows: rows() },
    {
      desc: "the last three entries are cut off: nothing in what is left shows it",
      rows: rows().slice(0, -3),
    },
    {
      desc: "a payload is changed and the signature kept",
      rows: withLeaf(2, `${header}.${failed}.${signature}`),
    },
    { desc: "an entry is deleted", rows: rows().filter(({ seq }) => seq !== 5) },
    {
      desc: "a request is deleted, so that its outcome has none",
      rows: rows().filter(({ seq }) => seq !== 3),
    },
    {
      desc: "two entries change places",
      rows: rows().map(({ seq }) => ({ seq, entry: seq === 4 ? 5 : seq === 5 ? 4 : seq })),
    },
    {
      desc: "an entry is replaced by one of the pinned key with other words: its successor does not follow it",
      rows: withLeaf(2, resigned({ ...entry(2).payload, status: 500 }, keys.first)),
    },
    {
      desc: "a key that nobody introduced signs",
      rows: withLeaf(5, resigned(entry(5).payload, keys.stranger)),
    },
    {
      desc: "the key before a rotation signs after it",
      rows: withLeaf(last, resigned(entry(last).payload, keys.first)),
    },
    {
      desc: "a header with its members in another order",
      rows: withLeaf(
        2,
        sealLeaf({ kid: keys.first.kid, alg: "EdDSA", typ: LEAF_TYP }, entry(2).payload, keys.first),
      ),
    },
    {
      desc: "a signature whose last character has stray bits",
      rows: withLeaf(2, `${header}.${payload}.${signature.slice(0, -1)}${strayTwin(signature.slice(-1))}`),
    },
    {
      desc: "a transaction gets a second outcome",
      rows: [...rows(), { seq: last + 1, leaf: resigned(response, keys.second) }],
    },
    {
      desc: "a byte of an attachment is changed, another attachment is gone, a third was planted",
      rows: entries.map(({ seq, attachments }) => ({
        seq,
        entry: seq,
        attachments: tamper(seq, attachments).map(({ name, salt, text }) => ({ name, salt, text })),
      })),
    },
  ];
  return cases.map((one) => ({ ...one, findings: findingsOf(one.rows, entries, keys.first) }));
}

function tamper(seq: number, attachments: VectorEntry["attachments"]): VectorEntry["attachments"] {
  if (seq === 1)
    return attachments.map((one) => ({ ...one, text: one.text.replace("192.0.2.7", "192.0.2.8") }));
  if (seq === 2) return attachments.filter(({ name }) => name !== "body");
  if (seq !== 4) return attachments;
  return attachments.concat(attachments.map((one) => ({ ...one, name: "body" })));
}

/** The same 6 bits with the unused low ones set: a lenient decoder reads the same byte. */
function strayTwin(character: string): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return alphabet.charAt(alphabet.indexOf(character) + 1);
}

function sealLeaf(header: object, payload: object, signer: Signer): string {
  const input = [header, payload].map((part) => base64url(encoder.encode(JSON.stringify(part)))).join(".");
  return `${input}.${base64url(signer.sign(Buffer.from(input, "latin1")))}`;
}

function findingsOf(
  rows: readonly VectorRow[],
  entries: readonly VectorEntry[],
  pinned: Signer,
): VectorCase["findings"] {
  const bytes = Buffer.from(pinned.publicJwk.x, "base64url");
  const verifier = new LedgerVerifier({ origin: ORIGIN, pinned: [{ kid: pinned.kid, bytes }], digest });
  for (const row of rows) {
    const attachments = row.attachments?.map(({ name, salt, text }) => ({
      name,
      salt: Buffer.from(salt, "base64url"),
      content: encoder.encode(text),
    }));
    verifier.push({ seq: row.seq, leaf: leafOf(row, entries), ...(attachments ? { attachments } : {}) });
  }
  return verifier.findings.map(({ seq, code }) => ({ seq, code }));
}

/** The leaf of a row. */
export function leafOf({ entry, leaf }: VectorRow, entries: readonly VectorEntry[]): string {
  const found = leaf ?? (entry === undefined ? undefined : entries[entry]?.leaf);
  if (found === undefined) throw new Error("a row of the vectors has no leaf");
  return found;
}
