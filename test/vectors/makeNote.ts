// Makes test/vectors/note.json: keys, signed checkpoints, cosignatures and a proof file over the vector ledger
// (entry.json), and spellings of each that must be refused. The published notes in it are other people's, with real
// keys: what their logs and witnesses signed has to verify here. After a change of the entries run
// `node test/vectors/makeNote.ts`, then `biome check --write test/vectors`.

import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import * as ed25519 from "@noble/ed25519";
import { sha512 } from "@noble/hashes/sha2.js";
import { createSigner } from "../../src/keys/signer.ts";
import { formatCheckpoint } from "../../src/ledger/note/checkpoint.ts";
import { cosign, type WitnessSigner } from "../../src/ledger/note/cosignature.ts";
import { formatSignatures, type NoteSigner, signNote } from "../../src/ledger/note/note.ts";
import { formatTlogProof } from "../../src/ledger/note/tlogProof.ts";
import { formatVerifierKey, makeLogKey, makeWitnessKey } from "../../src/ledger/note/verifierKey.ts";
import entryVectors from "./entry.json" with { type: "json" };
import { PUBLISHED_NOTES, type PublishedNote } from "./publishedNotes.ts";

/** A text that a strict reader refuses. */
export interface Refused {
  desc: string;
  text: string;
}

/** What test/vectors/note.json holds. Binary values are hexadecimal unless they say otherwise. */
export interface NoteVectors {
  about: string;
  published: readonly PublishedNote[];
  origin: string;
  /** The log's vkey; the key is the first of entry.json. */
  logKey: string;
  /** vkeys; their secret keys are 32 bytes of 1, of 2 and of 3. */
  witnesses: string[];
  /** POSIX seconds: when the witnesses cosigned. */
  times: number[];
  checkpoint: string;
  cosigned: string;
  proof: { leafHash: string; index: number; file: string; fileWithExtra: string; extra: string };
  refused: { keys: Refused[]; notes: Refused[]; checkpoints: Refused[]; proofs: Refused[] };
}

const INDEX = 3;
const TIMES = [1_772_438_400, 1_772_438_401, 1_772_438_402];
const EXTRA = Buffer.from("seq 3");

/** The log of the vectors. */
export function makeLogSigner(): NoteSigner {
  const jwk = entryVectors.keys[0]?.privateJwk;
  if (!jwk) throw new Error("entry.json holds no key");
  const signer = createSigner({ kty: "OKP", crv: "Ed25519", x: jwk.x, d: jwk.d });
  return { key: makeLogKey(entryVectors.origin, Buffer.from(jwk.x, "base64url")), sign: signer.sign };
}

/** The witness whose secret key is 32 bytes of this number. */
export function makeWitnessSigner(byte: number): WitnessSigner {
  ed25519.hashes.sha512 = sha512;
  const seed = new Uint8Array(32).fill(byte);
  const [d, x] = [seed, ed25519.getPublicKey(seed)].map((part) => Buffer.from(part).toString("base64url"));
  if (!d || !x) throw new Error("no key");
  const signer = createSigner({ kty: "OKP", crv: "Ed25519", x, d });
  const key = makeWitnessKey(`witness${byte}.example/w`, Buffer.from(x, "base64url"));
  return { key, sign: signer.sign };
}

/** Builds the vectors. The same every time, on every machine. */
export function makeNoteVectors(): NoteVectors {
  const log = makeLogSigner();
  const witnesses = [1, 2, 3].map(makeWitnessSigner);
  const leaves = entryVectors.entries.map(({ leafHash }) => Buffer.from(leafHash, "base64url"));
  const text = formatCheckpoint({ origin: log.key.name, size: leaves.length, root: rootOf(leaves) });
  const checkpoint = signNote(text, log);
  const lines = witnesses.map((witness, i) => cosign(text, TIMES[i] ?? 0, witness));
  const cosigned = checkpoint + formatSignatures(lines);
  const parts = { index: INDEX, hashes: pathOf(leaves, INDEX), checkpoint: cosigned };
  const file = formatTlogProof(parts);
  const leafHash = leaves[INDEX]?.toString("hex") ?? "";
  const fileWithExtra = formatTlogProof({ ...parts, extra: EXTRA });
  const logKey = formatVerifierKey(log.key);
  return {
    about: "Signed notes, checkpoints, cosignatures and proofs. Made by test/vectors/makeNote.ts.",
    published: PUBLISHED_NOTES,
    origin: log.key.name,
    logKey,
    witnesses: witnesses.map(({ key }) => formatVerifierKey(key)),
    times: TIMES,
    checkpoint,
    cosigned,
    proof: { leafHash, index: INDEX, file, fileWithExtra, extra: EXTRA.toString("hex") },
    refused: {
      keys: refuseKeys(logKey),
      notes: refuseNotes(checkpoint),
      checkpoints: refuseCheckpoints(text),
      proofs: refuseProofs(fileWithExtra),
    },
  };
}

function refuseKeys(vkey: string): Refused[] {
  const [name = "", id = "", ...rest] = vkey.split("+");
  const material = rest.join("+");
  const key = Buffer.from(material, "base64").subarray(1).toString("hex");
  // With the id that belongs to it, so that nothing but what is described is wrong.
  const make = (changed: { name?: string; type?: number; key?: string }): string => {
    const bytes = Buffer.concat([Uint8Array.of(changed.type ?? 1), Buffer.from(changed.key ?? key, "hex")]);
    const called = changed.name ?? name;
    const hash = createHash("sha256").update(`${called}\n`).update(bytes).digest("hex");
    return `${called}+${hash.slice(0, 8)}+${bytes.toString("base64")}`;
  };
  if (make({}) !== vkey) throw new Error("the maker's own vkey differs");
  return [
    { desc: "empty", text: "" },
    { desc: "no key", text: `${name}+${id}` },
    { desc: "no name", text: make({ name: "" }) },
    ...[" ", "\t", "\n", "\u0085", "\u00a0", "\u2003", "\u3000", "\u0001", "\u001b", "\0"].map((bad) => ({
      desc: `${JSON.stringify(bad)} in the name`,
      text: make({ name: `a${bad}b` }),
    })),
    { desc: "another name, so the id is not its own", text: `x${vkey}` },
    { desc: "id in upper case", text: `${name}+${id.toUpperCase()}+${material}` },
    { desc: "id cut", text: `${name}+${id.slice(1)}+${material}` },
    { desc: "id of another key", text: `${name}+00000000+${material}` },
    { desc: "base64 cut", text: vkey.slice(0, -1) },
    { desc: "a newline at the end", text: `${vkey}\n` },
    { desc: "ECDSA (2)", text: make({ type: 2 }) },
    { desc: "ML-DSA-44 cosignature (6)", text: make({ type: 6 }) },
    { desc: "no type and no key", text: `${name}+${id}+` },
    { desc: "a key a byte short", text: make({ key: key.slice(2) }) },
    { desc: "a key a byte long", text: make({ key: `${key}00` }) },
    { desc: "a key of small order", text: make({ key: `01${"00".repeat(31)}` }) },
    { desc: "a key that is not canonical", text: make({ key: `f0${"ff".repeat(30)}7f` }) },
    { desc: "a key that is no point", text: make({ key: `02${"00".repeat(31)}` }) },
  ];
}

function refuseNotes(note: string): Refused[] {
  const [text = "", line = ""] = note.split("\n\n");
  const [, name = "", base64 = ""] = line.trimEnd().split(" ");
  const signed = (end: string) => `${text}\n\n${end}`;
  return [
    { desc: "empty", text: "" },
    { desc: "only text", text: `${text}\n` },
    { desc: "no signature", text: signed("") },
    { desc: "no empty line", text: `${text}\n${line}` },
    { desc: "no newline at the end", text: note.slice(0, -1) },
    { desc: "an empty line at the end", text: `${note}\n` },
    { desc: "text after the signatures", text: `${note}more\n` },
    { desc: "CRLF", text: note.replaceAll("\n", "\r\n") },
    { desc: "a tab in the text", text: note.replace("\n", "\t\n") },
    { desc: "a NUL in the text", text: note.replace("\n", "\0\n") },
    { desc: "a hyphen for the dash", text: signed(`- ${name} ${base64}\n`) },
    { desc: "an en dash for the dash", text: signed(`\u2013 ${name} ${base64}\n`) },
    { desc: "no space after the dash", text: signed(`\u2014${name} ${base64}\n`) },
    { desc: "two spaces", text: signed(`\u2014 ${name}  ${base64}\n`) },
    { desc: "a no-break space", text: signed(`\u2014\u00a0${name} ${base64}\n`) },
    { desc: "no name", text: signed(`\u2014 ${base64}\n`) },
    { desc: "a plus in the name", text: signed(`\u2014 a+b ${base64}\n`) },
    { desc: "a space at the end of the line", text: signed(`\u2014 ${name} ${base64} \n`) },
    { desc: "no padding", text: signed(`\u2014 ${name} ${base64.replace(/=+$/, "")}\n`) },
    { desc: "the URL alphabet", text: signed(`\u2014 ${name} -_${base64.slice(2)}\n`) },
    { desc: "stray bits in the base64", text: signed(`\u2014 ${name} AAAAAAF=\n`) },
    { desc: "a key id and no signature", text: signed(`\u2014 ${name} AAAAAA==\n`) },
    { desc: "101 signatures", text: signed(`\u2014 ${name} ${base64}\n`.repeat(101)) },
  ];
}

function refuseCheckpoints(text: string): Refused[] {
  const [origin = "", size = "", root = ""] = text.split("\n");
  const join = (...lines: string[]) => lines.map((line) => `${line}\n`).join("");
  return [
    { desc: "empty", text: "" },
    { desc: "two lines", text: join(origin, size) },
    { desc: "no newline at the end", text: text.slice(0, -1) },
    { desc: "an empty origin", text: join("", size, root) },
    ...["", "-1", "+1", "01", "00", "1.0", "1e3", "0x10", " 1", "1 ", "\u0661", "9007199254740992"].map(
      (bad) => ({
        desc: `a tree size of ${JSON.stringify(bad)}`,
        text: join(origin, bad, root),
      }),
    ),
    {
      desc: "a root hash in hexadecimal",
      text: join(origin, size, Buffer.from(root, "base64").toString("hex")),
    },
    { desc: "a root hash without padding", text: join(origin, size, root.slice(0, -1)) },
    { desc: "a root hash with stray bits", text: join(origin, size, `${"A".repeat(42)}B=`) },
    { desc: "a root hash a byte short", text: join(origin, size, Buffer.alloc(31).toString("base64")) },
    { desc: "a root hash a byte long", text: join(origin, size, Buffer.alloc(33).toString("base64")) },
    { desc: "an empty extension line", text: join(origin, size, root, "") },
    { desc: "an empty line among extensions", text: join(origin, size, root, "a", "", "b") },
    { desc: "CRLF", text: text.replaceAll("\n", "\r\n") },
    { desc: "a control character in the origin", text: join(`a\u0007${origin}`, size, root) },
  ];
}

function refuseProofs(file: string): Refused[] {
  const [head = "", ...rest] = file.split("\n\n");
  const checkpoint = rest.join("\n\n");
  const [header = "", extra = "", index = "", ...hashes] = head.split("\n");
  const join = (...lines: string[]) => `${lines.join("\n")}\n\n${checkpoint}`;
  return [
    { desc: "empty", text: "" },
    { desc: "another version", text: join("c2sp.org/tlog-proof@v2", extra, index, ...hashes) },
    { desc: "no header", text: join(extra, index, ...hashes) },
    { desc: "no index", text: join(header, extra, ...hashes) },
    { desc: "index before extra", text: join(header, index, extra, ...hashes) },
    { desc: "extra twice", text: join(header, extra, extra, index, ...hashes) },
    { desc: "extra without data", text: join(header, "extra ", index, ...hashes) },
    { desc: "extra that is no base64", text: join(header, "extra ***", index, ...hashes) },
    ...["", "-1", "03", "3 ", "0x3", "9007199254740992"].map((bad) => ({
      desc: `an index of ${JSON.stringify(bad)}`,
      text: join(header, extra, `index ${bad}`, ...hashes),
    })),
    { desc: "index with two spaces", text: join(header, extra, index.replace(" ", "  "), ...hashes) },
    { desc: "a hash a byte short", text: join(header, extra, index, Buffer.alloc(31).toString("base64")) },
    { desc: "a hash in hexadecimal", text: join(header, extra, index, "00".repeat(32)) },
    {
      desc: "54 hashes",
      text: join(header, extra, index, ...Array(54).fill(Buffer.alloc(32).toString("base64"))),
    },
    { desc: "CRLF", text: file.replaceAll("\n", "\r\n") },
    { desc: "no checkpoint", text: `${head}\n\n` },
    { desc: "two empty lines before the checkpoint", text: `${head}\n\n\n${checkpoint}` },
    { desc: "a checkpoint without signatures", text: `${head}\n\n${checkpoint.split("\n\n")[0]}\n` },
    { desc: "text after the checkpoint", text: `${file}more\n` },
    { desc: "a note that is no checkpoint", text: `${head}\n\nhello\n\n\u2014 a AAAAAAE=\n` },
  ];
}

/** RFC 6962 §2.1, straight from the definition. */
function rootOf(leaves: readonly Uint8Array[]): Uint8Array {
  const [only] = leaves;
  if (leaves.length === 1 && only) return only;
  const split = splitOf(leaves.length);
  return hashOf(Uint8Array.of(1), rootOf(leaves.slice(0, split)), rootOf(leaves.slice(split)));
}

/** RFC 6962 §2.1.1, straight from the definition. */
function pathOf(leaves: readonly Uint8Array[], index: number): Uint8Array[] {
  if (leaves.length === 1) return [];
  const split = splitOf(leaves.length);
  const [left, right] = [leaves.slice(0, split), leaves.slice(split)];
  return index < split
    ? [...pathOf(left, index), rootOf(right)]
    : [...pathOf(right, index - split), rootOf(left)];
}

function splitOf(size: number): number {
  let split = 1;
  while (split * 2 < size) split *= 2;
  return split;
}

function hashOf(...parts: Uint8Array[]): Uint8Array {
  return createHash("sha256").update(Buffer.concat(parts)).digest();
}

if (import.meta.main) {
  writeFileSync("test/vectors/note.json", `${JSON.stringify(makeNoteVectors(), null, 2)}\n`);
}
