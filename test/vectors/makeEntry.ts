// Makes test/vectors/entry.json and puts its parts into the marked examples of docs/FORMAT.md. After a change of the
// format run `node test/vectors/makeEntry.ts`, then `biome check --write test/vectors`, and read the difference: a
// change of old entries' bytes breaks every ledger there is.

import { hkdfSync } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import type { PrivateJwk } from "../../src/keys/signer.ts";
import { makeCases, type VectorCase } from "./entryCases.ts";
import {
  base64url,
  MASTER,
  makeEntries,
  makeSigners,
  ORIGIN,
  PRIVATE_KEYS,
  tokenKey,
  type VectorEntry,
} from "./entryLedger.ts";

/** What test/vectors/entry.json holds. Binary values are base64url unless they say otherwise. */
export interface Vectors {
  about: string;
  origin: string;
  /** Test keys of RFC 8032 §7.1; known to everybody. Only the first is pinned. */
  keys: { use: string; kid: string; privateJwk: PrivateJwk }[];
  tokenKey: {
    master: string;
    subkeys: { token: string; digest: string };
    token: { id: string; token: string };
    digest: { text: string; hmacSha256: string };
  };
  entries: VectorEntry[];
  cases: VectorCase[];
}

const USES = ["signs from entry 0; pinned", "signs after the rotation", "signs nothing here"];

/** Builds the vectors. The same every time, on every machine. */
export function makeVectors(): Vectors {
  const signers = makeSigners();
  const entries = makeEntries(signers);
  return {
    about: "Entries of a scimseal ledger; docs/FORMAT.md explains them. Made by test/vectors/makeEntry.ts.",
    origin: ORIGIN,
    keys: Object.values(signers).map(({ kid }, i) => ({
      use: USES[i] ?? "",
      kid,
      privateJwk: PRIVATE_KEYS[i] ?? { kty: "OKP", crv: "Ed25519", x: "", d: "" },
    })),
    tokenKey: tokenVectors(),
    entries,
    cases: makeCases(entries, signers),
  };
}

function tokenVectors(): Vectors["tokenKey"] {
  const subkey = (purpose: string) =>
    Buffer.from(hkdfSync("sha256", MASTER, ORIGIN, `scimseal/v1/${purpose}`, 32)).toString("hex");
  const id = "ada@example.com";
  const text = `{"active":true,"active":false}`;
  return {
    master: base64url(MASTER),
    subkeys: { token: subkey("token"), digest: subkey("digest") },
    token: { id, token: tokenKey.token("id", id) },
    digest: { text, hmacSha256: tokenKey.digest(Buffer.from(text)) },
  };
}

/** The text of a marked example of docs/FORMAT.md: `leaf:1`, `payload:1`, `header:1`, `hash:1`, `attachment:1:facts`, `token`. */
export function renderExample(vectors: Vectors, name: string): string {
  const [kind, seq = "", attachment] = name.split(":");
  const entry = vectors.entries[Number(seq)];
  if (kind === "token") return JSON.stringify(vectors.tokenKey, null, 2);
  if (kind === "keys") {
    return vectors.keys
      .map(({ kid, privateJwk: { kty, crv, x } }) => JSON.stringify({ kty, crv, x, kid }))
      .join("\n");
  }
  if (!entry) throw new Error(`no vector is called ${name}`);
  if (kind === "header") return JSON.stringify(entry.header);
  if (kind === "payload") return JSON.stringify(entry.payload, null, 2);
  if (kind === "hash") return entry.leafHash;
  if (kind === "leaf") return (entry.leaf.match(/.{1,110}/g) ?? []).join("\n");
  const found = entry.attachments.find((one) => one.name === attachment);
  if (kind !== "attachment" || !found) throw new Error(`no vector is called ${name}`);
  return `salt        ${found.salt}\nbytes       ${found.text}\ncommitment  ${found.commitment}`;
}

/** Finds the marked examples: an HTML comment `vector NAME`, then a fenced block. */
export const EXAMPLE = /(<!-- vector (\S+) -->\n```\w*\n)([\s\S]*?)(\n```)/g;

if (import.meta.main) {
  const vectors = makeVectors();
  writeFileSync("test/vectors/entry.json", `${JSON.stringify(vectors, null, 2)}\n`);
  const text = readFileSync("docs/FORMAT.md", "utf8");
  const filled = text.replace(
    EXAMPLE,
    (_, open: string, name: string, _old: string, close: string) =>
      `${open}${renderExample(vectors, name)}${close}`,
  );
  writeFileSync("docs/FORMAT.md", filled);
}
