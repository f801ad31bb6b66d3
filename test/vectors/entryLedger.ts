// The vector ledger: fixed keys, salts, ids and times, through the code that makes real entries, so that the vectors say
// what the product writes. One entry of each type, with a rotation of the signing key between them.

import { createHash, createPrivateKey } from "node:crypto";
import { createSigner, type PrivateJwk, type Signer } from "../../src/keys/signer.ts";
import { createTokenKey } from "../../src/keys/tokenKey.ts";
import type { Entry } from "../../src/ledger/entry.ts";
import { commitTo, type Sha256 } from "../../src/ledger/hash.ts";
import { draftRefusal, draftRequest, draftResponse } from "../../src/proxy/draft.ts";
import { indexBulkAnswer } from "../../src/scim/bulk.ts";
import { type JsonDocument, parseStrictJson } from "../../src/scim/json.ts";
import { understand, understandAnswer } from "../../src/scim/operation.ts";
import { redact } from "../../src/scim/redact.ts";
import { rewriteLocations } from "../../src/scim/rewrite.ts";
import { headOf, type SignedEntry, signEntry } from "../../src/storage/writer/batch.ts";
import type { Draft } from "../../src/storage/writer/recorded.ts";
import { EMPTY_HEAD } from "../../src/storage/writer/session.ts";
import { uuidSource } from "../../src/storage/writer/uuid.ts";

/** One entry of the vector ledger. Binary values are base64url; attachments are UTF-8 text. */
export interface VectorEntry {
  title: string;
  seq: number;
  header: unknown;
  payload: Entry;
  leaf: string;
  leafHash: string;
  attachments: { name: string; salt: string; text: string; commitment: string }[];
}

export const ORIGIN = "scim.example.com/main";
/** Secret keys of RFC 8032 §7.1, known to everybody. */
const SEEDS = [
  "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
  "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
  "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
];
const START_MS = Date.parse("2026-03-02T08:00:00.000Z");
const TARGET = "https://app.example.com/scim/v2";
const PUBLIC = "https://scim.example.com/okta/scim/v2";
const USER = "2819c223-7f76-453a-919d-413861904646";

export const MASTER = Uint8Array.from({ length: 32 }, (_, i) => i);
export const tokenKey = createTokenKey(MASTER, ORIGIN);

export const digest: Sha256 = (...parts) => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** The keys: the first is pinned, the second follows it, the third signs nothing here. */
export interface VectorSigners {
  first: Signer;
  second: Signer;
  stranger: Signer;
}

/** Keys with their private halves, for whoever wants to sign test entries of his own. */
export const PRIVATE_KEYS: readonly PrivateJwk[] = SEEDS.map(privateJwkOf);

/** Signers over those keys. */
export function makeSigners(): VectorSigners {
  const [first, second, stranger] = PRIVATE_KEYS.map((key) => createSigner(key));
  if (!first || !second || !stranger) throw new Error("the vectors need three keys");
  return { first, second, stranger };
}

/** Builds the entries. The same every time, on every machine. */
export function makeEntries({ first, second }: VectorSigners): VectorEntry[] {
  const clock = steadyClock();
  // Vectors are about leaves and what they commit to; what is sealed is different each time.
  const context = { origin: ORIGIN, digest, base64url, ...clock, instance: clock.uuid() };
  const entries: VectorEntry[] = [];
  let signer = first;
  let head = EMPTY_HEAD;
  const add = (title: string, draft: Draft): number => {
    const signed = signEntry(draft, head, { ...context, signer });
    head = headOf(signed);
    entries.push(vectorEntry(title, signed));
    return signed.seq;
  };
  const event = (name: "instance-stopped" | "key-rotated" | "ledger-opened", details: object) =>
    add(name, { body: { type: "event", event: { name, ...details } }, attachments: [] });

  event("ledger-opened", { kid: first.kid });
  addCreate(add, clock.uuid());
  addUnknown(add, clock.uuid());
  addRefusal(add, clock.uuid());
  event("key-rotated", { kid: second.kid, jwk: second.publicJwk });
  signer = second;
  addBulk(add, clock.uuid());
  event("instance-stopped", {});
  return entries;
}

type Add = (title: string, draft: Draft) => number;

const OKTA = { connector: "okta", ids: "opaque", tokenKey } as const;
const LEGACY = { connector: "legacy", ids: "personal", tokenKey } as const;

function arrivalOf(txn: string, client: string, method: string, resourcePath: string, query?: string) {
  return {
    txn,
    actor: { client, method: "bearer" as const },
    method,
    resourcePath,
    query,
    mediaType: "application/scim+json",
    ifMatch: false,
    address: "192.0.2.7",
    userAgent: "Okta SCIM Client 1.0.0",
  };
}

/** A create with a password: the password is in neither entry, and the digest is keyed. */
function addCreate(add: Add, txn: string): void {
  const wire = Buffer.from(
    `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada@example.com","password":"correct horse","active":true}`,
  );
  const request = parse(wire);
  const arrival = arrivalOf(txn, "okta-1", "POST", "/Users");
  const requestSeq = add(
    "request: a create with a password",
    draftRequest(
      OKTA,
      arrival,
      understand({ method: "POST", resourcePath: "/Users", document: request }),
      wire,
      store(request),
      undefined,
    ),
  );
  const answer = Buffer.from(
    `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"${USER}","userName":"ada@example.com","active":true,"meta":{"resourceType":"User","version":"W/\\"1\\"","location":"${TARGET}/Users/${USER}"}}`,
  );
  const document = parse(answer);
  const { resourceId, version, facts } = understandAnswer(document);
  add(
    "response: answered",
    draftResponse(
      OKTA,
      { txn, seq: requestSeq },
      { outcome: "answered", status: 201, headers: {}, body: answer, durationMs: 41.25 },
      {
        stored: store(document),
        sent: rewriteLocations(document, TARGET, PUBLIC),
        replied: 201,
        facts,
        ...(resourceId === undefined ? {} : { resourceId }),
        ...(version === undefined ? {} : { version }),
      },
    ),
  );
}

/** A deactivation at a target whose ids are addresses: the leaf holds a token. The target never answers. */
function addUnknown(add: Add, txn: string): void {
  const path = "/Users/ada@example.com";
  const wire = Buffer.from(
    `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Replace","path":"active","value":"False"}]}`,
  );
  const document = parse(wire);
  const query = "aadOptscim062020";
  const requestSeq = add(
    "request: a deactivation, the id a keyed token",
    draftRequest(
      LEGACY,
      arrivalOf(txn, "entra-1", "PATCH", path, query),
      understand({ method: "PATCH", resourcePath: path, query, document }),
      wire,
      store(document),
      undefined,
    ),
  );
  const none = Buffer.alloc(0);
  add(
    "response: unknown",
    draftResponse(
      LEGACY,
      { txn, seq: requestSeq },
      { outcome: "unknown", reason: "timeout", headers: {}, body: none, durationMs: 50_000.5 },
      { stored: undefined, sent: none, replied: 504, facts: {} },
    ),
  );
}

function addRefusal(add: Add, txn: string): void {
  const wire = Buffer.from(`{"active":true,"active":false}`);
  add(
    "refusal: a body that two readers could read differently",
    draftRefusal(
      OKTA,
      arrivalOf(txn, "okta-1", "PATCH", `/Users/${USER}`),
      { code: "body_invalid", status: 400 },
      undefined,
      wire,
    ),
  );
}

/** A Bulk: every operation indexed, its answers joined. */
function addBulk(add: Add, txn: string): void {
  const wire = Buffer.from(
    `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[{"method":"POST","path":"/Groups","bulkId":"g","data":{"displayName":"Examples","members":[{"value":"${USER}"}]}},{"method":"DELETE","path":"/Users/${USER}"}]}`,
  );
  const document = parse(wire);
  const requestSeq = add(
    "request: a Bulk",
    draftRequest(
      OKTA,
      arrivalOf(txn, "okta-1", "POST", "/Bulk"),
      understand({ method: "POST", resourcePath: "/Bulk", document }),
      wire,
      store(document),
      undefined,
    ),
  );
  const answer = Buffer.from(
    `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkResponse"],"Operations":[{"method":"POST","bulkId":"g","location":"${TARGET}/Groups/e9e30dba","status":"201"},{"method":"DELETE","location":"${TARGET}/Users/${USER}","status":"404"}]}`,
  );
  const answered = parse(answer);
  const operations = indexBulkAnswer(document, answered).map(({ index, status, resourceId }) => ({
    index,
    ...(resourceId === undefined ? {} : { resourceId }),
    ...(status === undefined ? {} : { status }),
  }));
  add(
    "response: a Bulk, partly failed",
    draftResponse(
      OKTA,
      { txn, seq: requestSeq },
      { outcome: "answered", status: 200, headers: {}, body: answer, durationMs: 88.125 },
      {
        stored: store(answered),
        sent: rewriteLocations(answered, TARGET, PUBLIC),
        replied: 200,
        facts: understandAnswer(answered).facts,
        operations,
      },
    ),
  );
}

function parse(bytes: Buffer): JsonDocument {
  const parsed = parseStrictJson(bytes);
  if (!parsed.ok) throw new Error(`a vector's body is no strict JSON: ${parsed.refusal.code}`);
  return parsed.document;
}

function store(document: JsonDocument) {
  const { bytes, redacted } = redact(document, []);
  return { bytes, redacted, mediaType: "application/scim+json" };
}

function vectorEntry(title: string, signed: SignedEntry): VectorEntry {
  const leaf = signed.leaf.toString("latin1");
  const [header = "", payload = ""] = leaf.split(".");
  return {
    title,
    seq: signed.seq,
    header: JSON.parse(Buffer.from(header, "base64url").toString()),
    payload: JSON.parse(Buffer.from(payload, "base64url").toString()) as Entry,
    leaf,
    leafHash: base64url(signed.leafHash),
    attachments: signed.sealing.attachments.map(({ name, salt, content }) => ({
      name,
      salt: base64url(salt),
      text: Buffer.from(content).toString("utf8"),
      commitment: base64url(commitTo(salt, content, digest)),
    })),
  };
}

/** Time, ids and salts that advance by themselves, a millisecond and a byte at a time. */
function steadyClock() {
  let ticks = 0;
  let salts = 0;
  const now = () => START_MS + ticks++;
  return {
    now,
    uuid: uuidSource({ now, randomBytes: (size) => new Uint8Array(size) }),
    randomBytes: (size: number) => new Uint8Array(size).fill(++salts),
  };
}

function privateJwkOf(seed: string): PrivateJwk {
  const der = Buffer.concat([
    Buffer.from("302e020100300506032b657004220420", "hex"),
    Buffer.from(seed, "hex"),
  ]);
  const { x = "", d = "" } = createPrivateKey({ key: der, format: "der", type: "pkcs8" }).export({
    format: "jwk",
  });
  return { kty: "OKP", crv: "Ed25519", x, d };
}

/** base64url without padding. */
export function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64url");
}
