// Ledgers in memory for the tests of the pure part: signed by the same code that the writer uses.

import { randomBytes } from "node:crypto";
import { createSigner, generateKey, type Signer } from "../../src/keys/signer.ts";
import type { EntryBody } from "../../src/ledger/entry.ts";
import { type PublicKey, parsePublicJwk } from "../../src/ledger/key.ts";
import { formatHeader } from "../../src/ledger/leaf.ts";
import type { StoredEntry } from "../../src/ledger/verify.ts";
import { newUuid, nodeSha256, toBase64url } from "../../src/nodeCrypto.ts";
import { headOf, type SignedEntry, signEntry } from "../../src/storage/writer/batch.ts";
import type { Draft } from "../../src/storage/writer/recorded.ts";
import { EMPTY_HEAD } from "../../src/storage/writer/session.ts";

export const ORIGIN = "test.scimseal.example/chain";
export const INSTANCE = "018f0000-0000-7000-8000-000000000001";

export function publicKeyOf(signer: Signer): PublicKey {
  const key = parsePublicJwk(signer.publicJwk);
  if (!key) throw new Error("the signer's key is no key");
  return key;
}

export const newSigner = () => createSigner(generateKey());

/** It has nothing to do: what these tests look at is what the leaf commits to. */

/** A chain under construction. */
export class Chain {
  readonly rows: StoredEntry[] = [];
  signer: Signer;
  #head = EMPTY_HEAD;

  constructor(signer: Signer) {
    this.signer = signer;
  }

  add(body: EntryBody, attachments: Draft["attachments"] = []): SignedEntry {
    const entry = signEntry({ body, attachments }, this.#head, {
      origin: ORIGIN,
      instance: INSTANCE,
      signer: this.signer,
      digest: nodeSha256,
      base64url: toBase64url,
      randomBytes,
      uuid: newUuid,
      now: () => 1_750_000_000_000,
    });
    this.#head = headOf(entry);
    this.rows.push(rowOf(entry));
    return entry;
  }

  request(txn = newUuid()): SignedEntry {
    return this.add(
      {
        type: "request",
        txn,
        connector: "okta",
        actor: { client: "c", method: "bearer" },
        http: { method: "POST", path: "/Users" },
        scim: { action: "create", resourceType: "User", effects: ["create"], paths: [] },
      },
      [{ name: "body", mediaType: "application/scim+json", bytes: Buffer.from("{}") }],
    );
  }

  response(request: SignedEntry): SignedEntry {
    return this.add({
      type: "response",
      txn: request.txn ?? "",
      connector: "okta",
      requestSeq: request.seq,
      outcome: "answered",
      status: 201,
    });
  }

  event(event: Extract<EntryBody, { type: "event" }>["event"]): SignedEntry {
    return this.add({ type: "event", event });
  }
}

function rowOf(entry: SignedEntry): StoredEntry {
  return {
    seq: entry.seq,
    leaf: entry.leaf.toString("latin1"),
    leafHash: entry.leafHash,
    type: entry.draft.body.type,
    txn: entry.txn,
    instance: INSTANCE,
    attachments: entry.sealing.attachments,
  };
}

/** A leaf with any payload and header at all, properly signed. */
export function signAny(signer: Signer, payload: string, header = formatHeader(signer.kid)): string {
  const input = `${header}.${Buffer.from(payload).toString("base64url")}`;
  return `${input}.${Buffer.from(signer.sign(Buffer.from(input))).toString("base64url")}`;
}
